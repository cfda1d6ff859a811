"""A sound in the style of others: its own course and envelope, their texture.

The content's amplitudes are a canvas that climbs towards the styles' Gram matrices and is held back by what
it was; phases are found afterwards. One canvas serves all channels, so a sound keeps its place between them.
Long sounds go through in windows of ten seconds, each towards the texture of the whole styles.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage
import soundfile

from mmdream.ascent import Canvas, ascend
from mmdream.chance import rng
from mmdream.errors import UserError
from mmdream.sound.amplitudes import Grid, grid
from mmdream.sound.chunks import HALO, Chunk, crossfaded
from mmdream.sound.level import Meter, level_factor
from mmdream.sound.manner import Manner
from mmdream.sound.mastered import mastered
from mmdream.sound.phase import phased
from mmdream.sound.source import FileSource, Source, blocks, padded
from mmdream.sound.stft import REACH, samples_of, spectra
from mmdream.sound.texture import ROLL, TAPS, Aim, Texture, distances, envelope, grams, paced, slope, texture

if TYPE_CHECKING:
    from mmdream.networks.network import Network

LEVEL_DBFS = -23.0
"""That contents and styles are brought to before they are compared."""
SHORTEST = 0.25
"""Seconds; a shorter sound has no texture, and fewer hops than the longest filter needs."""
LENGTH = 860
"""Hops of a window, 10 s."""
LEAST = 64
"""Hops of the shortest canvas."""
STEP = 0.12, 0.03
"""RMS of a step on the canvas's scale, nepers; for the first two thirds of the steps, and the last."""
BLUR = 2.0, 1.0
"""Sigma in hops and runs of the gradient's smoothing: about what one window and one partial reach. Without it
networks draw dots that no sound can have, and that are heard as musical noise."""
LEAST_SPREAD = 0.05
"""Square nepers; a standing tone hardly varies."""


