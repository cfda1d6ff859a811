"""Archives are told before they come, and checked; tampered ones are refused, and nothing of them is left.

A real local server stands for the publisher.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from trees import esc10, tar_folder, zip_folder

from mmdream.core.download import MAX_DOWNLOAD_BYTES
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets import prepare as preparing
from mmdream.datasets.archive import DEFAULT_LIMITS, UnpackLimits, is_archive, unpack, verify_checksum
from mmdream.datasets.card import DatasetArchive, read_dataset_card
from mmdream.datasets.prepare import prepare_dataset

SMALL = UnpackLimits(max_ratio=20, min_bytes=1_000_000, max_files=50)


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as file:
        for info, data in members:
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def make_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def write_zip(path: Path, *names: str, mode: int = 0, data: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, data)
    return path


def write_locked_zip(path: Path) -> Path:
    """A zip whose only member says that it has a password."""
    write_zip(path, "a.wav")
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(data)
    return path


def write_lzma_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a.wav", b"x")
    return path


def write_long_header_tar(path: Path) -> Path:
    """A tar that claims a name of two gigabytes."""
    info = make_member("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 2_000_000_000
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    return path


def write_padded_tar(path: Path) -> Path:
    """A tar with far more zeros after its end than a record has, packed small."""
    with gzip.open(path, "wb", 1) as file:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as whole:
            whole.addfile(make_member("a.wav"), io.BytesIO())
        file.write(buffer.getvalue())
        for _ in range(80):
            file.write(bytes(1 << 20))
    return path


LINKS = {
    "symlink": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "device": tarfile.CHRTYPE,
}
OUT = "leads out of its folder"
TAMPERED: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "tar, path upwards": (lambda p: write_tar(p, (make_member("a/../../evil.wav"), b"x")), "a.tar", OUT),
    "tar, absolute path": (lambda p: write_tar(p, (make_member("/mmdream-evil.wav"), b"x")), "a.tar", OUT),
    "tar, backslashes": (lambda p: write_tar(p, (make_member("..\\evil.wav"), b"x")), "a.tar", OUT),
    "tar, drive": (lambda p: write_tar(p, (make_member("C:evil.wav"), b"x")), "a.tar", OUT),
    "tar, folder upwards": (
        lambda p: write_tar(p, (make_member("../evil", tarfile.DIRTYPE), b"")),
        "a.tar",
        OUT,
    ),
    **{
        f"tar, {kind}": (
            lambda p, kind=kind: write_tar(
                p, (make_member("a.wav"), b"x"), (make_member("b.wav", LINKS[kind], "/etc/passwd"), b"")
            ),
            "a.tar.gz",
            "holds a link or a device, 'b.wav'",
        )
        for kind in LINKS
    },
    "tar, through a link": (
        lambda p: write_tar(
            p, (make_member("a", tarfile.SYMTYPE, "/nowhere"), b""), (make_member("a/evil.wav"), b"x")
        ),
        "a.tar",
        "holds a link",
    ),
    "tar, a name twice": (
        lambda p: write_tar(p, (make_member("a.wav"), b"x"), (make_member("./a.wav"), b"y")),
        "a.tar",
        "twice",
    ),
    "tar, a file for a folder": (
        lambda p: write_tar(p, (make_member("a"), b"x"), (make_member("a/b"), b"y")),
        "a.tar",
        "twice",
    ),
    "tar, a long name": (
        lambda p: write_tar(p, (make_member("a" * 300), b"x")),
        "a.tar",
        "a name that is too long",
    ),
    "tar, a long header": (write_long_header_tar, "a.tar", "holds a header that is too long"),
    "tar, bomb by size": (
        lambda p: write_tar(p, (make_member("a"), bytes(3_000_000))),
        "a.tar.gz",
        "holds more than 1 MB",
    ),
    "tar, bomb by count": (
        lambda p: write_tar(p, *((make_member(f"{n}"), b"") for n in range(51))),
        "a.tar",
        "than 50 files",
    ),
    "tar, folders by count": (
        lambda p: write_tar(p, *((make_member(f"{n}", tarfile.DIRTYPE), b"") for n in range(51))),
        "a.tar",
        "than 50 files",
    ),
    "tar, bomb after its end": (write_padded_tar, "a.tar.gz", "holds much after its end"),
    "zip, path upwards": (lambda p: write_zip(p, "../evil.wav"), "a.zip", OUT),
    "zip, absolute path": (lambda p: write_zip(p, "/mmdream-evil.wav"), "a.zip", OUT),
    "zip, backslashes": (lambda p: write_zip(p, "..\\..\\evil.wav"), "a.zip", OUT),
    "zip, symlink": (
        lambda p: write_zip(p, "a", mode=stat.S_IFLNK | 0o777, data=b"/etc"),
        "a.zip",
        "holds a link",
    ),
    "zip, device": (lambda p: write_zip(p, "a", mode=stat.S_IFCHR), "a.zip", "holds a link or a device, 'a'"),
    "zip, through itself": (lambda p: write_zip(p, "a.wav", "b/../a.wav"), "a.zip", OUT),
    "zip, a name twice": (lambda p: write_zip(p, "x//a.wav", "x/a.wav"), "a.zip", "twice"),
    "zip, bomb by size": (
        lambda p: write_zip(p, "a", data=bytes(3_000_000)),
        "a.zip",
        "holds more than 1 MB",
    ),
    "zip, bomb by count": (lambda p: write_zip(p, *map(str, range(51))), "a.zip", "holds more than 50 files"),
    "zip, locked": (write_locked_zip, "a.zip", "is locked with a password"),
    "zip, other packing": (write_lzma_zip, "a.zip", "packed in a way that cannot be read here"),
    "no tar": (lambda p: p.write_bytes(b"text" * 300) and p, "a.tar", "is cut off or damaged"),
    "no zip": (lambda p: p.write_bytes(b"text" * 300) and p, "a.zip", "is cut off or damaged"),
    "empty": (lambda p: p.write_bytes(b"") or p, "a.tar", "is cut off or damaged"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_archive_is_refused(how: str, tmp_path: Path):
    make, name, message = TAMPERED[how]
    (tmp_path / "in").mkdir()
    archive = make(tmp_path / "in" / name)
    with pytest.raises(UserError, match=message) as raised:
        unpack(archive, tmp_path / "in" / "out", SMALL)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(str(archive))
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "in", archive]
    assert not Path("/mmdream-evil.wav").exists()


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz"])
def test_an_archive_cut_off_anywhere_is_refused(ending: str, tmp_path: Path):
    esc10(tmp_path / "set")
    archive = (zip_folder if ending == ".zip" else tar_folder)(tmp_path / "set", tmp_path / f"a{ending}")
    data = archive.read_bytes()
    places = {1, 100, 512, len(data) // 3, len(data) // 2}
    if ending == ".tar":
        with tarfile.open(archive) as file:
            # Between two files only the missing end tells.
            places |= {info.offset for info in file.getmembers()[1:]}
    else:
        places |= {len(data) - 4, len(data) * 9 // 10}
    for place in sorted(places):
        archive.write_bytes(data[:place])
        with pytest.raises(UserError, match="cut off or damaged"):
            unpack(archive, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    archive.write_bytes(data)
    unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_a_changed_byte_does_not_fit_the_archives_own_checksum(ending: str, tmp_path: Path):
    esc10(tmp_path / "set")
    archive = (zip_folder if ending == ".zip" else tar_folder)(tmp_path / "set", tmp_path / f"a{ending}")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0x55
    archive.write_bytes(data)
    with pytest.raises(UserError, match="cut off or damaged"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_lying_zip_is_counted_by_what_comes_out(tmp_path: Path):
    archive = write_zip(tmp_path / "a.zip", "a", data=bytes(3_000_000))
    data = bytearray(archive.read_bytes())
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + place
        data[at : at + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(UserError):
        unpack(archive, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()


def test_an_honest_archive_comes_out_whole(tmp_path: Path):
    esc10(tmp_path / "set")
    expected = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "set").rglob("*.*")}
    progress: list[tuple[float, float]] = []
    for number, ending in enumerate((".zip", ".tar", ".tar.gz", ".tgz")):
        archive = (zip_folder if ending == ".zip" else tar_folder)(tmp_path / "set", tmp_path / f"a{ending}")
        assert is_archive(archive)
        out = tmp_path / f"out{number}"
        unpack(archive, out, progress=lambda done, total: progress.append((done, total)))
        assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*.*")} == expected
    assert all(done <= total for done, total in progress)


def test_bounds_leave_room_for_what_sets_hold():
    assert DEFAULT_LIMITS.max_bytes(1_000) == 64_000_000
    assert DEFAULT_LIMITS.max_bytes(6_000_000_000) == 120_000_000_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_a_full_disk_is_not_the_archives_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = write_zip(tmp_path / "a.zip", "a/b.wav")
    monkeypatch.setattr(zipfile, "open", lambda *_, **__: io.FileIO("/dev/full", "w"), raising=False)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_refused_archive_leaves_no_set(tmp_path: Path):
    esc10(tmp_path / "set")
    good = zip_folder(tmp_path / "set", tmp_path / "good.zip")
    bad = write_tar(tmp_path / "bad.tar", (make_member("../evil.wav"), b"x"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=OUT):
        prepare_dataset("esc10", [good, bad], tmp_path / "out", None, False, EventSink())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_known_checksum_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    esc10(tmp_path / "set")
    archive = zip_folder(tmp_path / "set", tmp_path / "known.zip")
    about = dataclasses.replace(
        read_dataset_card("esc10"),
        archives=(DatasetArchive("https://example.org/known.zip", checksum="md5:0"),),
    )
    monkeypatch.setattr(preparing, "read_dataset_card", lambda _name: about)
    with pytest.raises(
        UserError, match=r"known\.zip: its MD5 is not the one of https://example.org/known.zip"
    ):
        prepare_dataset("esc10", [archive], tmp_path / "out", None, False, EventSink())
    assert not (tmp_path / "out").exists()
    other = archive.rename(tmp_path / "other.zip")
    assert not verify_checksum(other, about)
    assert prepare_dataset("esc10", [other], tmp_path / "out", None, False, EventSink()).new == 3


@pytest.fixture
def dataset_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A card whose archive is on a server, the folder that is served, and the cache."""
    esc10(tmp_path / "set")
    served = tmp_path / "served"
    served.mkdir()
    archive = zip_folder(tmp_path / "set", served / "ESC-10.zip")

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


