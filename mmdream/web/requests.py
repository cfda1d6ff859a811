"""What a page asks, read with care, and how it is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from mmdream.core.errors import UserError


async def read_body(request: Request, most: int) -> bytes:
    """What a request brings; `UserError`: more than so many bytes."""
    body = bytearray()
    if request.method in ("GET", "HEAD"):
        return b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise UserError("this request brings too much")
    return bytes(body)


def read_json(body: bytes) -> dict[str, Any]:
    """The object that a request brings; none: an empty one; `UserError`: something else."""
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError("this request holds no JSON object")
    return found


async def refuse(request: Request, error: Exception) -> Response:
    """The answer to what the user has to put right."""
    return JSONResponse({"error": str(error)}, 422)


async def wait_for_end(socket: WebSocket) -> None:
    """Wait until a page has gone; what it says by its socket is not listened to."""
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
