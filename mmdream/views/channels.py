"""A sound dreamed once for each channel of a layer, and an index picture of what each of them makes."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile

from mmdream.audio.canvas import BAND_EDGES, DB_PER_NEPER, MAX_GAIN, ColumnMeans, measure_column_power
from mmdream.audio.source import FileSource
from mmdream.audio.synthesis import SIGNAL_LUFS, SignalSpec
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.media import formats, image
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.networks.network import Network
from mmdream.planning.dry_run import format_duration
from mmdream.render.audio import open_audio_source, render_audio_track
from mmdream.render.models import load_audio_network
from mmdream.settings.recipe import Recipe, find_sound_track
from mmdream.settings.targets import Targets, Term
from mmdream.views.audio_figures import DYNAMIC_RANGE
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, truncate_text

pass

SPECTROGRAM_COLUMNS = 160
"""Of a small spectrogram, about."""


@dataclass(frozen=True)
class ChannelsReport:
    """What was written: see `Report`, which tells of one dream."""

    index: Path
    outputs: dict[int, Path]
    """By channel."""
    gains: dict[int, float]
    """Objective of each dream over the source's."""
    wall_seconds: float

    def lines(self) -> list[str]:
        """For people, a fact a line."""
        best = sorted(self.gains, key=lambda channel: -self.gains[channel])[:5]
        names = [path.name for path in self.outputs.values()]
        return [
            f"{self.index}",
            f"  {len(names)} dreams, {names[0]} to {names[-1]}",
            f"  most answered: {', '.join(f'{channel} (x{self.gains[channel]:.1f})' for channel in best)}",
            f"  {self.wall_seconds:.1f} s of work",
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values only."""
        return {
            "index": str(self.index),
            "outputs": {str(channel): str(path) for channel, path in self.outputs.items()},
            "objective_gain": {
                str(channel): gain if np.isfinite(gain) else None for channel, gain in self.gains.items()
            },
            "wall_seconds": self.wall_seconds,
        }


def render_each_channel(
    source: Path | SignalSpec,
    output: Path | None,
    recipe: Recipe,
    channels_text: str,
    overwrite: bool,
    listener: EventSink,
    sound_track: int | str | None = None,
) -> ChannelsReport:
    """Dream a sound once for each channel of a layer.

    Args:
        source: the file, or what is made in its place.
        output: names the results: ``OUT.LAYER.007.wav`` and so on, and ``OUT.LAYER.png``; None: beside the
            source, named after it.
        recipe: how to dream; what it climbs is replaced, its measure is not.
        channels_text: ``LAYER`` or ``LAYER:0-15,20``.
        overwrite: whether existing files may be replaced.
        listener: told about progress, in dreams.
        sound_track: number, from 1, or language of the track; None: the first.

    Raises:
        UserError: no such layer, channel or track, no sound, or the results cannot go where they should.
    """
    began = time.perf_counter()
    layer, some = parse_channels(channels_text)
    with open_audio_source(source, recipe.seed) as (film, name):
        track = find_sound_track(film, sound_track)
        out = output or name.with_name(f"{name.stem}.dream.wav")
        network = load_audio_network(_target_channels(recipe, layer, some), listener)
        channels = some or tuple(range(network.channels()[layer]))
        plain = re.sub(r"[^\w.-]", "_", layer)
        outputs = {
            channel: check_output_file(
                name, out.with_name(f"{out.stem}.{plain}.{channel:03}{out.suffix}"), "",
                formats.AUDIO_SUFFIXES, overwrite,
            )
            for channel in channels
        }  # fmt: skip
        formats.check_audio_format(out, track)
        index = check_output_file(None, out.with_name(f"{out.stem}.{plain}.png"), "", (".png",), overwrite)
        level = SIGNAL_LUFS if isinstance(source, SignalSpec) else None
        dreams: list[_ChannelDream] = []
        for dream in _dream_channels(
            film, track, level, outputs, overwrite, network, recipe, layer, listener
        ):
            dreams.append(dream)
            if len(dreams) == 1 < len(channels):
                left = (time.perf_counter() - began) * (len(channels) - 1)
                listener.say(f"{len(channels)} channels of {layer}: about {format_duration(left)} more")
        with output_workspace(index, overwrite) as work:
            title = f"{name.name}: what each channel of {network.card.name}'s {layer} makes of it"
            cells = [dreams[0].source, *(dream.cell for dream in dreams)]
            picture = draw_channel_sheet(title, cells, track.rate, dreams[0].seconds)
            image.write_image(work / index.name, picture.astype(np.float32) / 255)
    gains = {channel: dream.objective for channel, dream in zip(outputs, dreams, strict=True)}
    return ChannelsReport(index, outputs, gains, time.perf_counter() - began)


def parse_channels(text: str) -> tuple[str, tuple[int, ...]]:
    """The layer and the channels in ``LAYER:0-15,20``; none: all.

    Raises:
        UserError: another form.
    """
    layer, colon, rest = text.rpartition(":") if ":" in text else (text, "", "")
    found: list[int] = []
    for part in rest.split(",") if colon else ():
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise UserError(f"--each-channel is {text!r}; write LAYER, or for example {layer}:0-15,20")
        found += range(first, last + 1)
    if not layer:
        raise UserError(f"--each-channel is {text!r}; write LAYER, or for example LAYER:0-15,20")
    return layer, tuple(dict.fromkeys(found))


def _target_channels(recipe: Recipe, layer: str, channels: tuple[int, ...]) -> Recipe:
    """The recipe, climbing some channels of a layer, by the measure that it asks for; none: all."""
    term = Term("channel", layer, channels) if channels else Term("layer", layer)
    return replace(recipe, sound_wishes=Targets((term,), recipe.sound_wishes.measure))


@dataclass(frozen=True)
class _ChannelDream:
    """What is kept of one dream for the index."""

    source: SheetCell
    cell: SheetCell
    objective: float
    """Over the source's."""
    seconds: float


def _dream_channels(
    film: MediaFile,
    track: AudioTrack,
    level: float | None,
    outputs: dict[int, Path],
    overwrite: bool,
    network: Network,
    recipe: Recipe,
    layer: str,
    listener: EventSink,
) -> Iterator[_ChannelDream]:
    """Write one dream after the other."""
    for place, (channel, out) in enumerate(outputs.items()):

        def progress(_: str, done: float, total: float, place: int = place) -> None:
            listener.progress("channels", place + done / max(total, 1e-9), len(outputs))

        # What is said of the first dream holds for all.
        say = listener.say if place == 0 else EventSink().say
        alone, quiet = (
            _target_channels(recipe, layer, (channel,)),
            replace(listener, say=say, progress=progress),
        )
        gains = ColumnMeans(SPECTROGRAM_COLUMNS)
        with output_workspace(out, overwrite) as work:
            laid, done = render_audio_track(
                film, track, (None, None), network, alone, quiet, work, lambda: False, loudness=level,
                on_gain=gains.feed,
            )  # fmt: skip
            if not laid.n_samples:
                raise UserError(f"{film.path}: has no samples to dream on")
            formats.encode_audio(work / "sound.wav", work / out.name)
            before, after = (_read_powers(work / name, track.layout) for name in ("source.wav", "sound.wav"))
        gain, answer = gains.means(), done.objective_gain
        caption = f"{channel}   x{answer:.1f}" if np.isfinite(answer) else f"{channel}"
        source = SheetCell("source", before, np.zeros_like(gain))
        yield _ChannelDream(source, SheetCell(caption, after, gain), answer, laid.n_samples / track.rate)


def _read_powers(path: Path, layout: str) -> np.ndarray:
    """A sound's small spectrogram, see `columns.measure_column_power`."""
    with soundfile.SoundFile(path) as file:
        return measure_column_power(FileSource(file, layout), SPECTROGRAM_COLUMNS)[0]


SPECTROGRAM_SIZE = 160, 64
"""Width and height of a spectrogram, px."""
GAP, SEAM, MARGIN, TITLE_HEIGHT, CAPTION_HEIGHT = 10, 2, 16, 62, 20
"""px between cells, between a dream and its gain, round the sheet, of the lines above, and under a cell."""
TARGET_ASPECT = 1.4
"""Wished width of the sheet over its height."""


@dataclass(frozen=True)
class SheetCell:
    """One dream, or the source."""

    caption: str
    power: np.ndarray
    """float32 [column, band], see `columns.measure_column_power`."""
    gain: np.ndarray
    """The log gain that was applied, nepers, float32 [column, band]; zeros for the source."""


def draw_channel_sheet(title: str, cells: Sequence[SheetCell], rate: int, seconds: float) -> np.ndarray:
    """Lay a source and its dreams side by side, in the order given.

    Args:
        title: above.
        cells: at least one.
        rate: of the sound, samples a second.
        seconds: of the sound.

    Returns:
        uint8 [H, W, 3].
    """
    bands = max(1, int(np.count_nonzero(BAND_EDGES[1:-1] < rate / 2)))
    top = 10 * math.log10(max(1e-12, *(float(cell.power.max()) for cell in cells)))
    width, height = SPECTROGRAM_SIZE[0] + GAP, 2 * SPECTROGRAM_SIZE[1] + SEAM + CAPTION_HEIGHT + GAP
    # As wide as four cells at least, for the words above.
    columns = max(4, round(math.sqrt(len(cells) * TARGET_ASPECT * height / width)))
    picture = blank_canvas(
        TITLE_HEIGHT + -(-len(cells) // columns) * height + MARGIN - GAP, 2 * MARGIN + columns * width - GAP
    )
    room = picture.shape[1] - 2 * MARGIN
    draw_text(picture, truncate_text(title, 17, room), (MARGIN, 29), 17, TEXT_GREY)
    told = f"{seconds:.1f} s; {BAND_EDGES[1]:.0f} to {BAND_EDGES[bands]:,.0f} Hz; below each: gain, -15 dB blue, 15 dB red"
    draw_text(picture, truncate_text(told, 13, room), (MARGIN, 50), 13, DIM_GREY)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * width, TITLE_HEIGHT + row * height
        level = 10 * np.log10(np.maximum(cell.power[:, :bands], 1e-30))
        gain, most = DB_PER_NEPER * cell.gain[:, :bands], DB_PER_NEPER * MAX_GAIN
        for values, colours, ends in (
            (level, "magma", (top - DYNAMIC_RANGE, top)),
            (gain, "RdBu_r", (-most, most)),
        ):
            picture[y : y + SPECTROGRAM_SIZE[1], x : x + SPECTROGRAM_SIZE[0]] = _color_spectrogram(
                values, colours, ends
            )
            y += SPECTROGRAM_SIZE[1] + SEAM
        draw_text(picture, truncate_text(cell.caption, 12, SPECTROGRAM_SIZE[0]), (x, y + 12), 12, TEXT_GREY)
    return picture


def _color_spectrogram(values: np.ndarray, colours: str, ends: tuple[float, float]) -> np.ndarray:
    """Values [column, band] as a small picture, low bands at its foot; uint8 [SIZE[1], SIZE[0], 3]."""
    import matplotlib

    share = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1).T[::-1]
    smaller = cv2.resize(
        np.ascontiguousarray(share, np.float32), SPECTROGRAM_SIZE, interpolation=cv2.INTER_AREA
    )
    return np.asarray(matplotlib.colormaps[colours](smaller, bytes=True))[..., :3]
