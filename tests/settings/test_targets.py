"""Terms as the command line writes them."""

from __future__ import annotations

import pytest

from mmdream.core.errors import UserError
from mmdream.settings.targets import Targets, Term, parse_channel, parse_layer, parse_motifs, parse_target


def test_terms_are_read_and_written_alike():
    assert parse_layer("p4c") == Term("layer", "p4c")
    assert parse_layer("p4c = -0.5") == Term("layer", "p4c", weight=-0.5)
    assert parse_channel("p4c:7,12=2") == Term("channel", "p4c", (7, 12), 2.0)
    assert parse_target("school bus=1e-1") == Term("target", "school bus", weight=0.1)
    assert parse_motifs(" dog, tower,") == ("dog", "tower")
    assert [str(t) for t in (parse_layer("a=2"), parse_channel("b:1,2"), parse_target("c=-1"))] == [
        "layer a=2",
        "channel b:1,2",
        "target c=-1",
    ]


@pytest.mark.parametrize("text", ["", "=2", "a=", "a=b", "a=nan", "a=inf"])
def test_a_name_and_a_finite_weight_are_needed(text: str):
    with pytest.raises(UserError, match="NAME=weight"):
        parse_layer(text)


@pytest.mark.parametrize("text", ["a", "a:", ":1", "a:x", "a:1,", "a:1.5"])
def test_channels_are_numbers(text: str):
    with pytest.raises(UserError, match="LAYER:NUMBER"):
        parse_channel(text)


def test_channels_are_counted_from_nought():
    with pytest.raises(UserError, match="from 0"):
        parse_channel("a:-1")


def test_a_measure_is_known_and_has_something_to_compare():
    with pytest.raises(UserError, match="choose energy, mean"):
        Targets(measure="median")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="--guide or --channel"):
        Targets(terms=(parse_layer("a"),), measure="cosine")
