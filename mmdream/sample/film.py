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
from av.video.reformatter import ColorRange, Colorspace

from mmdream.core.errors import UserError
from mmdream.sample.music import SOUND_RATE, synthesize_music

CREDITS = (
    "Photographs shipped by scikit-learn, CC BY 2.0: china.jpg by danielbuechele "
    "(flickr.com/photos/danielbuechele/6061409035), flower.jpg by vultilion "
    "(flickr.com/photos/vultilion/6056698931), panned and zoomed. Music synthesised by mmdream."
)

SHOTS = (
    ("china.jpg", (0.50, 0.58, 0.99), (0.36, 0.34, 0.72)),
    ("flower.jpg", (0.46, 0.50, 0.62), (0.52, 0.56, 0.94)),
)
"""Photograph, first and last framing: centre x and y as shares of the photograph, and the size as a share of the
largest view of the film's shape that fits into it."""


def make_sample(path: Path, seconds: float = 5.0, rate: int = 24, size: tuple[int, int] = (640, 360)) -> None:
    """Write the sample film: H.264 and stereo AAC in an ``.mp4``, replacing what is there.

    Args:
        path: ends in ``.mp4``; its folder exists.
        seconds: length, 1 to 600; rounded to whole frames.
        rate: frames a second, 1 to 120.
        size: width and height in pixels, even (4:2:0 chroma), at least 32.

    Raises:
        UserError: if an argument is outside these bounds or the folder is missing.
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
    """A framing of a photograph, placed to a fraction of a pixel.

    Drawn at twice the size and averaged down: OpenCV's warp rounds places to 1/32 pixel and has no low-pass,
    so a slow pan drawn directly would tick and shimmer.

    Args:
        photo: uint8 [h, w, 3].
        size: width and height of the result in pixels.
        framing: centre x, centre y, size, as in `SHOTS`; moved inward where it would leave the photograph.
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
    # BT.709 or BT.601, whichever players assume for this size without tags. Numbers of ITU-T H.273: PyAV's
    # Colorspace holds the scaler's, where SMPTE170M is 5, which as a tag says BT.470.
    matrix = 1 if size[1] >= 720 else 6
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = "mmdream sample"
        container.metadata["comment"] = CREDITS
        # x264's output depends on the number of threads. Its macroblock tree changed it from run to run where a
        # side is no multiple of 16 (PyAV 18.1).
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
                dst_colorspace=Colorspace.ITU709 if matrix == 1 else Colorspace.SMPTE170M,
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
