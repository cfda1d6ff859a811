"""Films that are gone through once, each by a process of its own, and what is known of them since."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mmdream.studio.frame_proxy import FrameProxy
from mmdream.studio.scan_process import MARKS_FILE

MAX_KEPT = 12
"""Films whose small frames are kept; each may take `frame_proxy.MAX_PROXY_BYTES`."""


class FilmScanner:
    """Scans one film at a time, the one that was opened last; threads may share it.

    `on_share` hears of a film's scan how far it is, 0..1, and why it ended before that, or nothing.
    """

    def __init__(self, cache: Path, on_share: Callable[[Path, float, str], None]) -> None:
        self._cache, self._on_share, self._lock = cache, on_share, threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._folder = Path()
        self._proxies: dict[Path, FrameProxy] = {}

    def folder(self, film: Path) -> Path:
        """Where is kept what a scan found of a film as it is now."""
        status = film.stat()
        version = f"{film.name} {status.st_size} {status.st_mtime_ns}"
        return self._cache / hashlib.sha256(version.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def marks(self, film: Path) -> dict[str, list[float]] | None:
        """Seconds of the cuts and beats; None: not known yet."""
        with suppress(OSError, ValueError):
            found: dict[str, list[float]] = json.loads((self.folder(film) / MARKS_FILE).read_text())
            return found
        return None

    def read_frame(self, film: Path, seconds: float) -> tuple[bytes, float] | None:
        """A small frame, as JPEG, and its own second; None: there is none (yet)."""
        with suppress(OSError):
            folder = self.folder(film)
            if folder not in self._proxies:
                self._proxies[folder] = FrameProxy(folder)
            return self._proxies[folder].read(seconds)
        return None

    def scan(self, film: Path) -> None:
        """Begin to scan a film, in place of another that is under way, unless it is known."""
        folder = self.folder(film)
        with self._lock:
            with suppress(OSError):  # On a full disk a film opens all the same.
                self._drop_oldest(folder)
            if (folder / MARKS_FILE).is_file():
                return
            if self._process is not None and self._process.poll() is None:
                if self._folder == folder:
                    return
                self._process.kill()
            self._folder = folder
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mmdream.studio.scan_process", str(film), str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            arguments = self._process, film
            threading.Thread(target=self._listen, args=arguments, daemon=True).start()

    def _drop_oldest(self, folder: Path) -> None:
        """Keep what was found of the films that were opened last, this one among them."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.touch()
        kept = sorted(self._cache.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in kept[MAX_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)

    def _listen(self, process: subprocess.Popen[str], film: Path) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr:
            for line in process.stdout:
                self._on_share(film, min(float(line), 0.999), "")
            said = process.stderr.read().strip().splitlines()
        status = process.wait()
        if status > 0:  # Below 0 it was ended for another film.
            self._on_share(film, 0.0, f"{film.name}: cannot be gone through: {said[-1] if said else status}")
        elif status == 0:
            self._on_share(film, 1.0, "")

    def close(self) -> None:
        """End the process; a film that is not through is begun anew when it is opened again."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
