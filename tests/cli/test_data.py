"""The commands about data sets, as a person types them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.command import assert_help_is_light, mmdream

COMMANDS = ("list", "show", "prepare", "check")


def write_dog_sounds(at: Path) -> Path:
    for number, name in enumerate(("1-100032-A", "2-114587-A")):
        path = at / "001 - Dog bark" / f"{name}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 800), 8000)
    return at


def test_help_brings_in_nothing_heavy():
    assert_help_is_light("data", *(f"data {command}" for command in COMMANDS))


def test_listing_and_showing():
    lines = mmdream("data", "list").stdout
    assert "esc10                sound" in lines
    assert "licence: CC BY-NC 3.0" in lines
    cards = {about["name"]: about for about in json.loads(mmdream("data", "list", "--json").stdout)}
    assert len(cards) == 13
    assert cards["nsynth"]["archives"][0]["checksum"] is None
    shown = mmdream("data", "show", "urbansound8k").stdout
    for part in (
        "files: 8,732",
        "variant four_seconds: only the clips of 4.0 s, and no gun_shot: 9 classes",
        "kept apart in training: the publisher's folds",
        "UrbanSound8K.tar.gz (not verified; md5:9aa69802bbf37fb986f71ec1483a196e)",
        "not verified: size",
    ):
        assert part in shown
    shown = mmdream("data", "show", "imagenet25").stdout
    assert "artillery (artillery, heavy weapon, gun, ordnance; n02746365)" in shown
    assert "download: none; get it from the publisher" in shown
    assert json.loads(mmdream("data", "show", "esc10", "--json").stdout)["split"] == "fold"


def test_preparing_checking_and_drawing(tmp_path: Path):
    write_dog_sounds(tmp_path / "given")
    done = mmdream("data", "prepare", "esc10", "--from", "given", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "dog            2 of 40: differs from the card" in done.stdout
    again = mmdream("data", "prepare", "esc10", "--from", "given", "--json", cwd=tmp_path)
    report = json.loads(again.stdout)
    assert (report["files"], report["new"], report["expected"]) == (2, 0, 400)
    drawn = mmdream("data", "show", "esc10", "--plot", "sheet.png", cwd=tmp_path)
    assert drawn.stdout == "sheet.png\n", drawn.stderr
    checked = mmdream("data", "check", "esc10", "--json", cwd=tmp_path)
    assert checked.returncode == 2
    assert json.loads(checked.stdout)["classes"] == {"dog": {"files": 2, "expected": 40}}
    assert checked.stderr == (
        "mmdream: error: esc10: 9 classes are empty; prepare the set again, or delete what is damaged\n"
    )


def test_a_folder_of_ones_own(tmp_path: Path):
    write_dog_sounds(tmp_path / "mine")
    assert mmdream("data", "show", "mine", cwd=tmp_path).stdout.split() == ["2", "001", "-", "Dog", "bark"]
    assert json.loads(mmdream("data", "show", "mine", "--json", cwd=tmp_path).stdout)["name"] == "mine"
    assert mmdream("data", "check", "mine", cwd=tmp_path).returncode == 0
    drawn = mmdream("data", "show", "mine", "--plot", "sheet.jpg", "--json", cwd=tmp_path)
    assert json.loads(drawn.stdout) == {"plot": "sheet.jpg"}


def write_tar(path: Path, name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> None:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as file:
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data)
        info.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
        file.addfile(info, io.BytesIO(data))


TAMPERED = {
    "path upwards": (
        "esc10",
        "a.tar",
        lambda path: write_tar(path, "../evil.ogg"),
        "leads out of its folder",
    ),
    "link": (
        "esc10",
        "a.tar",
        lambda path: write_tar(path, "a.ogg", b"", tarfile.SYMTYPE),
        "holds a link or a device",
    ),
    "bomb": (
        "esc10",
        "a.tar.gz",
        lambda path: write_tar(path, "a.ogg", bytes(65_000_000)),
        "holds more than 64 MB",
    ),
    "bad checksum": (
        "tiny_imagenet",
        "tiny-imagenet-200.zip",
        lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),
        "its MD5 is not the one of http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    ),
    "truncated": (
        "esc10",
        "a.tar",
        lambda path: write_tar(path, "a.ogg", bytes(9000)) or path.write_bytes(path.read_bytes()[:5000]),
        "is cut off or damaged",
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_archive_is_refused_with_one_line_and_nothing_is_left(how: str, tmp_path: Path):
    name, file, make, message = TAMPERED[how]
    (tmp_path / "here").mkdir()
    make(tmp_path / "here" / file)
    done = mmdream("data", "prepare", name, "--from", file, "--json", cwd=tmp_path / "here")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"mmdream: error: {file}: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "here", tmp_path / "here" / file]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "esc11"), 'no dataset "esc11"; nearest: esc10'),
        (
            ("show", "esc10", "--plot", "a.png"),
            "esc10: no such folder; `mmdream data prepare esc10` makes it",
        ),
        (("prepare", "esc10"), "give esc10 with --from ARCHIVE"),
        (("prepare", "esc10", "--from", "nowhere.tar"), "nowhere.tar: no such file or folder"),
        (("check", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], message: str, tmp_path: Path):
    done = mmdream("data", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("mmdream: error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
