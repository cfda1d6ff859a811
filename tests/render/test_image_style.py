"""`mmdream style` on pictures: files in, a file out, and one line for every mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from mmdream.cli.app import app
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.octaves import resize
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image
from mmdream.networks.network import Network
from mmdream.render.image_style import ImageStyleReport, style_image
from mmdream.render.models import load_image_network
from mmdream.settings.passes import STYLE_SCHEDULE, Style, parse_style
from mmdream.settings.recipe import Recipe

SIZE = 104, 156
"""Height and width in px: large enough for two octaves."""


@pytest.fixture(scope="module")
def cat(data: Path) -> np.ndarray:
    """A photograph, as 8 bits hold it."""
    small = resize(image.read_image(data / "photos" / "cat.jpg"), SIZE)
    return np.rint(np.clip(small, 0, 1) * 255).astype(np.float32) / 255


@pytest.fixture(scope="module")
def night(data: Path) -> np.ndarray:
    return resize(image.read_image(data / "paintings" / "starry_night.jpg"), (120, 152))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, cat: np.ndarray, night: np.ndarray) -> Path:
    """Pictures that fit and others that do not."""
    folder = tmp_path_factory.mktemp("painted")
    image.write_image(folder / "cat.png", cat)
    image.write_image(folder / "night.png", night)
    image.write_image(folder / "dot.png", np.full((1, 1, 3), 0.5, np.float32))
    image.write_image(folder / "black.png", np.zeros((*SIZE, 3), np.float32))
    image.write_image(folder / "square.png", np.ones((64, 64, 3), np.float32))
    (folder / "text.png").write_text("no picture at all")
    (folder / "empty.png").touch()
    soundfile.write(folder / "rain.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 8000), 8000)
    return folder


@pytest.fixture(scope="module")
def network() -> Network:
    return load_image_network(Recipe(), EventSink())


@pytest.fixture
def cached_network(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load and trace the default network once for all."""
    monkeypatch.setattr("mmdream.render.image_style.load_image_network", lambda recipe, listener: network)


def paint_picture(
    content: np.ndarray, model: np.ndarray, *, steps: int = 2, strength: float = 1, **how: object
) -> tuple[np.ndarray, ImageStyleReport]:
    """Paint without files, at two octaves."""
    given = {name: how.pop(name) for name in ("color", "seed", "size") if name in how}
    schedule = STYLE_SCHEDULE.with_settings(octaves=2, octave_scale=1.6, steps=steps, strength=strength)
    style = Style((parse_style("painting"),))
    return style_image(content, [model], Recipe(schedule=schedule, **given), style, EventSink(), **how)


