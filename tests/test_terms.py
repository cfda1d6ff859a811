"""Terms as the command line writes them."""

from __future__ import annotations

import pytest

from mmdream.errors import UserError
from mmdream.terms import Term, Wishes, channel, layer, motifs, target


def test_terms_are_read_and_written_alike():
    assert layer("p4c") == Term("layer", "p4c")
    assert layer("p4c = -0.5") == Term("layer", "p4c", weight=-0.5)
    assert channel("p4c:7,12=2") == Term("channel", "p4c", (7, 12), 2.0)
    assert target("school bus=1e-1") == Term("target", "school bus", weight=0.1)
    assert motifs(" dog, tower,") == ("dog", "tower")
    assert [str(t) for t in (layer("a=2"), channel("b:1,2"), target("c=-1"))] == [
        "layer a=2",
        "channel b:1,2",
        "target c=-1",
    ]


@pytest.mark.parametrize("text", ["", "=2", "a=", "a=b", "a=nan", "a=inf"])
def test_a_name_and_a_finite_weight_are_needed(text: str):
    with pytest.raises(UserError, match="NAME=weight"):
        layer(text)


@pytest.mark.parametrize("text", ["a", "a:", ":1", "a:x", "a:1,", "a:1.5"])
def test_channels_are_numbers(text: str):
    with pytest.raises(UserError, match="LAYER:NUMBER"):
        channel(text)


def test_channels_are_counted_from_nought():
    with pytest.raises(UserError, match="from 0"):
        channel("a:-1")


def test_a_measure_is_known_and_has_something_to_compare():
    with pytest.raises(UserError, match="energy, mean, cosine"):
        Wishes(measure="median")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="--guide or --channel"):
        Wishes(terms=(layer("a"),), measure="cosine")
