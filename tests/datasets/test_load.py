"""Folders of classes are sets; rows come as arrays, a second time the same ones and without decoding."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from trees import SETS, esc10, list_sources, speech_commands, write_picture, write_sound

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets.folder import Dataset, Example, read_dataset, split_examples
from mmdream.datasets.load import (
    CACHE_FOLDER,
    MAX_SAMPLE_RATE,
    MAX_SECONDS,
    ExampleFormat,
    crop_square,
    load_examples,
)
from mmdream.datasets.prepare import prepare_dataset


def prepare_small_set(name: str, tmp_path: Path) -> Dataset:
    SETS[name](tmp_path / "given")
    prepare_dataset(name, list_sources(name, tmp_path / "given"), tmp_path / "set", None, False, EventSink())
    return read_dataset(tmp_path / "set")


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "png", "webp", "JPG"])
def test_any_folder_of_pictures_is_a_set(ending: str, tmp_path: Path):
    for name, count in (("cats", 2), ("dogs", 3)):
        for number in range(count):
            write_picture(tmp_path / name / f"{number}.{ending}")
    (tmp_path / "dogs" / "notes.txt").write_text("not a picture")
    (tmp_path / ".git").mkdir()
    found = read_dataset(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert (found.medium, found.split, found.info) == ("picture", "file", None)
    assert found.counts() == {"cats": 2, "dogs": 3}


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_any_folder_of_sounds_is_a_set(ending: str, tmp_path: Path):
    write_sound(tmp_path / "barks" / f"a.{ending}", 0.5, 44_100)
    found = read_dataset(tmp_path)
    assert (found.medium, found.counts()) == ("sound", {"barks": 1})
    (samples,) = load_examples(found, found.examples, ExampleFormat(rate=22_050))
    assert samples.dtype == np.float32
    # MP3 pads its ends.
    assert len(samples) == pytest.approx(11_025, abs=1300 if ending == "mp3" else 2)
    assert not (tmp_path / CACHE_FOLDER).exists()  # Nothing is put into a folder that is not ours.


@pytest.mark.parametrize("rate", [0, MAX_SAMPLE_RATE + 1, 2_288_161_921])
def test_a_rate_that_no_sound_has_is_refused(rate: int, tmp_path: Path):
    path = write_sound(tmp_path / "barks" / "a.wav")
    data = bytearray(path.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)
    found = read_dataset(tmp_path)
    with pytest.raises(UserError, match=r"a\.wav: c"):
        load_examples(found, found.examples, ExampleFormat())


def test_a_prepared_set_knows_its_classes_and_what_to_keep_apart(tmp_path: Path):
    found = prepare_small_set("esc10", tmp_path)
    assert found.classes == ("dog", "crackling_fire")
    assert (found.name, found.split) == ("esc10", "fold")
    assert {example.fold for example in found.examples} == {"1", "2", "5"}


def test_rows_of_a_real_set_come_the_same_from_the_cache(data: Path, tmp_path: Path):
    prepare_dataset("esc10", [data / "esc10.tar"], tmp_path / "set", None, False, EventSink())
    found = read_dataset(tmp_path / "set")
    first, form = found.examples[:100], ExampleFormat(rate=22_050)
    decoded, kept = load_examples(found, first, form), load_examples(found, first, form)
    assert all(np.array_equal(a, b) for a, b in zip(decoded, kept, strict=True))
    assert len(list((tmp_path / "set" / CACHE_FOLDER).rglob("*.npy"))) == 100


def test_what_is_kept_is_read_and_another_file_is_not_it(tmp_path: Path):
    found = prepare_small_set("stanford_dogs", tmp_path)
    form = ExampleFormat(side=16)
    before = load_examples(found, found.examples, form)
    kept = sorted((found.folder / CACHE_FOLDER).rglob("*.npy"))
    assert len(kept) == 3
    marked = np.load(kept[0])
    marked[0, 0] = 7
    np.save(kept[0], marked)
    assert load_examples(found, found.examples, form)[0][0, 0] == pytest.approx(7 / 255)
    kept[1].write_bytes(b"damaged")
    assert np.array_equal(load_examples(found, found.examples, form)[1], before[1])
    write_picture(found.examples[0].file, 80, 60)
    assert not np.array_equal(load_examples(found, found.examples, form)[0], before[0])
    # Another form is another thing to keep.
    assert load_examples(found, found.examples, ExampleFormat(side=8))[0].shape == (8, 8, 3)


def test_sounds_are_mixed_resampled_and_bounded(tmp_path: Path):
    (tmp_path / "tones").mkdir()
    at = np.arange(44_100) / 44_100
    left, right = 0.5 * np.sin(2 * np.pi * 440 * at), 0.25 * np.sin(2 * np.pi * 440 * at)
    soundfile.write(tmp_path / "tones/a.wav", np.stack([left, right], 1), 44_100)
    soundfile.write(tmp_path / "tones/b.wav", np.zeros((MAX_SECONDS + 1) * 1000), 1000)
    soundfile.write(tmp_path / "tones/c.wav", np.zeros(0), 1000)
    found = read_dataset(tmp_path)
    tone, long, nothing = load_examples(found, found.examples, ExampleFormat(rate=16_000))
    assert len(tone) == 16_000
    assert np.sqrt(np.mean(tone[1000:-1000] ** 2)) == pytest.approx(0.375 / np.sqrt(2), rel=0.01)
    assert np.argmax(np.abs(np.fft.rfft(tone))) == 440
    assert len(long) == MAX_SECONDS * 16_000
    assert len(nothing) == 0


def test_a_square_is_the_middle():
    wide = np.zeros((10, 30, 3), np.float32)
    wide[:, 10:20] = 1
    assert crop_square(wide, 5).shape == (5, 5, 3)
    assert crop_square(wide, 5).min() == pytest.approx(1)
    assert crop_square(wide.transpose(1, 0, 2), 20).min() == pytest.approx(1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: at / "nowhere", "nowhere: no such folder"),
        (lambda at: write_picture(at / "a.png"), "a.png: is a file; give a folder"),
        (
            lambda at: write_picture(at / "cats/a.png") and write_sound(at / "dogs/a.wav") and at,
            "has pictures and sounds",
        ),
        (lambda at: at, r"no class folders with pictures or sounds in it \(\.jpg"),
    ],
)
def test_what_is_no_set_is_told(make, message: str, tmp_path: Path):
    with pytest.raises(UserError, match=message):
        read_dataset(make(tmp_path))


def test_damaged_and_missing_files_are_named(tmp_path: Path):
    found = prepare_small_set("esc10", tmp_path)
    found.examples[0].file.write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"\.ogg: cannot be read as a sound"):
        load_examples(found, found.examples, ExampleFormat())
    found.examples[0].file.unlink()
    with pytest.raises(UserError, match=r"\.ogg: is missing; see `mmdream data check"):
        load_examples(found, found.examples, ExampleFormat())


def make_dataset(split: str, examples: list[Example], classes: int = 2) -> Dataset:
    names = tuple(f"c{n}" for n in range(classes))
    return Dataset("made", Path("made"), "sound", names, tuple(examples), split, None)


@pytest.mark.parametrize("split", ["fold", "speaker", "source", "publisher", "file"])
@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_on_both_sides_and_nothing_is_lost(split: str, seed: int):
    chance = np.random.default_rng(seed)
    examples = [
        Example(
            Path(f"{n}.wav"),
            int(chance.integers(2)),
            str(n % 5 + 1),
            f"group {n // 7}" if split != "file" else "",
        )
        for n in range(400)
    ]
    train, held = split_examples(make_dataset(split, examples), seed=seed)
    assert Counter(train + held) == Counter(examples)
    if split in ("fold", "publisher"):
        assert {example.fold for example in held} == {"5"}
        return
    assert not {e.group for e in train if e.group} & {e.group for e in held if e.group}
    for label in range(2):
        share = sum(e.label == label for e in held) / sum(e.label == label for e in examples)
        assert 0.1 < share < 0.35
    assert split_examples(make_dataset(split, examples), seed=seed) == (train, held)
    assert split_examples(make_dataset(split, examples), seed=seed + 1) != (train, held)


def test_the_publishers_test_part_is_tested_on(tmp_path: Path):
    speech_commands(tmp_path / "given")
    prepare_dataset("speech_commands", [tmp_path / "given"], tmp_path / "set", None, False, EventSink())
    found = read_dataset(tmp_path / "set")
    assert [example.file.parent.name for example in split_examples(found)[1]] == ["yes"]
    assert [example.fold for example in split_examples(found, "validation")[1]] == ["validation"]
    with pytest.raises(UserError, match=r'speech_commands has no fold "7"; it has test, train, validation'):
        split_examples(found, "7")


def test_a_part_alone_is_divided_by_files():
    examples = [Example(Path(f"{n}.wav"), n % 2, "validation") for n in range(50)]
    train, held = split_examples(make_dataset("publisher", examples))
    assert len(held) == 10
    assert Counter(e.label for e in held) == {0: 5, 1: 5}
    assert len(train) == 40


def test_one_group_of_a_class_always_stays():
    examples = [Example(Path(f"{n}.wav"), n % 2, group=f"speaker {n % 2}") for n in range(20)]
    with pytest.raises(
        UserError, match="made: too few files to keep some from training; each class needs two"
    ):
        split_examples(make_dataset("speaker", examples))
    more = [*examples, Example(Path("20.wav"), 0, group="speaker 2")]
    train, held = split_examples(make_dataset("speaker", more))
    assert held
    assert {example.label for example in train} == {0, 1}


def test_esc10s_clips_keep_to_their_folds(tmp_path: Path):
    esc10(tmp_path / "given")
    prepare_dataset("esc10", [tmp_path / "given"], tmp_path / "set", None, False, EventSink())
    train, held = split_examples(read_dataset(tmp_path / "set"), "2")
    assert {example.fold for example in held} == {"2"}
    assert {example.fold for example in train} == {"1", "5"}
