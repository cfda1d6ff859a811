"""The page of live play: what goes out by a socket, what is turned by requests; guarded as the studio."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from mmdream import __version__
from mmdream.core.errors import UserError
from mmdream.live.controls import ADJUSTABLE
from mmdream.live.session import LiveSession
from mmdream.live.sound import SoundBlock
from mmdream.settings.definition import title_of
from mmdream.settings.schedule import SCHEDULE_LIMITS
from mmdream.web.guard import Guard
from mmdream.web.requests import read_body, read_json, refuse, wait_for_end

STATIC_FOLDER = Path(__file__).parent / "static"
MAX_BODY_BYTES = 1 << 16
MAX_WAITING_SOUNDS = 32
"""Blocks that wait for a slow page; then the oldest goes."""
PICTURE, SOUND = b"P", b"S"
"""What a message of bytes begins with; then come the seconds, float64, and of a sound its rate and channels,
both uint32, all of little end first; then a JPEG file, or int16 [sample, channel]."""
STATE_SECONDS = 0.25


class Page:
    """The open pages' sockets; told from any thread, and none of them can hold up the others."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[_Listener] = set()
        self._sent_at = 0.0
        self.session: LiveSession | None = None

    def show_picture(self, seconds: float, jpeg: bytes) -> None:
        """See `Viewer`."""
        self._send("picture", PICTURE + struct.pack("<d", seconds) + jpeg)

    def play_sound(self, block: SoundBlock) -> None:
        """See `Viewer`."""
        levels = np.rint(np.clip(block.samples.T, -1, 1) * 32767).astype("<i2")
        head = struct.pack("<dII", block.seconds, block.rate, levels.shape[1])
        self._send("sound", SOUND + head + levels.tobytes())

    def show_state(self, state: dict[str, Any]) -> None:
        """See `Viewer`."""
        if time.monotonic() - self._sent_at >= STATE_SECONDS:
            self._sent_at = time.monotonic()
            self._send("state", json.dumps(state))

    def _send(self, kind: str, message: bytes | str) -> None:
        if self._loop is not None and self._listeners:
            with suppress(RuntimeError):  # The server has ended.
                self._loop.call_soon_threadsafe(self._put, kind, message)

    def _put(self, kind: str, message: bytes | str) -> None:
        for listener in self._listeners:
            listener.put(kind, message)

    async def serve(self, socket: WebSocket) -> None:
        """Tell one page until it goes."""
        self._loop = asyncio.get_running_loop()
        await socket.accept()
        listener = _Listener()
        self._listeners.add(listener)
        gone = asyncio.create_task(wait_for_end(socket))
        try:
            while not gone.done():
                changed = asyncio.create_task(listener.changed.wait())
                await asyncio.wait({changed, gone}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                for message in listener.take():
                    if isinstance(message, str):
                        await socket.send_text(message)
                    else:
                        await socket.send_bytes(message)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._listeners.discard(listener)
            gone.cancel()


class _Listener:
    """What waits for one page: the newest picture and state, and some sounds."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._newest: dict[str, bytes | str] = {}
        self._sounds: list[bytes | str] = []

    def put(self, kind: str, message: bytes | str) -> None:
        if kind == "sound":
            self._sounds = [*self._sounds, message][-MAX_WAITING_SOUNDS:]
        else:
            self._newest[kind] = message
        self.changed.set()

    def take(self) -> list[bytes | str]:
        found = [*self._sounds, *self._newest.values()]
        self._sounds, self._newest = [], {}
        self.changed.clear()
        return found


def make_app(page: Page, port: int, token: str) -> Guard:
    """The application of a live session, guarded."""

    def session() -> LiveSession:
        if page.session is None:
            raise UserError("the networks are still being loaded; wait a moment")
        return page.session

    def answer(work: Callable[[dict[str, Any]], Any]) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            given = read_json(await read_body(request, MAX_BODY_BYTES))
            return JSONResponse(await run_in_threadpool(work, given))

        return respond

    def begin(_: dict[str, Any]) -> Any:
        playing = session()
        now = playing.controls.schedule.at(playing.now)
        fields = [
            {
                "name": name, "title": title_of(name), "low": SCHEDULE_LIMITS[name][0],
                "high": min(SCHEDULE_LIMITS[name][1], MAX_SLIDERS.get(name, 1e9)),
                "step": 1 if name in ("octaves", "steps") else 0.01, "value": getattr(now, name),
            }
            for name in ADJUSTABLE
        ]  # fmt: skip
        motifs = list(playing.controls.known_motifs)
        return {"version": __version__, "fields": fields, "motifs": motifs, **playing.state()}

    def turn(given: dict[str, Any]) -> Any:
        session().change_settings(given)
        return session().controls.state()

    def tap(given: dict[str, Any]) -> Any:
        playing = session()
        if given.get("stop"):
            playing.controls.stop_beat()
        else:
            playing.controls.tap(playing.now, time.monotonic())
        return playing.controls.state()

    def end(_: dict[str, Any]) -> Any:
        session().stop("ended from the page")
        return {}

    async def index(request: Request) -> Response:
        text = (STATIC_FOLDER / "live.html").read_text(encoding="utf-8")
        return Response(text, media_type="text/html")

    routes = [
        Route("/", index),
        Mount("/static", StaticFiles(directory=STATIC_FOLDER)),
        Route("/api/begin", answer(begin)),
        Route("/api/settings", answer(turn), methods=["PUT"]),
        Route("/api/tap", answer(tap), methods=["POST"]),
        Route("/api/end", answer(end), methods=["POST"]),
        WebSocketRoute("/api/live", page.serve),
    ]
    handlers: Any = {UserError: refuse}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), port, token)


MAX_SLIDERS = {"octaves": 6, "steps": 20, "strength": 2, "octave_scale": 2}
"""Of what the sliders offer; keys and MIDI go as far."""
