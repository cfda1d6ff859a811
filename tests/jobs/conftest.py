"""The makers of test films in tests/film, and of broken off runs here, can be imported by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.with_name("film"))]


@pytest.fixture(scope="session", autouse=True)
def built_once() -> Iterator[None]:
    """Networks that ship, for whole jobs: to build and trace one takes longer than most films here.

    What a network built anew dreams is held against it by the runs in processes of their own.
    """
    from mmdream.jobs import loaded
    from mmdream.networks.card import MODELS, Card
    from mmdream.networks.network import Network, load

    kept: dict[tuple[str, str], Network] = {}

    def once(about: Card, weights: object, precision: str, seed: int) -> Network:
        if weights is not None or about.home != MODELS:
            return load(about, weights, precision, seed)
        if (about.name, precision) not in kept:
            kept[about.name, precision] = load(about, None, precision)
        return kept[about.name, precision]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaded, "load", once)
        yield
