"""Convert decoded frames to RGB 0..1 and back: YUV of any matrix, range and bit depth.

Numbers of matrices, primaries and transfer curves are those of ITU-T H.273, as FFmpeg uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

UNSPECIFIED = 2
RESERVED = (0, 3)
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
"""White of a deep YUV film as swscale 9 gives it in 16 bits (not 65535). Its path to rgb48 with full chroma
gives wrong colours altogether, so planes are asked for."""
ALPHA_MAX = {"uint8": 255, "uint16": 65535}


@dataclass(frozen=True, slots=True)
class ColorSpace:
    """How the numbers of a film stand for colours."""

    matrix: int
    """0 for RGB; what is meant where the film says nothing."""
    full_range: bool
    """Levels use the whole range (0 to 255) instead of the studio range (16 to 235)."""
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


def read_color_space(frame: av.VideoFrame) -> ColorSpace:
    """A frame's tags, with defaults where they are missing or name what swscale cannot convert."""
    primaries, transfer = (
        UNSPECIFIED if tag in RESERVED else int(tag) for tag in (frame.color_primaries, frame.color_trc)
    )
    if frame.format.is_rgb:
        return ColorSpace(RGB, True, primaries, transfer)
    matrix = frame.colorspace if frame.colorspace in SWSCALE_MATRICES else default_matrix(frame.height)
    # Grey and the old yuvj formats are of full range by their nature.
    full_format = frame.format.name.startswith(("gray", "yuvj"))
    full_range = frame.color_range == ColorRange.JPEG or (
        full_format and frame.color_range != ColorRange.MPEG
    )
    return ColorSpace(matrix, full_range, primaries, transfer)


def default_matrix(height: int) -> int:
    """The matrix that is meant where a film of so many rows names none."""
    return BT709 if height >= HD_HEIGHT else BT601


def make_rgb_decoder(
    color: ColorSpace, width: int, height: int, bit_depth: int, alpha: bool
) -> Callable[[av.VideoFrame], np.ndarray]:
    """A function from a decoded frame to float32 RGB [row, column, 3], 0..1; transparent ones lie on black.

    `width` and `height` are px as coded; a frame of another size is scaled to them. 8-bit frames go through
    swscale's common path: up to 1.5 levels off the exact formula, but just what PyAV, ffmpeg, moviepy and
    OpenCV show.
    """
    is_yuv = color.matrix != RGB
    pixel_format, white = _rgb_pixel_format(is_yuv, bit_depth, alpha)
    reformatter = VideoReformatter()

    def decode(frame: av.VideoFrame) -> np.ndarray:
        levels = reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=SWSCALE_MATRICES[color.matrix] if is_yuv else None,
            src_color_range=_swscale_range(color) if is_yuv else None,
            interpolation=Interpolation.BILINEAR,
            threads=1,
        ).to_ndarray()
        rgb = levels[..., :3] * np.float32(1 / white)
        if alpha:
            rgb *= levels[..., 3:] * np.float32(1 / ALPHA_MAX[levels.dtype.name])
        return np.minimum(rgb, 1, out=rgb) if bit_depth > 8 else rgb

    return decode


def _rgb_pixel_format(is_yuv: bool, bit_depth: int, alpha: bool) -> tuple[str, int]:
    """FFmpeg's RGB format that a film is converted to, and the level of white in it."""
    if bit_depth <= 8:
        return ("rgba" if alpha else "rgb24"), 255
    if alpha or is_yuv or bit_depth not in (9, 10, 12, 14):
        return "gbrap16le" if alpha else "gbrp16le", WHITE_16 if is_yuv else 65535
    return f"gbrp{bit_depth}le", 2**bit_depth - 1


def _swscale_range(color: ColorSpace) -> ColorRange:
    return ColorRange.JPEG if color.full_range else ColorRange.MPEG


def make_rgb_encoder(color: ColorSpace, pixel_format: str) -> Callable[[np.ndarray], av.VideoFrame]:
    """A function from float32 RGB [row, column, 3], 0..1, to a frame without a time stamp.

    `color` is the result's, its matrix RGB for an RGB format; `pixel_format` is FFmpeg's name: `yuv420p`,
    `bgr0`, `gbrp10le` or `gbrp12le`.
    """
    if pixel_format.startswith("gbrp"):
        white = 2 ** int(pixel_format[4:6]) - 1
        return lambda rgb: av.VideoFrame.from_ndarray(_to_levels(rgb, white, np.uint16), format=pixel_format)
    is_yuv = color.matrix != RGB
    reformatter = VideoReformatter()

    def encode(rgb: np.ndarray) -> av.VideoFrame:
        return reformatter.reformat(
            av.VideoFrame.from_ndarray(_to_levels(rgb, 255, np.uint8), format="rgb24"),
            format=pixel_format,
            dst_colorspace=SWSCALE_MATRICES[color.matrix] if is_yuv else None,
            dst_color_range=_swscale_range(color) if is_yuv else None,
            # Area: the chroma of a 2 x 2 block goes back where the common path took it from.
            interpolation=Interpolation.AREA,
            threads=1,
        )

    return encode


def _to_levels(rgb: np.ndarray, white: int, dtype: type[np.unsignedinteger]) -> np.ndarray:
    """float32, 0..1, rounded to whole levels 0..white."""
    levels = rgb * np.float32(white)
    levels += np.float32(0.5)
    return np.clip(levels, 0.0, white + 0.5, out=levels).astype(dtype)
