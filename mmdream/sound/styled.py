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

from mmdream.ascent import Canvas, ascend
from mmdream.chance import rng
from mmdream.report import Report
from mmdream.sound.chunks import Chunk, crossfaded
from mmdream.sound.heard import LEVEL_DBFS, Heard, heard, moments, windows
from mmdream.sound.kept import Kept
from mmdream.sound.level import Meter, level_factor
from mmdream.sound.mastered import matched, written
from mmdream.sound.peak import CEILING, PeakMeter
from mmdream.sound.phase import consistent, phased, projected
from mmdream.sound.source import FileSource, Source, append, blocks
from mmdream.sound.stft import REACH, samples_of
from mmdream.sound.styling import Styling
from mmdream.sound.texture import ROLL, Aim, Texture, distances, envelope, grams, paced, slope, texture

if TYPE_CHECKING:
    from mmdream.networks.network import Network

LEGS = (0.5, 0.12), (0.3, 0.06), (0.2, 0.03)
"""Share of the steps, and RMS of each on the canvas's scale, nepers. After each leg the canvas is brought to
amplitudes that a sound can have: without that half of what was drawn cancelled in the overlaps (inconsistency
0.51 in place of 0.06, vibraphone in the style of strings), at the same distance to the style."""
BETWEEN = 8
"""Rounds of Griffin-Lim after each leg."""
BLUR = 2.0, 1.0
"""Sigma in hops and runs of the gradient's smoothing: about what one window and one partial reach. Without it
networks draw dots that no sound can have, and that are heard as musical noise."""
LEAST_SPREAD = 0.05
"""Square nepers; a standing tone hardly varies."""


@dataclass(frozen=True)
class SoundReport:
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

    def told_in(self, report: Report) -> Report:
        """A film's report with these figures; sounds are styled in float32."""
        return replace(
            report,
            loudness_source=self.loudness_source,
            loudness_dream=self.loudness,
            true_peak=self.true_peak,
            precision={**report.precision, "sound": "float32"},
        )


def style_sound(
    content: Source,
    styles: Sequence[tuple[Source, float]],
    write: Callable[[np.ndarray], None],
    network: Network,
    styling: Styling,
    *,
    names: Sequence[str] = (),
    folder: Path | None = None,
    kept: Kept | None = None,
    progress: Callable[[float], None] | None = None,
) -> SoundReport:
    """Give a sound the texture of others: same rate, channels, length and loudness.

    Args:
        content: asked for about ten seconds at a time.
        styles: at the content's rate, each with its share.
        write: takes the result in order, float32 [channel, sample].
        network: the sound network that hears beside the wide one; its columns are the canvas's hops.
        styling: how.
        names: of the content and of each style, for what is wrong with them.
        folder: where the temporary file goes; None: the system's place.
        kept: where finished windows outlive the run; None: nowhere.
        progress: takes the finished share, 0..1.

    Returns:
        What was done.

    Raises:
        UserError: a sound that is silent, too short, or holds what is not a number.
        OSError: ENOSPC, no room for the temporary file.
    """
    called = [*names, *["the sound"] * (1 + len(styles))]
    told = heard(content, called[0])
    on, aim = aimed(told, [(heard(s, n), w) for (s, w), n in zip(styles, called[1:], strict=False)],
                    network, styling)  # fmt: skip
    with tempfile.TemporaryDirectory(dir=folder, prefix="style") as place:
        path = Path(place) / "raw.wav"
        raw = Meter(content.rate, content.channels, content.layout)
        with soundfile.SoundFile(path, "w", content.rate, content.channels, "FLOAT", format="RF64") as file:
            for samples in _raw(told, on, aim, styling, kept, progress or (lambda share: None)):
                raw.feed(samples)
                append(file, samples)
        with soundfile.SoundFile(path) as file:
            level, top = matched(raw, told.meter, content.rate), PeakMeter(content.channels)
            for samples in blocks(content):
                top.feed(samples)
            final, peak = written(FileSource(file), content.layout, level, max(CEILING, top.peak), write)
            result = Heard(FileSource(file), raw, level_factor(raw.level(), LEVEL_DBFS), told.grid)
            left = distances(grams(on, result.counted(told)), aim.grams) / aim.away
    wide = len(on.filters)
    return SoundReport(
        n_samples=content.n_samples,
        rate=content.rate,
        channels=content.channels,
        loudness_source=told.meter.loudness(),
        loudness=final.loudness(),
        true_peak=20 * math.log10(peak) if peak > 0 else -math.inf,
        style_left={"wide": float(left[:wide].mean()), network.card.name: float(left[wide:].mean())},
    )


