"""A training as a task: checked before it begins, with a work folder that holds its rounds while it runs.

A later run goes on with the folder; it goes when all is done. A round counts when its line stands, which is
written last and names the bytes of its weights; a torn line does not count, nor does what follows it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mmdream.core.errors import UserError, reporting_full_disk
from mmdream.core.files import (
    append_line,
    atomic_file,
    hash_file,
    json_line,
    read_json_lines,
    write_atomically,
)
from mmdream.datasets.folder import Dataset, read_dataset
from mmdream.networks.card import ModelFileWeights, NetworkCard
from mmdream.networks.registry import card_path, load_card, new_network_folder
from mmdream.networks.weights import RANDOM, locate_weights
from mmdream.settings.training import TrainingSettings
from mmdream.training.data import DatasetSplit, split_dataset

TASK_FILE, LOCK_FILE = "order.json", "lock"
ROUNDS_FILE, WEIGHTS_FOLDER = "rounds.jsonl", "weights"
"""A line a round; the folder of their weights."""


@dataclass(frozen=True)
class TrainingTask:
    """All that is known before the work begins."""

    settings: TrainingSettings
    dataset: Dataset
    split: DatasetSplit
    parent: NetworkCard
    folder: Path
    """Of the finished network."""
    overwrite: bool
    """Whether it may replace an older one."""

    @property
    def unfrozen(self) -> int | str:
        """What is trained besides the head: so many upper rungs, or a layer and all above."""
        unfreeze = self.settings.unfreeze
        if unfreeze is not None:
            return int(unfreeze) if unfreeze.isdecimal() else unfreeze
        # Half the rungs are enough to change what a deep dream is made of, and quick. But what a robust
        # network must not answer to, its lower layers must not let through.
        everything = self.settings.from_scratch or self.settings.robust
        return len(self.parent.rungs) if everything else len(self.parent.rungs) // 2

    @property
    def command(self) -> str:
        """The command that begins the training, or goes on with it."""
        settings = self.settings
        words = ["mmdream", "train", settings.medium]
        words += ["--net", settings.net, "--data", str(settings.data), "-o", settings.name]
        for field in fields(settings):
            value = getattr(settings, field.name)
            if field.name in ("medium", "net", "data", "name") or value == field.default:
                continue
            option = f"--{field.name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
        return shlex.join(words)


def make_task(settings: TrainingSettings, overwrite: bool) -> TrainingTask:
    """Check a training: a free name, a network with weights, a set of its medium that is large enough."""
    folder = new_network_folder(settings.name, overwrite)
    medium = settings.medium
    parent = load_card(settings.net, medium)
    if isinstance(parent.weights, ModelFileWeights):
        raise UserError(
            f"{settings.net}: train a Keras file with Keras; here those of `mmdream nets` are trained"
        )
    dataset = read_dataset(settings.data)
    if dataset.medium != medium:
        other = dataset.medium
        raise UserError(f"{dataset.folder}: has {other}s; use `mmdream train {other}`, or give {medium}s")
    for name in dataset.classes:
        # A file system may hold names that are no text; a card cannot.
        if not name.isprintable():
            raise UserError(
                f"{dataset.folder}: class folder {name!r} has signs that cannot be printed; rename it"
            )
    split = split_dataset(dataset, settings.fold, settings.seed)
    if not settings.from_scratch:
        locate_weights(parent, settings.weights)
    return TrainingTask(settings, dataset, split, parent, folder, overwrite)


@contextmanager
def open_workdir(result: Path, description: dict[str, Any], overwrite: bool) -> Iterator[Path]:
    """Have a training's own folder, beside that of its result, to oneself, with what a stopped one has left.

    It is removed when all is done, and when the user has to put something right first. A UserError: another
    run works in it, or another training of this name is half done, unless that may be overwritten. All that a
    training depends on describes it, as JSON, with its `command`.
    """
    folder = result.with_name(f".{result.name}.training")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be made ({error.strerror}); MMDREAM_MODELS names another place"
        ) from error
    try:
        lock = FileLock(folder / LOCK_FILE).acquire(timeout=0)
    except Timeout:
        raise UserError(f"{result.name}: another run is training it; wait for it, or stop it") from None
    with lock, reporting_full_disk(folder):
        _prepare_workdir(folder, result.name, description, overwrite)
        try:
            yield folder
        except UserError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    shutil.rmtree(folder, ignore_errors=True)


def _prepare_workdir(folder: Path, name: str, description: dict[str, Any], overwrite: bool) -> None:
    """Make the folder this training's: go on with what is there, or begin anew."""
    path = folder / TASK_FILE
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        held = {}
    if held == description:
        return
    if held and not overwrite:
        changed = [name for name in description if held.get(name) != description[name]]
        other = ", ".join(name.replace("_", "-") for name in changed)
        raise UserError(
            f"{name}: another training of this name is half done (other {other}); go on with "
            f"its command: {held.get('command')}; or begin anew with --overwrite"
        )
    for old in folder.iterdir():
        if old.name != LOCK_FILE:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    write_atomically(path, json.dumps(description, indent=1).encode())


