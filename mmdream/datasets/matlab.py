"""A publisher's list in MATLAB's form, read in a process of its own: SciPy crashes on some damaged files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mmdream.core.errors import UserError

MAX_MEMORY_BYTES = 4 << 30
"""Bytes that the reader may take; a list holds some thousand names."""
TIMEOUT_SECONDS = 120


def read_file_list(path: Path) -> list[str]:
    """The entries of the array ``file_list``.

    Raises:
        UserError: it is no such file, or damaged.
    """
    words = [sys.executable, "-m", __name__, str(path)]
    try:
        ran = subprocess.run(words, capture_output=True, timeout=TIMEOUT_SECONDS, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        raise UserError(f"{path}: is no list of the publisher's that can be read") from error
    found: list[str] = json.loads(ran.stdout)
    return found


def main() -> None:
    """Print the entries of a file as JSON."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        wanted = MAX_MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MAX_MEMORY_BYTES, most)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, most))
    import numpy as np
    from scipy.io import loadmat

    entries = np.ravel(loadmat(sys.argv[1], squeeze_me=True)["file_list"])
    sys.stdout.write(json.dumps([str(entry) for entry in entries]))


if __name__ == "__main__":
    main()
