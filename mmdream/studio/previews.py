"""A process that dreams for the page, begun with the first dream and ended when it has been idle."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Tell = Callable[[dict[str, Any]], None]


class PreviewClient:
    """Sends requests to the process, and hands on what it says; threads may share it."""

    def __init__(self, tell: Tell, idle_seconds: float, niceness: int = 0) -> None:
        """`tell` hears what becomes of requests; a nice process leaves the cores to others."""
        self._idle_seconds, self._niceness = idle_seconds, niceness
        self._tell, self._lock = tell, threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._number, self._last = 0, time.monotonic()
        self._asked: dict[str, dict[str, Any]] = {}

    def ask(self, request: dict[str, Any]) -> None:
        """Ask for a dream, in place of the one under way; the process is begun if it does not run."""
        with self._lock:
            self._number += 1
            self._last = time.monotonic()
            starts = self._process is None or self._process.poll() is not None
            if starts:
                self._process = self._start()
            assert self._process is not None
            assert self._process.stdin is not None
            request = request | {"number": self._number}
            self._asked[request["kind"]] = request
            self._tell(
                {"id": request["id"], "kind": request["kind"], "state": "starting" if starts else "dreaming"}
            )
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "mmdream.studio.preview_process", str(self._niceness)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            self._last = time.monotonic()
            number = said.pop("number")
            for request in [*self._asked.values()]:
                if request["number"] == number:
                    self._tell({"id": request["id"], "kind": request["kind"], **said})
        process.stdout.close()
        with self._lock:
            asked, self._asked = self._asked, {} if self._process is process else self._asked
        if process.wait() and self._process is process:
            for request in asked.values():
                text = "the process that dreams at the cursor has ended; ask for the dream again"
                self._tell({"id": request["id"], "kind": request["kind"], "state": "failed", "message": text})

    def end_if_idle(self) -> None:
        """End the process if nothing was asked of it, or done by it, for too long."""
        if self._process is not None and time.monotonic() - self._last > self._idle_seconds:
            self.close()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
