"""Passes over a film: each in its order, its time and its place, and the same however it is broken off."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from interrupted_runs import hash_media, interrupt_run
from make import make_bursts, make_times, write_film

from mmdream import Recipe, Schedule, UserError, dream_video, plan_video, resume_video
from mmdream.jobs.spec import Job, describe_job
from mmdream.jobs.store import job_folder
from mmdream.media import image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames as frames_of
from mmdream.settings.files import parse_pass, read_passes
from mmdream.settings.passes import AudioStyleSettings, Mask, Pass, Span, Style
from mmdream.settings.recipe import Selection
from tests.command import mmdream

SIZE = 96, 64
FADED = Span(1.0, 4.0, 1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of six seconds with a painting and a mask, its left half white."""
    folder = tmp_path_factory.mktemp("passes")
    rng = np.random.default_rng(3)
    rough = cv2.GaussianBlur(rng.standard_normal((64, 260, 3)).astype(np.float32), (0, 0), 2)
    wide = np.rint(125 + 100 * rough / np.abs(rough).max()).astype(np.uint8)
    write_film(
        folder / "film.mkv",
        make_times(72, 12),
        sound=make_bursts(6.0),
        sound_codec="pcm_s16le",
        size=SIZE,
        frames=[np.ascontiguousarray(wide[:, 2 * number : 2 * number + 96]) for number in range(72)],
        options={"crf": "8"},
    )
    painting = cv2.GaussianBlur(rng.random((80, 80, 3)).astype(np.float32), (0, 0), 1.5)
    image.write_image(folder / "painting.png", (painting - painting.min()) / np.ptp(painting))
    half = np.zeros((64, 96, 3), np.float32)
    half[:, :48] = 1
    image.write_image(folder / "half.png", half)
    return folder


def make_style_pass(place: Path, **settings: float) -> Pass:
    few = Schedule(octaves=1, steps=1).with_settings(**settings)
    names = ("octaves", "steps", *settings)
    own = tuple((name, few.curve(name)) for name in names)
    return Pass(Style(((place / "painting.png", 1.0),), "gram"), own)


def make_recipe(*passes: Pass) -> Recipe:
    return Recipe(schedule=Schedule(octaves=1, steps=1), passes=passes)


def decode_frames(path: Path) -> np.ndarray:
    return np.array([frame.rgb for frame in frames_of(probe(path))])


def test_passes_act_in_their_time_and_their_place_and_come_and_go_softly(place, tmp_path):
    there = replace(make_style_pass(place), span=FADED, mask=Mask(place / "half.png"))
    dream_video(place / "film.mkv", tmp_path / "out.mkv", make_recipe(there), keep_sound=True)
    change = np.abs(decode_frames(tmp_path / "out.mkv") - decode_frames(place / "film.mkv"))
    amount = change[:, :, :40].mean(axis=(1, 2, 3))
    assert not amount[:12].any()
    assert not amount[48:].any()
    assert not change[:, :, 56:].any()
    assert (amount[14:47] > 0).all()
    assert amount[14] < amount[18] < amount[24]
    assert amount[46] < amount[42] < amount[36]


def test_an_ellipse_is_dreamed_where_the_keys_of_a_file_say(place, tmp_path):
    file = tmp_path / "schedule.toml"
    file.write_text(
        "[[key]]\nat = 0\nmask_x = 0.2\nmask_size = 0.3\nfeather = 0\nstrength = 2\n"
        "[[key]]\nat = 1\nmask_x = 0.8"
    )
    words = ("--schedule", file, "--end", "1.05", "--octaves", "1", "--steps", "2", "--keep-sound")
    assert mmdream("video", place / "film.mkv", "-o", tmp_path / "out.mkv", *words).returncode == 0
    change = np.abs(decode_frames(tmp_path / "out.mkv") - decode_frames(place / "film.mkv")[:13]).sum(3)
    columns = (np.arange(96) + 0.5) / 96
    middles = (change.sum(1) @ columns) / change.sum((1, 2))
    np.testing.assert_allclose(middles, np.linspace(0.2, 0.8, 13), atol=0.06)
    assert not change[0, :, 40:].any()
    assert not change[12, :, :56].any()


