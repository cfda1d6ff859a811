from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_copy import Copy, copy_film, decode_samples, read_frame_times
from make import TICKS, add_extra_streams, make_bursts, make_times, make_uneven_times, write_film

from mmdream.media import mux, video_reader
from mmdream.media.probe import probe
from mmdream.media.video_writer import VideoWriter

MS = Fraction(1, 1000)
NTSC = Fraction(30_000, 1001)
FILM = Fraction(24_000, 1001)


def measure_lag(a: tuple[Fraction, np.ndarray], b: tuple[Fraction, np.ndarray], rate: int) -> float:
    """Seconds by which sound b plays later than sound a, each (start, samples)."""
    n = 2 * max(x.shape[1] + round(s * rate) for s, x in (a, b))
    spectra = []
    for start, samples in (a, b):
        line = np.zeros(n)
        first = round(start * rate)
        line[first : first + samples.shape[1]] = samples[0]
        spectra.append(np.fft.rfft(line))
    peak = int(np.argmax(np.fft.irfft(spectra[1] * np.conj(spectra[0]))))
    return (peak if peak < n // 2 else peak - n) / rate


def assert_same(copy: Copy, suffix: str, folder: Path, start: Fraction = Fraction(0)) -> None:
    """Counts, stamps, samples and positions of a result are the source's."""
    expected = [second - start for second in copy.seconds]
    got = read_frame_times(copy.result)
    assert len(got) == len(expected)
    tick = 0 if suffix in {".mp4", ".mov"} else MS
    assert max(abs(a - b) for a, b in zip(got, expected, strict=True)) <= tick
    if copy.sound is None:
        assert not copy.result.audio_tracks
        return
    at, samples = decode_samples(copy.result, folder)
    rate = copy.source.audio_tracks[0].rate
    assert samples.shape[0] == copy.sound.shape[0]
    if suffix == ".mkv":
        np.testing.assert_array_equal(samples, copy.sound)
        assert abs(at - (copy.sound_start - start)) <= MS
    elif suffix in {".mp4", ".mov"}:
        assert abs(samples.shape[1] - copy.sound.shape[1]) <= 1024
    if samples.shape[1] and copy.result.audio_tracks[0].rate == rate:
        assert abs(measure_lag((copy.sound_start - start, copy.sound), (at, samples), rate)) <= 0.0005


CLOCKS = {
    "variable": {"times": make_uneven_times(40)},
    "ntsc": {"times": make_times(40, NTSC), "time_base": 1 / Fraction(30_000)},
    "film": {"times": make_times(36, FILM), "time_base": 1 / Fraction(24_000)},
    "late picture": {"times": make_times(30, 25, Fraction(7, 60))},
    "late sound": {"times": make_times(30, 25), "sound_at": Fraction(3, 10)},
    "B-frames": {"times": make_times(40, 25), "options": {"bf": "3", "b-adapt": "0"}},
    "odd": {"times": make_times(20, 25), "size": (63, 47), "pixels": "yuv444p"},
    "5.1": {"times": make_times(30, 25), "sound": make_bursts(1.3, channels=6), "layout": "5.1"},
    "silent": {"times": make_times(20, 25), "sound": None},
    "low rate": {"times": make_times(30, 25), "sound": make_bursts(1.3, rate=22_050), "rate": 22_050},
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("clock", CLOCKS)
def test_a_copy_has_the_frames_stamps_and_samples_of_its_source(
    clock: str, suffix: str, tmp_path: Path
) -> None:
    made = {"sound": make_bursts(1.3), **CLOCKS[clock]}
    path = write_film(tmp_path / "film.mp4", **made)
    copy = copy_film(path, suffix, tmp_path)
    if clock == "late picture":
        assert copy.seconds[0] == Fraction(7, 60)
    assert_same(copy, suffix, tmp_path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_last_frame_lasts_as_long_as_in_the_source(suffix: str, tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", make_uneven_times(30), sound=None)
    copy = copy_film(path, suffix, tmp_path)
    assert copy.source.video is not None
    assert copy.source.video.duration is not None
    assert copy.result.duration is not None
    assert abs(copy.result.duration - copy.source.video.duration) <= MS


def test_an_excerpt_begins_at_zero_and_keeps_its_sync(tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "film.mkv",
        make_times(75, 25),
        sound=make_bursts(3),
        sound_codec="pcm_s16le",
        time_base=MS,
    )
    start, end = Fraction(11, 10), Fraction(23, 10)
    for suffix in (".mp4", ".mkv"):
        copy = copy_film(path, suffix, tmp_path, start, end)
        assert all(start <= second < end for second in copy.seconds)
        assert len(copy.read) == 30
        assert copy.sound is not None
        assert abs(copy.sound.shape[1] - 57_600) <= 1
        assert_same(copy, suffix, tmp_path, start)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_everything_else_survives(suffix: str, tmp_path: Path) -> None:
    plain = write_film(tmp_path / "plain.mp4", make_times(75, 25), sound=make_bursts(3))
    second = make_bursts(3, seed=9)
    path = add_extra_streams(plain, tmp_path / "rich.mkv", tmp_path, second)
    for start, end in ((None, None), (Fraction(1), Fraction(5, 2))):
        copy = copy_film(path, suffix, tmp_path, start, end)
        result = copy.result
        assert [sound.language for sound in result.audio_tracks] == ["eng", "fra"]
        assert [text.language for text in result.subtitles] == ["deu"]
        with av.open(str(result.path)) as container:
            assert container.metadata["title"] == "A film"
            chapters = [(c["start"] * c["time_base"], c["metadata"]["title"]) for c in container.chapters()]
            texts = [
                (float(packet.pts * packet.time_base), bytes(packet))
                for packet in container.demux(container.streams.subtitles[0])
                if packet.pts is not None and b"words" in bytes(packet)
            ]
        origin = start or 0
        assert [title for _, title in chapters] == ["one", "two"]
        assert float(chapters[1][0]) == pytest.approx(1.2 - origin, abs=0.002)
        expected = [0.5, 1.5] if start is None else [1.5 - origin]
        assert [at for at, _ in texts] == pytest.approx([float(at) for at in expected], abs=0.002)
        track = decode_samples(result, tmp_path, 1)
        kept = second[:, round(float(origin) * 48_000) :]
        assert abs(measure_lag((Fraction(0), kept), track, 48_000)) <= 0.0015


def test_an_mp4_begins_with_its_index(tmp_path: Path) -> None:
    copy = copy_film(
        write_film(tmp_path / "film.mp4", make_times(20, 25), sound=make_bursts(1)), ".mp4", tmp_path
    )
    data = copy.result.path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_kept_picture_is_the_source_s_packets(suffix: str, tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "film.mp4", make_uneven_times(30), sound=make_bursts(1.3), rotate=90, options={"bf": "2"}
    )
    copy = copy_film(path, suffix, tmp_path, keep_picture=True)
    assert not copy.warnings
    assert_same(copy, suffix, tmp_path)
    for a, b in zip(
        video_reader.read_frames(copy.source), video_reader.read_frames(copy.result), strict=True
    ):
        np.testing.assert_array_equal(a.rgb, b.rgb)


def test_a_kept_picture_that_the_container_refuses_is_encoded_anew(data: Path, tmp_path: Path) -> None:
    path = data / "films" / "transparent.webm"
    short = copy_film(path, ".webm", tmp_path, end=Fraction(1, 2)).result.path.rename(tmp_path / "short.webm")
    copy = copy_film(short, ".mov", tmp_path, keep_picture=True)
    assert any("encoded anew" in line for line in copy.warnings)
    assert_same(copy, ".mov", tmp_path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_kept_sound_is_copied_or_converted(suffix: str, tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "film.mp4", make_times(30, 25), sound=make_bursts(1.3), sound_at=Fraction(1, 5)
    )
    source = probe(path)
    copy = copy_film(path, suffix, tmp_path, keep_sound=True)
    assert any("encoded anew" in line for line in copy.warnings) == (suffix == ".webm")
    assert (
        abs(measure_lag(decode_samples(source, tmp_path), decode_samples(copy.result, tmp_path), 48_000))
        <= 0.001
    )


def test_the_pixel_s_shape_is_kept(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", make_times(5, 25), sar=Fraction(4, 3), rotate=90)
    for suffix in (".mp4", ".mkv", ".webm"):
        copy = copy_film(path, suffix, tmp_path)
        assert copy.source.video is not None
        assert copy.result.video is not None
        assert (copy.source.video.width, copy.source.video.height) == (48, 64)
        assert copy.source.video.sar == copy.result.video.sar == Fraction(3, 4)


def test_a_clock_that_began_elsewhere_begins_at_zero(tmp_path: Path) -> None:
    first = Fraction(3)
    path = write_film(
        tmp_path / "film.ts", make_times(30, 25, first + MS * 40), sound=make_bursts(1.3), sound_at=first
    )
    source = probe(path)
    assert source.start > 2.9  # The precondition: both begin late.
    copy = copy_film(path, ".mp4", tmp_path)
    assert copy.seconds[0] < Fraction(1, 10)
    assert_same(copy, ".mp4", tmp_path)


def test_a_failure_of_ffmpeg_is_one_line(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", make_times(5, 25))
    source = probe(path)
    assert source.video is not None
    with VideoWriter(tmp_path / "picture", source.video, ".mp4", TICKS) as writer:
        for frame in video_reader.read_frames(source):
            writer.write(frame.rgb, frame.pts)
    with pytest.raises(RuntimeError) as failure:
        mux.mux_video(
            source,
            tmp_path / "picture",
            None,
            tmp_path / "no such folder" / "out.mp4",
            on_warning=lambda _line: None,
        )
    assert "\n" not in str(failure.value)
    assert "No such file" in str(failure.value)


@pytest.mark.parametrize(
    "name", ["chaplin.mp4", "fire2.mp4", "no_duration.webm", "sintel_854x480.mp4", "bitmap.mp4"]
)
def test_real_films(name: str, data: Path, tmp_path: Path) -> None:
    ends = {"chaplin.mp4": Fraction(2), "fire2.mp4": Fraction(1)}
    copy = copy_film(data / "films" / name, ".mkv", tmp_path, None, ends.get(name))
    assert_same(copy, ".mkv", tmp_path)
    for a, b in zip(copy.read, video_reader.read_frames(copy.result), strict=True):
        assert np.abs(a.rgb - b.rgb).max() < 1e-6  # Lossless.
