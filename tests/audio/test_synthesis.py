"""Sounds that are made: their pitch, their spectrum, their level, and that a seed gives one sound."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from mmdream.audio.synthesis import SIGNAL_RATE, generate_signal, parse_signal
from mmdream.core.errors import UserError


def generate_sound(text: str, seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(generate_signal(parse_signal(text, seconds), seed)), axis=1)[0]


def measure_pitch(samples: np.ndarray) -> float:
    """Hz of the strongest frequency."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(power.argmax() * SIGNAL_RATE / len(samples))


@pytest.mark.parametrize("text", ["noise", "sine:440", "sine:12000", "sweep:100-8000"])
def test_it_is_as_long_and_as_loud_as_it_should_and_begins_softly(text: str) -> None:
    samples = generate_sound(text)
    assert len(samples) == 4 * SIGNAL_RATE
    assert pyloudnorm.Meter(SIGNAL_RATE).integrated_loudness(samples.astype(float)) == pytest.approx(
        -23, abs=0.1
    )
    assert max(abs(samples[0]), abs(samples[-1])) < 1e-3 * np.abs(samples).max()


def test_what_is_hardly_heard_is_not_made_too_loud() -> None:
    assert np.abs(generate_sound("sine:20")).max() <= 10 ** (-1 / 20)


def test_noise_falls_by_three_decibels_an_octave() -> None:
    power = np.square(np.abs(np.fft.rfft(generate_sound("noise", 20.0))))
    hz = np.fft.rfftfreq(20 * SIGNAL_RATE, 1 / SIGNAL_RATE)
    levels = [10 * np.log10(power[(hz >= low) & (hz < 2 * low)].mean()) for low in 62.5 * 2.0 ** np.arange(8)]
    np.testing.assert_allclose(np.diff(levels), -3.0, atol=0.5)


def test_sines_and_sweeps_have_their_pitch() -> None:
    assert measure_pitch(generate_sound("sine:440")) == pytest.approx(440, abs=1)
    swept = generate_sound("sweep:200-3200")
    # An octave a second; a quarter of a second around its middle.
    for second in range(4):
        middle = swept[int((second + 0.375) * SIGNAL_RATE) : int((second + 0.625) * SIGNAL_RATE)]
        assert measure_pitch(middle) == pytest.approx(200 * 2 ** (second + 0.5), rel=0.1)
    down = generate_sound("sweep:3200-200")
    assert measure_pitch(down[:SIGNAL_RATE]) > 4 * measure_pitch(down[-SIGNAL_RATE:])


def test_a_seed_is_one_sound() -> None:
    np.testing.assert_array_equal(generate_sound("noise", 1.0, 3), generate_sound("noise", 1.0, 3))
    assert abs(np.corrcoef(generate_sound("noise", 1.0, 3), generate_sound("noise", 1.0, 4))[0, 1]) < 0.1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rain",
        "sine",
        "sine:",
        "sine:high",
        "sine:440-880",
        "sweep:100",
        "noise:3",
        "sine:nan",
        "sine:-440",
        "sweep:100-",
    ],
)
def test_what_cannot_be_read_is_refused_with_what_can(text: str) -> None:
    with pytest.raises(UserError, match=r"sine:440|between 20 and 20000"):
        parse_signal(text, 1.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9, float("nan")])
def test_lengths_out_of_reason_are_refused(seconds: float) -> None:
    with pytest.raises(UserError, match="seconds is"):
        parse_signal("noise", seconds)
