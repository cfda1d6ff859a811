"""A long take in pieces: cut evenly, joined without a step, the same whatever is done first."""

from __future__ import annotations

from array import array
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from make import make_times, write_film
from sklearn.datasets import load_sample_image

from mmdream import Recipe, Schedule, dream_video
from mmdream.analysis.shots import Scan, Shot
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.render.parts import MAX_PART_FRAMES, find_missing_seams, plan_chains, plan_parts
from mmdream.render.seams import (
    OVERLAP_FRAMES,
    WARM_UP_FRAMES,
    Seam,
    mix_states,
    pack_seam,
    plan_seams,
    unpack_seam,
)
from mmdream.render.temporal import start_state

FRAMES, RATE = 130, 25
QUICK = Schedule(octaves=1, steps=2)


def make_scan(*lengths: int) -> Scan:
    edges = np.cumsum([0, *lengths]).tolist()
    shots = tuple(Shot(first, stop, (0, 9, 0, 16)) for first, stop in pairwise(edges))
    return Scan(shots, array("q", range(edges[-1])), array("f", [1.0] * edges[-1]), Fraction(1, RATE), 0)


def test_long_takes_alone_are_cut_and_every_frame_stands_in_one_part():
    scan = make_scan(40, 1500, 200)
    seams = plan_seams(scan, 15)
    assert [(seam.first, seam.stop) for seam in seams] == [
        (40 + 375 * k, 40 + 375 * k + OVERLAP_FRAMES) for k in (1, 2, 3)
    ]
    assert all(seam.warm == seam.first - WARM_UP_FRAMES for seam in seams)
    parts = plan_parts(scan.shots, seams)
    assert [part.first for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert parts[-1].stop == 1740
    assert max(part.frames for part in parts) <= MAX_PART_FRAMES
    assert {(seam.first, seam.stop) for seam in seams} <= {(part.first, part.stop) for part in parts}
    starts = [chain[0].first for chain in plan_chains(scan.shots, seams)]
    assert starts == [0, 40, *(seam.stop for seam in seams), 1540]


def test_a_loop_has_a_seam_from_its_last_frame_to_its_first():
    scan = make_scan(40, 200)
    (seam,) = plan_seams(scan, None, loop=True)
    assert (seam.first, seam.stop, seam.following) == (240 - OVERLAP_FRAMES, 240, 0)
    parts = plan_parts(scan.shots, (seam,))
    assert [part.first for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[-1].first, parts[-1].stop) == (seam.first, 240)
    chains = plan_chains(scan.shots, (seam,))
    assert [chain[0].first for chain in chains] == [0, 40]
    assert find_missing_seams((seam,), (chains[0],), ()) == (seam,)
    assert find_missing_seams((seam,), (chains[1],), ()) == (seam,)
    assert find_missing_seams((seam,), (chains[1][:1],), ()) == ()
    assert plan_seams(make_scan(40, 50), None, loop=True) == ()


def test_without_seams_or_room_for_them_nothing_is_cut():
    assert plan_seams(make_scan(1500), None) == ()
    assert plan_seams(make_scan(70, 80), 3) == ()
    assert plan_parts(make_scan(1500).shots, ()) == plan_parts(make_scan(1500).shots)


def test_states_come_back_as_they_were_and_go_over_into_the_others():
    rng = np.random.default_rng(0)
    grey = np.zeros((4, 6), np.uint8)
    one, other = (
        start_state(rng.normal(0, 0.1, (8, 12, 3)).astype(np.float32), grey, ascent, 1.0) for ascent in (1, 2)
    )
    first, stop = unpack_seam(pack_seam(((one, None), (other, None))))
    assert first[1] is None
    np.testing.assert_array_equal(first[0].detail, one.detail)
    assert stop[0].unit_gain == other.unit_gain
    (half,) = mix_states((one,), (other,), 0.5)
    np.testing.assert_allclose(half.detail, (one.detail + other.detail) / 2, atol=1e-6)
    assert mix_states((one,), (other,), 1) == (other,)
    assert mix_states((None,), (other,), 0.1) == (other,)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slow pan over a photograph."""
    photo = load_sample_image("china.jpg")
    frames = [np.ascontiguousarray(photo[100:148, 2 * k : 2 * k + 72]) for k in range(FRAMES)]
    return write_film(
        tmp_path_factory.mktemp("take") / "take.mkv", make_times(FRAMES, RATE), frames=frames,
        options={"crf": "12", "threads": "1"},
    )  # fmt: skip


def test_no_step_is_seen_at_a_seam(film: Path, tmp_path: Path):
    seam = Seam(0, 29, 65, 89)
    for name, seams, end in (("whole", None, Fraction(seam.first, RATE)), ("cut", 3.0, None)):
        dream_video(film, tmp_path / f"{name}.mkv", Recipe(schedule=QUICK, seams=seams), end=end)
    whole, cut, source = (
        np.stack([frame.rgb for frame in read_frames(probe(path))])
        for path in (tmp_path / "whole.mkv", tmp_path / "cut.mkv", film)
    )
    np.testing.assert_array_equal(cut[: seam.first], whole)  # The first piece is the take's own.
    detail = cut - source
    # What the dream changes from frame to frame, the pan undone.
    change = np.array([np.abs(detail[k, :, :-2] - detail[k - 1, :, 2:]).mean() for k in range(1, FRAMES)])
    near, usual = change[seam.first - 2 : seam.stop + 1], np.median(change[30:])
    assert near.max() < 1.6 * usual
    strength = np.abs(detail).mean(axis=(1, 2, 3))
    assert strength[seam.first : seam.stop].min() > 0.75 * np.median(strength[30:])


def test_the_dream_of_a_loop_leads_from_its_last_frame_to_its_first(tmp_path: Path):
    photo, count = load_sample_image("china.jpg"), WARM_UP_FRAMES + OVERLAP_FRAMES + 8
    places = np.rint(30 - 30 * np.cos(2 * np.pi * np.arange(count) / count)).astype(int)
    film = write_film(
        tmp_path / "loop.mkv", make_times(count, RATE),
        frames=[np.ascontiguousarray(photo[100:148, place : place + 72]) for place in places],
        options={"crf": "12", "threads": "1"},
    )  # fmt: skip
    source, apart, round_ = (
        np.stack([frame.rgb for frame in read_frames(probe(path))])
        for path in (
            film,
            dream_film(film, tmp_path / "apart.mkv", loop=False),
            dream_film(film, tmp_path / "round.mkv", loop=True),
        )
    )

    def end(dream: np.ndarray) -> float:
        """Change of the detail from the last frame to the first; the camera hardly moves there."""
        return float(np.abs((dream[0] - source[0]) - (dream[-1] - source[-1])).mean())

    detail = round_ - source
    usual = np.median([np.abs(detail[k] - detail[k - 1]).mean() for k in range(30, count)])
    assert end(round_) < 1.6 * usual
    assert end(apart) > 2 * end(round_)
    strength = np.abs(detail).mean((1, 2, 3))
    assert strength.min() > 0.6 * np.median(strength)


def dream_film(film: Path, path: Path, loop: bool) -> Path:
    dream_video(film, path, Recipe(schedule=QUICK, loop=loop))
    return path
