"""Reading from the middle of a film gives what reading from its beginning gives, broken frames included."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make import damage_packet, make_times, make_uneven_times, write_film

from mmdream.analysis.optical_flow import to_gray
from mmdream.core.errors import Interrupted
from mmdream.media.probe import probe
from mmdream.media.video_reader import Frame, read_frames
from mmdream.render.source import (
    MIN_FLOW_SIDE,
    PREROLL_FRAMES,
    FileFrameSource,
    hash_frame,
    shrink_to_flow_size,
)

WHOLE = (None, None)
OPEN = {"bf": "3", "b-adapt": "0", "g": "17", "x264-params": "open-gop=1"}


def are_equal(one: Frame, other: Frame) -> bool:
    return (one.pts, one.seconds, one.repeated) == (
        other.pts,
        other.seconds,
        other.repeated,
    ) and np.array_equal(one.rgb, other.rgb)


def check_restarts(path: Path, span: tuple[Fraction | None, Fraction | None], firsts: list[int]) -> None:
    source = probe(path)
    whole = list(read_frames(source, *span))
    pts = [frame.pts for frame in whole]
    for first in firsts:
        hashes = {first: hash_frame(whole[first])}
        reader = FileFrameSource(source, span, pts, hashes, lambda: False)
        rest = list(reader.frames(first, len(pts)))
        assert len(rest) == len(whole) - first
        assert all(are_equal(one, other) for one, other in zip(rest, whole[first:], strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("options", [{"bf": "0"}, OPEN], ids=["plain", "open"])
def test_any_frame_of_a_film(suffix: str, options: dict[str, str], tmp_path: Path):
    path = write_film(tmp_path / f"film{suffix}", make_times(130, 25), options={"g": "40", **options})
    check_restarts(path, WHOLE, [1, PREROLL_FRAMES, PREROLL_FRAMES + 1, 85, 86, 87, 102, 129])


def test_an_excerpt_of_a_film_of_variable_rate_that_begins_early(tmp_path: Path):
    times = [at - 1 for at in make_uneven_times(130)]
    path = write_film(tmp_path / "film.mkv", times, time_base=Fraction(1, 1000))
    check_restarts(path, (Fraction(1, 2), None), [1, 60, 90])


@pytest.mark.parametrize("broken", [[86], [87], [85, 86, 87], list(range(36, 90)), [0, 1]])
def test_broken_frames_around_the_beginning_are_repeated_alike(broken: list[int], tmp_path: Path):
    shape = {"codec": "mpeg4", "size": (128, 96), "time_base": Fraction(1, 1000), "options": {"g": "1"}}
    path = write_film(tmp_path / "film.mkv", make_times(130, 25), **shape)
    for number in broken:
        damage_packet(path, number)
    assert any(frame.repeated for frame in read_frames(probe(path)))
    check_restarts(path, WHOLE, [86, 87, 88])


def test_a_wrong_hash_leads_to_the_same_frames(tmp_path: Path):
    path = write_film(tmp_path / "film.mp4", make_times(100, 25))
    source = probe(path)
    whole = list(read_frames(source))
    reader = FileFrameSource(source, WHOLE, [f.pts for f in whole], {80: "0" * 16}, lambda: False)
    rest = list(reader.frames(80, 100))
    assert all(are_equal(one, other) for one, other in zip(rest, whole[80:], strict=True))


def test_the_way_to_a_frame_can_be_stopped(tmp_path: Path):
    path = write_film(tmp_path / "film.mp4", make_times(100, 25))
    source = probe(path)
    pts = [frame.pts for frame in read_frames(source)]
    with pytest.raises(Interrupted):
        next(FileFrameSource(source, WHOLE, pts, {}, lambda: True).frames(80, 100))


def test_stretches_are_read_in_any_order_and_a_jump_does_not_read_what_lies_between(tmp_path: Path):
    path = write_film(tmp_path / "film.mp4", make_times(200, 25), options={"g": "20"})
    source = probe(path)
    whole = list(read_frames(source))
    polls: list[int] = []
    hashes = {first: hash_frame(whole[first]) for first in (0, 60, 150)}
    reader = FileFrameSource(
        source, WHOLE, [frame.pts for frame in whole], hashes, lambda: bool(polls.append(1))
    )
    for first, stop, skipped in ((60, 70, 48), (70, 80, 0), (150, 160, 48), (0, 5, 0)):
        polls.clear()
        found = list(reader.frames(first, stop))
        assert all(are_equal(one, other) for one, other in zip(found, whole[first:stop], strict=True))
        assert len(polls) == skipped
    reader.close()


@pytest.mark.parametrize(
    ("whole", "small", "flow"),
    [
        ((96, 128), (96, 128), (48, 64)),
        ((96, 128), (24, 32), (48, 64)),
        ((1000, 1200), (250, 300), (MIN_FLOW_SIDE, MIN_FLOW_SIDE * 6 // 5)),
        ((1000, 1200), (500, 600), (MIN_FLOW_SIDE, MIN_FLOW_SIDE * 6 // 5)),
        ((1000, 1200), (750, 900), (375, 450)),
        ((96, 128), (192, 256), (96, 128)),
    ],
)
def test_flow_is_measured_finer_where_the_film_is_larger(
    whole: tuple[int, int], small: tuple[int, int], flow: tuple[int, int]
):
    picture, shrunk = (np.random.default_rng(0).random((*size, 3), np.float32) for size in (whole, small))
    assert shrink_to_flow_size(picture, shrunk).shape == flow
    if whole == small:
        assert np.array_equal(shrink_to_flow_size(picture, shrunk), to_gray(shrunk))
