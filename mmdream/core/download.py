"""Downloads files: http and https only, bounded in size, checked, never half there.

Small ones come whole into memory; large ones grow in a part file that a later attempt goes on with.
"""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from mmdream.core.files import hash_file, user_cache_folder

MAX_DOWNLOAD_BYTES = 500_000_000_000
"""Of a file whose size is not known beforehand."""
TIMEOUT_SECONDS = 30
"""Of silence, not of the whole download."""
BLOCK_BYTES = 1 << 20


class DownloadError(Exception):
    """Why a file could not be had, in half a sentence."""


class _WrongContent(DownloadError):
    """What has come is of no use."""


def cache_folders() -> dict[str, Path]:
    """Folders of what was downloaded: ours by the platform's custom, and Keras's own."""
    keras = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")).expanduser()
    return {"mmdream": user_cache_folder(), "keras": keras / "models"}


def download_bytes(address: str, max_bytes: int) -> bytes:
    """Fetch a small file; `DownloadError`: no answer, another status than 200, or too many bytes."""
    with _request(address, {}) as response:
        data: bytes = response.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise DownloadError(f"{address} is larger than {max_bytes} bytes")
    return data


def remote_size(address: str) -> int | None:
    """Bytes that the server announces, without fetching them; None: it does not say."""
    with _request(address, {}) as response:
        return _content_length(response)


def download_file(
    address: str,
    into: Path,
    max_bytes: int,
    checksum: str = "",
    progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> None:
    """Fetch a large file, going on with an earlier attempt; it appears when it is whole and checked.

    What has come so far lies in ``NAME.part`` beside the file and stays after a failure, unless it turns out
    to be wrong. It is only gone on with where the server confirms that the file is still the same.

    The checksum is ``sha256:...``, ``sha1:...`` or ``md5:...``; empty: the publisher names none. `progress`
    takes bytes done and bytes in all, 0 where the server does not say.

    Raises:
        DownloadError: it cannot be had, or is not what the checksum says.
        OSError: it cannot be written.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    part, tag_file = into.with_name(f"{into.name}.part"), into.with_name(f"{into.name}.mark")
    try:
        _download_rest(address, part, tag_file, max_bytes, progress)
        method, _, known = checksum.partition(":")
        if known and hash_file(part, method) != known:
            raise _WrongContent(f"{address}: its checksum is not the known one")
    except BaseException as error:
        # Without the server's tag nothing tells whether a later attempt would go on with the same file.
        if isinstance(error, _WrongContent) or not tag_file.exists():
            part.unlink(missing_ok=True)
            tag_file.unlink(missing_ok=True)
        raise
    part.replace(into)
    tag_file.unlink(missing_ok=True)


def _download_rest(
    address: str, part: Path, tag_file: Path, max_bytes: int, progress: Callable[[float, float], None]
) -> None:
    """Fetch what the part file does not have yet."""
    start = part.stat().st_size if part.exists() and tag_file.exists() else 0
    # The tag is the server's name for this very content: for any other it sends the whole file.
    headers = {"Range": f"bytes={start}-", "If-Range": tag_file.read_text("utf-8")} if start else {}
    with _request(address, headers) as response:
        sent = response.headers.get("Content-Range", "")
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if sent != f"bytes */{start}":
                raise _WrongContent(f"{address}: what came before is not a part of it; try again")
            return
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        if resumed and not sent.startswith(f"bytes {start}-"):
            raise _WrongContent(f"{address}: the server sent another part than asked for; try again")
        done = start if resumed else 0
        length = _content_length(response)
        total = 0 if length is None else done + length
        if max(total, done) > max_bytes:
            raise _WrongContent(f"{address} is larger than {max_bytes} bytes")
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        # A weak tag may stand for other bytes with the same meaning.
        if tag and not tag.startswith("W/"):
            tag_file.write_text(tag, "utf-8")
        else:
            tag_file.unlink(missing_ok=True)
        with open(part, "ab" if resumed else "wb") as file:
            while block := response.read(BLOCK_BYTES):
                done += len(block)
                if done > max_bytes:
                    raise _WrongContent(f"{address} is larger than {max_bytes} bytes")
                file.write(block)
                progress(done, total)
    if total and done != total:
        raise DownloadError(f"{address}: the connection broke off after {done} of {total} bytes")


def _content_length(response: http.client.HTTPResponse) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


@contextmanager
def _request(address: str, headers: dict[str, str]) -> Iterator[Any]:
    """Ask, and translate what can go wrong until the response is read."""
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise DownloadError(f"{address} is neither http nor https")
    # Only these handlers: urllib's usual opener would follow a redirection to ftp.
    opener = urllib.request.OpenerDirector()
    for handler in (
        *(urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler),
        *(urllib.request.HTTPRedirectHandler, urllib.request.HTTPErrorProcessor),
        *(urllib.request.HTTPDefaultErrorHandler, urllib.request.UnknownHandler),
    ):
        opener.add_handler(handler())
    request = urllib.request.Request(address, headers=headers)
    try:
        try:
            response: Any = opener.open(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            if not headers or error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                error.close()  # It holds the socket.
                raise DownloadError(f"{address}: {error.code} {error.reason}") from error
            response = error
        with response:
            yield response
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise DownloadError(f"{address}: {getattr(error, 'reason', None) or error}") from error
