"""Galleries of channels: an image network's strongest, out of noise, and a sound dreamed once for each."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import soundfile

from mmdream.audio.canvas import BAND_EDGES, DB_PER_NEPER, ColumnMeans, measure_column_power
from mmdream.audio.chunks import DreamHooks
from mmdream.audio.source import FileSource
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.core.memory import keep_freed_memory
from mmdream.image.octaves import plan_full_passes
from mmdream.image.spectrum import make_noise_image
from mmdream.media.formats import AUDIO_SUFFIXES, check_audio_format, encode_audio
from mmdream.media.image import IMAGE_SUFFIXES, write_image
from mmdream.networks.card import NetworkCard, Rung
from mmdream.networks.network import Network
from mmdream.render.audio import InputTrack, open_audio_source, render_audio_track
from mmdream.render.generated.sound import SoundStart
from mmdream.render.models import load_audio_network, load_image_network
from mmdream.settings.definition import fields_to_dict
from mmdream.settings.recipe import Recipe
from mmdream.settings.report import format_duration
from mmdream.settings.targets import Targets, Term
from mmdream.views import canvas
from mmdream.views.axes import Colors, level_colors
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, paste_image
from mmdream.views.figures import GAIN_COLORS

if TYPE_CHECKING:
    from mmdream.audio.dream import AudioDreamReport

MARGIN = 16
"""px around a sheet."""

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
GAP, TITLE_HEIGHT, HEADING_HEIGHT, CAPTION_HEIGHT = 12, 44, 28, 24
"""px between tiles, of the title, of the line above a row and of that below a tile."""

SPECTROGRAM_COLUMNS = 160
"""Of a small spectrogram, about."""
SPECTROGRAM_SIZE = 160, 64
"""Width and height of a small spectrogram, px."""
CELL_GAP, SEAM, LEGEND_HEIGHT, CELL_CAPTION_HEIGHT = 10, 2, 62, 20
"""px between cells, between a dream and its gain, of title and legend, and below a cell."""


def write_gallery(
    name: str,
    weights: str | Path | None,
    output: Path,
    overwrite: bool,
    photos: Iterable[np.ndarray],
    sink: EventSink,
) -> Path:
    """Write the gallery of an image network into an image file, and return its path.

    `weights` is a file, "random", or None for the network's own; for `photos` see `rank_channels`. A sound
    network, weights that do not fit, or a path that cannot be written are a `UserError`.
    """
    out = check_output_file(None, output, ".png", IMAGE_SUFFIXES, overwrite, "--gallery")
    keep_freed_memory()
    network = load_image_network(Recipe(net=name, weights=weights), sink)
    with output_workspace(out, overwrite) as work:
        write_image(work / out.name, draw_gallery(network, photos, sink))
    return out


def draw_gallery(
    network: Network, photos: Iterable[np.ndarray], sink: EventSink, most: int = MAX_CHANNELS
) -> np.ndarray:
    """Draw a row for each rung, shallow to deep, its `most` strongest channels in order; uint8 [H, W, 3]."""
    ranked = rank_channels(network, photos, most)
    count, done = sum(map(len, ranked)), 0
    rows: list[list[np.ndarray]] = []
    for rung, channels in zip(network.card.rungs, ranked, strict=True):
        rows.append([])
        for number in range(len(channels)):
            rows[-1].append(_dream_tile(network, rung, channels, number))
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


def _dream_tile(network: Network, rung: Rung, channels: tuple[int, ...], number: int) -> np.ndarray:
    """The dream of one of some channels of a rung, float32 [TILE_SIZE, TILE_SIZE, 3], 0..1."""
    from mmdream.render.passes.dream import DreamPass
    from mmdream.render.passes.renderer import AscentRequest

    # All of them are terms, so that a step is traced once for the whole row.
    terms = (Term("channel", rung.layer, (each,), float(k == number)) for k, each in enumerate(channels))
    dream = DreamPass(Recipe(wishes=Targets(tuple(terms))), network, step_factor=STEP_FACTOR)
    start = make_noise_image(TILE_SIZE, TILE_SIZE, 0)
    full = plan_full_passes([(side, side) for side in OCTAVE_SIZES], STEPS)
    request = AscentRequest(start, np.zeros_like(start), full, dream.schedule.at(0.0), Fraction(0))
    return np.clip(start + dream.ascend(request), 0, 1)


def _draw_tiles(card: NetworkCard, ranked: list[tuple[int, ...]], rows: list[list[np.ndarray]]) -> np.ndarray:
    """The sheet, uint8 [H, W, 3]."""
    ranks = zip(card.rungs, ranked, strict=True)
    captions = [[f"{rung.layer}:{channel}" for channel in channels] for rung, channels in ranks]
    # A channel is of use only with its full name, which may be wider than the tile.
    pitch = GAP + max(TILE_SIZE, *(canvas.text_width(text, 12) for row in captions for text in row))
    title = f"{card.name}: the strongest channels of each rung"
    height = HEADING_HEIGHT + TILE_SIZE + CAPTION_HEIGHT
    width = 2 * MARGIN + max(max(map(len, rows)) * pitch - GAP, canvas.text_width(title, 17))
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


@dataclass(frozen=True)
class SheetCell:
    """One dream of a sound, or the source, as the sheet shows it."""

    caption: str
    power: np.ndarray
    """float32 [column, band], see `measure_column_power`."""
    gain: np.ndarray
    """The log gain that was applied, nepers, float32 [column, band]; zeros for the source."""


@dataclass(frozen=True)
class ChannelsReport:
    """The dreams of all channels, and where they were written."""

    index: Path
    outputs: dict[int, Path]
    """By channel."""
    objective_gain: dict[int, float]
    """Objective of each dream over the source's."""
    wall_seconds: float

    def lines(self) -> list[str]:
        """For people, a fact a line."""
        gains = self.objective_gain
        best = sorted(gains, key=lambda channel: -gains[channel])[:5]
        answers = ", ".join(f"{channel} (x{gains[channel]:.1f})" for channel in best)
        names = [path.name for path in self.outputs.values()]
        return [
            f"{self.index}",
            f"  {len(names)} dreams, {names[0]} to {names[-1]}",
            f"  most answered: {answers}",
            f"  {self.wall_seconds:.1f} s of work",
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is not a finite number becomes None."""
        return fields_to_dict(self, finite=True)


def render_each_channel(
    source: SoundStart,
    output: Path | None,
    recipe: Recipe,
    channels_text: str,
    overwrite: bool,
    sink: EventSink,
    sound_track: int | str | None = None,
) -> ChannelsReport:
    """Dream a sound once for each channel of a layer, and draw a sheet of the dreams.

    `channels_text` is ``LAYER`` or ``LAYER:0-15,20``; it replaces the recipe's targets, not their measure.
    Results are named after `output`, or after the source: ``OUT.LAYER.007.wav`` and so on, and
    ``OUT.LAYER.png``. `sound_track` is a number, from 1, or a language; None: the first. No such layer,
    channel or track, no sound, or a path that cannot be written are a `UserError`.
    """
    began = time.perf_counter()
    layer, some = parse_channels(channels_text)
    with open_audio_source(source, recipe.seed, sound_track) as audio:
        out = output or audio.name.with_name(f"{audio.name.stem}.dream.wav")
        network = load_audio_network(_target_channels(recipe, layer, some), sink)
        channels = some or tuple(range(network.channel_counts()[layer]))
        stem = ".".join((out.stem, re.sub(r"[^\w.-]", "_", layer)))
        outputs = {}
        for channel in channels:
            path = out.with_name(f"{stem}.{channel:03}{out.suffix}")
            outputs[channel] = check_output_file(audio.name, path, "", AUDIO_SUFFIXES, overwrite)
        check_audio_format(out, audio.track)
        index = check_output_file(None, out.with_name(f"{stem}.png"), "", (".png",), overwrite)
        cells: list[SheetCell] = []
        gains: dict[int, float] = {}
        for number, (channel, path) in enumerate(outputs.items()):
            alone = _target_channels(recipe, layer, (channel,))
            events = _count_dreams(sink, number, len(outputs))
            with output_workspace(path, overwrite) as work:
                report, source_power, power, gain = _dream_sound(audio, network, alone, events, work)
                encode_audio(work / "sound.wav", work / path.name)
            gains[channel] = report.objective_gain
            if not cells:
                cells.append(SheetCell("source", source_power, np.zeros_like(gain)))
            ratio = f"   x{gains[channel]:.1f}" if np.isfinite(gains[channel]) else ""
            cells.append(SheetCell(f"{channel}{ratio}", power, gain))
            if number == 0 and len(channels) > 1:
                left = (time.perf_counter() - began) * (len(channels) - 1)
                sink.say(f"{len(channels)} channels of {layer}: about {format_duration(left)} more")
        with output_workspace(index, overwrite) as work:
            title = f"{audio.name.name}: what each channel of {network.card.name}'s {layer} makes of it"
            sheet = draw_channel_sheet(title, cells, audio.track.rate, report.n_samples / report.rate)
            write_image(work / index.name, sheet)
    return ChannelsReport(index, outputs, gains, time.perf_counter() - began)


def parse_channels(text: str) -> tuple[str, tuple[int, ...]]:
    """The layer and the channels in ``LAYER:0-15,20``; none: all. Another form is a `UserError`."""
    layer, colon, rest = text.rpartition(":") if ":" in text else (text, "", "")
    channels: list[int] = []
    is_readable = bool(layer)
    for part in rest.split(",") if colon else ():
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        is_readable &= first <= last
        channels += range(first, last + 1)
    if not is_readable:
        raise UserError(f"--each-channel is {text!r}; write LAYER, or for example {layer}:0-15,20")
    return layer, tuple(dict.fromkeys(channels))


def _target_channels(recipe: Recipe, layer: str, channels: tuple[int, ...]) -> Recipe:
    """The recipe with some channels of a layer, or all of it, as its only target."""
    term = Term("channel", layer, channels) if channels else Term("layer", layer)
    return replace(recipe, sound_wishes=Targets((term,), recipe.sound_wishes.measure))


def _count_dreams(sink: EventSink, number: int, count: int) -> EventSink:
    """A sink to dream `number` of `count`; what is said of the first dream holds for all."""

    def progress(_: str, done: float, total: float) -> None:
        sink.progress("channels", number + done / max(total, 1e-9), count)

    return sink.redirect(say=EventSink().say if number else sink.say, progress=progress)


def _dream_sound(
    track: InputTrack, network: Network, recipe: Recipe, sink: EventSink, work: Path
) -> tuple[AudioDreamReport, np.ndarray, np.ndarray, np.ndarray]:
    """Dream a sound into ``work/sound.wav``; a `UserError` if it has no samples.

    Figures of the dream; powers of source and dream, and the log gain, float32 [column, band].
    """
    gains = ColumnMeans(SPECTROGRAM_COLUMNS)
    span, report = render_audio_track(track, network, recipe, sink, work, DreamHooks(on_gain=gains.feed))
    if not span.n_samples:
        raise UserError(f"{track.film.path}: has no samples to dream on")

    def measure_power(name: str) -> np.ndarray:
        with soundfile.SoundFile(work / name) as file:
            return measure_column_power(FileSource(file), SPECTROGRAM_COLUMNS)[0]

    return report, measure_power("source.wav"), measure_power("sound.wav"), gains.means()


def draw_channel_sheet(title: str, cells: Sequence[SheetCell], rate: int, seconds: float) -> np.ndarray:
    """Draw a source and its dreams, at least one cell, each with its gain below; uint8 [H, W, 3]."""
    bands = max(1, int(np.count_nonzero(BAND_EDGES[1:-1] < rate / 2)))
    top = 10 * math.log10(max(1e-12, *(float(cell.power.max()) for cell in cells)))
    width = SPECTROGRAM_SIZE[0] + CELL_GAP
    height = 2 * SPECTROGRAM_SIZE[1] + SEAM + CELL_CAPTION_HEIGHT + CELL_GAP
    # As wide as four cells at least, for the text above.
    columns = max(4, canvas.count_columns(len(cells), width, height))
    rows = math.ceil(len(cells) / columns)
    size = LEGEND_HEIGHT + rows * height + MARGIN - CELL_GAP, 2 * MARGIN + columns * width - CELL_GAP
    sheet, room = blank_canvas(*size), size[1] - 2 * MARGIN
    legend = (
        f"{seconds:.1f} s; {BAND_EDGES[1]:.0f} to {BAND_EDGES[bands]:,.0f} Hz; "
        "below each: gain, -15 dB blue, 15 dB red"
    )
    draw_text(sheet, canvas.truncate_text(title, 17, room), (MARGIN, 29), 17, TEXT_GREY)
    draw_text(sheet, canvas.truncate_text(legend, 13, room), (MARGIN, 50), 13, DIM_GREY)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * width, LEGEND_HEIGHT + row * height
        level = 10 * np.log10(np.maximum(cell.power[:, :bands], 1e-30))
        gain = DB_PER_NEPER * cell.gain[:, :bands]
        for values, colors in ((level, level_colors(top)), (gain, GAIN_COLORS)):
            paste_image(sheet, _color_spectrogram(values, colors), x, y)
            y += SPECTROGRAM_SIZE[1] + SEAM
        draw_text(sheet, canvas.truncate_text(cell.caption, 12, width - CELL_GAP), (x, y + 12), 12, TEXT_GREY)
    return sheet


def _color_spectrogram(values: np.ndarray, colors: Colors) -> np.ndarray:
    """Values [column, band] as an image, low bands at its foot; uint8 [h, w, 3] of `SPECTROGRAM_SIZE`."""
    import matplotlib

    name, low, high = colors
    share = np.ascontiguousarray(np.clip((values - low) / (high - low), 0, 1).T[::-1], np.float32)
    smaller = cv2.resize(share, SPECTROGRAM_SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(matplotlib.colormaps[name](smaller, bytes=True))[..., :3]
