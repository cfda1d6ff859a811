"""A gallery of an image network: the strongest channels of each rung, each dreamed out of noise."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.core.memory import keep_freed_memory
from mmdream.image.octaves import plan_full_passes
from mmdream.image.spectrum import make_noise_image
from mmdream.media.image import IMAGE_SUFFIXES, write_image
from mmdream.networks.card import NetworkCard, Rung
from mmdream.networks.network import Network, choose_precision, load_shared_network
from mmdream.networks.registry import load_card
from mmdream.networks.weights import locate_weights
from mmdream.settings.recipe import Recipe
from mmdream.settings.targets import Targets, Term
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, paste_image, text_width

MAX_CHANNELS = 8
"""Channels of a rung that are shown."""
TILE_SIZE = 128
"""Side of a channel's dream, px."""
PHOTO_SIZE = 2 * TILE_SIZE, 2 * TILE_SIZE
"""Width and height, px, of the photographs that rank channels."""
OCTAVE_SIZES = (64, 91, 128)
"""Octaves of a tile, px: ratios of 1.4 down to the smallest that a dream has."""
STEPS = 16
"""At each octave."""
STEP_FACTOR = 1.5
"""Of a step, over the rung's own: there is no photograph here to be kept."""
GAP, MARGIN, TITLE_HEIGHT, HEADING_HEIGHT, CAPTION_HEIGHT = 12, 16, 44, 28, 24
"""px between tiles, around the sheet, of the title, of the line above a row and of that below a tile."""


def write_gallery(
    name: str,
    weights: str | Path | None,
    output: Path,
    overwrite: bool,
    photos: Iterable[np.ndarray],
    sink: EventSink,
) -> Path:
    """Write the gallery of an image network into an image file, and return its path.

    `weights` is a file, "random", or None for the network's own; for `photos` see `rank_channels`.

    Raises:
        UserError: a sound network, weights that do not fit, or a path that cannot be written.
    """
    card = load_card(name, "picture")
    out = check_output_file(None, output, ".png", IMAGE_SUFFIXES, overwrite, "--gallery")
    path = locate_weights(card, weights)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu

    keep_freed_memory()
    for guess in card.guesses:
        sink.say(guess)
    with output_workspace(out, overwrite) as work:
        network = load_shared_network(card, path, choose_precision("auto", card, has_gpu))
        sheet = draw_gallery(network, photos, sink)
        write_image(work / out.name, sheet)
    return out


def draw_gallery(
    network: Network, photos: Iterable[np.ndarray], sink: EventSink, most: int = MAX_CHANNELS
) -> np.ndarray:
    """Draw a row for each rung, shallow to deep, its `most` strongest channels in order; uint8 [H, W, 3]."""
    rungs, ranked = network.card.rungs, rank_channels(network, photos, most)
    count, done = sum(map(len, ranked)), 0
    rows: list[list[np.ndarray]] = []
    for rung, channels in zip(rungs, ranked, strict=True):
        rows.append([])
        for number in range(len(channels)):
            rows[-1].append(_dream_channel(network, rung, channels, number))
            done += 1
            sink.progress("gallery", done, count)
    return _draw_tiles(network.card, ranked, rows)


def rank_channels(network: Network, photos: Iterable[np.ndarray], most: int) -> list[tuple[int, ...]]:
    """The `most` strongest channels of each rung, the strongest first.

    A channel's mean square over its rung's is measured on the noise that tiles start from and on the photos,
    uint8 [h, w, 3] of `PHOTO_SIZE`; the product ranks it, so that one which is silent on any comes last.
    """
    features = network.rung_features(tuple(range(len(network.card.rungs))))
    ranks: list[np.ndarray | float] = [0.0] * len(network.card.rungs)
    scaled = (photo.astype(np.float32) / 255 for photo in photos)
    for rgb in (make_noise_image(TILE_SIZE, TILE_SIZE, 0), *scaled):
        for place, activations in enumerate(features(rgb[None])):
            square = np.square(np.asarray(activations).astype(np.float64)).mean(axis=(0, 1, 2))
            ranks[place] += np.log(square / max(square.mean(), 1e-30) + 1e-9)
    # Stable, so that channels as strong as each other come in their own order on every machine.
    return [tuple(np.argsort(-rank, kind="stable")[:most].tolist()) for rank in ranks]


def _dream_channel(network: Network, rung: Rung, channels: tuple[int, ...], number: int) -> np.ndarray:
    """The dream of one of some channels of a rung, float32 [TILE_SIZE, TILE_SIZE, 3], 0..1."""
    from mmdream.render.passes import AscentRequest, DreamPass

    # All of them are terms, so that a step is traced once for the whole row.
    terms = (
        Term("channel", rung.layer, (channel,), float(k == number)) for k, channel in enumerate(channels)
    )
    dream = DreamPass(Recipe(wishes=Targets(tuple(terms))), network, step_factor=STEP_FACTOR)
    start = make_noise_image(TILE_SIZE, TILE_SIZE, 0)
    full = plan_full_passes([(side, side) for side in OCTAVE_SIZES], STEPS)
    detail = dream.ascend(
        AscentRequest(start, np.zeros_like(start), full, dream.schedule.at(0.0), Fraction(0))
    )
    return np.clip(start + detail, 0, 1)


def _draw_tiles(card: NetworkCard, ranked: list[tuple[int, ...]], rows: list[list[np.ndarray]]) -> np.ndarray:
    """The sheet, uint8 [H, W, 3]."""
    captions = [
        [f"{rung.layer}:{channel}" for channel in channels]
        for rung, channels in zip(card.rungs, ranked, strict=True)
    ]
    # A channel is of use only with its full name, which may be wider than the tile.
    pitch = GAP + max(TILE_SIZE, *(text_width(text, 12) for row in captions for text in row))
    title = f"{card.name}: the strongest channels of each rung"
    height = HEADING_HEIGHT + TILE_SIZE + CAPTION_HEIGHT
    width = 2 * MARGIN + max(max(map(len, rows)) * pitch - GAP, text_width(title, 17))
    sheet = blank_canvas(TITLE_HEIGHT + len(rows) * height + MARGIN, width)
    draw_text(sheet, title, (MARGIN, 29), 17, TEXT_GREY)
    for row, (names, tiles) in enumerate(zip(captions, rows, strict=True)):
        top = TITLE_HEIGHT + row * height
        depth = row / max(1, len(rows) - 1)
        draw_text(sheet, f"depth {depth:.2f}   {card.rungs[row].layer}", (MARGIN, top + 19), 14, TEXT_GREY)
        for column, (name, tile) in enumerate(zip(names, tiles, strict=True)):
            x, y = MARGIN + column * pitch, top + HEADING_HEIGHT
            paste_image(sheet, np.rint(tile * 255), x, y)
            draw_text(sheet, name, (x, y + TILE_SIZE + 16), 12, DIM_GREY)
    return sheet
