"""A picture of what a network sees: the strongest channels of each rung, each dreamed out of soft noise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.core.memory import keep_freed_memory
from mmdream.image import octaves
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image
from mmdream.networks.card import NetworkCard, Rung, load_card
from mmdream.networks.network import Network, choose_precision, load_shared_network
from mmdream.networks.weights import locate_weights
from mmdream.sample.film import render_frames
from mmdream.settings.targets import Objective, Term
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, text_width

MAX_CHANNELS = 8
"""Channels of a rung that are shown."""
TILE_SIZE = 128
"""Side of each, px."""
OCTAVE_SIZES = (64, 91, 128)
"""Octaves of a tile, px: ratios of 1.4 down to the smallest that a dream has."""
STEPS = 16
"""At each octave."""
STEP_FACTOR = 1.5
"""Of a step, over the rung's own: there is no photograph here to be kept."""
GAP, MARGIN, TITLE_HEIGHT, HEADING_HEIGHT, CAPTION_HEIGHT = 12, 16, 44, 28, 24
"""px between tiles, round the sheet, and of the lines above the sheet, above a row and under a tile."""


def write_gallery(
    name: str, weights: str | Path | None, output: Path, overwrite: bool, listener: EventSink
) -> Path:
    """Write the gallery of a picture network.

    Args:
        name: of the network.
        weights: a file, "random", or None for the network's own.
        output: a picture; its suffix chooses the format.
        overwrite: whether an existing file may be replaced.
        listener: told each tile that is done.

    Returns:
        The name of what was written.

    Raises:
        UserError: a sound network, weights that do not fit, or the result cannot go where it should.
    """
    about = load_card(name, "picture")
    out = check_output_file(None, output, ".png", image.IMAGE_SUFFIXES, overwrite, "--gallery")
    path = locate_weights(about, weights)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu

    keep_freed_memory()
    for guess in about.guesses:
        listener.say(guess)
    with output_workspace(out, overwrite) as work:
        sheet = draw_gallery(
            load_shared_network(about, path, choose_precision("auto", about, has_gpu)), listener
        )
        image.write_image(work / out.name, sheet.astype(np.float32) / 255)
    return out


def draw_gallery(network: Network, listener: EventSink, most: int = MAX_CHANNELS) -> np.ndarray:
    """The sheet: a row for each rung, shallow to deep, its strongest channel first.

    Args:
        network: a picture network.
        listener: told each tile that is done.
        most: channels of a rung.

    Returns:
        uint8 [H, W, 3].
    """
    rungs, chosen = network.card.rungs, rank_channels(network, most)
    count = sum(map(len, chosen))
    rows: list[list[np.ndarray]] = []
    for rung, channels in zip(rungs, chosen, strict=True):
        tiles: list[np.ndarray] = []
        for number in range(len(channels)):
            tiles.append(_dream_channel(network, rung, channels, number))
            listener.progress("gallery", sum(map(len, rows)) + len(tiles), count)
        rows.append(tiles)
    return _draw_tiles(network.card, chosen, rows)


def rank_channels(network: Network, most: int) -> list[tuple[int, ...]]:
    """The channels of each rung that answer most, to whatever is shown.

    Each channel's mean square, over the mean of its rung's, is taken on three pictures: the soft noise that
    the tiles start from and the two photographs of the sample film. Their product ranks the channels, so that
    one which is silent on any of them comes last: out of noise it is silent on, nothing could be dreamed.

    Args:
        network: a picture network.
        most: channels of a rung.

    Returns:
        For each rung at most so many channels, the strongest first.
    """
    features = network.rungs(tuple(range(len(network.card.rungs))))
    photos = (photo.astype(np.float32) / 255 for photo in render_frames(2, (2 * TILE_SIZE, 2 * TILE_SIZE)))
    ranks: list[np.ndarray | float] = [0.0] * len(network.card.rungs)
    for cue in (make_noise_image(TILE_SIZE, TILE_SIZE, 0), *photos):
        for place, a in enumerate(features(cue[None])):
            square = np.square(np.asarray(a).astype(np.float64)).mean(axis=(0, 1, 2))
            ranks[place] += np.log(square / max(square.mean(), 1e-30) + 1e-9)
    # Stable, so that channels as strong as each other come in their own order on every machine.
    return [tuple(np.argsort(-rank, kind="stable")[:most].tolist()) for rank in ranks]


def _dream_channel(network: Network, rung: Rung, channels: tuple[int, ...], number: int) -> np.ndarray:
    """One of some channels of a rung alone, float32 [TILE, TILE, 3], 0..1."""
    from mmdream.image.gradient import build_gradient

    # All of them are terms, so that a step is traced once for the whole row.
    terms = tuple(Term("channel", rung.layer, (channel,)) for channel in channels)
    wanted = Objective(terms, tuple(float(k == number) for k in range(len(terms))))
    visits = octaves.plan_full_passes([(side, side) for side in OCTAVE_SIZES], STEPS)
    start = make_noise_image(TILE_SIZE, TILE_SIZE, 0)
    gain = octaves.dream_octaves(
        start,
        np.zeros_like(start),
        visits,
        build_gradient(network, wanted),
        STEP_FACTOR * rung.step,
        seed=0,
        time=Fraction(0),
    )
    return np.clip(start + gain, 0, 1)


def _draw_tiles(
    about: NetworkCard, chosen: list[tuple[int, ...]], rows: list[list[np.ndarray]]
) -> np.ndarray:
    """The sheet, uint8 [H, W, 3]."""
    captions = [
        [f"{rung.layer}:{channel}" for channel in channels]
        for rung, channels in zip(about.rungs, chosen, strict=True)
    ]
    # A channel is of use only with its full name, which may be wider than the tile.
    pitch = GAP + max(TILE_SIZE, *(text_width(text, 12) for row in captions for text in row))
    title = f"{about.name}: the strongest channels of each rung"
    columns, height = max(map(len, rows)), HEADING_HEIGHT + TILE_SIZE + CAPTION_HEIGHT
    wide = 2 * MARGIN + max(columns * pitch - GAP, text_width(title, 17))
    sheet = blank_canvas(TITLE_HEIGHT + len(rows) * height + MARGIN, wide)
    draw_text(sheet, title, (MARGIN, 29), 17, TEXT_GREY)
    for row, (names, tiles) in enumerate(zip(captions, rows, strict=True)):
        top = TITLE_HEIGHT + row * height
        depth = row / max(1, len(rows) - 1)
        draw_text(sheet, f"depth {depth:.2f}   {about.rungs[row].layer}", (MARGIN, top + 19), 14, TEXT_GREY)
        for column, (name, tile) in enumerate(zip(names, tiles, strict=True)):
            y, x = top + HEADING_HEIGHT, MARGIN + column * pitch
            sheet[y : y + TILE_SIZE, x : x + TILE_SIZE] = np.rint(tile * 255)
            draw_text(sheet, name, (x, y + TILE_SIZE + 16), 12, DIM_GREY)
    return sheet
