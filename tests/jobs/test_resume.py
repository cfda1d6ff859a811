"""A film that is killed goes on to the very frames and samples of an uninterrupted run, or says why not."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from interrupted_runs import QUICK, ROOT, WORDS, hash_media, interrupt_run, start_mmdream
from make import make_bursts, make_times, write_film

from mmdream import Execution, Recipe, Schedule, UserError, dream_video, resume_video
from mmdream.core.errors import Stopped
from mmdream.core.events import EventSink
from mmdream.jobs.journal import FILE_NAMES, JOURNAL_FILE, Journal, read_journal
from mmdream.jobs.partial import write_partial_film
from mmdream.jobs.store import CREATED_TEXT, JOB_FILE, LOCK_FILE, MARKER_FILE, job_folder, list_jobs
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.sample.film import synthesize_music
from mmdream.settings.passes import AudioStyleSettings

FRAMES, RATE = 58, 6
HERTZ = 16_000


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # 9.7 s: two groups of the sound's chunks. A shot of 6 frames is a part, one of 52 makes two.
    wide = np.random.default_rng(1).integers(40, 216, (12, 44, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    moving = [np.ascontiguousarray(wide[:, 2 * k : 2 * k + 64]) for k in range(FRAMES)]
    return write_film(
        tmp_path_factory.mktemp("film") / "film.mkv",
        make_times(FRAMES, RATE),
        sound=np.ascontiguousarray(synthesize_music(round(FRAMES / RATE * HERTZ)).T[:1], np.float32),
        rate=HERTZ,
        sound_codec="pcm_s16le",
        frames=[255 - moving[-1 - k] for k in range(6)] + moving[6:],
        options={"crf": "16"},
    )


@pytest.fixture(scope="module")
def uninterrupted_run(
    film: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], dict[str, object]]:
    folder = tmp_path_factory.mktemp("unbroken")
    report = dream_video(film, folder / "out.mkv", QUICK)
    assert [path.name for path in folder.iterdir()] == ["out.mkv"]  # the job's folder is gone
    return hash_media(folder / "out.mkv", folder), report.as_json()


@pytest.fixture(scope="module")
def interrupted_job(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The job of a run that ended in its third part, with the sound's first group done."""
    out = tmp_path_factory.mktemp("halted") / "out.mkv"
    job = job_folder(out)
    interrupt_run(film, out, job, {"picture", "sound"}, at=0.8)
    done = Journal(job).finished("picture")
    assert [line.count for line in done.values()] == [6, 26]
    assert list(Journal(job).finished("hints")) == [0]
    return job


@pytest.fixture
def job(interrupted_job: Path, tmp_path: Path) -> Path:
    """A copy of it that makes another file of the same name."""
    copy = tmp_path / interrupted_job.name
    shutil.copytree(interrupted_job, copy)
    fields = json.loads((copy / JOB_FILE).read_text())
    fields["out"] = str(tmp_path / "out.mkv")
    (copy / JOB_FILE).write_text(json.dumps(fields))
    return copy


def cut_journal(job: Path) -> None:
    data = (job / JOURNAL_FILE).read_bytes()
    (job / JOURNAL_FILE).write_bytes(data[: len(data) - 7])


