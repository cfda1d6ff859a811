"""Loudness of a sound that comes in blocks (ITU-R BS.1770), and gains that match it to another.

pyloudnorm takes whole arrays of at most five channels; here are its filters, for any layout and length.
"""

from __future__ import annotations

from array import array

import numpy as np
import scipy.optimize
import scipy.signal
from pyloudnorm import IIRfilter

from mmdream.audio.source import AudioSource, read_blocks

_DEFAULT_LAYOUTS = {
    1: "FC", 2: "FL FR", 3: "FL FR FC", 4: "FL FR FC BC", 5: "FL FR FC BL BR",
    6: "FL FR FC LFE BL BR", 7: "FL FR FC LFE BC SL SR", 8: "FL FR FC LFE BL BR SL SR",
}  # fmt: skip
"""FFmpeg's channels for a bare channel count."""
_NAMED_LAYOUTS = {
    "2.1": "FL FR LFE", "3.0(back)": "FL FR BC", "3.1": "FL FR FC LFE", "4.1": "FL FR FC LFE BC",
    "quad": "FL FR BL BR", "quad(side)": "FL FR SL SR", "6.0": "FL FR FC BC SL SR",
    "7.0": "FL FR FC BL BR SL SR",
}  # fmt: skip
"""FFmpeg's layouts whose channels differ from the bare count's in weight."""
_BLOCKS_A_SECOND = 10
MAX_EXCESS_LU = 3.0
"""By how much 400 ms of a dream may be louder than those of its source, unless they lie QUIET_MARGIN_LU under
the source's integrated loudness: a faint rattle must not become a blow, but a dream may fill a pause."""
QUIET_MARGIN_LU = 10.0
_BLOCK_MARGIN_LU = 0.1
"""Left for what lies between the tenths of a second."""
_MAX_NEPERS = np.log(10 ** (40 / 20))
"""No loudness match needs more than 40 dB."""


def compute_channel_weights(channels: int, layout: str | None) -> np.ndarray:
    """Weights of BS.1770, float64 [channel]: 1 in front, 1.41 beside and behind, 0 for the LFE.

    `layout` is FFmpeg's name, such as "5.1(side)"; None or unknown: the usual one of this count.
    """
    names = _NAMED_LAYOUTS.get(layout or "", "").split()
    if len(names) != channels:
        names = _DEFAULT_LAYOUTS.get(channels, "").split()
    if len(names) != channels:
        return np.ones(channels)
    return np.array([0.0 if n == "LFE" else 1.41 if n[0] in "BS" else 1.0 for n in names])


def k_weighting(rate: int) -> np.ndarray:
    """The filter of BS.1770 at a rate, as second-order sections, float64 [2, 6]."""
    # That of pyloudnorm, whose `Meter` keeps it to itself.
    filters = (
        IIRfilter(4.0, 1 / np.sqrt(2), 1500.0, rate, "high_shelf"),
        IIRfilter(0.0, 0.5, 38.0, rate, "high_pass"),
    )
    return np.stack([np.concatenate((f.b, f.a)) for f in filters])