def describe_task(task: TrainingTask) -> dict[str, Any]:
    """All that a training depends on, as JSON."""
    values = asdict(task.settings)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
    examples = task.dataset.examples
    files = "\n".join(f"{each.file} {each.label} {each.fold} {each.group}" for each in examples)
    card, fresh = card_path(task.settings.net), task.settings.from_scratch
    weights = None if fresh else locate_weights(task.parent, task.settings.weights)
    return settings | {
        "command": task.command,
        "files": hashlib.sha256(files.encode("utf-8", "surrogateescape")).hexdigest(),
        "card": "" if card is None else hash_file(card),
        "contents of its weights": RANDOM if weights is None else hash_file(weights),
    }


@dataclass(frozen=True)
class TrainingRound:
    """A round that is done; the names of the fields are the keys of its line."""

    figures: dict[str, float]
    """epoch, counted from 0, loss, accuracy, val_loss, val_accuracy."""
    sha256: str
    """Of the file of weights and optimizer state after it."""


class RoundJournal:
    """The rounds of a training: a file of lines, and weights where a later run may need them."""

    def __init__(self, folder: Path) -> None:
        """Read the rounds that can be gone on with: whole lines, up to one whose weights are whole.

        Most weights are deleted on the way: a torn last line costs one round, one in the middle nearly all.
        """
        self.folder, self.rounds = folder, list(_read_rounds(folder / ROUNDS_FILE))
        while self.rounds and not all(map(self._has_weights, _needed_rounds(self.rounds))):
            del self.rounds[-1]
        if (folder / ROUNDS_FILE).is_file():
            write_atomically(folder / ROUNDS_FILE, b"".join(json_line(asdict(each)) for each in self.rounds))
        self._delete_old_weights()

    def rows(self) -> list[dict[str, float]]:
        """The figures of each round."""
        return [each.figures for each in self.rounds]

    def weights_path(self, number: int) -> Path:
        """Where a round's weights are."""
        return self.folder / WEIGHTS_FOLDER / f"{number}.weights.h5"

    def add(self, figures: dict[str, float], save_weights: Callable[[Path], object]) -> None:
        """Keep the next round; `save_weights` writes its weights to a path."""
        path = self.weights_path(len(self.rounds))
        path.parent.mkdir(exist_ok=True)
        with atomic_file(path) as draft:
            named = draft.with_name(f"draft.{path.name}")  # Keras tells a file's kind by the end of its name.
            save_weights(named)
            os.replace(named, draft)
        self.rounds.append(TrainingRound(figures, hash_file(path)))
        append_line(self.folder / ROUNDS_FILE, json_line(asdict(self.rounds[-1])))
        self._delete_old_weights()

    def _has_weights(self, number: int) -> bool:
        path = self.weights_path(number)
        return path.is_file() and hash_file(path) == self.rounds[number].sha256

    def _delete_old_weights(self) -> None:
        """Keep the weights of the last two rounds, and of the best until each."""
        ends = [self.rounds, self.rounds[:-1]]
        needed = {number for rounds in ends if rounds for number in _needed_rounds(rounds)}
        names = {self.weights_path(number).name for number in needed}
        for path in (self.folder / WEIGHTS_FOLDER).glob("*"):
            if path.name not in names:
                path.unlink()


def find_best_round(rounds: list[TrainingRound]) -> int:
    """The round with the lowest validation loss."""
    losses = [each.figures["val_loss"] for each in rounds]
    # What is no number is worse than any.
    return min(range(len(losses)), key=lambda number: (math.isnan(losses[number]), losses[number]))


def _needed_rounds(rounds: list[TrainingRound]) -> set[int]:
    """The rounds without whose weights the training cannot go on."""
    return {len(rounds) - 1, find_best_round(rounds)}


def _read_rounds(path: Path) -> Iterator[TrainingRound]:
    """The rounds of a file, up to the first line that is not whole, or not the next one's."""
    for number, values in enumerate(read_json_lines(path)):
        try:
            each = TrainingRound(**values)
            if each.figures["epoch"] != number or "val_loss" not in each.figures:
                return
        except (TypeError, KeyError):
            return
        yield each
