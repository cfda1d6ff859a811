"""Short events as a generator learns and makes them: mel bands over time, or plain samples.

In a map 1 is 10 dB over the loud part of an event, whose RMS is 1, and 0 is 80 dB under that: silence.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import scipy.signal

from mmdream.audio.grains.atoms import FADE_IN_SECONDS, MIN_SECONDS, Atom, make_atom
from mmdream.audio.resynthesis import griffin_lim
from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import (
    HALF_WINDOW_HOPS,
    compute_band_edges,
    inverse_stft,
    make_band_interpolation,
    make_filterbank,
    make_stft,
    read_spectra,
)
from mmdream.core.rng import rng_for
from mmdream.networks.generator_card import MAP_RATE, SPECTROGRAM_FRAMES, WAVE_RATE, WAVE_SAMPLES

LOW_HZ, HIGH_HZ = 40.0, 16_000.0
LOW_DB, HIGH_DB = -70.0, 10.0
"""Of power in a band where a map is 0 and 1."""
BAND_ITERATIONS = 60
"""Of the search for bins that have the powers of the bands."""
PHASE_ITERATIONS = 64
WAVE_LEVEL = 0.1
"""RMS of the loud part of a wave: its peaks stay within -1..1."""
FAINT = 2e-3
"""Of an event's loudest sample: what is fainter before and behind it is cut off."""
END_SECONDS = 0.02
"""In which an event ends that is cut off while it sounds."""
STFT = make_stft(MAP_RATE)


def encode_map(atom: Atom, bands: int) -> np.ndarray:
    """An event as a map, float32 [`SPECTROGRAM_FRAMES`, band], 0..1; what is longer is cut off."""
    source = ArraySource(_resample(atom.samples, atom.rate, MAP_RATE)[None], MAP_RATE)
    bank, _ = _make_bank(bands)
    power = np.square(np.abs(read_spectra(source, STFT, 0, SPECTROGRAM_FRAMES)[0])) @ bank
    decibels = 10 * np.log10(np.maximum(power, 10 ** (LOW_DB / 10)))
    return np.asarray(np.clip((decibels - LOW_DB) / (HIGH_DB - LOW_DB), 0, 1), np.float32)


def decode_maps(maps: np.ndarray, seed: int) -> np.ndarray:
    """The sounds of maps, float32 [n, frame, band], 0..1, at `MAP_RATE`: float32 [n, sample]."""
    amplitudes = np.stack([_find_amplitudes(each) for each in maps])
    turns = rng_for(seed, "phases").random(amplitudes.shape[1:])
    # The same beginning for all: what is made together is what is made alone.
    start = np.broadcast_to(np.exp(2j * np.pi * turns).astype(np.complex64), amplitudes.shape)
    spectra = griffin_lim(amplitudes, start, STFT, iterations=PHASE_ITERATIONS)
    margin = 2 * HALF_WINDOW_HOPS - 1
    padded = np.pad(spectra, ((0, 0), (margin, margin), (0, 0)))
    # The first sample lies half a window before the first frame's centre; an event begins at that centre.
    return inverse_stft(padded, STFT)[:, HALF_WINDOW_HOPS * STFT.hop :][:, : maps.shape[1] * STFT.hop]


def encode_wave(atom: Atom) -> np.ndarray:
    """An event as samples at `WAVE_RATE`, float32 [`WAVE_SAMPLES`], -1..1; what is longer is cut off."""
    samples = _resample(atom.samples, atom.rate, WAVE_RATE)[:WAVE_SAMPLES] * np.float32(WAVE_LEVEL)
    return np.pad(np.clip(samples, -1, 1), (0, WAVE_SAMPLES - len(samples)))


def make_event(samples: np.ndarray, rate: int, kind: str, name: str, credit: str = "") -> Atom | None:
    """An atom of a sound that was made, float32 [sample], without silence around it; None: all is silence."""
    loudest = np.abs(samples).max()
    heard = np.flatnonzero(np.abs(samples) > FAINT * loudest)
    if not loudest or len(heard) < MIN_SECONDS * rate:
        return None
    cut = samples[int(heard[0]) : int(heard[-1]) + 1].copy()
    rise, fall = (min(round(length * rate), len(cut)) for length in (FADE_IN_SECONDS, END_SECONDS))
    cut[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    cut[-fall:] *= np.linspace(1, 0, fall, dtype=np.float32) ** 2
    made = make_atom(cut, rate, kind, name)
    return Atom(made.samples, rate, kind, name, credit)


def _resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    divisor = math.gcd(rate, wanted)
    if rate == wanted:
        return samples
    return np.asarray(scipy.signal.resample_poly(samples, wanted // divisor, rate // divisor), np.float32)


def make_map_edges(bands: int) -> np.ndarray:
    """Centres of a map's bands with an edge beyond each end, float64 [band + 2], Hz."""
    return compute_band_edges(bands, LOW_HZ, HIGH_HZ, "htk")


@lru_cache(maxsize=4)
def _make_bank(bands: int) -> tuple[np.ndarray, np.ndarray]:
    """From bins to bands, float32 [bin, band], and from bands to bins between them, [band, bin]."""
    edges = make_map_edges(bands)
    return make_filterbank(edges, STFT), make_band_interpolation(edges, STFT)


def _find_amplitudes(values: np.ndarray) -> np.ndarray:
    """Amplitudes of bins, float32 [frame, bin], whose powers in bands are those of a map, [frame, band].

    From an interpolation of the bands' levels on by multiplicative updates (Lee and Seung 2001), which keep
    powers positive.
    """
    bank, between = _make_bank(values.shape[1])
    decibels = values * (HIGH_DB - LOW_DB) + LOW_DB
    wanted = np.where(values > 0, 10 ** (decibels / 10), 0).astype(np.float32)
    power = (10 ** (decibels @ between / 10)).astype(np.float32)
    weight = bank.sum(1) + np.float32(1e-9)
    for _ in range(BAND_ITERATIONS):
        power *= (wanted / (power @ bank + np.float32(1e-12))) @ bank.T / weight
    return np.sqrt(power)
