"""Makes a prepared set of a publisher's files: ``FOLDER/input/CLASS/*``, with a manifest.

A new set appears when it is whole; files that a set has already stay as they are, so that the same command
again changes nothing, and another source adds what it has.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from mmdream.core.errors import UserError, reporting_full_disk
from mmdream.core.events import EventSink
from mmdream.core.files import hash_file
from mmdream.datasets.card import DatasetCard, DatasetVariant, read_dataset_card
from mmdream.datasets.fetch import Preparation, check_sources, fetch_archives, find_files
from mmdream.datasets.folder import (
    TABLE_FILE,
    DatasetInfo,
    ManifestRow,
    counts_to_json,
    is_prepared,
    read_manifest,
    write_manifest,
)
from mmdream.datasets.layouts import SourceFile
from mmdream.datasets.load import crop_square
from mmdream.media.image import read_image, write_image


@dataclass(frozen=True)
class PreparedDataset:
    """What `prepare_dataset` did, beside what the card says."""

    name: str
    variant: str
    folder: Path
    licence: str
    counts: dict[str, tuple[int, int]]
    """Files found and expected of each class; 0 expected: not verified."""
    files: tuple[int, int]
    """Found and expected in all."""
    new: int
    """Files that were not there before."""
    left_out: int
    """Files that could not be read, or are not of the variant's length."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.name,
            "variant": self.variant or None,
            "folder": str(self.folder),
            "licence": self.licence,
            "files": self.files[0],
            "expected": self.files[1] or None,
            "new": self.new,
            "left_out": self.left_out,
            "classes": counts_to_json(self.counts),
        }

    def lines(self) -> list[str]:
        """For people."""
        width = max(map(len, self.counts), default=0)
        lines = [f"{self.folder}"]
        lines += [f"  {name:{width}} {_format_count(*count)}" for name, count in self.counts.items()]
        left_out = f", {self.left_out} left out" if self.left_out else ""
        lines.append(f"  {'in all':{width}} {_format_count(*self.files)}; {self.new} new{left_out}")
        lines.append(f"  licence: {self.licence}; of each file: {self.folder / TABLE_FILE}")
        return lines


def _format_count(count: int, expected: int) -> str:
    if not expected:
        return f"{count} (the card's count is not verified)"
    return f"{count} of {expected}" + ("" if count == expected else ": differs from the card")


def prepare_dataset(
    name: str,
    sources: Sequence[Path],
    out: Path | None,
    variant: str | None,
    download: bool,
    listener: EventSink,
) -> PreparedDataset:
    """Sort a set's files into folders of classes.

    Args:
        name: of the set's card.
        sources: archives, or folders as the publisher lays them out.
        out: the set's folder; None: its name, here.
        variant: one of the card's; None: the set as the card has it.
        download: fetch the publisher's archives too.
        listener: gets terms, sizes and progress.

    Raises:
        UserError: no such set or source, nothing of the set in it, an archive that is damaged or hostile, or
            a folder that holds something else. A set that was not there is not there then.
    """
    card, out = read_dataset_card(name), out or Path(name)
    choice = card.find_variant(variant)
    exists = _check_target(out, card, choice)
    check_sources(sources)
    if download:
        sources = [*sources, *fetch_archives(card, listener)]
    if not sources:
        raise UserError(
            f"give {name} with --from ARCHIVE or --from FOLDER ({card.laid_out})"
            + (", or --download" if card.archives else f"; it is to be had at {card.publisher}")
        )
    with _work_folder(out) as work:
        preparation = Preparation(card, choice, out, work, listener)
        files = find_files(sources, preparation)
        folder = out if exists else work / "whole"
        rows = {row.file: row for row in read_manifest(out)[1]} if exists else {}
        new, left_out = _place_files(files, folder, rows, preparation)
        if not rows:
            raise UserError(f"{name}: none of its files could be read")
        write_manifest(folder, _make_info(card, choice), [rows[path] for path in sorted(rows)])
        if not exists:
            _rename_into_place(folder, out)
    counts = Counter(row.label for row in rows.values())
    # A variant that goes by length has counts of its own, which the card does not know.
    verified = choice.seconds is None
    return PreparedDataset(
        card.name,
        choice.name,
        out,
        card.licence,
        {each.name: (counts[each.name], each.files * verified) for each in card.variant_classes(choice)},
        (len(rows), choice.files if choice.name else card.files),
        new,
        left_out,
    )


