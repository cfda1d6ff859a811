"""A sound in the style of others: its own course and envelope, their texture.

The content's amplitudes are a canvas that climbs towards the styles' Gram matrices and is held back by what
it was; phases are found afterwards. One canvas serves all channels, so a sound keeps its place between them.
Long sounds go through in windows of ten seconds, each towards the texture of the whole styles.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage
import soundfile

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.audio.chunks import Chunk, ChunkStore, crossfade_chunks
from mmdream.audio.loudness import LoudnessMeter, compute_level_factor
from mmdream.audio.mastering import PEAK_CEILING, TruePeakMeter, match_loudness, write_mastered
from mmdream.audio.resynthesis import griffin_lim, project_spectra, stream_griffin_lim
from mmdream.audio.source import AudioSource, FileSource, append_samples, read_blocks
from mmdream.audio.stft import HALF_WINDOW_HOPS, inverse_stft
from mmdream.audio.style_canvas import (
    STYLE_LEVEL_DBFS,
    MeteredSound,
    meter_sound,
    split_into_windows,
    weighted_moments,
)
from mmdream.audio.texture import (
    MAX_ROLL_HOPS,
    AudioStyleTarget,
    AudioTextureModel,
    build_texture_model,
    compute_grams,
    gram_distances,
    limit_hop_energy,
    make_envelope_bands,
    trace_style_gradient,
)
from mmdream.core.report import Report
from mmdream.core.rng import rng_for
from mmdream.settings.passes import AudioStyleSettings

if TYPE_CHECKING:
    from mmdream.networks.network import Network

STAGES = (0.5, 0.12), (0.3, 0.06), (0.2, 0.03)
"""Share of the steps, and RMS of each on the canvas's scale, nepers. After each leg the canvas is brought to
amplitudes that a sound can have: without that half of what was drawn cancelled in the overlaps (inconsistency
0.51 in place of 0.06, vibraphone in the style of strings), at the same distance to the style."""
STAGE_ITERATIONS = 8
"""Rounds of Griffin-Lim after each leg."""
GRADIENT_SIGMA = 2.0, 1.0
"""Sigma in hops and runs of the gradient's smoothing: about what one window and one partial reach. Without it
networks draw dots that no sound can have, and that are heard as musical noise."""
MIN_VARIANCE = 0.05
"""Square nepers; a standing tone hardly varies."""


@dataclass(frozen=True)
class AudioStyleReport:
    """What was done to a sound."""

    n_samples: int
    rate: int
    channels: int
    loudness_source: float
    """LUFS, or dB RMS for sounds too short or too quiet for BS.1770."""
    loudness: float
    true_peak: float
    """dBTP."""
    style_left: dict[str, float]
    """What is left of the content's distance to the styles' Gram matrices, for the wide network and the
    trained one, as the finished sound has it."""

    def extend_report(self, report: Report) -> Report:
        """A film's report with these figures; sounds are styled in float32."""
        return replace(
            report,
            loudness_source=self.loudness_source,
            loudness_dream=self.loudness,
            true_peak=self.true_peak,
            precision={**report.precision, "sound": "float32"},
        )


