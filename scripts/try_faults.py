"""Break a cluster in every way while it renders a film, and see whether the film is the same each time.

    python scripts/try_faults.py FILM.mp4 [--kills 20] [--coordinators 5] [--cuts 5]

A scheduler and two workers of one thread run as processes of their own and speak TCP. The film of one process
with one thread is the reference; every run must give its frames, samples and timestamps, no part may stand
twice in the journal, and a kill may cost the parts that were not finished and nothing more. At the end come a
worker without room on its disk (Linux, as root) and one of another version.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import mmdream
from mmdream.jobs.store import job_folder
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames

LIMIT_SECONDS = 600


def command(*words: object) -> list[str]:
    """The command line in a process of its own."""
    return [sys.executable, "-m", "mmdream", *map(str, words)]


def hash_film(path: Path) -> tuple[str, str]:
    """Of all frames with their timestamps, and of all samples with their places."""
    film, picture, sound = probe(path), hashlib.sha256(), hashlib.sha256()
    for frame in read_frames(film, None, None):
        picture.update(frame.rgb.tobytes() + str(frame.pts).encode())
    for track in film.audio_tracks[:1]:
        for place, samples in decode_audio(film, track):
            sound.update(str(place).encode() + samples.tobytes())
    return picture.hexdigest()[:16], sound.hexdigest()[:16]


class CutProxy:
    """Forwards TCP to a port, until it is told to stop for a while; connections stay open meanwhile."""

    def __init__(self, port: int) -> None:
        self._target, self._open = port, threading.Event()
        self._open.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, seconds: float) -> None:
        """Forward nothing for so long."""
        self._open.clear()
        time.sleep(seconds)
        self._open.set()

    def _accept(self) -> None:
        while True:
            here, _ = self._server.accept()
            there = socket.create_connection(("127.0.0.1", self._target))
            for ends in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                self._open.wait()
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keys = folder, folder / "keys"
        subprocess.run(command("cluster", "keys", self.keys), check=True, stdout=subprocess.DEVNULL)
        words = command("cluster", "scheduler", "--keys", self.keys, "--port", 0)
        self.scheduler = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.scheduler.stdout is not None
        self.address = self.scheduler.stdout.readline().strip()
        self.port = int(self.address.rpartition(":")[2])
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self, address: str = "", env: dict[str, str] | None = None, *more: object) -> None:
        """Add a worker, at the scheduler's address or a proxy's."""
        words = command(
            "cluster", "worker", address or self.address, "--keys", self.keys, "--threads", 1, *more
        )
        log = (self.folder / "workers.log").open("ab")
        self.workers.append(subprocess.Popen(words, stderr=log, env=env))

    def stop_workers(self) -> None:
        """End all of them."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()

    def close(self) -> None:
        """End everything."""
        self.stop_workers()
        self.scheduler.kill()
        self.scheduler.wait()

    def dream(self, film: Path, out: Path, address: str = "") -> subprocess.Popen[str]:
        """A coordinator."""
        words = ("video", film, "-o", out, "--threads", 1, "--keys", self.keys, "--json")
        return subprocess.Popen(
            command(*words, "--cluster", address or self.address),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


class JournalWatch:
    """Reads a job's journal while it grows, for it goes when the film is finished."""

    def __init__(self, out: Path) -> None:
        self._path, self._over = job_folder(out) / "journal.jsonl", threading.Event()
        self.lines: list[dict[str, object]] = []
        self._seen: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            try:
                text = self._path.read_text()
            except OSError:
                continue
            found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
            self.lines = found if len(found) >= len(self.lines) else self.lines
            for line in found:
                self._seen.setdefault(str(line["kind"]), time.monotonic())

    def wait_for(self, kind: str) -> None:
        """Until a file of a kind is finished."""
        late = time.monotonic() + LIMIT_SECONDS
        while not any(line["kind"] == kind for line in self.lines) and time.monotonic() < late:
            time.sleep(0.05)

    def seconds_since(self, kind: str) -> float:
        """Since the first file of a kind was finished."""
        return time.monotonic() - self._seen[kind]

    def count_parts(self) -> int:
        """Parts of the picture and chunks of the sound that are finished."""
        return sum(line["kind"] in ("picture", "sound") for line in self.lines)

    def doubled(self) -> list[str]:
        """What stands in it more than once, states apart: these are written anew behind a kill."""
        self._over.set()
        self._thread.join()
        counts = Counter(f"{line['kind']} {line['number']}" for line in self.lines)
        return [name for name, count in counts.items() if count > 1 and not name.startswith("carry")]


def run(
    cluster: Cluster, film: Path, expected: tuple[str, str], fault: str, seed: int, seconds: float
) -> bool:
    """One run with a fault in the midst of its rendering, which takes some seconds; whether all went well."""
    rng, out = random.Random(seed), cluster.folder / "out.mp4"
    while len(cluster.workers) < 2:
        cluster.start_worker()
    address, proxy, at = "", None, rng.uniform(0, seconds)
    if fault.startswith("cut"):
        proxy = CutProxy(cluster.port)
        through = f"tls://127.0.0.1:{proxy.port}"
        if fault == "cut worker":
            cluster.stop_workers()
            cluster.start_worker(through)
            cluster.start_worker()
        else:
            address = through
    began, runs = time.monotonic(), 1
    watch, coordinator = JournalWatch(out), cluster.dream(film, out, address)
    watch.wait_for("scan")
    time.sleep(at)
    before = watch.count_parts()
    if fault == "worker":
        victim = cluster.workers.pop(rng.randrange(2))
        victim.kill()
        victim.wait()
        cluster.start_worker()
    elif fault == "coordinator" and coordinator.poll() is None and not out.exists():
        coordinator.send_signal(signal.SIGKILL)
        coordinator.communicate()
        coordinator, runs = cluster.dream(film, out), 2
    elif proxy is not None:
        proxy.cut(10)
    _, stderr = coordinator.communicate(timeout=LIMIT_SECONDS)
    doubled = watch.doubled()
    same = coordinator.returncode == 0 and hash_film(out) == expected
    told = [line for line in stderr.splitlines() if "warning" in line]
    dropped = "; ".join(told)[:160] if same else stderr[-600:]
    print(
        f"{fault:15} at {at:4.1f} s, {before:2} parts done: {'same' if same else 'DIFFERENT'}, "
        f"{time.monotonic() - began:5.1f} s, "
        f"{runs} runs, twice in the journal: {doubled or 'nothing'}; {dropped}",
        flush=True,
    )
    out.unlink(missing_ok=True)
    shutil.rmtree(job_folder(out), ignore_errors=True)
    return same and not doubled


def try_full_disk(cluster: Cluster, film: Path, expected: tuple[str, str]) -> bool:
    """A worker whose folder has no room beside one that has."""
    small = cluster.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small], check=True)
    try:
        cluster.stop_workers()
        cluster.start_worker("", None, "--folder", small)
        cluster.start_worker()
        return finish(cluster, film, expected, "full disk")
    finally:
        cluster.stop_workers()
        subprocess.run(["umount", small], check=True)


