"""The sound canvas: one log gain per hop and mel band, and which way to move it.

The network hears the band powers of the source under the gain; the gradient of the contrast
objective comes back to the gain. The one place where sound meets TensorFlow; a step is traced once
for any number of hops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmdream.networks.framework import tf
from mmdream.networks.sounds import window_logits
from mmdream.objectives import contrast, departures, target
from mmdream.sound.mel import bin_groups, filter_bank, spread
from mmdream.sound.stft import Stft

if TYPE_CHECKING:
    from mmdream.networks.card import MelInput
    from mmdream.networks.network import Network

DB = float(20 / np.log(10))
"""Decibels in a neper of amplitude."""
HIGHEST = 15 / DB
LOWEST = -15 / DB
"""Soft limits of the log gain in nepers. Wider ones (-24, +18 dB, hard) gate the source away and
leave flat-topped blobs."""
EVENTS = ("dog bark", "baby cry", "person sneeze", "rooster")
"""Classes that begin and end. A deep dream also climbs towards whichever of them a window is
nearest to: it gives figures attack, harmonics and decay where contrast alone draws long tones. The
standing classes (rain, sea, helicopter) would be equalisers."""
MOST_EVENT = 6.0
"""Weight of that target at depth 1, in units of contrast; it sets in at EVENT_DEPTH."""
RIVALS = 0.5
"""Share of all classes' evidence that the events have to outdo; with the whole the target dies away beside
the contrast once it is reached (measured on barks in rain)."""
EVENT_DEPTH = 0.25
MEAN_SECONDS = 2.0
"""Length of the running mean that contrast is measured against: local, so chunks agree."""


def audible(canvas: np.ndarray) -> np.ndarray:
    """The log gain that a canvas stands for: softly limited, never cut.

    Args:
        canvas: float32, nepers.

    Returns:
        float32, the same shape, between LOWEST and HIGHEST.
    """
    limit = np.where(canvas > 0, np.float32(HIGHEST), np.float32(LOWEST))
    return np.asarray(limit * np.tanh(canvas / limit), dtype=np.float32)


@dataclass(frozen=True)
class Ear:
    """A network's hearing at one sample rate."""

    front: MelInput
    groups: np.ndarray
    """First bins of the runs that `gather` sums."""
    bank: np.ndarray
    """float32 [group, band]."""
    slope: Callable[[np.ndarray, np.ndarray, float, int], np.ndarray]
    """(canvas [hop, band], gathered power [hop, group], depth, roll in hops) -> gradient."""
    energies: Callable[[np.ndarray, tuple[int, ...], int, int], np.ndarray]
    """(gathered power, rungs, first hop, stop hop) -> contrast energy of each rung over these
    hops."""

    def gather(self, spectra: np.ndarray) -> np.ndarray:
        """Power of all channels in runs of bins, float32 [hop, group] of [channel, hop, bin]."""
        power = np.square(spectra.real).sum(axis=0) + np.square(spectra.imag).sum(axis=0)
        return np.add.reduceat(power, self.groups, axis=1)

    def bands(self, power: np.ndarray) -> np.ndarray:
        """Band powers, float32 [hop, band], of a gathered power."""
        return np.asarray(power @ self.bank)


