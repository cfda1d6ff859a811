"""A sound in the style of others: its own course and envelope, their texture.

The content's amplitudes are a canvas that climbs towards the styles' Gram matrices and is held back by what
it was; phases are found afterwards. One canvas serves all channels, so a sound keeps its place between them.
Long sounds go through in windows of ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.audio import mastering, texture
from mmdream.audio.chunks import HALO_HOPS, MIN_CANVAS_HOPS, Chunk, ChunkStore, crossfade_chunks, load_or_make
from mmdream.audio.loudness import LoudnessMeter, meter_loudness
from mmdream.audio.resynthesis import griffin_lim, project_spectra, stream_griffin_lim
from mmdream.audio.source import AudioSource
from mmdream.audio.spectra import HALF_WINDOW_HOPS, overlap_add, read_spectra
from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for
from mmdream.settings.passes import AudioStyleSettings

if TYPE_CHECKING:
    from mmdream.networks.network import Network

STAGES = (0.5, 0.12), (0.3, 0.06), (0.2, 0.03)
"""Share of the steps, and RMS of each, nepers. After each stage the canvas is brought to amplitudes that a
sound can have, or half of what was drawn cancels in the overlaps."""
STAGE_ITERATIONS = 8
"""Of Griffin-Lim after each stage."""
GRADIENT_SIGMA = 2.0, 1.0
"""Hops and runs over which the gradient is smoothed, or networks draw dots, heard as musical noise."""
MIN_VARIANCE = 0.05
"""Square nepers; a standing tone hardly varies."""
STYLE_LEVEL_DBFS = -23.0
"""Of contents and styles when they are compared."""
MIN_SECONDS = 0.25
"""A shorter sound has no texture, and fewer hops than the longest filter needs."""
WINDOW_HOPS = 860
"""10 s."""
OVERLAP_HOPS = 32
"""Of pieces whose texture is measured: no filter is longer."""
MIN_LOUDNESS = -100.0
"""LUFS or dBFS; the noise of 16 bits is louder."""


@dataclass(frozen=True)
class AudioStyleReport(mastering.AudioReport):
    """What was done to a sound."""

    style_left: dict[str, float]
    """Share of the distance to the styles' Gram matrices that is left, by network: "wide", or its name."""


