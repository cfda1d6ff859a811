"""A training's own folder while it runs, and the network's folder when it is done: card, weights, report."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from mmdream.data.folder import Dataset
from mmdream.errors import UserError
from mmdream.jobs.durable import sha256, write
from mmdream.networks.card import Card, parse, source
from mmdream.networks.origins import Trained
from mmdream.networks.places import CARD
from mmdream.networks.weights import RANDOM, locate
from mmdream.networks.written import text_of
from mmdream.training.lesson import Material, Parts
from mmdream.training.settings import Settings

if TYPE_CHECKING:
    import keras

    from mmdream.training.figures import Figures

ORDER, LOCK, RESULT, WEIGHTS, REPORT = "order.json", "lock", "result", "weights.npz", "report.json"


@dataclass(frozen=True)
class Report:
    """What a training came to."""

    name: str
    medium: str
    folder: Path
    figures: Figures
    seconds: float

    def lines(self) -> list[str]:
        """For people."""
        told = self.figures
        every = zip(told.classes, told.recalls, strict=True)
        worst = sorted((share, name) for name, share in every if share is not None)[:3]
        command, option = ("image IN.jpg", "--net") if self.medium == "picture" else ("audio IN.wav", "--net")
        return [
            f"{self.name}: {told.accuracy:.1%} of {told.confusion.sum()} held-out files told right; always naming "
            f"the commonest class: {told.baseline:.1%}",
            f"hardest: {', '.join(f'{name} {share:.0%}' for share, name in worst)}",
            f"network and report: {self.folder} ({REPORT}, curves.png, confusion.png)",
            f"dream with it: mmdream {command} {option} {self.name}",
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        told = self.figures.as_json()
        return {"name": self.name, "folder": str(self.folder), "seconds": self.seconds, **told}


@contextmanager
def working(
    settings: Settings, of: Dataset, parent: Card, folder: Path, overwrite: bool
) -> Iterator[Path]:
    """A training's own folder beside the network's; what another call has left in it is gone on with.

    It stays when a training is stopped, and is gone when it is done, or when it is refused before it began.

    Raises:
        UserError: another run works in it, or another training of this name is half done.
    """
    work = folder.with_name(f".{folder.name}.training")
    fresh = not work.exists()
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{work}: cannot be made ({error.strerror}); MMDREAM_MODELS names another place") from error
    lock = FileLock(work / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{settings.name}: is being trained by another run; wait for it, or stop it") from None
    try:
        _ordered(work, _order(settings, of, parent), settings.name, overwrite)
        yield work
    except UserError:
        if fresh:
            shutil.rmtree(work, ignore_errors=True)
        raise
    finally:
        lock.release()
    shutil.rmtree(work, ignore_errors=True)


def _order(settings: Settings, of: Dataset, parent: Card) -> dict[str, Any]:
    """What a training depends on, as plain values."""
    told = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(settings).items()}
    files = "\n".join(f"{each.file} {each.label} {each.fold} {each.group}" for each in of.examples)
    where, weights = source(settings.net), None if settings.from_scratch else locate(parent, settings.weights)
    return told | {
        "files": hashlib.sha256(files.encode("utf-8", "surrogateescape")).hexdigest(),
        "card": "" if where is None else sha256(where),
        "weights": RANDOM if weights is None else sha256(weights),
    }


def _ordered(work: Path, order: dict[str, Any], name: str, overwrite: bool) -> None:
    """Make a folder that of this training: go on with what is there, or begin."""
    path = work / ORDER
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        held = None
    if held == order:
        return
    if held is not None and not overwrite:
        other = ", ".join(key for key in order if held.get(key) != order[key])
        raise UserError(
            f"{name}: another training of this name is half done ({other} differ); go on with its own command, "
            "or begin anew with --overwrite"
        )
    for each in work.iterdir():
        if each.name != LOCK:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    write(path, json.dumps(order, indent=1).encode())


def kept(
    settings: Settings, of: Dataset, parts: Parts, parent: Card, about: Card, net: keras.Model,
    material: Material, rounds: Sequence[dict[str, float]], work: Path, folder: Path, command: str,
    tell: Callable[[int, int], None],
) -> Report:  # fmt: skip
    """Write a network, load it as a dream does, test it, and give it its name."""
    from mmdream.networks.network import load, variables
    from mmdream.training import plots
    from mmdream.training.course import BOARD
    from mmdream.training.figures import measured

    result = work / RESULT
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    buffer = io.BytesIO()
    np.savez(buffer, **{name: variable.numpy() for name, variable in variables(net).items()})
    write(result / WEIGHTS, buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    about = _described(about, parent, settings, of, net, Trained(WEIGHTS, digest), command)
    learnt = (*parts.taught, *parts.tried)
    figures = measured(load(replace(about, home=result)), material, learnt, parts.tested, settings.batch, tell)
    facts = {**about.facts, "accuracy": round(figures.accuracy, 4), "majority_class": round(figures.baseline, 4)}
    text = text_of(replace(about, facts=facts))
    parse(settings.name, __import__("tomllib").loads(text), result)
    write(result / CARD, text.encode())
    report = Report(settings.name, settings.medium, folder, figures, 0.0)
    told = {**report.as_json(), "command": command, "rounds": list(rounds)}
    write(result / REPORT, json.dumps(told, indent=1, ensure_ascii=False).encode())
    plots.confusion(figures, result / "confusion.png")
    if rounds:
        plots.curves(rounds, result / "curves.png")
        shutil.copytree(work / BOARD, result / BOARD)
    _named(result, folder)
    return report


def _named(result: Path, folder: Path) -> None:
    """Give a finished network's folder its name, in place of an older one's."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(result, folder)
    shutil.rmtree(old, ignore_errors=True)


def _described(
    about: Card, parent: Card, settings: Settings, of: Dataset, net: keras.Model, weights: Trained, command: str
) -> Card:
    """The whole card of a network that was taught."""
    from mmdream.networks.network import by_name

    still = {name for name, layer in by_name(net).items() if not layer.trainable}
    motifs = {
        name: meant
        for name, meant in parent.motifs.items()
        if not meant.startswith("=") and meant.partition(":")[0] in still
    }
    terms = of.about.licence if of.about else "yours to know"
    credit = of.about.citation if of.about else "yours to give"
    facts: dict[str, str | float] = {
        "from": f"{settings.net}, {'fresh weights' if settings.from_scratch else settings.weights or 'its own weights'}",
        "data": f"{of.name}: {len(of.examples)} files of {len(of.classes)} classes",
        "data_terms": terms,
        "robust": "yes, taught against small attacks" if settings.robust else "no",
        "command": command,
    }
    begun = "taught from fresh weights" if settings.from_scratch else "retrained"
    return replace(
        about,
        about=f"{settings.net} {begun} on {of.name}: {len(of.classes)} classes.",
        licence=f"{parent.licence}; taught on {of.name}: {terms}",
        source=f"mmdream train {settings.medium}",
        credits=f"{parent.credits} Data: {credit}",
        weights=weights,
        motifs=motifs,
        facts=facts,
    )
