"""How the publishers of pictures lay out their files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mmdream.data.matlab import listed
from mmdream.data.tree import PICTURES, Item, Tree, matching

ENDING = rf"(?:{'|'.join(re.escape(ending) for ending in PICTURES)})"
WNID = r"n\d{8}"


def wordnet(trees: Sequence[Tree]) -> Iterator[Item]:
    """Pictures in folders named by a WordNet id, or under names that begin with one."""
    seen = set()
    for wanted in (rf"({WNID})(?:-[^/]*)?/(?:images/)?[^/]*{ENDING}", rf"({WNID})_[^/]*{ENDING}"):
        for path, match in matching(trees, wanted):
            if path not in seen:
                seen.add(path)
                yield Item(path, match[1])


def stanford_dogs(trees: Sequence[Tree]) -> Iterator[Item]:
    """``Images/WNID-breed/*.jpg``; the publisher's lists tell training from test, where they are there."""
    parts = {
        name: part
        for part, wanted in (("train", r"train_list\.mat"), ("test", r"test_list\.mat"))
        for path, _ in matching(trees, wanted)
        for name in (entry.rpartition("/")[2] for entry in listed(path))
    }
    for path, match in matching(trees, rf"({WNID})-[^/]*/[^/]*{ENDING}"):
        yield Item(path, match[1], fold=parts.get(path.name, ""))


def tiny_imagenet(trees: Sequence[Tree]) -> Iterator[Item]:
    """``train/WNID/images`` and ``val/images`` with its table, or both as ``WNID/*``."""
    for path, match in matching(trees, rf"({WNID})/(?:images/)?[^/]*{ENDING}"):
        yield Item(path, match[1], fold="validation" if path.name.startswith("val_") else "train")
    labels = {
        cells[0]: cells[1]
        for path, _ in matching(trees, r"val/val_annotations\.txt")
        for line in path.read_text("utf-8", "replace").splitlines()
        if len(cells := line.split("\t")) > 1
    }
    for path, _ in matching(trees, rf"val/images/[^/]*{ENDING}"):
        if path.name in labels:
            yield Item(path, labels[path.name], fold="validation")
