"""A training that is stopped, or whose files were torn: it is left alone while it works, and goes on."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from mmdream.core.errors import Interrupted, Stopped, UserError
from mmdream.core.events import EventSink
from mmdream.networks.registry import list_networks
from mmdream.networks.weights import read_arrays
from mmdream.settings.training import TrainingSettings
from mmdream.training.train import train_network

# Keras 3.15 calls NumPy in its older way where it saves variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HEAD = TrainingSettings("sound", "melnet", Path(), "mine", epochs=1, batch=8, seconds=1.0, unfreeze="0")


@pytest.fixture
def default_sigint() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, even if the tests run in the background, where a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("default_sigint")
def test_a_folder_is_kept_from_others_until_the_work_has_let_go(sounds: Path, models: Path):
    settings, go_on = replace(HEAD, data=sounds), threading.Event()

    def long_step(what: str, done: float, total: float) -> None:
        signal.raise_signal(signal.SIGINT)
        go_on.wait(60)

    try:
        with pytest.raises(Stopped):
            train_network(settings, listener=EventSink(progress=long_step))
        with pytest.raises(UserError, match="mine: another run is training it"):
            train_network(settings)
    finally:
        go_on.set()
    with FileLock(models / ".mine.training" / "lock").acquire(timeout=60):
        assert (models / ".mine.training" / "order.json").is_file()


UPPER = replace(HEAD, unfreeze=None)


@pytest.fixture(scope="module")
def interrupted_training(
    sounds: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, np.ndarray]]:
    """The folder of a training that was stopped in its fifth round, and the weights of an unbroken one."""

    def stop(what: str, done: float, total: float) -> None:
        if what == "training" and done == 9:
            raise Interrupted

    settings = replace(UPPER, data=sounds)
    with pytest.MonkeyPatch.context() as patch:
        broken, unbroken = (tmp_path_factory.mktemp(name) for name in ("broken", "unbroken"))
        patch.setenv("MMDREAM_MODELS", str(unbroken))
        train_network(settings)
        patch.setenv("MMDREAM_MODELS", str(broken))
        with pytest.raises(Interrupted):
            train_network(settings, listener=EventSink(progress=stop))
    return broken / ".mine.training", read_arrays(unbroken / "mine" / "weights.npz")


def truncate_last_line(folder: Path) -> None:
    """As a full disk, or a power cut, leaves it."""
    record = folder / "rounds.jsonl"
    record.write_bytes(record.read_bytes()[:-30])


def damage_second_line(folder: Path) -> None:
    record = folder / "rounds.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(lines[0] + b"\0" * 80 + b"\n" + b"".join(lines[2:]))


def truncate_newest_files(folder: Path) -> None:
    """The newest weights, the head, and what was heard."""
    newest = max(folder.rglob("*.weights.h5"), key=lambda path: path.stat().st_mtime_ns)
    for path in (newest, folder / "head.npz", folder / "bands.f16"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_stopped_training_is_kept_from_other_wishes(
    interrupted_training: tuple[Path, dict[str, np.ndarray]], sounds: Path, models: Path
):
    folder = Path(shutil.copytree(interrupted_training[0], models / interrupted_training[0].name))
    assert list_networks("sound").count("mine") == 0
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match=r"half done \(other rate, command\).*-o mine.*--overwrite"):
        train_network(replace(UPPER, data=sounds, rate=0.01))
    assert sorted(folder.rglob("*")) == before


def leave_whole(folder: Path) -> None:
    """The run alone was stopped."""


@pytest.mark.parametrize("tear", [leave_whole, truncate_last_line, damage_second_line, truncate_newest_files])
def test_a_training_goes_on_from_what_is_whole(
    tear: Callable[[Path], None],
    interrupted_training: tuple[Path, dict[str, np.ndarray]],
    sounds: Path,
    models: Path,
):
    folder, expected = interrupted_training
    tear(Path(shutil.copytree(folder, models / folder.name)))
    seen: list[float] = []

    def progress(what: str, done: float, total: float) -> None:
        if what == "training":
            seen.append(done)

    train_network(replace(UPPER, data=sounds), listener=EventSink(progress=progress))
    # Of eight rounds of two steps the fourth is done again if it was torn, or all that follow the first line.
    assert seen[0] <= 3 if tear is damage_second_line else seen[0] == (9 if tear is leave_whole else 7)
    assert [path.name for path in models.iterdir()] == ["mine"]
    found = read_arrays(models / "mine" / "weights.npz")
    for name, array in expected.items():
        np.testing.assert_array_equal(array, found[name], name)
