"""The page of live play: who may ask what, and what it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from mmdream.live.sound import SoundBlock
from mmdream.live.web import MAX_BODY_BYTES, MAX_WAITING_SOUNDS, Page, _Listener, make_app
from tests.studio.conftest import TOKEN, Client

CHANGES = [("PUT", "/api/settings"), ("POST", "/api/tap"), ("POST", "/api/end")]


@pytest.fixture(scope="module")
def page() -> Iterator[Client]:
    """A page that is served, while the networks are still being loaded."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = make_app(Page(), port, TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="websockets-sansio", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    client = Client(port, Path(), Path())
    status, headers, _ = client.ask("GET", f"/?token={TOKEN}")
    assert status == 303
    client.cookie = headers["set-cookie"].split(";")[0]
    yield client
    server.should_exit = True
    thread.join(10)


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/api/begin"), *CHANGES])
def test_nothing_is_given_to_who_holds_no_cookie(page: Client, method: str, path: str) -> None:
    status, _, body = page.ask(method, path, headers={"Cookie": None})
    assert (status, b"printed when it began" in body) == (401, True)


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": None}, {"X-Mmdream": None}]
)
def test_nothing_is_changed_from_elsewhere(
    page: Client, method: str, path: str, headers: dict[str, str | None]
) -> None:
    assert page.ask(method, path, headers=headers)[0] == 403


def test_its_own_page_is_served_and_told_to_wait(page: Client) -> None:
    for path in ("/", "/static/live.js", "/static/live.css", "/static/icon.svg"):
        status, headers, body = page.ask("GET", path)
        assert (status, len(body) > 100) == (200, True), path
        assert "default-src 'none'" in headers["content-security-policy"]
    assert page.ask("GET", "/static/../command.py")[0] == 404
    assert page.ask("GET", "/", headers={"Host": "evil.example"})[0] == 400
    for method, path in (("GET", "/api/begin"), *CHANGES):
        status, _, body = page.ask(method, path, b"{}")
        assert (status, b"still being loaded" in body) == (422, True)
    assert page.ask("PUT", "/api/settings", b"[]")[2] == b'{"error":"this request holds no JSON object"}'
    large = page.ask("PUT", "/api/settings", b" " * (MAX_BODY_BYTES + 1))
    assert large[2] == b'{"error":"this request brings too much"}'


def test_a_slow_page_gets_the_newest_picture_and_the_last_sounds() -> None:
    page, listener = Page(), _Listener()
    for number in range(100):
        listener.put("picture", f"picture {number}")
        listener.put("sound", f"sound {number}")
    sounds = [f"sound {number}" for number in range(100 - MAX_WAITING_SOUNDS, 100)]
    assert listener.take() == [*sounds, "picture 99"]
    assert listener.take() == []
    # Without a page nothing is kept.
    page.show_picture(0.0, b"")
    page.play_sound(SoundBlock(np.zeros((2, 10), np.float32), 8000, 0.0))