@dataclass(frozen=True, eq=False)
class Heard:
    """A sound that was metered, on the canvas's clock: hop h is centred on sample h * hop."""

    source: Source
    meter: Meter
    factor: float
    grid: Grid

    @property
    def hops(self) -> int:
        """Hops that begin in it."""
        return -(-self.source.n_samples // self.grid.stft.hop)

    def spectra(self, first: int, stop: int) -> np.ndarray:
        """Complex64 [channel, hop, bin], silent beyond its ends."""
        reach, hop = REACH * self.grid.stft.hop, self.grid.stft.hop
        return spectra(padded(self.source, first * hop - reach, (stop - 1) * hop + reach), self.grid.stft)

    def canvas(self, first: int, stop: int) -> np.ndarray:
        """float32 [hop, run]."""
        return self.grid.told(self.spectra(first, stop), self.factor)

    def pieces(self) -> Iterator[np.ndarray]:
        """The whole canvas, in pieces that overlap by what the filters reach."""
        for window in windows(0, self.hops):
            yield self.canvas(window.first, window.stop + max(TAPS) - 1)


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


def style_sound(
    content: Source,
    styles: Sequence[tuple[Source, float]],
    write: Callable[[np.ndarray], None],
    network: Network,
    manner: Manner,
    *,
    names: Sequence[str] = (),
    folder: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> SoundReport:
    """Give a sound the texture of others: same rate, channels, length and loudness.

    Args:
        content: asked for about ten seconds at a time.
        styles: at the content's rate, each with its share.
        write: takes the result in order, float32 [channel, sample].
        network: the sound network that hears beside the wide one; its columns are the canvas's hops.
        manner: how.
        names: of the content and of each style, for what is wrong with them.
        folder: where the temporary file goes; None: the system's place.
        progress: takes the finished share, 0..1.

    Returns:
        What was done.

    Raises:
        UserError: a sound that is silent, too short, or holds what is not a number.
    """
    called = [*names, *["the sound"] * (1 + len(styles))]
    told = heard(content, called[0])
    on, aim = aimed(told, [(heard(s, n), w) for (s, w), n in zip(styles, called[1:], strict=False)],
                    network, manner)  # fmt: skip
    with tempfile.TemporaryDirectory(dir=folder, prefix="style") as place:
        path = Path(place) / "raw.wav"
        raw = Meter(content.rate, content.channels, content.layout)
        with soundfile.SoundFile(path, "w", content.rate, content.channels, "FLOAT", format="RF64") as file:
            for samples in _raw(told, on, aim, manner, progress or (lambda share: None)):
                raw.feed(samples)
                file.write(samples.T)
        with soundfile.SoundFile(path) as file:
            final, peak = mastered(FileSource(file), raw, content, told.meter, write)
            result = Heard(FileSource(file), raw, level_factor(raw.level(), LEVEL_DBFS), told.grid)
            left = distances(grams(on, result.pieces()), aim.grams) / aim.away
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


def heard(source: Source, name: str) -> Heard:
    """Meter a sound.

    Raises:
        UserError: it is silent, too short, or holds what is not a number.
    """
    meter = Meter(source.rate, source.channels, source.layout)
    if source.n_samples < SHORTEST * source.rate:
        raise UserError(
            f"{name}: lasts {source.n_samples / source.rate:.3g} s; there is no style in less than {SHORTEST:g} s"
        )
    try:
        for samples in blocks(source):
            meter.feed(samples)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if meter.loudness() < QUIETEST:
        raise UserError(f"{name}: is silent; give a sound that can be heard")
    return Heard(source, meter, level_factor(meter.level(), LEVEL_DBFS), grid(source.rate))


QUIETEST = -100.0
"""LUFS or dBFS; the noise of 16 bits is louder."""


def aimed(
    content: Heard, styles: Sequence[tuple[Heard, float]], network: Network | None, manner: Manner
) -> tuple[Texture, Aim]:
    """Hear the styles, and how far the content is from them.

    Args:
        content: what is styled.
        styles: each with its share.
        network: as in `style_sound`; None: the wide one alone.
        manner: how.
    """
    shares = np.array([weight for _, weight in styles]) / sum(weight for _, weight in styles)
    sounds = [sound for sound, _ in styles]
    middles = [_moments(sound.pieces())[0] for sound in sounds]
    on = texture(content.grid, (shares @ np.stack(middles)).astype(np.float32), network, manner.seed)
    each = [grams(on, sound.pieces()) for sound in sounds]
    wanted = [sum(share * gram for share, gram in zip(shares, layer, strict=True))
              for layer in zip(*each, strict=True)]  # fmt: skip
    away = distances(grams(on, content.pieces()), wanted)
    least = [1e-4 * float(np.sum(np.square(gram))) for gram in wanted]  # A content that is its own style.
    bands = envelope(content.grid)
    spreads = [
        max(LEAST_SPREAD, float(_moments(pieces)[1].mean()))
        for pieces in (content.pieces(), (piece @ bands for piece in content.pieces()))
    ]
    aim = Aim(wanted, np.maximum(away, least), (spreads[0], spreads[1]),
              manner.content_weight, manner.keep_rhythm)  # fmt: skip
    return on, aim


def _moments(pieces: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over the hops, float64 [run]."""
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for piece in pieces:
        count += len(piece)
        total = total + piece.sum(axis=0, dtype=np.float64)
        squares = squares + np.square(piece, dtype=np.float64).sum(axis=0)
    return total / count, squares / count - np.square(total / count)


def windows(first: int, stop: int) -> list[Chunk]:
    """A sound's hops in windows of nearly equal length, each with what it hears to either side."""
    count = -(-(stop - first) // LENGTH)
    edges = [first + (stop - first) * k // count for k in range(count + 1)]
    found = []
    for number in range(count):
        low, high = max(edges[number] - HALO, first), min(edges[number + 1] + HALO, stop)
        found.append(Chunk(number, edges[number], edges[number + 1], low, max(high, low + LEAST)))
    return found


def climbed(
    content: np.ndarray, way: Callable[..., np.ndarray], steps: int, tell: Callable[[int], None]
) -> np.ndarray:
    """A canvas on its way from a content to a style.

    By `ascend` and not by L-BFGS as Ulyanov's: in 100 steps both come to the same loss (0.066 of the start's,
    voice in the style of strings), Adam's steps in half the time.

    Args:
        content: float32 [hop, run].
        way: (canvas, content, roll) -> gradient, as `slope` traces it.
        steps: how many.
        tell: told each step's number.
    """

    def legs(first: int) -> Callable[[np.ndarray, int], np.ndarray]:
        def smooth(x: np.ndarray, number: int) -> np.ndarray:
            tell(first + number)
            found = way(x, content, np.int32((first + number) % ROLL))
            return np.asarray(scipy.ndimage.gaussian_filter(found, BLUR), np.float32)

        return smooth

    coarse = steps * 2 // 3
    x = ascend(Canvas(content, STEP[0], legs(0), _not_negative), coarse, "adam")
    return ascend(Canvas(x, STEP[1], legs(coarse), _not_negative), steps - coarse, "adam")


def _not_negative(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, np.float32(0))


def _raw(
    content: Heard, on: Texture, aim: Aim, manner: Manner, tell: Callable[[float], None]
) -> Iterator[np.ndarray]:
    """The styled sound before its loudness is matched, in order, float32 [channel, sample]."""
    stft, n_samples = content.grid.stft, content.source.n_samples
    grid_windows = windows(1 - REACH, content.hops + REACH)
    way = slope(on, content.grid, aim)

    def canvases() -> Iterator[tuple[Chunk, np.ndarray]]:
        for place, window in enumerate(grid_windows):
            canvas = content.canvas(window.low, window.high)

            def told(number: int, place: int = place) -> None:
                tell(0.95 * (place + number / manner.steps) / len(grid_windows))

            x = climbed(canvas, way, manner.steps, told)
            yield window, paced(x, canvas, content.grid.widths).numpy() if manner.keep_rhythm else x

    def wanted() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first, canvas in crossfaded(canvases()):
            was = content.spectra(first, first + len(canvas))
            draw = rng(manner.seed, "style", "phase", first).standard_normal((*was.shape, 2), np.float32)
            # Where the content is silent it has no phase to begin with.
            start = was + 1e-7 * draw.view(np.complex64)[..., 0]
            yield content.grid.amplitudes(canvas, was, content.factor), start

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
