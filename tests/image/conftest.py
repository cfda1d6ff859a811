"""The network and the picture that the tests of picture dreams share."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card


@pytest.fixture(scope="session")
def network():
    return load_network(load_card("dreamnet"))


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:128] / 32
    base = np.stack([np.sin(x * 3 + y), np.cos(y * 4), np.sin(x * y)], -1) * 0.3 + 0.5
    return np.clip(base + rng.normal(0, 0.05, base.shape), 0, 1).astype(np.float32)
