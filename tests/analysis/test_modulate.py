"""A film whose schedule follows its sound and its picture: where it is loud, where it moves, to the end."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from interrupted_runs import hash_media, interrupt_run
from make import make_times, write_film

from mmdream import (
    Drive,
    Recipe,
    Schedule,
    UserError,
    dream_audio,
    dream_image,
    dream_video,
    plan_video,
    resume_video,
)
from mmdream.analysis.modulate import modulate_schedules
from mmdream.core.events import EventSink
from mmdream.jobs.journal import FILE_NAMES
from mmdream.jobs.store import job_folder
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.render.audio import render_audio_file
from mmdream.settings.report import Report
from mmdream.views.contact_sheet import LABEL_HEIGHT, select_numeric_curves, write_contact_sheet
from mmdream.views.figures import AudioFigures
from tests.command import mmdream

LOUD = 4.0, 4.6
"""Seconds between which the film is loud; it moves from 6 s on."""
QUICK = Recipe(schedule=Schedule(octaves=1, steps=1, grains=0))
BY_LOUDNESS = replace(QUICK, drives=(Drive("strength", "loudness", 0, 2),))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(6)
    sound = 0.004 * rng.standard_normal((1, 8 * 48_000))
    sound[:, round(LOUD[0] * 48_000) : round(LOUD[1] * 48_000)] *= 50
    rough = cv2.GaussianBlur(rng.standard_normal((64, 300, 3)).astype(np.float32), (0, 0), 3)
    wide = np.rint(125 + 100 * rough / np.abs(rough).max()).astype(np.uint8)
    starts = [max(0, number - 72) * 2 for number in range(96)]
    return write_film(
        tmp_path_factory.mktemp("film") / "film.mkv",
        make_times(96, 12),
        sound=sound.astype(np.float32),
        sound_codec="pcm_s16le",
        size=(96, 64),
        frames=[np.ascontiguousarray(wide[:, at : at + 96]) for at in starts],
        options={"crf": "8"},
    )


@pytest.fixture(scope="module")
def dream(film: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    out = tmp_path_factory.mktemp("dream") / "dream.mkv"
    return out, dream_video(film, out, BY_LOUDNESS)


def measure_changes(film: Path, out: Path, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean change of each frame, and RMS of that of each tenth of a second of sound."""
    frames = zip(read_frames(probe(film)), read_frames(probe(out)), strict=True)
    seen = np.array([np.abs(dreamed.rgb - source.rgb).mean() for source, dreamed in frames])
    waves = []
    for path in (film, out):
        about = probe(path)
        extract_audio(about, about.audio_tracks[0], folder / f"{path.stem}.wav")
        waves.append(soundfile.read(folder / f"{path.stem}.wav", dtype="float32")[0])
    apart = (waves[1] - waves[0])[: 8 * 48_000].reshape(80, -1)
    return seen, np.sqrt(np.square(apart).mean(1))


def test_picture_and_sound_dream_where_it_is_loud(film: Path, dream, tmp_path: Path):
    seen, heard = measure_changes(film, dream[0], tmp_path)
    at = np.arange(96) / 12
    loud, quiet = (at >= LOUD[0]) & (at < LOUD[1]), (at < LOUD[0] - 0.6) | (at > LOUD[1] + 1.5)
    assert seen[loud].min() > 5 * seen[quiet].max()
    at = (np.arange(80) + 0.5) / 10
    assert heard[(at > LOUD[0]) & (at < LOUD[1])].min() > 20 * heard[(at < 3) | (at > 6.5)].max()


def test_what_the_sound_alone_has_is_driven_in_the_sound_alone(film: Path):
    recipe = Recipe(drives=(Drive("grains", "loudness", 0.0, 1.0), Drive("strength", "loudness")))
    found = modulate_schedules(probe(film), recipe, None, lambda: False)
    assert found.video.grains == Recipe().schedule.grains
    assert len(found.audio.grains) > 2
    assert "grains follows loudness: 0 to 0.7" in found.descriptions[0]
    begun = Report(schedule={"picture": (), "sound": ()})
    driven = found.extend_report(begun, recipe).driven
    assert [list(driven[medium]) for medium in ("picture", "sound")] == [["strength"], ["grains", "strength"]]