class LoudnessMeter:
    """Meters a sound that comes in blocks of any length; `layout` is FFmpeg's name of its channels.

    Methods with `nepers` give the figures behind a log gain: one, or float64 [block] of tenths of a second.
    """

    def __init__(self, rate: int, channels: int, layout: str | None = None) -> None:
        self._rate = rate
        self._weights = compute_channel_weights(channels, layout)
        self._sections = k_weighting(rate)
        self._state = np.zeros((2, channels, 2))
        self._n_samples = 0
        self._weighted = array("d")
        self._power = array("d")

    def feed(self, samples: np.ndarray) -> None:
        """Take the next block, float32 [channel, sample]."""
        if not samples.shape[1]:
            return
        given = samples.astype(np.float64)
        weighted, self._state = scipy.signal.sosfilt(self._sections, given, axis=1, zi=self._state)
        energies = (self._weights @ np.square(weighted), np.square(given).sum(axis=0))
        start, stop = self._n_samples, self._n_samples + samples.shape[1]
        first, last = self._block_of(start), self._block_of(stop - 1)
        edges = np.maximum(self._edges(first, last), start) - start
        for sums, energy in zip((self._weighted, self._power), energies, strict=True):
            sums.extend([0.0] * (last + 1 - len(sums)))
            for block, value in enumerate(np.add.reduceat(energy, edges), first):
                sums[block] += float(value)
        self._n_samples = stop

    def block_seconds(self) -> np.ndarray:
        """Centres of the tenth-second blocks, float64 [block], in seconds from the first sample."""
        return (np.arange(len(self._power)) + 0.5) / _BLOCKS_A_SECOND

    def loudness(self, nepers: np.ndarray | float = 0.0) -> float:
        """Integrated loudness, LUFS; the RMS in dB under 0.4 s or -70 LUFS; -inf for silence."""
        gated = self._gated(nepers)
        return gated if np.isfinite(gated) else self._rms(nepers)

    def momentary_loudness(self, nepers: np.ndarray | float = 0.0) -> np.ndarray:
        """Loudness of each whole 400 ms, a tenth of a second apart, LUFS, float64 [window]."""
        with np.errstate(divide="ignore"):
            return np.asarray(-0.691 + 10 * np.log10(self._powers(nepers)))

    def measure_excess(self, source: LoudnessMeter, nepers: np.ndarray | float = 0.0) -> np.ndarray:
        """Nepers at the blocks' centres by which to turn this sound down where it passes `MAX_EXCESS_LU`."""
        nepers_over = np.zeros(len(self._power))
        quiet = source.loudness() - QUIET_MARGIN_LU
        allowed = np.maximum(source.momentary_loudness() + MAX_EXCESS_LU, quiet) - _BLOCK_MARGIN_LU
        if not len(allowed) or not np.isfinite(quiet):
            return nepers_over
        excess = np.maximum(self.momentary_loudness(nepers) - allowed, 0.0) * np.log(10) / 20
        # A window's four blocks, and one more at either end, because the gain moves between their centres.
        for block in range(-1, 5):
            blocks = np.clip(np.arange(len(excess)) + block, 0, len(nepers_over) - 1)
            np.maximum.at(nepers_over, blocks, excess)
        return nepers_over

    def find_gain_to(
        self, target: LoudnessMeter | float, share: np.ndarray, before: np.ndarray | float = 0.0
    ) -> float:
        """The gain, nepers, that makes this sound as loud as `target` when it acts as gain^share.

        The target is another sound's meter or an integrated loudness, LUFS. `share` is float64 [block], 0..1;
        without any, or where either sound is silent, the gain is 0. `before` acts besides, nepers [block].
        """
        measure = LoudnessMeter._gated
        if isinstance(target, LoudnessMeter):
            if not np.isfinite(measure(target, 0.0)) or not np.isfinite(measure(self, 0.0)):
                measure = LoudnessMeter._rms
            target = measure(target, 0.0)
        if not np.isfinite(target) or not np.isfinite(measure(self, 0.0)) or not share.any():
            return 0.0

        def excess(nepers: float) -> float:
            return max(measure(self, nepers * share + before), -200.0) - target

        if excess(-_MAX_NEPERS) >= 0 or excess(_MAX_NEPERS) <= 0:
            # Hardly any of the sound is open to the gain: leave it as it is.
            return 0.0
        return float(scipy.optimize.brentq(excess, -_MAX_NEPERS, _MAX_NEPERS, xtol=1e-6))

    def gated_rms(self) -> float:
        """RMS over the blocks within 40 dB of the loudest one, linear; 0 for silence."""
        # K-weighted: a direct current (the whale recording of the tests has one) is no sound.
        power = np.asarray(self._weighted) / self._lengths()
        if not power.any():
            return 0.0
        return float(np.sqrt(power[power >= 1e-4 * power.max()].mean()))

    def level_factor(self, level_dbfs: float) -> float:
        """What brings the gated RMS to a level, dB under full scale; 1 for silence."""
        rms = self.gated_rms()
        return 10 ** (level_dbfs / 20) / rms if rms > 0 else 1.0

    def _powers(self, nepers: np.ndarray | float) -> np.ndarray:
        """K-weighted power of each whole 400 ms, a tenth of a second apart, behind a log gain."""
        energy = np.asarray(self._weighted) * np.exp(2.0 * np.asarray(nepers))
        energy = energy[np.diff(self._edges(0, len(energy))) == self._lengths()]
        if len(energy) < 4:
            return np.zeros(0)
        return np.asarray(np.convolve(energy, np.ones(4), "valid") / (0.4 * self._rate))

    def _gated(self, nepers: np.ndarray | float) -> float:
        power = self._powers(nepers)
        absolute = power > 10 ** ((-70 + 0.691) / 10)
        if not absolute.any():
            return -np.inf
        relative = absolute & (power > 0.1 * power[absolute].mean())
        return float(-0.691 + 10 * np.log10(power[relative].mean()))

    def _rms(self, nepers: np.ndarray | float) -> float:
        energy = np.sum(np.asarray(self._power) * np.exp(2.0 * np.asarray(nepers)))
        return float(10 * np.log10(energy / self._n_samples)) if energy > 0 else -np.inf

    def _edges(self, first: int, last: int) -> np.ndarray:
        """First samples of the tenth-second blocks from one to another, rounded down."""
        return (np.arange(first, last + 1) * self._rate / _BLOCKS_A_SECOND).astype(int)

    def _lengths(self) -> np.ndarray:
        edges = self._edges(0, len(self._power))
        return np.asarray(np.maximum(np.minimum(edges[1:], self._n_samples) - edges[:-1], 1))

    def _block_of(self, sample: int) -> int:
        block = int(sample * _BLOCKS_A_SECOND / self._rate)
        # Edges are rounded down, so the sample may lie on the next block's side.
        return block + int(self._edges(block + 1, block + 1)[0] <= sample)


def meter_loudness(source: AudioSource) -> LoudnessMeter:
    """A meter that has heard a whole sound; raises UserError where a sample is not a number."""
    meter = LoudnessMeter(source.rate, source.channels, source.layout)
    for samples in read_blocks(source):
        meter.feed(samples)
    return meter
