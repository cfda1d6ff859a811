"""Measure how strong a dream is where a film fades, and where it is only plain, frame by frame.

    python scripts/measure_fades.py PHOTO OTHER [--rows 180] [--plot OUT.png] [--json]

Films without sound are made of two photographs, in a temporary folder, and dreamed with the default settings:

sky to meadow   the camera tilts down from a bright, plain sky (deviation of luma .03) to the photograph
from black, to black, to white, to grey   the photograph, in a slow pan, fades in or out within a second
flash           two white frames in the pan
dissolve        the pan dissolves into the other photograph within a second
sky dissolves   the sky dissolves into the photograph
fading sky      the sky itself fades to black

Told is strength over room, mean |dream - source| over `measure_room` of the source: of the plain sky over the
photograph's in the first film, and of every film by fifths of a second. Runs with any version of mmdream,
that of the Python it is started with.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from mmdream.analysis.optical_flow import to_gray
from mmdream.analysis.shots import scan_frames
from mmdream.core.events import EventSink
from mmdream.core.rng import rng_for
from mmdream.media import image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.render.frames import FramePipeline
from mmdream.render.temporal import measure_room
from mmdream.settings.recipe import Recipe

RATE = 25
SKY_COLOR, SKY_DEVIATION = (0.72, 0.82, 0.93), 0.03
PAN = 0.6
"""px a frame, at 180 rows."""


def make_sky(height: int, width: int) -> np.ndarray:
    """A bright sky, lighter towards the horizon, with faint clouds, float32 [height, width, 3]."""
    clouds = cv2.GaussianBlur(rng_for(0, "clouds").standard_normal((height, width)), (0, 0), height / 12)
    light = clouds / clouds.std() + 1.5 * np.linspace(-1, 1, height)[:, None]
    light *= SKY_DEVIATION / light.std()
    return np.float32(np.clip(np.array(SKY_COLOR) + light[..., None], 0, 1))


class Scenes:
    """What the films show, at so many rows of 16:9."""

    def __init__(self, photo: np.ndarray, other: np.ndarray, rows: int) -> None:
        """Read two photographs, float32 RGB."""
        self.rows, self.columns = rows, round(rows * 8 / 9) * 2
        self.sky, self.photo, self.other = make_sky(rows, self.columns), photo, other

    def pan(self, photo: np.ndarray, number: int) -> np.ndarray:
        """The photograph, as the camera moves over it."""
        zoom = max(1.25 * self.columns / photo.shape[1], 1.1 * self.rows / photo.shape[0])
        way = PAN * self.rows / 180 * number
        place = np.array([[1 / zoom, 0, way / zoom], [0, 1 / zoom, way / 6 / zoom]], np.float32)
        manner = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
        smooth = cv2.GaussianBlur(photo, (0, 0), max(0.3, 0.4 / zoom))
        return cv2.warpAffine(
            smooth, place, (self.columns, self.rows), flags=manner, borderMode=cv2.BORDER_REFLECT
        )

    def tilt(self, number: int) -> np.ndarray:
        """A second of sky, two on the way down, one of the photograph."""
        tall = np.concatenate([self.sky, self.pan(self.photo, 0)])
        share = np.clip((number - RATE) / (2 * RATE), 0, 1)
        top = self.rows * (share * share * (3 - 2 * share))
        place = np.array([[1, 0, 0], [0, 1, top]], np.float32)
        return cv2.warpAffine(
            tall, place, (self.columns, self.rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )

    def films(self) -> dict[str, Callable[[int], np.ndarray]]:
        """Of each film the frame of a number."""

        def share(number: int) -> float:
            return float(np.clip((number - 2 * RATE) / RATE, 0, 1))

        def fade(level: float) -> Callable[[int], np.ndarray]:
            return lambda k: self.pan(self.photo, k) * (1 - share(k)) + level * share(k)

        return {
            "sky to meadow": self.tilt,
            "from black": lambda k: self.pan(self.photo, k) * np.clip((k - RATE / 2) / RATE, 0, 1),
            "to black": fade(0.0),
            "to white": fade(1.0),
            "to grey": fade(0.5),
            "flash": lambda k: self.pan(self.photo, k) if k not in (50, 51) else np.ones_like(self.sky),
            "dissolve": lambda k: (
                self.pan(self.photo, k) * (1 - share(k)) + self.pan(self.other, k) * share(k)
            ),
            "sky dissolves": lambda k: self.sky * (1 - share(k)) + self.pan(self.photo, k) * share(k),
            "fading sky": lambda k: self.sky * (1 - share(k)),
        }


def write_film(path: Path, draw: Callable[[int], np.ndarray], frames: int) -> None:
    """A film of drawn frames, float32 [H, W, 3], 0..1."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=RATE, options={"crf": "12", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            rgb = np.rint(np.clip(draw(number), 0, 1) * 255).astype(np.uint8)
            if number == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def measure_film(path: Path) -> Iterator[dict[str, float]]:
    """Strength over room of each frame, and what the scan says of it."""
    film = probe(path)
    assert film.video is not None
    scan = scan_frames(read_frames(film))
    size = film.video.width, film.video.height
    pipeline = FramePipeline.load(Recipe(), size, EventSink(), scored_every=10**9)
    measurer, previous, states = pipeline.measurer(scan), None, pipeline.initial_states
    firsts = [shot.first for shot in scan.shots]
    for number, frame in enumerate(read_frames(film)):
        if firsts[bisect_right(firsts, number) - 1] == number:
            states = pipeline.initial_states
        context, previous = measurer.measure(frame, number, previous)
        states, dream = pipeline.step(states, frame, context)
        yield {
            "strength": float(np.abs(dream.rgb - frame.rgb).mean()) / measure_room(to_gray(frame.rgb)),
            "presence": scan.presence(number),
            "light": scan.light[number],
            "contrast": float(to_gray(frame.rgb).std()) / 255,
            "shots": float(len(firsts)),
        }