def style_source(
    content: AudioSource,
    styles: Sequence[tuple[AudioSource, float]],
    write: Callable[[np.ndarray], None],
    network: Network,
    styling: AudioStyleSettings,
    *,
    names: Sequence[str] = (),
    folder: Path | None = None,
    store: ChunkStore | None = None,
    progress: Callable[[float], None] | None = None,
) -> AudioStyleReport:
    """Give a sound the texture of others: same rate, channels, length and loudness.

    Args:
        content: asked for about ten seconds at a time.
        styles: at the content's rate, each with its share.
        write: takes the result in order, float32 [channel, sample].
        network: the sound network that hears beside the wide one; its columns are the canvas's hops.
        styling: how.
        names: of the content and of each style, for what is wrong with them.
        folder: where the temporary file goes; None: the system's place.
        store: where finished windows outlive the run; None: nowhere.
        progress: takes the finished share, 0..1.

    Returns:
        What was done.

    Raises:
        UserError: a sound that is silent, too short, or holds what is not a number.
        OSError: ENOSPC, no room for the temporary file.
    """
    called = [*names, *["the sound"] * (1 + len(styles))]
    told = meter_sound(content, called[0])
    on, aim = make_style_target(told, [(meter_sound(s, n), w) for (s, w), n in zip(styles, called[1:], strict=False)],
                    network, styling)  # fmt: skip
    with tempfile.TemporaryDirectory(dir=folder, prefix="style") as place:
        path = Path(place) / "raw.wav"
        raw = LoudnessMeter(content.rate, content.channels, content.layout)
        with soundfile.SoundFile(path, "w", content.rate, content.channels, "FLOAT", format="RF64") as file:
            for samples in _style_windows(told, on, aim, styling, store, progress or (lambda share: None)):
                raw.feed(samples)
                append_samples(file, samples)
        with soundfile.SoundFile(path) as file:
            level, top = match_loudness(raw, told.meter, content.rate), TruePeakMeter(content.channels)
            for samples in read_blocks(content):
                top.feed(samples)
            final, peak = write_mastered(
                FileSource(file), content.layout, level, max(PEAK_CEILING, top.peak), write
            )
            result = MeteredSound(
                FileSource(file), raw, compute_level_factor(raw.level(), STYLE_LEVEL_DBFS), told.grid
            )
            left = gram_distances(compute_grams(on, result.read_weighted_pieces(told)), aim.grams) / aim.away
    wide = len(on.filters)
    return AudioStyleReport(
        n_samples=content.n_samples,
        rate=content.rate,
        channels=content.channels,
        loudness_source=told.meter.loudness(),
        loudness=final.loudness(),
        true_peak=20 * math.log10(peak) if peak > 0 else -math.inf,
        style_left={"wide": float(left[:wide].mean()), network.card.name: float(left[wide:].mean())},
    )


def make_style_target(
    content: MeteredSound,
    styles: Sequence[tuple[MeteredSound, float]],
    network: Network | None,
    styling: AudioStyleSettings,
) -> tuple[AudioTextureModel, AudioStyleTarget]:
    """Hear the styles, and how far the content is from them.

    Args:
        content: what is styled.
        styles: each with its share.
        network: as in `style_source`; None: the wide one alone.
        styling: how.
    """
    shares = np.array([weight for _, weight in styles]) / sum(weight for _, weight in styles)
    sounds = [sound for sound, _ in styles]
    middles = [weighted_moments(sound.read_weighted_pieces())[0] for sound in sounds]
    middle = (shares @ np.stack(middles)).astype(np.float32)
    on = build_texture_model(content.grid, middle, network, styling.seed)
    each = [compute_grams(on, sound.read_weighted_pieces()) for sound in sounds]
    wanted = [
        np.sum([share * gram for share, gram in zip(shares, layer, strict=True)], axis=0)
        for layer in zip(*each, strict=True)
    ]
    away = gram_distances(compute_grams(on, content.read_weighted_pieces()), wanted)
    least = [1e-4 * float(np.sum(np.square(gram))) for gram in wanted]  # A content that is its own style.
    bands = make_envelope_bands(content.grid)
    spreads = [
        max(MIN_VARIANCE, float(weighted_moments(content.read_weighted_pieces(), shape)[1].mean()))
        for shape in (None, bands)
    ]
    aim = AudioStyleTarget(wanted, np.maximum(away, least), (spreads[0], spreads[1]),
              styling.content_weight, styling.keep_rhythm)  # fmt: skip
    return on, aim


