"""Top-1 and top-5 of googlenet and squeezenet on a picture of each of ImageNet's 1000 classes.

A check that weights, channel order, padding and ceil-mode pools are right: with red and blue
exchanged GoogLeNet loses 17 points. Protocol "crop": short side to 256, bilinear, then the centre.

    python scripts/classify.py ../shared/data/imagenet_samples.tar --googlenet FILE.npz
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mmdream.networks.card import card
from mmdream.networks.network import Network, load

SIDES = {"googlenet": 224, "squeezenet": 227}
"""Side of the centre crop, px, as each network was trained."""


def main() -> None:
    """Print one line per network."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("archive", type=Path, help="imagenet_samples.tar")
    options.add_argument("--count", type=int, default=1000, help="so many pictures, evenly chosen")
    for name in SIDES:
        options.add_argument(f"--{name}", type=Path, help="weights (default: the card's own)")
    chosen = options.parse_args()
    for name, side in SIDES.items():
        network = load(card(name), getattr(chosen, name))
        first, five = accuracy(network, chosen.archive, side, chosen.count)
        print(f"{name}: top-1 {first:.1%}, top-5 {five:.1%} of {chosen.count} pictures", flush=True)


def accuracy(network: Network, archive: Path, side: int, count: int = 1000) -> tuple[float, float]:
    """Share of pictures whose class comes first, and among the first five."""
    logits = network.head()
    ranks = []
    for label, picture in pictures(archive, side, count):
        answer = np.asarray(logits(picture[None]))[0]
        ranks.append(int(np.sum(answer > answer[label])))
    return float(np.mean(np.array(ranks) < 1)), float(np.mean(np.array(ranks) < 5))


def pictures(archive: Path, side: int, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Class (place by WordNet id) and centre crop, float32 [side, side, 3], RGB 0..1."""
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar if m.isfile()), key=lambda m: m.name)
        for place in range(0, len(members), max(1, len(members) // count)):
            file = tar.extractfile(members[place])
            assert file is not None
            picture = Image.open(io.BytesIO(file.read())).convert("RGB")
            scale = 256 / min(picture.size)
            width, height = (round(length * scale) for length in picture.size)
            left, top = (width - side) // 2, (height - side) // 2
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            picture = picture.crop((left, top, left + side, top + side))
            yield place, np.asarray(picture, np.float32) / 255


if __name__ == "__main__":
    main()
