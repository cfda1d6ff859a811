"""The parts of a dream as files beside it, and the credits that a dream passes on."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream.media.credits import format_credit
from mmdream.media.probe import read_tags
from mmdream.settings.report import list_credits
from tests.audio.conftest import make_music
from tests.command import mmdream

RATE = 22050
QUICK = ["--octaves", "1", "--steps", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound, and events of it as grains that are to be credited."""
    folder = tmp_path_factory.mktemp("stems")
    soundfile.write(folder / "in.wav", make_music(RATE, 3.0).T, RATE, subtype="FLOAT")
    (folder / "grains").mkdir()
    with soundfile.SoundFile(folder / "grains" / "bells.flac", "w", RATE, 1) as file:
        file.artist, file.license, file.title = "Ann Lee", "CC BY 4.0", "Bells\nand\x07 more"
        file.write(0.5 * make_music(RATE, 2.0)[0])
    return folder


def run(*words: object) -> tuple[int, str]:
    done = mmdream("audio", *words, *QUICK)
    return done.returncode, done.stdout + done.stderr


def test_stems_sum_to_the_dream_and_those_of_an_earlier_run_go(folder: Path) -> None:
    stems = folder / "in.dream.stems"
    stems.mkdir()
    (stems / "grains of before.wav").write_bytes(b"old")
    code, said = run(folder / "in.wav", "--stems", "--grain-set", folder / "grains")
    assert code == 2
    assert "in.dream.stems: exists already" in said
    code, said = run(folder / "in.wav", "--stems", "--grain-set", folder / "grains", "--overwrite")
    assert code == 0, said
    assert "credit: Bells and more by Ann Lee (CC BY 4.0)" in said
    assert "Bells and more by Ann Lee (CC BY 4.0)" in read_tags(folder / "in.dream.wav")["comment"]
    parts = {path.stem: soundfile.read(path)[0] for path in stems.glob("*.wav")}
    assert "grains of before" not in parts
    np.testing.assert_array_equal(parts.pop("source"), soundfile.read(folder / "in.wav")[0])
    np.testing.assert_allclose(sum(parts.values()), soundfile.read(folder / "in.dream.wav")[0], atol=1e-6)
    with (stems / "grains.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        part, rate = parts[f"grains {row['kind']}"], RATE
        first = round(float(row["seconds"]) * rate)
        assert np.abs(part[first : first + round(float(row["length"]) * rate)]).max() > 0
        assert float(row["pan"]) == 1
        assert row["credit"] == "Bells and more by Ann Lee (CC BY 4.0)"


def test_a_folder_with_other_files_is_left_alone(folder: Path) -> None:
    stems = folder / "other.stems"
    stems.mkdir()
    (stems / "mix.wav").write_bytes(b"mine")
    code, said = run(folder / "in.wav", "--stems", "-o", folder / "other.wav", "--overwrite")
    assert (code, (stems / "mix.wav").read_bytes()) == (2, b"mine")
    assert "holds other files (mix.wav)" in said
    (folder / "file.stems").write_text("mine")
    code, said = run(folder / "in.wav", "--stems", "-o", folder / "file.wav", "--overwrite")
    assert (code, "is a file" in said) == (2, True)
    code, said = run(folder / "in.wav", "--stems", "--ouroboros", "2", "-o", folder / "two.wav")
    assert (code, "--stems keeps the parts of one dream" in said) == (2, True)


def test_a_credit_says_what_is_known_of_a_recording() -> None:
    assert format_credit({"title": "Rain", "artist": "Bo", "url": "http://x"}) == "Rain by Bo (http://x)"
    assert format_credit({"licence": "CC0"}) == "(CC0)"
    assert format_credit({"title": "Rain", "comment": "x"}) == ""
    assert len(format_credit({"author": "a" * 10_000})) == 300
    assert list_credits([]) == []
