"""Sound files of every kind at the command line: right, or one clear line and nothing left behind."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from make import make_times, write_film

from mmdream.cli import app
from mmdream.media import audio_files, formats
from mmdream.media.probe import probe

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """(words of `mmdream audio`) -> exit status and what it said on stderr, run in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str]:
        argv = ["mmdream", "audio", *map(str, words), "--steps", "1", "--octaves", "1"]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            app.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


def make_tones(channels: int = 1, rate: int = 44_100, seconds: float = 0.6) -> np.ndarray:
    """A sine of its own in each channel, 100 Hz apart, float32 [sample, channel]."""
    at = np.arange(round(rate * seconds)) / rate
    noise = 0.003 * np.random.default_rng(channels).standard_normal((len(at), channels))
    hz = 200 + 100 * np.arange(channels)
    return (0.1 * np.sin(2 * np.pi * hz * at[:, None]) + noise).astype(np.float32)


def write_wav(name: str, samples: np.ndarray, rate: int = 44_100, subtype: str = "FLOAT") -> None:
    soundfile.write(name, samples, rate, subtype=subtype)


def write_compressed(name: str, codec: str, samples: np.ndarray, layout: str, rate: int = 44_100) -> None:
    with av.open(name, "w") as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        block = np.ascontiguousarray(samples.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(block, "flt", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def cut_in_half(whole: str, name: str) -> None:
    data = Path(whole).read_bytes()
    Path(name).write_bytes(data[: len(data) // 2])
    Path(whole).unlink()


def write_false_length(name: str, size: int) -> None:
    """A wave file whose header tells of so many bytes of samples."""
    write_wav(name, make_tones(), subtype="PCM_16")
    data = bytearray(Path(name).read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    Path(name).write_bytes(data)


def read_back(name: str, folder: Path) -> tuple[np.ndarray, int, str]:
    """A result as mmdream itself reads it, float32 [channel, sample]; its rate; its layout."""
    source = probe(Path(name))
    (sound,) = source.audio_tracks
    audio_files.extract_audio(source, sound, folder / "back.wav")
    samples, rate = soundfile.read(folder / "back.wav", dtype="float32", always_2d=True)
    (folder / "back.wav").unlink()
    return samples.T, rate, sound.layout


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_picture(name: str, suffix: str) -> None:
    cv2.imwrite(f"a{suffix}", np.full((40, 60, 3), 90, np.uint8))
    Path(f"a{suffix}").rename(name)


REFUSED: dict[str, tuple[Callable[[str], object], str]] = {
    "missing.wav": (lambda name: None, "no such file"),
    "n" * 300 + ".wav": (lambda name: None, "no such file"),
    "folder.wav": (lambda name: Path(name).mkdir(), "is a folder"),
    "empty.wav": (lambda name: Path(name).touch(), "is empty"),
    "zero.wav": (lambda name: write_wav(name, make_tones()[:0]), "has no samples"),
    "header.wav": (lambda name: Path(name).write_bytes(b"RIFF\x24\0\0\0WAVEfmt "), "cannot be read"),
    "text.mp3": (lambda name: Path(name).write_text("It was a dark night.\n" * 200), "cannot be read"),
    "text.wav": (lambda name: Path(name).write_text("It was a dark night.\n" * 200), "cannot be read"),
    "zeros.wav": (lambda name: Path(name).write_bytes(bytes(50_000)), "cannot be read"),
    "list.wav": (lambda name: Path(name).write_text("#EXTM3U\n#EXTINF:9,\na.wav\n"), "cannot be read"),
    "png.wav": (lambda name: write_picture(name, ".png"), "single picture"),
    "jpeg.wav": (lambda name: write_picture(name, ".jpg"), "single picture"),
    "mute.mp4": (lambda name: write_film(Path(name), make_times(5, 25)), "has no sound"),
    "nan.wav": (lambda name: write_wav(name, np.where(np.arange(900) == 777, np.nan, 0.1)), "sample 777 "),
    "inf.wav": (
        lambda name: write_wav(name, np.where(np.arange(900) == 5, -np.inf, 0.1)),
        "not a finite number",
    ),
    "loud.wav": (lambda name: write_wav(name, make_tones() * 1e30), "times full scale"),
    "many.wav": (
        lambda name: write_wav(name, make_tones(65), subtype="PCM_16"),
        "65 channels has more than 64",
    ),
}


@pytest.mark.parametrize("name", REFUSED, ids=lambda name: name[-12:])
def test_what_is_no_sound_is_refused_in_one_line(name: str, call: Call, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    make(name)
    before = list_files(tmp_path)
    status, said = call(name, "-o", "out.wav")
    assert status == 2
    assert message in said
    assert said.startswith("mmdream: error: ")
    assert said.count("\n") == 1
    assert list_files(tmp_path) == before


KEPT: dict[str, tuple[Callable[[str], object], tuple[int, int, int]]] = {
    "one.wav": (lambda name: write_wav(name, make_tones()[:1]), (1, 1, 44_100)),
    "two.wav": (lambda name: write_wav(name, make_tones(2)[:2]), (2, 2, 44_100)),
    "8k.wav": (lambda name: write_wav(name, make_tones(1, 8000), 8000), (1, 4800, 8000)),
    "192k.wav": (lambda name: write_wav(name, make_tones(2, 192_000), 192_000), (2, 115_200, 192_000)),
    "odd rate.wav": (lambda name: write_wav(name, make_tones(1, 11_111), 11_111), (1, 6667, 11_111)),
    "24 bit.wav": (lambda name: write_wav(name, make_tones(2), subtype="PCM_24"), (2, 26_460, 44_100)),
    "8 bit.wav": (lambda name: write_wav(name, make_tones(2), subtype="PCM_U8"), (2, 26_460, 44_100)),
    "double.wav": (lambda name: write_wav(name, make_tones(2), subtype="DOUBLE"), (2, 26_460, 44_100)),
    "9.wav": (lambda name: write_wav(name, make_tones(9)), (9, 26_460, 44_100)),
    "64.wav": (lambda name: write_wav(name, make_tones(64)[:9000], subtype="PCM_24"), (64, 9000, 44_100)),
    "silent.wav": (lambda name: write_wav(name, 0 * make_tones(2)), (2, 26_460, 44_100)),
    "constant.wav": (lambda name: write_wav(name, 0 * make_tones(2) + 0.5), (2, 26_460, 44_100)),
    "claims more.wav": (lambda name: write_false_length(name, 5_000_000), (1, 26_460, 44_100)),
    "streamed.wav": (lambda name: write_false_length(name, 0xFFFFFFFF), (1, 26_460, 44_100)),
    "a:b %03d $(x).wav": (lambda name: write_wav(name, make_tones()), (1, 26_460, 44_100)),
}


@pytest.mark.parametrize("name", KEPT)
def test_odd_sounds_keep_samples_channels_and_rate(name: str, call: Call, tmp_path: Path) -> None:
    make, expected = KEPT[name]
    make(name)
    status, said = call(name, "-o", "out.wav")
    assert (status, said) == (0, "")
    samples, rate, _ = read_back("out.wav", tmp_path)
    assert (*samples.shape, rate) == expected
    assert np.isfinite(samples).all()
    assert list_files(tmp_path) == sorted([name, "out.wav"])


@pytest.mark.parametrize(("codec", "suffix"), [("libmp3lame", ".mp3"), ("flac", ".flac")])
def test_a_sound_that_is_cut_off_is_dreamed_as_far_as_it_goes(
    codec: str, suffix: str, call: Call, tmp_path: Path
) -> None:
    samples = make_tones(2, seconds=3).astype(np.float32)
    if codec == "flac":
        soundfile.write("whole.flac", samples, 44_100)
    else:
        write_compressed("whole.mkv", codec, samples, "stereo")
        with av.open("whole.mkv") as source, av.open("whole.mp3", "w") as out:
            stream = out.add_stream_from_template(source.streams[0])
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    cut_in_half(f"whole{suffix}", f"cut{suffix}")
    status, said = call(f"cut{suffix}", "-o", "out.wav")
    assert status == 0
    assert "seems to be cut off; 1." in said
    back, rate, _ = read_back("out.wav", tmp_path)
    assert rate == 44_100
    assert 1.2 * rate < back.shape[1] < 1.8 * rate


@pytest.mark.parametrize("suffix", formats.AUDIO_SUFFIXES)
def test_every_form_keeps_a_sound_of_two_channels(suffix: str, call: Call, tmp_path: Path) -> None:
    # Longer than a second: FFmpeg 9 reads 128 samples too few where an Ogg file has but one page.
    write_wav("in.wav", make_tones(2, 48_000, 1.1), 48_000)
    status, said = call("in.wav", "-o", f"out{suffix}")
    assert (status, said) == (0, "")
    samples, rate, layout = read_back(f"out{suffix}", tmp_path)
    assert (*samples.shape, rate) == (2, 52_800, 48_000)
    assert layout in ("stereo", "2 channels")
    assert find_loudest_frequencies(samples, rate) == [200, 300]


def find_loudest_frequencies(samples: np.ndarray, rate: int) -> list[int]:
    """The loudest frequency of each channel, in hundreds of Hz."""
    spectra = np.abs(np.fft.rfft(samples * np.hanning(samples.shape[1]), axis=1))
    return [100 * round(top * rate / samples.shape[1] / 100) for top in spectra.argmax(axis=1)]


@pytest.mark.parametrize("suffix", [".wav", ".m4a"])
@pytest.mark.parametrize("layout", ["3.0", "5.1(side)", "7.1"])
def test_channels_stay_where_they_are(layout: str, suffix: str, call: Call, tmp_path: Path) -> None:
    channels = av.AudioLayout(layout).nb_channels
    write_compressed("in.mkv", "flac", make_tones(channels, seconds=1.1), layout)
    assert probe(Path("in.mkv")).audio_tracks[0].layout == layout  # The precondition.
    status, said = call("in.mkv", "-o", f"out{suffix}")
    assert (status, said) == (0, "")
    samples, rate, found = read_back(f"out{suffix}", tmp_path)
    assert samples.shape == (channels, 48_510)
    expected = make_tones(channels, seconds=1.1).T
    low = ".1" in layout and suffix in (".ogg", ".m4a")  # They hold only the lowest of the fourth channel.
    for place in range(channels):
        if not (low and place == 3):
            assert (
                find_loudest_frequencies(samples, rate)[place]
                == find_loudest_frequencies(expected, rate)[place]
            )
    if suffix in (".wav", ".flac"):
        assert found == layout


def test_a_form_that_cannot_hold_a_sound_is_refused_before_the_work(call: Call, tmp_path: Path) -> None:
    write_wav("six.wav", make_tones(6))
    write_wav("fast.wav", make_tones(2, 192_000), 192_000)
    write_wav("nine.wav", make_tones(9))
    write_compressed("high.mkv", "pcm_f32le", make_tones(6), "3.1.2")
    before = list_files(tmp_path)
    for words, message in (
        (
            ("six.wav", "-o", "out.mp3"),
            "MP3 holds at most 2 channels, and this sound has 6; write it as .wav, ",
        ),
        (
            ("fast.wav", "-o", "out.mp3"),
            "MP3 does not hold 192000 samples a second; write it as .wav, .flac, ",
        ),
        (("fast.wav", "-o", "out.m4a"), "AAC does not hold 192000 samples a second"),
        (
            ("nine.wav", "-o", "out.flac"),
            "FLAC holds at most 8 channels, and this sound has 9; write it as .wav",
        ),
    ):
        status, said = call(*words)
        assert status == 2
        assert message in said
        assert list_files(tmp_path) == before


def test_one_sample_goes_into_every_form_but_mp3(call: Call, tmp_path: Path) -> None:
    write_wav("one.wav", make_tones()[:1])
    for suffix in (".flac", ".ogg", ".m4a"):
        assert call("one.wav", "-o", f"out{suffix}") == (0, "")
        with av.open(f"out{suffix}") as back:
            stream = back.streams.audio[0]
            assert stream.duration is not None
            assert stream.time_base is not None
            assert stream.duration * stream.time_base == Fraction(1, 44_100)
        Path(f"out{suffix}").unlink()
    status, said = call("one.wav", "-o", "out.mp3", "--plot", "plot.png")
    assert status == 2
    assert "no sound shorter than 47 samples" in said
    assert list_files(tmp_path) == ["one.wav"]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("folder", "is a folder; name a file in it"),
        ("nowhere/x.wav", "no such folder"),
        ("in.wav/x.wav", "is a file, not a folder"),
        ("x.txt", "cannot write .txt"),
        ("x", "without ending"),
        ("in.wav", "is the input itself"),
        ("there.wav", "exists already"),
        ("n" * 250 + ".wav", "too long a name"),
        ("/proc/x.wav", "cannot be written to"),
    ],
    ids=lambda text: text[-20:],
)
def test_a_result_that_can_go_nowhere_is_refused_in_one_line(
    out: str, message: str, call: Call, tmp_path: Path
) -> None:
    if out.startswith("/proc") and not os.access("/proc", os.W_OK):
        message = "no permission"  # Only the superuser may try.
    write_wav("in.wav", make_tones())
    Path("there.wav").write_text("mine")
    Path("folder").mkdir()
    status, said = call("in.wav", "-o", out)
    assert status == 2
    assert message in said
    assert said.count("\n") == 1
    assert list_files(tmp_path) == ["folder", "in.wav", "there.wav"]
    assert Path("there.wav").read_text() == "mine"
