"""What the project promises about itself: one version, one list of dependencies, a whole wheel."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
import zipfile
from email import message_from_bytes
from functools import cache
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import mmdream

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

MODULES = {
    "ipython": "IPython",
    "ffmpeg-python": "ffmpeg",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "scenedetect-headless": "scenedetect",
    "scikit-learn": "sklearn",
}
"""Distributions whose module has another name than theirs with ``-`` as ``_``."""


def find_module(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return MODULES.get(name[0], name[0].replace("-", "_"))


def find_imports(code: str) -> set[str]:
    """The top-level modules that a piece of Python imports."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def read_code_cells(notebook: Path) -> str:
    """The code of a notebook, without the lines that are not Python."""
    lines = [
        line
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
        for line in "".join(cell["source"]).splitlines()
        if not line.lstrip().startswith(("%", "!"))
    ]
    return "\n".join(lines)


@cache
def find_folder_imports(folder: str) -> frozenset[str]:
    """The top-level modules that the files of a folder import."""
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        found |= find_imports(path.read_text(encoding="utf-8"))
    for path in (ROOT / folder).rglob("*.ipynb"):
        found |= find_imports(read_code_cells(path))
    return frozenset(found)


def find_requirements(*folders: str) -> set[str]:
    """What the files of these folders import that Python does not bring."""
    found = set[str]().union(*map(find_folder_imports, folders))
    own = {"mmdream", "scripts", "tests", "conftest"}
    own |= {path.stem for home in ("scripts", "tests") for path in (ROOT / home).rglob("*.py")}
    return found - set(sys.stdlib_module_names) - own


def test_version_stands_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", mmdream.__version__)
    assert PROJECT["dynamic"] == ["version"]
    assert f"## [{mmdream.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {mmdream.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    quoted = re.compile(rf"[\"']{re.escape(mmdream.__version__)}[\"']")
    files = [*(ROOT / "mmdream").rglob("*.py"), ROOT / "pyproject.toml", ROOT / "env.yaml"]
    assert [path.name for path in files if quoted.search(path.read_text("utf-8"))] == ["__init__.py"]


def test_every_dependency_is_used() -> None:
    declared = {find_module(line) for line in PROJECT["dependencies"]}
    assert declared <= find_requirements("mmdream", "scripts", "notebooks")


def test_everything_used_is_a_dependency() -> None:
    # Found by way of others today, gone tomorrow.
    declared = {find_module(line) for line in PROJECT["dependencies"]}
    studio, cluster, live = (
        {find_module(line) for line in PROJECT["optional-dependencies"][extra]}
        for extra in ("studio", "cluster", "live")
    )
    assert find_requirements("mmdream") <= declared | studio | cluster | live
    places = "mmdream/cli", "mmdream/core", "mmdream/jobs", "mmdream/render"
    assert not find_requirements(*places) & (studio | cluster)
    assert not find_requirements("mmdream/cluster") & studio
    extras = {find_module(line) for lines in PROJECT["optional-dependencies"].values() for line in lines}
    assert find_requirements("scripts", "tests", "notebooks") <= declared | extras


def test_conda_has_no_list_of_its_own() -> None:
    lines = (ROOT / "env.yaml").read_text(encoding="utf-8").split("dependencies:\n")[1].split("\n")
    expected = [f"- python{PROJECT['requires-python']}", "- pip", "- pip:", "- ."]
    assert [line.strip() for line in lines if line] == expected


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(path)


def test_cards_and_presets_travel_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    inside = set(wheel.namelist())
    homes = {
        "models": "mmdream/models",
        "datasets": "mmdream/datasets/cards",
        "mmdream/presets": "mmdream/presets",
    }
    for home, place in homes.items():
        files = [path for path in (ROOT / home).rglob("*") if path.suffix in {".toml", ".npz", ".tsv"}]
        assert any(path.suffix == ".toml" for path in files)
        for path in files:
            name = f"{place}/{path.relative_to(ROOT / home).as_posix()}"
            assert name in inside
            assert wheel.read(name) == path.read_bytes()
    for path in (ROOT / "mmdream").rglob("*.py"):
        assert path.relative_to(ROOT).as_posix() in inside


def test_nothing_else_travels(wheel: zipfile.ZipFile) -> None:
    for item in wheel.infolist():
        assert item.filename.startswith(("mmdream/", f"mmdream-{mmdream.__version__}.dist-info/"))
        # The networks that are shipped stay under 6 MB each; data never travels.
        assert item.file_size < 6_000_000


def test_the_wheel_says_what_it_needs(wheel: zipfile.ZipFile) -> None:
    about = f"mmdream-{mmdream.__version__}.dist-info"
    metadata = message_from_bytes(wheel.read(f"{about}/METADATA"))
    assert metadata["Version"] == mmdream.__version__
    assert metadata["License-Expression"] == "MIT"
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    assert b"mmdream = mmdream.cli.app:main" in wheel.read(f"{about}/entry_points.txt")
    assert f"{about}/licenses/LICENSE" in wheel.namelist()


def test_the_documentation_stays_small() -> None:
    docs = [path for path in (ROOT / "docs").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in docs) < 3_000_000
