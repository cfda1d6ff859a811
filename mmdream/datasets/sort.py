"""Files into the folders of their classes: moved if they were unpacked, copied if they are the user's."""

from __future__ import annotations

import filecmp
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import soundfile

from mmdream.core.download import file_digest
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets.card import DatasetCard, DatasetVariant
from mmdream.datasets.layouts import SourceFile
from mmdream.datasets.manifest import INPUT_FOLDER, ManifestRow
from mmdream.media import image


@dataclass(frozen=True)
class PlacedFiles:
    """What became of a set's files."""

    rows: list[ManifestRow]
    """Of all files that the set now has, by their paths."""
    new: int
    left_out: int
    """Files that could not be read, or are not of the variant's length."""


def select_files(
    items: Iterable[SourceFile], about: DatasetCard, choice: DatasetVariant
) -> dict[str, SourceFile]:
    """The files of the variant's classes, by the place that each will have below the set's folder.

    A file that is there twice is taken once; another one of the same name gets a number.
    """
    classes: dict[str, str] = {}
    for each in about.variant_classes(choice):
        classes |= {each.name: each.name, each.label or each.name: each.name}
    found: dict[str, SourceFile] = {}
    taken: dict[str, Path] = {}
    for item in items:
        if item.label in classes:
            place = _assign_path(item, classes[item.label], ".jpg" if about.side else None, taken)
            if place is not None:
                taken[place.lower()] = item.file
                found[place] = item
    return found


def _assign_path(item: SourceFile, label: str, ending: str | None, taken: dict[str, Path]) -> str | None:
    """A name that no file has, in any case of letters; None: the very file is there."""
    name = item.name or item.file.name
    # A name that every system can have and a table can hold.
    plain = Path(re.sub(r"[\s\\\\:]+", " ", name.encode(errors="replace").decode()))
    for number in itertools.count():
        again = f"~{number}" if number else ""
        place = f"{INPUT_FOLDER}/{label}/{plain.stem}{again}{ending or plain.suffix}"
        other = taken.get(place.lower())
        if other is None:
            return place
        if filecmp.cmp(other, item.file, shallow=False):
            return None
    raise AssertionError


def place_files(
    items: dict[str, SourceFile],
    whole: Path,
    about: DatasetCard,
    choice: DatasetVariant,
    before: Sequence[ManifestRow],
    work: Path,
    listener: EventSink,
) -> PlacedFiles:
    """Put files where they belong; those that are there already stay.

    Args:
        items: by their places below `whole`.
        whole: the set's folder.
        about: its card.
        choice: of its variants.
        before: what the set holds.
        work: files below it may be moved, others are copied.
        listener: told the files that are done.
    """
    rows = {row.file: row for row in before if (whole / row.file).is_file()}
    new = left_out = 0
    for number, (place, item) in enumerate(items.items(), 1):
        try:
            origin = _hash_source(item.file)
            old = rows.get(place)
            if old is None or old.origin != origin or old.bytes != (whole / place).stat().st_size:
                if not _has_length(item.file, choice):
                    left_out += 1
                    continue
                _place_file(item.file, whole / place, about.side, move=work in item.file.parents)
                new += 1
            rows[place] = _make_row(item, place, whole, about, origin)
        except _UnreadableFile:
            left_out += 1
        listener.progress("sorting", number, len(items))
    return PlacedFiles([rows[place] for place in sorted(rows)], new, left_out)


class _UnreadableFile(Exception):
    """A file of the publisher's that cannot be read."""


def _hash_source(file: Path) -> str:
    """SHA-256 of a publisher's file."""
    try:
        return file_digest(file, "sha256")
    except OSError as error:
        raise _UnreadableFile from error


def _make_row(item: SourceFile, place: str, whole: Path, about: DatasetCard, origin: str) -> ManifestRow:
    """A line of the table for a file that has its place."""
    return ManifestRow(
        place,
        place.split("/")[1],
        item.fold,
        _clean_cell(item.group),
        _clean_cell(item.licence or about.licence),
        _clean_cell(item.source or about.publisher),
        (whole / place).stat().st_size,
        file_digest(whole / place, "sha256") if about.side else origin,
        origin,
    )


def _has_length(file: Path, choice: DatasetVariant) -> bool:
    """Whether a sound has the length that the variant asks for."""
    if choice.seconds is None:
        return True
    try:
        told = soundfile.info(file)
    except soundfile.SoundFileError as error:
        raise _UnreadableFile from error
    return bool(abs(told.frames / told.samplerate - choice.seconds) < 0.005)


def _place_file(file: Path, target: Path, side: int | None, move: bool) -> None:
    """Give a file its place, in one moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if move and side is None:
        os.replace(file, target)
        return
    draft = target.with_name(f".draft{target.suffix}")
    try:
        if side is None:
            shutil.copyfile(file, draft)
        else:
            image.write_image(draft, crop_square(_read_source_image(file), side))
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _read_source_image(file: Path) -> np.ndarray:
    try:
        return image.read_image(file)
    except UserError as error:
        raise _UnreadableFile from error


def crop_square(rgb: np.ndarray, side: int) -> np.ndarray:
    """The middle of a picture, as large as it goes, at another size.

    Args:
        rgb: float32 [H, W, 3], 0..1.
        side: px.

    Returns:
        float32 [side, side, 3], 0..1.
    """
    short = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - short) // 2, (rgb.shape[1] - short) // 2
    cut = rgb[top : top + short, left : left + short]
    shrinks = side < short
    small = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    clipped: np.ndarray = np.clip(small, 0, 1)
    return clipped


def _clean_cell(text: str) -> str:
    """Text for one cell of a table."""
    return " ".join(text.encode(errors="replace").decode().split())
