"""A set as its publisher lays it out becomes ``FOLDER/input/CLASS/*``, with a table of all its files.

A new set appears when it is whole; what a set holds already stays as it is, so that the same command again
changes nothing, and another source adds what it has.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mmdream.data import manifest
from mmdream.data.archive import SUFFIXES, is_archive, unpack
from mmdream.data.card import Card, Variant, card
from mmdream.data.fetch import fetch, verify
from mmdream.data.layouts import READERS
from mmdream.data.manifest import About
from mmdream.data.picture_layouts import WNID
from mmdream.data.sort import Sorted, chosen, laid
from mmdream.data.tree import Item, Tree, tree
from mmdream.errors import UserError
from mmdream.film.opened import room_for
from mmdream.listen import Listener


@dataclass(frozen=True)
class Prepared:
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
        found += [f"  {name:{wide}} {_beside(*count)}" for name, count in self.counts.items()]
        left = f", {self.left_out} left out" if self.left_out else ""
        found.append(f"  {'in all':{wide}} {_beside(*self.files)}; {self.new} new{left}")
        found.append(f"  licence: {self.licence}; of each file: {self.folder / manifest.TABLE}")
        return found


def _beside(found: int, expected: int) -> str:
    """A count beside the card's."""
    if not expected:
        return f"{found} (the card's count is not verified)"
    return f"{found} of {expected}" + ("" if found == expected else ": differs from the card")


def prepare(
    name: str,
    sources: Sequence[Path],
    out: Path | None,
    variant: str | None,
    download: bool,
    listener: Listener,
) -> Prepared:
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
    about, out = card(name), out or Path(name)
    choice = about.variant(variant)
    there = _there(out, about, choice)
    for source in sources:
        if not source.exists():
            raise UserError(f"{source}: no such file or folder")
        if source.is_file() and not is_archive(source):
            raise UserError(
                f"{source}: is no archive that can be unpacked; give {', '.join(SUFFIXES)}, or a folder"
            )
    if download:
        sources = [*sources, *fetch(about, listener)]
    if not sources:
        raise UserError(
            f"give {name} with --from ARCHIVE or --from FOLDER ({about.laid_out})"
            + (", or --download" if about.archives else f"; it is to be had at {about.publisher}")
        )
    with _work(out) as work:
        items = _items(sources, about, choice, work, out, listener)
        whole = out if there else work / "whole"
        done = laid(items, whole, about, choice, manifest.read(out)[1] if there else [], work, listener)
        if not done.rows:
            raise UserError(f"{name}: none of its files could be read")
        manifest.write(whole, _told(about, choice), done.rows)
        if not there:
            _appear(whole, out)
    return _prepared(about, choice, out, done)


def _there(out: Path, about: Card, choice: Variant) -> bool:
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
    told, _ = manifest.read(out)
    if (told.name, told.variant) != (about.name, choice.name):
        holds = f"{told.name}{f' ({told.variant})' if told.variant else ''}"
        raise UserError(f"{out}: holds {holds}; choose another folder with -o")
    return True


def _appear(whole: Path, out: Path) -> None:
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
def _work(out: Path) -> Iterator[Path]:
    """A folder beside the set to unpack and sort in; it is gone afterwards, whatever happens."""
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.mmdream-", dir=out.parent))
    try:
        with room_for(out):
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _items(
    sources: Sequence[Path], about: Card, choice: Variant, work: Path, out: Path, listener: Listener
) -> dict[str, Item]:
    """The set's files by the place that each will have, unpacked as far as need be."""
    newest = [
        tree(source.absolute(), source, out.absolute())
        if source.is_dir()
        else _unpacked(source, source, about, work, listener)
        for source in sources
    ]
    trees: list[Tree] = []
    found: dict[str, Item] = {}
    lacks = ""
    # What lies packed inside is unpacked where nothing is found without: archives in a folder, or in an
    # archive, as ImageNet's are, which may lie in a folder too.
    while newest:
        trees += newest
        try:
            found = chosen(READERS[about.layout](trees), about, choice)
        except UserError as error:
            lacks = f" ({error})"
        labels = {item.label for item in found.values()}
        inside = [(each, path) for each in newest for path in _inside(each, about, labels)]
        newest = [_unpacked(path, each.told, about, work, listener) for each, path in inside]
    if found:
        return found
    for each in trees:
        lacks = lacks.replace(str(each.root), each.told)  # What was unpacked is gone when this is read.
    told = ", ".join(map(str, sources))
    raise UserError(f"{told}: nothing of {about.name} is there{lacks}; it is laid out as {about.laid_out}")


def _inside(each: Tree, about: Card, found: set[str]) -> Iterator[Path]:
    """The archives in a folder with what is not found yet: the whole set, or one of ImageNet's classes."""
    lacking = {known.label for known in about.classes} - found
    for path in (each.root / name for name in each.files if is_archive(Path(name))):
        wanted = path.stem in lacking if re.fullmatch(WNID, path.stem) else not found
        if wanted and any(fnmatch(path.name, pattern) for pattern in about.inside):
            yield path


def _unpacked(archive: Path, told: object, about: Card, work: Path, listener: Listener) -> Tree:
    """An archive's files, in a folder of their own."""
    verify(archive, about)
    into = work / f"unpacked{len(list(work.iterdir()))}"

    def progress(done: float, total: float) -> None:
        listener.progress("unpacking", done / 1e6, total / 1e6)

    listener.say(f"unpacking {archive.name}, {archive.stat().st_size / 1e6:.0f} MB")
    unpack(archive, into, progress=progress)
    return tree(into, told)


def _told(about: Card, choice: Variant) -> About:
    """What stays with the set."""
    classes = tuple(each.name for each in about.chosen(choice))
    return About(about.name, choice.name, about.medium, about.split, classes, about.licence, about.citation)


def _prepared(about: Card, choice: Variant, out: Path, done: Sorted) -> Prepared:
    """The counts beside the card's."""
    found = Counter(row.label for row in done.rows)
    # A variant that goes by length has counts of its own, which the card does not know.
    known = choice.seconds is None
    return Prepared(
        about.name,
        choice.name,
        out,
        about.licence,
        {each.name: (found[each.name], each.files if known else 0) for each in about.chosen(choice)},
        (len(done.rows), choice.files if choice.name else about.files),
        done.new,
        done.left_out,
    )