def truncate_files(job: Path, *patterns: str) -> None:
    for pattern in patterns:
        file = max(job.glob(pattern))
        os.truncate(file, file.stat().st_size // 2)


def delete_carries(job: Path) -> None:
    for file in job.glob("picture/*.carry"):
        file.unlink()


def add_stray_files(job: Path) -> None:
    (job / "picture/00003.mid").write_bytes(b"no line names me")
    (job / "picture/00009.mid.draft").write_bytes(b"half")
    (job / "work-dead").mkdir()
    (job / "work-dead" / MARKER_FILE).write_bytes(CREATED_TEXT)
    (job / "work-dead/out.mkv").write_bytes(b"an ffmpeg may still write here")


# Harms that cannot hide one another come together: of the picture, of the sound, of the scan, and litter.
HARMS = {
    "torn journal": cut_journal,
    "no journal": lambda job: (job / JOURNAL_FILE).unlink(),
    "part and sound cut short": lambda job: truncate_files(job, "picture/*.mid", "sound/*"),
    "carry and scan cut short": lambda job: truncate_files(job, "picture/*.carry", FILE_NAMES["scan"]),
    "no carry, and litter": lambda job: (delete_carries(job), add_stray_files(job)),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_killed_film_goes_on_to_the_same_frames_and_samples(
    harm: str, job: Path, uninterrupted_run, tmp_path: Path
):
    HARMS[harm](job)
    report = resume_video(tmp_path / "out.mkv")
    assert not job.exists()
    assert hash_media(tmp_path / "out.mkv", tmp_path) == uninterrupted_run[0]
    figures = report.as_json()
    for figure in ("frames", "strength", "objective_gain", "schedule", "loudness_dream", "true_peak"):
        assert figures[figure] == uninterrupted_run[1][figure], figure


def test_a_film_dreamed_both_ways_goes_on_to_the_same_frames(film: Path, tmp_path: Path):
    both, whole, out = replace(QUICK, bidirectional=True), tmp_path / "whole.mkv", tmp_path / "out.mkv"
    dream_video(film, whole, both, keep_sound=True)
    # Behind the first part of a shot, whose carry has been forwards only.
    interrupt_run(film, out, job_folder(out), {"picture"}, recipe=both, at=0.8, keep_sound=True)
    resume_video(out)
    assert hash_media(out, tmp_path) == hash_media(whole, tmp_path)


def test_what_is_done_is_not_done_again(job: Path, uninterrupted_run, tmp_path: Path):
    journal = Journal(job)
    assert journal.finished("picture")
    assert journal.finished("sound")
    steps: list[tuple[str, float]] = []

    def progress(medium: str, done: float, total: float) -> None:
        steps.append((medium, done))

    resume_video(job, listener=EventSink(progress=progress))
    first = next(done for medium, done in steps if medium == "picture")
    assert first == 6 + 26
    assert hash_media(tmp_path / "out.mkv", tmp_path) == uninterrupted_run[0]


@pytest.fixture
def default_sigint() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, even if the tests run in the background, where a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("default_sigint")
def test_a_film_that_is_stopped_and_killed_tells_how_to_go_on_and_does(
    film: Path, uninterrupted_run, tmp_path: Path
):
    out = tmp_path / "out.mkv"
    job = job_folder(out)
    # In the midst of the first part; between parts; and without a moment to say or tidy anything.
    interrupts = iter([signal.SIGINT])
    sink = EventSink(frame=lambda *_: [signal.raise_signal(each) for each in interrupts])
    with pytest.raises(Stopped, match=f"^stopped; go on with: mmdream resume {out}$"):
        dream_video(film, out, QUICK, listener=sink)
    assert [path.name for path in tmp_path.iterdir()] == [job.name]
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with start_mmdream("video", film, "-o", out, *WORDS) as run:
            assert run.stderr is not None
            assert "frames at" in run.stderr.readline()  # the plan is told, the work has begun
            count = len(list(read_journal(job))) + 1
            while len(list(read_journal(job))) < count and run.poll() is None:
                time.sleep(0.01)
            run.send_signal(sent)
            lines = run.stderr.read().splitlines()
            assert run.wait() == (-sent if sent == signal.SIGKILL else 130)
        if sent != signal.SIGKILL:
            assert lines[-1] == f"mmdream: stopped; go on with: mmdream resume {out}"
        assert [path.name for path in tmp_path.iterdir()] == [job.name]
    assert Journal(job).finished("picture")
    dream_video(film, out, QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]
    assert hash_media(out, tmp_path) == uninterrupted_run[0]


def test_what_is_done_can_be_played(film: Path, job: Path, tmp_path: Path):
    out = tmp_path / "partial.mkv"
    assert float(write_partial_film(job, out)) == pytest.approx(32 / RATE, abs=1e-3)
    shown, source = list(read_frames(probe(out))), read_frames(probe(film))
    made = [frame for path in sorted(job.glob("picture/*.mid")) for frame in read_frames(probe(path))]
    for mine, part, frame in zip(shown, made, itertools.islice(source, 32), strict=True):
        np.testing.assert_array_equal(mine.rgb, part.rgb)
        assert mine.seconds == frame.seconds
    assert float(probe(out).duration or 0) == pytest.approx(32 / RATE, abs=0.1)
    assert probe(out).audio_tracks
    shutil.rmtree(job / "picture")
    (job / JOURNAL_FILE).write_text("")
    with pytest.raises(UserError, match="nothing of its picture is finished yet"):
        write_partial_film(job, out)


def test_two_runs_on_one_job_are_refused_while_the_first_lives(job: Path, tmp_path: Path):
    with FileLock(job / LOCK_FILE).acquire():
        assert [row.state for row in list_jobs(tmp_path)] == ["running"]
        with pytest.raises(UserError, match="another run"):
            resume_video(job)
    assert [row.state for row in list_jobs(tmp_path)] == ["stopped"]


def test_other_settings_are_named_and_refused_unless_begun_anew(film: Path, job: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    before = sorted(path for path in job.rglob("*"))
    other = Recipe(schedule=Schedule(octaves=1, steps=((0, 1), (2, 2)), seen_to_heard=0), seed=3)
    with pytest.raises(UserError, match=r"steps was 2, is another curve; seed was 0, is 3.*mmdream resume"):
        dream_video(film, out, other)
    with pytest.raises(UserError, match=r"end was not set, is 1\).*--overwrite"):
        dream_video(film, out, QUICK, end=1)
    assert sorted(path for path in job.rglob("*")) == before
    report = dream_video(film, out, other, end=1, overwrite=True)
    assert report.frames == RATE
    assert not job.exists()


def test_another_machine_is_refused_unless_told_otherwise(film: Path, job: Path, tmp_path: Path):
    fields = json.loads((job / JOB_FILE).read_text())
    fields["environment"] |= {"processor": "99", "tensorflow": "1.0"}
    (job / JOB_FILE).write_text(json.dumps(fields))
    for go_on in (lambda: resume_video(job), lambda: dream_video(film, tmp_path / "out.mkv", QUICK)):
        with pytest.raises(UserError, match=r"processor was 99, is .*tensorflow was 1.0, is .*--anyway"):
            go_on()
    assert resume_video(job, execution=Execution(anyway=True)).frames == FRAMES


def test_a_source_that_has_changed_is_refused(film: Path, job: Path, tmp_path: Path):
    copy = tmp_path / "film.mkv"
    shutil.copyfile(film, copy)
    fields = json.loads((job / JOB_FILE).read_text())
    fields["source"] = str(copy)
    (job / JOB_FILE).write_text(json.dumps(fields))
    with open(copy, "ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match="source has changed"):
        resume_video(job)


def test_a_result_that_appeared_meanwhile_is_not_replaced(job: Path, tmp_path: Path):
    (tmp_path / "out.mkv").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        resume_video(job)
    assert (tmp_path / "out.mkv").read_text() == "mine"


def test_jobs_are_listed_with_how_far_they_are(job: Path, tmp_path: Path):
    [row] = list_jobs(tmp_path)
    assert (row.name, row.total) == (tmp_path / "out.mkv", FRAMES)
    assert row.frames == sum(line.count for line in Journal(job).finished("picture").values()) > 0
    assert row.percent == 100 * row.frames // FRAMES
    (job / JOB_FILE).write_text("{")
    assert [each.state for each in list_jobs(tmp_path)] == ["broken"]
    with pytest.raises(UserError, match="damaged"):
        resume_video(job)


def test_the_job_s_folder_may_lie_elsewhere(film: Path, tmp_path: Path):
    place, out = tmp_path / "elsewhere", tmp_path / "out.mkv"
    interrupt_run(film, out, place, {"picture"}, place, keep_sound=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere"]
    assert [row.name for row in list_jobs(tmp_path)] == [place]
    assert resume_video(place).output == str(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv"]


FULL = """
import subprocess, sys
from tests.command import mmdream
place, said, film, out, *words = sys.argv[1:]
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2400k", "none", place]).returncode:
    sys.exit(77)
subprocess.run(["cp", film, f"{place}/film.mkv"], check=True)
stopped = mmdream("video", f"{place}/film.mkv", "-o", f"{place}/out.mkv", *words, "--json")
open(said, "w").write(stopped.stderr)
assert stopped.returncode == 2, stopped
assert subprocess.run(["test", "-e", f"{place}/out.mkv"]).returncode == 1
subprocess.run(["mount", "-o", "remount,size=200m", place], check=True)
resumed = mmdream("resume", f"{place}/out.mkv", "--json")
assert resumed.returncode == 0, resumed
subprocess.run(["cp", f"{place}/out.mkv", out], check=True)
"""


def test_a_full_disk_is_one_line_and_the_film_goes_on(film: Path, uninterrupted_run, tmp_path: Path):
    place, said, out = tmp_path / "small", tmp_path / "said", tmp_path / "out.mkv"
    place.mkdir()
    typed = [sys.executable, "-c", FULL, *map(str, (place, said, film, out)), *WORDS]
    try:
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", *typed],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("no unshare to make a small disk with")
    if done.returncode == 77 or (done.returncode and "unshare" in done.stderr):
        pytest.skip("the system lets nobody but root make a small disk")
    assert done.returncode == 0, done.stderr
    assert said.read_text().count("\n") == 1
    assert f"{place}: no space left" in said.read_text()
    assert said.read_text().endswith(f"mmdream resume {place}/out.mkv\n")
    assert hash_media(out, tmp_path) == uninterrupted_run[0]


def test_a_styled_sound_goes_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mmdream.render.video.AudioStyleSettings", partial(AudioStyleSettings, steps=2))
    out, whole = tmp_path / "out.mkv", tmp_path / "whole.mkv"
    low = {"sound_codec": "pcm_s16le", "rate": 8000, "size": (32, 32)}
    film = write_film(tmp_path / "film.mkv", make_times(11, 1), sound=make_bursts(11.0, 8000), **low)
    style = {
        "sound_style": write_film(
            tmp_path / "style.mkv", make_times(1, 1), sound=make_bursts(1.0, 8000, 1, 7), **low
        )
    }
    dream_video(film, whole, QUICK, **style)
    interrupt_run(film, out, job_folder(out), {"sound"}, at=0, **style)
    shares: list[float] = []

    def progress(what: str, done: float, total: float) -> None:
        if what == "sound":
            shares.append(done / total)

    resume_video(out, listener=EventSink(progress=progress))
    assert shares[0] > 0.4  # The first window, of about ten seconds, is not styled again.
    assert hash_media(out, tmp_path) == hash_media(whole, tmp_path)
