"""Events as maps and as waves: what is encoded comes back, silence at the end goes."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.audio.events import (
    decode_maps,
    encode_map,
    encode_wave,
    make_event,
)
from mmdream.audio.grains.atoms import Atom, make_atom
from mmdream.networks.generator_card import MAP_RATE, SPECTROGRAM_FRAMES, WAVE_RATE, WAVE_SAMPLES


def make_chirp(seconds: float, rate: int = MAP_RATE) -> Atom:
    """A tone that rises and dies away."""
    times = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * (600 * times + 400 * times**2)) * np.exp(-4 * times)
    return make_atom(tone.astype(np.float32), rate, "chirp")


@pytest.mark.parametrize("bands", [64, 128])
def test_a_map_comes_back_from_its_sound(bands: int):
    given = encode_map(make_chirp(0.6), bands)
    assert given.shape == (SPECTROGRAM_FRAMES, bands)
    assert given.dtype == np.float32
    assert 0 == given.min() < given.max() <= 1
    [samples] = decode_maps(given[None], 0)
    assert samples.shape == (SPECTROGRAM_FRAMES * 512,)
    again = encode_map(make_atom(samples, MAP_RATE), bands)
    loud = given > 0.5
    assert np.abs(again - given)[loud].mean() * 80 < 3
    assert again[~loud].mean() * 80 < given[~loud].mean() * 80 + 6


def test_what_is_decoded_together_is_what_is_decoded_alone():
    maps = np.stack([encode_map(make_chirp(length), 64) for length in (0.3, 0.9)])
    np.testing.assert_allclose(decode_maps(maps, 3)[1], decode_maps(maps[1:], 3)[0], atol=1e-5)
    assert np.abs(decode_maps(maps, 3) - decode_maps(maps, 4)).max() > 1e-3


def test_an_event_of_any_rate_and_length_becomes_a_wave():
    for rate, seconds in ((8000, 0.2), (44_100, 1.5), (48_000, 0.7)):
        wave = encode_wave(make_chirp(seconds, rate))
        assert wave.shape == (WAVE_SAMPLES,)
        assert 0.05 < np.abs(wave).max() <= 1
        end = round(seconds * WAVE_RATE)
        assert not wave[end + 1 :].any()


def test_an_event_is_as_long_as_it_sounds_and_silence_is_none():
    samples = np.zeros(44_100, np.float32)
    samples[4410 : 4410 + 8 * 441] = np.random.default_rng(0).normal(0, 0.1, 8 * 441)
    event = make_event(samples, 44_100, "hiss", "one", "somebody")
    assert event is not None
    assert 8 * 441 - 50 < len(event.samples) <= 8 * 441
    assert (event.kind, event.name, event.credit) == ("hiss", "one", "somebody")
    assert max(abs(event.samples[0]), abs(event.samples[-1])) < 1e-3
    assert make_event(np.zeros(44_100, np.float32), 44_100, "hiss", "none") is None
    assert make_event(samples[4400:4800], 44_100, "hiss", "short") is None
