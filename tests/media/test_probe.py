from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make import make_bursts, make_times, write_film

from mmdream.core.errors import UserError
from mmdream.media import video_reader
from mmdream.media.probe import Orientation, probe


def test_real_films_are_told_rightly(data: Path) -> None:
    films = {path.name: probe(path) for path in sorted((data / "films").iterdir())}
    assert len(films) == 7
    pictures = {name: one.video for name, one in films.items()}
    assert all(picture is not None for picture in pictures.values())
    fire, tiny, clear = (pictures[n] for n in ("fire2.mp4", "bitmap.mp4", "transparent.webm"))
    assert fire is not None
    assert fire.orientation == Orientation(flip_horizontal=True, flip_vertical=True)
    assert fire.time_base == Fraction(1, 90_000)
    assert tiny is not None
    assert (tiny.width, tiny.height, tiny.bit_depth) == (1, 1, 8)
    assert clear is not None
    assert clear.alpha
    assert not films["bitmap.mp4"].audio_tracks
    assert films["no_duration.webm"].duration is None
    assert films["chaplin.mp4"].duration == Fraction(964, 100)
    assert [(s.rate, s.channels) for s in films["fire2.mp4"].audio_tracks] == [(48_000, 1)]


@pytest.mark.parametrize("tag", ["0:0:1e999999999", "0:0:1/0", "a:b:c", "9999999:0:0", "-1:0:0"])
def test_an_end_that_is_no_time_is_not_stated(tag: str, tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", make_times(5, 25))
    data = path.read_bytes()
    stated = re.search(rb"00:00:00\.\d{9}", data)
    assert stated is not None
    assert probe(path).video.duration == Fraction(1, 5)
    path.write_bytes(data[: stated.start()] + tag.encode().ljust(18, b"\0") + data[stated.end() :])
    assert probe(path).video.duration is None


def make_missing(path: Path) -> None:
    pass


def make_folder(path: Path) -> None:
    path.mkdir()


def make_empty(path: Path) -> None:
    path.touch()


def make_text(path: Path) -> None:
    path.write_text("It was a dark and stormy night.\n" * 200)


def make_cut_header(path: Path) -> None:
    whole = write_film(path.with_name("whole.mp4"), make_times(10, 25), sound=make_bursts(0.4))
    path.write_bytes(whole.read_bytes()[: whole.read_bytes().find(b"moov") + 40])


def make_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(50_000))


def make_header_only(path: Path) -> None:
    """An index in front, and nothing of what it lists."""
    whole = write_film(path.with_name("whole.mkv"), make_times(10, 25))
    path.write_bytes(whole.read_bytes()[:500])


def make_playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://localhost:9/x.ts\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(
    "make",
    [
        make_missing,
        make_folder,
        make_empty,
        make_text,
        make_cut_header,
        make_noise,
        make_header_only,
        make_playlist,
    ],
)
def test_a_bad_input_is_one_clear_line(make, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "film.mp4"
    make(path)
    with pytest.raises(UserError) as failure:
        probe(path)
    line = str(failure.value)
    assert str(path) in line
    assert "\n" not in line
    assert capfd.readouterr() == ("", "")


def test_an_odd_name_is_only_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "a folder, with: colons"
    folder.mkdir()
    path = write_film(folder / "-http:x 'y' %03d.mp4", make_times(3, 25))
    assert probe(path).video is not None


def test_a_single_picture_is_no_film(data: Path) -> None:
    with pytest.raises(UserError, match="mmdream image"):
        probe(data / "photos" / "cat.jpg")


def test_a_sound_is_a_film_without_picture(data: Path) -> None:
    voice = probe(data / "sounds" / "voice.ogg")
    assert voice.video is None
    assert voice.audio_tracks[0].rate == 16_000
    with pytest.raises(UserError, match="no picture"):
        next(video_reader.read_frames(voice))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied_to_the_pixels(degrees: int, tmp_path: Path) -> None:
    flat = write_film(tmp_path / "flat.mp4", make_times(3, 25), options={"crf": "1"})
    turned = write_film(tmp_path / "turned.mp4", make_times(3, 25), options={"crf": "1"}, rotate=degrees)
    upright = next(video_reader.read_frames(probe(flat))).rgb
    shown = probe(turned)
    rgb = next(video_reader.read_frames(shown)).rgb
    assert shown.video is not None
    assert rgb.shape == (shown.video.height, shown.video.width, 3)
    # The maker turns counter-clockwise, as numpy does.
    np.testing.assert_array_equal(rgb, np.rot90(upright, degrees // 90))


@pytest.mark.parametrize(
    ("late_picture", "late_sound"), [(Fraction(0), Fraction(1, 2)), (Fraction(1, 2), Fraction(0))]
)
def test_what_starts_late_stays_late(late_picture: Fraction, late_sound: Fraction, tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "film.mkv",
        make_times(10, 25, late_picture),
        sound=make_bursts(0.5),
        sound_at=late_sound,
        sound_codec="pcm_s16le",
        time_base=Fraction(1, 1000),
    )
    found = probe(path)
    assert found.start == 0
    assert found.audio_tracks[0].start == late_sound
    assert next(video_reader.read_frames(found)).seconds == late_picture
