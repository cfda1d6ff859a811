"""What one pass over a film and its dreams gives: a row of figures a frame, and one a pair of frames.

`measure_film.py` tells what each figure means and gathers them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.media.video_reader import Frame

LAGS = (1, 5, 10)
SCORED_EVERY = 4

Rows = list[dict[str, float]]


@dataclass
class Figures:
    """What one dream gave, a row a frame and a row a pair; a missing key was not measured there."""

    frames: Rows = field(default_factory=list)
    pairs: dict[int, Rows] = field(default_factory=lambda: {lag: [] for lag in LAGS})
    ghosts: list[tuple[int, float]] = field(default_factory=list)
    deviations: list[tuple[float, float]] = field(default_factory=list)
    """Frames of a shot, mean deviation."""


class Spread:
    """Standard deviation of each pixel over the frames of a shot (Welford), in flat memory."""

    def __init__(self) -> None:
        """No frame yet."""
        self.count, self.mean, self.square = 0, np.float32(0), np.float32(0)

    def add(self, detail: np.ndarray) -> None:
        """Take a frame in."""
        self.count += 1
        apart = detail - self.mean
        self.mean = self.mean + apart / np.float32(self.count)
        self.square = self.square + apart * (detail - self.mean)

    def result(self) -> tuple[float, float]:
        """Frames, and the mean deviation of their pixels."""
        return float(self.count), float(np.sqrt(self.square / max(1, self.count)).mean())


def visible_flow(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Backward flow [H, W, 2] in px and where it holds, bool [H, W], for uint8 grey frames."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = dis.calc(current, previous, None), dis.calc(previous, current, None)
    x, y = source_positions(back)
    returned = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    square = squared_length(back)
    agree = squared_length(returned + back) < 0.01 * (square + squared_length(returned)) + 0.5
    slopes = sum(squared_length(cv2.Sobel(back, cv2.CV_32F, dx, 1 - dx, ksize=1, scale=0.5)) for dx in (0, 1))
    height, width = current.shape
    within = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    return back, agree & (slopes <= 0.01 * square + 0.002) & within


def squared_length(vectors: np.ndarray) -> np.ndarray:
    """Squared length, [H, W]."""
    return vectors[..., 0] ** 2 + vectors[..., 1] ** 2


def source_positions(back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel came from, x and y, float32 [H, W]."""
    height, width = back.shape[:2]
    return (
        np.arange(width, dtype=np.float32)[None] + back[..., 0],
        np.arange(height, dtype=np.float32)[:, None] + back[..., 1],
    )


def warp(rgb: np.ndarray, at: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """A frame fetched along a flow, cubic."""
    return cv2.remap(rgb, *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def to_luma(rgb: np.ndarray) -> np.ndarray:
    """uint8 luma."""
    return np.rint(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values), dtype=np.float64)))


def high_pass(rgb: np.ndarray) -> float:
    """RMS of what a Gaussian blur of sigma 1.5 px takes away."""
    return rms(rgb - cv2.GaussianBlur(rgb, (0, 0), 1.5))


def chroma(rgb: np.ndarray) -> float:
    """Mean length of (Cb, Cr)."""
    ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    return float(np.hypot(ycc[..., 1] - 0.5, ycc[..., 2] - 0.5).mean())


def read_aligned(source: Iterator[Frame], dreams: list[Iterator[Frame]], width: int | None) -> Iterator:
    """Source frame, its picture, and the dreams' pictures, shrunk to `width` px where that is smaller.

    Raises:
        UserError: the films differ in size or frame count.
    """

    def shrink(frame: Frame) -> np.ndarray:
        height, wide = frame.rgb.shape[:2]
        if width is None or width >= wide:
            return frame.rgb
        size = (width, max(1, round(height * width / wide)))
        return cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)

    number = 0
    while True:
        row = [next(film, None) for film in (source, *dreams)]
        if all(frame is None for frame in row):
            return
        if any(frame is None for frame in row):
            raise UserError(f"the films differ in length: one ends at frame {number}; use --start and --end")
        if len({frame.rgb.shape for frame in row}) > 1:
            raise UserError(f"the films differ in size: {[frame.rgb.shape[1::-1] for frame in row]}")
        yield row[0], shrink(row[0]), [shrink(frame) for frame in row[1:]]
        number += 1


def measure_dreams(
    films: Iterator,
    firsts: list[int],
    objective: Callable[[np.ndarray], float],
    count: int,
    wide: float,
    every: int,
) -> list[Figures]:
    """All rows of all dreams; flow and the source's own figures are measured once for all of them.

    Args:
        films: what `read_aligned` gives.
        firsts: the first frame of each shot.
        objective: of a picture.
        count: number of dreams.
        wide: width of the comparison over the film's: 1 px of the film in px here.
        every: one pair in so many is measured at lags above 1.
    """
    found = [Figures() for _ in range(count)]
    spreads = [Spread() for _ in range(count)]
    past: deque[tuple[np.ndarray, np.ndarray, list[np.ndarray]]] = deque(maxlen=max(LAGS))
    for number, (frame, rgb, dreams) in enumerate(films):
        seconds = float(frame.seconds)
        details = [dream - rgb for dream in dreams]
        shot = firsts[bisect_right(firsts, number) - 1]
        if shot == number and number:
            for figures, spread, detail, before in zip(found, spreads, details, past[-1][2], strict=True):
                figures.ghosts.append((number, float(np.corrcoef(before.ravel(), detail.ravel())[0, 1])))
                figures.deviations.append(spread.result())
            spreads = [Spread() for _ in range(count)]
            past.clear()
        light, still = to_luma(rgb), {"saturation_source": chroma(rgb), "sharpness_source": high_pass(rgb)}
        base = objective(rgb) if number % SCORED_EVERY == 0 else None
        moving: np.ndarray | None = None
        for lag in LAGS:
            if len(past) < lag or (lag > 1 and number % every):
                continue
            then_light, then_rgb, then_details = past[-lag]
            back, valid = visible_flow(then_light, light)
            if lag == 1:
                moving = squared_length(back) > wide**2
            visible = float(valid.mean())
            at, weight = source_positions(back), valid[..., None]
            own = (rgb - warp(then_rgb, at)) * weight
            for figures, detail, then in zip(found, details, then_details, strict=True):
                left = (detail - warp(then, at)) * weight
                # The dream is source plus detail, and warping is linear: no third picture to warp.
                row = {"error": rms(left), "detail": rms(detail * weight), "dream": rms(left + own)}
                figures.pairs[lag].append({**row, "number": number, "visible": visible, "source": rms(own)})
        for figures, spread, detail, dream in zip(found, spreads, details, dreams, strict=True):
            size = np.abs(detail)
            row = still | {
                "seconds": seconds,
                "strength": float(size.mean()),
                "sharpness_detail": high_pass(detail),
                "sharpness_dream": high_pass(dream),
                "saturation_dream": chroma(dream),
                "luma": float(detail.mean(axis=(0, 1)) @ (0.299, 0.587, 0.114)),
            }
            if moving is not None:
                row |= {"moving_sum": float(size[moving].sum()) / 3, "moving_count": float(moving.sum())}
                row["moving_share"] = float(moving.mean())
            if base is not None:
                row |= {"objective": objective(dream), "objective_source": base}
            figures.frames.append(row)
            spread.add(detail)
        past.append((light, rgb, details))
    for figures, spread in zip(found, spreads, strict=True):
        figures.deviations.append(spread.result())
    return found
