"""A whole recording in the bands of a network, as its dreams hear it: levelled, on the same grid of hops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmdream.sound.front import make_network_filterbank, make_network_stft, normalize_bands
from mmdream.sound.level import LoudnessMeter, compute_level_factor
from mmdream.sound.source import ArraySource, read_padded
from mmdream.sound.stft import forward_stft

if TYPE_CHECKING:
    from mmdream.networks.card import AudioInput


def measure_band_power(samples: np.ndarray, rate: int, front: AudioInput) -> np.ndarray:
    """Levelled power in a network's bands, before its columns are thinned out.

    Args:
        samples: float32 [sample], one channel.
        rate: samples a second.
        front: the network's front end.

    Returns:
        float32 [column, band]; column k is centred on sample k * hop; at least one.
    """
    stft = make_network_stft(front, rate)
    columns = max(1, len(samples) // stft.hop)
    reach = stft.window // 2
    stretch = read_padded(ArraySource(samples[None], rate), -reach, (columns - 1) * stft.hop + reach)
    power = np.square(np.abs(forward_stft(stretch, stft)[0]))
    meter = LoudnessMeter(rate, 1)
    meter.feed(samples[None])
    factor = compute_level_factor(meter.level(), front.level_dbfs)
    return np.asarray(power @ make_network_filterbank(front, stft) * np.float32(factor**2), np.float32)


def to_network_input(power: np.ndarray, front: AudioInput) -> np.ndarray:
    """Band powers as `Network.rungs` takes them: on the network's scale, its columns thinned out.

    Args:
        power: float32 [n, column, band].
        front: the network's front end.

    Returns:
        float32 [n, column / decimation, band, 1].
    """
    return np.asarray(normalize_bands(power[:, :: front.decimation], front), np.float32)[..., None]
