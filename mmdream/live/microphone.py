"""What a microphone hears: by ALSA through PyAV on Linux, by sounddevice elsewhere."""

from __future__ import annotations

import queue
import sys
from collections.abc import Generator
from contextlib import closing

import av
import numpy as np

from mmdream.core.errors import UserError
from mmdream.live.source import to_float

BLOCK_SAMPLES = 1024
RATE = 48_000


def read_microphone(name: str) -> Generator[tuple[np.ndarray, int], None, None]:
    """Samples as they come, float32 [channel, sample], and their rate; `name` is a device's, or "default".

    Raises:
        UserError: it is not there, or another program uses it.
    """
    return _read_alsa(name) if sys.platform == "linux" else _read_sounddevice(name)


def check_microphone(name: str) -> None:
    """Hear a moment of it; `UserError`: it is not there, or another program uses it."""
    with closing(read_microphone(name)) as heard:
        next(heard, None)


def _read_alsa(name: str) -> Generator[tuple[np.ndarray, int], None, None]:
    try:
        container = av.open(name, format="alsa")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _cannot_open(name, getattr(error, "strerror", "") or error) from error
    with closing(container):
        for frame in container.decode(audio=0):
            yield to_float(frame), frame.sample_rate


def _read_sounddevice(name: str) -> Generator[tuple[np.ndarray, int], None, None]:
    try:
        import sounddevice  # type: ignore[import-not-found]  # Not installed on Linux.
    except (ModuleNotFoundError, OSError) as error:
        raise UserError("--microphone needs sounddevice; install it: pip install 'mmdream[live]'") from error
    heard: queue.Queue[np.ndarray] = queue.Queue()
    device = None if name == "default" else name
    try:
        stream = sounddevice.InputStream(
            RATE, BLOCK_SAMPLES, device, channels=1, callback=lambda samples, *_: heard.put(samples.T.copy())
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise _cannot_open(name, error) from error
    with stream:
        while True:
            yield heard.get(), RATE


def _cannot_open(name: str, why: object) -> UserError:
    return UserError(f"--microphone {name}: cannot be opened ({why}); see that it is there and free")
