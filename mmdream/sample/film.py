"""Makes the sample film: a camera over two photographs that scikit-learn ships, a cut, and synthesised music.

The same arguments always make the same film.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyloudnorm
from av.video.reformatter import ColorRange

from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for
from mmdream.media.color import SWSCALE_MATRICES, default_matrix

CREDITS = (
    "Photographs shipped by scikit-learn, CC BY 2.0: china.jpg by danielbuechele "
    "(flickr.com/photos/danielbuechele/6061409035), flower.jpg by vultilion "
    "(flickr.com/photos/vultilion/6056698931), panned and zoomed. Music synthesised by mmdream."
)

SHOTS = (
    ("china.jpg", (0.50, 0.58, 0.99), (0.36, 0.34, 0.72)),
    ("flower.jpg", (0.46, 0.50, 0.62), (0.52, 0.56, 0.94)),
)
"""Photograph, first and last framing: centre x and y as shares of the photograph, and the size as a share of
the largest view of the film's shape that fits into it."""

SOUND_RATE = 48_000
BEAT = 0.625
"""Seconds: 96 beats a minute, so the four chords fill five seconds."""
CHORDS = (
    (38, (62, 69, 73, 78)),  # D major seventh
    (35, (62, 66, 69, 74)),  # B minor seventh
    (43, (59, 66, 71, 74)),  # G major seventh
    (45, (64, 69, 71, 76)),  # A suspended, which leads home
)
"""Bass and strings as MIDI notes (69 = 440 Hz); each chord lasts two beats."""


def make_sample(path: Path, seconds: float = 5.0, rate: int = 24, size: tuple[int, int] = (640, 360)) -> None:
    """Write the sample film: H.264 and stereo AAC in an ``.mp4``, replacing what is there.

    It lasts `seconds`, 1 to 600 in whole frames, of which there are `rate`, 1 to 120, a second; `size` is
    width and height in pixels, even (4:2:0 chroma), at least 32.
    """
    width, height = size
    if path.suffix.lower() != ".mp4":
        raise UserError(f"{path}: the sample film is an .mp4; give a name that ends in .mp4")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the name of a film")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder; make it first")
    if not 1 <= seconds <= 600 or not 1 <= rate <= 120:
        raise UserError("the sample film lasts 1 to 600 seconds at 1 to 120 frames a second")
    if width % 2 or height % 2 or min(size) < 32:
        raise UserError(f"size is {width}x{height}; choose even sides of at least 32")

    frames = round(seconds * rate)
    sound = synthesize_music(round(Fraction(frames, rate) * SOUND_RATE))
    try:
        # A folder of its own keeps the suffix, which names the container, and takes every leftover with it.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.mmdream-", dir=path.parent) as folder:
            draft = Path(folder) / "sample.mp4"
            _encode_film(draft, render_frames(frames, size), sound, rate, size)
            draft.replace(path)
    except PermissionError as error:
        raise UserError(f"{path}: cannot be written; choose a folder you may write to") from error


