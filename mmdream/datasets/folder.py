"""A data set on the disk: a folder of classes, or a prepared set with its manifest; and how it is split.

Any folder ``CLASS/*.jpg|png|wav|flac|ogg|mp3`` is a data set. A prepared one has its files in
``input/CLASS/*``, a line for each in ``manifest.tsv``, and in ``dataset.json`` which set it is.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import msgspec

from mmdream.core.errors import UserError
from mmdream.core.files import write_atomically

MEDIA_SUFFIXES = {"picture": (".jpg", ".jpeg", ".png", ".webp"), "sound": (".wav", ".flac", ".ogg", ".mp3")}
"""Of the files of each medium, in lower case."""
TABLE_FILE, INFO_FILE, INPUT_FOLDER = "manifest.tsv", "dataset.json", "input"
MAX_NAME_LENGTH = 255
"""Characters; a folder cannot be called by more."""
TEST_SHARE = 0.2
"""Of the examples that are kept from training, where the set does not say which."""


@dataclass(frozen=True, slots=True)
class Example:
    """One file and its class."""

    file: Path
    label: int
    """Place of its class among the set's."""
    fold: str = ""
    """The publisher's fold, or its part: train, validation, test; empty: none."""
    group: str = ""
    """Speaker or recording; examples of one group are never divided. Empty: it stands alone."""


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One file of a prepared set; the names of the fields are the table's headings."""

    file: str
    """Below the set's folder, with slashes: ``input/CLASS/NAME``."""
    label: str
    fold: str
    group: str
    licence: str
    source: str
    bytes: int
    sha256: str
    origin: str
    """SHA-256 of the publisher's file; another one where pictures were made smaller."""


@dataclass(frozen=True)
class DatasetInfo:
    """What a prepared set says of itself; the names of the fields are the file's keys."""

    name: str
    variant: str
    medium: str
    split: str
    classes: tuple[str, ...]
    licence: str
    citation: str


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
    info: DatasetInfo | None
    """None: not prepared, which means that there is no cache beside its files."""

    def counts(self) -> dict[str, int]:
        """Examples of each class."""
        counts = Counter(self.classes[example.label] for example in self.examples)
        return {name: counts[name] for name in self.classes}


def read_dataset(folder: Path) -> Dataset:
    """Read which examples a folder has; a UserError: no folder, nothing in it, or pictures beside sounds."""
    if not folder.exists():
        raise UserError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise UserError(f"{folder}: is a file; give a folder that has one folder for each class")
    return _read_prepared(folder) if is_prepared(folder) else _read_class_folders(folder)


def _read_prepared(folder: Path) -> Dataset:
    info, rows = read_manifest(folder)
    # A class without files cannot be learned.
    labels = {row.label for row in rows}
    classes = tuple(name for name in info.classes if name in labels)
    index = {name: number for number, name in enumerate(classes)}
    examples = (Example(folder / row.file, index[row.label], row.fold, row.group) for row in rows)
    return Dataset(info.name, folder, info.medium, classes, tuple(examples), info.split, info)


def _read_class_folders(folder: Path) -> Dataset:
    class_folders = list_class_folders(folder)
    paths = [path for class_folder in class_folders for path in sorted(class_folder.iterdir())]
    paths = [path for path in paths if not path.name.startswith(".") and path.is_file()]
    files = {
        medium: [path for path in paths if path.suffix.lower() in suffixes]
        for medium, suffixes in MEDIA_SUFFIXES.items()
    }
    media = [medium for medium, paths in files.items() if paths]
    if not media:
        suffixes = " ".join(suffix for suffixes in MEDIA_SUFFIXES.values() for suffix in suffixes)
        raise UserError(f"{folder}: no class folders with pictures or sounds in it ({suffixes})")
    if len(media) > 1:
        raise UserError(f"{folder}: has pictures and sounds; keep them in two folders")
    classes = tuple(sorted({path.parent.name for path in files[media[0]]}))
    index = {name: number for number, name in enumerate(classes)}
    examples = tuple(Example(path, index[path.parent.name]) for path in files[media[0]])
    return Dataset(folder.resolve().name, folder, media[0], classes, examples, "file", None)


def list_class_folders(folder: Path) -> list[Path]:
    """The folders that stand for classes, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def counts_to_json(counts: dict[str, tuple[int, int]]) -> dict[str, dict[str, int | None]]:
    """Files found and expected of each class, for ``--json``; 0 expected: not known."""
    return {
        name: {"files": count, "expected": expected or None} for name, (count, expected) in counts.items()
    }


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds a prepared set."""
    return (folder / INFO_FILE).is_file()


