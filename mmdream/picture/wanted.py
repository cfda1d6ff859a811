"""What a picture dream climbs at a moment, by the schedule and the user's wishes; and how far at a step."""

from __future__ import annotations

from mmdream.networks.card import Card
from mmdream.picture import files
from mmdream.schedule import Moment, Schedule
from mmdream.terms import Objective, Term, Wishes, channel


def objective(card: Card, moment: Moment, wishes: Wishes) -> Objective:
    """The terms asked for and the moment's motifs; where there are neither, the rungs next to its depth.

    Those also where a guide has no other layer to be looked for. All motifs of a schedule are among the terms
    at any time, so that a step is traced once for all.

    Raises:
        UserError: there is no such motif.
    """
    terms = [(term.plain, term.weight) for term in wishes.terms]
    terms += [(card.motif(name), share) for name, share in moment.motifs]
    unguided = wishes.guide is not None and all(term.kind != "layer" for term, _ in terms)
    if not terms or unguided:
        # A guide alone says what is wanted.
        rungs = at_depth(card, moment.depth, away=wishes.guide is None)
        terms += zip(rungs.terms, rungs.weights, strict=True)
    return Objective(
        tuple(term for term, _ in terms),
        tuple(weight for _, weight in terms),
        wishes.measure,
        wishes.guide,
    )


def at_depth(card: Card, depth: float, away: bool = True) -> Objective:
    """The energy of the two rungs next to a depth of 0..1, blended; less that of what they go away from."""
    found: list[tuple[Term, float]] = []
    for rung, share in zip(card.rungs, map(float, card.mix(depth)), strict=True):
        if share:
            found.append((Term("layer", rung.layer), share))
        if share and away:
            left = [channel(f"{rung.layer}:{numbers}") for numbers in rung.away]
            found += [(term.plain, -share * term.weight) for term in left]
    return Objective(tuple(term for term, _ in found), tuple(weight for _, weight in found))


def step(card: Card, objective: Objective) -> float:
    """RMS of one ascent step in the range 0..1."""
    return card.step_along(objective.terms, objective.weights)


def check(card: Card, schedule: Schedule, wishes: Wishes) -> None:
    """Refuse what the card does not know, before the network is loaded.

    Raises:
        UserError: unknown class or motif (names the nearest ones), a guide that is no picture.
    """
    if wishes.guide is not None:
        files.read(wishes.guide)
    for name in schedule.fade.names:
        card.motif(name)
    card.check_classes(wishes.terms)
