"""Sessions of live play that a test drives, on short films."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from mmdream import Recipe
from mmdream.core.events import EventSink
from mmdream.live.play import play_live
from mmdream.live.report import LiveReport
from mmdream.live.session import LiveSession
from mmdream.live.sound import SoundBlock
from mmdream.settings.live import LiveSettings
from tests.media.make import make_bursts, make_times, write_film

SIZE, RATE, SECONDS = (160, 96), 12, 4
CUT = 2.0


@dataclass
class Audience:
    """What was shown, played and told."""

    pictures: list[tuple[float, bytes]] = field(default_factory=list)
    sounds: list[SoundBlock] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    on_picture: Callable[[LiveSession, float], None] = lambda session, seconds: None
    session: LiveSession | None = None

    def show_picture(self, seconds: float, jpeg: bytes) -> None:
        """See `Viewer`."""
        self.pictures.append((seconds, jpeg))
        assert self.session is not None
        self.on_picture(self.session, seconds)

    def play_sound(self, block: SoundBlock) -> None:
        """See `Viewer`."""
        self.sounds.append(block)

    def show_state(self, state: dict[str, Any]) -> None:
        """See `Viewer`."""

    def watch(
        self, source: object, output: Path | None = None, recipe: Recipe | None = None, **settings: Any
    ) -> LiveReport:
        """Play a source to its end."""

        def on_ready(session: LiveSession) -> None:
            self.session = session

        usual = {"rate": RATE} | settings
        sink = EventSink(warn=self.warnings.append)
        return play_live(
            str(source), recipe or Recipe(), LiveSettings(**usual), output, False, sink, self, on_ready,
            threading.Event(),
        )  # fmt: skip


@pytest.fixture
def audience() -> Audience:
    """Who watches one session."""
    return Audience()


def make_frames() -> list[np.ndarray]:
    """Two shots of two seconds: a pan over one photograph, and over another."""
    frames = []
    for name in ("china.jpg", "flower.jpg"):
        photo = cv2.resize(load_sample_image(name), (260, 180), interpolation=cv2.INTER_AREA)
        for at in range(RATE * SECONDS // 2):
            frames.append(np.ascontiguousarray(photo[40:136, 2 * at : 2 * at + 160]))
    return frames


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds with a cut in the middle, and with bursts of sound."""
    path = tmp_path_factory.mktemp("live") / "in.mkv"
    times = make_times(RATE * SECONDS, RATE)
    return write_film(
        path, times, size=SIZE, frames=make_frames(), sound=make_bursts(SECONDS),
        options={"crf": "8", "threads": "1"},
    )  # fmt: skip
