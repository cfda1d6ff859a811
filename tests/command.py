"""The command line as a user calls it: in this process, in one of its own, or for what it reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

import pytest

from mmdream.cli.app import main

Done = subprocess.CompletedProcess[str]


HEAVY = {"numpy", "tensorflow", "keras", "cv2", "av", "librosa", "moviepy", "scipy", "soundfile"}
"""Libraries that --help must not wait for."""


def assert_help_is_light(*commands: str) -> None:
    """Every command's help names it, with status 0, and brings in nothing heavy."""
    code = (
        "import sys\nfrom mmdream.cli.app import main\n"
        f"for command in {commands}:\n"
        "    sys.argv = ['mmdream', *command.split(), '--help']\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert end.code == 0, end.code\n"
        f"    assert not {HEAVY} & set(sys.modules), (command, {HEAVY} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [f"Usage: mmdream {command} " in done.stdout for command in commands] == [True] * len(commands)


def mmdream(*words: object, cwd: Path | None = None) -> Done:
    """In this process: the start of another, most of it TensorFlow's, takes longer than most commands."""
    typed = ["mmdream", *map(str, words)]
    polite = signal.getsignal(signal.SIGTERM)
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        with ExitStack() as stack:
            stack.callback(signal.signal, signal.SIGTERM, polite)
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(sys, "argv", typed)
            patch.chdir(cwd or Path.cwd())
            for number, name, stream in ((1, "stdout", out), (2, "stderr", err)):
                patch.setattr(sys, name, stream)
                stack.enter_context(redirect_stream(number, stream))
            with pytest.raises(SystemExit) as end:
                main()
        status = end.value.code
        assert isinstance(status, int)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(typed, status, out.read(), err.read())


@contextmanager
def redirect_stream(number: int, stream: TextIO) -> Iterator[None]:
    """What libraries in C write to a terminal goes past `sys.stderr`."""
    kept = os.dup(number)
    os.dup2(stream.fileno(), number)
    try:
        yield
    finally:
        stream.flush()
        os.dup2(kept, number)
        os.close(kept)


def run_python(code: str) -> Done:
    """Python in a process of its own, where what TensorFlow says as it starts is seen too."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
    )


def run_for_report(*words: object) -> tuple[int, str, dict]:
    """Exit status, what stderr says, and the report if all went well."""
    done = mmdream(*words, "--json")
    return done.returncode, done.stderr, json.loads(done.stdout) if done.returncode == 0 else {}
