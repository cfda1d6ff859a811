"""Show whether a network's strides leave a grid in its gradients.

    python scripts/gradient_spectrum.py PICTURE ... [--net dreamnet] [--weights FILE] [--plot spectrum.png]

The gradient of each rung's energy on squares out of the pictures, windowed; its mean power at the frequencies
of the strides (multiples of 1/2, 1/4, 1/8 and 1/16 of a cycle a pixel, in either direction) over the median
power around them; beside it the same for the pictures themselves. A grid of dots shows as a peak. And the
cosine between tiled and untiled gradients. Prints one JSON object; the plot is the log power of each rung.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from mmdream.image.gradient import build_gradient
from mmdream.image.tiles import apply_tiled
from mmdream.media import image
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.settings.targets import Objective, Term

SIDE = 256
STRIDES = (2, 4, 8, 16)
RING = 3
"""Bins around a frequency that its background is taken from."""


def main() -> None:
    """Measure, print and draw."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("pictures", type=Path, nargs="+")
    options.add_argument("--net", default="dreamnet")
    options.add_argument("--weights")
    options.add_argument("--plot", type=Path)
    chosen = options.parse_args()
    network = load_network(load_card(chosen.net), chosen.weights)
    squares = [square for path in chosen.pictures for square in cut_squares(image.read_image(path))]
    spectra = {"pictures": np.mean([power_spectrum(square) for square in squares], 0)}
    tiled = {}
    large = image.read_image(chosen.pictures[0])[: 2 * SIDE, : 2 * SIDE]
    for rung in network.card.rungs:
        gradient = build_gradient(network, Objective((Term("layer", rung.layer),), (1.0,)))
        spectra[rung.layer] = np.mean([power_spectrum(gradient(square)) for square in squares], 0)
        whole, sewed = gradient(large).ravel(), apply_tiled(gradient, large, core=SIDE).ravel()
        tiled[rung.layer] = round(float(whole @ sewed / np.linalg.norm(whole) / np.linalg.norm(sewed)), 4)
    peaks = {
        name: {f"1/{stride}": peak_ratio(p, stride) for stride in STRIDES} for name, p in spectra.items()
    }
    print(json.dumps({"squares": len(squares), "peaks": peaks, "tiled_cosine": tiled}, indent=1))
    if chosen.plot is not None:
        draw_spectra(chosen.plot, spectra)


def cut_squares(rgb: np.ndarray) -> list[np.ndarray]:
    """Squares side by side."""
    height, width = rgb.shape[:2]
    corners = [(y, x) for y in range(0, height - SIDE + 1, SIDE) for x in range(0, width - SIDE + 1, SIDE)]
    return [np.ascontiguousarray(rgb[y : y + SIDE, x : x + SIDE]) for y, x in corners]


def power_spectrum(picture: np.ndarray) -> np.ndarray:
    """Power of a square's brightness, over its sum, float64 [SIDE, SIDE], frequency 0 in the middle."""
    window = np.hanning(SIDE)[:, None] * np.hanning(SIDE)
    grey = picture.mean(axis=2)
    found = np.fft.fftshift(np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2)
    return found / found.sum()


def peak_ratio(spectrum: np.ndarray, stride: int) -> float:
    """Largest ratio of the power at a stride's frequencies to the median of the power around them."""
    found = []
    middle = SIDE // 2
    harmonics = range(-(stride // 2), stride // 2 + 1)
    for down in harmonics:
        for right in harmonics:
            if down % 2 == right % 2 == 0:  # A smaller stride's.
                continue
            y, x = ((middle + h * SIDE // stride) % SIDE for h in (down, right))
            rows = np.arange(y - RING, y + RING + 1) % SIDE
            columns = np.arange(x - RING, x + RING + 1) % SIDE
            around = spectrum[np.ix_(rows, columns)]
            found.append(around[RING, RING] / np.median(around))
    return round(float(max(found)), 2)


def draw_spectra(path: Path, spectra: dict[str, np.ndarray]) -> None:
    """Log power, black to white over seven decades, side by side."""
    tiles = []
    for name, spectrum in spectra.items():
        shade = np.clip((np.log10(spectrum / spectrum.max()) + 7) / 7, 0, 1)
        tile = cv2.cvtColor((255 * shade).astype(np.uint8), cv2.COLOR_GRAY2BGR)
        tiles.append(cv2.putText(tile, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (80, 220, 255), 1))
    cv2.imwrite(str(path), np.hstack(tiles))


if __name__ == "__main__":
    main()
