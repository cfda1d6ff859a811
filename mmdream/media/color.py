"""Colour at the edge of the film: YUV of any matrix, range and depth to RGB 0..1 and back.

Numbers of matrices, primaries and transfer curves are those of ITU-T H.273, as FFmpeg uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

UNSPECIFIED = 2
RGB, BT709, BT601 = 0, 1, 6
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer curves of high dynamic range; they pass through untouched."""
SWSCALE_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""Matrices that swscale converts, as it calls them."""
HD_HEIGHT = 720
"""Untagged films of so many rows are BT.709, smaller ones BT.601."""
WHITE_16 = 65283
"""White of a deep YUV film as swscale 9 gives it in 16 bits (not 65535). Its path to rgb48 with
full chroma gives wrong colours altogether, so planes are asked for."""
ALPHA_MAX = {"uint8": 255, "uint16": 65535}


@dataclass(frozen=True, slots=True)
class ColorSpace:
    """How a film's numbers stand for colours."""

    matrix: int
    """0 for RGB; what is meant where the film says nothing."""
    full: bool
    """Numbers use the whole range (0 to 255) instead of the studio range (16 to 235)."""
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


def read_color_space(frame: av.VideoFrame) -> ColorSpace:
    """Read a frame's tags, and decide where they are silent or name what cannot be converted."""
    kept = {
        "primaries": _tag_or_unspecified(frame.color_primaries),
        "transfer": _tag_or_unspecified(frame.color_trc),
    }
    if frame.format.is_rgb:
        return ColorSpace(RGB, True, **kept)
    matrix = frame.colorspace
    if matrix not in SWSCALE_MATRICES:
        matrix = default_matrix(frame.height)
    # Grey and the old yuvj formats are of full range by their nature.
    whole = frame.format.name.startswith(("gray", "yuvj"))
    full = frame.color_range == ColorRange.JPEG or (whole and frame.color_range != ColorRange.MPEG)
    return ColorSpace(matrix, full, **kept)


def default_matrix(rows: int) -> int:
    """The matrix that is meant where a film of so many rows names none."""
    return BT709 if rows >= HD_HEIGHT else BT601


def _tag_or_unspecified(tag: int) -> int:
    return UNSPECIFIED if tag in (0, 3) else int(tag)  # 0 and 3 are reserved.


def make_rgb_decoder(
    colour: ColorSpace, width: int, height: int, bits: int, alpha: bool
) -> Callable[[av.VideoFrame], np.ndarray]:
    """A converter of decoded frames.

    8-bit frames go through swscale's common path: it is up to 1.5 levels off the exact formula, but
    gives exactly what PyAV, ffmpeg, moviepy and OpenCV show of the film.

    Args:
        colour: of the film.
        width: of the film as coded, px; a frame of another size is scaled to it.
        height: likewise.
        bits: of a sample in the film.
        alpha: whether the film is transparent: it is then laid over black.

    Returns:
        A function from a frame to float32 [row, column, 3], 0..1.
    """
    yuv = colour.matrix != RGB
    form, white = _rgb_pixel_format(yuv, bits, alpha)
    reformatter = VideoReformatter()

    def convert(frame: av.VideoFrame) -> np.ndarray:
        levels = reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=form,
            src_colorspace=SWSCALE_MATRICES[colour.matrix] if yuv else None,
            src_color_range=(ColorRange.JPEG if colour.full else ColorRange.MPEG) if yuv else None,
            interpolation=Interpolation.BILINEAR,
            threads=1,
        ).to_ndarray()
        rgb = levels[..., :3] * np.float32(1 / white)
        if alpha:
            rgb *= levels[..., 3:] * np.float32(1 / ALPHA_MAX[levels.dtype.name])
        return np.minimum(rgb, 1, out=rgb) if bits > 8 else rgb

    return convert


def _rgb_pixel_format(yuv: bool, bits: int, alpha: bool) -> tuple[str, int]:
    """FFmpeg's RGB format that a film is converted to, and the level of white in it."""
    if bits <= 8:
        return ("rgba" if alpha else "rgb24"), 255
    if alpha:
        return "gbrap16le", WHITE_16 if yuv else 65535
    if yuv or bits not in (9, 10, 12, 14):
        return "gbrp16le", WHITE_16 if yuv else 65535
    return f"gbrp{bits}le", 2**bits - 1


def make_rgb_encoder(colour: ColorSpace, form: str) -> Callable[[np.ndarray], av.VideoFrame]:
    """A converter of finished frames.

    Args:
        colour: of the result; its matrix is RGB for an RGB format.
        form: FFmpeg's name of the pixel format: `yuv420p`, `bgr0`, `gbrp10le` or `gbrp12le`.

    Returns:
        A function from float32 [row, column, 3], 0..1, to a frame without a time stamp.
    """
    if form.startswith("gbrp"):
        top = 2 ** int(form[4:6]) - 1
        return lambda rgb: _high_depth_frame(rgb, top, form)
    reformatter = VideoReformatter()

    def convert(rgb: np.ndarray) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(_scale_to_levels(rgb, 255).astype(np.uint8), format="rgb24")
        yuv = colour.matrix != RGB
        return reformatter.reformat(
            frame,
            format=form,
            dst_colorspace=SWSCALE_MATRICES[colour.matrix] if yuv else None,
            dst_color_range=(ColorRange.JPEG if colour.full else ColorRange.MPEG) if yuv else None,
            # Area: the chroma of a 2 x 2 block goes back where the common path took it from.
            interpolation=Interpolation.AREA,
            threads=1,
        )

    return convert


def _high_depth_frame(rgb: np.ndarray, top: int, form: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(_scale_to_levels(rgb, top).astype(np.uint16), format=form)


def _scale_to_levels(rgb: np.ndarray, top: int) -> np.ndarray:
    """float32, 0.5 above whole levels 0..top, ready to be cut down to integers."""
    levels = rgb * np.float32(top)
    levels += np.float32(0.5)
    return np.clip(levels, 0.0, top + 0.5, out=levels)