def aimed(
    content: Heard, styles: Sequence[tuple[Heard, float]], network: Network | None, styling: Styling
) -> tuple[Texture, Aim]:
    """Hear the styles, and how far the content is from them.

    Args:
        content: what is styled.
        styles: each with its share.
        network: as in `style_sound`; None: the wide one alone.
        styling: how.
    """
    shares = np.array([weight for _, weight in styles]) / sum(weight for _, weight in styles)
    sounds = [sound for sound, _ in styles]
    middles = [moments(sound.counted())[0] for sound in sounds]
    middle = (shares @ np.stack(middles)).astype(np.float32)
    on = texture(content.grid, middle, network, styling.seed)
    each = [grams(on, sound.counted()) for sound in sounds]
    wanted = [
        np.sum([share * gram for share, gram in zip(shares, layer, strict=True)], axis=0)
        for layer in zip(*each, strict=True)
    ]
    away = distances(grams(on, content.counted()), wanted)
    least = [1e-4 * float(np.sum(np.square(gram))) for gram in wanted]  # A content that is its own style.
    bands = envelope(content.grid)
    spreads = [
        max(LEAST_SPREAD, float(moments(content.counted(), shape)[1].mean())) for shape in (None, bands)
    ]
    aim = Aim(wanted, np.maximum(away, least), (spreads[0], spreads[1]),
              styling.content_weight, styling.keep_rhythm)  # fmt: skip
    return on, aim


def climbed(
    content: Heard,
    window: Chunk,
    way: Callable[..., np.ndarray],
    styling: Styling,
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
    grid, spectra = content.grid, begun(content, window.low, window.high, styling.seed)
    x = was = grid.told(spectra, content.factor)
    # Where the content hardly counts, its pauses are filled too.
    counts = grid.sounding(was) ** np.float32(min(styling.content_weight, 1.0))
    phases, done = spectra, 0
    for share, step in LEGS:
        count = round(share * styling.steps)

        def smooth(x: np.ndarray, number: int, done: int = done) -> np.ndarray:
            tell(done + number)
            found = way(x, was, counts, np.int32((done + number) % ROLL))
            return np.asarray(scipy.ndimage.gaussian_filter(found, BLUR), np.float32)

        x = ascend(Canvas(x, step, smooth, _not_negative, counts[:, None]), count, "adam")
        if count:
            x = paced(x, was, grid.widths, styling.keep_rhythm).numpy()
            wanted = grid.amplitudes(x, spectra, content.factor)
            phases = projected(consistent(wanted, phases, grid.stft, rounds=BETWEEN), grid.stft)
            x = grid.told(phases, content.factor)
        done += count
    return x


def begun(content: Heard, first: int, stop: int, seed: int) -> np.ndarray:
    """The content's spectra [channel, hop, bin]; where it is silent they have a phase to begin with too."""
    found = content.spectra(first, stop)
    draw = rng(seed, "style", "phase", first).standard_normal((*found.shape, 2), np.float32)
    return np.asarray(found + np.float32(1e-7) * draw.view(np.complex64)[..., 0])


def _not_negative(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, np.float32(0))


def _raw(
    content: Heard,
    on: Texture,
    aim: Aim,
    styling: Styling,
    kept: Kept | None,
    tell: Callable[[float], None],
) -> Iterator[np.ndarray]:
    """The styled sound before its loudness is matched, in order, float32 [channel, sample]."""
    stft, n_samples = content.grid.stft, content.source.n_samples
    grid_windows = windows(1 - REACH, content.hops + REACH)
    way = slope(on, content.grid, aim)

    def canvases() -> Iterator[tuple[Chunk, np.ndarray]]:
        for place, window in enumerate(grid_windows):

            def told(number: int, place: int = place) -> None:
                tell(0.95 * (place + number / styling.steps) / len(grid_windows))

            arrays = None if kept is None else kept.load(place)
            if arrays is None:
                arrays = {"canvas": climbed(content, window, way, styling, told)}
                if kept is not None:
                    kept.save(place, arrays)
            yield window, arrays["canvas"]

    def wanted() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first, canvas in crossfaded(canvases()):
            start = begun(content, first, first + len(canvas), styling.seed)
            yield content.grid.amplitudes(canvas, start, content.factor), start

    done = 0
    before = np.zeros((content.source.channels, 0, stft.n_bins), np.complex64)
    for found in phased(wanted(), stft):
        joined = np.concatenate((before, found), axis=1)
        if joined.shape[1] < 2 * REACH:
            before = joined
            continue
        samples = samples_of(joined, stft)[:, : n_samples - done]
        before = joined[:, -(2 * REACH - 1) :]
        done += samples.shape[1]
        yield samples
    tell(1.0)
