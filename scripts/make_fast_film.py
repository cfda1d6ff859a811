"""Make a fast film: pictures that leap and turn before a panning photograph, each blurred by its own speed.

    python scripts/make_fast_film.py PHOTO SPRITE [SPRITE ...] --out OUT.mp4 [--frames 175] [--speed 5]

The camera swings over the photograph. A sprite is an ellipse cut from a picture; it crosses the view in
leaps and turns the while. The shutter is open for half of each frame: what is seen is a mean over instants.
The film has no sound. Printed is the share of pixels that move by more than 1 px a frame, by the flow.
"""

from __future__ import annotations

import argparse
import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from film_figures import to_luma, visible_flow

from mmdream.media import image

SIZE, RATE = (640, 360), 25
"""Width and height in px; frames a second."""
SHUTTER, INSTANTS = 0.5, 12
"""Share of a frame that the shutter is open; instants that are averaged over it."""
SPRITE_HEIGHT, SPRITE_ASPECT = 190.0, 0.8
"""px; width over height of the ellipse."""
FEATHER = 0.04
"""Width of a sprite's soft rim, of its radius."""
LEAP, LEAP_FRAMES = 130.0, 32.0
"""Height of a leap in px, and how long it takes at the default speed."""
TURN = 2.5
"""Degrees that a sprite turns in a frame at the default speed."""
DEFAULT_SPEED = 5.0
"""The camera's largest speed, px a frame."""


def photo_view(photo: np.ndarray, at: float, speed: float) -> np.ndarray:
    """The photograph as the camera sees it at a frame that need not be whole."""
    width, height = SIZE
    zoom = 1.15 * max(2 * width / photo.shape[1], height / photo.shape[0])
    room = np.array([photo.shape[1], photo.shape[0]]) * zoom - SIZE
    swing = at * speed / (room[0] / 2)
    x, y = room / 2 * (1 - np.array([math.cos(swing + 0.6), math.cos(1.7 * swing)])) / zoom
    back = np.array([[1 / zoom, 0, x], [0, 1 / zoom, y]], np.float32)
    return cv2.warpAffine(
        photo, back, SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )


def cut_sprite(picture: np.ndarray) -> np.ndarray:
    """The largest upright ellipse about a picture's middle, float32 [h, w, 4], RGB times opacity."""
    height, width = picture.shape[:2]
    radius = min(height, width / SPRITE_ASPECT) / 2
    down, right = np.mgrid[:height, :width].astype(np.float32)
    down, right = (down - (height - 1) / 2) / radius, (right - (width - 1) / 2) / (SPRITE_ASPECT * radius)
    opacity = np.clip((1 - np.hypot(down, right)) / FEATHER, 0, 1)[..., None]
    return np.concatenate([picture * opacity, opacity], axis=2)


def lay_sprite(view: np.ndarray, sprite: np.ndarray, number: int, at: float, pace: float) -> np.ndarray:
    """The view with the sprite of a number where it is at a frame."""
    width, height = SIZE
    phase = at * pace / LEAP_FRAMES + 0.37 * number
    up = LEAP * (1 - (2 * (phase % 1) - 1) ** 2)
    x = width / 2 * (1 + 0.75 * math.sin(0.9 * phase + 2 * number))
    y = height - 0.45 * SPRITE_HEIGHT - up
    zoom = SPRITE_HEIGHT / min(sprite.shape[0], sprite.shape[1] / SPRITE_ASPECT)
    turned = cv2.getRotationMatrix2D(
        ((sprite.shape[1] - 1) / 2, (sprite.shape[0] - 1) / 2), (-1) ** number * TURN * pace * at, zoom
    )
    turned[:, 2] += (x - (sprite.shape[1] - 1) / 2, y - (sprite.shape[0] - 1) / 2)
    laid = cv2.warpAffine(sprite, turned, SIZE, flags=cv2.INTER_AREA)
    return view * (1 - laid[..., 3:]) + laid[..., :3]


def make_frame(photo: np.ndarray, sprites: list[np.ndarray], number: int, speed: float) -> np.ndarray:
    """A frame, uint8 [H, W, 3]."""
    total = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    for instant in range(INSTANTS):
        at = number + SHUTTER * instant / INSTANTS
        view = photo_view(photo, at, speed)
        for place, sprite in enumerate(sprites):
            view = lay_sprite(view, sprite, place, at, speed / DEFAULT_SPEED)
        total += view / INSTANTS
    return np.rint(np.clip(total, 0, 1) * 255).astype(np.uint8)


def moving_share(before: np.ndarray, frame: np.ndarray) -> float:
    """Share of a frame's pixels, uint8 [H, W, 3], that moved by more than 1 px since the one before."""
    back, _ = visible_flow(*(to_luma(each.astype(np.float32) / 255) for each in (before, frame)))
    return float((np.hypot(back[..., 0], back[..., 1]) > 1).mean())


def main() -> None:
    """Write the film."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("sprites", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=175)
    parser.add_argument("--speed", type=float, default=DEFAULT_SPEED, help="the camera's largest, px a frame")
    args = parser.parse_args()
    photo = image.read_image(args.photo)
    sprites = [cut_sprite(image.read_image(path)) for path in args.sprites]
    shares: list[float] = []
    before: np.ndarray | None = None
    with av.open(str(args.out), "w") as film:
        stream = film.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(args.frames):
            view = make_frame(photo, sprites, number, args.speed)
            if before is not None:
                shares.append(moving_share(before, view))
            before = view
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    print(f"{np.mean(shares):.2f} of the pixels move by more than 1 px a frame")


if __name__ == "__main__":
    main()