def plot(found: dict[str, list[dict[str, float]]], out: Path) -> None:
    """Draw strength over room, presence and contrast of each film."""
    from matplotlib.figure import Figure

    figure = Figure((12, 2 * len(found)), layout="constrained")
    for place, (name, rows) in zip(figure.subplots(len(found), 1), found.items(), strict=True):
        for key, factor in {"strength": 10, "presence": 1, "contrast": 4}.items():
            place.plot([factor * row[key] for row in rows], label=f"{key} x {factor}")
        place.set_ylabel(name)
        place.set_ylim(0, 2)
    figure.axes[0].legend(loc="upper right", ncols=3)
    figure.savefig(out)


def main() -> None:
    """Tell the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--rows", type=int, default=180)
    parser.add_argument("--plot", type=Path, metavar="OUT.png")
    parser.add_argument("--only", nargs="*", help="films, by name")
    parser.add_argument("--json", action="store_true", help="every frame's figures")
    args = parser.parse_args()
    scenes = Scenes(image.read_image(args.photo), image.read_image(args.other), args.rows)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in scenes.films().items():
            if args.only and name not in args.only:
                continue
            path = Path(folder) / f"{name}.mp4"
            write_film(path, draw, 4 * RATE)
            found[name] = list(measure_film(path))
            strength = np.array([row["strength"] for row in found[name]])
            print(
                f"{name}, {found[name][0]['shots']:.0f} shot(s); strength over room by a fifth of a second:"
            )
            print("  " + " ".join(f"{value:.3f}" for value in strength.reshape(-1, RATE // 5).mean(axis=1)))
            if name == "sky to meadow":
                sky, meadow = strength[:RATE].mean(), strength[-RATE:].mean()
                print(f"  the sky's over the meadow's: {sky / meadow:.2f}; least frame: {strength.min():.3f}")
    if args.plot:
        plot(found, args.plot)
    if args.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
