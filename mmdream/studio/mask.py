"""Masks as the page paints them."""

from __future__ import annotations

import cv2
import numpy as np

from mmdream.core.errors import UserError

MAX_MASK_SIDE = 4096


def decode_mask(png: bytes) -> np.ndarray:
    """A painted mask as a grey picture, float32 [H, W, 3], 0..1; `UserError`: it is no PNG, or too large."""
    if not png.startswith(b"\x89PNG\r\n\x1a\n") or len(png) < 24:
        raise UserError("a mask is a PNG picture")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    if not (0 < width <= MAX_MASK_SIDE and 0 < height <= MAX_MASK_SIDE):
        raise UserError(f"a mask is at most {MAX_MASK_SIDE} px on each side")
    gray = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if gray is None:
        raise UserError("this mask cannot be read")
    return np.repeat((gray / np.float32(255))[..., None], 3, axis=2).astype(np.float32)
