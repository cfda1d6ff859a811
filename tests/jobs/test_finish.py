"""A finished dream gets its name and takes nobody else's; what is made besides a film is never forgotten."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupted_runs import QUICK, hash_media, interrupt_run
from make import make_bursts, make_times, write_film

from mmdream import UserError, dream_video, resume_video
from mmdream.core.events import EventSink
from mmdream.core.files import move_into_place
from mmdream.jobs import runner
from mmdream.jobs.store import job_folder
from mmdream.media import image
from mmdream.render.image import render_image_file
from tests.command import mmdream

WORDS = ("--octaves", 1, "--steps", 2, "--seen-to-heard", 0)
"""What `QUICK` says."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    return write_film(folder / "in.mp4", make_times(12, 12), sound=make_bursts(1.0))


@pytest.fixture(scope="module")
def uninterrupted_run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dream, its sheet and its comparison."""
    folder = tmp_path_factory.mktemp("unbroken")
    pictures = {name: folder / f"{name}.png" for name in ("preview", "sheet", "plot")}
    dream_video(source, folder / "out.mkv", QUICK, compare=True, stems=True, **pictures)
    return folder


def act_on_progress(act: Callable[[], object]) -> EventSink:
    """Call a function each time the run reports progress."""
    return EventSink(progress=lambda *_: act())


@pytest.fixture(scope="module")
def folder_with_name_taken(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the result's name was taken while the film was dreamed."""
    folder = tmp_path_factory.mktemp("refused")
    out = folder / "out.mkv"
    with pytest.raises(
        UserError, match=r"out.mkv: has appeared.*result.mkv.*resume .*out.mkv --overwrite, or -o"
    ):
        dream_video(source, out, QUICK, listener=act_on_progress(lambda: out.write_text("mine")))
    assert out.read_text() == "mine"
    return folder


@pytest.mark.parametrize("words", ["resume OUT --overwrite", "resume OUT -o OTHER", "again --overwrite"])
def test_a_name_that_was_taken_meanwhile_is_kept_and_the_film_too(
    words: str, folder_with_name_taken: Path, source: Path, uninterrupted_run: Path, tmp_path: Path
):
    out, other = folder_with_name_taken / "out.mkv", tmp_path / "other.mkv"
    again = ["video", source, "-o", out, *WORDS]
    for typed in (["resume", out], again):
        assert mmdream(*typed).returncode == 2
    kept = tmp_path / "kept"
    shutil.copytree(folder_with_name_taken, kept)
    names = {"OUT": out, "OTHER": other}
    typed = [
        each for word in words.split() for each in (again if word == "again" else [names.get(word, word)])
    ]
    done = mmdream(*typed)
    assert done.returncode == 0, done.stderr
    assert "frames at" not in done.stderr  # Nothing is dreamed again.
    finished = other if "OTHER" in words else out
    assert hash_media(finished, tmp_path) == hash_media(uninterrupted_run / "out.mkv", tmp_path)
    assert out.exists() == (not job_folder(out).exists())
    assert finished == out or out.read_text() == "mine"
    assert not job_folder(out).exists()
    shutil.rmtree(folder_with_name_taken)
    shutil.copytree(kept, folder_with_name_taken)


def test_a_picture_whose_name_was_taken_meanwhile_gets_one_beside_it(tmp_path: Path):
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    image.write_image(source, np.full((32, 32, 3), 0.5, np.float32))
    with pytest.raises(UserError, match=r"out.png: has appeared .* the result is .*out-2.png"):
        render_image_file(source, out, QUICK, False, act_on_progress(lambda: out.write_text("mine")))
    assert out.read_text() == "mine"
    assert image.read_image(tmp_path / "out-2.png").shape == (32, 32, 3)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_job_that_ends_while_a_resume_waits_is_not_dreamed_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out.mkv"
    interrupt_run(source, out, job_folder(out), set(), keep_sound=True)
    opened = os.open

    def open_after_first_run(path: object, *args: Any, **options: Any) -> int:
        if str(path) == str(job_folder(out) / "lock") and not out.exists():
            shutil.rmtree(job_folder(out))  # The first run ends.
            out.write_text("by the first run")
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", open_after_first_run)
    with pytest.raises(UserError, match="no job to go on with"):
        resume_video(out)
    assert out.read_text() == "by the first run"
    assert list(tmp_path.iterdir()) == [out]


