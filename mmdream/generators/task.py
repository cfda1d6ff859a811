"""A generator's training as a task: checked before it begins."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.datasets.folder import Dataset, read_dataset
from mmdream.networks.card import ModelFileWeights, NetworkCard
from mmdream.networks.generator_card import MAX_CLASSES, new_generator_folder
from mmdream.networks.registry import load_card
from mmdream.networks.weights import RANDOM, locate_weights
from mmdream.settings.training import GeneratorSettings

MIN_PICTURES = 16
"""Of a class."""
KEPT_FOLDS = ("validation", "test")
"""The publisher's parts that nothing is learned from."""


@dataclass(frozen=True)
class CriticNetwork:
    """A network by whose features pictures are told apart, or measured."""

    card: NetworkCard
    weights: Path | None
    """None: random ones."""


@dataclass(frozen=True)
class GeneratorTask:
    """All that is known before the work begins."""

    settings: GeneratorSettings
    dataset: Dataset
    """Of the wanted classes, and without what is kept from learning."""
    network: CriticNetwork | None
    """By whose features the discriminator tells pictures apart; None: by pixels alone."""
    judge: CriticNetwork
    folder: Path
    """Of the finished generator."""
    overwrite: bool

    @property
    def command(self) -> str:
        """The command that begins the training, or goes on with it."""
        settings = self.settings
        words = ["mmdream", "train", "generator", "--data", str(settings.data), "-o", settings.name]
        for each in fields(settings):
            value = getattr(settings, each.name)
            if each.name not in ("data", "name") and value != each.default:
                words += [f"--{each.name.replace('_', '-')}", str(value)]
        return shlex.join(words)

    def describe(self) -> dict[str, Any]:
        """All that it depends on, as JSON."""
        values = {key: str(value) for key, value in asdict(self.settings).items()}
        files = "\n".join(f"{each.file} {each.label}" for each in self.dataset.examples)
        networks = {"network": self.network, "contents of the judge": self.judge}
        hashes = {
            name: RANDOM if each is None or each.weights is None else hash_file(each.weights)
            for name, each in networks.items()
        }
        digest = hashlib.sha256(files.encode("utf-8", "surrogateescape")).hexdigest()
        return values | hashes | {"command": self.command, "files": digest}


def make_generator_task(settings: GeneratorSettings, overwrite: bool) -> GeneratorTask:
    """Check a training: a free name, pictures of two classes or more and enough of each, two networks."""
    folder = new_generator_folder(settings.name, overwrite)
    dataset = _choose_classes(read_dataset(settings.data), settings.class_names)
    network = None if settings.net == "none" else _find_network(settings.net, settings.weights, "--weights")
    judge = _find_network(settings.judge, settings.judge_weights, "--judge-weights")
    return GeneratorTask(settings, dataset, network, judge, folder, overwrite)


def _find_network(name: str, weights: str | None, option: str) -> CriticNetwork:
    card = load_card(name, "picture")
    if isinstance(card.weights, ModelFileWeights):
        raise UserError(
            f"{name}: a Keras file of your own tells nothing apart here; take one of `mmdream nets`"
        )
    try:
        return CriticNetwork(card, locate_weights(card, weights))
    except UserError as error:
        # Said of a network that is dreamed with.
        raise UserError(str(error).replace("--weights", option)) from error


def _choose_classes(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """A set of the wanted classes (none: of all), with enough to learn from."""
    if dataset.medium != "picture":
        raise UserError(f"{dataset.folder}: has sounds; a generator of pictures learns from pictures")
    for name in names:
        if name not in dataset.classes:
            raise UserError(
                f'{dataset.folder}: has no class "{name}"; it has {", ".join(dataset.classes[:12])}'
            )
    classes = tuple(name for name in dataset.classes if name in names) if names else dataset.classes
    for name in classes:
        if not name.isprintable():
            raise UserError(
                f"{dataset.folder}: class folder {name!r} has signs that cannot be printed; rename it"
            )
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise UserError(
            f"{dataset.folder}: {len(classes)} classes to learn; a generator learns 2 to {MAX_CLASSES}"
        )
    places = {dataset.classes.index(name): place for place, name in enumerate(classes)}
    examples = tuple(
        replace(each, label=places[each.label])
        for each in dataset.examples
        if each.label in places and each.fold not in KEPT_FOLDS
    )
    chosen = replace(dataset, classes=classes, examples=examples)
    for name, count in chosen.counts().items():
        if count < MIN_PICTURES:
            raise UserError(
                f"{dataset.folder}: class {name} has {count} pictures to learn from; each needs "
                f"{MIN_PICTURES}, and is better with 500"
            )
    return chosen