def test_the_report_tells_the_curve_and_frames_follow_it(dream):
    report = json.loads(json.dumps(dream[1].as_json()))
    keys = report["driven"]["picture"]["strength"]
    assert keys == report["driven"]["sound"]["strength"]
    assert len(keys) < 30
    when, values = zip(*keys, strict=True)
    assert 1.8 <= max(values) <= 2.0
    assert LOUD[0] - 0.2 <= when[int(np.argmax(values))] <= LOUD[1] + 0.2
    for row in report["schedule"]["picture"]:
        assert row["strength"] == pytest.approx(np.interp(row["at"], when, values), abs=1e-12)


def test_an_excerpt_is_driven_like_that_part_of_the_whole(film: Path, dream, tmp_path: Path):
    report = dream_video(film, tmp_path / "part.mkv", BY_LOUDNESS, start=4.5, end=5.5)
    assert report.driven == dream[1].driven
    assert report.schedule["picture"][0].seconds == 4.5
    whole = {used.seconds: used.moment for used in dream[1].schedule["picture"]}
    assert all(whole[used.seconds] == used.moment for used in report.schedule["picture"])


@pytest.mark.parametrize("harm", ["curve cut short"])
def test_a_driven_film_goes_on_to_the_same_frames_and_samples(film: Path, dream, harm: str, tmp_path: Path):
    out = tmp_path / "out.mkv"
    interrupt_run(film, out, job_folder(out), {"picture"}, recipe=BY_LOUDNESS)
    kept = job_folder(out) / FILE_NAMES["driven"]
    if harm != "none":
        kept.write_bytes(kept.read_bytes()[:40])
    report = resume_video(out)
    assert hash_media(out, tmp_path) == hash_media(dream[0], tmp_path)
    assert report.driven == dream[1].driven
    assert not job_folder(out).exists()


