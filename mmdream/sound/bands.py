"""A whole recording in the bands of a network, as its dreams hear it: levelled, on the same grid of hops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmdream.sound.front import bank_of, heard, stft_of
from mmdream.sound.level import Meter, level_factor
from mmdream.sound.source import ArraySource, padded
from mmdream.sound.stft import spectra

if TYPE_CHECKING:
    from mmdream.networks.card import SoundInput


def band_power(samples: np.ndarray, rate: int, front: SoundInput) -> np.ndarray:
    """Levelled power in a network's bands, before its columns are thinned out.

    Args:
        samples: float32 [sample], one channel.
        rate: samples a second.
        front: the network's front end.

    Returns:
        float32 [column, band]; column k is centred on sample k * hop; at least one.
    """
    stft = stft_of(front, rate)
    columns = max(1, len(samples) // stft.hop)
    reach = stft.window // 2
    stretch = padded(ArraySource(samples[None], rate), -reach, (columns - 1) * stft.hop + reach)
    power = np.square(np.abs(spectra(stretch, stft)[0]))
    meter = Meter(rate, 1)
    meter.feed(samples[None])
    factor = level_factor(meter.level(), front.level_dbfs)
    return np.asarray(power @ bank_of(front, stft) * np.float32(factor**2), np.float32)


def shown(power: np.ndarray, front: SoundInput) -> np.ndarray:
    """Band powers as `Network.rungs` takes them: on the network's scale, its columns thinned out.

    Args:
        power: float32 [n, column, band].
        front: the network's front end.

    Returns:
        float32 [n, column / decimation, band, 1].
    """
    return np.asarray(heard(power[:, :: front.decimation], front), np.float32)[..., None]
