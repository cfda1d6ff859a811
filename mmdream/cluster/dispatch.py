"""Chains of tasks given out to workers, each chain to one at a time, until all are done, whoever dies.

The engine (dask.distributed) carries calls and results. Who gets what is decided here, because a chain stays
with its worker, a worker that failed a chain never gets it again, and a result counts once.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mmdream.cluster.state import Batch, GivenChain, Slot, WorkerState
from mmdream.cluster.tasks import Call, ChainLost, TaskChain, Workers, WrongResult
from mmdream.core.errors import DiskFull, Interrupted, UserError
from mmdream.core.events import EventSink

if TYPE_CHECKING:
    from distributed import Client, Future

WINDOW = 2
"""Tasks that a worker has at most: one that it works on, and one that waits there."""
MAX_FAILURES = 3
"""A chain stops after so many, see Flamenco's failure handling."""
POLL_SECONDS = 0.5
"""Between two looks at who is there."""
GATHER_SECONDS = 60.0
"""Given to a result's way here."""
LOST_SECONDS = 60.0
"""Without an answer of the scheduler, after which the work ends."""


class Dispatcher:
    """Gives chains out to the workers of a client, from a thread of its own; used as a context manager."""

    def __init__(self, client: Client, workers: Workers, sink: EventSink) -> None:
        """Ask nobody yet."""
        self._client, self._judge, self._sink = client, workers, sink
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._pending: list[tuple[tuple[bool, bool, float, int], GivenChain]] = []
        self._workers: dict[str, WorkerState] = {}
        self._refused: dict[str, str] = {}
        self._order = itertools.count()
        self._stopped, self._failure = threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=self._work, name="dispatcher", daemon=True)
        self.shares: Counter[str] = Counter()
        """Work that each worker did, by its name."""
        self.dropped = 0
        """Results that came a second time, or too late."""
        self.lost = 0
        """Workers that went while they had tasks."""

    def __enter__(self) -> Dispatcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def run(self, chains: Sequence[TaskChain], is_stopped: Callable[[], bool]) -> None:
        """Have all chains done; several threads may ask at once.

        Raises:
            UserError: a chain failed for good, all others being done; no worker is fit for the work; the
                scheduler has gone.
            Interrupted: `is_stopped` said so.
        """
        if not chains:
            return
        batch = Batch(len(chains))
        self._events.put(lambda: self._add(chains, batch))
        while not batch.over.wait(POLL_SECONDS / 2):
            if self._failure:
                raise self._failure[0]
            if is_stopped():
                raise Interrupted
        for error in batch.errors:
            raise error

    def _add(self, chains: Sequence[TaskChain], batch: Batch) -> None:
        for chain in chains:
            self._put_back(GivenChain(chain, batch))

    def _put_back(self, run: GivenChain) -> None:
        chain = run.chain
        # What was begun goes first: its states are large, and kept until it is done.
        key = not chain.urgent, not run.accepted, -chain.size, next(self._order)
        heapq.heappush(self._pending, (key, run))

    def _work(self) -> None:
        try:
            looked, heard = 0.0, time.monotonic()
            while not self._stopped.is_set():
                try:
                    self._events.get(timeout=POLL_SECONDS)()
                    while True:
                        self._events.get_nowait()()
                except queue.Empty:
                    pass
                now = time.monotonic()
                if now - looked > POLL_SECONDS:
                    try:
                        self._look()
                        heard = time.monotonic()
                    except (OSError, TimeoutError) as error:
                        if time.monotonic() - heard > LOST_SECONDS:
                            raise UserError(
                                "the scheduler does not answer any more; is it running?"
                            ) from error
                    looked = time.monotonic()
                self._fill()
        except BaseException as error:
            self._failure.append(error)
        finally:
            for worker in self._workers.values():
                for slot in worker.slots:
                    slot.future.release()

    def _look(self) -> None:
        """See who has come and who has gone."""
        here = self._client.scheduler_info()["workers"]
        for address in self._workers.keys() - here.keys():
            self._lose(self._workers.pop(address))
        for address in here.keys() - self._workers.keys():
            worker = WorkerState(address, str(here[address]["name"]))
            self._workers[address] = worker
            self._ask(worker)
        if self._workers and all(worker.state == "refused" for worker in self._workers.values()):
            reasons = "; ".join(dict.fromkeys(self._refused[address] for address in self._workers))
            raise UserError(f"no worker is fit for this film: {reasons}")

    def _ask(self, worker: WorkerState) -> None:
        def answered(answer: Any) -> None:
            if self._workers.get(worker.address) is not worker:
                return  # It has gone.
            if isinstance(answer, BaseException):
                problem: str | None = str(answer) or type(answer).__name__
            else:
                problem = self._judge.judge(worker.name, answer)
            worker.state = "admitted" if problem is None else "refused"
            if problem is not None:
                self._refuse(worker, problem)

        worker.admission = self._submit(worker, self._judge.admission, answered)

    def _refuse(self, worker: WorkerState, problem: str) -> None:
        worker.state, self._refused[worker.address] = "refused", f"{worker.name}: {problem}"
        self._sink.warn(f"worker {worker.name} is refused: {problem}")

    def _submit(self, worker: WorkerState, call: Call, then: Callable[[Any], None]) -> Future:
        future = self._client.submit(
            call.function,
            *call.arguments,
            # The scheduler keeps figures of all that stands before the last hyphen, for good.
            key=f"mmdream-{uuid.uuid4().hex}",
            workers=[worker.address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )

        async def fetch() -> None:
            # In the engine's loop, beside others: a worker that is slow to answer must keep nobody waiting.
            try:
                gathering = self._client.gather(future, asynchronous=True)
                answer = await asyncio.wait_for(gathering, GATHER_SECONDS)
            except BaseException as error:
                answer = error
            self._events.put(lambda: then(answer))

        future.add_done_callback(lambda _: self._client.loop.add_callback(fetch))
        return future

    def _fill(self) -> None:
        """Give every worker what it has room for."""
        for worker in self._workers.values():
            while worker.state == "admitted" and len(worker.slots) < WINDOW:
                if not self._give(worker):
                    break

    def _give(self, worker: WorkerState) -> bool:
        last = worker.slots[-1] if worker.slots else None
        if last is not None and last.run.given < last.run.chain.tasks:
            self._start(worker, last.run, fresh=False)
            return True
        # Towards the end nobody is to wait for a chain that waits at another's.
        if last is not None and len(self._pending) < len(self._workers):
            return False
        skipped, found = [], None
        while self._pending and found is None:
            item = heapq.heappop(self._pending)
            if worker.address in item[1].failed_by:
                skipped.append(item)
            else:
                found = item[1]
        for item in skipped:
            heapq.heappush(self._pending, item)
        if found is None:
            self._stop_hopeless([run for _, run in skipped])
            return False
        found.first = found.given = self._first_missing(found)
        found.began = time.monotonic()
        self._start(worker, found, fresh=True)
        return True

    @staticmethod
    def _first_missing(run: GivenChain) -> int:
        return next(task for task in range(run.chain.tasks) if task not in run.accepted)

    def _start(self, worker: WorkerState, run: GivenChain, fresh: bool) -> None:
        """Give a worker the next task of a chain."""
        task = run.given
        run.given += 1

        def done(answer: Any) -> None:
            if slot in worker.slots:
                self._finish(worker, slot, answer)
            elif not isinstance(answer, BaseException):
                self.dropped += 1  # It was given to another meanwhile.

        slot = Slot(run, task, self._submit(worker, run.chain.call(task, fresh), done))
        worker.slots.append(slot)

    def _finish(self, worker: WorkerState, slot: Slot, answer: Any) -> None:
        """Keep a task's result, or see what is to become of its chain."""
        worker.slots.remove(slot)
        slot.future.release()
        run = slot.run
        if not isinstance(answer, BaseException):
            try:
                self._accept(worker, slot, answer)
            except WrongResult as error:
                self._blame(worker, run, str(error))
                self._dismiss(worker, str(error))
                return
            if len(run.accepted) == run.chain.tasks:
                self._withdraw(worker, run)
                self._close(run)
            elif not any(other.run is run for other in worker.slots):
                # All that it had of the chain is done: results may come faster than they are kept.
                self._start(worker, run, fresh=False)
        elif isinstance(answer, DiskFull):
            self._withdraw(worker, run)
            self._put_back(run)
            self._dismiss(worker, str(answer))
        elif isinstance(answer, ChainLost) or _is_cancelled(answer):
            self._withdraw(worker, run)
            self._put_back(run)
        else:
            is_plain = isinstance(answer, UserError)
            self._blame(worker, run, str(answer) if is_plain else f"{type(answer).__name__}: {answer}")

    def _accept(self, worker: WorkerState, slot: Slot, answer: Any) -> None:
        """Keep a result, if it is the first of its task; a `WrongResult` if it is none."""
        run = slot.run
        if slot.task in run.accepted:
            self.dropped += 1
            return
        seconds = time.monotonic() - run.began
        self.shares[worker.name] += run.chain.accept(slot.task, answer, run.first, seconds)
        run.accepted.add(slot.task)

    def _dismiss(self, worker: WorkerState, problem: str) -> None:
        """Give a worker nothing more, and what it has to others."""
        for run in {slot.run for slot in worker.slots}:
            self._withdraw(worker, run)
            self._put_back(run)
        self._refuse(worker, problem)

    def _withdraw(self, worker: WorkerState, run: GivenChain) -> None:
        """Forget what a worker still has of a chain."""
        for slot in [slot for slot in worker.slots if slot.run is run]:
            worker.slots.remove(slot)
            slot.future.cancel()

    def _blame(self, worker: WorkerState, run: GivenChain, problem: str) -> None:
        """A chain failed at a worker: it goes to another, or stops."""
        self._withdraw(worker, run)
        run.failed_by.add(worker.address)
        run.failures.append(problem)
        if len(run.failures) >= MAX_FAILURES or self._list_able() <= run.failed_by:
            self._close(run, f"{run.chain.name} failed: {problem} (at {worker.name})")
            return
        self._sink.warn(f"{run.chain.name} failed at worker {worker.name}: {problem}; it goes to another")
        self._put_back(run)

    def _list_able(self) -> set[str]:
        """Addresses of the workers that were not refused, or not yet."""
        return {each.address for each in self._workers.values() if each.state != "refused"}

    def _stop_hopeless(self, runs: Sequence[GivenChain]) -> None:
        """Stop the chains that everybody here has failed."""
        for run in runs:
            if self._list_able() <= run.failed_by:
                self._pending = [item for item in self._pending if item[1] is not run]
                heapq.heapify(self._pending)
                self._close(run, f"{run.chain.name} failed: {run.failures[-1]}")

    def _close(self, run: GivenChain, problem: str | None = None) -> None:
        if problem is not None:
            run.batch.errors.append(UserError(problem))
            self._sink.warn(problem)
        run.batch.open -= 1
        if not run.batch.open:
            run.batch.over.set()

    def _lose(self, worker: WorkerState) -> None:
        """A worker has gone: what it had goes to others, from the first part that is not here."""
        if not worker.slots:
            return
        self.lost += 1
        self._sink.warn(f"worker {worker.name} has gone; its work goes to others")
        slots, worker.slots = worker.slots, []
        for place, slot in enumerate(slots):
            slot.future.cancel()
            if place and any(other.run is slot.run for other in slots[:place]):
                continue
            run = slot.run
            if place == 0:
                # It may be this chain that brings workers down.
                run.failures.append(f"worker {worker.name} ended in the midst of it")
            if len(run.failures) >= MAX_FAILURES:
                self._close(run, f"{run.chain.name} failed: {run.failures[-1]}, as {MAX_FAILURES - 1} before")
            else:
                self._put_back(run)


def _is_cancelled(error: BaseException) -> bool:
    """Whether the engine took a task back: its worker went, or the connection to the scheduler."""
    return type(error).__name__ in {"CancelledError", "FutureCancelledError", "KilledWorker", "FuturesLost"}
