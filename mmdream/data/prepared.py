"""What a prepared set has, beside what its card says that it should have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdream.data import manifest
from mmdream.data.card import DatasetCard, DatasetVariant
from mmdream.data.sort import PlacedFiles


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
