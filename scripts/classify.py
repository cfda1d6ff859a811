"""Top-1 and top-5 of googlenet and squeezenet on a picture of each of ImageNet's 1000 classes.

A check that weights, channel order, padding and ceil-mode pools are right: with red and blue
exchanged googlenet falls to 57 %. Pictures are prepared as `mmdream classify` does it.

    python scripts/classify.py ../shared/data/imagenet_samples.tar --googlenet FILE.npz
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mmdream.classify.run import image_classifier
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card

NETWORKS = ("googlenet", "squeezenet")


def main() -> None:
    """Print one line per network."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("source", type=Path, help="imagenet_samples.tar, or the folder it was made of")
    options.add_argument("--count", type=int, default=1000, help="so many pictures, evenly chosen")
    for name in NETWORKS:
        options.add_argument(f"--{name}", type=Path, help="weights (default: the card's own)")
    chosen = options.parse_args()
    for name in NETWORKS:
        network = load_network(load_card(name), getattr(chosen, name))
        first, five = accuracy(network, chosen.source, chosen.count)
        print(f"{name}: top-1 {first:.1%}, top-5 {five:.1%} of {chosen.count} pictures", flush=True)


def accuracy(network: Network, source: Path, count: int = 1000) -> tuple[float, float]:
    """Share of pictures whose class comes first, and among the first five."""
    ranks, classify = [], image_classifier(network)
    for label, picture in read_pictures(source, count):
        logits = classify(picture)
        ranks.append(int(np.sum(logits > logits[label])))
    return float(np.mean(np.array(ranks) < 1)), float(np.mean(np.array(ranks) < 5))


def read_pictures(source: Path, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Class (place by WordNet id) and picture, float32 [H, W, 3], RGB 0..1."""
    coded = sorted(read_files(source), key=lambda named: named[0])
    for label in range(0, len(coded), max(1, len(coded) // count)):
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # ImageNet ignores EXIF
        bgr = cv2.imdecode(np.frombuffer(coded[label][1], np.uint8), flags)
        yield label, bgr[..., ::-1].astype(np.float32) / 255


def read_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Name and coded bytes of each picture of the archive, or of the publisher's folder."""
    if source.is_dir():
        for path in source.glob("n*.JPEG"):
            yield path.name, path.read_bytes()
        return
    with tarfile.open(source) as tar:
        for member in tar:
            if (file := tar.extractfile(member)) is not None:
                yield member.name, file.read()


if __name__ == "__main__":
    main()
