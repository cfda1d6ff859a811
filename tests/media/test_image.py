"""A picture file is judged by its header before anything of its size is made, and told in one line."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdream.media import image
from tests.command import mmdream

ROOT = Path(__file__).parents[2]
MOST_MB = 300
"""Of the memory that a refusal may take beside the libraries."""

CODE = """
import resource, sys
from pathlib import Path
from mmdream.core.errors import UserError
from mmdream.media import image
from tests.command import mmdream
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    image.read_image(Path(sys.argv[1]))
except UserError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def png(wide: int, high: int) -> bytes:
    """Black in one bit a pixel, all of it there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(9), bytes(1 + (wide + 7) // 8)
    data = b"".join(packer.compress(row * 1000) for _ in range(high // 1000)) + packer.flush()
    head = struct.pack(">IIBBBBB", wide, high, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tif(wide: int, high: int) -> bytes:
    """Rows of eight bits, packed in one strip that is not there."""
    tags = {256: wide, 257: high, 258: 8, 259: 32773, 262: 1, 273: 8, 277: 1, 278: high, 279: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags)) + entries + bytes(104)


def bmp(wide: int, high: int) -> bytes:
    """A header, and no pixels."""
    return struct.pack("<2sIIIIiiHHIIIIII", b"BM", 54, 0, 54, 40, wide, high, 1, 24, 0, 0, 0, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
@pytest.mark.parametrize(
    ("make", "wide", "high"),
    [
        (png, 60_000, 60_000),
        (png, 20_000, 20_000),
        (tif, 60_000, 60_000),
        (tif, 20_000, 20_000),
        (bmp, 30_000, 30_000),
    ],
)
def test_a_bomb_is_refused_by_its_header(
    make: Callable[[int, int], bytes], wide: int, high: int, tmp_path: Path
) -> None:
    path = tmp_path / f"bomb.{make.__name__}"
    path.write_bytes(make(wide, high))
    assert path.stat().st_size < 600_000
    ran = subprocess.run(
        [sys.executable, "-c", CODE, path], capture_output=True, text=True, check=True, cwd=ROOT
    )
    *said, taken = ran.stdout.splitlines()
    assert said == [f"{path}: claims more than 256 million pixels, too many"]
    assert int(taken) < MOST_MB


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_damaged_picture_is_told_in_one_line_and_by_nobody_else(name: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)
    data = bytearray(cv2.imencode(name[1:], pixels)[1].tobytes())
    if name == "a.png":
        data[60:70] = b"\xff" * 10
    else:
        del data[200:]
    (tmp_path / name).write_bytes(data)
    done = mmdream("classify", tmp_path / name)
    said = f"{tmp_path / name}: not a picture that can be read; give a .png"
    assert done.returncode == 2
    assert done.stderr.startswith(f"mmdream: error: {said}")
    assert len(done.stderr.splitlines()) == 1


LIMITED = """
import resource, sys
from pathlib import Path
import cv2
from mmdream.cli.app import main
import mmdream.classify.run
from tests.command import mmdream
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 30),) * 2)
sys.argv[1:] = ["classify", sys.argv[1]]
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_picture_that_memory_does_not_hold_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(16_000, 16_000))
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "a.png"], capture_output=True, text=True, cwd=ROOT
    )
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.splitlines()[-1].endswith(
        "a.png: takes more memory than there is; make the picture smaller"
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_lies_upright(orientation: int, tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)
    data = cv2.imencode(".jpg", rgb)[1].tobytes()
    entry = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + entry
    marked = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    (tmp_path / "a.jpg").write_bytes(marked)
    seen = cv2.imdecode(np.frombuffer(marked, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert seen.shape[:2] == ((24, 40) if orientation < 5 else (40, 24))
    np.testing.assert_array_equal(image.read_image(tmp_path / "a.jpg"), np.float32(seen) / np.float32(255))


def test_transparency_and_depth_stay(tmp_path: Path) -> None:
    noise = np.random.default_rng(2)
    for suffix, kind in ((".png", np.uint8), (".png", np.uint16), (".tif", np.uint16)):
        top = np.iinfo(kind).max
        bgra = noise.integers(0, top + 1, (6, 9, 4)).astype(kind)
        cv2.imwrite(str(tmp_path / f"a{suffix}"), bgra)
        expected = np.float32(bgra[..., 2::-1]) * (np.float32(bgra[..., 3:]) / top) / top
        np.testing.assert_allclose(image.read_image(tmp_path / f"a{suffix}"), expected, atol=1e-6)
    real = noise.random((6, 9, 3), np.float32)
    cv2.imwrite(str(tmp_path / "a.tif"), real)
    np.testing.assert_array_equal(image.read_image(tmp_path / "a.tif"), real[..., ::-1])