def render_frames(frames: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """So many frames of a camera moving over each photograph, uint8 [height, width, 3], RGB."""
    # Takes half a second.
    from sklearn.datasets import load_sample_image

    cuts = np.linspace(0, frames, len(SHOTS) + 1).round().astype(int)
    for (name, first, last), start, stop in zip(SHOTS, cuts, cuts[1:], strict=False):
        photo = _resize_to_fit(load_sample_image(name), size)
        for number in range(stop - start):
            share = (number + 0.5) / (stop - start)
            yield crop_view(photo, size, np.asarray(first) * (1 - share) + np.asarray(last) * share)


def crop_view(photo: np.ndarray, size: tuple[int, int], framing: np.ndarray) -> np.ndarray:
    """A framing, as in `SHOTS`, of a photograph, uint8 [h, w, 3]; moved inward where it would leave it.

    Drawn at twice the size (width and height of the result, px) and averaged down: OpenCV's warp rounds
    places to 1/32 pixel and has no low-pass, so a slow pan drawn directly would tick and shimmer.
    """
    rows, columns = photo.shape[:2]
    width, height = 2 * size[0], 2 * size[1]
    x, y, share = framing
    step = share * min(columns / width, rows / height)
    left = np.clip(x * columns - step * width / 2, 0, columns - step * width)
    top = np.clip(y * rows - step * height / 2, 0, rows - step * height)
    # Pixel centres lie at half-integers.
    matrix = np.array([[step, 0, left + step / 2 - 0.5], [0, step, top + step / 2 - 0.5]])
    large = cv2.warpAffine(
        photo,
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(large, size, interpolation=cv2.INTER_AREA)


def _resize_to_fit(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The photograph at the scale where its largest view has twice the film's size."""
    rows, columns = photo.shape[:2]
    scale = max(2 * size[0] / columns, 2 * size[1] / rows)
    shape = (round(columns * scale), round(rows * scale))
    return cv2.resize(photo, shape, interpolation=cv2.INTER_LANCZOS4 if scale > 1 else cv2.INTER_AREA)


def _encode_film(
    path: Path, film: Iterator[np.ndarray], sound: np.ndarray, rate: int, size: tuple[int, int]
) -> None:
    """Encode picture and sound side by side, so that neither waits for the other in the file."""
    matrix = default_matrix(size[1])
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = "mmdream sample"
        container.metadata["comment"] = CREDITS
        # x264's output depends on the number of threads. Its macroblock tree changed it from run to run where
        # a side is no multiple of 16 (PyAV 18.1).
        settings = {"crf": "16", "threads": "2", "x264-params": "mbtree=0"}
        video = container.add_stream("libx264", rate=rate, options=settings)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = matrix
        context.color_range = ColorRange.MPEG
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="stereo", bit_rate=192_000)
        for number, rgb in enumerate(film):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=SWSCALE_MATRICES[matrix],
                dst_color_range=ColorRange.MPEG,
            )
            picture.pts, picture.time_base = number, Fraction(1, rate)
            container.mux(video.encode(picture))
            start, stop = (k * SOUND_RATE // rate for k in (number, number + 1))
            samples = np.ascontiguousarray(sound[start:stop].T)
            block = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            block.sample_rate = SOUND_RATE
            block.pts, block.time_base = start, Fraction(1, SOUND_RATE)
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def synthesize_music(samples: int) -> np.ndarray:
    """Plucked strings over a bowed chord and a bass, a soft drum and a brush, in a small hall.

    float32 [samples, 2] at `SOUND_RATE`, -18 LUFS, peak below -1 dBFS, silent at both ends.
    """
    bar = 2 * BEAT
    dry = np.zeros((samples + 4 * SOUND_RATE, 2))
    notes = {note for _, strings in CHORDS for note in strings}
    strings = {note: pluck_string(note, seconds=1.6) for note in notes}
    drum, brush = _synthesize_drum(), _synthesize_brush()
    for number in range(int(np.ceil(samples / SOUND_RATE / bar))):
        start = number * bar
        bass, chord = CHORDS[number % len(CHORDS)]
        _mix_in(dry, start, pluck_string(bass, seconds=2.0), level=0.55, pan=0.0)
        for note, pan in zip(chord, (-0.7, 0.7, -0.35, 0.35), strict=True):
            _mix_in(dry, start, bow_string(note - 12, bar + 0.4), level=0.07, pan=pan)
        for eighth, string in enumerate((0, 2, 3, 1)):
            accent = 1.0 if eighth == 0 else 0.7
            pan = 0.5 * (-1) ** eighth
            _mix_in(dry, start + eighth * BEAT / 2, strings[chord[string]], level=accent, pan=pan)
        _mix_in(dry, start, drum, level=0.6, pan=0.0)
        _mix_in(dry, start + BEAT, brush, level=0.22, pan=0.15)
        _mix_in(dry, start + 1.5 * BEAT, brush, level=0.1, pan=-0.15)
    wet = (dry + 0.4 * _reverberate(dry))[:samples]

    fade_in, fade_out = round(0.01 * SOUND_RATE), round(0.5 * SOUND_RATE)
    wet[:fade_in] *= np.linspace(0, 1, fade_in)[:, None]
    wet[-fade_out:] *= np.cos(np.linspace(0, np.pi / 2, fade_out))[:, None] ** 2
    loudness = pyloudnorm.Meter(SOUND_RATE).integrated_loudness(wet)
    gain = min(10 ** ((-18 - loudness) / 20), 0.85 / np.abs(wet).max())
    level: np.ndarray = (gain * wet).astype(np.float32)
    return level


def pluck_string(note: int, seconds: float) -> np.ndarray:
    """A plucked string, a MIDI note that has faded out after `seconds`: float64 [sample], about -1..1.

    Plucked at 0.23 of its length, which weakens partials with a node there; high partials die first and lie a
    little sharp, as on a stiff string (Fletcher and Rossing, The Physics of Musical Instruments, 2.18).
    """
    t = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    pitch = _midi_to_hertz(note)
    sound = np.zeros_like(t)
    for partial in range(1, 25):
        frequency = partial * pitch * np.sqrt(1 + 1e-4 * partial**2)
        if frequency > 10_000:
            break
        level = np.sin(np.pi * 0.23 * partial) / partial**1.3
        sound += level * np.exp(-(1.2 + 0.8 * partial) * t) * np.sin(2 * np.pi * frequency * t)
    return sound * np.minimum(1, t / 0.002) * np.minimum(1, (seconds - t) / 0.1)


def bow_string(note: int, seconds: float) -> np.ndarray:
    """A bowed string: a slow swell, some vibrato, partials falling by 9 dB an octave; as `pluck_string`."""
    t = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    # 0.3 % at 5 Hz is 5 cents; the note decides the phase so that a chord does not waver as one.
    phase = 2 * np.pi * _midi_to_hertz(note) * (t + 0.003 / (10 * np.pi) * np.sin(10 * np.pi * t + note))
    sound: np.ndarray = sum(
        np.sin(partial * phase + note * partial) / partial**1.5 for partial in range(1, 9)
    )
    sound *= np.clip(t / 0.35, 0, 1) ** 2 * np.clip((seconds - t) / 0.4, 0, 1)
    return sound


def _midi_to_hertz(note: int) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def _synthesize_drum() -> np.ndarray:
    """A soft bass drum: a sine that glides from 120 to 50 Hz."""
    t = np.arange(round(0.35 * SOUND_RATE)) / SOUND_RATE
    phase = 2 * np.pi * (50 * t + 70 * 0.04 * (1 - np.exp(-t / 0.04)))
    return np.sin(phase) * np.exp(-t / 0.09) * np.minimum(1, t / 0.002)


def _synthesize_brush() -> np.ndarray:
    """A stroke of the brush: high-passed noise."""
    t = np.arange(round(0.18 * SOUND_RATE)) / SOUND_RATE
    noise = rng_for(0, "sample", "brush").standard_normal(len(t) + 1)
    return np.diff(noise) * np.exp(-t / 0.035) * np.minimum(1, t / 0.004)


def _reverberate(dry: np.ndarray) -> np.ndarray:
    """A sound, float64 [sample, 2], in a small hall, of about the same energy.

    The impulse response is independent noise in both channels, gone after a second.
    """
    t = np.arange(SOUND_RATE) / SOUND_RATE
    noise = rng_for(0, "sample", "hall").standard_normal((len(t) + 7, 2))
    # A running mean of 8 samples: walls and air swallow the treble.
    soft = np.stack([np.convolve(ear, np.ones(8) / 8, "valid") for ear in noise.T], axis=1)
    response = soft * np.exp(-t / 0.16)[:, None] * np.minimum(1, t / 0.012)[:, None]
    response /= np.sqrt(np.square(response).sum(axis=0))
    length = len(dry) + len(response)
    spectrum = np.fft.rfft(dry, length, axis=0) * np.fft.rfft(response, length, axis=0)
    return np.fft.irfft(spectrum, length, axis=0)[: len(dry)]


def _mix_in(mix: np.ndarray, seconds: float, sound: np.ndarray, *, level: float, pan: float) -> None:
    """Add a mono sound to a stereo mix at constant power; pan -1 (left) to 1 (right)."""
    start = round(seconds * SOUND_RATE)
    angle = (pan + 1) * np.pi / 4
    mix[start : start + len(sound)] += level * sound[:, None] * [np.cos(angle), np.sin(angle)]
