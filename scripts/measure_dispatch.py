"""What the runner itself costs: chains given out to workers that only sleep; JSON lines on stdout.

    python scripts/measure_dispatch.py [--chains 1500] [--seconds 1.0] [--workers 1,2,4,8,16,32,64]

First a plan of so many chains at two workers whose tasks take 20 ms: the overhead of a task, and the
coordinator's memory at each third of the way. Then, for each number of workers, tasks of `--seconds`: the
share of the workers' time that they slept, which is what they were asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from mmdream.cluster.dispatch import Dispatcher
from mmdream.cluster.nodes import start_local_workers
from mmdream.cluster.tasks import Call
from mmdream.core.events import EventSink

PART_BYTES = 200_000
"""Of a result, as of a short part of 640x360."""
OVERHEAD_SECONDS = 0.02


def sleep(seconds: float) -> bytes:
    """What a worker does."""
    time.sleep(seconds)
    return bytes(PART_BYTES)


@dataclass
class SleepingChain:
    """A chain of one task."""

    name: str
    seconds: float
    done: list[float]
    tasks: int = 1
    size: float = 1.0
    urgent: bool = False

    def call(self, task: int, fresh: bool) -> Call:
        """See `TaskChain.call`."""
        return Call(sleep, (self.seconds,))

    def accept(self, task: int, result: bytes, first: int, seconds: float) -> int:
        """See `TaskChain.accept`."""
        assert len(result) == PART_BYTES
        self.done.append(psutil.Process().memory_info().rss / 2**20)
        return 1


class Anybody:
    """Takes every worker."""

    admission = Call(int, ())

    def judge(self, name: str, answer: object) -> str | None:
        """See `Workers.judge`."""
        return None


def run(workers: int, chains: int, seconds: float) -> tuple[float, list[float]]:
    """Wall seconds of a plan, and MiB of this process after each chain."""
    done: list[float] = []
    with (
        tempfile.TemporaryDirectory() as name,
        start_local_workers(workers, Path(name)) as client,
        Dispatcher(client, Anybody(), EventSink()) as dispatcher,
    ):
        dispatcher.run([SleepingChain(f"warm {n}", 0.0, []) for n in range(4 * workers)], lambda: False)
        began = time.perf_counter()
        dispatcher.run([SleepingChain(f"chain {n}", seconds, done) for n in range(chains)], lambda: False)
        return time.perf_counter() - began, done


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--chains", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--workers", default="1,2,4,8,16,32,64")
    given = parser.parse_args()
    wall, memory = run(2, given.chains, OVERHEAD_SECONDS)
    overhead = 1000 * (2 * wall / given.chains - OVERHEAD_SECONDS)
    thirds = [round(memory[len(memory) * k // 3 - (k == 3)]) for k in range(4)]
    print(json.dumps({"chains": given.chains, "overhead_ms": overhead, "memory_mib": thirds}), flush=True)
    for workers in map(int, given.workers.split(",")):
        chains = max(8, 8 * workers)
        wall, _ = run(workers, chains, given.seconds)
        slept = given.seconds * chains / (wall * workers)
        line = {"workers": workers, "tasks_a_second": chains / wall, "slept": slept}
        print(json.dumps({name: round(value, 3) for name, value in line.items()}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
