"""Makes a prepared set of a publisher's files: finds those of its classes, and sorts them into folders.

A new set appears when it is whole; files that a set has already stay as they are, so that the same command
again changes nothing, and another source adds what it has.
"""

from __future__ import annotations

import errno
import filecmp
import itertools
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mmdream.core.errors import UserError, reporting_full_disk
from mmdream.core.events import EventSink
from mmdream.core.files import hash_file
from mmdream.datasets import layouts
from mmdream.datasets.archive import fetch_archives, is_archive
from mmdream.datasets.card import DatasetCard, DatasetVariant, read_dataset_card
from mmdream.datasets.folder import (
    INPUT_FOLDER,
    TABLE_FILE,
    DatasetInfo,
    ManifestRow,
    counts_to_json,
    is_prepared,
    read_manifest,
    write_manifest,
)
from mmdream.datasets.load import crop_square
from mmdream.datasets.sources import (
    FileTree,
    Preparation,
    SourceFile,
    check_sources,
    open_source,
    unpack_source,
)
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

    The sources are archives, or folders as the publisher lays them out; with `download` the publisher's own
    archives are fetched too. The set goes to `out`, or else to its name, here.

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
    classes = card.variant_classes(choice)
    with _work_folder(out) as work:
        preparation = Preparation(card, choice, out, work, listener)
        files = _find_files(sources, preparation)
        folder = out if exists else work / "whole"
        rows = {row.file: row for row in read_manifest(out)[1]} if exists else {}
        new, left_out = _place_files(files, folder, rows, preparation)
        if not rows:
            raise UserError(f"{name}: none of its files could be read")
        names = tuple(each.name for each in classes)
        info = DatasetInfo(
            card.name, choice.name, card.medium, card.split, names, card.licence, card.citation
        )
        write_manifest(folder, info, [rows[path] for path in sorted(rows)])
        if not exists:
            _rename_into_place(folder, out)
    counts = Counter(row.label for row in rows.values())
    # A variant that goes by length has counts of its own, which the card does not know.
    verified = choice.seconds is None
    return PreparedDataset(
        name=card.name,
        variant=choice.name,
        folder=out,
        licence=card.licence,
        counts={each.name: (counts[each.name], each.files * verified) for each in classes},
        files=(len(rows), choice.files if choice.name else card.files),
        new=new,
        left_out=left_out,
    )


def _check_target(out: Path, card: DatasetCard, variant: DatasetVariant) -> bool:
    """Whether the set is there already; a UserError if something else is, or nothing can be written."""
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


def _rename_into_place(folder: Path, out: Path) -> None:
    try:
        if out.exists():
            out.rmdir()
        os.replace(folder, out)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise UserError(f"{out}: has appeared while the set was prepared; try again") from error


def _find_files(sources: Sequence[Path], preparation: Preparation) -> dict[str, SourceFile]:
    """The set's files in archives and folders, by the path that each will have below the set's folder."""
    card = preparation.card
    read_layout = getattr(layouts, f"read_{card.layout}")
    new_trees = [open_source(source, preparation) for source in sources]
    trees: list[FileTree] = []
    files: dict[str, SourceFile] = {}
    problem = ""
    # What lies packed inside is unpacked where nothing is found without: archives in a folder, or in an
    # archive, as ImageNet's are, which may lie in a folder too.
    while new_trees:
        trees += new_trees
        try:
            files = _select_files(read_layout(trees), card, preparation.variant)
        except UserError as error:
            problem = f" ({error})"
        labels = {file.label for file in files.values()}
        nested = [(tree, path) for tree in new_trees for path in _nested_archives(tree, card, labels)]
        new_trees = [unpack_source(path, tree.display_name, preparation) for tree, path in nested]
    if files:
        return files
    for tree in trees:  # What was unpacked is gone when this is read.
        problem = problem.replace(str(tree.root), tree.display_name)
    names = ", ".join(map(str, sources))
    raise UserError(f"{names}: nothing of {card.name} is there{problem}; it is laid out as {card.laid_out}")


