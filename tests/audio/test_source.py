"""Clips laid one after the other: how long they last, their level in the fades, and reading anywhere."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.audio.source import ArraySource, CrossfadedSource, crossfaded_length

RATE = 8000


def make_clips(*lengths: int, channels: int = 2) -> CrossfadedSource:
    rng = np.random.default_rng(2)
    return CrossfadedSource(
        tuple(ArraySource(rng.standard_normal((channels, n)).astype(np.float32), RATE) for n in lengths)
    )


@pytest.mark.parametrize("lengths", [(40_000,), (40_000, 40_000), (40_000, 20_000, 801, 1), (3, 2)])
def test_any_stretch_is_that_part_of_the_whole(lengths: tuple[int, ...]) -> None:
    sound = make_clips(*lengths)
    whole = sound.read(0, sound.n_samples)
    assert whole.shape == (2, crossfaded_length(lengths, RATE))
    for low, high in (
        (0, 1),
        (sound.n_samples // 3, sound.n_samples // 2),
        (sound.n_samples - 1, sound.n_samples),
    ):
        np.testing.assert_array_equal(sound.read(low, high), whole[:, low:high])


def test_one_clip_is_itself_and_ends_are_not_faded() -> None:
    one = make_clips(5000)
    np.testing.assert_array_equal(one.read(0, 5000), one.clips[0].read(0, 5000))
    two = make_clips(20_000, 20_000)
    np.testing.assert_array_equal(two.read(0, 1000), two.clips[0].read(0, 1000))


def test_a_fade_lasts_a_second_or_a_quarter_of_the_shorter_clip() -> None:
    assert make_clips(80_000, 80_000).n_samples == 152_000
    assert make_clips(80_000, 8000).n_samples == 86_000


def test_noise_is_as_loud_in_a_fade_as_elsewhere() -> None:
    sound = make_clips(80_000, 80_000, channels=1)
    samples = sound.read(0, sound.n_samples)[0]
    assert samples[72_000:80_000].std() == pytest.approx(1.0, abs=0.05)