def _check_target(out: Path, card: DatasetCard, variant: DatasetVariant) -> bool:
    """Whether the set is there already.

    Raises:
        UserError: something else is there, or nothing can be written there.
    """
    if not out.parent.is_dir():
        raise UserError(f"{out.parent}: no such folder; create it first")
    if not os.access(out.parent, os.W_OK):
        raise UserError(f"{out.parent}: no permission to write there; choose another place with -o")
    if not out.exists():
        return False
    if not out.is_dir():
        raise UserError(f"{out}: is a file; choose another name with -o")
    if not is_prepared(out):
        if any(out.iterdir()):
            raise UserError(f"{out}: exists and is no prepared set; choose another folder with -o")
        return False
    info, _ = read_manifest(out)
    if (info.name, info.variant) != (card.name, variant.name):
        name = f"{info.name}{f' ({info.variant})' if info.variant else ''}"
        raise UserError(f"{out}: holds {name}; choose another folder with -o")
    return True


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """A folder beside the set to unpack and sort in; it is gone afterwards, whatever happens."""
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.mmdream-", dir=out.parent))
    try:
        with reporting_full_disk(out):
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _make_info(card: DatasetCard, variant: DatasetVariant) -> DatasetInfo:
    classes = tuple(each.name for each in card.variant_classes(variant))
    return DatasetInfo(card.name, variant.name, card.medium, card.split, classes, card.licence, card.citation)


def _rename_into_place(folder: Path, out: Path) -> None:
    """Give a finished set its name."""
    try:
        if out.exists():
            out.rmdir()
        os.replace(folder, out)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise UserError(f"{out}: has appeared while the set was prepared; try again") from error


class _UnreadableFile(Exception):
    """A file of the publisher's that cannot be read."""


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (UserError, soundfile.SoundFileError, OSError) as error:
        raise _UnreadableFile from error


def _place_files(
    files: dict[str, SourceFile], folder: Path, rows: dict[str, ManifestRow], preparation: Preparation
) -> tuple[int, int]:
    """Put files by their paths below a set's folder: unpacked ones are moved, others copied; known ones stay.

    Changes `rows` to what the set holds then. Returns how many files are new, and how many are left out:
    unreadable, or not of the variant's length.
    """
    for path in [path for path in rows if not (folder / path).is_file()]:
        del rows[path]
    new = left_out = 0
    for number, (path, file) in enumerate(files.items(), 1):
        try:
            with _reading():
                origin = hash_file(file.file)
            row = rows.get(path)
            if row is None or row.origin != origin or row.bytes != (folder / path).stat().st_size:
                if not _has_length(file.file, preparation.variant):
                    left_out += 1
                    continue
                move = preparation.work in file.file.parents
                _place_file(file.file, folder / path, preparation.card.side, move)
                new += 1
            rows[path] = _make_row(file, path, folder, preparation.card, origin)
        except _UnreadableFile:
            left_out += 1
        preparation.listener.progress("sorting", number, len(files))
    return new, left_out


def _has_length(file: Path, variant: DatasetVariant) -> bool:
    """Whether a sound has the length that the variant asks for."""
    if variant.seconds is None:
        return True
    with _reading():
        info = soundfile.info(file)
    return bool(abs(info.frames / info.samplerate - variant.seconds) < 0.005)


def _place_file(file: Path, target: Path, side: int | None, move: bool) -> None:
    """Give a file its path, in one moment; a picture becomes a square if a side is given."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if move and side is None:
        os.replace(file, target)
        return
    draft = target.with_name(f".draft{target.suffix}")
    try:
        if side is None:
            shutil.copyfile(file, draft)
        else:
            with _reading():
                rgb = read_image(file)
            write_image(draft, crop_square(rgb, side))
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _make_row(file: SourceFile, path: str, folder: Path, card: DatasetCard, origin: str) -> ManifestRow:
    return ManifestRow(
        path,
        path.split("/")[1],
        file.fold,
        _clean_cell(file.group),
        _clean_cell(file.licence or card.licence),
        _clean_cell(file.source or card.publisher),
        (folder / path).stat().st_size,
        hash_file(folder / path) if card.side else origin,
        origin,
    )


def _clean_cell(text: str) -> str:
    """Text for one cell of a table."""
    return " ".join(text.encode(errors="replace").decode().split())
