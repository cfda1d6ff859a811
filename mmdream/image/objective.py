"""What an image dream climbs at a moment, by schedule, targets and card; nothing here needs TensorFlow."""

from __future__ import annotations

import hashlib

import numpy as np

from mmdream.image.octaves import resize
from mmdream.networks.card import NetworkCard
from mmdream.networks.registry import find_motif
from mmdream.settings.schedule import FrameSettings, Schedule
from mmdream.settings.targets import GuideImage, Objective, Targets, Term, parse_channel

MAX_GUIDE_SIDE = 256
"""Longest side of a guide in px: its cells are compared with every cell of the image."""


def build_objective(
    card: NetworkCard, settings: FrameSettings, targets: Targets, guide: GuideImage | None = None
) -> Objective:
    """The targets and the motifs of the moment; where there are neither, the rungs next to its depth.

    The rungs also join a guide, the image that the targets name, where no layer is among the targets. All
    motifs of a schedule are among the terms at any time, so that the gradient is traced once for all.
    """
    terms = [(term.unweighted, term.weight) for term in targets.terms]
    terms += [(find_motif(card, name), share) for name, share in settings.motifs]
    unguided = targets.guide is not None and all(term.kind != "layer" for term, _ in terms)
    if not terms or unguided:
        rungs = objective_at_depth(card, settings.depth, away=targets.guide is None)
        terms += zip(rungs.terms, rungs.weights, strict=True)
    return Objective(
        tuple(term for term, _ in terms), tuple(weight for _, weight in terms), targets.measure, guide
    )


def objective_at_depth(card: NetworkCard, depth: float, away: bool = True) -> Objective:
    """The energy of the two rungs next to a depth of 0..1, blended; less that of their `away` channels."""
    terms: list[tuple[Term, float]] = []
    for rung, share in zip(card.rungs, map(float, card.mix(depth)), strict=True):
        if share:
            terms.append((Term("layer", rung.layer), share))
        if share and away:
            channels = [parse_channel(f"{rung.layer}:{numbers}") for numbers in rung.away]
            terms += [(term.unweighted, -share * term.weight) for term in channels]
    return Objective(tuple(term for term, _ in terms), tuple(weight for _, weight in terms))


def step_size(card: NetworkCard, objective: Objective) -> float:
    """RMS of one ascent step in the range 0..1."""
    return card.step_along(objective.terms, objective.weights)


def check_targets(card: NetworkCard, schedule: Schedule, targets: Targets) -> None:
    """Refuse, before the network is loaded, a class or motif that the card does not know: a `UserError`."""
    for name in schedule.motif_curve.names:
        find_motif(card, name)
    card.check_classes(targets.terms)


def follows_hints(card: NetworkCard, schedule: Schedule, targets: Targets) -> bool:
    """Whether a dream goes by what its source hints at, as nothing else is asked for."""
    asked = bool(targets.terms) or targets.guide is not None or targets.measure != "energy"
    return schedule.motif_curve.hinted and not asked and bool(card.hints)


def make_guide(image: np.ndarray) -> GuideImage:
    """An image, float32 [H, W, 3], as the network sees a guide: its details as large as in a dream."""
    factor = min(1.0, MAX_GUIDE_SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))
    small = resize(image, size)
    return GuideImage(small, hashlib.sha256(str(size).encode() + small.tobytes()).hexdigest())