def try_other_version(cluster: Cluster, film: Path, expected: tuple[str, str]) -> bool:
    """A worker of another version beside one of this."""
    package = Path(mmdream.__file__).parent
    for name in ("mmdream", "models", "datasets"):
        shutil.copytree(package.parent / name, cluster.folder / "other" / name)
    text = (package / "__init__.py").read_text().replace(mmdream.__version__, "9.9.9")
    (cluster.folder / "other" / "mmdream" / "__init__.py").write_text(text)
    cluster.stop_workers()
    cluster.start_worker("", {**os.environ, "PYTHONPATH": str(cluster.folder / "other")})
    cluster.start_worker()
    return finish(cluster, film, expected, "version")


def finish(cluster: Cluster, film: Path, expected: tuple[str, str], name: str) -> bool:
    """A run without a fault of its own, and what it says of its workers."""
    out = cluster.folder / "out.mp4"
    coordinator = cluster.dream(film, out)
    _, stderr = coordinator.communicate(timeout=LIMIT_SECONDS)
    same = coordinator.returncode == 0 and hash_film(out) == expected
    print(f"{name:12}: {'same' if same else 'DIFFERENT'}", flush=True)
    print("\n".join(f"    {line[:220]}" for line in stderr.splitlines() if "warning" in line or not same))
    out.unlink(missing_ok=True)
    return same


def main() -> None:
    """All runs, and how many were as they have to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("film", type=Path)
    for name, count in (("kills", 20), ("coordinators", 5), ("cuts", 5)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mmdream-faults-") as name:
        folder = Path(name)
        single = folder / "single.mp4"
        subprocess.run(command("video", given.film, "-o", single, "--threads", 1), check=True)
        expected, cluster = hash_film(single), Cluster(folder)
        try:
            for _ in range(2):
                cluster.start_worker()
            good = [finish(cluster, given.film, expected, "no fault")]  # The workers load what they need.
            watch = JournalWatch(folder / "out.mp4")
            good.append(finish(cluster, given.film, expected, "no fault"))
            seconds = max(watch.seconds_since("scan"), 5.0)
            faults = ["worker"] * given.kills + ["coordinator"] * given.coordinators
            faults += [f"cut {('worker', 'coordinator')[k % 2]}" for k in range(given.cuts)]
            good += [run(cluster, given.film, expected, fault, k, seconds) for k, fault in enumerate(faults)]
            if sys.platform == "linux" and os.geteuid() == 0:
                good.append(try_full_disk(cluster, given.film, expected))
            good.append(try_other_version(cluster, given.film, expected))
        finally:
            cluster.close()
    print(f"{sum(good)} of {len(good)} runs as they have to be")
    sys.exit(sum(good) < len(good))


if __name__ == "__main__":
    main()
