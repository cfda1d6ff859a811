"""A generator that learns colours in seconds: it goes on where it stopped, and is kept with its report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.generators import fit
from mmdream.generators.train import CURVES, HISTORY, SAMPLES, GeneratorReport, train_generator
from mmdream.media.image import read_image
from mmdream.networks.generator import draw_latent, load_generator
from mmdream.networks.generator_card import GENERATOR_WEIGHTS, find_generator
from mmdream.settings.training import GeneratorSettings
from tests.command import mmdream

# Keras 3.15 calls NumPy in its older way where it saves variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

COLORS = {"red": (210, 50, 40), "blue": (40, 60, 220)}
ROUND, ROUNDS = 14, 3
SMALL = {"ROUND_STEPS": ROUND, "PENALTY_STEPS": 1, "ROUND_EXAMPLES": 8, "LAST_EXAMPLES": 12}


def write_colors(root: Path, count: int = 20) -> Path:
    """Pictures of 32 px with a bright spot somewhere, on red and on blue ground."""
    for place, (name, color) in enumerate(COLORS.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            rng = np.random.default_rng((place, number))
            picture = np.clip(np.array(color) + rng.normal(0, 15, (32, 32, 3)), 0, 255)
            row, column = rng.integers(0, 20, 2)
            picture[row : row + 12, column : column + 12] += 0.5 * (
                255 - picture[row : row + 12, column : column + 12]
            )
            cv2.imwrite(str(root / name / f"{number}.png"), picture[..., ::-1].astype(np.uint8))
    return root


@pytest.fixture(scope="module")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colors(tmp_path_factory.mktemp("sets") / "colors")


@pytest.fixture(scope="module", autouse=True)
def short_rounds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(fit, name, value)
        yield


def small_settings(data: Path) -> GeneratorSettings:
    return GeneratorSettings(
        data,
        "colors",
        side=32,
        width=4,
        net="none",
        judge="dreamnet",
        steps=ROUND * ROUNDS,
        batch=8,
        rate=3e-3,
    )


@pytest.fixture(scope="module")
def training(colors: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[GeneratorReport, list[str]]:
    """A generator whose training was stopped in its second round and went on; what was said."""
    said: list[str] = []

    def stop(what: str, done: float, total: float) -> None:
        if what == "training" and done == ROUND + 2:
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMDREAM_MODELS", str(tmp_path_factory.mktemp("trained")))
        with pytest.raises(Interrupted):
            train_generator(small_settings(colors), listener=EventSink(progress=stop, say=said.append))
        return train_generator(small_settings(colors), listener=EventSink(say=said.append)), said


def test_a_stopped_training_goes_on_at_its_round(training: tuple[GeneratorReport, list[str]]):
    report, said = training
    assert [line.split(":")[0] for line in said if line.startswith("round")] == [
        f"round {number} of {ROUNDS}" for number in (1, 2, 3)
    ]
    rounds = json.loads((report.folder / "report.json").read_text())["rounds"]
    assert [row["epoch"] for row in rounds] == [0, 1, 2]
    assert all(np.isfinite(list(row.values())).all() for row in rounds)
    assert [path.name for path in report.folder.parent.iterdir()] == ["colors.generator"]


def test_a_stopped_training_ends_as_an_unbroken_one(
    training: tuple[GeneratorReport, list[str]], colors: Path, models: Path
):
    unbroken = train_generator(small_settings(colors))
    pair = [load_generator(find_generator(str(each.folder))) for each in (training[0], unbroken)]
    for one, other in zip(*(generator.model.get_weights() for generator in pair), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_it_makes_the_colours_of_its_classes(training: tuple[GeneratorReport, list[str]]):
    generator = load_generator(find_generator(str(training[0].folder)))
    assert generator.card.classes == ("blue", "red")
    latents = np.stack([draw_latent(0, number) for number in range(8)])
    blue, red = (
        generator.make_pictures(latents, np.repeat(np.eye(2, dtype=np.float32)[k : k + 1], 8, 0))
        for k in (0, 1)
    )
    assert blue[..., 2].mean() > red[..., 2].mean() + 0.05
    assert red[..., 0].mean() > blue[..., 0].mean() + 0.05


def test_it_is_kept_with_its_figures(training: tuple[GeneratorReport, list[str]]):
    report, _ = training
    card = find_generator(str(report.folder))
    assert (card.role, card.side, card.name) == ("generator", 32, "colors")
    assert card.facts["distance"] == pytest.approx(report.likeness.distance, abs=0.01)
    assert "terms are yours to know" in card.licence
    with np.load(report.folder / GENERATOR_WEIGHTS) as arrays:
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype(np.float16)}
    assert read_image(report.folder / SAMPLES).shape == (2 * 32, 12 * 32, 3)
    assert read_image(report.folder / HISTORY).shape == (ROUNDS * 32, 2 * 32, 3)
    assert (report.folder / CURVES).stat().st_size > 5000
    assert any("mmdream image --from generator:colors --target" in line for line in report.lines())


def test_it_learns_by_a_networks_features_too(colors: Path):
    settings = replace(
        small_settings(colors),
        net="dreamnet",
        judge="squeezenet",
        judge_weights="random",
        steps=1,
        classes="red,blue",
    )
    report = train_generator(settings)
    assert report.classes == ("blue", "red")
    assert find_generator("colors").facts["told_apart_by"] == "dreamnet's features"
    with pytest.raises(UserError, match="colors: exists already"):
        train_generator(settings)


def remove_class(root: Path) -> None:
    shutil.rmtree(root / "red")


def keep_three(root: Path) -> None:
    for path in sorted((root / "red").iterdir())[3:]:
        path.unlink()


def repeat_one(root: Path) -> None:
    first, *others = sorted((root / "red").iterdir())
    for path in others:
        path.write_bytes(first.read_bytes())


def damage_one(root: Path) -> None:
    (root / "red" / "7.png").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (remove_class, "set: 1 classes to learn; a generator learns 2 to 1000"),
        (keep_three, "class red has 3 pictures to learn from; each needs 16, and is better with 500"),
        (repeat_one, "class red has only 1 different pictures; each needs 16"),
        (damage_one, r"7\.png"),
    ],
)
def test_sets_that_cannot_be_learned_are_refused(
    colors: Path, tmp_path: Path, models: Path, spoil: Callable[[Path], None], line: str
):
    data = Path(shutil.copytree(colors, tmp_path / "set"))
    spoil(data)
    with pytest.raises(UserError, match=line):
        train_generator(small_settings(data))
    assert not models.exists() or not list(models.iterdir())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--data", "nowhere"), "nowhere: no such folder"),
        (("--classes", "red,green"), 'has no class "green"; it has blue, red'),
        (("--classes", "red"), "1 classes to learn"),
        (("--net", "melnet"), "melnet is a sound network"),
        (("--judge", "dreamnet"), "--judge dreamnet: also tells it what to make"),
        (("--judge-weights", "w.npz"), "w.npz: no such weights file"),
        (("--side", "48"), "side is '48'"),
        (("--steps", "0"), "steps is 0"),
        (("-o", "dreamnet"), "-o dreamnet: is called so already"),
        (("-o", "../mine"), '-o "../mine": a generator\'s name has'),
    ],
)
def test_wrong_wishes_are_told_in_one_line(colors: Path, models: Path, options: tuple[str, ...], line: str):
    words = {"--data": str(colors), "-o": "mine"} | {options[0]: options[1]}
    done = mmdream("train", "generator", *(word for pair in words.items() for word in pair))
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert not models.exists()
