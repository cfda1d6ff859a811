"""What a job is to make is written down whole, and another one is told from it."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from mmdream import Recipe, Schedule, UserError
from mmdream.jobs import store
from mmdream.jobs.spec import Job, describe_environment, describe_job, format_differences
from mmdream.media import image
from mmdream.networks import network
from mmdream.settings.passes import Mask, Pass, Span, Style
from mmdream.settings.recipe import AscentOptions, AudioOptions, Selection
from mmdream.settings.schedule import Curve, Drive, MotifCurve
from mmdream.settings.targets import Targets, parse_channel, parse_target

OTHER: dict[str, Any] = {
    "schedule": Schedule(steps=((0, 1), (2, 3)), strength=0.5, motif=((0, "dog,eye"), (3, "tower"))),
    "drives": (Drive("strength", "loudness", 0.5, 1.5), Drive("octaves", "cuts")),
    "sound_drives": (Drive("depth", "motion"),),
    "wishes": Targets((parse_channel("p4c:7,12=-0.5"), parse_target("goldfish")), "mean", Path("/guide.png")),
    "sound_wishes": Targets(
        (parse_channel("c4:7,12=-0.5"), parse_target("rain")), "cosine", Path("/guide.wav")
    ),
    "sound_manner": AudioOptions(0.5, "wide", "griffin-lim"),
    "manner": AscentOptions("adam", 0.25, 0.5, True),
    "passes": (
        Pass(
            settings=(("motif", MotifCurve(((0.0, ("dog", "eye")), (3.0, ("tower",))))),),
            span=Span(1, 4, 0.5),
        ),
        Pass(
            wishes=Targets((parse_channel("p4c:7=0.5"),), "cosine", Path("/g.png")),
            net="vgg19",
            weights="random",
        ),
        Pass(
            Style(((Path("/a.jpg"), 0.5),), "gram", 2.0, 0.3, 0.5),
            (("strength", Curve(((0.0, 0.2), (2.0, 1.0)))),),
            mask=Mask(Path("/m.png"), 3.0),
        ),
    ),
    "couplings": Path("/c.toml"),
    "net": "vgg16",
    "sound_net": "othernet",
    "weights": "/a/b.npz",
    "sound_weights": "random",
    "coherence": 0.5,
    "breathe": 0.25,
    "bidirectional": True,
    "engine": "feedforward",
    "color": "source",
    "seed": 7,
    "seams": 15.0,
    "loop": True,
    "size": "480p",
    "precision": "float32",
}
"""Of each setting of a recipe, a value that is not its default."""


def make_job(recipe: Recipe, overwrite: bool = False) -> Job:
    order = Selection(Fraction(1, 3), None, False, False, True)
    return Job(
        Path("/in.mp4"), Path("/out.mkv"), order, recipe, overwrite, {"source": "0" * 64}, {"threads": "2"}
    )


@pytest.mark.parametrize("name", [each.name for each in fields(Recipe)])
def test_every_setting_is_written_down_and_read_again(name: str):
    recipe = replace(Recipe(), **{name: OTHER[name]})
    assert recipe != Recipe()
    again = Job.from_json(make_job(recipe).to_json())
    assert again == make_job(recipe)
    assert again.settings == make_job(recipe).settings
    # Where weights and tables lie is no setting: what they are is told by their hash.
    by_content = "weights" in name or name == "couplings"
    assert (again.settings == make_job(Recipe()).settings) == by_content


def test_other_terms_and_motifs_are_refused_by_what_they_are(tmp_path: Path):
    store.begin_job(make_job(Recipe()), tmp_path, "how")
    for recipe, said in (
        (
            Recipe(wishes=Targets((parse_target("goldfish=2"),))),
            r"\(terms was not set, is target goldfish=2\)",
        ),
        (Recipe(schedule=Schedule(motif="dog")), r"\(motif was auto, is dog\)"),
        (Recipe(drives=(Drive("depth", "onset"),)), r"\(drives was not set, is depth=onset\)"),
        (Recipe(manner=AscentOptions(wander=0.5)), r"\(wander was 0, is 0.5\)"),
    ):
        with pytest.raises(UserError, match=said):
            store.begin_job(make_job(recipe), tmp_path, "how")


def test_another_objective_or_guide_of_a_pass_is_another_job(tmp_path: Path):
    film, guide = tmp_path / "film.mp4", tmp_path / "guide.png"
    film.write_bytes(b"film")

    def describe(measure: Literal["energy", "mean"], pixel: float) -> Job:
        image.write_image(guide, np.full((16, 16, 3), pixel, np.float32))
        recipe = Recipe(passes=(Pass(wishes=Targets((), measure, guide)),))
        return describe_job(film, tmp_path / "out.mkv", Selection(), recipe, False, False)

    first = describe("energy", 0.5)
    assert (
        format_differences(first.settings, describe("mean", 0.5).settings)
        == "pass 1 measure was energy, is mean"
    )
    assert format_differences(first.settings, describe("energy", 0.6).settings) == "pass 1 guide has changed"
    guide.unlink()
    with pytest.raises(UserError, match=r"guide.png: no such file"):
        describe_job(film, tmp_path / "out.mkv", Selection(), first.recipe, False, False)


def test_a_pass_s_network_decides_too_whether_the_rest_would_be_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # The sound's network and those of the user's own are computed in float32 on any machine.
    recipe = Recipe(net="melnet", passes=(Pass(), Pass(net="squeezenet")))
    environments = []
    for flags in ("vendor_id : AuthenticAMD flags : avx2 avx512_bf16", "flags : avx2"):
        (tmp_path / "cpuinfo").write_text(flags)
        monkeypatch.setattr(network, "CPU_INFO", tmp_path / "cpuinfo")
        environments.append(describe_environment(recipe))
    assert environments[0]["precision"] == environments[1]["precision"]
    assert "pass 2 precision was bfloat16, is float32" in format_differences(*environments)


@pytest.mark.parametrize("name", ["breathe", "bidirectional", "color"])
def test_another_setting_is_refused_by_name_unless_begun_anew(name: str, tmp_path: Path):
    store.begin_job(make_job(Recipe()), tmp_path, "how")
    store.begin_job(make_job(Recipe()), tmp_path, "how")
    other = replace(Recipe(), **{name: OTHER[name]})
    with pytest.raises(UserError, match=rf"\({name} was .*, is {OTHER[name]}\)"):
        store.begin_job(make_job(other), tmp_path, "how")
    store.begin_job(make_job(other, overwrite=True), tmp_path, "how")
    held = store.read_job(tmp_path)
    assert held is not None
    assert held.recipe == other


def test_a_whole_number_is_the_same_setting_however_it_is_written(tmp_path: Path):
    store.begin_job(make_job(Recipe(coherence=1, breathe=0)), tmp_path, "how")
    store.begin_job(make_job(Recipe(coherence=1.0, breathe=0.0)), tmp_path, "how")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_network_of_ones_own_is_hashed_by_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another file under the same name is another job, and so is another card beside it."""
    import keras

    film, mine = tmp_path / "film.mp4", tmp_path / "mine.keras"
    film.write_bytes(b"film")

    def save(channels: int) -> None:
        layers = [keras.Input((16, 16, 3)), *(keras.layers.Conv2D(n, 3, 2) for n in (4, channels))]
        keras.Sequential(layers).save(mine)

    def describe(name: str) -> Job:
        return describe_job(
            film, tmp_path / "out.mkv", Selection(keep_sound=True), Recipe(net=name), False, False
        )

    save(5)
    monkeypatch.chdir(tmp_path)
    before = describe("mine.keras")
    assert before.recipe.net == str(mine)
    assert before.settings == describe(str(mine)).settings
    assert Job.from_json(before.to_json()) == before
    save(6)
    after = describe("mine.keras")
    assert format_differences(before.settings, after.settings) == "network's weights has changed"
    mine.with_suffix(".toml").write_text("carried = 0.2\n")
    assert "network's card has changed" in format_differences(after.settings, describe("mine.keras").settings)


def test_a_job_of_an_earlier_version_is_read():
    text = (Path(__file__).parent / "job_of_an_earlier_version.json").read_text()
    job = Job.from_json(text)
    assert job.recipe.passes[2].style == Style(((Path("/a.jpg"), 0.5),), "gram", 2.0, 0.3, 0.5)
    assert job.recipe.passes[0].span == Span(1, 4, 0.5)
    assert job.recipe.manner == AscentOptions("adam", 0.25, 0.5, True)
    with pytest.raises(ValueError, match="not a job of this version"):
        Job.from_json(text.replace('"seed": 7', '"seed": 8'))
