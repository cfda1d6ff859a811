"""Sounds dreamed again and again, from the command line: the files, their levels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream.core.errors import UserError
from mmdream.media.audio_files import WaveWriter
from mmdream.media.probe import probe
from mmdream.render.feedback_audio import MAX_CLIP_VALUES, check_clip_lengths, clip_paths
from mmdream.settings.ouroboros import ClipSettings
from tests.command import mmdream, run_for_report

RATE = 22_050


@pytest.fixture
def sound_file(tmp_path: Path) -> Path:
    t = np.arange(3 * RATE) / RATE
    wave = 0.2 * np.sin(2 * np.pi * 330 * t) * np.exp(-3 * (t % 0.5))
    wave += 0.01 * np.random.default_rng(0).standard_normal(len(t))
    path = tmp_path / "tune.wav"
    soundfile.write(path, np.stack([wave, 0.5 * wave], axis=1), RATE, subtype="FLOAT")
    return path


def test_clips_are_written_apart_and_crossfaded_into_one(sound_file: Path) -> None:
    out = sound_file.with_name("again.wav")
    words = ("--ouroboros", 3, "--transform", "stretch=0.9", "--steps", 2, "--octaves", 1)
    status, said, report = run_for_report("audio", sound_file, *words, "-o", out)
    assert status == 0, said
    assert sorted(path.name for path in sound_file.parent.iterdir()) == [
        "again.01.wav", "again.02.wav", "again.03.wav", "again.wav", "tune.wav",
    ]  # fmt: skip
    sounds = [soundfile.read(out.with_name(f"again.0{k}.wav"))[0] for k in (1, 2, 3)]
    lengths = [len(sound) for sound in sounds]
    np.testing.assert_allclose(lengths, [3 * RATE, 2.7 * RATE, 2.43 * RATE], atol=1)
    whole = soundfile.read(out)[0]
    assert whole.shape == (sum(lengths) - lengths[1] // 4 - lengths[2] // 4, 2)
    assert report["seconds"] == pytest.approx(len(whole) / RATE)
    assert report["loudness_dream"] == pytest.approx(report["loudness_source"], abs=0.5)
    assert report["true_peak"] <= -0.9
    again = out.with_name("more.wav")
    assert run_for_report("audio", sound_file, *words, "-o", again)[0] == 0
    np.testing.assert_array_equal(soundfile.read(again)[0], whole)


def test_the_first_clip_is_the_dream_of_the_source(sound_file: Path) -> None:
    words = ("--steps", 2, "--octaves", 1, "--seed", 5)
    assert run_for_report("audio", sound_file, *words, "-o", sound_file.with_name("plain.wav"))[0] == 0
    again = ("--ouroboros", 2, "--layer", "iterate", "--depth", 1)
    status, said, _ = run_for_report("audio", sound_file, *words, *again, "-o", sound_file.with_name("o.wav"))
    assert status == 0, said
    plain, first, second = (
        soundfile.read(sound_file.with_name(n))[0] for n in ("plain.wav", "o.01.wav", "o.02.wav")
    )
    assert first.shape == plain.shape == second.shape
    assert np.abs(second - first).max() > 1e-3


@pytest.mark.parametrize("kind", ["none", "shift=100"])
def test_what_is_made_is_dreamed_again_too(kind: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--seconds", 1.5, "--ouroboros", 2, "--steps", 1, "--octaves", 1, "--transform", kind)
    status, said, report = run_for_report("audio", "--from", "noise", *words)
    assert status == 0, said
    assert report["loudness_dream"] == pytest.approx(-23, abs=0.5)
    assert {path.name for path in tmp_path.iterdir()} == {
        "noise.dream.wav", "noise.dream.01.wav", "noise.dream.02.wav",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ouroboros", 0), "choose between 1 and 100"),
        (("--ouroboros", 101), "choose between 1 and 100"),
        (("--ouroboros", 2, "--transform", "faster"), "transform is 'faster'"),
        (("--transform", "none"), "--transform goes with --ouroboros"),
        (("--no-guard",), "--no-guard goes with --ouroboros"),
        (("--layer", "iterate"), "--layer iterate goes with --ouroboros"),
        (("--ouroboros", 2, "--plot", "p.png"), "draw one dream"),
        (("--ouroboros", 9, "--transform", "stretch=0.5"), "shortest clip would last"),
        (("--ouroboros", 14, "--transform", "stretch=2"), "at most 21:46 of 2 channels"),
        (("--ouroboros", 2, "-o", "o.txt"), "cannot write .txt"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    sound_file: Path, words: tuple[object, ...], said: str, monkeypatch
) -> None:
    monkeypatch.chdir(sound_file.parent)
    status, line, _ = run_for_report("audio", sound_file, *words)
    assert status == 2
    assert said in line
    assert [path.name for path in sound_file.parent.iterdir()] == ["tune.wav"]


def test_clips_that_are_there_are_not_replaced_unasked(sound_file: Path) -> None:
    there = sound_file.with_name("o.02.wav")
    there.write_bytes(b"mine")
    status, line, _ = run_for_report(
        "audio", sound_file, "--ouroboros", 2, "-o", sound_file.with_name("o.wav")
    )
    assert status == 2
    assert "o.02.wav: exists already" in line
    assert there.read_bytes() == b"mine"


def test_a_clip_never_takes_the_place_of_the_source(sound_file: Path) -> None:
    source = sound_file.rename(sound_file.with_name("o.02.wav"))
    before = source.read_bytes()
    status, line, _ = run_for_report(
        "audio", source, "--ouroboros", 2, "--overwrite", "-o", sound_file.with_name("o.wav")
    )
    assert status == 2
    assert "o.02.wav: is the input itself" in line
    assert source.read_bytes() == before


def test_channels_stay_where_they_stand_and_what_holds_for_all_clips_is_said_once(tmp_path: Path) -> None:
    source, out = tmp_path / "in.wav", tmp_path / "o.wav"
    with WaveWriter(source, RATE, 3, "3.0") as wave:
        wave.write(np.random.default_rng(0).normal(0, 0.1, (3, RATE)).astype(np.float32))
    words = ("audio", source, "--ouroboros", 2, "--steps", 1, "--octaves", 12, "-o", out)
    run = mmdream(*words)
    assert run.returncode == 0, run.stderr
    layouts = {path.name: probe(path).audio_tracks[0].layout for path in tmp_path.iterdir()}
    assert layouts == dict.fromkeys(("in.wav", "o.01.wav", "o.02.wav", "o.wav"), "3.0")
    assert run.stderr.count("octaves fit") == 1


def test_numbers_have_as_many_digits_as_they_need() -> None:
    assert [path.name for path in clip_paths(Path("a.flac"), 2)] == ["a.01.flac", "a.02.flac"]
    assert clip_paths(Path("a.wav"), 100)[0].name == "a.001.wav"


def test_lengths_are_refused_before_anything_is_dreamed() -> None:
    check_clip_lengths("x", MAX_CLIP_VALUES // 2, 2, 48_000, ClipSettings(10))
    with pytest.raises(UserError, match="longest clip would last 10:00"):
        check_clip_lengths("x", MAX_CLIP_VALUES // 2 + 1, 2, 48_000, ClipSettings(10))
    with pytest.raises(UserError, match="shortest clip"):
        check_clip_lengths("x", 0, 1, 48_000, ClipSettings(1))
    with pytest.raises(UserError, match="longest clip"):
        check_clip_lengths("x", 48_000, 1, 48_000, ClipSettings(50, "stretch=1.5"))
