"""The folder of a training while it runs: what is in it is gone on with, and it is gone when all is done."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file, write_atomically
from mmdream.media.open import DISK_FULL_ERRNOS, disk_full_error
from mmdream.networks.card import card_path
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
