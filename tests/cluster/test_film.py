"""A film by workers is that of one process, whatever happens to them, and strangers are turned away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from make import make_times, write_film
from sklearn.datasets import load_sample_image

from mmdream import Execution, Recipe, Schedule, UserError, dream_video, plan_video
from mmdream.cluster.film import FilmWorkers
from mmdream.cluster.film_tasks import PartChain
from mmdream.cluster.messages import Introduction, PartResult, PlanBundle, hash_bytes
from mmdream.cluster.nodes import connect, make_keys
from mmdream.cluster.tasks import WrongResult
from mmdream.core.events import EventSink
from mmdream.core.processors import count_threads
from mmdream.jobs.journal import Journal
from mmdream.jobs.runner import find_threads
from mmdream.jobs.spec import describe_job
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.render.chain import open_source, render_ahead
from mmdream.render.prepare import prepare_video
from mmdream.render.video import commit_part
from mmdream.sample.film import synthesize_music
from mmdream.settings.recipe import Selection
from tests.command import mmdream

RATE, HERTZ = 6, 16_000
SHOTS = 62, 5, 5
QUICK = Recipe(schedule=Schedule(octaves=1, steps=4, motif="dog", seen_to_heard=1), seams=4.0)
"""Dogs, for the sound to bark of; the first shot is cut at a seam."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pans, the first long enough for two pieces, and music: chains, a seam, and chunks of sound."""
    frames: list[np.ndarray] = []
    for length, name in zip(SHOTS, ("china.jpg", "flower.jpg", "china.jpg"), strict=True):
        photo = load_sample_image(name)[60 + 100 * (len(frames) > SHOTS[0]) :]
        frames += [np.ascontiguousarray(photo[:48, 3 * k : 3 * k + 64]) for k in range(length)]
    return write_film(
        tmp_path_factory.mktemp("film") / "film.mkv", make_times(len(frames), RATE), frames=frames,
        sound=np.ascontiguousarray(synthesize_music(len(frames) * HERTZ // RATE).T[:1], np.float32),
        rate=HERTZ, sound_codec="pcm_s16le", options={"crf": "14"},
    )  # fmt: skip


def read_all(path: Path) -> tuple[list[int], np.ndarray, np.ndarray]:
    film = probe(path)
    frames = list(read_frames(film))
    sound = np.concatenate([samples for _, samples in decode_audio(film, film.audio_tracks[0])], axis=1)
    return [frame.pts for frame in frames], np.stack([frame.rgb for frame in frames]), sound


@pytest.fixture(scope="module")
def alone(film: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[int], np.ndarray, np.ndarray]:
    out = tmp_path_factory.mktemp("alone") / "out.mkv"
    dream_video(film, out, QUICK)
    return read_all(out)


def kill_one_worker(found: list[int]) -> None:
    """The first process that works for this one, as soon as there is one that has worked for a while."""
    late = time.monotonic() + 60
    while time.monotonic() < late and not found:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # It may end between being listed and being asked.
                if "spawn_main" in " ".join(child.cmdline()) and child.cpu_times().user > 4:
                    child.kill()
                    found.append(child.pid)
                    return
        time.sleep(0.1)


def test_the_film_of_two_workers_of_which_one_is_killed_is_that_of_one_process(
    film: Path, alone: tuple[list[int], np.ndarray, np.ndarray], tmp_path: Path
):
    lines, killed = list[str](), list[int]()
    assassin = threading.Thread(target=kill_one_worker, args=(killed,))
    assassin.start()
    execution = Execution(workers=2, threads=count_threads())
    sink = EventSink(say=lines.append, warn=lines.append)
    report = dream_video(film, tmp_path / "out.mkv", QUICK, execution=execution, listener=sink)
    assassin.join()
    for one, other in zip(read_all(tmp_path / "out.mkv"), alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert killed
    assert report.frames == sum(SHOTS)
    assert report.shown
    assert any("frames a second; frames by worker: " in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_a_part_that_is_not_what_was_asked_for_is_not_taken(film: Path, tmp_path: Path):
    recipe = Recipe(schedule=Schedule(octaves=1, steps=1))
    selection = Selection(start=Fraction(0), end=Fraction(2), keep_sound=True)
    job = describe_job(film, tmp_path / "out.mkv", selection, recipe, False, False)
    journal = Journal(tmp_path)
    plan = prepare_video(probe(film), job, journal, EventSink(), lambda: False)
    (chain,) = plan.missing
    with (
        closing(open_source(plan, lambda: False)) as source,
        # In a thread of its own, which lowers its priority.
        closing(render_ahead(plan, chain, source, EventSink(), lambda: None)) as rendered,
    ):
        written = next(rendered)
    picture = journal.path("picture", 0).read_bytes()
    journal.remove("picture", 0)
    counted: list[int] = []
    parts = PartChain(plan, "plan", chain, [10.0], partial(commit_part, plan), counted.append, EventSink())
    about = written.drafts[-1].count, picture, written.drafts[-1].sums, None, hash_bytes(picture)
    good = PartResult("plan", 0, *about, {}, (), None)
    torn = picture[: len(picture) // 2]
    for wrong, seconds, told in (
        (replace(good, plan="other"), 9, "of another plan"),
        (replace(good, number=1), 9, "of another plan"),
        (replace(good, picture=picture[:-1] + b"?"), 9, "damaged on its way"),
        (replace(good, picture=torn, digest=hash_bytes(torn)), 9, "another count of frames"),
        (replace(good, frames=7), 9, "another count of frames"),
        (replace(good, carry=b"x", digest=hash_bytes(picture, b"x")), 9, "without the states"),
        (good, 0.1, "too quick to be true"),
    ):
        with pytest.raises(WrongResult, match=told):
            parts.accept(0, wrong, 0, seconds)
    assert (journal.finished("picture"), counted) == ({}, [])
    assert parts.accept(0, good, 0, 9) == len(plan.scan.pts)
    assert (list(journal.finished("picture")), counted) == ([0], [len(plan.scan.pts)])


def test_a_worker_that_differs_is_refused_by_name_unless_it_is_taken_anyway():
    bundle, here = PlanBundle("{}", {}), {"numpy": "2.4", "threads": "1"}
    workers = FilmWorkers(bundle, here, None, anyway=False)
    assert workers.judge("a", Introduction(here, None)) is None
    other = Introduction({"numpy": "2.5", "threads": "1"}, None)
    told = workers.judge("a", other)
    assert told is not None
    assert "numpy is 2.5, and 2.4 here" in told
    assert "--anyway" in told
    assert FilmWorkers(bundle, here, None, anyway=True).judge("a", other) is None
    missing = Introduction(here, "film.mp4: no such file")
    assert workers.judge("a", missing) == "film.mp4: no such file"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A scheduler's address and its keys."""
    keys = tmp_path_factory.mktemp("cluster") / "keys"
    make_keys(keys)
    words = [sys.executable, "-m", "mmdream", "cluster", "scheduler", "--keys", str(keys), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), keys
        process.terminate()


def test_keys_are_the_owners_alone_and_a_stranger_and_plain_text_are_turned_away(
    cluster: tuple[str, Path], tmp_path: Path
):
    address, keys = cluster
    assert address.startswith("tls://127.0.0.1:")
    if os.name == "posix":
        assert [path.stat().st_mode & 0o077 for path in [keys, *keys.iterdir()]] == [0, 0, 0]
    with connect(address, keys) as client:
        assert client.scheduler_info()["workers"] == {}
    make_keys(tmp_path / "strange")
    with (
        pytest.raises(UserError, match="no scheduler with these keys answers"),
        connect(address, tmp_path / "strange", seconds=3),
    ):
        pass
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as plain:
        plain.settimeout(5)
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(64))
        try:
            answer = plain.recv(1 << 16)
        except OSError:
            answer = b""
    assert b"HTTP" not in answer
    assert b"dask" not in answer


def test_what_was_begun_with_other_threads_is_not_gone_on_with(film: Path, tmp_path: Path):
    def stop(*_frame: object) -> None:
        (tmp_path / ".out.mkv.mmdream" / "stop").touch()
        time.sleep(0.1)  # It is looked for twice a second.

    with pytest.raises(KeyboardInterrupt, match="go on with"):
        dream_video(film, tmp_path / "out.mkv", QUICK, listener=EventSink(frame=stop))
    assert find_threads(tmp_path / "out.mkv") == count_threads()
    job = tmp_path / ".out.mkv.mmdream" / "job.json"
    job.write_text(job.read_text().replace(f'"threads": "{count_threads()}"', '"threads": "7"'))
    with pytest.raises(
        UserError,
        match=rf"threads was 7, is {count_threads()}.*; go on with --threads 7, or here: .*--anyway",
    ):
        dream_video(film, tmp_path / "out.mkv", QUICK)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--cluster tls://127.0.0.1:1", "--cluster needs the keys that its scheduler has: --keys FOLDER"),
        ("--keys k", "--keys go with --cluster ADDRESS; --workers make their own"),
        (
            "--workers 2 --cluster tls://a:1 --keys k",
            "--workers are processes here",
        ),
        ("--workers some", "workers is 'some'; give a number"),
        ("--workers 0", "workers is 0"),
        ("--threads 0", "threads is 0"),
        ("--seams 1", "seams is 1"),
    ],
)
def test_options_that_do_not_go_together_are_told_in_a_line(
    film: Path, tmp_path: Path, words: str, told: str
):
    done = mmdream("video", film, "-o", tmp_path / "out.mkv", *words.split())
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_keys_and_addresses_is_told_in_a_line(film: Path, tmp_path: Path):
    made = mmdream("cluster", "keys", tmp_path / "keys")
    assert (made.returncode, made.stdout.strip()) == (0, str(tmp_path / "keys"))
    keys = tmp_path / "keys"
    for words, told in (
        (("keys", tmp_path), "holds something already; name a new folder"),
        (("keys", film / "keys"), "keys cannot be written there"),
        (("scheduler", "--keys", tmp_path), "holds no keys; make some with: mmdream cluster keys"),
        (("scheduler", "--keys", keys, "--host", "192.0.2.1"), "192.0.2.1:8786: cannot listen there"),
        (("scheduler", "--keys", keys, "--port", "0", "--dashboard"), "--dashboard needs one more package"),
        (("worker", "tcp://127.0.0.1:1", "--keys", keys), "is no scheduler's address"),
        (("worker", "tls://192.0.2.1:1", "--keys", keys), "--host ADDRESS"),
    ):
        done = mmdream("cluster", *words)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    done = mmdream("video", film, "-o", tmp_path / "o.mkv", "--cluster", "127.0.0.1", "--keys", keys)
    assert (done.returncode, "is no scheduler's address" in done.stderr) == (2, True), done.stderr
    with pytest.raises(UserError, match="--dry-run cannot try the workers of a cluster"):
        plan_video(film, execution=Execution(cluster="tls://127.0.0.1:1", keys=keys))
