"""Files from the web: http and https only, bounded in size, checked, never half there.

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
from pathlib import Path
from typing import Any

from mmdream.core.files import hash_file
from mmdream.core.paths import CACHE, user_folder

TIMEOUT_SECONDS = 30
"""Of silence, not of the whole download."""

BLOCK_BYTES = 1 << 20
"""Bytes read at once."""


_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416
"""Statuses: the part that was asked for; there is no such part."""


class DownloadError(Exception):
    """Why a file could not be had, in half a sentence."""


def cache_folders() -> dict[str, Path]:
    """Folders of what was downloaded: ours by the platform's custom, and Keras's own."""
    keras = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")).expanduser()
    return {"mmdream": user_folder(CACHE), "keras": keras / "models"}


def download_bytes(address: str, most: int) -> bytes:
    """The body behind an address, at most `most` bytes.

    Raises:
        Refused: no answer, another status than 200, too many bytes, or fewer than announced.
    """
    with _request(address, {}) as answer:
        data: bytes = answer.read(most + 1)
    if len(data) > most:
        raise DownloadError(f"{address} is larger than {most} bytes")
    return data


def remote_size(address: str) -> int | None:
    """Bytes that the server announces, without fetching them; None: it does not say.

    Raises:
        Refused: no answer.
    """
    with _request(address, {}) as answer:
        return _content_length(answer)


def download_file(
    address: str,
    into: Path,
    most: int,
    checksum: str = "",
    progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> None:
    """Fetch a large file, going on where an earlier attempt was cut off.

    What has come so far lies in ``NAME.part`` beside the file and stays there after a failure, except when it
    turns out to be wrong. It is only gone on with where the server confirms that the file is still the same.

    Args:
        address: http or https.
        into: the file to write; it appears when it is whole and checked.
        most: bytes that it may have.
        checksum: ``sha256:...``, ``sha1:...`` or ``md5:...``; empty: the publisher names none.
        progress: told (bytes done, bytes in all, 0 where the server does not say).

    Raises:
        Refused: it cannot be had, or is not what the checksum says.
        OSError: it cannot be written.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    part, mark = into.with_name(f"{into.name}.part"), into.with_name(f"{into.name}.mark")
    try:
        _download_rest(address, part, mark, most, progress)
        method, _, known = checksum.partition(":")
        if known and hash_file(part, method) != known:
            raise _WrongContent(f"{address}: its checksum is not the known one")
    except _WrongContent:
        part.unlink(missing_ok=True)
        mark.unlink(missing_ok=True)
        raise
    except BaseException:
        # Without the server's mark nothing tells whether a later attempt would go on with the same file.
        if not mark.exists():
            part.unlink(missing_ok=True)
        raise
    part.replace(into)
    mark.unlink(missing_ok=True)


class _WrongContent(DownloadError):
    """What has come is of no use."""


def _download_rest(
    address: str, part: Path, mark: Path, most: int, progress: Callable[[float, float], None]
) -> None:
    """Fetch what the part file does not have yet."""
    had = part.stat().st_size if part.exists() and mark.exists() else 0
    # The mark is the server's name for this very content: for any other it sends the whole file.
    wanted = {"Range": f"bytes={had}-", "If-Range": mark.read_text("utf-8")} if had else {}
    with _request(address, wanted) as answer:
        if answer.status == _RANGE_NOT_SATISFIABLE:
            if answer.headers.get("Content-Range", "") != f"bytes */{had}":
                raise _WrongContent(f"{address}: what came before is not a part of it; try again")
            return
        went_on = answer.status == _PARTIAL_CONTENT
        if went_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
            raise _WrongContent(f"{address}: the server sent another part than asked for; try again")
        done = had if went_on else 0
        announced = _content_length(answer)
        total = 0 if announced is None else done + announced
        if max(total, done) > most:
            raise _WrongContent(f"{address} is larger than {most} bytes")
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        # A weak tag may stand for other bytes with the same meaning.
        if tag and not tag.startswith("W/"):
            mark.write_text(tag, "utf-8")
        else:
            mark.unlink(missing_ok=True)
        with open(part, "ab" if went_on else "wb") as file:
            while block := answer.read(BLOCK_BYTES):
                done += len(block)
                if done > most:
                    raise _WrongContent(f"{address} is larger than {most} bytes")
                file.write(block)
                progress(done, total)
    if total and done != total:
        raise DownloadError(f"{address}: the connection broke off after {done} of {total} bytes")


def _content_length(answer: http.client.HTTPResponse) -> int | None:
    """Bytes of the body, as announced."""
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


@contextmanager
def _request(address: str, headers: dict[str, str]) -> Iterator[Any]:
    """Ask, and translate what can go wrong until the answer is read."""
    try:
        with _open_url(address, headers) as answer:
            yield answer
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise DownloadError(f"{address}: {getattr(error, 'reason', None) or error}") from error


def _open_url(address: str, headers: dict[str, str]) -> Any:
    """The answer, before its body is read."""
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise DownloadError(f"{address} is neither http nor https")
    # Only these handlers: urllib's usual opener would follow a redirection to ftp.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    try:
        return opener.open(urllib.request.Request(address, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if headers and error.code == _RANGE_NOT_SATISFIABLE:
            return error
        error.close()  # it holds the answer's socket
        raise DownloadError(f"{address}: {error.code} {error.reason}") from error
