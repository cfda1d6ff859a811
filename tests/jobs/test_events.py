"""What a run tells stays readable from outside: events, state and record; a file in its folder stops it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from interrupted_runs import QUICK, hash_media, interrupt_run
from make import make_bursts, make_times, write_film

from mmdream import dream_video, resume_video
from mmdream.core.errors import Stopped
from mmdream.core.events import EventSink, FrameRendered, Message, Progress, RemainingTime, Warned
from mmdream.jobs.journal import EVENTS_FILE, EventLog, read_events
from mmdream.jobs.store import STOP_FILE, job_folder, list_jobs

READER = """
import json, os, sys, time
from pathlib import Path
from mmdream.jobs.journal import read_events
from mmdream.jobs.store import list_jobs, job_folder
folder, seen, parent = Path(sys.argv[1]), set(), os.getppid()
(folder / f"ready{sys.argv[2]}").touch()
while not (folder / "end").exists() and os.getppid() == parent:
    for job in list_jobs(folder):
        seen.add(job.state)
        read_events(job.folder)
    time.sleep(0.01)  # The run needs the processors, too.
print(json.dumps(sorted(seen)))
"""
"""Looks at all jobs in a folder again and again, at most for as long as the tests run."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(
        tmp_path_factory.mktemp("source") / "in.mp4", make_times(12, 12), sound=make_bursts(1.0)
    )


@pytest.fixture(scope="module")
def alone(source: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What its dream holds when nobody looks or asks for anything."""
    folder = tmp_path_factory.mktemp("alone")
    dream_video(source, folder / "out.mkv", QUICK)
    return hash_media(folder / "out.mkv", folder)


def test_every_listener_hears_every_event_and_a_function_its_own_kind():
    events: list[object] = []
    said: list[str] = []
    steps: list[tuple[str, float, float]] = []
    sink = EventSink(events.append, say=said.append, progress=lambda *step: steps.append(step))
    sink.say("one")
    sink.warn("two")
    sink.progress("picture", 1, 2)
    assert events == [Message("one"), Warned("two"), Progress("picture", 1, 2)]
    assert (said, steps) == (["one"], [("picture", 1, 2)])
    quiet = sink.redirect(say=lambda text: None)
    quiet.say("three")
    quiet.warn("four")
    assert said == ["one"]
    assert events[-1] == Warned("four")


def test_a_log_thins_what_comes_with_every_frame_and_keeps_the_last(tmp_path: Path):
    now = [100.0]
    log = EventLog(tmp_path, lambda: now[0])
    rgb = np.zeros((2, 2, 3), np.float32)
    for done in range(11):
        log(FrameRendered(rgb, rgb, done / 25, None, done, 10))
        log(Progress("picture", done, 10))
        log(Progress("sound", done / 2, 10))
        log(RemainingTime(10.0 - done))
        now[0] += 0.25
    log(Message("done"))
    events = read_events(tmp_path)
    assert [event["done"] for event in events if event.get("medium") == "picture"] == [0, 4, 8, 10]
    assert [event["done"] for event in events if event.get("medium") == "sound"] == [0, 2, 4]
    assert [event["index"] for event in events if event["event"] == "frame"] == [0, 4, 8]
    assert events[-1] == {"time": 102.75, "event": "say", "text": "done"}
    with open(tmp_path / EVENTS_FILE, "a") as file:
        file.write('{"time": 1')  # A kill tears the last line.
    assert read_events(tmp_path) == events


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path):
    EventLog(tmp_path / "gone")(Message("hello"))
    assert read_events(tmp_path / "gone") == []


def test_a_half_done_job_tells_what_happened(source: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    interrupt_run(source, out, job_folder(out), set(), keep_sound=True)
    events = read_events(job_folder(out))
    kinds = {event["event"] for event in events}
    assert {"say", "plan", "progress", "left", "frame"} <= kinds
    (plan,) = (event for event in events if event["event"] == "plan")
    assert (plan["frames"], plan["done"], plan["networks"]) == (12, 0, ["dreamnet"])
    assert plan["seconds"] > 0


def test_others_may_look_at_a_job_all_the_time(source: Path, alone: list[str], tmp_path: Path):
    out = tmp_path / "out.mkv"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(tmp_path), str(number)], stdout=subprocess.PIPE, text=True
        )
        for number in range(2)
    ]
    try:
        while len(list(tmp_path.glob("ready*"))) < 2:
            time.sleep(0.05)
        for _ in range(2):
            dream_video(source, out, QUICK, overwrite=True)
    finally:
        (tmp_path / "end").touch()
        states = [json.loads(reader.communicate()[0]) for reader in readers]
    assert all("running" in seen and "broken" not in seen for seen in states)
    assert hash_media(out, tmp_path) == alone


def test_a_file_in_its_folder_stops_a_run_that_goes_on_later(source: Path, alone: list[str], tmp_path: Path):
    out = tmp_path / "out.mkv"
    folder = job_folder(out)
    stop = EventSink(progress=lambda *_: ((folder / STOP_FILE).touch(), time.sleep(1)))
    with pytest.raises(Stopped, match="go on with: mmdream resume"):
        dream_video(source, out, QUICK, listener=stop)
    deadline = time.monotonic() + 60
    while [job.state for job in list_jobs(tmp_path)] != ["stopped"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (folder / STOP_FILE).exists()
    resume_video(out)  # What was asked of the run before does not stop this one.
    assert hash_media(out, tmp_path) == alone
    assert [path.name for path in tmp_path.glob("*.mkv*")] == ["out.mkv"]
    assert not folder.exists()


def test_a_record_keeps_settings_events_and_figures_beside_the_result(source: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    report = dream_video(source, out, QUICK, record=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "out.record.json"]
    record = json.loads((tmp_path / "out.record.json").read_text())
    assert record["job"]["recipe"]["net"] == QUICK.net
    assert record["job"]["out"] == str(out)
    assert record["report"]["frames"] == report.frames == 12
    assert record["events"][-1]["event"] == "finish"
    assert record["events"][-1]["report"]["objective_gain"] == report.as_json()["objective_gain"]
    assert (tmp_path / "out.record.json").stat().st_size < 100_000
