"""The main job on small films: in step, the same twice, and the source at strength 0."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream import Recipe, Schedule, UserError, dream_video
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.sample.film import make_sample
from mmdream.settings.recipe import film_size

QUICK = Schedule(octaves=2, steps=3)
LEAST = Schedule(octaves=1, steps=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_sample(path, seconds=2.0, rate=12, size=(128, 96))
    return path


def decode_frames(path: Path, **span: Fraction) -> np.ndarray:
    return np.stack([frame.rgb for frame in read_frames(probe(path), **span)])


def read_frame_times(path: Path) -> list[Fraction]:
    return [frame.seconds for frame in read_frames(probe(path))]


def decode_samples(path: Path, folder: Path) -> np.ndarray:
    film = probe(path)
    extract_audio(film, film.audio_tracks[0], folder / f"{path.stem}.wav")
    sound, _ = soundfile.read(folder / f"{path.stem}.wav", dtype="float32", always_2d=True)
    return sound


@pytest.fixture(scope="module")
def dream(film: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    out = tmp_path_factory.mktemp("dream") / "dream.mkv"
    return out, dream_video(film, out, Recipe(schedule=QUICK))


def test_picture_and_sound_are_dreamed_and_in_step(film: Path, dream, tmp_path: Path):
    out, report = dream
    assert report.frames == len(read_frame_times(film)) == len(read_frame_times(out))
    assert max(
        abs(a - b) for a, b in zip(read_frame_times(film), read_frame_times(out), strict=True)
    ) <= Fraction(1, 1000)
    source, dreamed = decode_samples(film, tmp_path), decode_samples(out, tmp_path)
    assert source.shape == dreamed.shape
    assert np.abs(source - dreamed).max() > 0.01
    difference = np.abs(decode_frames(out) - decode_frames(film)).mean(axis=(1, 2, 3))
    assert difference.min() > 0.005
    # Habituation goes on to other things than what would climb highest.
    assert report.objective_gain["picture"] > 1.15
    assert report.objective_gain["sound"] > 1.1
    assert report.drift_ms <= 1


def test_the_same_seed_gives_the_same_film_and_another_another(film: Path, dream, tmp_path: Path):
    again, other = tmp_path / "again.mkv", tmp_path / "other.mkv"
    dream_video(film, again, Recipe(schedule=QUICK))
    dream_video(film, other, Recipe(schedule=QUICK, seed=1), end=0.5)
    assert np.array_equal(decode_frames(dream[0]), decode_frames(again))
    assert np.array_equal(decode_samples(dream[0], tmp_path), decode_samples(again, tmp_path))
    part = decode_frames(other)
    assert not np.array_equal(part, decode_frames(again)[: len(part)])


def test_strength_zero_is_the_source(film: Path, tmp_path: Path):
    out = tmp_path / "zero.mkv"
    dream_video(film, out, Recipe(schedule=LEAST.with_settings(strength=0.0)))
    assert np.abs(decode_frames(out) - decode_frames(film)).max() <= 2 / 255 + 1e-6
    source, dreamed = decode_samples(film, tmp_path), decode_samples(out, tmp_path)
    noise = np.square(source - dreamed, dtype=np.float64).sum()
    assert noise <= np.square(source, dtype=np.float64).sum() * 1e-10


def test_both_media_follow_one_schedule(film: Path, tmp_path: Path):
    schedule = LEAST.with_settings(strength=((1.0, 0.0), (1.04, 1.0)), depth=((0, 0.2), (3, 1.0)))
    out = tmp_path / "late.mkv"
    report = dream_video(film, out, Recipe(schedule=schedule))
    for medium in ("picture", "sound"):
        assert report.schedule[medium]
        for used in report.schedule[medium]:
            assert used.moment == schedule.at(used.seconds)
    changed = np.abs(decode_frames(out) - decode_frames(film)).max(axis=(1, 2, 3)) > 2.5 / 255
    first = float(read_frame_times(film)[int(np.argmax(changed))])
    assert 1.0 <= first <= 1.1
    rate = probe(film).audio_tracks[0].rate
    heard = np.abs(decode_samples(out, tmp_path) - decode_samples(film, tmp_path)).max(axis=1) > 1e-4
    assert abs(np.argmax(heard) / rate - 1.0) <= 0.05


def test_an_excerpt_is_that_part_of_the_whole_in_time_and_length(film: Path, tmp_path: Path):
    out = tmp_path / "part.mkv"
    report = dream_video(film, out, Recipe(schedule=LEAST), start=1.0, end=2.0)
    assert report.frames == 12
    assert report.seconds == pytest.approx(1.0, abs=0.05)
    assert read_frame_times(out)[0] <= Fraction(1, 12)


def test_size_is_the_working_resolution_only(film: Path, tmp_path: Path):
    out = tmp_path / "small.mkv"
    dream_video(film, out, Recipe(schedule=QUICK, size="64p"), end=0.25)
    shown = decode_frames(out)
    assert shown.shape[1:] == (96, 128, 3)
    assert np.abs(shown - decode_frames(film, end=Fraction(1, 4))).mean() > 0.005


@pytest.mark.parametrize(
    ("film", "wanted"),
    [((1280, 720), None), ((720, 1280), None), ((1920, 1080), "480p"), ((2160, 3840), "480p")],
)
def test_only_large_films_have_a_size_of_their_own(film: tuple[int, int], wanted: str | None):
    assert film_size(None, *film) == wanted
    assert film_size("1080p", *film) == "1080p"


@pytest.mark.parametrize("kept", ["keep_picture", "keep_sound"])
def test_what_is_kept_is_not_touched(film: Path, kept: str, tmp_path: Path):
    out = tmp_path / "kept.mp4"
    report = dream_video(film, out, Recipe(schedule=LEAST), **{kept: True})
    if kept == "keep_picture":
        assert np.array_equal(decode_frames(out), decode_frames(film))
        assert set(report.strength) == {"sound"}
    else:
        assert np.array_equal(decode_samples(out, tmp_path), decode_samples(film, tmp_path))
        assert set(report.strength) == {"picture"}


def test_a_film_without_sound_and_of_one_pixel(data: Path, tmp_path: Path):
    report = dream_video(data / "films/bitmap.mp4", tmp_path / "one.mkv", Recipe(schedule=QUICK))
    assert report.frames == 5
    assert report.loudness_dream is None


@pytest.mark.parametrize("name", ["fire2.mp4", "no_duration.webm", "transparent.webm", "sintel_854x480.mp4"])
def test_awkward_films_come_back_whole(data: Path, name: str, tmp_path: Path):
    source = data / "films" / name
    schedule = Schedule(octaves=1, steps=1)
    out = tmp_path / "out.mp4"
    report = dream_video(source, out, Recipe(schedule=schedule, size="96p"), end=0.5)
    expected_times = [frame.seconds for frame in read_frames(probe(source), end=Fraction(1, 2))]
    assert report.frames == len(expected_times)
    assert max(abs(a - b) for a, b in zip(expected_times, read_frame_times(out), strict=True)) <= Fraction(
        1, 10_000
    )


def test_a_full_film_is_refused_before_anything_is_written(film: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    out.write_text("mine")
    with pytest.raises(UserError, match="overwrite"):
        dream_video(film, out)
    assert out.read_text() == "mine"


def test_the_report_is_plain_json(dream):
    report = json.loads(json.dumps(dream[1].as_json()))
    expected_keys = (
        "output frames seconds drift_ms loudness_source loudness_dream true_peak objective_gain strength "
        "precision wall_seconds schedule"
    )
    assert set(expected_keys.split()) <= set(report)