def write_manifest(folder: Path, info: DatasetInfo, rows: Sequence[ManifestRow]) -> None:
    """Write table and description into a set's folder; no cell of the rows may hold a tab or a line's end."""
    table = ["\t".join(field.name for field in fields(ManifestRow))]
    table += ["\t".join(map(str, astuple(row))) for row in rows]
    # The table first: a folder without description is not prepared.
    write_atomically(folder / TABLE_FILE, ("\n".join(table) + "\n").encode())
    text = json.dumps(asdict(info), indent=2, ensure_ascii=False)
    write_atomically(folder / INFO_FILE, f"{text}\n".encode())


def read_manifest(folder: Path) -> tuple[DatasetInfo, list[ManifestRow]]:
    """Read description and table; a UserError: they are damaged, or name files outside of the set."""
    try:
        info = msgspec.json.decode((folder / INFO_FILE).read_bytes(), type=DatasetInfo)
        for name in (info.name, info.variant, info.medium, info.split, *info.classes):
            if not name.isprintable() or len(name) > MAX_NAME_LENGTH:
                raise ValueError(f"{name[:MAX_NAME_LENGTH]!r} is no name")
        if info.medium not in MEDIA_SUFFIXES:
            raise ValueError(f"{info.medium!r} is no medium")
        head, *table = (folder / TABLE_FILE).read_text("utf-8").rstrip("\n").split("\n")
        if head.split("\t") != [field.name for field in fields(ManifestRow)]:
            raise ValueError("another first line")
        rows = [_parse_row(line.split("\t"), info.classes) for line in table]
    except (OSError, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise UserError(
            f"{folder}: its {TABLE_FILE} or {INFO_FILE} is damaged ({error}); prepare the set again elsewhere"
        ) from error
    return info, rows


def _parse_row(cells: list[str], classes: tuple[str, ...]) -> ManifestRow:
    file, label, fold, group, licence, source, size, sha256, origin = cells
    folder, class_folder, name = file.split("/")
    # Names that are ones on any system, and lead nowhere.
    safe = not any(each in ("", ".", "..") or set(each) & set("/\\:\0") for each in (label, name))
    if (folder, class_folder) != (INPUT_FOLDER, label) or label not in classes or not safe:
        raise ValueError(f"it names {file!r} of {label!r}")
    return ManifestRow(file, label, fold, group, licence, source, int(size), sha256, origin)


def split_examples(
    dataset: Dataset, fold: str | None = None, share: float = TEST_SHARE, seed: int = 0
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Examples to train on, and examples to test on, with no speaker or recording in both.

    Tested is on the `fold`; None: on the last one, or the publisher's test part, or else its validation part;
    where there are none, on a `share` of each class, drawn by `seed`. A UserError: no such fold, or too few.
    """
    folds = {example.fold for example in dataset.examples}
    if fold is not None and fold not in folds - {""}:
        existing = ", ".join(sorted(folds - {""})) or "none"
        raise UserError(f'{dataset.name} has no fold "{fold}"; it has {existing}')
    if fold is None and dataset.split in ("fold", "publisher") and len(folds) > 1:
        parts = [part for part in ("test", "validation") if part in folds]
        numbers = sorted(filter(str.isdecimal, folds), key=int)
        fold = parts[0] if parts else numbers[-1] if len(numbers) > 1 else None
    if fold is not None:
        test = {example for example in dataset.examples if example.fold == fold}
    else:
        test = _draw_groups(dataset, share, seed)
    if not test:
        raise UserError(
            f"{dataset.name}: too few files to keep some from training; each class needs two, of two groups"
        )
    return (
        tuple(example for example in dataset.examples if example not in test),
        tuple(example for example in dataset.examples if example in test),
    )


def _draw_groups(dataset: Dataset, share: float, seed: int) -> set[Example]:
    """Whole groups, drawn until each class has its share; one group of a class always stays."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in dataset.examples:
        groups[example.group or str(example.file)].append(example)
    # The class of a group is the one that most of it are of.
    by_class: dict[int, list[str]] = defaultdict(list)
    for name in sorted(groups, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest()):
        by_class[Counter(example.label for example in groups[name]).most_common(1)[0][0]].append(name)
    totals = Counter(example.label for example in dataset.examples)
    drawn: set[Example] = set()
    counts: Counter[int] = Counter()
    for label, names in by_class.items():
        for name in names[:-1]:
            if counts[label] >= share * totals[label]:
                break
            drawn |= set(groups[name])
            counts += Counter(example.label for example in groups[name])
    return drawn
