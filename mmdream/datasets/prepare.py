"""A set as its publisher lays it out becomes ``FOLDER/input/CLASS/*``, with a table of all its files.

A new set appears when it is whole; what a set holds already stays as it is, so that the same command again
changes nothing, and another source adds what it has.
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

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets import manifest
from mmdream.datasets.card import DatasetCard, DatasetVariant, read_dataset_card
from mmdream.datasets.fetch import check_sources, fetch_archives, find_files
from mmdream.datasets.manifest import DatasetInfo
from mmdream.datasets.sort import PlacedFiles, place_files
from mmdream.media.open import reporting_full_disk

pass


def prepare_dataset(
    name: str,
    sources: Sequence[Path],
    out: Path | None,
    variant: str | None,
    download: bool,
    listener: EventSink,
) -> PreparedDataset:
    """Sort a set's files into classes.

    Args:
        name: of the set's card.
        sources: archives, or folders as the publisher lays them out.
        out: the set's folder; None: its name, here.
        variant: one of the card's; None: the set as the card has it.
        download: fetch the publisher's archives too.
        listener: told what is done.

    Raises:
        UserError: no such set or source, nothing of the set in it, an archive that is damaged or hostile, or
            a folder that holds something else. A set that was not there is not there then.
    """
    about, out = read_dataset_card(name), out or Path(name)
    choice = about.variant(variant)
    there = _is_prepared_already(out, about, choice)
    check_sources(sources)
    if download:
        sources = [*sources, *fetch_archives(about, listener)]
    if not sources:
        raise UserError(
            f"give {name} with --from ARCHIVE or --from FOLDER ({about.laid_out})"
            + (", or --download" if about.archives else f"; it is to be had at {about.publisher}")
        )
    with _work_folder(out) as work:
        found = find_files(sources, about, choice, work, out, listener)
        whole = out if there else work / "whole"
        done = place_files(
            found, whole, about, choice, manifest.read_manifest(out)[1] if there else [], work, listener
        )
        if not done.rows:
            raise UserError(f"{name}: none of its files could be read")
        manifest.write_manifest(whole, _make_info(about, choice), done.rows)
        if not there:
            _rename_into_place(whole, out)
    return summarize_dataset(about, choice, out, done)


def _is_prepared_already(out: Path, about: DatasetCard, choice: DatasetVariant) -> bool:
    """Whether the set is there already; anything else there is in the way."""
    if not out.parent.is_dir():
        raise UserError(f"{out.parent}: no such folder; create it first")
    if not os.access(out.parent, os.W_OK):
        raise UserError(f"{out.parent}: no permission to write there; choose another place with -o")
    if not out.exists():
        return False
    if not out.is_dir():
        raise UserError(f"{out}: is a file; choose another name with -o")
    if not manifest.is_prepared(out):
        if any(out.iterdir()):
            raise UserError(f"{out}: exists and is no prepared set; choose another folder with -o")
        return False
    told, _ = manifest.read_manifest(out)
    if (told.name, told.variant) != (about.name, choice.name):
        holds = f"{told.name}{f' ({told.variant})' if told.variant else ''}"
        raise UserError(f"{out}: holds {holds}; choose another folder with -o")
    return True


def _rename_into_place(whole: Path, out: Path) -> None:
    """Give a finished set its name."""
    try:
        if out.exists():
            out.rmdir()
        os.replace(whole, out)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise UserError(f"{out}: has appeared while the set was prepared; try again") from error


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """A folder beside the set to unpack and sort in; it is gone afterwards, whatever happens."""
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.mmdream-", dir=out.parent))
    try:
        with reporting_full_disk(out):
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _make_info(about: DatasetCard, choice: DatasetVariant) -> DatasetInfo:
    """What stays with the set."""
    classes = tuple(each.name for each in about.variant_classes(choice))
    return DatasetInfo(
        about.name, choice.name, about.medium, about.split, classes, about.licence, about.citation
    )


@dataclass(frozen=True)
class PreparedDataset:
    """A set that is ready."""

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
        """Plain values only."""
        return {
            "name": self.name,
            "variant": self.variant or None,
            "folder": str(self.folder),
            "licence": self.licence,
            "files": self.files[0],
            "expected": self.files[1] or None,
            "new": self.new,
            "left_out": self.left_out,
            "classes": {
                name: {"files": found, "expected": expected or None}
                for name, (found, expected) in self.counts.items()
            },
        }

    def lines(self) -> list[str]:
        """The counts for people, beside the card's."""
        wide = max(map(len, self.counts), default=0)
        found = [f"{self.folder}"]
        found += [f"  {name:{wide}} {_format_count(*count)}" for name, count in self.counts.items()]
        left = f", {self.left_out} left out" if self.left_out else ""
        found.append(f"  {'in all':{wide}} {_format_count(*self.files)}; {self.new} new{left}")
        found.append(f"  licence: {self.licence}; of each file: {self.folder / manifest.TABLE_FILE}")
        return found


def _format_count(found: int, expected: int) -> str:
    """A count beside the card's."""
    if not expected:
        return f"{found} (the card's count is not verified)"
    return f"{found} of {expected}" + ("" if found == expected else ": differs from the card")


def summarize_dataset(
    about: DatasetCard, choice: DatasetVariant, out: Path, done: PlacedFiles
) -> PreparedDataset:
    """The counts beside the card's."""
    found = Counter(row.label for row in done.rows)
    # A variant that goes by length has counts of its own, which the card does not know.
    known = choice.seconds is None
    return PreparedDataset(
        about.name,
        choice.name,
        out,
        about.licence,
        {each.name: (found[each.name], each.files if known else 0) for each in about.variant_classes(choice)},
        (len(done.rows), choice.files if choice.name else about.files),
        done.new,
        done.left_out,
    )