@dataclass(frozen=True, eq=False)
class MeteredSound:
    """A content or style on the canvas's clock: hop h is centred on sample h * hop."""

    source: AudioSource
    meter: LoudnessMeter
    grid: texture.StyleGrid

    @cached_property
    def level_factor(self) -> float:
        """Brings the sound to `STYLE_LEVEL_DBFS`."""
        return self.meter.level_factor(STYLE_LEVEL_DBFS)

    @property
    def hops(self) -> int:
        """Hops that begin in it."""
        return -(-self.source.n_samples // self.grid.stft.hop)

    def read_spectra(self, first: int, stop: int) -> np.ndarray:
        """Complex64 [channel, hop, bin], silent beyond its ends."""
        return read_spectra(self.source, self.grid.stft, first, stop)

    def read_canvas(self, first: int, stop: int) -> np.ndarray:
        """float32 [hop, run]."""
        return self.grid.to_canvas(self.read_spectra(first, stop), self.level_factor)

    def read_weighted_pieces(self, pauses: MeteredSound | None = None) -> texture.WeightedPieces:
        """The whole canvas, and how much each hop counts, not in pauses: its own, or another sound's."""
        for window in split_into_windows(0, self.hops):
            place = window.first, window.stop + OVERLAP_HOPS
            piece = self.read_canvas(*place)
            yield piece, self.grid.measure_presence(piece if pauses is None else pauses.read_canvas(*place))


def meter_sound(source: AudioSource, name: str) -> MeteredSound:
    """Meter a sound; UserError: it is silent, too short, or holds what is not a number."""
    if source.n_samples < MIN_SECONDS * source.rate:
        seconds = source.n_samples / source.rate
        raise UserError(f"{name}: lasts {seconds:.3g} s; a style shows in {MIN_SECONDS:g} s or more")
    try:
        meter = meter_loudness(source)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if meter.loudness() < MIN_LOUDNESS:
        raise UserError(f"{name}: is silent; give a sound that can be heard")
    return MeteredSound(source, meter, texture.StyleGrid(source.rate))


def style_source(
    content: AudioSource,
    styles: Sequence[tuple[AudioSource, float]],
    write: Callable[[np.ndarray], None],
    network: Network,
    settings: AudioStyleSettings,
    *,
    names: Sequence[str] = (),
    folder: Path | None = None,
    store: ChunkStore | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> AudioStyleReport:
    """Give a sound the texture of others: same rate, channels, length and loudness.

    `content` is read about ten seconds at a time; `styles` are at its rate, each with its share; `write`
    takes the result in order, float32 [channel, sample]. `names`, for error messages, are of the content and
    of each style. The columns of `network` are the canvas's hops. `folder`, None: the system's, holds a
    temporary file; in `store` finished windows outlive the run; `progress` takes the finished share, 0..1.

    Raises:
        UserError: a sound that is silent, too short, or holds what is not a number.
        OSError: ENOSPC, no room for the temporary file.
    """
    sources = [content, *(style for style, _ in styles)]
    metered, *style_sounds = map(meter_sound, sources, names or ["the sound"] * len(sources))
    metered_styles = [(sound, share) for sound, (_, share) in zip(style_sounds, styles, strict=True)]
    model, target = make_style_target(metered, metered_styles, network, settings)
    styled = _style_windows(metered, model, target, store, progress)
    with mastering.store_raw(styled, content, folder) as (raw, raw_meter):
        curve = mastering.match_loudness(raw_meter, metered.meter, content.rate)
        report = mastering.write_mastered(raw, curve, content, metered.meter, write)
        result = MeteredSound(raw, raw_meter, metered.grid)
        grams = texture.compute_grams(model, result.read_weighted_pieces(metered))
        left = texture.gram_distances(grams, target.grams) / target.content_distances
    wide = len(model.filters)
    style_left = {"wide": float(left[:wide].mean()), network.card.name: float(left[wide:].mean())}
    return AudioStyleReport(**vars(report), style_left=style_left)


def make_style_target(
    content: MeteredSound,
    styles: Sequence[tuple[MeteredSound, float]],
    network: Network | None,
    settings: AudioStyleSettings,
) -> tuple[texture.AudioTextureModel, texture.AudioStyleTarget]:
    """Measure the styles, each with its share, and how far the content is from them."""
    sounds, parts = zip(*styles, strict=True)
    shares = np.array(parts) / sum(parts)
    means = [_weighted_moments(sound.read_weighted_pieces())[0] for sound in sounds]
    mean = (shares @ np.stack(means)).astype(np.float32)
    model = texture.AudioTextureModel(content.grid, mean, network, settings.seed)
    style_grams = [texture.compute_grams(model, sound.read_weighted_pieces()) for sound in sounds]
    grams = [
        np.sum([share * gram for share, gram in zip(shares, layer, strict=True)], axis=0)
        for layer in zip(*style_grams, strict=True)
    ]
    distances = texture.gram_distances(texture.compute_grams(model, content.read_weighted_pieces()), grams)
    least = [1e-4 * float(np.sum(np.square(gram))) for gram in grams]  # A content that is its own style.
    partials, envelope = (
        max(MIN_VARIANCE, float(_weighted_moments(content.read_weighted_pieces(), bands)[1].mean()))
        for bands in (None, texture.make_envelope_bands(content.grid))
    )
    distances = np.maximum(distances, least)
    return model, texture.AudioStyleTarget(grams, distances, partials, envelope, settings)


def _weighted_moments(
    pieces: texture.WeightedPieces, bands: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of pieces over the hops, float64 [band]; `bands` [run, band] None: of the runs."""
    weight, total, squares = 0.0, np.zeros(1), np.zeros(1)
    for piece, counts in pieces:
        values = piece if bands is None else piece @ bands
        weight += float(counts.sum())
        total = total + counts @ values.astype(np.float64)
        squares = squares + counts @ np.square(values, dtype=np.float64)
    mean = total / max(weight, 1e-12)
    return mean, squares / max(weight, 1e-12) - np.square(mean)


def _style_windows(
    content: MeteredSound,
    model: texture.AudioTextureModel,
    target: texture.AudioStyleTarget,
    store: ChunkStore | None,
    progress: Callable[[float], None],
) -> Iterator[np.ndarray]:
    """The styled sound before mastering, in order, float32 [channel, sample]."""
    stft, n_samples, settings = content.grid.stft, content.source.n_samples, target.settings
    windows = split_into_windows(1 - HALF_WINDOW_HOPS, content.hops + HALF_WINDOW_HOPS)
    gradient = texture.trace_style_gradient(model, content.grid, target)

    def canvases() -> Iterator[tuple[Chunk, np.ndarray]]:
        for number, window in enumerate(windows):

            def on_step(step: int, number: int = number) -> None:
                progress(0.95 * (number + step / settings.steps) / len(windows))

            make = partial(ascend_window, content, window, gradient, settings, on_step)
            yield window, load_or_make(store, number, make)["canvas"]

    def amplitudes() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first, canvas in crossfade_chunks(canvases()):
            start = _read_start_spectra(content, first, first + len(canvas), settings.seed)
            yield content.grid.to_amplitudes(canvas, start, content.level_factor), start

    done = 0
    for samples in overlap_add(stream_griffin_lim(amplitudes(), stft), stft):
        yield samples[:, : n_samples - done]
        done += samples.shape[1]
    progress(1.0)


def split_into_windows(first: int, stop: int) -> list[Chunk]:
    """A sound's hops in windows of nearly equal length, each with what it hears to either side."""
    count = -(-(stop - first) // WINDOW_HOPS)
    edges = [first + (stop - first) * k // count for k in range(count + 1)]
    windows = []
    for number in range(count):
        low, high = max(edges[number] - HALO_HOPS, first), min(edges[number + 1] + HALO_HOPS, stop)
        windows.append(Chunk(number, edges[number], edges[number + 1], low, max(high, low + MIN_CANVAS_HOPS)))
    return windows


def ascend_window(
    content: MeteredSound,
    window: Chunk,
    gradient: Callable[..., np.ndarray],
    settings: AudioStyleSettings,
    on_step: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """The "canvas" of a window on its way from the content to the style, float32 [hop, run].

    By Adam and not by L-BFGS as Ulyanov's: in 100 steps both come to the same loss (0.066 of the start's,
    voice in the style of strings), Adam in half the time. `gradient` is as `trace_style_gradient` traces it;
    `on_step` takes each step's number.
    """
    grid = content.grid
    spectra = _read_start_spectra(content, window.low, window.high, settings.seed)
    x = original = grid.to_canvas(spectra, content.level_factor)
    # Where the content hardly counts, its pauses are filled too.
    counts = grid.measure_presence(original) ** np.float32(min(settings.content_weight, 1.0))
    phases, done = spectra, 0
    for share, step in STAGES:
        count = round(share * settings.steps)

        def smoothed(x: np.ndarray, number: int, done: int = done) -> np.ndarray:
            on_step(done + number)
            result = gradient(x, original, counts, np.int32((done + number) % texture.MAX_ROLL_HOPS))
            return np.asarray(scipy.ndimage.gaussian_filter(result, GRADIENT_SIGMA), np.float32)

        problem = AscentProblem(x, step, smoothed, lambda x: np.maximum(x, np.float32(0)), counts[:, None])
        x = ascend(problem, count, "adam")
        if count:
            x = texture.limit_hop_energy(x, original, grid.run_sizes, settings.keep_rhythm).numpy()
            amplitudes = grid.to_amplitudes(x, spectra, content.level_factor)
            fitted = griffin_lim(amplitudes, phases, grid.stft, iterations=STAGE_ITERATIONS)
            phases = project_spectra(fitted, grid.stft)
            x = grid.to_canvas(phases, content.level_factor)
        done += count
    return {"canvas": x}


def _read_start_spectra(content: MeteredSound, first: int, stop: int, seed: int) -> np.ndarray:
    """The content's spectra [channel, hop, bin]; where it is silent they have a phase to begin with too."""
    spectra = content.read_spectra(first, stop)
    noise = rng_for(seed, "style", "phase", first).standard_normal((*spectra.shape, 2), np.float32)
    return np.asarray(spectra + np.float32(1e-7) * noise.view(np.complex64)[..., 0])