def test_each_pass_works_on_what_the_one_before_it_made(place, tmp_path):
    dream, painted = Pass(), make_style_pass(place)
    for name, passes in {"one": (dream,), "none": (), "two": (dream, painted)}.items():
        dream_video(
            place / "film.mkv", tmp_path / f"{name}.mkv", make_recipe(*passes), keep_sound=True, end=0.25
        )
    dream_video(tmp_path / "one.mkv", tmp_path / "after.mkv", make_recipe(painted), keep_sound=True)
    one, none, two, after = (
        decode_frames(tmp_path / f"{name}.mkv") for name in ("one", "none", "two", "after")
    )
    assert np.array_equal(one, none)
    # The first frames: the second run's flow is that of the dream, and eight bits lie between.
    assert np.abs(two[0] - after[0]).mean() < 0.25 * np.abs(two[0] - one[0]).mean()
    assert np.abs(two - one).mean() > 0.01


def test_a_plan_names_the_passes(place):
    masked = replace(make_style_pass(place), span=FADED, mask=Mask(place / "half.png"))
    plan = plan_video(place / "film.mkv", place / "out.mkv", make_recipe(Pass(), masked), end=0.5)
    first = next(number for number, line in enumerate(plan.lines()) if line.startswith("  passes"))
    assert plan.lines()[first].split() == ["passes", "dream"]
    until = f"from {FADED.start:g} s to {FADED.stop:g} s"
    assert plan.lines()[first + 1].strip() == f"style of painting.png {until} where half.png is white"


def test_a_film_of_passes_goes_on_to_the_same_frames(place, tmp_path):
    three = make_recipe(
        Pass(), replace(make_style_pass(place), span=FADED), Pass(mask=Mask(x=((0, 0.2), (4, 0.8)), size=0.5))
    )
    whole, broken = tmp_path / "whole.mkv", tmp_path / "broken.mkv"
    wishes = {"keep_sound": True, "end": 4.25}  # 51 frames: two parts, and the style goes in the second.
    dream_video(place / "film.mkv", whole, three, **wishes)
    interrupt_run(place / "film.mkv", broken, job_folder(broken), {"picture"}, recipe=three, at=0.8, **wishes)
    resume_video(broken)
    assert hash_media(broken, tmp_path) == hash_media(whole, tmp_path)


def test_the_short_form_is_a_dream_and_then_a_style(place, tmp_path):
    words = ("--end", "0.25", "--octaves", "1", "--steps", "2", "--keep-sound", "--overwrite")
    painting = f"{place / 'painting.png'}"
    passes = ("--pass", "dream:steps=2", "--pass", f"style={painting}")
    short = mmdream("video", place / "film.mkv", "-o", tmp_path / "a.mkv", "--style", painting, *words)
    long = mmdream("video", place / "film.mkv", "-o", tmp_path / "b.mkv", *passes, *words)
    assert (short.returncode, long.returncode) == (0, 0), short.stderr + long.stderr
    assert np.array_equal(decode_frames(tmp_path / "a.mkv"), decode_frames(tmp_path / "b.mkv"))


