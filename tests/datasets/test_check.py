"""A whole set is well; what is missing, damaged, unknown, twice there or empty is named, and drawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from trees import SETS, list_sources, write_picture, write_sound

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets.check import MAX_LISTED, check_dataset
from mmdream.datasets.folder import read_dataset
from mmdream.datasets.plot import (
    SAMPLE_RATE,
    SAMPLES_PER_CLASS,
    TILE_SIZE,
    draw_spectrogram,
    measure_examples,
    plot_dataset,
    write_dataset_plot,
)
from mmdream.datasets.prepare import prepare_dataset

HOSTILE = Path(__file__).parent / "hostile"


def prepare_small_set(name: str, tmp_path: Path) -> Path:
    SETS[name](tmp_path / "given")
    prepare_dataset(name, list_sources(name, tmp_path / "given"), tmp_path / "set", None, False, EventSink())
    return tmp_path / "set"


@pytest.mark.parametrize("name", sorted(SETS))
def test_what_was_just_prepared_is_well(name: str, tmp_path: Path):
    progress: list[tuple[str, float, float]] = []
    out = prepare_small_set(name, tmp_path)
    findings = check_dataset(out, EventSink(progress=lambda *step: progress.append(step)))
    assert (findings.missing, findings.damaged, findings.unknown, findings.duplicates) == ((), (), (), ())
    assert not [word for word in findings.problems.split(", ") if "empty" not in word and word]
    assert progress[-1] == ("checking", len(read_dataset(out).examples), len(read_dataset(out).examples))


def test_a_sound_that_claims_no_end_is_read_to_its_end(tmp_path: Path):
    (tmp_path / "class").mkdir()
    shutil.copyfile(HOSTILE / "endless.ogg", tmp_path / "class/a.ogg")
    assert soundfile.info(tmp_path / "class/a.ogg").frames > 1 << 60
    assert check_dataset(tmp_path, EventSink()).damaged == ("class/a.ogg",)


@pytest.mark.parametrize("odd", [["dog"], {"a": 1}, 3, "line\nline", "\x1b[31m", "x" * 300])
def test_a_set_whose_names_are_none_is_told_in_one_line(odd: object, tmp_path: Path):
    out = prepare_small_set("esc10", tmp_path)
    about = json.loads((out / "dataset.json").read_text())
    for changed in ({"name": odd}, {"variant": odd}, {"classes": [*about["classes"], odd]}):
        (out / "dataset.json").write_text(json.dumps(about | changed))
        with pytest.raises(UserError, match="is damaged"):
            check_dataset(out, EventSink())


def test_lists_in_lists_are_no_set(tmp_path: Path):
    out = prepare_small_set("esc10", tmp_path)
    (out / "dataset.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="is damaged"):
        check_dataset(out, EventSink())


def test_every_kind_of_trouble_is_named(tmp_path: Path):
    out = prepare_small_set("esc10", tmp_path)
    first, second = sorted((out / "input/dog").iterdir())
    (fire,) = (out / "input/crackling_fire").iterdir()
    first.unlink()
    second.write_bytes(second.read_bytes()[:-400])
    fire.with_name("more.ogg").write_bytes(fire.read_bytes())
    findings = check_dataset(out, EventSink())
    assert findings.missing == ("input/dog/1-100032-A.ogg",)
    assert findings.damaged == ("input/dog/2-114587-A.ogg",)
    assert findings.unknown == ("input/crackling_fire/more.ogg",)
    assert set(findings.empty_classes) >= {"rain", "rooster"}
    assert findings.counts["dog"] == (1, 40)
    assert findings.problems == "1 missing, 1 damaged, 1 unknown, 8 classes are empty"
    lines = "\n".join(findings.lines())
    for part in ("dog: 1 of 40", "missing: 1\n  input/dog/1-100032-A.ogg", findings.problems):
        assert part in lines
    assert json.loads(json.dumps(findings.as_json()))["damaged"] == ["input/dog/2-114587-A.ogg"]


def test_a_file_that_was_changed_is_damaged_though_it_can_be_read(tmp_path: Path):
    out = prepare_small_set("stanford_dogs", tmp_path)
    write_picture(out / "input/pug/n02110958_1.jpg", 80, 70)
    assert check_dataset(out, EventSink()).damaged == ("input/pug/n02110958_1.jpg",)


def test_a_folder_of_ones_own_is_checked_too(tmp_path: Path):
    for name in ("barks/a.wav", "barks/b.flac", "growls/c.ogg", "growls/d.mp3"):
        write_sound(tmp_path / name, 0.2, 44_100)
    assert check_dataset(tmp_path, EventSink()).problems == ""
    (tmp_path / "howls").mkdir()
    (tmp_path / "growls/e.wav").write_bytes((tmp_path / "barks/a.wav").read_bytes())
    (tmp_path / "growls/f.wav").write_bytes((tmp_path / "barks/a.wav").read_bytes()[:60])
    soundfile.write(tmp_path / "growls/g.wav", np.zeros(0), 8000)
    findings = check_dataset(tmp_path, EventSink())
    assert findings.damaged == ("growls/f.wav", "growls/g.wav")
    assert findings.duplicates == (("barks/a.wav", "growls/e.wav"),)
    assert findings.empty_classes == ("howls",)
    assert "barks/a.wav = growls/e.wav" in "\n".join(findings.lines())


def test_files_twice_there_are_a_remark_and_long_lists_are_short(tmp_path: Path):
    original = write_picture(tmp_path / "cats/0.png")
    for number in range(MAX_LISTED + 5):
        (tmp_path / "dogs").mkdir(exist_ok=True)
        (tmp_path / f"dogs/{number}.png").write_bytes(b"no picture")
    (tmp_path / "dogs/again.png").write_bytes(original.read_bytes())
    findings = check_dataset(tmp_path, EventSink())
    assert findings.problems == f"{MAX_LISTED + 5} damaged"
    assert "  and 5 more" in findings.lines()
    for path in (tmp_path / "dogs").glob("[0-9]*.png"):
        path.unlink()
    assert check_dataset(tmp_path, EventSink()).problems == ""


@pytest.mark.parametrize("name", ["esc10", "stanford_dogs"])
def test_a_picture_of_a_set(name: str, tmp_path: Path):
    out = prepare_small_set(name, tmp_path)
    figure = plot_dataset(read_dataset(out))
    bars, samples, sizes = figure.axes
    names = [label.get_text() for label in bars.get_yticklabels()]
    widths = [bar.get_width() for bar in bars.patches]
    assert dict(zip(names, widths, strict=True)) == read_dataset(out).counts()
    assert samples.images[0].get_array().shape == (2 * TILE_SIZE, SAMPLES_PER_CLASS * TILE_SIZE, 3)
    assert sum(bar.get_height() for bar in sizes.patches) == 3
    assert write_dataset_plot(read_dataset(out), tmp_path / "sheet.png", False) == tmp_path / "sheet.png"
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] == 1000
    with pytest.raises(UserError, match=r"sheet.png: exists already; add --overwrite .* --plot"):
        write_dataset_plot(read_dataset(out), tmp_path / "sheet.png", False)


def test_a_damaged_sample_is_left_dark(tmp_path: Path):
    out = prepare_small_set("stanford_dogs", tmp_path)
    whole = plot_dataset(read_dataset(out)).axes[1].images[0].get_array()
    (out / "input/pug/n02110958_1.jpg").write_bytes(b"no picture")
    damaged = plot_dataset(read_dataset(out)).axes[1].images[0].get_array()
    assert damaged.shape == whole.shape
    assert not damaged[-TILE_SIZE:-8, : TILE_SIZE - 8].any()
    for path in (out / "input").rglob("*.jpg"):
        path.write_bytes(b"no picture")
    assert "no file can be read" in plot_dataset(read_dataset(out)).axes[2].get_title()


def test_lengths_and_sizes_are_measured(tmp_path: Path):
    write_sound(tmp_path / "a/x.wav", 0.5)
    write_sound(tmp_path / "a/y.wav", 0.25)
    (tmp_path / "a/z.wav").write_bytes(b"no sound")
    assert measure_examples("sound", read_dataset(tmp_path).examples).tolist() == [0.5, 0.25]
    write_picture(tmp_path / "p/b/x.png", 40, 30)
    assert measure_examples("picture", read_dataset(tmp_path / "p").examples).tolist() == [30]


def test_a_spectrum_shows_its_tone_where_it_is():
    tone = np.sin(2 * np.pi * SAMPLE_RATE / 8 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    seen = draw_spectrogram(tone).astype(int).sum(axis=(1, 2))
    # A quarter of the way up from the lowest tone.
    assert abs(int(np.argmax(seen)) - 0.75 * TILE_SIZE) <= 2
    assert draw_spectrogram(np.zeros(10, np.float32)).shape == (TILE_SIZE, TILE_SIZE, 3)
