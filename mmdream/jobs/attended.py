"""Long work done in another thread, while the main thread listens for Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from mmdream.errors import Interrupted, Stopped

Result = TypeVar("Result")

STOP_GRACE_SECONDS = 1.0
"""Seconds that the work is given to stop. A step on a large frame may take longer: whoever ends the process
then loses that step and nothing else."""


def run_interruptible(work: Callable[[threading.Event], Result], how: str) -> Result:
    """Do some work, and answer Ctrl-C within about a second, whatever the work is at.

    Args:
        work: it is given an event that says when to stop.
        how: the command that goes on with the work.

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
            pass
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
    """Run jobs in threads; the first that fails stops the others.

    Raises:
        BaseException: what a job raised; `Interrupted` only if there is nothing else to tell.
    """
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
    # Jobs that were stopped because of another's failure say Interrupted; the failure itself is the news.
    for error in sorted(errors, key=lambda error: isinstance(error, Interrupted)):
        raise error