def test_a_style_alone_keeps_the_sound_untouched_or_styles_it(
    place, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mmdream.render.video.AudioStyleSettings", partial(AudioStyleSettings, steps=2))
    options = ("--style", place / "painting.png", "--octaves", "1", "--steps", "1", "--end", "0.25")
    kept = mmdream("style", place / "film.mkv", *options, "-o", tmp_path / "kept.mkv")
    other = mmdream(
        "style",
        place / "film.mkv",
        *options,
        "-o",
        tmp_path / "other.mkv",
        "--sound-style",
        place / "film.mkv",
    )
    assert (kept.returncode, other.returncode) == (0, 0), kept.stderr + other.stderr
    same = dream_video(place / "film.mkv", tmp_path / "same.mkv", make_recipe(), keep_sound=True, end=0.25)
    assert same.drift_ms is not None
    sounds = [hash_media(tmp_path / name, tmp_path)[1] for name in ("kept.mkv", "same.mkv", "other.mkv")]
    assert sounds[0] == sounds[1] != sounds[2]


def test_what_a_pass_is_told_and_a_file_holds_is_the_same(place, tmp_path):
    (tmp_path / "a=b.png").write_bytes((place / "painting.png").read_bytes())
    (tmp_path / "s.toml").write_text(
        '[[pass]]\ndepth = 0.6\n[[pass]]\nstyle = ["a=b.png", "a=b.png=0.5"]\nfrom = 3\nto = "8s"\nfade = 1\n'
        "[[pass.key]]\nat = 3\nstrength = 0.0\n[[pass.key]]\nat = 5\nstrength = 0.7\n"
    )
    dream, painted = read_passes(tmp_path / "s.toml")
    assert dream == parse_pass("dream:depth=0.6")
    assert painted.style is not None
    assert painted.style.models == ((tmp_path / "a=b.png", 1.0), (tmp_path / "a=b.png", 0.5))
    assert painted.span == parse_pass("style=x.png:from=3s,to=8,fade=1s").span
    assert painted.schedule(Schedule()).at(4.0).strength == pytest.approx(0.35)


def test_a_job_of_passes_comes_back_from_its_file(place, tmp_path):
    passes = (
        parse_pass("dream:motif=dog+tower,from=1,to=3,fade=.5"),
        parse_pass("dream:channel=p4c:7=0.5"),
        Pass(Style(((place / "painting.png", 0.5),)), mask=Mask(place / "half.png", 3)),
    )
    recipe = make_recipe(*passes)
    job = describe_job(place / "film.mkv", tmp_path / "out.mkv", Selection(), recipe, False, False)
    assert Job.from_json(job.to_json()) == job


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--pass", "blur:x=1"), "write dream:SETTING=VALUE"),
        (("--pass", "dream:dept=1"), "did you mean 'depth'"),
        (("--pass", "dream:depth"), "has no value"),
        (("--pass", "dream:depth=high"), "give a number"),
        (("--pass", "dream:depth=3"), "choose between 0 and 1"),
        (("--pass", "dream:from=5,to=3"), "choose from < to"),
        (("--pass", "dream:from=1,to=2,fade=1"), "do not fit"),
        (("--pass", "dream:from=60"), "lies outside the film"),
        (("--pass", "dream:from=1,to=60"), "lies outside the film"),
        (("--pass", "dream:feather=2"), "feather goes with mask, or with mask_x, mask_y or mask_size"),
        (("--pass", "dream:mask_x=3"), "mask_x is 3; choose between -1 and 2"),
        (("--pass", "style=nothing.png"), "no such file"),
        (("--pass", "style=film.mkv"), "not a picture"),
        (("--pass", "style=painting.png:statistic=mean"), "choose wasserstein or gram"),
        (("--pass", "style=painting.png:net=dreamnett"), "no network"),
        (("--pass", "dream:mask=painting.png"), "does not lie on"),
        (("--mask", "nothing.png"), "nothing.png"),
        (("--style", "painting.png", "--pass", "dream"), "in one way"),
    ],
)
def test_mistakes_are_told_in_a_line_before_the_work(place, words, line):
    before = sorted(place.iterdir())
    run = mmdream("video", "film.mkv", "-o", "never.mp4", *words, cwd=place)
    assert run.returncode == 2
    assert line in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert sorted(place.iterdir()) == before


def test_a_style_of_one_pixel_is_refused(place, tmp_path):
    image.write_image(tmp_path / "dot.png", np.full((1, 1, 3), 0.5, np.float32))
    dot = Pass(Style(((tmp_path / "dot.png", 1.0),)))
    with pytest.raises(UserError, match=r"dot\.png: is 1x1"):
        dream_video(place / "film.mkv", tmp_path / "out.mkv", make_recipe(dot), keep_sound=True, end=0.5)
