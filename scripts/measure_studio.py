"""How soon the studio answers: frames while scrubbing, dreams and sound at the cursor; and what it takes.

    python scripts/measure_studio.py FILM [FILM ...] [--places 200]

A studio is begun as the command does, on a folder with the films, and asked by HTTP from this process. Told,
of each film: seconds from request to picture at random places, p50 and p95, out of the film and, once it was
gone through, of the small frames; of the first: seconds of the first dream (with its process' start), of
five more quick ones, of the frame as in the film (quick to full), of four seconds of sound, and of the
command for as many frames; then share of a core and memory of the server and of the process that dreams,
idle over ten seconds. Prints JSON. Five minutes on two cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmdream.media.probe import probe

QUICK_DREAMS, IDLE_SECONDS, WAIT_SECONDS = 5, 10.0, 120.0


class Asker:
    """Asks a studio as its page does."""

    def __init__(self, address: str) -> None:
        self._host = address.split("/")[2]
        self._headers: dict[str, str] = {}
        cookie = self._send("GET", address.split(self._host)[1])[1]["Set-Cookie"]
        self._headers = {
            "Cookie": cookie.split(";")[0], "X-Mmdream": "1", "Origin": f"http://{self._host}"
        }  # fmt: skip

    def _send(self, method: str, path: str, body: Any = None) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(self._host, timeout=WAIT_SECONDS)
        connection.request(method, path, None if body is None else json.dumps(body), self._headers)
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    def ask(self, method: str, path: str, body: Any = None) -> bytes | None:
        """What is answered; None: refused."""
        status, _, data = self._send(method, path, body)
        return data if status < 300 else None


def scrub(asker: Asker, film: str, length: float, places: int) -> dict[str, float]:
    """Seconds from request to picture at random places of a film."""
    rng, took = random.Random(0), []
    for _ in range(places):
        start = time.perf_counter()
        asker.ask("GET", f"{film}/frame?at={rng.uniform(0, length):.6f}&height=540")
        took.append(time.perf_counter() - start)
    p50, p95 = np.quantile(took, [0.5, 0.95])
    return {"p50": p50, "p95": p95}


def seconds_until(condition: Callable[[], object], at_most: float = WAIT_SECONDS) -> float:
    """How long it takes until something holds."""
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > at_most:
            return float("nan")
        time.sleep(0.01)
    return time.perf_counter() - began


def measure_dreams(asker: Asker, film: str) -> dict[str, Any]:
    """Seconds of dreams and sound at a film's cursor."""

    def dream(at: float, kind: str = "picture") -> tuple[float, str]:
        began = time.perf_counter()
        made = json.loads(asker.ask("POST", f"{film}/dream", {"kind": kind, "at": at}) or b"{}")["id"]
        name = "quick.jpg" if kind == "picture" else "sound.wav"
        seconds_until(lambda: asker.ask("GET", f"/api/dreams/{made}/{name}"))
        return time.perf_counter() - began, made

    first, made = dream(3.0)
    full = seconds_until(lambda: asker.ask("GET", f"/api/dreams/{made}/full.jpg"))
    dream(3.2)  # Another size of its own is traced once.
    quick = [dream(3.0 + 0.2 * number)[0] for number in range(QUICK_DREAMS)]
    _, made = dream(3.0)
    again = seconds_until(lambda: asker.ask("GET", f"/api/dreams/{made}/full.jpg"))
    sounds = [dream(3.0, "sound")[0] for _ in range(2)]
    return {"first": first, "full_first": full, "quick": quick, "full": again, "sound": sounds}


def measure_video(film: Path) -> float:
    """Seconds that the command takes for as many frames as one as in the film, its start not counted."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["video", str(film), "-o", f"{folder}/out.mp4", "--start", "2.04", "--end", "3.04"]
        made = subprocess.run(
            [sys.executable, "-m", "mmdream", *words, "--keep-sound", "--json"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    timing = json.loads(made.stdout.splitlines()[-1])["timing"]
    return float(timing["wall"] + timing["scan"])


def measure_process(pid: int) -> tuple[float, float]:
    """Share of a core over `IDLE_SECONDS`, and resident memory, MB."""

    def spent() -> float:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    before = spent()
    time.sleep(IDLE_SECONDS)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (spent() - before) / IDLE_SECONDS, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Begin, ask, tell."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--places", type=int, default=200)
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for film in args.films:
            shutil.copyfile(film, Path(folder) / film.name)
        words = [sys.executable, "-m", "mmdream", "studio", "--no-browser", folder]
        began = time.perf_counter()
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            figures["address_after_s"] = time.perf_counter() - began
            asker = Asker(address)
            films = json.loads(asker.ask("GET", "/api/begin") or b"{}")["films"]
            for each in films:
                path, length = (
                    f"/api/films/{each['id']}",
                    float(probe(Path(folder) / each["name"]).duration or 0),
                )
                figures[each["name"]] = found = {"of_the_film": scrub(asker, path, length, args.places)}
                found["small_frames_after_s"] = seconds_until(
                    lambda path=path: json.loads(asker.ask("GET", path) or b"{}")["marks"], 600
                )
                found["small_frames"] = scrub(asker, path, length, args.places)
            wanted = next(each["id"] for each in films if each["name"] == args.films[0].name)
            figures["dreams"] = measure_dreams(asker, f"/api/films/{wanted}")
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            others = [int(pid) for task in Path(f"/proc/{server.pid}/task").iterdir()
                      for pid in (task / "children").read_text().split()]  # fmt: skip
            figures["server_idle"] = measure_process(server.pid)
            figures["preview_idle"] = [measure_process(pid) for pid in {*map(int, children), *others}]
            server.terminate()
        figures["command"] = measure_video(args.films[0])
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
