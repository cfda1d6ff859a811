"""A folder of the parts that a sound's dream is the sum of, and of the table of its grains."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import move_into_place
from mmdream.media.audio_files import WaveWriter
from mmdream.media.probe import AudioTrack
from mmdream.settings.report import GrainEvent

GRAIN_TABLE = "grains.csv"
GRAIN_COLUMNS = ("seconds", "length", "kind", "atom", "pitch_hz", "level_db", "pan", "credit")
STEM_FILES = ("source.wav", "gain.wav", "grains *.wav", GRAIN_TABLE)


class StemWriter:
    """Writes each part of a dream to a float32 wave file in a folder; used as a context manager.

    A full disk is a `UserError`.
    """

    def __init__(self, folder: Path, track: AudioTrack) -> None:
        folder.mkdir()
        self._folder, self._track = folder, track
        self._writers: dict[str, WaveWriter] = {}
        self._open = ExitStack()

    def __call__(self, name: str, samples: np.ndarray) -> None:
        """Take what follows of a part, float32 [channel, sample]."""
        if name not in self._writers:
            track, path = self._track, self._folder / f"{name.replace('/', '-')}.wav"
            writer = WaveWriter(path, track.rate, track.channels, track.layout)
            self._writers[name] = self._open.enter_context(writer)
        self._writers[name].write(samples)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def write_grain_table(folder: Path, grains: Iterable[GrainEvent]) -> None:
    """Write what was laid in as ``grains.csv``, an event a line; its pan is an amplitude for each channel."""
    with (folder / GRAIN_TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(GRAIN_COLUMNS)
        for grain in grains:
            pan = " ".join(f"{amplitude:.3f}" for amplitude in grain.pan)
            pitch = "" if grain.pitch is None else f"{grain.pitch:.1f}"
            numbers = f"{grain.seconds:.4f}", f"{grain.length:.4f}"
            about = grain.kind, grain.atom, pitch, f"{grain.level:.2f}", pan, grain.credit
            writer.writerow((*numbers, *about))


def stems_folder(out: Path) -> Path:
    """Where the stems of a result lie: ``sound.dream.wav`` has ``sound.dream.stems``."""
    return out.with_name(f"{out.stem}.stems")


def check_stems_folder(out: Path, overwrite: bool) -> Path:
    """The folder for a result's stems; `UserError` if it is taken, or holds what mmdream did not write."""
    folder = stems_folder(out)
    if folder.is_dir():
        ours = set(_list_stems(folder))
        if others := sorted(path.name for path in folder.iterdir() if path not in ours):
            raise UserError(f"{folder}: holds other files ({others[0]}) than stems; choose another -o")
        if ours and not overwrite:
            raise UserError(f"{folder}: exists already; add --overwrite or choose another name with -o")
    elif folder.exists():
        raise UserError(f"{folder}: is a file, and --stems needs a folder; choose another name with -o")
    return folder


def clear_stems(folder: Path, kept: Iterable[Path] = ()) -> None:
    """Delete an earlier run's stems, but for those that are kept: its kinds of grains may be others."""
    for path in {*_list_stems(folder)} - {*kept}:
        path.unlink()


def publish_stems(work: Path, folder: Path) -> None:
    """Move finished stems to the folder that `check_stems_folder` gave, in place of an earlier run's."""
    folder.mkdir(exist_ok=True)
    clear_stems(folder)
    for path in sorted(work.iterdir()):
        move_into_place(path, folder / path.name, overwrite=True)


def _list_stems(folder: Path) -> list[Path]:
    return [path for name in STEM_FILES for path in folder.glob(name)]
