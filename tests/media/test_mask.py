"""Masks by time, at a film's size, with edges that fade."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make import make_bursts, make_times, make_uneven_times, write_film

from mmdream.core.errors import UserError
from mmdream.media.image import write_image
from mmdream.media.mask import (
    CLOCK_TOLERANCE,
    LOOK_BACK_SECONDS,
    MaskReader,
    MaskSource,
    fit_mask,
    mask_from_image,
    mask_from_video,
    mask_luminance,
    open_mask,
)
from mmdream.media.probe import probe
from mmdream.settings.passes import Mask, MaskPlace

SIZE = (64, 48)
GREYS = 5
"""Levels that neighbours in a film of levels go through."""


def write_level_film(path: Path, times: Sequence[Fraction], **how: object) -> Path:
    """A film whose frames are plain greys, each another than those before and behind it."""
    greys = [np.full((48, 64, 3), compute_level(number) * 255, np.uint8) for number in range(len(times))]
    return write_film(path, times, frames=greys, options={"g": "12", "qp": "0"}, **how)


def compute_level(number: int) -> float:
    return round(255 * (0.1 + 0.8 * (number % GREYS) / (GREYS - 1))) / 255


def open_film_mask(path: Path) -> MaskReader:
    return MaskReader(mask_from_video(probe(path)), *SIZE, Mask(feather=0))


def make_step_mask(width: int, height: int) -> np.ndarray:
    """White on the right, float32 [height, width]."""
    mask = np.zeros((height, width), np.float32)
    mask[:, width // 2 :] = 1
    return mask


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "times", [make_uneven_times(40), make_times(40, Fraction(30_000, 1001)), make_times(12, 24, Fraction(1))]
)
def test_the_frame_is_the_last_that_has_begun(times: list[Fraction], suffix: str, tmp_path: Path) -> None:
    reader = open_film_mask(write_level_film(tmp_path / f"mask{suffix}", times))
    moments = [k * Fraction(1001, 60_000) for k in range(round((times[-1] + 2) * 60))] + [Fraction(900)]
    for seconds in moments:
        if any(abs(seconds - at) < 2 * CLOCK_TOLERANCE for at in times):
            continue  # Either is right.
        begun = max((k for k, at in enumerate(times) if at <= seconds), default=0)
        assert reader.at(seconds).mean() == pytest.approx(compute_level(begun), abs=2 / 255)


def test_a_mask_of_the_film_s_own_clock_changes_with_its_frames(tmp_path: Path) -> None:
    # Matroska writes 67 ms for 66.733: the mask must not be a frame late.
    times = make_times(60, Fraction(30_000, 1001))
    reader = open_film_mask(write_level_film(tmp_path / "mask.mkv", times, time_base=Fraction(1, 1000)))
    for number, seconds in enumerate(times):
        assert reader.at(seconds).mean() == pytest.approx(compute_level(number), abs=2 / 255)


def test_any_order_of_moments_gives_what_rising_ones_give(tmp_path: Path) -> None:
    # Frames that are held long: more than is looked back at first.
    times = [k * LOOK_BACK_SECONDS * Fraction(7, 10) for k in range(6)]
    times += [times[-1] + 5 * LOOK_BACK_SECONDS + k for k in (0, Fraction(1, 25), Fraction(2, 25))]
    path = write_level_film(tmp_path / "mask.mp4", times)
    moments = [at + Fraction(1, 100) for at in times] + [times[-1] + 1000, times[6] - Fraction(1, 50)]
    rising = open_film_mask(path)
    expected = {seconds: rising.at(seconds).copy() for seconds in sorted(moments)}
    reader = open_film_mask(path)
    for seconds in (moments[k] for k in np.random.default_rng(3).integers(0, len(moments), 40)):
        np.testing.assert_array_equal(reader.at(seconds), expected[seconds])
    for seconds in moments:  # As after a resume: the first thing that is asked.
        np.testing.assert_array_equal(open_film_mask(path).at(seconds), expected[seconds])


def test_before_its_first_frame_and_after_its_last_a_mask_is_opened_once(tmp_path: Path) -> None:
    source = mask_from_video(probe(write_level_film(tmp_path / "mask.mp4", make_times(10, 25, Fraction(3)))))
    begun: list[Fraction | None] = []

    def count_reads(start: Fraction | None):
        begun.append(start)
        return source.read(start)

    counting = MaskSource(source.path, *SIZE, source.end_seconds, count_reads)
    reader = MaskReader(counting, *SIZE, Mask(feather=0))
    for seconds in (Fraction(1, 25), Fraction(0), Fraction(2), Fraction(1), Fraction(3)):
        assert reader.at(seconds).mean() == pytest.approx(compute_level(0), abs=2 / 255)
    assert len(begun) == 1
    reader = MaskReader(counting, *SIZE, Mask(feather=0))
    for seconds in (3600, 7200, 5400):
        assert reader.at(Fraction(seconds)).mean() == pytest.approx(compute_level(9), abs=2 / 255)
    assert len(begun) == 2


def test_a_long_mask_costs_the_memory_and_the_decoding_of_what_is_asked() -> None:
    alive = peak = made = 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= self.base is not None

    def read_endlessly(start: Fraction | None):
        nonlocal alive, peak, made
        for number in itertools.count(0 if start is None else int(start * 25) + 1):
            values = np.full((48, 64), number % 7 / 7, np.float32).view(Counted)
            alive, made = alive + 1, made + 1
            peak = max(peak, alive)
            yield Fraction(number, 25), values
            del values

    reader = MaskReader(MaskSource(Path("mask"), *SIZE, None, read_endlessly), *SIZE, Mask(feather=8))
    for number in range(500):
        reader.at(Fraction(number, 25))
    assert 2 <= peak <= 4
    made = 0
    reader.at(Fraction(10))
    assert made < 2 * LOOK_BACK_SECONDS * 25


def test_the_same_frame_is_the_same_array_and_cannot_be_written_to(tmp_path: Path) -> None:
    reader = open_film_mask(write_level_film(tmp_path / "mask.mp4", make_times(3, 2)))
    first = reader.at(Fraction(0))
    assert reader.at(Fraction(1, 4)) is first
    assert reader.at(Fraction(3, 4)) is not first
    with pytest.raises(ValueError, match="read-only"):
        first += 1
    reader.close()
    np.testing.assert_array_equal(reader.at(Fraction(0)), first)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_black_and_white_of_a_compressed_film_are_nothing_and_everything(codec: str, tmp_path: Path) -> None:
    frame = np.repeat((make_step_mask(64, 48) * 255).astype(np.uint8)[..., None], 3, axis=2)
    tick = Fraction(1, 1000)
    path = write_film(
        tmp_path / "mask.mkv", make_times(30, 25), frames=[frame] * 30, codec=codec, time_base=tick
    )
    mask = MaskReader(mask_from_video(probe(path)), *SIZE, Mask(feather=0)).at(Fraction(1))
    assert (mask[:, :24] == 0).all()
    assert (mask[:, 40:] == 1).all()


def test_a_mask_is_as_light_as_its_picture() -> None:
    colours = np.eye(3, dtype=np.float32)[None].repeat(4, axis=0)
    mask = MaskReader(mask_from_image(Path("mask.png"), colours), 3, 4, Mask(feather=0)).at(Fraction(0))
    np.testing.assert_allclose(mask[0], [0.2126, 0.7152, 0.0722], atol=1e-6)  # ITU-R BT.709
    for grey in (0.02, 0.25, 0.5, 0.98):
        flat = np.full((4, 3, 3), grey, np.float32)
        np.testing.assert_allclose(mask_luminance(flat), grey, atol=1e-6)


@pytest.mark.parametrize("height", [180, 360, 720])
@pytest.mark.parametrize("feather", [4, 8, 32, 90])
def test_a_feather_is_a_ramp_of_so_many_pixels_of_360_lines(feather: float, height: int) -> None:
    width = 2 * height
    row = fit_mask(make_step_mask(width, height), width, height, MaskPlace(feather=feather))[height // 2]
    rising = np.flatnonzero((row > 0) & (row < 1))
    ramp = feather * height / 360
    assert len(rising) == pytest.approx(ramp, rel=0.1, abs=1)
    assert (rising[0] + rising[-1]) / 2 == pytest.approx(width / 2 - 0.5, abs=1)
    assert (np.diff(row) >= -1e-6).all()
    # Soft at both ends: steepest in the middle.
    assert np.argmax(np.diff(row)) == pytest.approx(width / 2 - 1, abs=ramp / 6 + 1)


@pytest.mark.parametrize(("feathered", "lines"), [(0, 48), (0, 4000), (8, 8), (360, 48)])
def test_what_is_all_black_or_all_white_stays_so(feathered: float, lines: int) -> None:
    for value in (0, 1):
        flat = np.full((9, 16), value, np.float32)
        laid = fit_mask(flat, lines * 16 // 9, lines, MaskPlace(feather=feathered))
        assert laid.shape == (lines, lines * 16 // 9)
        assert (laid == value).all()


def test_an_ellipse_moves_grows_and_fades_as_its_keys_say() -> None:
    keys = Mask(x=((0, 0.25), (2, 0.75)), size=((0, 0.25), (2, 0.5)), feather=((0, 0), (2, 60)))
    reader = open_mask(keys, 640, 360)
    seen = {seconds: reader.at(Fraction(seconds)) for seconds in (2, 0, 1)}
    columns, rows = np.arange(640) + 0.5, np.arange(360) + 0.5
    for seconds, middle, size in ((0, 0.25, 0.25), (1, 0.5, 0.375), (2, 0.75, 0.5)):
        mask = seen[seconds]
        assert (mask.sum(0) @ columns) / mask.sum() / 640 == pytest.approx(middle, abs=2e-3)
        assert (mask.sum(1) @ rows) / mask.sum() / 360 == pytest.approx(0.5, abs=2e-3)
        assert mask.mean() == pytest.approx(np.pi / 4 * size**2, rel=0.02)
        assert (mask.min(), mask.max()) == (0, 1)
        np.testing.assert_array_equal(mask, open_mask(keys, 640, 360).at(Fraction(seconds)))
    soft = [((mask > 0) & (mask < 1)).mean() for mask in (seen[0], seen[2])]
    assert soft[1] > 10 * soft[0]
    assert reader.at(Fraction(3)) is reader.at(Fraction(4))  # It stays where it is.


def test_a_picture_that_lies_as_it_is_is_not_touched(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_image(tmp_path / "m.png", rng.random((48, 64, 1), np.float32).repeat(3, axis=2))
    path = tmp_path / "m.png"
    moved = Mask(path, 0, x=((0, 0.5), (1, 0.75)))
    plain, placed = (open_mask(each, 64, 48) for each in (Mask(path, 0), moved))
    np.testing.assert_array_equal(plain.at(Fraction(0)), placed.at(Fraction(0)))
    np.testing.assert_allclose(placed.at(Fraction(1))[:, 16:], plain.at(Fraction(1))[:, :48], atol=1e-6)
    assert not placed.at(Fraction(1))[:, :15].any()


def test_without_a_feather_an_edge_stays_sharp() -> None:
    np.testing.assert_array_equal(
        fit_mask(make_step_mask(64, 48), 64, 48, MaskPlace()), make_step_mask(64, 48)
    )


@pytest.mark.parametrize("own", [(16, 9), (160, 90), (3840, 2160), (1279, 719)])
def test_a_mask_of_the_same_aspect_is_resized_in_its_place(own: tuple[int, int]) -> None:
    rgb = make_step_mask(*own)[..., None].repeat(3, axis=2)
    mask = MaskReader(mask_from_image(Path("mask.png"), rgb), 640, 360, Mask(feather=0)).at(Fraction(0))
    assert mask.shape == (360, 640)
    assert mask.dtype == np.float32
    cell = 640 / own[0] + 1
    assert (mask[:, : int(320 - cell)] == 0).all()
    assert (mask[:, int(320 + cell) :] == 1).all()
    assert (mask.min(), mask.max()) == (0, 1)


@pytest.mark.parametrize("own", [(48, 64), (62, 48), (66, 48), (640, 360)])
def test_a_mask_of_another_aspect_is_refused(own: tuple[int, int]) -> None:
    rgb = np.ones((own[1], own[0], 3), np.float32)
    with pytest.raises(UserError, match=rf"mask.png: a mask of {own[0]}x{own[1]} does not lie on 64x48"):
        MaskReader(mask_from_image(Path("mask.png"), rgb), *SIZE, Mask(feather=8))


def test_a_mask_lies_as_a_player_turns_it(tmp_path: Path) -> None:
    times = make_times(2, 25)
    frame = np.repeat((make_step_mask(48, 64) * 255).astype(np.uint8)[..., None], 3, axis=2)
    path = write_film(tmp_path / "m.mp4", times, frames=[frame] * 2, size=(48, 64), rotate=90)
    mask = MaskReader(mask_from_video(probe(path)), *SIZE, Mask(feather=0)).at(Fraction(0))
    assert mask.shape == (48, 64)
    assert {mask[:20].mean().round(), mask[-20:].mean().round()} == {0, 1}
    assert mask[:, :30].mean() == pytest.approx(mask[:, 34:].mean(), abs=0.01)


def test_a_sound_and_a_mask_too_small_to_say_where_are_refused(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "mask.wav", make_bursts(1).T, 48_000)
    with pytest.raises(UserError, match=r"mask.wav: is a sound; a mask is a picture or a film"):
        mask_from_video(probe(tmp_path / "mask.wav"))
    with pytest.raises(UserError, match=r"mask of 1x1 pixels is too small"):
        MaskReader(mask_from_image(Path("m.png"), np.ones((1, 1, 3), np.float32)), 48, 48, 8)