def _nested_archives(tree: FileTree, card: DatasetCard, labels: set[str]) -> Iterator[Path]:
    """The archives in a folder with what is not found yet: the whole set, or one of ImageNet's classes."""
    missing = {each.label for each in card.classes} - labels
    for path in (tree.root / name for name in tree.files if is_archive(Path(name))):
        needed = path.stem in missing if re.fullmatch(layouts.WORDNET_ID, path.stem) else not labels
        if needed and any(fnmatch(path.name, pattern) for pattern in card.inside):
            yield path


def _select_files(
    files: Iterable[SourceFile], card: DatasetCard, variant: DatasetVariant
) -> dict[str, SourceFile]:
    """The files of the variant's classes, by the path that each will have below the set's folder.

    A file that is there twice is taken once; another one of the same name gets a number.
    """
    classes: dict[str, str] = {}
    for each in card.variant_classes(variant):
        classes |= {each.name: each.name, each.label or each.name: each.name}
    selected: dict[str, SourceFile] = {}
    taken: dict[str, Path] = {}  # By paths in lower case: not every file system tells cases apart.
    for file in files:
        if file.label not in classes:
            continue
        # A name that every system can have and a table can hold.
        name = re.sub(r"[\s\\\\:]+", " ", (file.name or file.file.name).encode(errors="replace").decode())
        stem, suffix = Path(name).stem, ".jpg" if card.side else Path(name).suffix
        for number in itertools.count():
            path = f"{INPUT_FOLDER}/{classes[file.label]}/{stem}{f'~{number}' if number else ''}{suffix}"
            if path.lower() not in taken:
                taken[path.lower()], selected[path] = file.file, file
                break
            if filecmp.cmp(taken[path.lower()], file.file, shallow=False):
                break
    return selected


def _place_files(
    files: dict[str, SourceFile], folder: Path, rows: dict[str, ManifestRow], preparation: Preparation
) -> tuple[int, int]:
    """Put files by their paths below a set's folder: unpacked ones are moved, others copied; known ones stay.

    Changes `rows` to what the set holds then. Returns how many are new, and how many left out: unreadable, or
    not of the variant's length.
    """
    for path in [path for path in rows if not (folder / path).is_file()]:
        del rows[path]
    card, seconds, new, left_out = preparation.card, preparation.variant.seconds, 0, 0
    for number, (path, file) in enumerate(files.items(), 1):
        target, row, rgb = folder / path, rows.get(path), None
        try:
            origin = hash_file(file.file)
            known = row is not None and row.origin == origin and row.bytes == target.stat().st_size
            wanted = known or seconds is None or abs(soundfile.info(file.file).duration - seconds) < 0.005
            if card.side is not None and wanted and not known:
                rgb = crop_square(read_image(file.file), card.side)
        except (UserError, soundfile.SoundFileError, OSError):
            wanted = False
        if not wanted:
            left_out += 1
        elif not known:
            new += 1
            _place_file(file.file, target, rgb, move=preparation.work in file.file.parents)
        if wanted:
            rows[path] = _make_row(file, path, folder, card, origin)
        preparation.listener.progress("sorting", number, len(files))
    return new, left_out


def _place_file(file: Path, target: Path, rgb: np.ndarray | None, move: bool) -> None:
    """Give a file its path, in one moment; a picture `rgb` comes in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if move and rgb is None:
        os.replace(file, target)
        return
    draft = target.with_name(f".draft{target.suffix}")
    try:
        if rgb is None:
            shutil.copyfile(file, draft)
        else:
            write_image(draft, rgb)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def _make_row(file: SourceFile, path: str, folder: Path, card: DatasetCard, origin: str) -> ManifestRow:
    def clean(text: str) -> str:
        """Text for one cell of a table."""
        return " ".join(text.encode(errors="replace").decode().split())

    group, licence, source = file.group, file.licence or card.licence, file.source or card.publisher
    size, sha256 = (folder / path).stat().st_size, hash_file(folder / path) if card.side else origin
    label = path.split("/")[1]
    return ManifestRow(
        path, label, file.fold, clean(group), clean(licence), clean(source), size, sha256, origin
    )
