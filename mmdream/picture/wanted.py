"""What a picture dream climbs at a moment, by the schedule and the user's wishes; and how far at a step."""

from __future__ import annotations

import hashlib

from mmdream.media import image
from mmdream.networks.card import NetworkCard
from mmdream.picture.octaves import resize
from mmdream.settings.schedule import FrameSettings, Schedule
from mmdream.settings.targets import GuideImage, Objective, Targets, Term, parse_channel

MAX_GUIDE_SIDE = 256
"""Longest side of a guide in px: its cells are compared with every cell of the picture."""


def read_guide(wishes: Targets) -> GuideImage | None:
    """The guide as the network is shown it, its details as large as in a dream; None: there is none.

    Raises:
        UserError: a guide that is no picture.
    """
    if wishes.guide is None:
        return None
    rgb = image.read_image(wishes.guide)
    factor = min(1.0, MAX_GUIDE_SIDE / max(rgb.shape[:2]))
    size = max(1, round(rgb.shape[0] * factor)), max(1, round(rgb.shape[1] * factor))
    small = resize(rgb, size)
    return GuideImage(small, hashlib.sha256(str(size).encode() + small.tobytes()).hexdigest())


def build_objective(
    card: NetworkCard, moment: FrameSettings, wishes: Targets, guide: GuideImage | None = None
) -> Objective:
    """The terms asked for and the moment's motifs; where there are neither, the rungs next to its depth.

    Those also where a guide has no other layer to be looked for. All motifs of a schedule are among the terms
    at any time, so that a step is traced once for all.

    Args:
        card: of the network.
        moment: of the schedule.
        wishes: the user's.
        guide: theirs, as `read_guide` gives it, where it has been read already: whoever asks for many moments
            reads it once, and is not led elsewhere by a file that changes meanwhile.

    Raises:
        UserError: there is no such motif, a guide that is no picture.
    """
    terms = [(term.plain, term.weight) for term in wishes.terms]
    terms += [(card.motif(name), share) for name, share in moment.motifs]
    unguided = wishes.guide is not None and all(term.kind != "layer" for term, _ in terms)
    if not terms or unguided:
        # A guide alone says what is wanted.
        rungs = objective_at_depth(card, moment.depth, away=wishes.guide is None)
        terms += zip(rungs.terms, rungs.weights, strict=True)
    return Objective(
        tuple(term for term, _ in terms),
        tuple(weight for _, weight in terms),
        wishes.measure,
        guide or read_guide(wishes),
    )


def objective_at_depth(card: NetworkCard, depth: float, away: bool = True) -> Objective:
    """The energy of the two rungs next to a depth of 0..1, blended; less that of what they go away from."""
    found: list[tuple[Term, float]] = []
    for rung, share in zip(card.rungs, map(float, card.mix(depth)), strict=True):
        if share:
            found.append((Term("layer", rung.layer), share))
        if share and away:
            left = [parse_channel(f"{rung.layer}:{numbers}") for numbers in rung.away]
            found += [(term.plain, -share * term.weight) for term in left]
    return Objective(tuple(term for term, _ in found), tuple(weight for _, weight in found))


def step_size(card: NetworkCard, objective: Objective) -> float:
    """RMS of one ascent step in the range 0..1."""
    return card.step_along(objective.terms, objective.weights)


def check_targets(card: NetworkCard, schedule: Schedule, wishes: Targets) -> None:
    """Refuse what the card does not know, before the network is loaded.

    Raises:
        UserError: unknown class or motif (names the nearest ones), a guide that is no picture.
    """
    if wishes.guide is not None:
        image.read_image(wishes.guide)
    for name in schedule.fade.names:
        card.motif(name)
    card.check_classes(wishes.terms)
