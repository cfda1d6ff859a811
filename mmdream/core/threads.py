"""Work done in a thread of its own, a few items ahead of whoever uses the result."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import TypeVar

from mmdream.core.errors import Interrupted, Stopped

Item = TypeVar("Item")
Result = TypeVar("Result")

BACKGROUND_NICENESS = 19
"""Of what is done beside the ascent."""
STOP_GRACE_SECONDS = 1.0
"""Given to the work to stop; a step on a large frame that takes longer is lost, and nothing else."""


def lower_priority(niceness: int = BACKGROUND_NICENESS) -> None:
    """Let this thread, and those it starts, run where others leave a processor free.

    A network's step waits for the slowest of its threads. Only Linux has a priority for each thread.
    """
    if sys.platform == "linux":
        here = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, here, max(niceness, os.getpriority(os.PRIO_PROCESS, here)))


def prefetch(
    items: Generator[Item, None, None], room: int = 3, *, in_front: bool = False
) -> Generator[Item, None, None]:
    """Iterate `items` in another thread, at most `room` items before the reader; exceptions reach it.

    Close the result (`contextlib.closing`): the other thread then stops too, and `items` is closed in it.
    With `in_front` it does the main work and keeps its priority.
    """
    box: queue.Queue[tuple[Item, ...] | BaseException | None] = queue.Queue(room)
    gone = threading.Event()

    def work() -> None:
        last: BaseException | None = None
        try:
            if not in_front:
                lower_priority()
            for item in items:
                box.put((item,))
                if gone.is_set():
                    break
        except BaseException as error:
            last = error
        finally:
            items.close()
            box.put(last)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (got := box.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got[0]
    finally:
        gone.set()
        while thread.is_alive():
            while not box.empty():
                box.get_nowait()
            thread.join(0.01)


def run_interruptible(
    work: Callable[[threading.Event], Result], how: str, is_stop_asked: Callable[[], bool] = lambda: False
) -> Result:
    """Do some work, and answer Ctrl-C within about a second, whatever the work is at.

    Args:
        work: is given an event that says when to stop.
        how: the command that goes on with the work.
        is_stop_asked: is asked twice a second; True is answered as Ctrl-C is.

    Raises:
        Stopped: Ctrl-C came; the work may still be at its last step.
    """
    stop = threading.Event()
    # Not Thread.join: Python 3.11 takes a thread whose join was interrupted for ended (bpo-45274), and what
    # the work still has to say would come after the last line.
    done = threading.Event()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(stop))
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    try:
        threading.Thread(target=run, name="work", daemon=True).start()
        # Waking now and then: on Windows a wait without end does not hear Ctrl-C.
        while not done.wait(0.5):
            if is_stop_asked():
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        stop.set()
        with suppress(KeyboardInterrupt):
            done.wait(STOP_GRACE_SECONDS)
        if results:
            raise  # It was finished in that moment: there is nothing to go on with.
        raise Stopped(how) from None
    for error in errors:
        raise error
    return results[0]


def run_in_threads(jobs: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    """Run jobs in threads; the first that fails stops the others, and what it raised is raised."""
    errors: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Jobs that another's failure stopped say Interrupted; the failure itself is the news.
    for error in sorted(errors, key=lambda error: isinstance(error, Interrupted)):
        raise error
