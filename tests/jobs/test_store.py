"""What is the user's is never removed: a folder is a job's own only where a marker in it says so."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
from filelock import lock_descriptor
from interrupted_runs import QUICK, interrupt_run
from make import make_times, write_film

from mmdream import UserError, dream_video, resume_video
from mmdream.jobs import store
from mmdream.jobs.store import is_running, job_folder, lock_folder
from tests.command import mmdream

FOREIGN = {
    "folders of our names": ("picture/holiday.jpg", "sound/song.wav", "work-2026/thesis.txt"),
    "a part's name": ("picture/00000.mid",),
    "a job's description": ("job.json", "letters.txt"),
    "a lock": ("lock",),
}
"""What a folder of the user's may hold."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("source") / "in.mp4", make_times(12, 12))


def write_files(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("names", FOREIGN.values(), ids=FOREIGN)
def test_a_folder_that_mmdream_did_not_make_is_refused_and_left(
    names: tuple[str, ...], source: Path, tmp_path: Path
):
    mine = write_files(tmp_path / "mine", names)
    before = read_files(mine)
    for words in (("video", source, "--job-dir", mine), ("video", source, "--job-dir", mine, "--overwrite")):
        done = mmdream(*words, "-o", tmp_path / "out.mp4")
        assert done.returncode == 2
        assert "holds other files" in done.stderr
    assert mmdream("resume", mine).returncode == 2
    assert "mine" not in mmdream("jobs", tmp_path).stdout
    assert read_files(mine) == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_the_user_lays_into_a_jobs_folder_stays(source: Path, tmp_path: Path):
    out, job = tmp_path / "out.mkv", tmp_path / "job"
    interrupt_run(source, out, job, set(), job_dir=job)
    names = ("notes.txt", "picture/mine.png", "sound/00000.wav", "work-mine/draft.txt")
    write_files(job, names)
    resume_video(job)
    assert out.exists()
    assert read_files(job) == {
        **dict.fromkeys(names, b"mine"),
        **{k: v for k, v in read_files(job).items() if k not in names},
    }
    assert not list(job.rglob("*.mid"))
    assert not (job / "job.json").exists()
    # The folder is still known, and serves the next film.
    dream_video(source, tmp_path / "next.mkv", QUICK, job_dir=job)
    assert set(names) <= read_files(job).keys()


def test_an_empty_folder_is_used_and_given_back(source: Path, tmp_path: Path):
    job = tmp_path / "job"
    job.mkdir()
    dream_video(source, tmp_path / "out.mkv", QUICK, job_dir=job)
    assert list(job.iterdir()) == []
    with pytest.raises(UserError, match="no job"):
        resume_video(job)


def test_a_folder_of_steps_with_something_else_in_it_stays(tmp_path: Path):
    words = ("image", "--from", "noise", "--size", "32x32", "--octaves", 1, "--steps", 2, "--save-steps")
    typed = (*words, "-o", tmp_path / "a.png", "--overwrite")
    for _ in range(2):
        assert mmdream(*typed).returncode == 0
    (tmp_path / "a.steps/notes.txt").write_text("mine")
    before = read_files(tmp_path)
    done = mmdream(*typed)
    assert done.returncode == 2
    assert "notes.txt" in done.stderr
    assert read_files(tmp_path) == before


def test_a_look_at_a_job_that_ends_in_that_moment_finds_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out.mkv"
    interrupt_run(source, out, job_folder(out), set(), keep_sound=True)
    read = store.read_job

    def read_late(folder: Path) -> object:
        shutil.rmtree(folder)  # As the run that ends does.
        return read(folder)

    with monkeypatch.context() as patch:
        patch.setattr(store, "read_job", read_late)
        assert store.list_jobs(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_look_at_a_job_does_not_keep_a_run_from_starting(tmp_path: Path):
    job = tmp_path / "job"
    with lock_folder(job):
        assert is_running(job)
    assert not is_running(job)
    # A look holds the lock for a moment, which is long on a busy machine.
    handle = os.open(job / "lock", os.O_RDWR)
    assert lock_descriptor(handle, blocking=False)
    threading.Timer(0.2, os.close, [handle]).start()
    with lock_folder(job):
        assert is_running(job)