def test_the_sound_follows_the_picture_where_that_is_asked(film: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    recipe = replace(QUICK, sound_drives=(Drive("strength", "motion", 0, 2),))
    report = dream_video(film, out, recipe)
    assert set(report.driven) == {"sound"}
    seen, heard = measure_changes(film, out, tmp_path)
    at = (np.arange(80) + 0.5) / 10
    assert heard[(at > 6.3) & (at < 7.7)].min() > 100 * heard[(at < 5.5)].max()
    assert seen[:60].min() > 0.002  # The picture keeps the schedule's own strength.


def test_what_there_is_nothing_to_follow_in_is_said_and_stands_in_the_middle(film: Path, tmp_path: Path):
    said: list[str] = []
    recipe = replace(QUICK, drives=(Drive("strength", "cuts", 0.2, 0.6), Drive("depth", "loudness")))
    report = dream_video(film, tmp_path / "o.mkv", recipe, end=0.5, listener=EventSink(say=said.append))
    assert report.driven["picture"]["strength"] == [[0.0, pytest.approx(0.4)]]
    assert [line for line in said if "middle" in line] == [
        "strength is held at the middle of its range: there is nothing to follow in the cuts"
    ]
    assert any(line.startswith("depth follows loudness: 0.27 to ") for line in said)


def test_motifs_fade_with_a_feature(film: Path, tmp_path: Path):
    schedule = QUICK.schedule.with_settings(motif="eye,tower")
    recipe = replace(QUICK, schedule=schedule, drives=(Drive("motif", "loudness"),))
    report = dream_video(film, tmp_path / "out.mkv", recipe, start=3.0, end=4.5)
    used = {row.seconds: dict(row.moment.motifs) for row in report.schedule["picture"]}
    assert used[3.0]["eye"] == pytest.approx(1.0)
    assert max(shares["tower"] for shares in used.values()) > 0.8
    assert "sound" not in report.driven


def test_a_dry_run_and_the_sheet_show_what_follows(film: Path, dream, tmp_path: Path):
    plan = plan_video(film, tmp_path / "out.mkv", BY_LOUDNESS, end=0.5)
    (row,) = [line for line in plan.lines() if "driven" in line]
    assert row.split()[:4] == ["driven", "strength", "follows", "loudness:"]
    films, shown = (probe(film), probe(dream[0])), select_numeric_curves(dream[1].driven)
    assert list(shown) == ["strength"]
    write_contact_sheet(*films, tmp_path / "plain.png", 3)
    write_contact_sheet(*films, tmp_path / "driven.png", 3, report=Report(driven=dream[1].driven))
    low, tall = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("plain", "driven"))
    assert np.array_equal(tall[: len(low)], low)
    # Its row in each column, under the words: high where it is loud, in the middle of 8 s, and low before.
    line = tall[len(low) + LABEL_HEIGHT :, 24:-24].max(axis=2).argmax(axis=0)
    middle, early = line[len(line) // 2 : len(line) * 9 // 16], line[len(line) // 8 : len(line) // 3]
    assert middle.max() < 22
    assert early.min() > 50


def write_silent_film(path: Path) -> Path:
    return write_film(path, make_times(12, 12))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--drive", "strength=loudness"), "has no sound, so nothing can follow its loudness"),
        (("--drive-sound", "depth=cuts"), "nothing that is heard can follow; drop --drive-sound"),
    ],
)
def test_what_cannot_be_driven_is_refused_in_one_line(words: tuple[str, str], message: str, tmp_path: Path):
    source = write_silent_film(tmp_path / "silent.mp4")
    done = mmdream("video", source, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["silent.mp4"]


def test_a_sound_that_is_kept_is_not_driven(film: Path, tmp_path: Path):
    with pytest.raises(UserError, match="drop it or --keep-sound"):
        dream_video(
            film, tmp_path / "o.mkv", replace(QUICK, sound_drives=(Drive("depth", "cuts"),)), keep_sound=True
        )
    report = dream_video(film, tmp_path / "o.mkv", BY_LOUDNESS, keep_sound=True, end=0.25)
    assert set(report.driven) == {"picture"}


def test_a_silent_film_follows_its_own_picture(tmp_path: Path):
    recipe = replace(QUICK, drives=(Drive("strength", "brightness"),))
    report = dream_video(write_silent_film(tmp_path / "silent.mp4"), tmp_path / "out.mkv", recipe)
    assert set(report.driven) == {"picture"}


def test_a_sound_follows_itself(film: Path, tmp_path: Path):
    recipe = replace(QUICK, sound_drives=BY_LOUDNESS.drives)
    out = tmp_path / "out.wav"
    report = render_audio_file(
        film, out, recipe, False, EventSink(), AudioFigures(tmp_path / "plot.png", False, False)
    )
    keys = report.driven["sound"]["strength"]
    assert cv2.imread(str(tmp_path / "plot.png")) is not None
    about = probe(film)
    extract_audio(about, about.audio_tracks[0], tmp_path / "in.wav")
    samples, rate = soundfile.read(tmp_path / "in.wav", dtype="float32")
    again = dream_audio(samples, rate, recipe)
    assert np.array_equal(again, soundfile.read(out, dtype="float32")[0])
    apart = np.abs(again - samples)
    at = np.arange(len(samples)) / rate
    assert apart[(at > LOUD[0]) & (at < LOUD[1])].max() > 100 * apart[(at < 3) | (at > 7)].max()
    assert max(value for _, value in keys) > 1.8


def test_a_sound_alone_and_a_picture_alone_say_what_they_lack(tmp_path: Path):
    sound = 0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    moving = replace(QUICK, sound_drives=(Drive("strength", "motion"),))
    with pytest.raises(UserError, match="a sound has no motion; choose loudness, onset, pitch, bass"):
        dream_audio(sound, 8000, moving)
    soundfile.write(tmp_path / "in.wav", sound, 8000)
    done = mmdream("audio", tmp_path / "in.wav", "--drive", "strength=motion")
    assert done.returncode == 2
    assert "a sound has no motion" in done.stderr
    with pytest.raises(UserError, match="stands still"):
        dream_image(np.zeros((32, 32, 3), np.float32), BY_LOUDNESS)


def test_sounds_of_a_late_track_are_followed_on_the_films_clock(tmp_path: Path):
    rng = np.random.default_rng(1)
    sound = 0.004 * rng.standard_normal((1, 4 * 48_000))
    sound[:, 96_000:110_000] *= 50
    source = write_film(
        tmp_path / "late.mkv", make_times(60, 12), sound=sound.astype(np.float32), sound_at=Fraction(1),
        sound_codec="pcm_s16le",
    )  # fmt: skip
    curve = modulate_schedules(probe(source), BY_LOUDNESS, None, lambda: False).video.curve("strength")
    first = next(when for when, value in curve.keys if value > 1.5)
    assert 2.8 <= first <= 3.1
