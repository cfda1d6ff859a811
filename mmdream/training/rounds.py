"""What of a training's rounds is kept: the weights of those that matter still, and a line a round.

As in a film's journal, a round is done when its line stands, which is written last and names the bytes of its
weights. A line that a power cut or a full disk tore does not count, and whatever follows it does not either.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mmdream.jobs.durable import sha256, whole, write

ROUNDS, WEIGHTS = "rounds.jsonl", "weights"
"""A line a round; the folder of their weights."""


@dataclass(frozen=True)
class Round:
    """A round that is done."""

    figures: dict[str, float]
    """epoch, counted from 0, loss, accuracy, val_loss, val_accuracy."""
    sha256: str
    """Of the weights after it, with what the optimizer goes on with."""


class RoundJournal:
    """The rounds of a training, in its folder."""

    def __init__(self, folder: Path, rounds: list[Round]) -> None:
        """Take over the rounds that are there."""
        self.folder, self.rounds = folder, rounds

    def rows(self) -> list[dict[str, float]]:
        """The figures of each round."""
        return [each.figures for each in self.rounds]

    def best(self) -> int:
        """The round with the lowest loss over what it is stopped by."""
        return _best(self.rounds)

    def add(self, figures: dict[str, float], save: Callable[[Path], object]) -> None:
        """Keep the next round.

        Args:
            figures: as in `Round`.
            save: writes the weights to a path.
        """
        path = weights_file(self.folder, len(self.rounds))
        path.parent.mkdir(exist_ok=True)
        # Keras tells a file's kind by the end of its name.
        with whole(path) as draft:
            named = draft.with_name(f"draft.{path.name}")
            save(named)
            os.replace(named, draft)
        self.rounds.append(Round(figures, sha256(path)))
        with open(self.folder / ROUNDS, "ab") as file:
            file.write(_line(self.rounds[-1]))
            file.flush()
            os.fsync(file.fileno())
        self.tidy()

    def tidy(self) -> None:
        """Delete weights that nothing goes back to: of the last two rounds, and of the best until each."""
        count = len(self.rounds)
        needed = {place for end in (count, count - 1) if end > 0 for place in _needed(self.rounds[:end])}
        names = {weights_file(self.folder, place).name for place in needed}
        for path in (self.folder / WEIGHTS).glob("*"):
            if path.name not in names:
                path.unlink()


def resumable_rounds(folder: Path) -> RoundJournal:
    """The rounds that can be gone on with: lines that are whole, up to one whose weights are; the rest goes.

    The weights of all but a few rounds are deleted as the training goes on: a torn last line costs one round,
    one in the midst nearly all of them.
    """
    rounds = list(_read(folder / ROUNDS))
    while rounds and not all(
        _is(weights_file(folder, place), rounds[place].sha256) for place in _needed(rounds)
    ):
        del rounds[-1]
    if (folder / ROUNDS).is_file():
        write(folder / ROUNDS, b"".join(map(_line, rounds)))
    kept = RoundJournal(folder, rounds)
    kept.tidy()
    return kept


def weights_file(folder: Path, place: int) -> Path:
    """Where a round's weights are."""
    return folder / WEIGHTS / f"{place}.weights.h5"


def _best(rounds: list[Round]) -> int:
    losses = [each.figures["val_loss"] for each in rounds]
    # What is no number is worse than any.
    return min(range(len(losses)), key=lambda place: (math.isnan(losses[place]), losses[place]))


def _needed(rounds: list[Round]) -> set[int]:
    """The rounds without whose weights it does not go on."""
    return {len(rounds) - 1, _best(rounds)}


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def _line(each: Round) -> bytes:
    return json.dumps(asdict(each)).encode() + b"\n"


def _read(path: Path) -> list[Round]:
    """The rounds of a file, up to the first line that is not whole, or not the next one's."""
    rounds: list[Round] = []
    if not path.is_file():
        return rounds
    for text in path.read_bytes().splitlines(keepends=True):
        try:
            found = Round(**json.loads(text))
            right = found.figures["epoch"] == len(rounds) and "val_loss" in found.figures
        except (ValueError, TypeError, KeyError):
            break
        if not right or not text.endswith(b"\n"):
            break
        rounds.append(found)
    return rounds
