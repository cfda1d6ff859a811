"""A studio that listens, as the command begins it, on a folder with a short film."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from mmdream.sample.film import make_sample
from mmdream.studio.web import make_app

TOKEN = "the-token-of-this-test"


@dataclass
class Client:
    """Speaks to the studio as a browser does, or as something that is none."""

    port: int
    folder: Path
    cache: Path
    cookie: str = ""

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] = b"",
        headers: dict[str, str | None] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case and body; a header that is None is left out."""
        own = f"127.0.0.1:{self.port}"
        given: dict[str, str | None] = {"Host": own, "Cookie": self.cookie or None}
        if method not in ("GET", "HEAD"):
            given |= {"Origin": f"http://{own}", "X-Mmdream": "1"}
        given |= headers or {}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: bytes | dict[str, Any] = b"", **headers: str) -> Any:
        """What a request that must succeed gives."""
        status, _, data = self.ask(method, path, body, headers)
        assert status == 200, (status, data)
        return json.loads(data)

    @property
    def film(self) -> str:
        """The address of the first film."""
        return f"/api/films/{self.json('GET', '/api/begin')['films'][0]['id']}"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A running studio, and the cookie of its page."""
    folder, cache = tmp_path_factory.mktemp("films"), tmp_path_factory.mktemp("cache")
    make_sample(folder / "in.mp4", 1.25, 24, (160, 96))
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(cache))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = uvicorn.Config(make_app(folder, port, TOKEN), log_level="error", ws="websockets-sansio")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    client = Client(port, folder, cache)
    status, headers, _ = client.ask("GET", f"/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "/")
    client.cookie = headers["set-cookie"].split(";")[0]
    yield client
    server.should_exit = True
    thread.join(10)
    patch.undo()
