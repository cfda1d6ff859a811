"""Features by which made sounds are compared with real ones, and how they are drawn."""

from __future__ import annotations

import numpy as np
import scipy.fft
from matplotlib import colormaps

from mmdream.audio.events import encode_map
from mmdream.audio.grains.atoms import Atom, make_atom
from mmdream.networks.generator_card import WAVE_RATE, Form

COEFFICIENTS = 12, 16
"""Of a spectrogram's cosine transform along time and along bands."""
BANDS = 64
"""Of a wave's spectrogram."""


def measure_cepstra(values: np.ndarray, form: Form) -> np.ndarray:
    """The coarse shape of sounds, by a transform that nothing has learned: float64 [n, coefficient].

    `values` are spectrograms, float32 [n, frame, band, 1], or waves, [n, sample, 1]. The lowest coefficients
    of the two-dimensional cosine transform of the levels: mel cepstra, and how they go on over time.
    """
    maps = draw_levels(values, form)
    along_time, along_bands = COEFFICIENTS
    found = scipy.fft.dctn(maps.astype(np.float64), axes=(1, 2), norm="ortho")[:, :along_time, :along_bands]
    return np.asarray(found.reshape(len(maps), -1))


def draw_levels(values: np.ndarray, form: Form) -> np.ndarray:
    """Levels over time, float32 [n, frame, band], 0..1, of spectrograms or of waves."""
    if form == "spectrogram":
        return values[..., 0]
    return np.stack([encode_map(_to_atom(wave[:, 0]), BANDS) for wave in values])


def draw_spectrograms(values: np.ndarray, form: Form) -> np.ndarray:
    """Pictures of spectrograms or waves, RGB float32 [n, band, frame, 3], 0..1: the highest band on top."""
    shown = draw_levels(values, form).transpose(0, 2, 1)[:, ::-1]
    return np.asarray(colormaps["magma"](np.clip(shown, 0, 1))[..., :3], np.float32)


def _to_atom(samples: np.ndarray) -> Atom:
    """An event as `make_atom` levels it; silence as it is."""
    return make_atom(samples, WAVE_RATE) if np.abs(samples).max() > 1e-6 else Atom(samples, WAVE_RATE, "", "")
