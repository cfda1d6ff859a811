"""A training that is stopped, or whose files were torn: it is left alone while it works, and goes on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from mmdream.errors import Stopped, UserError
from mmdream.listen import Listener
from mmdream.training.settings import Settings
from mmdream.training.train import train

# Keras 3.15 calls NumPy in its older way where it saves variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HEAD = Settings("sound", "melnet", Path(), "mine", epochs=1, batch=8, seconds=1.0, unfreeze="0")


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C is heard, also where a shell has started the tests in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_a_folder_is_kept_from_others_until_the_work_has_let_go(sounds: Path, models: Path):
    settings, go_on = replace(HEAD, data=sounds), threading.Event()

    def long_step(what: str, done: float, total: float) -> None:
        signal.raise_signal(signal.SIGINT)
        go_on.wait(60)

    try:
        with pytest.raises(Stopped):
            train(settings, listener=Listener(progress=long_step))
        with pytest.raises(UserError, match="mine: another run is training it"):
            train(settings)
    finally:
        go_on.set()
    with FileLock(models / ".mine.training" / "lock").acquire(timeout=60):
        assert (models / ".mine.training" / "order.json").is_file()
