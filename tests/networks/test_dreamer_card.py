"""Which dreamers there are: the user's own first, and none for a network that has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.networks.card import MODELS_FOLDER
from mmdream.networks.dreamer_card import (
    DREAMER_CARD,
    DreamerCard,
    dreamer_card_to_toml,
    dreamer_folder,
    find_dreamers,
    list_dreamers,
    read_dreamer_card,
)
from mmdream.networks.registry import load_card
from mmdream.networks.weights import locate_weights


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DreamerCard:
    """A dreamer of dreamnet's in the user's folder."""
    monkeypatch.setenv("MMDREAM_MODELS", str(tmp_path))
    weights = locate_weights(load_card("dreamnet"))
    assert weights is not None
    facts = {"objective": 0.5}
    own = DreamerCard("dreamnet", hash_file(weights), ("p4c",), (0.5, 1.0), ("dog",), "0" * 64, facts=facts)
    return write(own)


def write(card: DreamerCard) -> DreamerCard:
    folder = dreamer_folder(card.network, card.motifs)
    folder.mkdir()
    (folder / DREAMER_CARD).write_text(dreamer_card_to_toml(card))
    return replace(card, home=folder)


def test_a_card_is_written_and_read_again(card: DreamerCard):
    again = read_dreamer_card(card.home / DREAMER_CARD)
    assert again == card
    assert (again.home, again.facts) == (card.home, card.facts)


def test_the_users_dreamers_come_before_the_packages(card: DreamerCard):
    first, *others = list_dreamers("dreamnet")
    assert first == card
    assert {each.home.parent for each in others} == {MODELS_FOLDER}


def test_a_dreamer_of_other_weights_is_none(card: DreamerCard, tmp_path: Path):
    network = load_card("dreamnet")
    assert find_dreamers(network, locate_weights(network))[0] == card
    other = tmp_path / "other.npz"
    other.write_bytes(b"other")
    with pytest.raises(
        UserError, match="a dreamer of dreamnet was taught with other weights; teach one with"
    ):
        find_dreamers(network, other)
    with pytest.raises(UserError, match="a dreamer of squeezenet was never taught; teach one with"):
        find_dreamers(load_card("squeezenet"), other)


@pytest.mark.parametrize("content", ["network = 3", "what is this", 'network = "dreamnet"'])
def test_a_damaged_card_is_named(card: DreamerCard, content: str):
    (card.home / DREAMER_CARD).write_text(content)
    with pytest.raises(UserError, match=r"dreamer.toml: is damaged .*; teach the dreamer again or delete"):
        find_dreamers(load_card("dreamnet"), locate_weights(load_card("dreamnet")))
