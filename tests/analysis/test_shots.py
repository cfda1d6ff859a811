"""Shots on clips made of photographs: cuts to the frame; no cuts in pans, dissolves, fades and flashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from mmdream.analysis.shots import Scan, scan_frames
from mmdream.media.probe import probe
from mmdream.media.video_reader import Frame, read_frames

Clip = list[np.ndarray]


@pytest.fixture(scope="module")
def photos(data: Path) -> dict[str, np.ndarray]:
    """Photographs, float32 RGB."""
    paths = [*(data / "photos").glob("*.jpg"), *(data / "paintings").glob("*.jpg")]
    found = {path.stem: cv2.imread(str(path))[..., ::-1] for path in sorted(paths)}
    found["flower"] = load_sample_images().images[1]
    return {name: np.float32(picture) / 255 for name, picture in found.items()}


def crop_photo(photo: np.ndarray, x: float = 0.5, share: float = 0.6, y: float = 0.5) -> np.ndarray:
    """A part of a photograph at 192x108: `x`, `y` from 0 to 1 say where, `share` how large."""
    height, width = photo.shape[:2]
    wide = min(width, height * 16 / 9) * share
    zoom = 192 / wide
    left, top = (width - wide) * x, (height - wide * 9 / 16) * y
    place = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]], np.float32)
    return cv2.warpAffine(photo, place, (192, 108), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)


def make_pan(photo: np.ndarray, frames: int, step: float = 0.03) -> Clip:
    return [crop_photo(photo, 0.1 + step * k) for k in range(frames)]


def scan_clip(clip: Clip) -> Scan:
    return scan_frames(
        Frame(np.float32(rgb), 3 * k, Fraction(1, 75), k, Fraction(k, 25)) for k, rgb in enumerate(clip)
    )


def find_shot_starts(clip: Clip) -> list[int]:
    return [shot.first for shot in scan_clip(clip).shots]


def test_hard_cuts_are_found_to_the_frame(photos):
    for a, b in list(permutations(photos.values(), 2))[::5]:
        assert find_shot_starts(make_pan(a, 4) + make_pan(b, 4)) == [0, 4]


def test_a_cut_may_be_at_the_first_or_the_last_frame(photos):
    a, b = crop_photo(photos["cat"]), crop_photo(photos["flower"])
    assert find_shot_starts([a] + [b] * 6 + [a]) == [0, 1, 7]
    assert find_shot_starts([a]) == [0]
    assert find_shot_starts([]) == []


@pytest.mark.parametrize(
    "alter",
    [
        lambda rgb: rgb * 0.15,
        lambda rgb: np.repeat(rgb.mean(-1, keepdims=True), 3, -1) * 0.4,
        lambda rgb: 0.8 + 0.2 * rgb,
    ],
    ids=["dark", "grey", "pale"],
)
def test_cuts_between_pictures_of_one_kind(photos, alter: Callable[[np.ndarray], np.ndarray]):
    for a, b in list(permutations(photos.values(), 2))[::5]:
        assert find_shot_starts([alter(crop_photo(a))] * 4 + [alter(crop_photo(b))] * 4) == [0, 4]


def test_cuts_within_one_photograph(photos):
    for photo in photos.values():
        assert find_shot_starts(
            [crop_photo(photo, 0, 0.45, 0)] * 3 + [crop_photo(photo, 1, 0.45, 1)] * 3
        ) == [0, 3]


def test_bars_do_not_hide_a_cut(photos):
    def add_bars(photo: np.ndarray) -> np.ndarray:
        rgb = 0.6 + 0.4 * crop_photo(photo)
        rgb[:, :30] = rgb[:, -30:] = 0.02
        return rgb

    for a, b in list(permutations(photos.values(), 2))[::7]:
        assert find_shot_starts([add_bars(a)] * 3 + [add_bars(b)] * 3) == [0, 3]


@pytest.mark.parametrize("step", [0.02, 0.06, 0.15])
def test_pans_are_not_cut(photos, step: float):
    for photo in photos.values():
        assert find_shot_starts(make_pan(photo, 6, step)) == [
            0
        ]  # 0.15 of the slack: up to 10 % of the width a frame


@pytest.mark.parametrize("frames", [6, 24])
def test_dissolves_are_not_cut(photos, frames: int):
    for a, b in list(permutations(photos.values(), 2))[::17]:
        mixed = [crop_photo(a) * (1 - k / frames) + crop_photo(b) * (k / frames) for k in range(frames)]
        found = scan_clip([crop_photo(a)] * 4 + mixed + [crop_photo(b)] * 4)
        assert [(shot.first, shot.flashes) for shot in found.shots] == [(0, ())]


@pytest.mark.parametrize("frames", [4, 24])
@pytest.mark.parametrize("end", [0.0, 1.0], ids=["black", "white"])
def test_fades_are_not_cut_and_take_the_dream_with_them(photos, frames: int, end: float):
    for photo in list(photos.values())[::3]:
        picture = crop_photo(photo)
        clip = [picture * (k / frames) + end * (1 - k / frames) for k in range(frames)] + [picture] * 4
        for turned in (clip, clip[::-1]):
            found = scan_clip(turned)
            assert len(found.shots) == 1
            assert found.shots[0].flashes == ()
            presence = [found.presence(k) for k in range(len(turned))]
            if turned is not clip:
                presence.reverse()
            assert presence[0] == 0
            assert presence[frames:] == [1] * 4
            assert np.all(np.diff(presence) >= -0.15)


@pytest.mark.parametrize("length", [1, 3])
def test_a_flash_does_not_end_the_shot(photos, length: int):
    for a, b in list(permutations(photos.values(), 2))[::19]:
        clip = make_pan(a, 10)
        for flash in (np.ones_like(clip[0]), np.clip(clip[0] * 4, 0, 1), crop_photo(b)):
            found = scan_clip(clip[:5] + [flash] * length + clip[5 + length :])
            assert [(s.first, s.stop, s.flashes) for s in found.shots] == [(0, 10, ((5, 5 + length),))]


def test_a_white_flash_neither_widens_the_box_nor_counts_as_contrast(photos):
    rgb = crop_photo(photos["cat"]) * 0.8
    rgb[:, :20] = rgb[:, -20:] = 0.02
    found = scan_clip([rgb] * 4 + [np.ones_like(rgb)] + [rgb] * 4)
    assert found.shots[0].box == (0, 108, 20, 172)
    assert found.shots[0].flashes == ((4, 5),)
    assert found.presence(4) == 0
    assert found.presence(3) == found.presence(5) == 1


def test_four_frames_of_another_picture_are_a_shot(photos):
    a, b = crop_photo(photos["cat"]), crop_photo(photos["flower"])
    assert find_shot_starts([a] * 5 + [b] * 4 + [a] * 5) == [0, 5, 9]


def test_a_strobe_leaves_one_shot_between_its_flashes(photos):
    a, b = crop_photo(photos["cat"]), crop_photo(photos["flower"])
    shots = scan_clip([a, b] * 8 + [a]).shots
    assert len(shots) == 1
    assert shots[0].flashes == tuple((k, k + 1) for k in range(1, 16, 2))


def test_hard_cuts_to_and_from_black(photos):
    for photo in photos.values():
        rgb, black = crop_photo(photo), np.zeros((108, 192, 3), np.float32)
        assert find_shot_starts([rgb] * 4 + [black] * 4) == [0, 4]
        assert find_shot_starts([black] * 4 + [rgb] * 4) == [0, 4]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_picture_that_shows_nothing_is_not_fading(value: float):
    found = scan_clip([np.full((36, 64, 3), value)] * 5)
    assert [found.presence(k) for k in range(5)] == [1] * 5


def test_a_light_that_goes_on_is_no_cut(photos):
    for photo in photos.values():
        rgb = crop_photo(photo)
        assert find_shot_starts([rgb * 0.5] * 5 + [rgb] * 5) == [0]


def test_the_frames_are_read_as_a_stream(photos):
    """What is kept of a frame does not grow with the film."""
    alive, most = [0], [0]

    class Counted(np.ndarray):
        def __del__(self) -> None:
            alive[0] -= 1

    def frames() -> Iterator[Frame]:
        clip = [crop_photo(photos["cat"]), crop_photo(photos["flower"])]
        for k in range(80):
            rgb = clip[k % 2].copy().view(Counted)
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield Frame(rgb, k, Fraction(1, 25), k, Fraction(k, 25))

    found = scan_frames(frames())
    assert len(found.pts) == len(found.light) == 80
    assert most[0] <= 8


def make_frame(number: int, rgb: np.ndarray) -> Frame:
    return Frame(rgb, number * 3, Fraction(1, 75), number, Fraction(number, 25))


def make_barred_picture(value: float, rows: slice = slice(8, 56)) -> np.ndarray:
    rgb = np.full((64, 96, 3), 0.03, np.float32)  # bars are noisy, not zero
    rgb[rows] = value
    return rgb


def test_plain_cuts_and_flashes_are_told_apart_and_bars_are_found():
    looks = [0.3] * 10 + [1.0] + [0.3] * 9 + [0.9] * 5
    found = scan_frames(make_frame(number, make_barred_picture(value)) for number, value in enumerate(looks))
    assert [(shot.first, shot.stop) for shot in found.shots] == [(0, 20), (20, 25)]
    assert found.shots[0].flashes == ((10, 11),)
    assert list(found.pts) == [3 * number for number in range(25)]
    assert {shot.box for shot in found.shots} == {(8, 56, 0, 96)}


def test_bars_that_light_up_once_in_the_shot_are_no_bars():
    looks = [make_barred_picture(0.3)] * 5 + [make_barred_picture(0.3, slice(0, 64))] * 5
    assert scan_frames(make_frame(k, rgb) for k, rgb in enumerate(looks)).shots[-1].box == (0, 64, 0, 96)


def test_a_black_shot_has_no_inside():
    found = scan_frames(make_frame(k, np.zeros((8, 8, 3), np.float32)) for k in range(3))
    assert found.shots[0].box == (0, 0, 0, 0)


def test_chaplin_has_pillars_and_sintel_has_bars(data: Path):
    top, bottom, left, right = (
        scan_frames(read_frames(probe(data / "films/chaplin.mp4"), None, Fraction(1))).shots[0].box
    )
    assert left > 40
    assert right < 600
    top, bottom, *_ = scan_frames(read_frames(probe(data / "films/sintel_854x480.mp4"))).shots[0].box
    assert top > 20
    assert bottom < 460


def test_flames_are_one_shot(data: Path):
    """PySceneDetect's own threshold cuts them at nearly every frame."""
    assert len(scan_frames(read_frames(probe(data / "films/fire2.mp4"))).shots) == 1


def test_a_real_films_cuts(data: Path):
    film = probe(data / "films/big_buck_bunny_0_30.webm")
    found = scan_frames(read_frames(film, Fraction(9), Fraction(18)))
    zero = 9 * 24
    assert [shot.first for shot in found.shots] == [0, 283 - zero, 376 - zero]


def test_the_end_of_a_fade_between_bars_is_no_cut(data: Path):
    found = scan_frames(read_frames(probe(data / "films/sintel_854x480.mp4")))
    assert [(shot.first, shot.flashes) for shot in found.shots] == [(0, ())]
    assert found.presence(3) < 0.2 < 1 == found.presence(0)


def test_a_scan_survives_the_disk(photos):
    a, b = crop_photo(photos["cat"]), crop_photo(photos["flower"])
    found = scan_clip([a, a, b, a, a] + [b] * 5)
    assert found.shots[0].flashes == ((2, 3),)
    assert Scan.from_bytes(found.to_bytes()) == found
    empty = scan_clip([])
    assert Scan.from_bytes(empty.to_bytes()) == empty
