"""The schedule: interpolation, rounding, files, presets, and every way to get it wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdream import Drive, Recipe
from mmdream.core.errors import UserError
from mmdream.settings.definition import describe_changes, to_dict
from mmdream.settings.files import list_presets, load_preset, preset_sound_target, read_schedule
from mmdream.settings.schedule import (
    AUDIO_FEATURES,
    DEFAULT_FACTORS,
    IMAGE_FEATURES,
    SCHEDULE_LIMITS,
    Schedule,
    parse_drive,
)


def test_linear_between_keys_and_held_outside():
    schedule = Schedule(strength=((1, 0), (3, 1)))
    assert [schedule.at(t).strength for t in (0, 1, 2, 3, 9)] == [0, 0, 0.5, 1, 1]
    np.testing.assert_allclose(schedule.strength.at(np.array([0.0, 1.5, 2.5])), [0, 0.25, 0.75])


def test_motifs_fade_from_key_to_key():
    schedule = Schedule(motif=((1, "dog"), (3, "tower, bus"), (5, "dog")))
    assert schedule.motif_curve.names == ("dog", "tower", "bus")
    assert schedule.at(0).motifs == (("dog", 1), ("tower", 0), ("bus", 0))
    assert schedule.at(2).motifs == (("dog", 0.5), ("tower", 0.25), ("bus", 0.25))
    assert schedule.at(9).motifs == (("dog", 1), ("tower", 0), ("bus", 0))
    assert Schedule(motif="eye").at(7).motifs == (("eye", 1),)
    assert Schedule().at(0).motifs == ()


def test_motifs_may_be_left_to_the_film_or_to_none():
    auto, none, named = Schedule(), Schedule(motif="none"), Schedule(motif="dog")
    assert auto == Schedule(motif="auto")
    assert [each.motif_curve.hinted for each in (auto, none, named)] == [True, False, False]
    assert [to_dict(each)["motif"] for each in (auto, none, named)] == ["auto", "none", [[0.0, "dog"]]]
    assert all(Schedule(**to_dict(each)) == each for each in (auto, none, named))
    assert describe_changes(Recipe(schedule=none)) == ["motif none"]
    assert describe_changes(Recipe(schedule=auto)) == []


@pytest.mark.parametrize("motif", ["", " , ", ((2, "dog"), (1, "eye")), ((float("inf"), "dog"),)])
def test_motifs_have_names_and_rising_times(motif):
    with pytest.raises(UserError, match="motif"):
        Schedule(motif=motif)


def test_a_file_names_motifs(tmp_path: Path):
    path = write_plan(
        tmp_path, '[[key]]\nat = 0\nmotif = "dog"\n[[key]]\nat = 4\nmotif = "eye,dog"\ndepth = 0.5\n'
    )
    found = read_schedule(path)
    assert found.at(2).motifs == (("dog", 0.75), ("eye", 0.25))
    assert Schedule(**to_dict(found)) == found
    with pytest.raises(UserError, match="give names"):
        read_schedule(write_plan(tmp_path, "[[key]]\nat = 0\nmotif = 3\n"))


def test_octaves_and_steps_are_rounded_after_interpolation():
    schedule = Schedule(octaves=((0, 2), (10, 5)), steps=((0, 0), (10, 9)))
    moment = schedule.at(5)
    assert (moment.octaves, moment.steps) == (4, 5)  # 3.5 and 4.5 round up, not to the even neighbour
    assert isinstance(moment.octaves, int)


def test_a_flag_replaces_a_whole_curve():
    schedule = Schedule(depth=((0, 0), (9, 1)), strength=0.5).with_settings(depth=0.25, steps=None)
    assert {schedule.at(t).depth for t in (0, 5, 9)} == {0.25}
    assert schedule.at(0).strength == 0.5


@pytest.mark.parametrize("name", SCHEDULE_LIMITS)
def test_values_out_of_range_are_refused_by_their_option_name(name: str):
    low, high = SCHEDULE_LIMITS[name]
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(UserError, match=name.replace("_", "-")):
            Schedule(**{name: value})


@pytest.mark.parametrize("keys", [(), ((2, 0.5), (1, 0.5)), ((1, 0.5), (1, 0.6)), ((float("inf"), 0.5),)])
def test_keys_must_rise(keys: tuple):
    with pytest.raises(UserError):
        Schedule(depth=keys)


def test_presets_differ_and_are_all_valid():
    moments = {name: load_preset(name).at(6.0) for name in list_presets()}
    assert len(moments) >= 3
    assert len(set(moments.values())) == len(moments)
    assert load_preset("classic") == Schedule()


def test_unknown_preset_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'classic'"):
        load_preset("clasic")


def write_plan(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_a_file_builds_on_its_preset(tmp_path: Path):
    schedule = read_schedule(
        write_plan(
            tmp_path,
            'preset = "whisper"\n[[key]]\nat = 1\ndepth = 0.2\n[[key]]\nat = 3\ndepth = 0.4\nsteps = 3\n',
        )
    )
    assert schedule.at(2).depth == pytest.approx(0.3)
    assert schedule.at(0).steps == 3  # one key holds everywhere
    assert schedule.at(2).strength == load_preset("whisper").at(2).strength


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('presett = "whisper"', "did you mean 'preset'"),
        ("[[key]]\nat = 1\ndepht = 0.2", "did you mean 'depth'"),
        ("[[key]]\ndepth = 0.2", "add at = SECONDS"),
        ('[[key]]\nat = 1\ndepth = "deep"', "give a number"),
        ("[[key]]\nat = 1\ndepth = true", "give a number"),
        ("[[key]]\nat = 1\ndepth = 7", "choose between 0 and 1"),
        ("[key]\nat = 1", r"\[\[key\]\]"),
        (f"[[key]]\nat = 1\ndepth = {'9' * 400}", "give a number"),
        (f"[[key]]\ndepth = 0.5\nat = {'9' * 400}", "give a number"),
        ("[[key]]\ndepth = 0.5\nat = []", "give a number"),
        ('[[key]]\nmotif = "dog"\nat = "1"', "give a number"),
        ("depth ==", "not a TOML file"),
        (f"depth = {'9' * 5000}", "not a TOML file"),
        (f"depth = {'[' * 5000}{']' * 5000}", "not a TOML file"),
        ('preset = "whispr"', "did you mean 'whisper'"),
    ],
)
def test_a_typo_is_one_clear_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(UserError, match=message) as caught:
        read_schedule(write_plan(tmp_path, text))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_file(tmp_path: Path):
    with pytest.raises(UserError, match="no such"):
        read_schedule(tmp_path / "none.toml")
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        read_schedule(tmp_path / "bin.toml")


def test_thousands_of_keys_are_as_few():
    rng = np.random.default_rng(2)
    when = np.cumsum(rng.uniform(0.01, 1, 5000))
    values = rng.uniform(0, 1, 5000)
    curve = Schedule(depth=tuple(zip(when.tolist(), values.tolist(), strict=True))).curve("depth")
    at = np.concatenate([rng.uniform(-5, when[-1] + 5, 2000), when[[0, 1, 7, -1]]])
    assert np.array_equal(curve.at(at), np.interp(at, when, values))
    assert [curve.at(float(t)) for t in at] == [float(np.interp(t, when, values)) for t in at]
    assert curve.at(np.zeros(0)).shape == (0,)
    names = ("dog", "eye", "tower")
    fade = Schedule(motif=tuple((t, names[k % 3]) for k, t in enumerate(when.tolist()))).motif_curve
    for t in (-3.0, float(when[0]), float(when[40]), float(when[40:42].mean()), 1e6):
        number = int(np.clip(np.searchsorted(when, t), 0, 4999))
        assert {name for name, share in fade.at(t) if share} <= {names[number % 3], names[(number - 1) % 3]}
        assert sum(share for _, share in fade.at(t)) == pytest.approx(1.0)


def test_a_preset_may_wish_for_a_sound():
    assert preset_sound_target("dogs") == "dog bark"
    assert load_preset("dogs").motif_curve.names == ("dog",)
    assert preset_sound_target("classic") is None
    with pytest.raises(UserError, match="did you mean 'dogs'"):
        preset_sound_target("dog")


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
    for drive in (fade, Drive("habituation", "pitch")):
        with pytest.raises(UserError, match=f"a sound has no {drive.setting}"):
            Recipe(sound_drives=(drive,))
