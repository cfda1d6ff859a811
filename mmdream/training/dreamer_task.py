"""A dreamer's teaching as a task: checked before it begins."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.image.objective import build_objective
from mmdream.networks.card import NetworkCard
from mmdream.networks.dreamer_card import dreamer_folder
from mmdream.networks.registry import find_motif, load_card
from mmdream.networks.weights import locate_weights
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import MotifCurve, Schedule
from mmdream.settings.training import DreamerSettings
from mmdream.training.clips import list_material

HELD_SHARE = 0.05
"""Of pictures and films, that it is tried on and does not learn from."""


@dataclass(frozen=True)
class TeachingTask:
    """All that is known before the work begins."""

    settings: DreamerSettings
    card: NetworkCard
    weights: Path
    """Of the network."""
    layers: tuple[str, ...]
    depths: tuple[float, float]
    learned: tuple[Path, ...]
    """Pictures and films to learn from."""
    held: tuple[Path, ...]
    folder: Path
    """Of the finished dreamer."""
    overwrite: bool

    @property
    def command(self) -> str:
        """The command that begins the teaching, or goes on with it."""
        words = ["mmdream", "train", "dreamer"]
        for each in fields(self.settings):
            value = getattr(self.settings, each.name)
            if each.name in ("net", "data") or value != each.default:
                words += [f"--{each.name}", str(value)]
        return shlex.join(words)

    def describe(self) -> dict[str, Any]:
        """All that it depends on, as JSON."""
        files = [str(path) for path in (*self.learned, *self.held)]
        values = {key: str(value) for key, value in asdict(self.settings).items()}
        return values | {"command": self.command, "files": files, "network": hash_file(self.weights)}

    @property
    def recipe(self) -> Recipe:
        """What is dreamed to teach it."""
        motifs = self.settings.motifs
        curve = MotifCurve(((0.0, motifs),)) if motifs else MotifCurve(hinted=True)
        weights = None if self.settings.weights is None else self.settings.weights
        return Recipe(Schedule(motif=curve), net=self.settings.net, weights=weights)


def make_teaching_task(settings: DreamerSettings, overwrite: bool) -> TeachingTask:
    """Check a teaching: a network with weights, motifs that are channels, enough to learn from."""
    card = load_card(settings.net, "picture")
    folder = dreamer_folder(card.name, settings.motifs)
    if folder.exists() and not overwrite:
        raise UserError(f"{folder}: this dreamer exists already; add --overwrite to teach it anew")
    for name in settings.motifs:
        if find_motif(card, name).kind == "target":
            channels = [each for each, meaning in card.motifs.items() if not meaning.startswith("=")]
            raise UserError(
                f"--motif {name}: is a class of {card.name}, and dreamers are taught channels: "
                f"{', '.join(channels)}"
            )
    weights = locate_weights(card, settings.weights)
    if weights is None:
        raise UserError("--weights random: random weights have no dreams to teach; leave it out")
    pictures, films = list_material(settings.data)
    depths = depth_range(card)
    schedule = Schedule(
        motif=MotifCurve(((0.0, settings.motifs),)) if settings.motifs else MotifCurve(hinted=True)
    )
    layers: dict[str, None] = {}
    for depth in depths:
        objective = build_objective(card, replace(schedule, depth=depth).at(0.0), Recipe().wishes)
        layers |= dict.fromkeys(term.name for term in objective.terms)
    order = np.random.default_rng(settings.seed).permutation(len(pictures) + len(films))
    files = [(*pictures, *films)[place] for place in order]
    held = max(1, round(HELD_SHARE * len(files)))
    return TeachingTask(
        settings,
        card,
        weights,
        tuple(layers),
        depths,
        tuple(files[held:]),
        tuple(files[:held]),
        folder,
        overwrite,
    )


def depth_range(card: NetworkCard) -> tuple[float, float]:
    """The depths between the rungs next to the usual depth."""
    rungs = max(len(card.rungs) - 1, 1)
    below = min(int(Schedule().at(0.0).depth * rungs), rungs - 1)
    return below / rungs, (below + 1) / rungs
