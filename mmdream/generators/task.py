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
from mmdream.networks.generator_card import MAX_CLASSES, WAVE_SAMPLES, Form, new_generator_folder
from mmdream.networks.registry import load_card
from mmdream.networks.weights import RANDOM, locate_weights
from mmdream.settings.training import GeneratorSettings

MIN_FILES = {"picture": 16, "sound": 2}
"""Of a class: of a sound there are several events."""
NETWORKS = {"picture": "dreamnet", "sound": "melnet"}
"""That tell made from real ones, if no other is named."""
PICTURE_JUDGE = "squeezenet"
PICTURE_SIDE, BANDS = 64, 64
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
    """By whose features the discriminator tells made from real ones; None: by pixels, levels or samples."""
    judge: CriticNetwork | None
    """By whose features pictures are measured; None: sounds, see `measure_cepstra`."""
    folder: Path
    """Of the finished generator."""
    overwrite: bool

    @property
    def form(self) -> Form:
        """What the generator makes."""
        return "picture" if self.dataset.medium == "picture" else self.settings.form

    @property
    def side(self) -> int:
        """See `GeneratorCard.side`."""
        sides = {"picture": self.settings.side, "spectrogram": self.settings.bands, "wave": WAVE_SAMPLES}
        return sides[self.form]

    @property
    def examples(self) -> str:
        """What it learns from, in a word."""
        return "pictures" if self.form == "picture" else "events"

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
    if dataset.medium == "sound":
        return GeneratorTask(settings, dataset, _find_sound_network(settings), None, folder, overwrite)
    if settings.form != "spectrogram":
        raise UserError(f"--form {settings.form}: is one of sounds, and {dataset.folder} has pictures")
    name, judge = settings.net or NETWORKS["picture"], settings.judge or PICTURE_JUDGE
    if name == judge:
        raise UserError(f"--judge {judge}: also tells it what to make; who judges has to be another")
    network = None if name == "none" else _find_network(name, "picture", settings.weights, "--weights")
    judging = _find_network(judge, "picture", settings.judge_weights, "--judge-weights")
    return GeneratorTask(settings, dataset, network, judging, folder, overwrite)


def _find_sound_network(settings: GeneratorSettings) -> CriticNetwork | None:
    if settings.judge is not None or settings.judge_weights is not None:
        raise UserError("--judge and --judge-weights are for pictures; sounds are measured by their cepstra")
    if settings.form == "wave":
        if settings.net is not None or settings.weights is not None:
            raise UserError("--form wave learns from samples alone; leave out --net and --weights")
        return None
    name = settings.net or NETWORKS["sound"]
    return None if name == "none" else _find_network(name, "sound", settings.weights, "--weights")


def _find_network(name: str, medium: str, weights: str | None, option: str) -> CriticNetwork:
    card = load_card(name, medium)
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
    kept = _find_kept_folds(dataset)
    examples = tuple(
        replace(each, label=places[each.label])
        for each in dataset.examples
        if each.label in places and each.fold not in kept
    )
    chosen = replace(dataset, classes=classes, examples=examples)
    least, better = MIN_FILES[dataset.medium], {"picture": 500, "sound": 30}[dataset.medium]
    for name, count in chosen.counts().items():
        if count < least:
            raise UserError(
                f"{dataset.folder}: class {name} has {count} {dataset.medium}s to learn from; each needs "
                f"{least}, and is better with {better}"
            )
    return chosen


def _find_kept_folds(dataset: Dataset) -> set[str]:
    """The folds that nothing is learned from: the publisher's, or the last of several that have numbers."""
    folds = {each.fold for each in dataset.examples}
    numbers = sorted(filter(str.isdecimal, folds), key=int)
    last = {numbers[-1]} if dataset.split == "fold" and len(numbers) > 1 else set()
    return last | (folds & set(KEPT_FOLDS))
