"""What cannot be trained is refused with one line, and leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmdream.core.errors import UserError
from mmdream.datasets.folder import read_dataset
from mmdream.networks import registry
from mmdream.networks.framework import keras
from mmdream.networks.registry import list_networks, load_card
from mmdream.networks.weights import read_arrays
from mmdream.settings.training import TrainingSettings
from mmdream.training.train import train_network
from tests.command import mmdream

# Keras 3.15 calls NumPy in its older way where it saves variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def remove_class(root: Path) -> Path:
    shutil.rmtree(root / "upright")
    return root


def keep_two_files(root: Path) -> Path:
    for path in sorted((root / "upright").iterdir())[2:]:
        path.unlink()
    return root


@pytest.mark.parametrize(
    ("wishes", "line"),
    [
        ({"data": Path("nowhere")}, r"nowhere: no such folder"),
        (
            {"medium": "sound", "net": "melnet"},
            r"stripes: has pictures; use `mmdream train picture`, or give sounds",
        ),
        ({"net": "melnet"}, r"melnet is a sound network; picture networks: .*"),
        ({"net": "vgg61"}, r'no network "vgg61"; nearest: vgg.*'),
        ({"fold": "7"}, r'stripes has no fold "7"; it has none'),
        ({"unfreeze": "c3z"}, r"--unfreeze c3z: no such layer below the classes; nearest: .*c3.*"),
        ({"weights": "w.npz"}, r"w\.npz: no such weights file .*"),
        ({"name": "dreamnet"}, r"-o dreamnet: is a network of the package.*"),
        ({"name": "../mine"}, r'-o "\.\./mine": a network\'s name has .*'),
        ({"name": "mine:small"}, r'-o "mine:small": a network\'s name has .*'),
        ({"name": "mine.keras"}, r'-o "mine\.keras": a network\'s name has .*'),
        ({"name": ".mine"}, r'-o "\.mine": a network\'s name has .*'),
    ],
)
def test_wrong_wishes(pictures: Path, models: Path, wishes: dict[str, object], line: str):
    settings = TrainingSettings("picture", "dreamnet", pictures, "mine", batch=8, side=64, epochs=1)
    with pytest.raises(UserError, match=f"^{line}$|{line}$"):
        train_network(replace(settings, **wishes))  # type: ignore[arg-type]
    assert not models.exists() or not list(models.iterdir())


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (remove_class, "has one class only, level"),
        (keep_two_files, "class upright has 2 files; each needs 3"),
    ],
)
def test_sets_that_are_too_small(
    pictures: Path, tmp_path: Path, models: Path, spoil: Callable[[Path], Path], line: str
):
    data = spoil(Path(shutil.copytree(pictures, tmp_path / "set")))
    assert len(read_dataset(data).examples) > 0
    with pytest.raises(UserError, match=line):
        train_network(TrainingSettings("picture", "dreamnet", data, "mine"))
    assert not models.exists()


def test_a_damaged_picture_is_told_before_the_work(pictures: Path, tmp_path: Path, models: Path):
    data = Path(shutil.copytree(pictures, tmp_path / "set"))
    (data / "level" / "3.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"3\.png"):
        train_network(TrainingSettings("picture", "dreamnet", data, "mine", side=64, from_scratch=True))
    assert not list(models.iterdir())


def test_weights_that_are_no_numbers_are_told(sounds: Path, models: Path):
    settings = TrainingSettings("sound", "melnet", sounds, "mine", batch=8, seconds=1.0)
    with pytest.raises(UserError, match="answers with what is no number; start from other --weights"):
        train_network(replace(settings, weights=str(write_infinite_weights(models))))


def write_infinite_weights(models: Path) -> Path:
    """Weights of a melnet that answers with no numbers."""
    arrays = read_arrays(registry.MODELS_FOLDER / "melnet.npz")
    models.mkdir()
    np.savez(models / "endless.npz", **{**arrays, "c6_bias": np.full_like(arrays["c6_bias"], np.inf)})
    return models / "endless.npz"


@pytest.mark.parametrize(
    ("wishes", "line"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch": 1}, "batch is 1"),
        ({"side": 16}, "side is 16"),
        ({"seconds": 0.1}, "seconds is 0.1"),
        ({"rate": 0.0}, "rate is 0"),
        ({"from_scratch": True, "unfreeze": "1"}, "--from-scratch takes fresh weights"),
    ],
)
def test_settings_out_of_range(wishes: dict[str, object], line: str):
    with pytest.raises(UserError, match=line):
        TrainingSettings("picture", "dreamnet", Path(), "mine", **wishes)  # type: ignore[arg-type]


def test_a_keras_file_is_trained_elsewhere(pictures: Path, tmp_path: Path):
    pixels = keras.Input((None, None, 3))
    keras.Model(pixels, keras.layers.Conv2D(4, 3, name="c")(pixels)).save(tmp_path / "own.keras")
    with pytest.raises(UserError, match=r"own\.keras: train a Keras file with Keras"):
        train_network(TrainingSettings("picture", str(tmp_path / "own.keras"), pictures, "mine"))


def test_a_damaged_card_of_a_trained_network_is_named(models: Path):
    (models / "mine").mkdir(parents=True)
    for text in ("no toml", "medium = 'picture'"):
        (models / "mine" / registry.CARD_FILE).write_text(text, encoding="utf-8")
        assert "mine" in list_networks()
        with pytest.raises(UserError, match=r"mine.card\.toml: .*"):
            load_card("mine")


def test_the_command_tells_in_one_line(tmp_path: Path):
    done = mmdream("train", "sound", "--data", tmp_path / "nowhere", "-o", "mine")
    assert done.returncode == 2
    assert done.stderr == f"mmdream: error: {tmp_path / 'nowhere'}: no such folder\n"
