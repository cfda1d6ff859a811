"""What a setting may follow, how it is written, and every way to get it wrong."""

from __future__ import annotations

import pytest

from mmdream import Drive, Recipe, Schedule, UserError
from mmdream.settings.modulation import AUDIO_FEATURES, DEFAULT_FACTORS, IMAGE_FEATURES, parse_drive
from mmdream.settings.schedule import SCHEDULE_LIMITS


@pytest.mark.parametrize(
    "text", ["strength=loudness", "octave-scale=bass", "depth=onset:0.3-1.5", "steps=cuts:2-0", "motif=pitch"]
)
def test_a_drive_is_read_as_it_is_written(text: str):
    assert str(parse_drive(text)) == text


def test_the_range_is_the_settings_own_unless_one_is_given():
    assert parse_drive("strength=loudness").range == DEFAULT_FACTORS["strength"]
    assert parse_drive(" strength = loudness :0.3-1.5").range == (0.3, 1.5)
    assert set(DEFAULT_FACTORS) == set(SCHEDULE_LIMITS)
    assert not set(AUDIO_FEATURES) & set(IMAGE_FEATURES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strength", "write SETTING=FEATURE"),
        ("=loudness", "write SETTING=FEATURE"),
        ("strength=", "write SETTING=FEATURE"),
        ("strenght=loudness", "no setting 'strenght'; did you mean 'strength'"),
        ("strength=loud", "no feature 'loud'; did you mean 'loudness'"),
        ("strength=loudness:2", "as LOW-HIGH"),
        ("strength=loudness:a-b", "as LOW-HIGH"),
        ("strength=loudness:nan-1", "as LOW-HIGH"),
        ("strength=loudness:-1-2", "as LOW-HIGH"),
        ("strength=loudness:1-11", "between 0 and 10"),
        ("motif=pitch:0-1", "without a range"),
    ],
)
def test_a_mistake_is_one_clear_line(text: str, message: str):
    with pytest.raises(UserError, match=message) as caught:
        parse_drive(text)
    assert "\n" not in str(caught.value)


def test_one_end_of_a_range_is_refused():
    with pytest.raises(UserError, match="both ends"):
        Drive("depth", "onset", low=0.5)


def test_motifs_to_drive_must_be_there_once_and_the_pictures():
    fade = Drive("motif", "pitch")
    Recipe(schedule=Schedule(motif="eye,tower"), drives=(fade,))
    with pytest.raises(UserError, match="two motifs or more"):
        Recipe(schedule=Schedule(motif="eye"), drives=(fade,))
    with pytest.raises(UserError, match="motif=pitch is given already"):
        Recipe(schedule=Schedule(motif="eye,tower"), drives=(fade, Drive("motif", "bass")))
    with pytest.raises(UserError, match="a sound has no motifs"):
        Recipe(sound_drives=(fade,))
