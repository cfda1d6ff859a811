"""Who imports whom: by the order of the folders alone. The import statements themselves are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.measure_house import (
    Arrow,
    arrows,
    class_homes,
    cycles,
    imported_names,
    is_allowed,
    modules,
    unit,
    units,
)

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "core": {"tensorflow", "keras", "av", "moviepy", "ffmpeg"},
    "settings": {"tensorflow", "keras", "av", "moviepy", "ffmpeg"},
    "media": {"tensorflow", "keras"},
    "analysis": {"tensorflow", "keras"},
    "image": {"av", "moviepy", "ffmpeg"},
    "audio": {"av", "moviepy", "ffmpeg"},
}
"""Libraries that a folder must do without."""

TENSORFLOW = {
    *("networks", "ascent.objectives", "ascent.style_statistics", "training.attacks"),
    *("image.gradient", "image.style", "audio.gradient", "audio.texture"),
}
"""Where the framework may live, so that it stays in few files."""


@pytest.fixture(scope="module")
def import_arrows() -> set[Arrow]:
    return arrows(ROOT)


def test_every_folder_has_its_place_in_the_order() -> None:
    assert {unit(module) for module in modules(ROOT)} - {""} == units()


def test_imports_keep_the_order(import_arrows: set[Arrow]) -> None:
    wrong = sorted(arrow for arrow in import_arrows if not is_allowed(arrow))
    assert [f"{module} imports {other}" for module, other in wrong] == []


def test_no_modules_import_each_other(import_arrows: set[Arrow]) -> None:
    assert cycles(import_arrows) == []


def test_no_class_name_stands_twice() -> None:
    assert {name: homes for name, homes in class_homes(ROOT).items() if len(homes) > 1} == {}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_folders_do_without(folder: str) -> None:
    for module, path in modules(ROOT).items():
        if unit(module) == folder:
            assert not {name.split(".")[0] for name in imported_names(path)} & FORBIDDEN[folder], module


def test_tensorflow_stays_in_few_files() -> None:
    for module, path in modules(ROOT).items():
        if {name.split(".")[0] for name in imported_names(path)} & {"tensorflow", "keras"}:
            assert {module, unit(module)} & TENSORFLOW, module
