"""Atoms: short recorded events, cut out of recordings and cleaned of what lies under them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
import soundfile

from mmdream.audio.frontend import read_windows
from mmdream.audio.pitch import summarize_pitch
from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import make_stft, read_spectra, sum_power
from mmdream.networks.audio_models import window_logits

if TYPE_CHECKING:
    from mmdream.networks.network import Network

MAX_SECONDS, MIN_SECONDS = 1.0, 0.06
"""Length of an atom."""
HOP_SECONDS, WINDOW_HOPS = 0.005, 4
"""Of the frames in which events are found and cleaned."""
SILENCE = 1e-5
"""Of full scale: what is never louder holds no event."""
RUMBLE_HZ = 40.0
"""What sounds below it is wind, steps and direct current."""
NOISE_QUANTILE = 0.15
"""Of a recording's frames, bin by bin: what lies under its events."""
NOISE_FACTOR = 8.0
"""Times that, in power, is taken away: of noise that quantile lies at a sixth of the mean."""
MIN_CLEAN_GAIN = 0.08
"""Of the gate: a little noise hides its working."""
TEXTURE_DB = 15.0
"""Of a recording's loudest moment over its middle one: where it is less the noise is the sound, and stays."""
BEGIN_DB, END_DB = -20.0, -30.0
"""Under an event's peak: where it begins, and where it has died away."""
DIP_DB = -14.0
"""Under its peak: as far an event sinks before the next one begins."""
FAINT_DB = -25.0
"""Under a recording's loudest moment: what is fainter is no event."""
PEAK_SECONDS = 0.15
"""Behind an onset, in which an event's peak lies."""
SWELL_SECONDS = 0.2
"""Over which the loudness of a recording without onsets is smoothed: what swells in it is an event."""
LOUD_DB = -20.0
"""Under an atom's loudest 20 ms: its loud part, whose RMS is brought to 1."""
FADE_IN_SECONDS, SWELL_FADE_SECONDS = 0.003, 0.06
"""Of what begins, and of what sounds before the place where it is cut."""
BEFORE_SECONDS, SOUNDING_DB = 0.03, -12.0
"""Before an event, and its level there over its loudest moment from which on it was sounding before."""
MIN_FADE_OUT_SECONDS, MAX_FADE_OUT_SECONDS = 0.02, 0.08


@dataclass(frozen=True, eq=False, slots=True)
class Atom:
    """One event, cleaned."""

    samples: np.ndarray
    """float32 [sample], from its attack, RMS 1 over its loud part."""
    rate: int
    """Samples a second."""
    kind: str
    """What it is, "dog bark"."""
    name: str
    """The recording that it is from, and where in it; no two of a set have the same."""
    credit: str = ""
    """Who is to be named for the recording, and under which licence; empty: nobody."""


def make_atom(samples: np.ndarray, rate: int, kind: str = "", name: str = "") -> Atom:
    """An atom of an event that is cut and cleaned, float32 [sample], at least one of them not 0."""
    loudness = _frame_rms(samples, rate, 4)
    loud = samples[np.repeat(loudness > loudness.max() * 10 ** (LOUD_DB / 20), _hop(rate))[: len(samples)]]
    level = math.sqrt(float(np.square(loud, dtype=np.float64).mean()))
    return Atom((samples / np.float32(level)).astype(np.float32), rate, kind, name)


