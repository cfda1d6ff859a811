"""What is kept from training: a fold, the publisher's test part, speakers, recordings, or single files."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from mmdream.core.errors import UserError
from mmdream.data.folder import Dataset, Example

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
