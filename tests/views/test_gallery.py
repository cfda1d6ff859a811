"""The gallery of a network: a readable sheet of its strongest channels, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mmdream.cli.app import app
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.sample.film import render_frames
from mmdream.views import gallery
from mmdream.views.canvas import BACKGROUND


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(load_card("dreamnet"), "random")


def test_the_strongest_channels_are_few_and_answer_to_noise(network: Network):
    chosen = gallery.rank_channels(network, render_frames(2, gallery.PHOTO_SIZE), 3)
    features = network.rung_features(tuple(range(len(chosen))))
    assert len(chosen) == len(network.card.rungs)
    for channels, a in zip(
        chosen, features(make_noise_image(gallery.TILE_SIZE, gallery.TILE_SIZE, 0)[None]), strict=True
    ):
        square = np.square(np.asarray(a)).mean(axis=(0, 1, 2))
        assert len(set(channels)) == 3
        assert min(square[list(channels)]) > np.median(square)


def test_a_sheet_has_a_row_for_each_rung(network: Network, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gallery, "OCTAVE_SIZES", (gallery.TILE_SIZE,))
    monkeypatch.setattr(gallery, "STEPS", 2)
    told: list[tuple[float, float]] = []
    photos = render_frames(2, gallery.PHOTO_SIZE)
    sheet = gallery.draw_gallery(
        network, photos, EventSink(progress=lambda _, done, total: told.append((done, total))), 2
    )
    count = 2 * len(network.card.rungs)
    assert told == [(number, count) for number in range(1, count + 1)]
    assert sheet.dtype == np.uint8
    each = gallery.HEADING_HEIGHT + gallery.TILE_SIZE + gallery.CAPTION_HEIGHT
    for row in range(len(network.card.rungs)):
        top = gallery.TITLE_HEIGHT + row * each
        left = sheet[top + gallery.HEADING_HEIGHT :][: gallery.TILE_SIZE, gallery.MARGIN :][
            :, : gallery.TILE_SIZE
        ]
        assert left.std() > 5  # A dream,
        assert (
            sheet[top + gallery.HEADING_HEIGHT + gallery.TILE_SIZE : top + each] > BACKGROUND + 50
        ).any()  # and its name.
    # Each tile is a dream of its own channel.
    right = sheet[top + gallery.HEADING_HEIGHT :][
        : gallery.TILE_SIZE, gallery.MARGIN + gallery.TILE_SIZE + gallery.GAP :
    ]
    assert not np.array_equal(left, right[:, : gallery.TILE_SIZE])


def test_a_file_is_written_once(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gallery, "load_shared_network", lambda *_: network)
    monkeypatch.setattr(gallery, "draw_gallery", lambda *_: np.full((8, 9, 3), 128, np.uint8))
    out = tmp_path / "seen.png"
    assert gallery.write_gallery("dreamnet", "random", out, False, [], EventSink()) == out
    assert image.read_image(out).shape == (8, 9, 3)
    with pytest.raises(UserError, match="--overwrite"):
        gallery.write_gallery("dreamnet", "random", out, False, [], EventSink())
    gallery.write_gallery("dreamnet", "random", out, True, [], EventSink())
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("name", "weights", "file", "says"),
    [
        ("melnet", "random", "seen.png", "sound network"),
        ("dreamnot", "random", "seen.png", "dreamnet"),
        ("dreamnet", "random", "seen.gif", ".png"),
        ("dreamnet", "random", "none/seen.png", "no such folder"),
        ("dreamnet", "none.npz", "seen.png", "none.npz"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    name: str, weights: str, file: str, says: str, tmp_path: Path
):
    with pytest.raises(UserError, match=says) as raised:
        gallery.write_gallery(name, weights, tmp_path / file, False, [], EventSink())
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("nets --gallery seen.png", "name it"),
        ("nets dreamnet --weights random", "--gallery"),
        ("nets melnet --gallery seen.png", "sound network"),
        ("nets dreamnet --gallery seen.gif", "use .png"),
    ],
)
def test_the_command_line_refuses(typed: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        CliRunner().invoke(app, typed.split(), catch_exceptions=False)
    assert not list(tmp_path.iterdir())
