"""The folder of a training while it runs: what is in it is gone on with, and it is gone when all is done."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mmdream.core.errors import DISK_FULL_ERRNOS, UserError, disk_full_error
from mmdream.core.files import atomic_file, hash_file, write_atomically
from mmdream.networks.registry import card_path
from mmdream.networks.weights import RANDOM, locate_weights
from mmdream.training.task import TrainingTask

TASK_FILE, LOCK_FILE = "order.json", "lock"


@contextmanager
def open_workdir(task: TrainingTask, overwrite: bool) -> Iterator[Path]:
    """Have a training's own folder, beside that of its network, to oneself.

    What a training that was stopped has left in it stays, and is gone on with. The folder is gone when all is
    done, and when something has to be put right first.

    Raises:
        UserError: another run works in it, or another training of this name is half done.
    """
    folder = task.folder.with_name(f".{task.folder.name}.training")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be made ({error.strerror}); MMDREAM_MODELS names another place"
        ) from error
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{task.settings.name}: another run is training it; wait for it, or stop it"
        ) from None
    try:
        _prepare_workdir(folder, task, overwrite)
        try:
            yield folder
        except UserError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        if error.errno in DISK_FULL_ERRNOS:
            raise disk_full_error(folder) from error
        raise
    finally:
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)


def _prepare_workdir(folder: Path, task: TrainingTask, overwrite: bool) -> None:
    """Make the folder this training's: go on with what is there, or begin anew."""
    path, order = folder / TASK_FILE, _describe_task(task)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        held = {}
    if held == order:
        return
    if held and not overwrite:
        other = ", ".join(name.replace("_", "-") for name in order if held.get(name) != order[name])
        raise UserError(
            f"{task.settings.name}: another training of this name is half done (other {other}); go on with "
            f"its command: {held.get('command')}; or begin anew with --overwrite"
        )
    for each in folder.iterdir():
        if each.name != LOCK_FILE:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    write_atomically(path, json.dumps(order, indent=1).encode())


def _describe_task(task: TrainingTask) -> dict[str, Any]:
    """All that a training depends on, as plain values."""
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in asdict(task.settings).items()
    }
    files = "\n".join(f"{each.file} {each.label} {each.fold} {each.group}" for each in task.of.examples)
    told, fresh = card_path(task.settings.net), task.settings.from_scratch
    weights = None if fresh else locate_weights(task.parent, task.settings.weights)
    return settings | {
        "command": task.command,
        "files": hashlib.sha256(files.encode("utf-8", "surrogateescape")).hexdigest(),
        "card": "" if told is None else hash_file(told),
        "contents of its weights": RANDOM if weights is None else hash_file(weights),
    }


ROUNDS_FILE, WEIGHTS_FOLDER = "rounds.jsonl", "weights"
"""A line a round; the folder of their weights."""


@dataclass(frozen=True)
class TrainingRound:
    """A round that is done."""

    figures: dict[str, float]
    """epoch, counted from 0, loss, accuracy, val_loss, val_accuracy."""
    sha256: str
    """Of the weights after it, with what the optimizer goes on with."""


class RoundJournal:
    """The rounds of a training, in its folder."""

    def __init__(self, folder: Path, rounds: list[TrainingRound]) -> None:
        """Take over the rounds that are there."""
        self.folder, self.rounds = folder, rounds

    def rows(self) -> list[dict[str, float]]:
        """The figures of each round."""
        return [each.figures for each in self.rounds]

    def best_round(self) -> int:
        """The round with the lowest loss over what it is stopped by."""
        return _find_best_round(self.rounds)

    def add(self, figures: dict[str, float], save: Callable[[Path], object]) -> None:
        """Keep the next round.

        Args:
            figures: as in `TrainingRound`.
            save: writes the weights to a path.
        """
        path = weights_path(self.folder, len(self.rounds))
        path.parent.mkdir(exist_ok=True)
        # Keras tells a file's kind by the end of its name.
        with atomic_file(path) as draft:
            named = draft.with_name(f"draft.{path.name}")
            save(named)
            os.replace(named, draft)
        self.rounds.append(TrainingRound(figures, hash_file(path)))
        with open(self.folder / ROUNDS_FILE, "ab") as file:
            file.write(_format_line(self.rounds[-1]))
            file.flush()
            os.fsync(file.fileno())
        self.delete_unneeded_weights()

    def delete_unneeded_weights(self) -> None:
        """Delete weights that nothing goes back to: of the last two rounds, and of the best until each."""
        count = len(self.rounds)
        needed = {
            place for end in (count, count - 1) if end > 0 for place in _needed_rounds(self.rounds[:end])
        }
        names = {weights_path(self.folder, place).name for place in needed}
        for path in (self.folder / WEIGHTS_FOLDER).glob("*"):
            if path.name not in names:
                path.unlink()


def read_resumable_rounds(folder: Path) -> RoundJournal:
    """The rounds that can be gone on with: lines that are whole, up to one whose weights are; the rest goes.

    The weights of all but a few rounds are deleted as the training goes on: a torn last line costs one round,
    one in the midst nearly all of them.
    """
    rounds = list(_read_rounds(folder / ROUNDS_FILE))
    while rounds and not all(
        _has_sha256(weights_path(folder, place), rounds[place].sha256) for place in _needed_rounds(rounds)
    ):
        del rounds[-1]
    if (folder / ROUNDS_FILE).is_file():
        write_atomically(folder / ROUNDS_FILE, b"".join(map(_format_line, rounds)))
    kept = RoundJournal(folder, rounds)
    kept.delete_unneeded_weights()
    return kept


def weights_path(folder: Path, place: int) -> Path:
    """Where a round's weights are."""
    return folder / WEIGHTS_FOLDER / f"{place}.weights.h5"


def _find_best_round(rounds: list[TrainingRound]) -> int:
    losses = [each.figures["val_loss"] for each in rounds]
    # What is no number is worse than any.
    return min(range(len(losses)), key=lambda place: (math.isnan(losses[place]), losses[place]))


def _needed_rounds(rounds: list[TrainingRound]) -> set[int]:
    """The rounds without whose weights it does not go on."""
    return {len(rounds) - 1, _find_best_round(rounds)}


def _has_sha256(path: Path, digest: str) -> bool:
    return path.is_file() and hash_file(path) == digest


def _format_line(each: TrainingRound) -> bytes:
    return json.dumps(asdict(each)).encode() + b"\n"


def _read_rounds(path: Path) -> list[TrainingRound]:
    """The rounds of a file, up to the first line that is not whole, or not the next one's."""
    rounds: list[TrainingRound] = []
    if not path.is_file():
        return rounds
    for text in path.read_bytes().splitlines(keepends=True):
        try:
            found = TrainingRound(**json.loads(text))
            right = found.figures["epoch"] == len(rounds) and "val_loss" in found.figures
        except (ValueError, TypeError, KeyError):
            break
        if not right or not text.endswith(b"\n"):
            break
        rounds.append(found)
    return rounds
