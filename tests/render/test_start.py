"""Dreams that begin on what a generator makes: chosen by --target and --seed, enlarged, numbered, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdream.media.image import read_image
from mmdream.render.start import GeneratedPicture, enlarge_picture, parse_start, read_start_image
from mmdream.settings.recipe import Recipe
from mmdream.settings.targets import parse_target
from tests.command import mmdream, run_for_report
from tests.generator import write_generator


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_generator(folder)
    return folder


@pytest.fixture(autouse=True)
def own_models(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDREAM_MODELS", str(models))


def generated(*targets: str) -> GeneratedPicture:
    start = parse_start("generator:small", tuple(map(parse_target, targets)))
    assert isinstance(start, GeneratedPicture)
    return start


def test_targets_are_the_classes_with_their_weights():
    assert parse_start("noise", ()) is None
    assert generated("lemon").shares == (("lemon", 1.0),)
    both = generated("Lemon=3", "gizmo")
    assert (both.shares, both.name) == ((("lemon", 0.75), ("gizmo", 0.25)), "small-lemon-gizmo")


def test_a_picture_is_that_of_its_seed_number_and_class():
    def read(start: GeneratedPicture, seed: int = 0) -> np.ndarray:
        return read_start_image(start, Recipe(size="64x64", seed=seed))

    first, lemon = read(generated("lemon")), generated("lemon")
    np.testing.assert_array_equal(first, read(lemon))
    others = (
        read(lemon, 1),
        read(GeneratedPicture(lemon.generator, lemon.shares, 1)),
        read(generated("gizmo")),
    )
    assert all(np.abs(first - other).max() > 1e-3 for other in others)


def test_a_picture_is_enlarged_whole_with_its_edges_mirrored():
    ramp = np.linspace(0, 1, 32, dtype=np.float32)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], 0.5), -1)
    wide = enlarge_picture(picture, 64, 128)
    assert wide.shape == (64, 128, 3)
    np.testing.assert_array_equal(wide[:, :32], wide[:, 32:64][:, ::-1])
    square = wide[:, 32:96]
    assert square[0, 0, :2].max() < 0.02
    assert square[-1, -1, :2].min() > 0.98
    assert (np.diff(square[..., 1], axis=1) > -1e-6).all()
    assert enlarge_picture(picture, 128, 64).shape == (128, 64, 3)


def test_many_are_numbered_and_differ_though_the_network_knows_none(tmp_path: Path):
    words = ("image", "--from", "generator:small", "--target", "gizmo", "--size", "48x48", "--steps", "1")
    words += ("--octaves", "1", "-o", tmp_path / "out.png")
    status, _, report = run_for_report(*words, "--count", 2)
    assert status == 0
    assert [Path(each["output"]).name for each in report["pictures"]] == ["out-1.png", "out-2.png"]
    first, second = (read_image(tmp_path / name) for name in ("out-1.png", "out-2.png"))
    assert np.abs(first - second).max() > 0.01
    alone = mmdream(*words)
    assert "dreamnet knows no gizmo" in alone.stderr
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), first)
    (tmp_path / "out-1.png").unlink()
    (tmp_path / "out.png").unlink()
    done = mmdream(*words, "--count", 2)
    assert done.returncode == 2
    assert "out-2.png" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out-2.png"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--from", "generator:small"), "choose what it makes with --target: lemon, gizmo"),
        (
            ("--from", "generator:small", "--target", "lemming"),
            'generator small makes no "lemming"; nearest: lemon',
        ),
        (
            ("--from", "generator:small", "--target", "lemon"),
            "what is generated is to be enlarged; give --size",
        ),
        (("--from", "generator:dreamnet", "--target", "lemon"), "dreamnet: is a network that dreams"),
        (("--from", "generator"), "--from is 'generator'; write noise, or generator:NAME"),
        (("--from", "noise", "--size", "64x64", "--count", "2"), "--count goes with --from generator:NAME"),
        ((), "give a picture to dream on, or --from noise or generator:NAME"),
    ],
)
def test_wrong_beginnings_are_told_in_one_line(tmp_path: Path, options: tuple[str, ...], line: str):
    done = mmdream("image", *options, "-o", tmp_path / "out.png")
    assert done.returncode == 2
    assert line in done.stderr
    assert not list(tmp_path.iterdir())
