"""The network and the short sounds that the tests of the sound dream share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmdream.audio.chunks import NO_HOOKS, AudioDreamSettings, DreamHooks
from mmdream.audio.dream import AudioDreamReport, dream_source
from mmdream.audio.source import ArraySource
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.schedule import Schedule


@pytest.fixture(scope="session")
def melnet() -> Network:
    """The sound network that ships."""
    return load_network(load_card("melnet"))


@pytest.fixture(scope="session")
def dream(melnet: Network) -> Callable[..., tuple[np.ndarray, AudioDreamReport]]:
    """(samples, rate, schedule, seed, **options) -> (dream, report)."""

    def run(
        samples: np.ndarray,
        rate: int,
        schedule: Schedule | None = None,
        seed: int = 0,
        layout: str | None = None,
        start_seconds: float = 0,
        folder: Path | None = None,
        hooks: DreamHooks = NO_HOOKS,
        **options: object,
    ) -> tuple[np.ndarray, AudioDreamReport]:
        blocks: list[np.ndarray] = []
        source = ArraySource(samples, rate, layout)
        report = dream_source(
            source,
            blocks.append,
            melnet,
            AudioDreamSettings(schedule or QUICK, seed, **options),  # type: ignore[arg-type]
            start_seconds=start_seconds,
            folder=folder,
            hooks=hooks,
        )
        return (np.concatenate(blocks, axis=1) if blocks else samples[:, :0]), report

    return run


QUICK = Schedule(octaves=2, steps=3, depth=0.4)


def make_music(rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    """Plucked tones over a little noise, float32 [channel, sample]."""
    rng = np.random.default_rng(5)
    t = np.arange(round(rate * seconds)) / rate
    since = t % 0.45
    hz = 220 * 2 ** (np.floor(t / 0.45) % 7 / 6)
    tone = sum(np.sin(2 * np.pi * k * hz * since) / k for k in range(1, 6)) * np.exp(-4 * since)
    parts = [0.2 * tone + 0.01 * rng.standard_normal(len(t)) for _ in range(channels)]
    return np.stack(parts).astype(np.float32)
