"""Bring the studio's libraries into the package: ES modules, their bare imports made relative, and a card.

    python scripts/vendor_studio.py

Needs npm. Each package comes by its name and version; the card tells version, licence, and the SHA-256 of the
package and of each file as it lies here.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).parents[1] / "mmdream" / "studio" / "static" / "vendor"


@dataclass(frozen=True)
class Package:
    """What is taken of a package."""

    name: str
    version: str
    files: tuple[tuple[str, str], ...]
    """Names in the package, and here."""


PACKAGES = (
    Package("preact", "11.2.0", (("dist/preact.mjs", "preact.js"), ("hooks/dist/hooks.mjs", "hooks.js"))),
    Package("htm", "3.1.1", (("dist/htm.module.js", "htm.js"),)),
    Package("wavesurfer.js", "8.0.1", (("dist/wavesurfer.esm.js", "wavesurfer.js"),)),
)
BARE = {"preact": "./preact.js", "preact/hooks": "./hooks.js", "htm": "./htm.js"}
IMPORT = re.compile(r"""(\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'./][^"']*)\2""")
MAP = re.compile(r"\n?//# sourceMappingURL=.*\s*$")
CARD = """# vendor

Libraries of the studio's page, brought here by `python scripts/vendor_studio.py`: nothing of it comes from
elsewhere when the page is open. Bare imports are made relative, and links to source maps taken out; else the
files are as published.

| package | version | licence | package's SHA-256 | file | its SHA-256 |
|---|---|---|---|---|---|
{rows}
"""


def fetch(package: Package, folder: Path) -> Path:
    """A package's archive."""
    words = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    done = subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True)
    return folder / done.stdout.strip().splitlines()[-1]


def read_text(archive: Path, name: str) -> str:
    """A file of a package."""
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"package/{name}")
        assert file is not None
        return file.read().decode()


def main() -> None:
    """Fetch, rewrite, write."""
    HOME.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            archive = fetch(package, Path(folder))
            licence = json.loads(read_text(archive, "package.json"))["license"]
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            (HOME / f"{package.name.removesuffix('.js')}.LICENSE").write_text(read_text(archive, "LICENSE"))
            for name, here in package.files:
                text = MAP.sub("\n", read_text(archive, name))
                text = IMPORT.sub(lambda found: f"{found[1]}{found[2]}{BARE[found[3]]}{found[2]}", text)
                (HOME / here).write_text(text, encoding="utf-8")
                own = hashlib.sha256(text.encode()).hexdigest()
                rows.append(f"| {package.name} | {package.version} | {licence} | {digest} | {here} | {own} |")
    (HOME / "README.md").write_text(CARD.format(rows="\n".join(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
