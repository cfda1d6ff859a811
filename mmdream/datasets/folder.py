"""Any folder ``CLASS/*.jpg|png|wav|flac|ogg|mp3`` is a data set; a prepared one knows what to keep apart."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.datasets import manifest
from mmdream.datasets.layouts import MEDIA_SUFFIXES
from mmdream.datasets.manifest import DatasetInfo


@dataclass(frozen=True, slots=True)
class Example:
    """One file and what it is."""

    file: Path
    label: int
    """Place of its class among the set's."""
    fold: str = ""
    """The publisher's fold, or its part: train, validation, test; empty: none."""
    group: str = ""
    """Speaker or recording; examples of one group are never divided. Empty: it stands alone."""


@dataclass(frozen=True)
class Dataset:
    """A set that can be looked at, checked and trained on."""

    name: str
    folder: Path
    medium: str
    """picture or sound."""
    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    split: str
    """fold, speaker, source, publisher or file; see `mmdream.datasets.card.SplitKind`."""
    about: DatasetInfo | None
    """What a prepared set says of itself; what is made of its files may be kept beside them. None: not
    prepared."""

    def counts(self) -> dict[str, int]:
        """Examples of each class."""
        found = dict.fromkeys(self.classes, 0)
        for example in self.examples:
            found[self.classes[example.label]] += 1
        return found


def read_dataset(folder: Path) -> Dataset:
    """Look at a folder.

    Raises:
        UserError: no such folder, nothing in it that could be a set, or pictures beside sounds.
    """
    if not folder.exists():
        raise UserError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise UserError(f"{folder}: is a file; give a folder that has one folder for each class")
    return _read_prepared(folder) if manifest.is_prepared(folder) else _read_class_folders(folder)


def _read_prepared(folder: Path) -> Dataset:
    """A set with a table."""
    about, rows = manifest.read_manifest(folder)
    # A class of which nothing was found is none that could be learned.
    having = {row.label for row in rows}
    classes = tuple(name for name in about.classes if name in having)
    place = {name: number for number, name in enumerate(classes)}
    examples = (Example(folder / row.file, place[row.label], row.fold, row.group) for row in rows)
    return Dataset(about.name, folder, about.medium, classes, tuple(examples), about.split, about)


def _read_class_folders(folder: Path) -> Dataset:
    """A set without: every folder in it is a class."""
    found = {medium: list(_list_examples(folder, endings)) for medium, endings in MEDIA_SUFFIXES.items()}
    media = [medium for medium, examples in found.items() if examples]
    if not media:
        every = " ".join(ending for endings in MEDIA_SUFFIXES.values() for ending in endings)
        raise UserError(f"{folder}: no class folders with pictures or sounds in it ({every})")
    if len(media) > 1:
        raise UserError(f"{folder}: has pictures and sounds; keep them in two folders")
    (medium,) = media
    classes = tuple(sorted({name for name, _ in found[medium]}))
    place = {name: number for number, name in enumerate(classes)}
    examples = tuple(Example(path, place[name]) for name, path in found[medium])
    return Dataset(folder.resolve().name, folder, medium, classes, examples, "file", None)


def _list_examples(folder: Path, endings: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """The files of one medium, with their classes, sorted."""
    for home in list_class_folders(folder):
        for path in sorted(home.iterdir()):
            if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file():
                yield home.name, path


def list_class_folders(folder: Path) -> list[Path]:
    """The folders that stand for classes, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


pass

TEST_SHARE = 0.2
"""Of the examples that are kept from training, where the set does not say which."""


def split_examples(
    of: Dataset, fold: str | None = None, share: float = TEST_SHARE, seed: int = 0
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Examples to train on, and examples to test on, with no speaker or recording in both.

    Args:
        of: the set.
        fold: the fold or part to test on; None: the last fold, or the publisher's test part, or else its
            validation part.
        share: of the examples of each class to test on, where there are no folds.
        seed: which groups or files these are.

    Raises:
        UserError: the set has no such fold, or too few groups.
    """
    folds = {example.fold for example in of.examples}
    if fold is not None and fold not in folds - {""}:
        having = ", ".join(sorted(folds - {""})) or "none"
        raise UserError(f'{of.name} has no fold "{fold}"; it has {having}')
    if fold is None and of.split in ("fold", "publisher"):
        fold = _default_fold(folds)
    if fold is not None:
        held = {example for example in of.examples if example.fold == fold}
    else:
        held = _draw_groups(of, share, seed)
    if not held:
        raise UserError(
            f"{of.name}: too few files to keep some from training; each class needs two, of two groups"
        )
    return (
        tuple(example for example in of.examples if example not in held),
        tuple(example for example in of.examples if example in held),
    )


def _default_fold(folds: set[str]) -> str | None:
    """The fold to test on; None: the files that are there are all of one."""
    for part in ("test", "validation"):
        if part in folds and len(folds) > 1:
            return part
    numbers = sorted((each for each in folds if each.isdecimal()), key=int)
    return numbers[-1] if len(numbers) > 1 else None


def _draw_groups(of: Dataset, share: float, seed: int) -> set[Example]:
    """Whole groups, drawn until each class has its share; one group of a class always stays."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in of.examples:
        groups[example.group or str(example.file)].append(example)
    homes: dict[int, list[str]] = defaultdict(list)
    for name in sorted(groups, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest()):
        homes[_majority_label(groups[name])].append(name)
    totals = Counter(example.label for example in of.examples)
    held: set[Example] = set()
    counts: Counter[int] = Counter()
    for label, names in homes.items():
        for name in names[:-1]:
            if counts[label] >= share * totals[label]:
                break
            held |= set(groups[name])
            counts += Counter(example.label for example in groups[name])
    return held


def _majority_label(examples: Sequence[Example]) -> int:
    """The class that most of a group are of."""
    return Counter(example.label for example in examples).most_common(1)[0][0]
