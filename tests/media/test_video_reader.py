from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_copy import copy_film
from make import TICKS, damage_packet, make_picture, make_times, make_uneven_times, write_film

from mmdream.core.errors import UserError
from mmdream.media import video_reader
from mmdream.media.probe import probe
from mmdream.media.video_writer import VideoWriter

LEVEL = 1 / 255


def write_broken_film(folder: Path) -> Path:
    """A film of ten frames of which the first is broken."""
    path = write_film(
        folder / "film.mkv",
        make_times(10, 25),
        codec="mpeg4",
        size=(128, 96),
        time_base=Fraction(1, 1000),
        options={"g": "1"},
    )
    damage_packet(path, 0)
    return path


@pytest.mark.parametrize(
    "times",
    [make_uneven_times(40), make_times(40, Fraction(30_000, 1001)), make_times(40, 25, Fraction(1, 8))],
)
def test_stamps_are_the_source_s(times: list[Fraction], tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", times, options={"bf": "3", "b-adapt": "0"})
    read = list(video_reader.read_frames(probe(path)))
    assert [frame.pts * frame.time_base for frame in read] == [round(t / TICKS) * TICKS for t in times]
    assert [frame.index for frame in read] == list(range(40))
    for number in (0, 20, 39):
        assert np.abs(read[number].rgb - make_picture(number) * np.float32(LEVEL)).mean() < 3 * LEVEL


@pytest.mark.parametrize(
    "options", [{"bf": "0"}, {"bf": "3", "b-adapt": "0", "g": "17", "x264-params": "open-gop=1"}]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_an_excerpt_is_that_part_of_the_whole(suffix: str, options: dict[str, str], tmp_path: Path) -> None:
    path = write_film(tmp_path / f"film{suffix}", make_times(150, 25), options={"g": "40", **options})
    source = probe(path)
    whole = list(video_reader.read_frames(source))
    for start, end in (
        (Fraction(0), Fraction(1, 5)),
        (Fraction(17, 8), Fraction(3)),
        (Fraction(5), None),
    ):
        part = list(video_reader.read_frames(source, start, end))
        expected = [f for f in whole if f.seconds >= start and (end is None or f.seconds < end)]
        assert [f.pts for f in part] == [f.pts for f in expected]
        assert len(part) > 3
        for a, b in zip(part, expected, strict=True):
            np.testing.assert_array_equal(a.rgb, b.rgb)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "ffv1"])
def test_a_broken_frame_inside_keeps_its_place_and_time(codec: str, tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "film.mkv",
        make_times(40, 25),
        codec=codec,
        size=(128, 96),
        time_base=Fraction(1, 1000),
    )
    sound = list(video_reader.read_frames(probe(path)))
    lost = damage_packet(path, 20)
    said: list[str] = []
    read = list(video_reader.read_frames(probe(path), on_warning=said.append))
    assert [frame.pts for frame in read] == [frame.pts for frame in sound]
    repeated = [frame for frame in read if frame.repeated]
    assert [frame.pts for frame in repeated] == [lost]
    before = read[repeated[0].index - 1]
    np.testing.assert_array_equal(repeated[0].rgb, before.rgb)
    assert len(said) == 1
    assert "1 broken frame;" in said[0]
    with pytest.raises(UserError, match=r"broken frame at 0\.8"):
        list(video_reader.read_frames(probe(path), strict=True))


