"""Chains of tasks reach their end whoever dies or fails, each result counts once, and what fails says why."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from mmdream.cluster.dispatch import Dispatcher
from mmdream.cluster.nodes import start_local_workers
from mmdream.cluster.tasks import Call, WrongResult
from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink


@dataclass
class Sums:
    """A chain whose task k is an expression of k, and gives a number."""

    name: str
    expression: str
    tasks: int = 3
    size: float = 1.0
    urgent: bool = False
    wrong: tuple[str, ...] = ()
    """Results that are none."""
    slow: float = 0.0
    """Seconds that it takes to keep a result."""
    accepted: dict[int, Any] = field(default_factory=dict)

    def call(self, task: int, fresh: bool) -> Call:
        return Call(eval, (self.expression, {"k": task, "fresh": fresh}))

    def accept(self, task: int, result: Any, first: int, seconds: float) -> int:
        if str(result) in self.wrong:
            raise WrongResult("gave nonsense")
        assert task not in self.accepted
        time.sleep(self.slow)
        self.accepted[task] = result
        return 1


class Anybody:
    """Takes every worker but those whose process it is told."""

    admission = Call(os.getpid, ())

    def __init__(self, *refused: int) -> None:
        self.refused = refused

    def judge(self, name: str, answer: int) -> str | None:
        return "it is another" if answer in self.refused else None


HERE = "__import__('distributed').get_worker().name"
SLEEP = "__import__('time').sleep"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with start_local_workers(2, tmp_path_factory.mktemp("workers")) as client:
        yield client


def dispatch(client: Client, chains: list[Sums], *refused: int) -> tuple[Dispatcher, list[str]]:
    lines: list[str] = []
    with Dispatcher(client, Anybody(*refused), EventSink(warn=lines.append)) as dispatcher:
        dispatcher.run(chains, lambda: False)
    return dispatcher, lines


def test_every_task_of_every_chain_is_done_once_and_in_order(client: Client):
    chains = [Sums(f"chain {n}", f"(k, {n}, fresh)", tasks=1 + n % 4) for n in range(12)]
    dispatcher, lines = dispatch(client, chains)
    for n, chain in enumerate(chains):
        assert chain.accepted == {k: (k, n, k == 0) for k in range(1 + n % 4)}
    assert sum(dispatcher.shares.values()) == sum(chain.tasks for chain in chains)
    assert (dispatcher.dropped, dispatcher.lost, lines) == (0, 0, [])


def test_a_chain_goes_on_where_results_come_faster_than_they_are_kept(client: Client):
    """Those of all tasks that a worker has are there before the first is kept."""
    chains = [Sums(f"chain {n}", "k", tasks=7, slow=0.05) for n in range(2)]
    began = time.monotonic()
    with Dispatcher(client, Anybody(), EventSink()) as dispatcher:
        dispatcher.run(chains, lambda: time.monotonic() - began > 20)
    assert [sorted(chain.accepted) for chain in chains] == [list(range(7))] * 2


def test_a_chain_that_fails_at_a_worker_goes_to_another_and_not_back(client: Client):
    chains = [Sums(f"chain {n}", f"k if {HERE} == 1 else 1 // 0", tasks=2) for n in range(4)]
    dispatcher, lines = dispatch(client, chains)
    assert [chain.accepted for chain in chains] == [{0: 0, 1: 1}] * 4
    assert set(dispatcher.shares) == {"1"}
    assert all("failed at worker 0: ZeroDivisionError" in line for line in lines)
    assert len(lines) <= len(chains)


def test_a_chain_that_everybody_fails_stops_with_its_reason_and_the_others_finish(client: Client):
    chains = [Sums("good", "k"), Sums("bad", "[][k]", size=2.0), Sums("better", "k + 1")]
    with pytest.raises(UserError, match="bad failed: IndexError: list index out of range"):
        dispatch(client, chains)
    assert [len(chain.accepted) for chain in chains] == [3, 0, 3]


def test_who_gives_another_result_is_given_nothing_more(client: Client):
    chains = [Sums(f"chain {n}", f"{HERE} * 100", wrong=("100",)) for n in range(5)]
    dispatcher, lines = dispatch(client, chains)
    assert set(dispatcher.shares) == {"0"}
    assert any("worker 1 is refused: gave nonsense" in line for line in lines)
    everybody = [Sums("chain", "0", wrong=("0",))]
    with pytest.raises(UserError, match=r"chain failed: gave nonsense|no worker is fit"):
        dispatch(client, everybody)


def test_a_worker_that_does_not_fit_is_not_asked(client: Client):
    pids = client.run(os.getpid)
    dispatcher, lines = dispatch(client, [Sums("chain", "k")], next(iter(pids.values())))
    assert len(dispatcher.shares) == 1
    assert any("it is another" in line for line in lines)
    with pytest.raises(UserError, match=r"no worker is fit for this film: .*it is another"):
        dispatch(client, [Sums("chain", "k")], *pids.values())


def test_what_a_killed_worker_had_goes_to_others(client: Client):
    chains = [Sums(f"chain {n}", f"{SLEEP}(0.1) or k", tasks=6) for n in range(4)]
    victim = next(iter(client.run(os.getpid).values()))
    threading.Timer(0.6, os.kill, (victim, 9)).start()
    dispatcher, lines = dispatch(client, chains)
    assert [sorted(chain.accepted) for chain in chains] == [[0, 1, 2, 3, 4, 5]] * 4
    assert dispatcher.lost == 1
    assert any("has gone; its work goes to others" in line for line in lines)


def test_a_chain_that_kills_its_workers_is_given_up(client: Client):
    chains = [Sums("deadly", "__import__('os')._exit(1)", tasks=1), Sums("good", "k")]
    with pytest.raises(UserError, match=r"deadly failed: worker . ended in the midst of it"):
        dispatch(client, chains)
    assert len(chains[1].accepted) == 3


def test_work_ends_within_a_second_when_it_is_to_stop(client: Client):
    with Dispatcher(client, Anybody(), EventSink()) as dispatcher:
        began = time.monotonic()
        with pytest.raises(Interrupted):
            dispatcher.run([Sums("long", f"{SLEEP}(3)")], lambda: time.monotonic() - began > 0.5)
    assert time.monotonic() - began < 3


def test_nobody_from_outside_can_reach_the_workers(client: Client, tmp_path: Path):
    import psutil

    pids = [os.getpid(), *client.run(os.getpid).values()]
    listening = [
        each.laddr.ip
        for pid in pids
        for each in psutil.Process(pid).net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
