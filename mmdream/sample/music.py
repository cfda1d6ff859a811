"""Synthesises a few bars of music for the sample film, with pitch, onsets and a room."""

from __future__ import annotations

import numpy as np
import pyloudnorm

from mmdream.core.rng import rng_for

SOUND_RATE = 48_000
BEAT = 0.625
"""Seconds: 96 beats a minute, so the four chords fill five seconds."""
CHORDS = (
    (38, (62, 69, 73, 78)),  # D major seventh
    (35, (62, 66, 69, 74)),  # B minor seventh
    (43, (59, 66, 71, 74)),  # G major seventh
    (45, (64, 69, 71, 76)),  # A suspended, which leads home
)
"""Bass and strings as MIDI notes (69 = 440 Hz); each chord lasts two beats."""


def synthesize_music(samples: int) -> np.ndarray:
    """Plucked strings over a bowed chord and a bass, a soft drum and a brush, in a small hall.

    Returns:
        float32 [samples, 2] at `SOUND_RATE`, -18 LUFS, peak below -1 dBFS, silent at both ends.
    """
    bar = 2 * BEAT
    dry = np.zeros((samples + 4 * SOUND_RATE, 2))
    notes = {note for _, strings in CHORDS for note in strings}
    strings = {note: pluck_string(note, seconds=1.6) for note in notes}
    drum, brush = _synthesize_drum(), _synthesize_brush()
    for number in range(int(np.ceil(samples / SOUND_RATE / bar))):
        start = number * bar
        bass, chord = CHORDS[number % len(CHORDS)]
        _mix_in(dry, start, pluck_string(bass, seconds=2.0), level=0.55, pan=0.0)
        for note, pan in zip(chord, (-0.7, 0.7, -0.35, 0.35), strict=True):
            _mix_in(dry, start, bow_string(note - 12, bar + 0.4), level=0.07, pan=pan)
        for eighth, string in enumerate((0, 2, 3, 1)):
            accent = 1.0 if eighth == 0 else 0.7
            pan = 0.5 * (-1) ** eighth
            _mix_in(dry, start + eighth * BEAT / 2, strings[chord[string]], level=accent, pan=pan)
        _mix_in(dry, start, drum, level=0.6, pan=0.0)
        _mix_in(dry, start + BEAT, brush, level=0.22, pan=0.15)
        _mix_in(dry, start + 1.5 * BEAT, brush, level=0.1, pan=-0.15)
    wet = (dry + 0.4 * _reverberate(dry))[:samples]

    fade_in, fade_out = round(0.01 * SOUND_RATE), round(0.5 * SOUND_RATE)
    wet[:fade_in] *= np.linspace(0, 1, fade_in)[:, None]
    wet[-fade_out:] *= np.cos(np.linspace(0, np.pi / 2, fade_out))[:, None] ** 2
    loudness = pyloudnorm.Meter(SOUND_RATE).integrated_loudness(wet)
    gain = min(10 ** ((-18 - loudness) / 20), 0.85 / np.abs(wet).max())
    level: np.ndarray = (gain * wet).astype(np.float32)
    return level


def pluck_string(note: int, seconds: float) -> np.ndarray:
    """A plucked string as the sum of its partials, float64 [sample], about -1..1.

    Plucked at 0.23 of its length, which weakens partials with a node there; high partials die first and lie a
    little sharp, as on a stiff string (Fletcher and Rossing, The Physics of Musical Instruments, section 2.18).

    The note is a MIDI number; it has faded out after `seconds`.
    """
    t = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    pitch = _midi_to_hertz(note)
    sound = np.zeros_like(t)
    for partial in range(1, 25):
        frequency = partial * pitch * np.sqrt(1 + 1e-4 * partial**2)
        if frequency > 10_000:
            break
        level = np.sin(np.pi * 0.23 * partial) / partial**1.3
        sound += level * np.exp(-(1.2 + 0.8 * partial) * t) * np.sin(2 * np.pi * frequency * t)
    return sound * np.minimum(1, t / 0.002) * np.minimum(1, (seconds - t) / 0.1)


def bow_string(note: int, seconds: float) -> np.ndarray:
    """A bowed string with a slow swell, a little vibrato and partials falling by 9 dB an octave, as `pluck_string`."""
    t = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    # 0.3 % at 5 Hz is 5 cents; the note decides the phase so that a chord does not waver as one.
    phase = 2 * np.pi * _midi_to_hertz(note) * (t + 0.003 / (10 * np.pi) * np.sin(10 * np.pi * t + note))
    sound: np.ndarray = sum(
        np.sin(partial * phase + note * partial) / partial**1.5 for partial in range(1, 9)
    )
    sound *= np.clip(t / 0.35, 0, 1) ** 2 * np.clip((seconds - t) / 0.4, 0, 1)
    return sound


def _midi_to_hertz(note: int) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def _synthesize_drum() -> np.ndarray:
    """A soft bass drum: a sine that glides from 120 to 50 Hz."""
    t = np.arange(round(0.35 * SOUND_RATE)) / SOUND_RATE
    phase = 2 * np.pi * (50 * t + 70 * 0.04 * (1 - np.exp(-t / 0.04)))
    return np.sin(phase) * np.exp(-t / 0.09) * np.minimum(1, t / 0.002)


def _synthesize_brush() -> np.ndarray:
    """A stroke of the brush: high-passed noise."""
    t = np.arange(round(0.18 * SOUND_RATE)) / SOUND_RATE
    noise = rng_for(0, "sample", "brush").standard_normal(len(t) + 1)
    return np.diff(noise) * np.exp(-t / 0.035) * np.minimum(1, t / 0.004)


def _reverberate(dry: np.ndarray) -> np.ndarray:
    """The reverberation of a small hall of a sound, float64 [sample, 2], of about the same energy.

    Its impulse response is independent noise in both channels, gone after a second.
    """
    t = np.arange(SOUND_RATE) / SOUND_RATE
    noise = rng_for(0, "sample", "hall").standard_normal((len(t) + 7, 2))
    # A running mean of 8 samples: walls and air swallow the treble.
    soft = np.stack([np.convolve(ear, np.ones(8) / 8, "valid") for ear in noise.T], axis=1)
    response = soft * np.exp(-t / 0.16)[:, None] * np.minimum(1, t / 0.012)[:, None]
    response /= np.sqrt(np.square(response).sum(axis=0))
    length = len(dry) + len(response)
    spectrum = np.fft.rfft(dry, length, axis=0) * np.fft.rfft(response, length, axis=0)
    return np.fft.irfft(spectrum, length, axis=0)[: len(dry)]


def _mix_in(mix: np.ndarray, seconds: float, sound: np.ndarray, *, level: float, pan: float) -> None:
    """Add a mono sound to a stereo mix at constant power; pan -1 (left) to 1 (right)."""
    start = round(seconds * SOUND_RATE)
    angle = (pan + 1) * np.pi / 4
    mix[start : start + len(sound)] += level * sound[:, None] * [np.cos(angle), np.sin(angle)]
