"""Interrupted runs, in a process of their own or in this one, and hashes of what a film holds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile

from mmdream import Recipe, Schedule, dream_video
from mmdream.core.events import EventSink
from mmdream.jobs.journal import read_journal
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames

ROOT = Path(__file__).parents[2]
WORDS = ["--octaves", "1", "--steps", "2", "--seen-to-heard", "0"]
QUICK = Recipe(schedule=Schedule(octaves=1, steps=2, seen_to_heard=0))
"""A sound that goes by the picture waits for it, while in `interrupt_run` the picture waits for the sound."""


def start_mmdream(*words: object) -> subprocess.Popen[str]:
    """`mmdream`, as a person's shell starts it: a background shell has it ignore Ctrl-C."""
    code = (
        "import signal\nfrom mmdream.cli.app import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\nmain()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Interruption(Exception):
    """Raised while the run is under way."""


def interrupt_run(
    film: Path,
    out: Path,
    job: Path,
    kinds: set[str],
    job_dir: Path | None = None,
    recipe: Recipe = QUICK,
    at: float = 0.6,
    **wishes: Any,
) -> None:
    """Interrupt a run when its journal has something of each kind, with this share of the picture done."""

    def progress(medium: str, done: float, total: float) -> None:
        if medium != "picture" or done < at * total:
            return
        late = time.monotonic() + 600
        while not kinds <= {line.kind for line in read_journal(job)}:
            assert time.monotonic() < late
            time.sleep(0.01)
        raise Interruption

    with pytest.raises(Interruption):
        dream_video(film, out, recipe, job_dir=job_dir, **wishes, listener=EventSink(progress=progress))


def hash_media(path: Path, folder: Path) -> list[str]:
    """Hashes of the frames with their stamps, and of the samples."""
    film, frames = probe(path), hashlib.sha256()
    for frame in read_frames(film):
        frames.update(str(frame.pts).encode() + frame.rgb.tobytes())
    extract_audio(film, film.audio_tracks[0], folder / "sound.wav")
    samples, _ = soundfile.read(folder / "sound.wav", dtype="float32")
    return [frames.hexdigest(), hashlib.sha256(samples.tobytes()).hexdigest()]