def replace_archive(monkeypatch: pytest.MonkeyPatch, about, **changes) -> None:
    (archive,) = about.archives
    other = dataclasses.replace(about, archives=(dataclasses.replace(archive, **changes),))
    monkeypatch.setattr(preparing, "read_dataset_card", lambda _name: other)


def test_size_and_licence_are_told_before_anything_comes(dataset_server, tmp_path: Path):
    about, served = dataset_server
    messages: list[str] = []

    def progress(what: str, _done: float, _total: float) -> None:
        messages.append(what)

    listener = EventSink(say=messages.append, progress=progress)
    report = prepare_dataset("esc10", [], tmp_path / "out", None, True, listener)
    assert report.new == 3
    before = messages[: messages.index("download")]
    assert f"licence: {about.licence}" in before
    assert any("ESC-10.zip: 0 MB; checksum: sha256" in line for line in before)
    (served / "ESC-10.zip").unlink()  # The second time it is in the cache.
    assert prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink()).new == 0


def test_what_is_not_verified_is_said_to_be(dataset_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    about, _ = dataset_server
    replace_archive(monkeypatch, about, bytes=0, checksum="")
    messages: list[str] = []
    assert prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink(say=messages.append)).new == 3
    assert any("ESC-10.zip: not verified; checksum: not verified" in line for line in messages)
    assert "ESC-10.zip: 0 MB, says the server" in messages


@pytest.mark.parametrize("how", ["changed", "cut", "gone", "larger"])
def test_a_bad_download_is_one_line_and_leaves_nothing(
    how: str, dataset_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, served = dataset_server
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


def test_a_damaged_archive_in_the_cache_is_told(dataset_server, tmp_path: Path):
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


def test_a_full_disk_is_told_before_the_download(
    dataset_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    about, _ = dataset_server
    replace_archive(monkeypatch, about, bytes=10**18)
    with pytest.raises(UserError, match=r"1000000000\.0 GB are needed .* set XDG_CACHE_HOME"):
        prepare_dataset("esc10", [], tmp_path / "out", None, True, EventSink())
    assert MAX_DOWNLOAD_BYTES < 10**12
