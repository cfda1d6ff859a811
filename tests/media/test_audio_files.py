from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from make import make_bursts, make_times, write_film

from mmdream.core.errors import UserError
from mmdream.media import audio_files
from mmdream.media.probe import probe

MS = Fraction(1, 1000)


def extract_samples(path: Path, folder: Path, start: Fraction | None = None, end: Fraction | None = None):
    """What `extract_audio` returns, and the samples that it writes."""
    source = probe(path)
    found = audio_files.extract_audio(source, source.audio_tracks[0], folder / "laid.wav", start, end)
    samples, rate = soundfile.read(folder / "laid.wav", dtype="float32", always_2d=True)
    assert rate == source.audio_tracks[0].rate
    assert len(samples) == found.n_samples
    return found, samples.T


@pytest.mark.parametrize(
    ("channels", "layout", "rate"),
    [(1, "mono", 8000), (2, "stereo", 44_100), (6, "5.1", 48_000), (3, "3.0", 96_000), (8, "7.1", 48_000)],
)
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "flac", "pcm_s24le"])
def test_lossless_tracks_come_out_whole(
    channels: int, layout: str, rate: int, codec: str, tmp_path: Path
) -> None:
    sound = make_bursts(1.27, rate, channels)
    path = write_film(
        tmp_path / "film.mkv",
        make_times(5, 25),
        sound=sound,
        rate=rate,
        layout=layout,
        sound_codec=codec,
    )
    found, samples = extract_samples(path, tmp_path)
    assert found.start == 0
    step = {"pcm_s16le": 2**-15, "flac": 2**-15, "pcm_s24le": 2**-23}.get(codec, 0)
    assert samples.shape == sound.shape
    np.testing.assert_allclose(samples, sound, atol=step * 1.01)


def test_a_stream_that_comes_on_the_way_ends_nothing(tmp_path: Path) -> None:
    found, samples = extract_samples(Path(__file__).parent / "hostile" / "late.ogg", tmp_path)
    assert samples.shape == (2, found.n_samples)
    assert found.n_samples > 10_000