@lru_cache(maxsize=4)
def ear(network: Network, stft: Stft) -> Ear:
    """Build a network's hearing for one transform; kept, for tracing a step takes a second."""
    front: MelInput = network.card.input  # type: ignore[assignment]
    starts = bin_groups(front, stft)
    widths = np.diff(np.append(starts, stft.n_bins)).astype(np.float32)
    bank = np.add.reduceat(filter_bank(front, stft), starts, axis=0) / widths[:, None]
    spread_to = np.add.reduceat(spread(front, stft), starts, axis=1) / widths
    mu = tf.constant(front.mu, tf.float32)

    def features(power: tf.Tensor, roll: tf.Tensor, wanted: tuple[int, ...]) -> list[tf.Tensor]:
        heard = (tf.math.log(power @ tf.constant(bank) + front.floor) - mu) / front.divisor
        return network.rungs(wanted)(tf.roll(heard, roll, axis=0)[None, :, :, None])

    def share_of(power: tf.Tensor) -> tf.Tensor:
        mean_hops = MEAN_SECONDS * stft.rate / stft.hop
        return tf.cast(mean_hops, tf.float32) / tf.cast(tf.shape(power)[0], tf.float32)

    @cache
    def slope_at(wanted: tuple[int, ...], events: tuple[int, ...]) -> Callable[..., tf.Tensor]:
        """Trace one step: contrast at these rungs, and the target where there are `events`."""
        last = len(network.card.rungs) - 1
        needed = tuple(sorted({*wanted, last})) if events else wanted

        def step(
            canvas: tf.Tensor, power: tf.Tensor, mix: tf.Tensor, event: tf.Tensor, roll: tf.Tensor
        ) -> tf.Tensor:
            limit = tf.where(canvas > 0, HIGHEST, LOWEST)
            with tf.GradientTape() as tape:
                tape.watch(canvas)
                gain = (limit * tf.tanh(canvas / limit)) @ tf.constant(spread_to)
                found = features(power * tf.exp(2.0 * gain), roll, needed)
                climbed = [found[needed.index(rung)] for rung in wanted]
                value = contrast(climbed, tf.unstack(mix, len(wanted)), share_of(power))
                if events:
                    logits = window_logits(network.model, found[needed.index(last)])
                    value += event * target(logits, events, RIVALS)
            return tape.gradient(value, canvas)

        return tf.function(
            step,
            input_signature=[
                tf.TensorSpec((None, front.bands)),
                tf.TensorSpec((None, len(starts))),
                tf.TensorSpec((len(wanted),)),
                tf.TensorSpec(()),
                tf.TensorSpec((), tf.int32),
            ],
            autograph=False,
        )

    @cache
    def energies_at(wanted: tuple[int, ...]) -> Callable[..., tf.Tensor]:
        def measure(power: tf.Tensor, first: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
            values = []
            for a in features(power, tf.constant(0), wanted):
                n = tf.cast(tf.shape(a)[1], tf.float32)
                hops = tf.cast(tf.shape(power)[0], tf.float32)
                low = tf.cast(first * n / hops, tf.int32)
                high = tf.maximum(low + 1, tf.cast(tf.math.ceil(stop * n / hops), tf.int32))
                values.append(tf.reduce_mean(departures(a, share_of(power))[:, low:high]))
            return tf.stack(values)

        return tf.function(
            measure,
            input_signature=[
                tf.TensorSpec((None, len(starts))),
                tf.TensorSpec(()),
                tf.TensorSpec(()),
            ],
            autograph=False,
        )

    classes = network.card.classes
    known = tuple(classes.index(name) for name in EVENTS if name in classes)

    def slope(canvas: np.ndarray, power: np.ndarray, depth: float, roll: int) -> np.ndarray:
        mix = network.card.mix(depth)
        wanted = tuple(int(rung) for rung in np.flatnonzero(mix))
        event = MOST_EVENT * (max(depth - EVENT_DEPTH, 0.0) / (1 - EVENT_DEPTH)) ** 2
        step = slope_at(wanted, known if event else ())
        gradient = step(canvas, power, mix[list(wanted)], np.float32(event), np.int32(roll))
        return np.asarray(gradient.numpy())

    def energies(power: np.ndarray, rungs: tuple[int, ...], first: int, stop: int) -> np.ndarray:
        return np.asarray(energies_at(rungs)(power, np.float32(first), np.float32(stop)).numpy())

    return Ear(front, starts, bank, slope, energies)


def smoothed(gradient: np.ndarray, sigma_hops: float) -> np.ndarray:
    """Blur a gradient along time, and by one band across: grain would sound as musical noise.

    The blur along time rises in a third of the time and dies away exponentially, as struck and
    blown things do: a symmetric one makes figures that swell like sound played backwards.

    Args:
        gradient: float32 [hop, band].
        sigma_hops: how coarse.

    Returns:
        float32, the same shape.
    """
    return np.asarray(
        cv2.sepFilter2D(
            gradient, -1, cv2.getGaussianKernel(7, 1.0, cv2.CV_32F), _decay(sigma_hops),
            borderType=cv2.BORDER_REFLECT_101,
        )
    )  # fmt: skip


@lru_cache(maxsize=64)
def _decay(sigma: float) -> np.ndarray:
    """Kernel over an odd number of hops, sums to 1; reversed, because OpenCV correlates."""
    rise, fall = max(sigma / 3, 0.8), 1.2 * sigma
    reach = int(5 * sigma) + 1
    t = np.arange(-reach, reach + 1)
    kernel = np.where(t < 0, np.exp(-0.5 * np.square(t / rise)), np.exp(-np.maximum(t, 0) / fall))
    return np.asarray((kernel / kernel.sum())[::-1].astype(np.float32))
