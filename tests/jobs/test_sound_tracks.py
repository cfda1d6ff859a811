"""A film with several sound tracks dreamed: the chosen one, in its place, after a kill too."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from interrupted_runs import QUICK, interrupt_run
from tracks import Track, make_clicks, read_packets, write_multitrack_film
from typer.testing import CliRunner

from mmdream import Recipe, UserError, dream_video, plan_video, resume_video
from mmdream.cli import app
from mmdream.jobs.journal import Journal
from mmdream.jobs.store import JOB_FILE, job_folder
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from tests.command import mmdream

ZERO = Recipe(schedule=QUICK.schedule.with_settings(strength=0.0))
THERE = "there is 1 (eng, 'Main', stereo), 2 (fra, mono), 3 (deu, 2 channels)"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tracks = [
        Track(make_clicks(2, 44_100, 2, 1), 44_100, "stereo", "aac", "eng", "Main", default=True),
        Track(make_clicks(1, 48_000, 1, 2), 48_000, "mono", "flac", "fra", at=Fraction(7, 10)),
        Track(make_clicks(3, 22_050, 2, 3), 22_050, "stereo", "pcm_s16le", "deu", hole=(1.0, 1.5)),
    ]
    return write_multitrack_film(tmp_path_factory.mktemp("film") / "film.mkv", 50, tracks)


def decode_samples(path: Path, number: int, folder: Path) -> np.ndarray:
    """Of a track, float32 [channel, sample]."""
    film, wave = probe(path), folder / "samples.wav"
    extract_audio(film, film.audio_tracks[number - 1], wave)
    return soundfile.read(wave, dtype="float32", always_2d=True)[0].T


def read_all_packets(path: Path) -> list[list[tuple[float, str]]]:
    """Every packet of every track, picture and sound."""
    return [read_packets(path, index) for index in range(4)]


@pytest.fixture(scope="module")
def dream(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dream") / "out.mkv"
    dream_video(film, out, QUICK, sound_track=2)
    return out


def test_the_second_track_is_dreamed_and_the_others_stay_bit_for_bit(film: Path, dream: Path, tmp_path: Path):
    source, result = probe(film), probe(dream)
    assert [s.language for s in result.audio_tracks] == ["eng", "fra", "deu"]
    assert [s.dispositions for s in result.audio_tracks] == [("default",), (), ()]
    for one, other in zip(source.audio_tracks, result.audio_tracks, strict=True):
        assert (read_packets(film, one.index) == read_packets(dream, other.index)) == (one.number != 2)
        assert (one.start, one.rate, one.channels) == (other.start, other.rate, other.channels)
    before, after = decode_samples(film, 2, tmp_path), decode_samples(dream, 2, tmp_path)
    assert before.shape == after.shape
    assert np.abs(after - before).max() > 0.01


@pytest.mark.parametrize("number", [2, 3])
def test_each_track_can_be_chosen_and_keeps_its_samples(film: Path, number: int, tmp_path: Path):
    out = tmp_path / "zero.mkv"
    report = dream_video(film, out, ZERO, sound_track=number)
    assert report.drift_ms <= 1
    before, after = decode_samples(film, number, tmp_path), decode_samples(out, number, tmp_path)
    assert before.shape == after.shape
    assert np.square(before - after, dtype=np.float64).sum() <= 1e-10 * np.square(before).sum()
    if number == 3:
        assert not after[:, 22_050 + 600 : 33_075 - 600].any()  # Its hole.


def test_a_language_and_its_number_are_one_job(film: Path, dream: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    interrupt_run(film, out, job_folder(out), {"picture"}, sound_track="FRA")
    assert json.loads((job_folder(out) / JOB_FILE).read_text())["order"]["sound_track"] == 2
    with pytest.raises(UserError, match="sound-track was 2, is 1"):
        dream_video(film, out, QUICK)
    with pytest.raises(UserError, match="sound-track was 2, is 3"):
        dream_video(film, out, QUICK, sound_track="deu")
    dream_video(film, out, QUICK, sound_track=2)
    assert read_all_packets(out) == read_all_packets(dream)


def test_a_killed_film_goes_on_with_the_track_it_began_with(film: Path, dream: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    interrupt_run(film, out, job_folder(out), {"picture", "sound"}, sound_track="fra")
    assert Journal(job_folder(out)).finished("sound")
    resume_video(out)
    assert read_all_packets(out) == read_all_packets(dream)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_with_keep_sound_all_tracks_are_kept(film: Path, suffix: str, tmp_path: Path):
    out = tmp_path / f"kept{suffix}"
    dream_video(film, out, QUICK, keep_sound=True, start=0.5, end=1.75)
    source, result = probe(film), probe(out)
    assert [s.language for s in result.audio_tracks] == ["eng", "fra", "deu"]
    for one, other in zip(source.audio_tracks, result.audio_tracks, strict=True):
        if suffix == ".mkv" or one.codec == "aac":
            expected = [(at - 0.5, data) for at, data in read_packets(film, one.index) if 0.5 <= at < 1.75]
            got = read_packets(out, other.index)
            assert [data for _, data in got] == [data for _, data in expected]
            assert max(abs(a - b) for (a, _), (b, _) in zip(got, expected, strict=True)) <= 0.001


def test_the_sound_of_a_film_is_any_of_its_tracks(film: Path, tmp_path: Path):
    out = tmp_path / "out.wav"
    words = ["audio", str(film), "-o", str(out), "--strength", "0", "--sound-track", "deu", "--json"]
    run = CliRunner().invoke(app.app, words)
    assert run.exit_code == 0, run.output
    dreamed, rate = soundfile.read(out, dtype="float32")
    assert rate == 22_050
    np.testing.assert_allclose(dreamed.T, decode_samples(film, 3, tmp_path), atol=1e-6)


@pytest.mark.parametrize(("command", "wish"), [("video", "4"), ("audio", "spa")])
def test_a_track_that_is_not_there_is_one_line_with_those_that_are(
    film: Path, command: str, wish: str, tmp_path: Path
):
    out = tmp_path / ("out.mkv" if command == "video" else "out.wav")
    done = mmdream(command, film, "-o", out, "--sound-track", wish)
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr == f"mmdream: error: {film}: has no sound track {wish!r}; {THERE}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wish", ["", "0", "-1", 0, "2.0", "en"])
def test_only_a_number_or_a_language_that_is_there_will_do(film: Path, wish: int | str, tmp_path: Path):
    with pytest.raises(UserError, match="has no sound track"):
        plan_video(film, tmp_path / "out.mkv", sound_track=wish)


def test_a_choice_that_chooses_nothing_is_refused(film: Path, data: Path, tmp_path: Path):
    with pytest.raises(UserError, match="drop it or --keep-sound"):
        plan_video(film, tmp_path / "out.mkv", sound_track=2, keep_sound=True)
    with pytest.raises(UserError, match=r"bitmap.mp4: has no sound"):
        plan_video(data / "films" / "bitmap.mp4", tmp_path / "out.mkv", sound_track=1)
    run = CliRunner().invoke(app.app, ["audio", "--from", "noise", "--sound-track", "1"])
    assert isinstance(run.exception, UserError)
    assert "drop it or --from" in str(run.exception)


def test_a_track_that_cannot_be_decoded_is_not_chosen(tmp_path: Path):
    tracks = [
        Track(make_clicks(seconds, 48_000, 1, 1), 48_000, "mono", "aac", language)
        for seconds, language in ((0, "eng"), (1, "fra"))
    ]
    path = write_multitrack_film(tmp_path / "film.mkv", 25, tracks)
    with pytest.raises(UserError, match=r"its sound track 1 cannot be decoded; there is 2 \(fra, mono\)"):
        dream_video(path, tmp_path / "out.mkv", QUICK, sound_track=1)
