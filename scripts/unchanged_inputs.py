"""The films, pictures, sounds and settings that scripts/check_unchanged.py gives to both sides.

    python scripts/unchanged_inputs.py FOLDER

All are made from formulas and seeds, and are as small as shows what they are for: a cut, a variable rate, 5.1
sound, two languages, black bars. The same libraries make the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import soundfile

TICKS = 600
"""Time base of the films."""
RATE = 24
"""Frames a second."""
EXACT = {"fflags": "+bitexact"}
"""Of a container: no random numbers, no dates."""

KEYS = """
preset = "whisper"
[[key]]
at = 0
octaves = 2
steps = 2
depth = 0.3
strength = 0.2
motif = "tower"
[[key]]
at = 1
octaves = 3
steps = 4
depth = 0.9
strength = 1.2
motif = "dog,eye"
"""
PASSES = """
[[key]]
at = 0
octaves = 2
steps = 2
[[pass]]
depth = 0.6
motif = "dog+tower"
[[pass]]
style = ["painting.png", "guide.png=0.5"]
octaves = 1
steps = 2
from = 0.25
to = 0.75
fade = 0.125
mask = "mask.png"
feather = 2
[[pass.key]]
at = 0.25
strength = 0.2
[[pass.key]]
at = 0.75
strength = 1
"""
SUBTITLES = "1\n00:00:00,100 --> 00:00:00,600\nbonjour\n\n2\n00:00:00,700 --> 00:00:00,950\nadieu\n"
CREDIT = "clip derived from x.wav (http://www.freesound.org/people/nfrae/sounds/100032/) by nfrae [CC0]"


def make_inputs(folder: Path) -> None:
    """Make all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder)
    write_sounds(folder)
    write_films(folder)
    write_sets(folder)
    (folder / "keys.toml").write_text(KEYS)
    (folder / "passes.toml").write_text(PASSES)


def write_pictures(folder: Path) -> None:
    """What is dreamed on, dreamed towards, painted like, and where: a mask of the films' aspect."""
    write_picture(folder / "picture.png", draw_scene(96, 144, 0, 0))
    write_picture(folder / "guide.png", draw_scene(80, 80, 1, 0))
    write_picture(folder / "painting.png", draw_scene(96, 96, 2, 0))
    mask = np.zeros((48, 72, 3), np.uint8)
    mask[8:40, 8:32] = 255
    write_picture(folder / "mask.png", mask)


def write_sounds(folder: Path) -> None:
    """A mono one at 16 kHz, a stereo one at 44.1 kHz whose sides differ, and a short bell."""
    soundfile.write(folder / "voice.wav", 0.5 * synthesize_tune(1.5, 16_000, 180)[0], 16_000)
    left, right = synthesize_tune(2.0, 44_100, 220)[0], synthesize_tune(2.0, 44_100, 330)[0]
    soundfile.write(folder / "music.wav", 0.4 * np.stack([left, 0.6 * right], axis=1), 44_100)
    t = np.arange(22_050) / 22_050
    soundfile.write(folder / "bell.wav", 0.5 * np.exp(-5 * t) * np.sin(2 * np.pi * 880 * t), 22_050)