def test_one_frame_of_each_stretch_is_read(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", make_uneven_times(60))
    whole = list(video_reader.read_frames(probe(path)))
    every = Fraction(1, 5)
    read = list(video_reader.read_frames(probe(path), every=every))
    stretches = [frame.seconds // every for frame in whole]
    first = [frame for k, frame in enumerate(whole) if stretches[k] not in stretches[:k]]
    assert 3 < len(first) < len(whole) / 2
    assert [frame.pts for frame in read] == [frame.pts for frame in first]
    for a, b in zip(read, first, strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)


def test_a_broken_frame_is_passed_over_where_few_are_read(tmp_path: Path) -> None:
    path = write_broken_film(tmp_path)
    said: list[str] = []
    read = list(video_reader.read_frames(probe(path), every=Fraction(1, 5), on_warning=said.append))
    assert [frame.seconds for frame in read] == [Fraction(1, 25), Fraction(1, 5)]
    assert not any(frame.repeated for frame in read)
    assert len(said) == 1
    assert "1 broken frame; passed over" in said[0]


def test_a_broken_first_frame_is_stood_in_for_by_the_next(tmp_path: Path) -> None:
    path = write_broken_film(tmp_path)
    read = list(video_reader.read_frames(probe(path)))
    assert len(read) == 10
    assert [frame.repeated for frame in read] == [True] + 9 * [False]
    np.testing.assert_array_equal(read[0].rgb, read[1].rgb)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_film_that_ends_early_names_the_lost_seconds(suffix: str, tmp_path: Path) -> None:
    made = write_film(tmp_path / f"made{suffix}", make_times(100, 25), size=(128, 96))
    # The index must lie in front for a cut file to be readable.
    source = copy_film(made, suffix, tmp_path).result.path
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(source.read_bytes()[: int(source.stat().st_size * 0.6)])
    said: list[str] = []
    read = list(video_reader.read_frames(probe(path), on_warning=said.append))
    assert 10 < len(read) < 90
    assert not any(frame.repeated for frame in read)
    lost = Fraction(100 - len(read), 25)
    assert len(said) == 1
    named = float(said[0].split(" ends ")[1].split(" s early")[0])
    assert named == pytest.approx(float(lost), abs=0.06)
    with pytest.raises(UserError, match="early"):
        list(video_reader.read_frames(probe(path), strict=True))
    # What was asked for is all there.
    said.clear()
    list(video_reader.read_frames(probe(path), None, Fraction(1, 4), on_warning=said.append))
    assert not said


def test_whole_films_end_without_a_word(data: Path) -> None:
    for path in sorted((data / "films").iterdir()):
        if path.name.startswith("big"):
            continue
        said: list[str] = []
        count = sum(1 for _ in video_reader.read_frames(probe(path), on_warning=said.append))
        assert count == {"chaplin": 241, "fire2": 25, "no_duration": 74, "sintel_854x480": 48}.get(
            path.stem, count
        )
        assert not [line for line in said if "transparent" not in line]


def test_a_transparent_film_is_laid_over_black(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = next(
        video_reader.read_frames(
            probe(data / "films" / "transparent.webm"), Fraction(2), on_warning=said.append
        )
    )
    assert "over black" in said[0]
    assert (first.rgb.max(axis=-1) == 0).mean() > 0.5
    half = np.zeros((48, 64, 4), np.uint8)
    half[..., :3] = 200
    half[:, :32, 3] = 128
    half[:, 32:, 3] = 255
    shown = [av.VideoFrame.from_ndarray(half, "rgba").reformat(format="bgra") for _ in range(3)]
    path = write_film(tmp_path / "half.mkv", make_times(3, 25), codec="ffv1", pixels="bgra", frames=shown)
    rgb = next(video_reader.read_frames(probe(path))).rgb
    assert rgb[:, :32] == pytest.approx(200 * 128 / 255 / 255, abs=LEVEL / 2)
    assert rgb[:, 32:] == pytest.approx(200 / 255, abs=LEVEL / 2)


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_films_are_read_and_written_in_their_depth(bits: int, tmp_path: Path) -> None:
    top = 2**bits - 1
    ramp = (np.linspace(0, top, 64).astype(np.uint16) * np.ones((48, 1), np.uint16))[..., None].repeat(3, -1)
    shown = [av.VideoFrame.from_ndarray(np.ascontiguousarray(ramp), f"gbrp{bits}le") for _ in range(3)]
    path = write_film(
        tmp_path / "deep.mkv", make_times(3, 25), codec="ffv1", pixels=f"gbrp{bits}le", frames=shown
    )
    copy = copy_film(path, ".mkv", tmp_path)
    assert copy.source.video is not None
    assert copy.result.video is not None
    assert copy.source.video.bit_depth == copy.result.video.bit_depth == bits
    for frame in (copy.read[0], next(video_reader.read_frames(copy.result))):
        np.testing.assert_allclose(frame.rgb * top, ramp, atol=0.02)


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (2, 3), (641, 2)])
def test_odd_sizes_are_padded_only_where_they_must(size: tuple[int, int], tmp_path: Path) -> None:
    path = write_film(tmp_path / "odd.mkv", make_times(3, 25), codec="ffv1", pixels="bgr0", size=size)
    for suffix, padded in ((".mkv", size), (".mp4", tuple(side + side % 2 for side in size))):
        copy = copy_film(path, suffix, tmp_path)
        assert copy.result.video is not None
        assert (copy.result.video.width, copy.result.video.height) == padded
        rgb = next(video_reader.read_frames(copy.result)).rgb
        if suffix == ".mkv":
            np.testing.assert_allclose(rgb, copy.read[0].rgb, atol=1e-6)


def test_a_film_that_changes_its_size_keeps_the_first(tmp_path: Path) -> None:
    parts = [
        write_film(tmp_path / f"{k}.ts", make_times(5, 25, Fraction(k, 5)), size=s)
        for k, s in enumerate([(64, 48), (96, 80)])
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    read = list(video_reader.read_frames(probe(path)))
    assert len(read) > 5
    assert {frame.rgb.shape for frame in read} == {(48, 64, 3)}


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "wide.mkv",
        make_times(1, 25),
        codec="ffv1",
        pixels="gray",
        size=(16_400, 2),
        frames=[av.VideoFrame(16_400, 2, "gray")],
    )
    with pytest.raises(UserError, match="16400x2"):
        probe(path)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    source = probe(write_film(tmp_path / "film.mp4", make_times(3, 25)))
    assert source.video is not None
    noise = np.random.default_rng(0).random((48, 64, 3), dtype=np.float32)
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")

    def fill() -> None:
        with VideoWriter(Path("/dev/full"), source.video, ".mkv", TICKS) as writer:
            for number in range(300):
                writer.write(noise, number * 3600)

    with pytest.raises(UserError, match="no space left"):
        fill()
