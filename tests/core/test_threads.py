"""Ctrl-C is answered soon, and after all that the work has to say."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from mmdream.core.errors import Interrupted, Stopped
from mmdream.core.threads import STOP_GRACE_SECONDS, run_interruptible


@pytest.fixture(autouse=True)
def default_sigint() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, even if the tests run in the background, where a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_what_the_work_says_when_it_is_stopped_comes_first():
    said: list[str] = []

    def work(stop: threading.Event) -> None:
        signal.raise_signal(signal.SIGINT)
        stop.wait(5)
        time.sleep(STOP_GRACE_SECONDS / 4)
        said.append("the last of it")
        raise Interrupted

    with pytest.raises(Stopped, match="go on with: mmdream resume"):
        run_interruptible(work, "mmdream resume out.mkv")
    assert said == ["the last of it"]


def test_a_long_step_does_not_keep_the_user_waiting():
    ended = threading.Event()

    def work(stop: threading.Event) -> None:
        signal.raise_signal(signal.SIGINT)
        ended.wait(30)

    with pytest.raises(Stopped):
        run_interruptible(work, "mmdream resume out.mkv")
    assert not ended.is_set()
    ended.set()


def test_work_that_was_finished_in_that_moment_has_nothing_to_go_on_with():
    def work(stop: threading.Event) -> int:
        signal.raise_signal(signal.SIGINT)
        stop.wait(5)
        return 1

    with pytest.raises(KeyboardInterrupt) as raised:
        run_interruptible(work, "mmdream resume out.mkv")
    assert not isinstance(raised.value, Stopped)