def test_a_stamp_that_claims_years_of_silence_is_not_believed(tmp_path: Path) -> None:
    sound = make_bursts(0.5, 8000)
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("pcm_f32le", rate=8000, layout="mono")
        for first, at in ((0, 0), (2000, 2000 + 8000 * 10), (3000, 8000 * 10**7)):
            block = sound[:, first : 2000 if not first else first + 1000]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, at, Fraction(1, 8000)
            out.mux(stream.encode(frame))
    _, samples = extract_samples(tmp_path / "a.mkv", tmp_path)
    silence = np.zeros((1, 8000 * 10), np.float32)
    np.testing.assert_array_equal(samples, np.hstack([sound[:, :2000], silence, sound[:, 2000:]]))


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "alac", "libopus"])
def test_an_mp4_track_is_as_long_as_its_edit_list_says(codec: str, tmp_path: Path) -> None:
    sound = make_bursts(1.3, channels=2)
    path = write_film(
        tmp_path / "film.mp4", make_times(5, 25), sound=sound, layout="stereo", sound_codec=codec
    )
    _, samples = extract_samples(path, tmp_path)
    with av.open(str(path)) as container:
        decoded = sum(frame.samples for frame in container.decode(audio=0))
    assert samples.shape[1] == sound.shape[1]
    assert decoded >= samples.shape[1]
    if codec == "aac":
        assert decoded > samples.shape[1]  # The precondition: the decoder gives padding too.


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus"])
def test_a_burst_lies_at_its_sample(codec: str, tmp_path: Path) -> None:
    sound = make_bursts(3)
    path = write_film(tmp_path / "film.mkv", make_times(5, 25), sound=sound, sound_codec=codec, time_base=MS)
    found, samples = extract_samples(path, tmp_path)
    first = round(found.start * 48_000)
    n = 160_000
    line = np.zeros(n)
    line[max(first, 0) : max(first, 0) + samples.shape[1]] = samples[0, max(-first, 0) :]
    true = np.zeros(n)
    true[: sound.shape[1]] = sound[0]
    lag = int(np.argmax(np.fft.irfft(np.fft.rfft(line) * np.conj(np.fft.rfft(true)))))
    assert min(lag, n - lag) <= 48  # Matroska's clock of 1 ms.


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_an_excerpt_is_that_part_of_the_whole(codec: str, tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "film.mp4",
        make_times(5, 25),
        sound=make_bursts(6),
        sound_codec="alac" if codec != "aac" else codec,
    )
    _, whole = extract_samples(path, tmp_path)
    for start, end in (
        (Fraction(9, 2), Fraction(5)),
        (Fraction(1, 7), None),
        (None, Fraction(1)),
        (Fraction(5), Fraction(60)),
    ):
        found, part = extract_samples(path, tmp_path, start, end)
        first = -(-(start or 0) * 48_000 // 1)
        assert found.start == Fraction(first, 48_000) >= (start or 0)
        stop = whole.shape[1] if end is None else min(whole.shape[1], round(end * 48_000))
        np.testing.assert_array_equal(part, whole[:, first:stop])


def test_an_excerpt_behind_the_sound_is_empty(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", make_times(100, 25), sound=make_bursts(1))
    found, part = extract_samples(path, tmp_path, Fraction(3), Fraction(4))
    assert found.n_samples == 0
    assert part.shape == (1, 0)


def test_a_gap_becomes_silence(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    sound = make_bursts(2)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for at in range(0, 96_000, 960):
            if 24_000 <= at < 48_000:
                continue
            block = np.ascontiguousarray((sound[:, at : at + 960] * 32767).astype(np.int16))
            frame = av.AudioFrame.from_ndarray(block, "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    _, samples = extract_samples(path, tmp_path)
    assert samples.shape == (1, 96_000)
    assert not samples[:, 24_000:48_000].any()
    np.testing.assert_allclose(samples[:, 48_000:], sound[:, 48_000:], atol=1e-4)


def test_a_broken_packet_leaves_the_rest_in_place(tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "film.mkv", make_times(5, 25), sound=make_bursts(3), sound_codec="flac", time_base=MS
    )
    _, whole = extract_samples(path, tmp_path)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(container.streams.audio[0]) if p.size]
    place, size = packets[len(packets) // 3]
    data = bytearray(path.read_bytes())
    data[place + 8 : place + 8 + size // 2] = b"\x5a" * (size // 2)
    path.write_bytes(data)
    _, broken = extract_samples(path, tmp_path)
    assert abs(broken.shape[1] - whole.shape[1]) <= 96
    shift = whole.shape[1] - broken.shape[1]
    np.testing.assert_array_equal(broken[:, -48_000:], whole[:, -48_000:])
    assert abs(shift) <= 96


def test_real_tracks(data: Path, tmp_path: Path) -> None:
    counts = {
        "chaplin.mp4": 423_977,
        "fire2.mp4": 108_542,
        "no_duration.webm": 233_280,
        "sintel_854x480.mp4": 88_729,
    }
    for name, count in counts.items():
        assert extract_samples(data / "films" / name, tmp_path)[0].n_samples == count
    for path in sorted((data / "sounds").glob("*.ogg")):
        reference, _ = soundfile.read(path, always_2d=True)
        _, samples = extract_samples(path, tmp_path)
        assert samples.shape == reference.T.shape
        assert np.abs(samples - reference.T).max() < 1e-3  # Two decoders of one Vorbis stream.


def test_wave_files_grow_block_by_block(tmp_path: Path) -> None:
    sound = make_bursts(2, channels=2)
    with audio_files.WaveWriter(tmp_path / "wave.wav", 48_000, 2) as out:
        for at in range(0, sound.shape[1], 7001):
            out.write(sound[:, at : at + 7001])
        assert out.n_samples == sound.shape[1]
    back, rate = soundfile.read(tmp_path / "wave.wav", dtype="float32")
    assert rate == 48_000
    np.testing.assert_array_equal(back.T, sound)


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "3.0", "4.0", "5.1", "5.1(side)", "7.1"])
def test_a_wave_file_tells_where_its_channels_stand(layout: str, tmp_path: Path) -> None:
    channels = av.AudioLayout(layout).nb_channels
    with audio_files.WaveWriter(tmp_path / "wave.wav", 8000, channels, layout) as out:
        out.write(make_bursts(0.1, 8000, channels))
    assert probe(tmp_path / "wave.wav").audio_tracks[0].layout == layout
    assert soundfile.read(tmp_path / "wave.wav", always_2d=True)[0].shape == (800, channels)


def test_more_planes_than_eight_are_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", make_bursts(0.5, 48_000, 16).T, 48_000, subtype="PCM_16")
    _, samples = extract_samples(tmp_path / "in.wav", tmp_path)
    np.testing.assert_allclose(samples, make_bursts(0.5, 48_000, 16), atol=2**-15 * 1.01)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # Not on Windows.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        with audio_files.WaveWriter(tmp_path / "wave.wav", 48_000, 1) as out:
            for _ in range(20):
                out.write(make_bursts(1))

    # A file that may not grow fails as one on a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(UserError, match="no space left"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