def ascend_window(
    content: MeteredSound,
    window: Chunk,
    way: Callable[..., np.ndarray],
    styling: AudioStyleSettings,
    tell: Callable[[int], None],
) -> np.ndarray:
    """The canvas of a window on its way from the content to the style.

    By `ascend` and not by L-BFGS as Ulyanov's: in 100 steps both come to the same loss (0.066 of the start's,
    voice in the style of strings), Adam's steps in half the time.

    Args:
        content: what is styled.
        window: of it.
        way: (canvas, content, counts, roll) -> gradient, as `slope` traces it.
        styling: how.
        tell: told each step's number.

    Returns:
        float32 [hop, run].
    """
    grid, spectra = content.grid, read_start_spectra(content, window.low, window.high, styling.seed)
    x = was = grid.told(spectra, content.factor)
    # Where the content hardly counts, its pauses are filled too.
    counts = grid.measure_presence(was) ** np.float32(min(styling.content_weight, 1.0))
    phases, done = spectra, 0
    for share, step in STAGES:
        count = round(share * styling.steps)

        def smooth(x: np.ndarray, number: int, done: int = done) -> np.ndarray:
            tell(done + number)
            found = way(x, was, counts, np.int32((done + number) % MAX_ROLL_HOPS))
            return np.asarray(scipy.ndimage.gaussian_filter(found, GRADIENT_SIGMA), np.float32)

        x = ascend(AscentProblem(x, step, smooth, _clip_negative, counts[:, None]), count, "adam")
        if count:
            x = limit_hop_energy(x, was, grid.widths, styling.keep_rhythm).numpy()
            wanted = grid.to_amplitudes(x, spectra, content.factor)
            phases = project_spectra(
                griffin_lim(wanted, phases, grid.stft, rounds=STAGE_ITERATIONS), grid.stft
            )
            x = grid.told(phases, content.factor)
        done += count
    return x


def read_start_spectra(content: MeteredSound, first: int, stop: int, seed: int) -> np.ndarray:
    """The content's spectra [channel, hop, bin]; where it is silent they have a phase to begin with too."""
    found = content.spectra(first, stop)
    draw = rng_for(seed, "style", "phase", first).standard_normal((*found.shape, 2), np.float32)
    return np.asarray(found + np.float32(1e-7) * draw.view(np.complex64)[..., 0])


def _clip_negative(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, np.float32(0))


def _style_windows(
    content: MeteredSound,
    on: AudioTextureModel,
    aim: AudioStyleTarget,
    styling: AudioStyleSettings,
    kept: ChunkStore | None,
    tell: Callable[[float], None],
) -> Iterator[np.ndarray]:
    """The styled sound before its loudness is matched, in order, float32 [channel, sample]."""
    stft, n_samples = content.grid.stft, content.source.n_samples
    grid_windows = split_into_windows(1 - HALF_WINDOW_HOPS, content.hops + HALF_WINDOW_HOPS)
    way = trace_style_gradient(on, content.grid, aim)

    def canvases() -> Iterator[tuple[Chunk, np.ndarray]]:
        for place, window in enumerate(grid_windows):

            def told(number: int, place: int = place) -> None:
                tell(0.95 * (place + number / styling.steps) / len(grid_windows))

            arrays = None if kept is None else kept.load(place)
            if arrays is None:
                arrays = {"canvas": ascend_window(content, window, way, styling, told)}
                if kept is not None:
                    kept.save(place, arrays)
            yield window, arrays["canvas"]

    def wanted() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first, canvas in crossfade_chunks(canvases()):
            start = read_start_spectra(content, first, first + len(canvas), styling.seed)
            yield content.grid.to_amplitudes(canvas, start, content.factor), start

    done = 0
    before = np.zeros((content.source.channels, 0, stft.n_bins), np.complex64)
    for found in stream_griffin_lim(wanted(), stft):
        joined = np.concatenate((before, found), axis=1)
        if joined.shape[1] < 2 * HALF_WINDOW_HOPS:
            before = joined
            continue
        samples = inverse_stft(joined, stft)[:, : n_samples - done]
        before = joined[:, -(2 * HALF_WINDOW_HOPS - 1) :]
        done += samples.shape[1]
        yield samples
    tell(1.0)
