"""Large downloads from a real local server: whole or not there, gone on with where it is the same file."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmdream.core.download import (
    BLOCK_BYTES,
    DownloadError,
    download_bytes,
    download_file,
    remote_size,
)
from mmdream.core.files import hash_file

BODY = bytes(range(256)) * (3 * BLOCK_BYTES // 256)
SHA = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@dataclass
class Site:
    """A server of one file, and how it is to behave."""

    address: str = ""
    body: bytes = BODY
    tag: str | None = '"first"'
    stop_after: int | None = None
    """Bytes of an answer before the connection is dropped."""
    ranges: bool = True
    odd: str = ""
    requested_ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def site():
    about = Site()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            byte_range = self.headers.get("Range")
            about.requested_ranges.append(byte_range)
            body, start = about.body, 0
            if byte_range and about.ranges and self.headers.get("If-Range") == about.tag:
                start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body) + (about.odd == 'longer')}")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                other = start + (about.odd == "other part")
                self.send_header("Content-Range", f"bytes {other}-{len(body) - 1}/{len(body)}")
            if about.tag:
                self.send_header("ETag", about.tag)
            if about.odd != "no length":
                self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            stop = len(body) if about.stop_after is None else start + about.stop_after
            self.wfile.write(body[start:stop])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    about.address = f"http://127.0.0.1:{server.server_port}/set.zip"
    yield about
    server.shutdown()
    server.server_close()


def list_files(into: Path) -> list[str]:
    return sorted(path.name for path in into.parent.iterdir()) if into.parent.exists() else []


def test_a_file_comes_whole_and_is_told_as_it_comes(site: Site, tmp_path: Path):
    into = tmp_path / "cache" / "set.zip"
    progress: list[tuple[float, float]] = []
    download_file(site.address, into, len(BODY), SHA, lambda done, total: progress.append((done, total)))
    assert into.read_bytes() == BODY
    assert list_files(into) == ["set.zip"]
    assert progress[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})
    assert remote_size(site.address) == len(BODY)
    assert download_bytes(site.address, len(BODY)) == BODY


def test_what_broke_off_is_gone_on_with(site: Site, tmp_path: Path):
    into = tmp_path / "set.zip"
    site.stop_after = len(BODY) // 3
    for attempt in range(2):
        with pytest.raises(DownloadError, match="the connection broke off after"):
            download_file(site.address, into, len(BODY), SHA)
        assert list_files(into) == ["set.zip.mark", "set.zip.part"]
        assert (tmp_path / "set.zip.part").stat().st_size == (attempt + 1) * len(BODY) // 3
    site.stop_after = None
    download_file(site.address, into, len(BODY), SHA)
    assert into.read_bytes() == BODY
    assert list_files(into) == ["set.zip"]
    assert site.requested_ranges == [None, f"bytes={len(BODY) // 3}-", f"bytes={2 * len(BODY) // 3}-"]


def test_another_file_under_the_same_address_begins_anew(site: Site, tmp_path: Path):
    into = tmp_path / "set.zip"
    site.stop_after = BLOCK_BYTES
    with pytest.raises(DownloadError):
        download_file(site.address, into, len(BODY))
    site.stop_after, site.tag, site.body = None, '"second"', BODY[::-1]
    download_file(site.address, into, len(BODY))
    assert into.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_nothing_is_kept_that_could_not_be_told_from_another_file(
    site: Site, tmp_path: Path, tag: str | None
):
    into = tmp_path / "set.zip"
    site.stop_after, site.tag = BLOCK_BYTES, tag
    with pytest.raises(DownloadError):
        download_file(site.address, into, len(BODY))
    assert list_files(into) == []
    site.stop_after = None
    download_file(site.address, into, len(BODY))
    assert into.read_bytes() == BODY


def test_a_server_without_ranges_sends_the_whole(site: Site, tmp_path: Path):
    into = tmp_path / "set.zip"
    site.stop_after, site.ranges = BLOCK_BYTES, False
    with pytest.raises(DownloadError):
        download_file(site.address, into, len(BODY))
    site.stop_after = None
    download_file(site.address, into, len(BODY), SHA)
    assert into.read_bytes() == BODY


def test_a_part_that_is_whole_is_only_checked(site: Site, tmp_path: Path):
    into = tmp_path / "set.zip"
    (tmp_path / "set.zip.part").write_bytes(BODY)
    (tmp_path / "set.zip.mark").write_text('"first"')
    download_file(site.address, into, len(BODY), SHA)
    assert into.read_bytes() == BODY


@pytest.mark.parametrize("method", ["sha256", "sha1", "md5"])
def test_a_wrong_checksum_leaves_nothing(site: Site, tmp_path: Path, method: str):
    into = tmp_path / "set.zip"
    with pytest.raises(DownloadError, match="its checksum is not the known one"):
        download_file(site.address, into, len(BODY), f"{method}:0123")
    assert list_files(into) == []
    known = hashlib.new(method, BODY).hexdigest()
    download_file(site.address, into, len(BODY), f"{method}:{known}")
    assert hash_file(into, method) == known


@pytest.mark.parametrize("odd", ["", "no length"])
def test_more_than_the_bound_is_not_taken(site: Site, tmp_path: Path, odd: str):
    site.odd = odd
    with pytest.raises(DownloadError, match=f"is larger than {BLOCK_BYTES} bytes"):
        download_file(site.address, tmp_path / "set.zip", BLOCK_BYTES)
    assert list_files(tmp_path / "set.zip") == []
    with pytest.raises(DownloadError, match="is larger than 10 bytes"):
        download_bytes(site.address, 10)


@pytest.mark.parametrize(("odd", "had"), [("other part", BLOCK_BYTES), ("longer", len(BODY))])
def test_another_part_than_asked_for_is_refused(site: Site, tmp_path: Path, odd: str, had: int):
    (tmp_path / "set.zip.part").write_bytes(BODY[:had])
    (tmp_path / "set.zip.mark").write_text('"first"')
    site.odd = odd
    with pytest.raises(DownloadError, match="try again"):
        download_file(site.address, tmp_path / "set.zip", len(BODY))
    assert list_files(tmp_path / "set.zip") == []


def test_no_length_is_told_as_unknown(site: Site, tmp_path: Path):
    site.odd = "no length"
    assert remote_size(site.address) is None
    download_file(site.address, tmp_path / "set.zip", len(BODY), SHA)
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_only_the_web_is_asked_and_nobody_there_is_told(tmp_path: Path):
    with pytest.raises(DownloadError, match="neither http nor https"):
        download_file(tmp_path.as_uri(), tmp_path / "set.zip", 10)
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9"):
        download_file("http://127.0.0.1:9/set.zip", tmp_path / "set.zip", 10)
