"""What a sound network hears: log power in mel bands, and the way back from bands to bins.

The bands are given in Hz, so a card's network hears the same sound at any sample rate; bands above
the Nyquist frequency stay empty. Training and dreaming share this front end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmdream.sound.stft import Stft

if TYPE_CHECKING:
    from mmdream.networks.card import MelInput


def centres_hz(front: MelInput) -> np.ndarray:
    """Band centres, evenly spaced on the HTK mel scale, with both outer edges.

    Returns:
        float64 [band + 2], Hz.
    """
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (front.low_hz, front.high_hz))
    mels = np.linspace(low, high, front.bands + 2)
    return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0))


def filter_bank(front: MelInput, stft: Stft) -> np.ndarray:
    """Triangles that average the power of bins into bands.

    Each reaches at least 1.5 bins to either side, so that no low band falls between two bins
    (librosa's filters do, and warn), and sums to 1 over its bins: white noise reads alike in every
    band.

    Returns:
        float32 [bin, band]; a band whose centre lies above Nyquist is zero.
    """
    edges = centres_hz(front)
    width = stft.rate / stft.n_fft
    centre = edges[1:-1]
    below = np.maximum(centre - edges[:-2], 1.5 * width)
    above = np.maximum(edges[2:] - centre, 1.5 * width)
    offset = stft.hz[:, None] - centre
    bank = np.clip(1.0 - np.where(offset < 0, -offset / below, offset / above), 0.0, None)
    bank[:, centre > stft.rate / 2] = 0.0
    return np.asarray(bank / np.maximum(bank.sum(axis=0), 1e-12), dtype=np.float32)


def spread(front: MelInput, stft: Stft) -> np.ndarray:
    """Linear interpolation from bands to bins, held beyond the outermost centres.

    No band has a hard edge.

    Returns:
        float32 [band, bin]; each bin's weights sum to 1.
    """
    centre = centres_hz(front)[1:-1]
    return np.stack([np.interp(stft.hz, centre, row) for row in np.eye(front.bands)]).astype(np.float32)


def heard(power: np.ndarray, front: MelInput) -> np.ndarray:
    """Band powers as the network takes them.

    Args:
        power: float32 [..., band], levelled: the sound's level factor is in it already.
        front: the network's front end.

    Returns:
        float32, the same shape: (ln(power + floor) - mu) / divisor.
    """
    mu = np.asarray(front.mu, np.float32)
    return np.asarray((np.log(power + np.float32(front.floor)) - mu) / np.float32(front.divisor))


def bin_groups(front: MelInput, stft: Stft) -> np.ndarray:
    """Runs of bins that one gain may serve while a canvas is climbed: a quarter of a band at most.

    Low bins stay single, high ones are gathered by the dozen, which makes a step four times
    cheaper.

    Returns:
        int [group], the first bin of each run; fit for ``np.add.reduceat``.
    """
    bands = np.interp(stft.hz, centres_hz(front)[1:-1], np.arange(front.bands))
    return np.unique(np.floor(4 * bands).astype(int), return_index=True)[1]
