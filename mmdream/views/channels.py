"""A sound dreamed once for each channel of a layer, and a sheet of what each channel makes of it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import soundfile

from mmdream.audio.canvas import BAND_EDGES, DB_PER_NEPER, MAX_GAIN, ColumnMeans, measure_column_power
from mmdream.audio.source import FileSource
from mmdream.audio.synthesis import SignalSpec
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.media.formats import AUDIO_SUFFIXES, check_audio_format, encode_audio
from mmdream.media.image import write_image
from mmdream.networks.network import Network
from mmdream.render.audio import InputTrack, open_audio_source, render_audio_track
from mmdream.render.models import load_audio_network
from mmdream.settings.definition import fields_to_dict
from mmdream.settings.recipe import Recipe
from mmdream.settings.report import format_duration
from mmdream.settings.targets import Targets, Term
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, paste_image, truncate_text
from mmdream.views.figures import DYNAMIC_RANGE

if TYPE_CHECKING:
    from mmdream.audio.dream import AudioDreamReport

SPECTROGRAM_COLUMNS = 160
"""Of a small spectrogram, about."""
SPECTROGRAM_SIZE = 160, 64
"""Width and height of a small spectrogram, px."""
GAP, SEAM, MARGIN, TITLE_HEIGHT, CAPTION_HEIGHT = 10, 2, 16, 62, 20
"""px between cells, between a dream and its gain, around the sheet, of the title, and below a cell."""
TARGET_ASPECT = 1.4
"""Width of the sheet over its height, as nearly as the cells allow."""


@dataclass(frozen=True)
class SheetCell:
    """One dream, or the source, as the sheet shows it."""

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
    source: Path | SignalSpec,
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
    ``OUT.LAYER.png``. `sound_track` is a number, from 1, or a language; None: the first.

    Raises:
        UserError: no such layer, channel or track, no sound, or a path that cannot be written.
    """
    began = time.perf_counter()
    layer, some = parse_channels(channels_text)
    with open_audio_source(source, recipe.seed, sound_track) as audio:
        out = output or audio.name.with_name(f"{audio.name.stem}.dream.wav")
        network = load_audio_network(_target_channels(recipe, layer, some), sink)
        channels = some or tuple(range(network.channel_counts()[layer]))
        plain_layer = re.sub(r"[^\w.-]", "_", layer)
        stem = f"{out.stem}.{plain_layer}"
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
                report, source_power, power, gain = _dream_channel(audio, network, alone, events, work)
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
    """The layer and the channels in ``LAYER:0-15,20``; none: all.

    Raises:
        UserError: another form.
    """
    layer, colon, rest = text.rpartition(":") if ":" in text else (text, "", "")
    channels: list[int] = []
    for part in rest.split(",") if colon else ():
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UserError(f"--each-channel is {text!r}; write LAYER, or for example {layer}:0-15,20")
        channels += range(first, last + 1)
    if not layer:
        raise UserError(f"--each-channel is {text!r}; write LAYER, or for example LAYER:0-15,20")
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


def _dream_channel(
    track: InputTrack, network: Network, recipe: Recipe, sink: EventSink, work: Path
) -> tuple[AudioDreamReport, np.ndarray, np.ndarray, np.ndarray]:
    """Dream a sound into ``work/sound.wav``.

    Returns:
        Figures of the dream; powers of source and dream, and the log gain, float32 [column, band].

    Raises:
        UserError: it has no samples.
    """
    gains = ColumnMeans(SPECTROGRAM_COLUMNS)
    span, report = render_audio_track(track, network, recipe, sink, work, on_gain=gains.feed)
    if not span.n_samples:
        raise UserError(f"{track.film.path}: has no samples to dream on")
    with (
        soundfile.SoundFile(work / "source.wav") as source_file,
        soundfile.SoundFile(work / "sound.wav") as dream_file,
    ):
        source_power, _ = measure_column_power(FileSource(source_file), SPECTROGRAM_COLUMNS)
        power, _ = measure_column_power(FileSource(dream_file), SPECTROGRAM_COLUMNS)
    return report, source_power, power, gains.means()


def draw_channel_sheet(title: str, cells: Sequence[SheetCell], rate: int, seconds: float) -> np.ndarray:
    """Draw a source and its dreams side by side, each with its gain below; uint8 [H, W, 3].

    Args:
        title: above.
        cells: at least one.
        rate: of the sound, samples a second.
        seconds: of the sound.
    """
    bands = max(1, int(np.count_nonzero(BAND_EDGES[1:-1] < rate / 2)))
    top = 10 * math.log10(max(1e-12, *(float(cell.power.max()) for cell in cells)))
    most = DB_PER_NEPER * MAX_GAIN
    width, height = SPECTROGRAM_SIZE[0] + GAP, 2 * SPECTROGRAM_SIZE[1] + SEAM + CAPTION_HEIGHT + GAP
    # As wide as four cells at least, for the text above.
    columns = max(4, round(math.sqrt(len(cells) * TARGET_ASPECT * height / width)))
    rows = math.ceil(len(cells) / columns)
    sheet = blank_canvas(TITLE_HEIGHT + rows * height + MARGIN - GAP, 2 * MARGIN + columns * width - GAP)
    room = sheet.shape[1] - 2 * MARGIN
    draw_text(sheet, truncate_text(title, 17, room), (MARGIN, 29), 17, TEXT_GREY)
    legend = (
        f"{seconds:.1f} s; {BAND_EDGES[1]:.0f} to {BAND_EDGES[bands]:,.0f} Hz; "
        "below each: gain, -15 dB blue, 15 dB red"
    )
    draw_text(sheet, truncate_text(legend, 13, room), (MARGIN, 50), 13, DIM_GREY)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * width, TITLE_HEIGHT + row * height
        level = 10 * np.log10(np.maximum(cell.power[:, :bands], 1e-30))
        gain = DB_PER_NEPER * cell.gain[:, :bands]
        for values, colors, ends in (
            (level, "magma", (top - DYNAMIC_RANGE, top)),
            (gain, "RdBu_r", (-most, most)),
        ):
            paste_image(sheet, _color_spectrogram(values, colors, ends), x, y)
            y += SPECTROGRAM_SIZE[1] + SEAM
        draw_text(sheet, truncate_text(cell.caption, 12, SPECTROGRAM_SIZE[0]), (x, y + 12), 12, TEXT_GREY)
    return sheet


def _color_spectrogram(values: np.ndarray, colors: str, ends: tuple[float, float]) -> np.ndarray:
    """Values [column, band] as an image, low bands at its foot; uint8 [h, w, 3] of `SPECTROGRAM_SIZE`."""
    import matplotlib

    share = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1).T[::-1]
    share = np.ascontiguousarray(share, np.float32)
    smaller = cv2.resize(share, SPECTROGRAM_SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(matplotlib.colormaps[colors](smaller, bytes=True))[..., :3]
