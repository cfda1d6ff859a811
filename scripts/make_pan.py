"""Make a slow pan over a photograph: a film without sound, to see whether carried detail stays sharp.

    python scripts/make_pan.py PHOTO OUT.mp4 [--frames 240] [--speed 1.1]

The camera moves right and a little down by fractions of a pixel, so that every frame is interpolated anew
from the photograph and none from the frame before.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from mmdream.media import image

SIZE, RATE = (640, 360), 25
"""Width and height in px; frames a second."""


def main() -> None:
    """Write the film."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--speed", type=float, default=1.1, help="px of the film a frame")
    args = parser.parse_args()
    photo = image.read_image(args.photo)
    width, height = SIZE
    # As large as the camera's way allows: the film's last frame ends at the photograph's right edge.
    way = np.array([args.speed, args.speed / 6]) * (args.frames - 1)
    zoom = max((width + way[0]) / photo.shape[1], (height + way[1]) / photo.shape[0])
    with av.open(str(args.out), "w") as film:
        stream = film.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(args.frames):
            x, y = (args.speed * number / zoom, args.speed / 6 * number / zoom)
            back = np.array([[1 / zoom, 0, x], [0, 1 / zoom, y]], np.float32)
            view = cv2.warpAffine(
                photo, back, SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
            )
            frame = av.VideoFrame.from_ndarray(
                np.rint(np.clip(view, 0, 1) * 255).astype(np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


if __name__ == "__main__":
    main()