def test_what_is_made_besides_a_film_outlives_the_run(source: Path, uninterrupted_run: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    interrupt_run(
        source, out, job_folder(out), set(), compare=True, stems=True,
        **{name: tmp_path / f"{name}.png" for name in ("preview", "sheet", "plot")},
    )  # fmt: skip
    (tmp_path / "preview.png").unlink(missing_ok=True)
    frozen = gc.get_freeze_count()
    resume_video(out)
    # Nobody walks TensorFlow's objects again and again, and what the film held can be freed.
    assert gc.isenabled()
    assert 0 < gc.get_freeze_count() <= frozen
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in uninterrupted_run.iterdir()
    )
    for name in ("sheet.png", "plot.png", "preview.png"):
        assert np.array_equal(
            image.read_image(tmp_path / name), image.read_image(uninterrupted_run / name)
        ), name
    stems = [sorted((folder / "out.stems").iterdir()) for folder in (tmp_path, uninterrupted_run)]
    assert {"source.wav", "gain.wav", "grains.csv"} <= {path.name for path in stems[0]}
    for mine, other in zip(*stems, strict=True):
        assert mine.name == other.name
        assert mine.read_bytes() == other.read_bytes()
    for name in ("out.mkv", "out.compare.mkv"):
        place = tmp_path / f"of {name}"
        place.mkdir()
        assert hash_media(tmp_path / name, place) == hash_media(uninterrupted_run / name, place), name


def test_a_sheet_that_cannot_have_its_name_does_not_cost_the_film(
    source: Path, uninterrupted_run: Path, tmp_path: Path
):
    out, sheet = tmp_path / "out.mkv", tmp_path / "sheet.png"
    taking = act_on_progress(lambda: sheet.write_text("mine"))
    with pytest.raises(UserError, match=r"sheet.png: has appeared"):
        dream_video(source, out, QUICK, sheet=sheet, listener=taking)
    assert hash_media(out, tmp_path) == hash_media(uninterrupted_run / "out.mkv", tmp_path)
    assert sheet.read_text() == "mine"
    sheet.unlink()
    messages: list[str] = []
    report = runner.resume_job(out, EventSink(say=messages.append))
    assert report.output == str(out)
    assert not messages  # Nothing is dreamed again.
    assert np.array_equal(image.read_image(sheet), image.read_image(uninterrupted_run / "sheet.png"))
    assert not job_folder(out).exists()


@pytest.mark.parametrize("disk", ["with links", "without links", "another one"])
def test_a_file_takes_a_free_name_on_any_disk_and_no_other(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    if disk == "without links":
        monkeypatch.setattr(os, "link", refuse)  # As FAT does.
    memory = Path("/dev/shm")
    if disk == "another one" and not (memory.is_dir() and memory.stat().st_dev != tmp_path.stat().st_dev):
        pytest.skip("there is no other disk to move from")
    with tempfile.TemporaryDirectory(dir=memory if disk == "another one" else tmp_path) as place:
        file, path = Path(place) / "result", tmp_path / "out"
        for text, overwrite in (("first", False), ("second", True)):
            file.write_text(text)
            move_into_place(file, path, overwrite)
            assert path.read_text() == text
            assert not file.exists()
        file.write_text("third")
        with pytest.raises(FileExistsError):
            move_into_place(file, path, False)
        assert (path.read_text(), file.read_text()) == ("second", "third")
    assert list(tmp_path.iterdir()) == [path]