def measure_pitch(atom: Atom) -> tuple[float, float]:
    """Pitch of an atom, Hz, 0: none, and how sure it is, 0..1."""
    stft = make_stft(atom.rate)
    source, columns = ArraySource(atom.samples[None], atom.rate), max(1, len(atom.samples) // stft.hop)
    return summarize_pitch(sum_power(read_spectra(source, stft, 0, columns)), stft)


def cut_atoms(samples: np.ndarray, rate: int, most: int, kind: str = "", name: str = "") -> list[Atom]:
    """The clearest events of a recording, float32 [sample], in order of time; none of silence."""
    if len(samples) < 2 * MIN_SECONDS * rate:
        return []
    moving = _remove_rumble(samples, rate)
    if np.abs(moving).max() < SILENCE:
        return []
    clean = remove_noise(moving, rate)
    found = []
    for event in sorted(find_events(clean, rate)[:most], key=lambda event: event.start):
        where = f"{name} at {event.start / rate:.2f} s".strip()
        fade_in = SWELL_FADE_SECONDS if _is_sounding(clean, rate, event) else FADE_IN_SECONDS
        found.append(make_atom(_fade(clean[event.start : event.stop], rate, fade_in), rate, kind, where))
    return found


def _remove_rumble(samples: np.ndarray, rate: int) -> np.ndarray:
    moving = samples - samples.mean(dtype=np.float64)
    if rate > 4 * RUMBLE_HZ:
        highpass = scipy.signal.butter(2, RUMBLE_HZ, "highpass", fs=rate, output="sos")
        moving = scipy.signal.sosfiltfilt(highpass, moving)
    return np.asarray(moving, np.float32)


class Event(NamedTuple):
    """A part of a recording."""

    prominence: float
    """dB of its peak over the quiet frames of the recording, less for what is cut off while it is loud."""
    start: int
    """Its first sample."""
    stop: int
    """The sample behind its last."""


def find_events(samples: np.ndarray, rate: int) -> list[Event]:
    """The events of a sound, float32 [sample], the most prominent first.

    An event begins where the sound rises, or where a texture swells, and ends where it has died away, at the
    next one, or after `MAX_SECONDS`.
    """
    hop = _hop(rate)
    loudness = _frame_rms(samples, rate, WINDOW_HOPS)
    decibels = 20 * np.log10(np.maximum(loudness, 1e-6 * max(float(loudness.max()), 1e-12)))
    peaks = [peak for peak in _find_peaks(decibels) if decibels[peak] > decibels.max() + FAINT_DB]
    background = float(np.quantile(decibels, 0.2))
    found: list[Event] = []
    starts = [_find_begin(decibels, peak) for peak in peaks]
    longest = round(MAX_SECONDS / HOP_SECONDS)
    for number, (peak, start) in enumerate(zip(peaks, starts, strict=True)):
        # What rises again out of a sound that has not sunk far is a part of it, as a crow's syllables are.
        apart = (
            later
            for other, later in zip(peaks[number + 1 :], starts[number + 1 :], strict=True)
            if decibels[peak:other].min() < decibels[peak] + DIP_DB
        )
        stop = min(next(apart, len(decibels)), start + longest)
        gone = np.flatnonzero(decibels[peak:stop] < decibels[peak] + END_DB)
        if len(gone):
            stop = min(stop, peak + int(gone[0]) + 1)
        if stop <= start:
            continue
        # A louder syllable that follows makes a faint beginning fainter.
        start += int(np.argmax(decibels[start:stop] > decibels[start:stop].max() + BEGIN_DB))
        if (stop - start) * HOP_SECONDS < MIN_SECONDS:
            continue
        unfinished = max(float(decibels[max(stop - 4, start) : stop].mean() - decibels[peak]) - END_DB, 0.0)
        worth = float(decibels[peak]) - background - 0.5 * unfinished
        first = max(start * hop - round(FADE_IN_SECONDS * rate), 0)
        found.append(Event(worth, first, min(stop * hop, len(samples))))
    return sorted(found, reverse=True)


def _find_peaks(decibels: np.ndarray) -> list[int]:
    """Frames at which events are loudest: behind onsets, or crests of what has none."""
    rise = np.maximum(np.diff(scipy.ndimage.uniform_filter1d(decibels, 3), prepend=decibels[0]), 0.0)
    reach = round(PEAK_SECONDS / HOP_SECONDS)
    onsets, _ = scipy.signal.find_peaks(
        scipy.ndimage.uniform_filter1d(rise, 3), prominence=1.0, distance=round(MIN_SECONDS / HOP_SECONDS)
    )
    peaks = [int(onset + np.argmax(decibels[onset : onset + reach])) for onset in onsets]
    crests = scipy.ndimage.gaussian_filter1d(decibels, SWELL_SECONDS / HOP_SECONDS)
    highest = scipy.ndimage.maximum_filter1d(crests, 2 * round(SWELL_SECONDS / HOP_SECONDS) + 1)
    far = [
        int(frame)
        for frame in np.flatnonzero(crests == highest)
        if all(abs(int(frame) - peak) > 2 * reach for peak in peaks)
    ]
    return sorted({*peaks, *far})


def _find_begin(decibels: np.ndarray, peak: int) -> int:
    """The frame from which a sound rises to a peak."""
    longest = round(0.5 * MAX_SECONDS / HOP_SECONDS)
    before = decibels[max(peak - longest, 0) : peak + 1]
    under = np.flatnonzero(before < decibels[peak] + BEGIN_DB)
    if len(under):
        return peak - len(before) + 1 + int(under[-1]) + 1
    # A swell has no such place: where it was lowest.
    return peak - len(before) + 1 + int(len(before) - 1 - np.argmin(before[::-1]))


def remove_noise(samples: np.ndarray, rate: int) -> np.ndarray:
    """A recording without what lies under its events, float32 [sample]; textures stay as they are.

    A Wiener gain against a quantile of the frames, smoothed over time and frequency.
    """
    loudness = _frame_rms(samples, rate, WINDOW_HOPS)
    if loudness.max() < 10 ** (TEXTURE_DB / 20) * np.median(loudness):
        return samples
    window = 4 * scipy.fft.next_fast_len(max(round(0.023 * rate / 4), 4), real=True)
    stft = scipy.signal.ShortTimeFFT.from_window("hann", rate, window, window - window // 4)
    spectra = stft.stft(samples)
    power = np.square(np.abs(spectra))
    noise = np.quantile(power, NOISE_QUANTILE, axis=1, keepdims=True)
    smooth = scipy.ndimage.uniform_filter(power, (3, 5))
    gain = np.maximum(1 - NOISE_FACTOR * noise / np.maximum(smooth, 1e-20), MIN_CLEAN_GAIN)
    gain = scipy.ndimage.uniform_filter(gain, (5, 3)).astype(np.float32)
    return np.asarray(stft.istft(spectra * gain, k1=len(samples)), np.float32)


def _is_sounding(samples: np.ndarray, rate: int, event: Event) -> bool:
    """Whether a recording sounds as loud before an event as nothing does that begins there."""
    before = samples[max(event.start - round(BEFORE_SECONDS * rate), 0) : event.start]
    if len(before) < _hop(rate):
        before = samples[: _hop(rate)]
    loudest = _frame_rms(samples[event.start : event.stop], rate, WINDOW_HOPS).max()
    return bool(np.square(before, dtype=np.float64).mean() > (10 ** (SOUNDING_DB / 20) * loudest) ** 2)


def _fade(samples: np.ndarray, rate: int, fade_in: float) -> np.ndarray:
    """An event that begins and ends from nothing, without direct current."""
    rise = max(1, min(round(fade_in * rate), len(samples) // 2))
    seconds = min(max(0.3 * len(samples) / rate, MIN_FADE_OUT_SECONDS), MAX_FADE_OUT_SECONDS)
    fall = max(1, min(round(seconds * rate), len(samples) - rise))
    weight = np.ones(len(samples), np.float32)
    weight[:rise] = 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    weight[-fall:] *= 0.5 + 0.5 * np.cos(np.pi * (np.arange(fall) + 1) / fall)
    level = np.average(samples, weights=weight + 1e-9)
    return np.asarray((samples - np.float32(level)) * weight, np.float32)


def _hop(rate: int) -> int:
    return max(1, round(HOP_SECONDS * rate))


def _frame_rms(samples: np.ndarray, rate: int, hops: int) -> np.ndarray:
    """RMS around each hop over so many hops, float64 [hop]."""
    hop = _hop(rate)
    padded = np.pad(samples, (0, -len(samples) % hop))
    power = np.square(padded, dtype=np.float64).reshape(-1, hop).mean(axis=1)
    return np.sqrt(np.maximum(scipy.ndimage.uniform_filter1d(power, hops, mode="constant"), 0.0))


def read_atom_folder(folder: Path) -> list[Atom]:
    """Atoms that were cut before, ``KIND/NAME.ogg`` in a folder, in order of their names."""
    return [_read_atom(path) for path in sorted(folder.glob("*/*.ogg"))]


def _read_atom(path: Path) -> Atom:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return make_atom(samples[:, 0], int(rate), path.parent.name, path.stem)


def name_kinds(atoms: Iterable[Atom], network: Network) -> list[Atom]:
    """The same atoms; those without a kind are what a sound network takes them for, or else "sound"."""
    card, found = network.card, []
    for atom in atoms:
        kind = atom.kind
        if not kind and card.events:
            source = ArraySource(atom.samples[None], atom.rate)
            [(_, given)] = read_windows(source, network, MAX_SECONDS, 1)
            features = network.layer_features((card.rungs[-1].layer,))(given)[0]
            kind = card.classes[int(np.asarray(window_logits(network.model, features)).mean(axis=0).argmax())]
        found.append(replace(atom, kind=kind or "sound"))
    return found
