from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from make import bursts, constant, film

from mmdream.errors import UserError
from mmdream.film import waves
from mmdream.film.audio import SUFFIXES, save
from mmdream.film.source import probe

MS = Fraction(1, 1000)


def laid(path: Path, folder: Path, start: Fraction | None = None, end: Fraction | None = None):
    """What `extract` lays down: its account, and the samples."""
    source = probe(path)
    found = waves.extract(source, source.sounds[0], folder / "laid.wav", start, end)
    with waves.WaveFile(folder / "laid.wav") as wave:
        assert wave.n_samples == found.n_samples
        return found, wave.read(0, wave.n_samples)


@pytest.mark.parametrize(
    ("channels", "layout", "rate"),
    [(1, "mono", 8000), (2, "stereo", 44_100), (6, "5.1", 48_000), (3, "3.0", 96_000)],
)
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "flac", "pcm_s24le"])
def test_lossless_tracks_come_out_whole(
    channels: int, layout: str, rate: int, codec: str, tmp_path: Path
) -> None:
    sound = bursts(1.27, rate, channels)
    path = film(
        tmp_path / "film.mkv",
        constant(5, 25),
        sound=sound,
        rate=rate,
        layout=layout,
        sound_codec=codec,
    )
    found, samples = laid(path, tmp_path)
    assert found.start == 0
    step = {"pcm_s16le": 2**-15, "flac": 2**-15, "pcm_s24le": 2**-23}.get(codec, 0)
    assert samples.shape == sound.shape
    np.testing.assert_allclose(samples, sound, atol=step * 1.01)


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "alac", "libopus"])
def test_an_mp4_track_is_as_long_as_its_edit_list_says(codec: str, tmp_path: Path) -> None:
    sound = bursts(1.3, channels=2)
    path = film(tmp_path / "film.mp4", constant(5, 25), sound=sound, layout="stereo", sound_codec=codec)
    _, samples = laid(path, tmp_path)
    with av.open(str(path)) as container:
        decoded = sum(frame.samples for frame in container.decode(audio=0))
    assert samples.shape[1] == sound.shape[1]
    assert decoded >= samples.shape[1]
    if codec == "aac":
        assert decoded > samples.shape[1]  # The precondition: the decoder gives padding too.


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus"])
def test_a_burst_lies_at_its_sample(codec: str, tmp_path: Path) -> None:
    sound = bursts(3)
    path = film(tmp_path / "film.mkv", constant(5, 25), sound=sound, sound_codec=codec, time_base=MS)
    found, samples = laid(path, tmp_path)
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
    path = film(
        tmp_path / "film.mp4",
        constant(5, 25),
        sound=bursts(6),
        sound_codec="alac" if codec != "aac" else codec,
    )
    _, whole = laid(path, tmp_path)
    for start, end in (
        (Fraction(9, 2), Fraction(5)),
        (Fraction(1, 7), None),
        (None, Fraction(1)),
        (Fraction(5), Fraction(60)),
    ):
        found, part = laid(path, tmp_path, start, end)
        first = -(-(start or 0) * 48_000 // 1)
        assert found.start == Fraction(first, 48_000) >= (start or 0)
        stop = whole.shape[1] if end is None else min(whole.shape[1], round(end * 48_000))
        np.testing.assert_array_equal(part, whole[:, first:stop])


def test_an_excerpt_behind_the_sound_is_empty(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", constant(100, 25), sound=bursts(1))
    found, part = laid(path, tmp_path, Fraction(3), Fraction(4))
    assert found.n_samples == 0
    assert part.shape == (1, 0)


def test_a_gap_becomes_silence(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    sound = bursts(2)
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
    _, samples = laid(path, tmp_path)
    assert samples.shape == (1, 96_000)
    assert not samples[:, 24_000:48_000].any()
    np.testing.assert_allclose(samples[:, 48_000:], sound[:, 48_000:], atol=1e-4)


def test_a_broken_packet_leaves_the_rest_in_place(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", constant(5, 25), sound=bursts(3), sound_codec="flac", time_base=MS)
    _, whole = laid(path, tmp_path)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(container.streams.audio[0]) if p.size]
    place, size = packets[len(packets) // 3]
    data = bytearray(path.read_bytes())
    data[place + 8 : place + 8 + size // 2] = b"\x5a" * (size // 2)
    path.write_bytes(data)
    _, broken = laid(path, tmp_path)
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
        assert laid(data / "films" / name, tmp_path)[0].n_samples == count
    for path in sorted((data / "sounds").glob("*.ogg")):
        reference, _ = soundfile.read(path, always_2d=True)
        _, samples = laid(path, tmp_path)
        assert samples.shape == reference.T.shape
        assert np.abs(samples - reference.T).max() < 1e-3  # Two decoders of one Vorbis stream.


def test_wave_files_are_read_anywhere(tmp_path: Path) -> None:
    sound = bursts(2, channels=2)
    with waves.create(tmp_path / "wave.wav", 48_000, 2) as out:
        for at in range(0, sound.shape[1], 7001):
            out.write(sound[:, at : at + 7001])
        assert out.n_samples == sound.shape[1]
    with waves.WaveFile(tmp_path / "wave.wav") as wave:
        assert (wave.rate, wave.channels, wave.n_samples) == (48_000, 2, 96_000)
        for start, stop in ((0, 0), (50_000, 96_000), (3, 4), (0, 96_000)):
            part = wave.read(start, stop)
            assert part.dtype == np.float32
            np.testing.assert_array_equal(part, sound[:, start:stop])
        with pytest.raises(ValueError, match="samples"):
            wave.read(0, 96_001)
        np.testing.assert_array_equal(np.concatenate(list(wave.blocks()), axis=1), sound)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1)])
def test_results_are_saved_by_their_suffix(suffix: str, rate: int, channels: int, tmp_path: Path) -> None:
    sound = bursts(2, rate, channels)
    with waves.create(tmp_path / "wave.wav", rate, channels) as out:
        out.write(sound)
    path = tmp_path / f"result{suffix}"
    save(tmp_path / "wave.wav", path)
    with waves.read_audio(path, tmp_path / "back.wav") as back:
        assert (back.rate, back.channels) == (rate, channels)
        assert abs(back.n_samples - sound.shape[1]) <= {".m4a": 1024, ".mp3": 1152}.get(suffix, 0)
        n = min(back.n_samples, sound.shape[1])
        samples = back.read(0, n)
    if suffix in {".wav", ".flac"}:
        np.testing.assert_allclose(samples, sound[:, :n], atol=0 if suffix == ".wav" else 2**-22)
        return
    # White noise is what these kinds keep worst; that it is in place shows.
    spectra = np.fft.rfft(samples[0]), np.conj(np.fft.rfft(sound[0, :n]))
    match = np.fft.irfft(spectra[0] * spectra[1], n)
    assert np.argmax(match) == 0
    assert match[0] / np.linalg.norm(samples[0]) / np.linalg.norm(sound[0, :n]) > 0.6


def test_a_sound_that_a_file_cannot_hold_is_one_line(tmp_path: Path) -> None:
    with waves.create(tmp_path / "wave.wav", 48_000, 6) as out:
        out.write(bursts(0.2, channels=6))
    with pytest.raises(UserError, match="mp3"):
        save(tmp_path / "wave.wav", tmp_path / "result.mp3")
    with pytest.raises(UserError, match=r"\.wav, \.flac"):
        save(tmp_path / "wave.wav", tmp_path / "result.xyz")


def test_a_film_without_sound_is_no_sound(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sound"):
        waves.read_audio(data / "films" / "bitmap.mp4", tmp_path / "wave.wav")


def test_a_full_disk_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    with (
        pytest.raises(UserError, match="no space left"),
        waves.WaveWriter(Path("/dev/full"), 48_000, 1, "RAW") as out,
    ):
        for _ in range(100):
            out.write(bursts(1))