def test_a_picture_is_painted_in_the_style_of_two(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    words = "style cat.png --style night.png=3 --style square.png --steps 4 --octaves 2 --save-steps --json"
    words += " --octave-scale 1.6"
    run = CliRunner().invoke(app, words.split())
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert report["output"] == "cat.styled.png"
    assert report["styles"] == {"night.png": 0.75, "square.png": 0.25}
    assert report["size"] == [156, 104]
    assert report["style_left"] == pytest.approx(report["style_result"] / report["style_content"])
    assert report["style_left"] < 0.9
    assert report["content_distance"] > 0
    steps = sorted(Path("cat.styled.steps").iterdir())
    assert [path.name for path in steps] == [f"{number:04}.png" for number in range(1, 9)]
    last, result = image.read_image(steps[-1]), image.read_image(Path("cat.styled.png"))
    np.testing.assert_allclose(last, result, atol=1.01 / 255)
    assert not list(place.glob(".*"))
    again = CliRunner().invoke(app, words.split())
    assert "exists already" in str(again.exception)
    Path("cat.styled.png").unlink()
    shutil.rmtree("cat.styled.steps")


@pytest.mark.usefixtures("cached_network")
def test_strength_0_is_the_source_bit_for_bit(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    words = "style cat.png --style night.png --steps 1 --octaves 1 --strength 0 -o same.png"
    run = CliRunner().invoke(app, words.split())
    assert run.exit_code == 0, run.output
    assert "(100.0 %)" in run.stdout
    assert np.array_equal(image.read_image(Path("same.png")), image.read_image(Path("cat.png")))


@pytest.mark.usefixtures("cached_network")
def test_the_parts_of_a_blend_weigh(cat: np.ndarray, night: np.ndarray):
    red, blue = (night * np.float32(tint) for tint in ([1, 0.6, 0.2], [0.2, 0.6, 1]))

    def measure_redness(weight: float) -> float:
        style = Style(((Path("red"), weight), (Path("blue"), 1.0)), content_weight=0)
        recipe = Recipe(schedule=STYLE_SCHEDULE.with_settings(octaves=1, steps=8))
        result, _ = style_image(cat, [red, blue], recipe, style, EventSink())
        return float((result[..., 0] - result[..., 2]).mean())

    assert measure_redness(8) > measure_redness(1 / 8) + 0.05


@pytest.mark.usefixtures("cached_network")
def test_the_source_keeps_its_colours_even_from_noise(cat: np.ndarray, night: np.ndarray):
    _, begun = paint_picture(cat, night, color="source", from_noise=True, steps=0)
    result, report = paint_picture(cat, night, color="source", from_noise=True)
    for channel in (1, 2):
        np.testing.assert_allclose(
            result[..., channel] - result[..., 0], cat[..., channel] - cat[..., 0], atol=1e-5
        )
    assert np.abs(result - cat).mean() > 0.02
    assert report.style_result < begun.style_result


@pytest.mark.usefixtures("cached_network")
def test_without_a_step_there_is_what_it_begins_with(cat: np.ndarray, night: np.ndarray):
    content, _ = paint_picture(cat, night, steps=0)
    np.testing.assert_allclose(content, cat, atol=1e-6)
    begun, _ = paint_picture(cat, night, steps=0, from_noise=True, seed=5)
    np.testing.assert_allclose(begun, make_noise_image(*SIZE, 5), atol=1e-6)


@pytest.mark.usefixtures("cached_network")
def test_what_is_black_in_a_mask_stays_at_any_working_size(cat: np.ndarray, night: np.ndarray):
    share = np.zeros(SIZE, np.float32)
    share[:, 80:] = 1
    result, _ = paint_picture(cat, night, mask=share, from_noise=True, size="80p")
    assert np.array_equal(result[:, :80], cat[:, :80])
    assert np.abs(result - cat)[:, 80:].mean() > 0.05


MISTAKES = {
    "content missing": ("absent.png --style night.png", "absent.png: no such file"),
    "content is text": ("text.png --style night.png", "text.png"),
    "content is empty": ("empty.png --style night.png", "empty"),
    "content is a pixel": ("dot.png --style night.png", "dot.png: is 1x1 px"),
    "style missing": ("cat.png --style absent.png", "absent.png: no such file"),
    "style is text": ("cat.png --style text.png", "text.png: not a picture"),
    "style is a pixel": ("cat.png --style night.png --style dot.png", "dot.png: is 1x1 px"),
    "style is a sound": ("cat.png --style rain.wav", "rain.wav: not a picture"),
    "picture for a sound": ("rain.wav --style night.png", "takes its style from sounds"),
    "mask missing": ("cat.png --style night.png --mask absent.png", "absent.png: no such file"),
    "mask is text": ("cat.png --style night.png --mask text.png", "text.png: is no mask"),
    "mask of another aspect": ("cat.png --style night.png --mask square.png", "same ratio"),
    "mask is black": ("cat.png --style night.png --mask black.png", "nothing would be painted"),
    "edges of nothing": ("cat.png --style night.png --feather 3", "--mask"),
    "feather": ("cat.png --style night.png --mask black.png --feather -1", "between 0 and 360"),
    "network": ("cat.png --style night.png --net dreamnat", "dreamnet"),
    "network of sounds": ("cat.png --style night.png --net melnet", "is a sound network"),
    "weights": ("cat.png --style night.png --weights absent.npz", "absent.npz"),
    "statistic": ("cat.png --style night.png --statistic mean", "gram"),
    "weight": ("cat.png --style night.png=0", "above 0"),
    "content weight": ("cat.png --style night.png --content-weight nan", "between 0 and 1000"),
    "smooth": ("cat.png --style night.png --smooth -1", "between 0 and 100"),
    "scale": ("cat.png --style night.png --style-scale 20", "between 0.1 and 10"),
    "octaves": ("cat.png --style night.png --octaves 0", "between 1 and 12"),
    "octave scale": ("cat.png --style night.png --octave-scale 1", "between 1.05 and 4"),
    "steps": ("cat.png --style night.png --steps 501", "between 0 and 500"),
    "strength": ("cat.png --style night.png --strength -1", "between 0 and 4"),
    "size": ("cat.png --style night.png --size 8p", "between 16 and"),
    "beginning": ("cat.png --style night.png --from silence", "noise"),
    "suffix": ("cat.png --style night.png -o out.wav", ".png"),
    "onto itself": ("cat.png --style night.png -o cat.png --overwrite", "is the input itself"),
    "for sounds alone": ("cat.png --style night.png --keep-rhythm", "--keep-rhythm speaks to sounds"),
    "for pictures alone": ("rain.wav --style rain.wav --statistic gram", "--statistic speaks to pictures"),
    "so too its default": ("rain.wav --style rain.wav --net dreamnet", "--net speaks to pictures"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_before_the_work_and_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
):
    monkeypatch.chdir(place)
    typed, says = MISTAKES[mistake]
    before = sorted(place.rglob("*"))
    run = CliRunner().invoke(app, ["style", *typed.split()])
    assert run.exit_code, run.output
    said = str(run.exception) if isinstance(run.exception, UserError) else run.output
    assert says in said
    assert sorted(place.rglob("*")) == before
