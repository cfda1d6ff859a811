"""Films made for the tests: any clock, size, codec, sound and turn, written packet by packet."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np

TICKS = Fraction(1, 90_000)


def make_picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A smooth coloured frame that tells its number and its orientation: uint8 [row, column, 3]."""
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    phase = number * 0.35
    rgb = [
        0.5 + 0.4 * np.sin(3 * x + phase),
        0.15 + 0.6 * y,
        0.5 + 0.3 * np.cos(2 * x + 2 * y - phase),
    ]
    return np.rint(np.stack(rgb, axis=-1) * 255).astype(np.uint8)


def make_bursts(seconds: float, rate: int = 48_000, channels: int = 1, seed: int = 5) -> np.ndarray:
    """A burst of noise of 80 ms each second, over a soft tone: float32 [channel, sample]."""
    n = round(seconds * rate)
    sound = 0.02 * np.sin(2 * np.pi * 220 * np.arange(n) / rate) * np.ones((channels, 1))
    rng = np.random.default_rng(seed)
    for second in range(int(np.ceil(seconds))):
        at = round((second + 0.4) * rate)
        burst = sound[:, at : at + round(0.08 * rate)]
        burst += 0.3 * rng.uniform(-1, 1, burst.shape)
    return sound.astype(np.float32)


def make_times(n: int, rate: Fraction | int, first: Fraction = Fraction(0)) -> list[Fraction]:
    """Seconds of n frames at a constant rate."""
    return [first + k / Fraction(rate) for k in range(n)]


def make_uneven_times(n: int) -> list[Fraction]:
    """Seconds of n frames at a rate that wanders between 12 and 60 a second, on whole ticks."""
    gaps = [round((1 / 60 + (k * 7 % 11) / 160) / TICKS) for k in range(n)]
    return [sum(gaps[:k]) * TICKS for k in range(n)]


def write_film(
    path: Path,
    times: Sequence[Fraction],
    *,
    sound: np.ndarray | None = None,
    sound_at: Fraction = Fraction(0),
    rate: int = 48_000,
    layout: str = "mono",
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    sound_codec: str = "aac",
    time_base: Fraction = TICKS,
    rotate: int | None = None,
    sar: Fraction = Fraction(1),
    frames: Sequence[np.ndarray | av.VideoFrame] | None = None,
    tags: dict[str, int] | None = None,
) -> Path:
    """Write a film.

    Args:
        path: its suffix chooses the container.
        times: seconds at which each frame is shown.
        sound: float32 [channel, sample]; None: no track.
        sound_at: second at which it begins.
        rate, layout, sound_codec: of the sound.
        size: width, height.
        codec, pixels, options: of the picture.
        time_base: of the picture's stamps.
        rotate: degrees counter-clockwise for a player to turn the picture.
        sar: sample aspect ratio.
        frames: uint8 RGB arrays or frames in the codec's format; None: `picture` of each number.
        tags: colorspace, color_range, color_primaries, color_trc of the codec.
    """
    width, height = size
    ticks = {"movie_timescale": "90000"} if path.suffix in {".mp4", ".mov"} else {}
    with av.open(str(path), "w", container_options=ticks) as out:
        video = out.add_stream(codec, rate=25, options=options or {})
        video.width, video.height, video.pix_fmt = width, height, pixels
        video.codec_context.time_base = video.time_base = time_base
        video.codec_context.sample_aspect_ratio = sar
        for name, value in (tags or {}).items():
            setattr(video.codec_context, name, value)
        if rotate is not None:
            video.set_display_rotation(rotate)
        audio = None
        if sound is not None:
            audio = out.add_stream(sound_codec, rate=rate, layout=layout)
        for number, seconds in enumerate(times):
            shown = make_picture(number, width, height) if frames is None else frames[number]
            frame = shown if isinstance(shown, av.VideoFrame) else av.VideoFrame.from_ndarray(shown, "rgb24")
            frame.pts, frame.time_base = round(seconds / time_base), time_base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            assert sound is not None
            _add_sound(out, audio, sound, rate, layout, round(sound_at * rate))
    return path


def _add_sound(
    out: av.container.OutputContainer,
    stream: av.AudioStream,
    sound: np.ndarray,
    rate: int,
    layout: str,
    first: int,
) -> None:
    for at in range(0, sound.shape[1], 960):
        block = np.ascontiguousarray(sound[:, at : at + 960].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, "flt", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, first + at, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def make_plain_frame(values: tuple[float, float, float], size: tuple[int, int], pixels: str) -> av.VideoFrame:
    """A frame of one colour in YUV numbers, 8 bits."""
    frame = av.VideoFrame(size[0], size[1], pixels)
    for plane, value in zip(frame.planes, values, strict=True):
        plane.update(bytes([round(value)]) * plane.buffer_size)
    return frame


def add_extra_streams(path: Path, out: Path, folder: Path, second: np.ndarray) -> Path:
    """Add subtitles, chapters, tags, and a second sound track in another language."""
    import soundfile

    words = folder / "words.srt"
    words.write_text(
        "1\n00:00:00,500 --> 00:00:01,000\nfirst words\n\n2\n00:00:01,500 --> 00:00:02,000\nsecond words\n"
    )
    notes = folder / "notes.txt"
    notes.write_text(
        ";FFMETADATA1\ntitle=A film\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1200\ntitle=one\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1200\nEND=3000\ntitle=two\n"
    )
    other = folder / "other.wav"
    soundfile.write(other, second.T, 48_000)
    main = ffmpeg.input(str(path))
    text = "mov_text" if out.suffix == ".mp4" else "srt"
    graph = ffmpeg.output(
        main["v"],
        main["a"],
        ffmpeg.input(str(other))["a"],
        ffmpeg.input(str(words))["s"],
        ffmpeg.input(str(notes), format="ffmetadata")["s:9?"],
        str(out),
        map_metadata=3,
        map_chapters=3,
        **{
            "c": "copy",
            "c:a:1": "aac",
            "c:s": text,
            "metadata:s:a:0": "language=eng",
            "metadata:s:a:1": "language=fra",
            "metadata:s:s:0": "language=deu",
        },
    )
    ffmpeg.run(graph, cmd=imageio_ffmpeg.get_ffmpeg_exe(), quiet=True, overwrite_output=True)
    return out


def read_packets(path: Path) -> list[tuple[int, int, int]]:
    """(Place in the file, size, time stamp) of every picture packet, in the order of the file."""
    with av.open(str(path)) as container:
        return [
            (packet.pos, packet.size, packet.pts)
            for packet in container.demux(container.streams.video[0])
            if packet.size and packet.pts is not None
        ]


def damage_packet(path: Path, number: int) -> int:
    """Overwrite the middle of a packet; its time stamp."""
    place, size, pts = read_packets(path)[number]
    data = bytearray(path.read_bytes())
    data[place + size // 3 : place + 2 * size // 3] = b"\xa5" * (2 * size // 3 - size // 3)
    path.write_bytes(data)
    return pts
