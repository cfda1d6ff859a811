from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_copy import copy_film
from make import make_plain_frame, make_times, write_film

from mmdream.media import video_reader
from mmdream.media.color import BT601, BT709, HD_HEIGHT
from mmdream.media.probe import probe
from mmdream.media.video_writer import VideoWriter

LEVEL = 1 / 255
KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""ITU-R BT.709, BT.601 (two tags) and BT.2020."""
COLOURS = ((200, 60, 30), (40, 180, 120), (90, 90, 200), (235, 235, 235))


def convert_to_yuv(rgb: tuple[int, int, int], matrix: int, full: bool) -> tuple[float, float, float]:
    """8-bit Y, Cb, Cr by the formula of the standards."""
    kr, kb = KR_KB[matrix]
    r, g, b = (x / 255 for x in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    return (
        (255 * y, 128 + 255 * cb, 128 + 255 * cr) if full else (16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr)
    )


def write_flat_film(
    path: Path,
    rgb: tuple[int, int, int],
    matrix: int,
    full: bool,
    tags: dict[str, int],
    rows: int = 48,
) -> Path:
    """Two frames of one colour, coded by the formula."""
    size = (64, rows)
    shown = [make_plain_frame(convert_to_yuv(rgb, matrix, full), size, "yuv420p") for _ in range(2)]
    for frame in shown:
        frame.color_range = 2 if full else 1
    return write_film(path, make_times(2, 25), size=size, frames=shown, tags=tags, options={"crf": "1"})


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", sorted(KR_KB))
def test_tagged_colours_come_out_right_and_go_back(matrix: int, full: bool, tmp_path: Path) -> None:
    tags = {
        "colorspace": matrix,
        "color_range": 2 if full else 1,
        "color_primaries": 1,
        "color_trc": 1,
    }
    for rgb in COLOURS:
        path = write_flat_film(tmp_path / "flat.mp4", rgb, matrix, full, tags)
        for suffix in (".mp4", ".mkv"):
            copy = copy_film(path, suffix, tmp_path)
            assert copy.source.video is not None
            assert copy.result.video is not None
            if suffix == ".mp4":
                assert copy.result.video.color == copy.source.video.color
            assert copy.result.video.color.primaries == copy.result.video.color.transfer == 1
            back = next(video_reader.read_frames(copy.result)).rgb
            read = copy.read[0].rgb
            # The common path of 8-bit films is up to 2 levels low, each time it is taken; see `from_film`.
            np.testing.assert_allclose(read.mean(axis=(0, 1)) * 255, rgb, atol=2.5)
            np.testing.assert_allclose(back.mean(axis=(0, 1)) * 255, read.mean(axis=(0, 1)) * 255, atol=2.5)


@pytest.mark.parametrize(("rows", "matrix"), [(48, BT601), (HD_HEIGHT - 2, BT601), (HD_HEIGHT, BT709)])
def test_untagged_films_are_taken_by_their_size(rows: int, matrix: int, tmp_path: Path) -> None:
    rgb = COLOURS[0]
    path = write_flat_film(tmp_path / "flat.mp4", rgb, matrix, False, {}, rows)
    copy = copy_film(path, ".mp4", tmp_path)
    assert copy.source.video is not None
    assert copy.result.video is not None
    assert copy.source.video.color.matrix == copy.result.video.color.matrix == matrix
    np.testing.assert_allclose(copy.read[0].rgb.mean(axis=(0, 1)) * 255, rgb, atol=2.5)
    back = next(video_reader.read_frames(copy.result)).rgb
    np.testing.assert_allclose(back.mean(axis=(0, 1)), copy.read[0].rgb.mean(axis=(0, 1)), atol=2.5 * LEVEL)


@pytest.mark.parametrize("name", ["chaplin.mp4", "sintel_854x480.mp4", "fire2.mp4"])
def test_a_real_film_keeps_its_colours(name: str, data: Path, tmp_path: Path) -> None:
    copy = copy_film(data / "films" / name, ".mp4", tmp_path, end=Fraction(1, 2))
    assert copy.source.video is not None
    assert copy.result.video is not None
    assert copy.result.video.color == copy.source.video.color
    for a, b in zip(copy.read, video_reader.read_frames(copy.result), strict=True):
        assert np.abs(a.rgb - b.rgb).mean() < 3 * LEVEL
        assert np.abs((a.rgb - b.rgb).mean(axis=(0, 1))).max() < 2 * LEVEL  # No cast.


def test_deep_colours_come_out_right(tmp_path: Path) -> None:
    rgb = COLOURS[1]
    y, cb, cr = (4 * value for value in convert_to_yuv(rgb, 9, False))
    shown = []
    for _ in range(2):
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        for plane, value in zip(frame.planes, (y, cb, cr), strict=True):
            plane.update(np.full(plane.buffer_size // 2, round(value), "<u2").tobytes())
        shown.append(frame)
    tags = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16}
    path = write_film(
        tmp_path / "deep.mkv",
        make_times(2, 25),
        codec="ffv1",
        pixels="yuv420p10le",
        frames=shown,
        tags=tags,
    )
    copy = copy_film(path, ".mkv", tmp_path)
    assert any("high dynamic range (PQ)" in line for line in copy.warnings)
    assert copy.result.video is not None
    assert (
        copy.result.video.bit_depth,
        copy.result.video.color.primaries,
        copy.result.video.color.transfer,
    ) == (10, 9, 16)
    for shown_rgb in (copy.read[0].rgb, next(video_reader.read_frames(copy.result)).rgb):
        np.testing.assert_allclose(shown_rgb.mean(axis=(0, 1)) * 255, rgb, atol=0.5)


def test_writing_takes_colours_out_of_range_to_the_nearest(tmp_path: Path) -> None:
    source = probe(write_film(tmp_path / "film.mp4", make_times(2, 25)))
    assert source.video is not None
    wild = np.linspace(-0.5, 1.5, 64 * 48 * 3, dtype=np.float32).reshape(48, 64, 3)
    path = tmp_path / "wild.mkv"
    with VideoWriter(path, source.video, ".mkv", Fraction(1, 1000)) as writer:
        writer.write(wild, 0)
    rgb = next(video_reader.read_frames(probe(path))).rgb
    np.testing.assert_allclose(rgb, np.clip(wild, 0, 1), atol=LEVEL / 2 + 1e-5)
