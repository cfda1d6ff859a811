"""How the publishers of pictures lay out their files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mmdream.data.matlab import read_file_list
from mmdream.data.tree import IMAGE_SUFFIXES, FileTree, SourceFile, match_paths

IMAGE_SUFFIX_PATTERN = rf"(?:{'|'.join(re.escape(ending) for ending in IMAGE_SUFFIXES)})"
WORDNET_ID = r"n\d{8}"


def read_wordnet(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Pictures in folders named by a WordNet id, or under names that begin with one."""
    seen = set()
    for wanted in (
        rf"({WORDNET_ID})(?:-[^/]*)?/(?:images/)?[^/]*{IMAGE_SUFFIX_PATTERN}",
        rf"({WORDNET_ID})_[^/]*{IMAGE_SUFFIX_PATTERN}",
    ):
        for path, match in match_paths(trees, wanted):
            if path not in seen:
                seen.add(path)
                yield SourceFile(path, match[1])


def read_stanford_dogs(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``Images/WNID-breed/*.jpg``; the publisher's lists tell training from test, where they are there."""
    parts = {
        name: part
        for part, wanted in (("train", r"train_list\.mat"), ("test", r"test_list\.mat"))
        for path, _ in match_paths(trees, wanted)
        for name in (entry.rpartition("/")[2] for entry in read_file_list(path))
    }
    for path, match in match_paths(trees, rf"({WORDNET_ID})-[^/]*/[^/]*{IMAGE_SUFFIX_PATTERN}"):
        yield SourceFile(path, match[1], fold=parts.get(path.name, ""))


def read_tiny_imagenet(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``train/WNID/images`` and ``val/images`` with its table, or both as ``WNID/*``."""
    for path, match in match_paths(trees, rf"({WORDNET_ID})/(?:images/)?[^/]*{IMAGE_SUFFIX_PATTERN}"):
        yield SourceFile(path, match[1], fold="validation" if path.name.startswith("val_") else "train")
    labels = {
        cells[0]: cells[1]
        for path, _ in match_paths(trees, r"val/val_annotations\.txt")
        for line in path.read_text("utf-8", "replace").splitlines()
        if len(cells := line.split("\t")) > 1
    }
    for path, _ in match_paths(trees, rf"val/images/[^/]*{IMAGE_SUFFIX_PATTERN}"):
        if path.name in labels:
            yield SourceFile(path, labels[path.name], fold="validation")
