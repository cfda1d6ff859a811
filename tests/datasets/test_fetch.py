"""Downloads by a card: told first, checked, kept; a real local server stands for the publisher."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from trees import esc10, zipped

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets import fetch as fetching
from mmdream.datasets import prepare as preparing
from mmdream.datasets.card import DatasetArchive, read_dataset_card
from mmdream.datasets.prepare import prepare_dataset


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A card whose archive is on a server, the folder that is served, and the cache."""
    esc10(tmp_path / "set")
    served = tmp_path / "served"
    served.mkdir()
    archive = zipped(tmp_path / "set", served / "ESC-10.zip")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *words, **more):
            super().__init__(*words, directory=str(served), **more)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    sha = hashlib.sha256(archive.read_bytes()).hexdigest()
    where = DatasetArchive(
        f"http://127.0.0.1:{server.server_port}/ESC-10.zip", archive.stat().st_size, f"sha256:{sha}"
    )
    about = dataclasses.replace(read_dataset_card("esc10"), archives=(where,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(preparing, "read_dataset_card", lambda _name: about)
    yield about, served
    server.shutdown()
    server.server_close()


def republished(monkeypatch: pytest.MonkeyPatch, about, **changes) -> None:
    (archive,) = about.archives
    other = dataclasses.replace(about, archives=(dataclasses.replace(archive, **changes),))
    monkeypatch.setattr(preparing, "read_dataset_card", lambda _name: other)


def test_size_and_licence_are_told_before_anything_comes(published, tmp_path: Path):
    about, served = published
    told: list[str] = []

    def progress(what: str, _done: float, _total: float) -> None:
        told.append(what)

    listener = EventSink(say=told.append, progress=progress)
    report = prepare_dataset("esc10", [], tmp_path / "out", None, True, listener)
    assert report.new == 3
    before = told[: told.index("download")]
    assert f"licence: {about.licence}" in before
    assert any("ESC-10.zip: 0 MB; checksum: sha256" in line for line in before)
    (served / "ESC-10.zip").unlink()  # The second time it is in the cache.
    assert prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink()).new == 0


def test_what_is_not_verified_is_said_to_be(published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    about, _ = published
    republished(monkeypatch, about, bytes=0, checksum="")
    told: list[str] = []
    assert prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink(say=told.append)).new == 3
    assert any("ESC-10.zip: not verified; checksum: not verified" in line for line in told)
    assert "ESC-10.zip: 0 MB, says the server" in told


@pytest.mark.parametrize("how", ["changed", "cut", "gone", "larger"])
def test_a_bad_download_is_one_line_and_leaves_nothing(
    how: str, published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, served = published
    archive = served / "ESC-10.zip"
    data = archive.read_bytes()
    if how == "gone":
        archive.unlink()
    else:
        archive.write_bytes({"changed": data[:-1] + b"x", "cut": data[:-9], "larger": data * 2}[how])
    with pytest.raises(
        UserError, match=r"ESC-10.zip could not be downloaded \(.*\); the same command goes on"
    ) as it:
        prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink())
    assert "\n" not in str(it.value)
    assert not (tmp_path / "out").exists()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_damaged_archive_in_the_cache_is_told(published, tmp_path: Path):
    prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink())
    (kept,) = (tmp_path / "cache").rglob("*.zip")
    kept.write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"ESC-10\.zip: its SHA256 is not the one of http.*; fetch it again"):
        prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink())


def test_a_set_without_address_says_where_to_get_it(tmp_path: Path):
    with pytest.raises(
        UserError, match=r"imagenet25: no address .* get it at https://image-net\.org and give it with"
    ):
        prepare_dataset("imagenet25", [], tmp_path / "out", None, True, EventSink())


def test_a_full_disk_is_told_before_the_download(published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    about, _ = published
    republished(monkeypatch, about, bytes=10**18)
    with pytest.raises(UserError, match=r"1000000000\.0 GB are needed .* set XDG_CACHE_HOME"):
        prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink())
    assert fetching.MAX_DOWNLOAD_BYTES < 10**12