def write_films(folder: Path) -> None:
    """Each kind of film."""
    even = [number * TICKS // RATE for number in range(RATE)]
    write_film(folder / "film.mp4", even, 64, 96, cut=14)
    write_film(folder / "long.mp4", [number * TICKS // RATE for number in range(6 * RATE)], 48, 64, cut=60)
    # From 10 to 40 frames a second, and not from 0 on.
    uneven = np.cumsum([30, 60, 20, 15, 45, 25, 25, 60, 15, 15, 20, 50, 30, 60, 20, 15, 45, 25]).tolist()
    write_film(folder / "variable.mp4", uneven, 64, 96)
    write_film(folder / "surround.mkv", even[:12], 64, 96, layout="5.1", codec="flac")
    write_film(folder / "letterbox.mp4", even[:12], 128, 128, bars=32)
    write_film(folder / "silent.mp4", even[:12], 64, 96, layout=None)
    write_film(folder / "mask.mp4", even, 64, 96, moving_mask=True, layout=None)
    write_multilingual_film(folder / "tracks.mkv", even[:12])


def write_sets(folder: Path) -> None:
    """Classes that a network can tell apart in seconds, a set as its publisher lays it out, and a bad one."""
    for place, name in enumerate(("level", "upright")):
        for number in range(12):
            rng = np.random.default_rng((place, number))
            wave = np.sin(np.arange(64) * rng.uniform(0.5, 0.9) + rng.uniform(0, 6))
            waves = np.repeat(wave[:, None], 64, axis=1)
            waves = waves if place == 0 else waves.T
            light = 128 + 70 * waves[..., None] + rng.normal(0, 12, (64, 64, 3)) + rng.uniform(-30, 30, 3)
            write_picture(
                folder / "stripes" / name / f"{number}.png", np.clip(light, 0, 255).astype(np.uint8)
            )
    for place, name in enumerate(("beep", "hiss")):
        for number in range(12):
            rng = np.random.default_rng((place, number))
            t = np.arange(19_200) / 16_000
            tone = np.sin(2 * np.pi * rng.uniform(500, 900) * t) * ((t * 2 + rng.random()) % 1 < 0.3)
            hiss = rng.normal(0, 0.1, len(t))
            beep = 0.3 * tone + 1e-4 * hiss
            write_sound(folder / "noises" / name / f"{number}.wav", hiss if place else beep)
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for number, name in enumerate(("1-100032-A-0", "1-100032-B-0", "5-9032-A-0", "2-26806-A-1")):
        fold, source, take, target = name.split("-")
        lines.append(f"{name}.wav,{fold},{target},{('dog', 'rooster')[int(target)]},True,{source},{take}")
        write_sound(folder / f"ESC-50/audio/{name}.wav", np.random.default_rng(number).normal(0, 0.1, 1600))
    (folder / "ESC-50/meta").mkdir()
    (folder / "ESC-50/meta/esc50.csv").write_text("\n".join(lines) + "\n")
    (folder / "ESC-50/LICENSE").write_text(f"101 - Dog:\n- [1-100032-A.ogg]: {CREDIT}\n")
    for name in ("0.png", "1.png", "again.png"):
        write_picture(folder / "bad" / "one" / name, draw_scene(32, 32, int(name == "1.png"), 0))
    (folder / "bad/two").mkdir()
    (folder / "bad/two/broken.png").write_bytes((folder / "bad/one/0.png").read_bytes()[:200])


def draw_scene(height: int, width: int, kind: int, shift: int) -> np.ndarray:
    """Waves of colour with a disc, of kind 0 to 2, uint8 [height, width, 3]; `shift` moves all, in px."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x = x + shift
    turn, wide = (1, 7.0) if kind != 1 else (-1, 4.0)  # Another shot is no shade of this one.
    waves = [np.sin((x * a + turn * y * b) / wide) for a, b in ((0.7, 0.3), (0.2, 0.9), (0.5, -0.6))]
    picture = (128, 60, 190)[kind] + 60 * np.stack(waves, axis=-1)
    grain = np.random.default_rng(kind).normal(0, 12, (height, 4 * width))
    picture += grain[:, shift % width : shift % width + width, None]
    disc = (x - shift / 2 - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2
    picture[disc] = picture[disc][:, ::-1] * 0.6 + 60
    return np.clip(picture, 0, 255).astype(np.uint8)


def synthesize_tune(seconds: float, rate: int, pitch: float) -> np.ndarray:
    """Notes with overtones, and some noise: float64 [1, sample], within -1..1."""
    t = np.arange(round(seconds * rate)) / rate
    note = pitch * 2 ** (np.floor(t * 4) % 5 / 12)
    tone = sum(np.sin(2 * np.pi * k * np.cumsum(note) / rate) / k for k in (1, 2, 3))
    noise = np.random.default_rng(int(pitch)).normal(0, 0.02, len(t))
    return (0.4 * tone * np.exp(-3 * (t * 4 % 1)) + noise).clip(-1, 1)[None]


def write_film(
    path: Path,
    ticks: Sequence[int],
    height: int,
    width: int,
    cut: int | None = None,
    bars: int = 0,
    moving_mask: bool = False,
    layout: str | None = "stereo",
    codec: str = "aac",
) -> None:
    """A film, frame by frame.

    Args:
        path: where it goes.
        ticks: time of each frame.
        height: px.
        width: px.
        cut: number of the first frame of a second shot.
        bars: px of black above and below.
        moving_mask: white that moves over black, in place of a scene.
        layout: of the sound's channels; None: no sound.
        codec: of the sound.
    """
    with av.open(str(path), "w", container_options=EXACT) as out:
        out.metadata["title"] = path.stem
        picture = add_video_stream(out, height, width)
        tracks = [] if layout is None else [add_audio_stream(out, codec, layout)]
        for number, tick in enumerate(ticks):
            image = draw_scene(height, width, int(cut is not None and number >= cut), 2 * number)
            if moving_mask:
                image[:] = 0
                image[:, 2 * number : 2 * number + width // 3] = 255
            if bars:
                image[:bars], image[-bars:] = 0, 0
            encode_frame(out, picture, image, tick)
        out.mux(picture.encode(None))
        for track in tracks:
            encode_tune(out, track, (ticks[-1] + TICKS // RATE) / TICKS, 220)


def write_multilingual_film(path: Path, ticks: Sequence[int]) -> None:
    """A film with two languages, subtitles and chapters."""
    titles = path.with_suffix(".srt")
    titles.write_text(SUBTITLES)
    with av.open(str(path), "w", container_options=EXACT) as out, av.open(str(titles)) as words:
        picture = add_video_stream(out, 64, 96)
        tracks = [add_audio_stream(out, "flac", "stereo"), add_audio_stream(out, "flac", "mono")]
        for track, language in zip(tracks, ("eng", "fra"), strict=True):
            track.metadata["language"] = language
        under = out.add_stream_from_template(words.streams.subtitles[0])
        under.metadata["language"] = "fra"
        half = {"time_base": Fraction(1, 1000), "metadata": {}}
        out.set_chapters(
            [
                {"id": 1, "start": 0, "end": 250, **half, "metadata": {"title": "first"}},
                {"id": 2, "start": 250, "end": 500, **half, "metadata": {"title": "second"}},
            ]
        )
        for number, tick in enumerate(ticks):
            encode_frame(out, picture, draw_scene(64, 96, 0, 2 * number), tick)
        out.mux(picture.encode(None))
        for track, pitch in zip(tracks, (220, 330), strict=True):
            encode_tune(out, track, 0.5, pitch)
        for packet in words.demux():
            if packet.dts is not None:
                packet.stream = under
                out.mux(packet)


def add_video_stream(out: Any, height: int, width: int) -> Any:
    """A stream of pictures; one thread, so that its bits depend on no machine's cores."""
    stream = out.add_stream("libx264", rate=RATE, options={"crf": "12", "threads": "1", "bf": "0"})
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = Fraction(1, TICKS)
    return stream


def encode_frame(out: Any, stream: Any, image: np.ndarray, tick: int) -> None:
    """Add a frame."""
    frame = av.VideoFrame.from_ndarray(image, "rgb24")
    frame.pts, frame.time_base = tick, Fraction(1, TICKS)
    out.mux(stream.encode(frame))


def add_audio_stream(out: Any, codec: str, layout: str) -> Any:
    """A stream of sound."""
    return out.add_stream(codec, rate=44_100, layout=layout)


def encode_tune(out: Any, stream: Any, seconds: float, pitch: int) -> None:
    """Add all of a sound, each channel another tune."""
    count = stream.codec_context.layout.nb_channels
    planes = (
        np.concatenate([synthesize_tune(seconds, 44_100, pitch + 37 * number) for number in range(count)])
        * 0.3
    )
    exact = stream.codec_context.name == "flac"
    for at in range(0, planes.shape[1], 1024):
        block = np.ascontiguousarray(planes[:, at : at + 1024], dtype=np.float32)
        if exact:
            block = np.ascontiguousarray(np.rint(block.T * 32767).astype(np.int16).reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(block, "s16" if exact else "fltp", stream.codec_context.layout)
        frame.sample_rate, frame.pts, frame.time_base = 44_100, at, Fraction(1, 44_100)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), rgb[..., ::-1]):
        raise OSError(f"{path}: cannot be written")


def write_sound(path: Path, samples: np.ndarray) -> None:
    """Write a sound at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000)


if __name__ == "__main__":
    make_inputs(Path(sys.argv[1]))
