"""What a film's finished picture shows of motifs that sound: looked at part by part, for its sound."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from fractions import Fraction
from math import floor

import numpy as np

from mmdream.analysis.shots import Scan
from mmdream.audio.grains.cues import CLEARLY, PictureCues
from mmdream.core.errors import Interrupted
from mmdream.image.hints import MAX_HINT, MIN_HINT, hinted_terms, measure_departures, shrink_look
from mmdream.media.probe import MediaFile
from mmdream.media.video_reader import read_frames
from mmdream.networks.card import NetworkCard
from mmdream.networks.couplings import Couplings, choose_motif_network, find_couplings
from mmdream.networks.network import Network, load_network
from mmdream.settings.recipe import Selection
from mmdream.settings.report import ShownMotif

LOOKS_PER_SECOND = 2
"""And one at the first frame of each shot."""
DREAM_RISE, LEAST_IN_DREAMS = 0.25, 1.0
"""Spreads over what dreams mostly show (`Hint.dreamed`) from which on a dream shows a motif, and at least:
some motifs are a little in every dream, and others, favoured as they may be, never as clear as those."""
WINDOW_STEP = 1.0
"""Of a window's side, from one to the next: twice that of the hints, and two fifths of their time."""
CLEAR_PLACES = 0.25
"""Share of the picture, where a motif is clearest, that its clarity is the mean of."""
MAX_SHOWN = 12
"""Motifs of a look that are kept, the clearest."""
MAX_PAUSE = 1.0
"""Seconds between two looks that show a motif, up to which it is told as one: what moves flickers."""

Look = tuple[float, dict[str, list[float]]]
"""Seconds of the source; of each motif shown its clarity, spreads over where it begins to be shown, its side,
-1..1, and its size, 0..1."""


def load_motif_network(networks: Sequence[Network], sound: NetworkCard, table: Couplings | None) -> Network:
    """What looks at a picture for its sound: one of the networks that dreamed it, or dreamnet."""
    card = choose_motif_network([network.card for network in networks], sound, table)
    return next((each for each in networks if each.card is card), None) or load_network(card)


def choose_looks(scan: Scan, start: Fraction) -> frozenset[int]:
    """Numbers of the frames that are looked at; `start` is the time stamp, in seconds, of second 0."""
    firsts = {shot.first for shot in scan.shots}
    slots = [floor((pts * scan.time_base - start) * LOOKS_PER_SECOND) for pts in scan.pts]
    return frozenset(firsts | {place for place in range(1, len(slots)) if slots[place] != slots[place - 1]})


def find_thresholds(card: NetworkCard, is_dream: bool) -> np.ndarray:
    """Spreads over the usual from which on a picture, or a dream, shows each motif, float32 [motif]."""
    usual = [card.hints[name].dreamed if is_dream else None for name in hinted_terms(card)]
    least = [MIN_HINT if own is None else max(own + DREAM_RISE, LEAST_IN_DREAMS) for own in usual]
    return np.array(least, np.float32)


def look_at_picture(network: Network, seconds: float, rgb: np.ndarray, is_dream: bool = True) -> Look:
    """The motifs that an image, float32 [H, W, 3], shows clearly: more than pictures do, or than dreams."""
    departures = measure_departures(network, shrink_look(rgb), WINDOW_STEP)
    if not np.isfinite(departures).all():
        return seconds, {}
    columns, least = departures.shape[1], find_thresholds(network.card, is_dream)
    clarity = mean_of_clearest(departures) - least
    covered = np.clip((departures - least) / (MAX_HINT - MIN_HINT), 0, 1)
    across = np.linspace(-1, 1, columns) if columns > 1 else np.zeros(1)
    names, found = list(hinted_terms(network.card)), {}
    for place in np.argsort(-clarity, kind="stable")[:MAX_SHOWN]:
        if clarity[place] > 0:
            own = covered[..., place]
            side = float((own * across).sum() / max(float(own.sum()), 1e-9))
            figures = float(clarity[place]), side, float(own.mean())
            found[names[place]] = [round(figure, 3) for figure in figures]
    return seconds, found


def mean_of_clearest(departures: np.ndarray) -> np.ndarray:
    """Of departures, float32 [row, column, motif], their mean where each motif is clearest, [motif]."""
    places = departures.reshape(-1, departures.shape[2])
    clear_places = max(1, round(CLEAR_PLACES * len(places)))
    return np.asarray(np.sort(places, axis=0)[-clear_places:].mean(axis=0))


def look_at_source(
    film: MediaFile,
    scan: Scan,
    order: Selection,
    network: Network,
    is_stopped: Callable[[], bool],
    is_dream: bool = False,
) -> bytes:
    """The looks at a film's own picture, as JSON; `Interrupted` is raised when `is_stopped` says so."""
    chosen, looks = choose_looks(scan, film.start), []
    with closing(read_frames(film, order.start, order.end)) as frames:
        for number, frame in enumerate(frames):
            if is_stopped():
                raise Interrupted
            if number in chosen:
                looks.append(look_at_picture(network, float(frame.seconds), frame.rgb, is_dream))
    return json.dumps(looks).encode()


def tell_shown(looks: Sequence[Look]) -> tuple[ShownMotif, ...]:
    """What looks, in order of time, show clearly, each motif from its first look to the one behind its last.

    Told is what is `CLEARLY` there at one look at least, from when to when it is there at all: a long film
    has thousands of glimpses, and what sounds hardly goes by them.
    """
    seconds = [at for at, _ in looks]
    last = [at + 1 / LOOKS_PER_SECOND for at in seconds[-1:]]
    following = dict(zip(seconds, seconds[1:] + last, strict=True))
    runs: dict[str, list[list[tuple[float, list[float]]]]] = {}
    for at, motifs in looks:
        for name, figures in motifs.items():
            own = runs.setdefault(name, [])
            if not own or at - own[-1][-1][0] > MAX_PAUSE:
                own.append([])
            own[-1].append((at, figures))
    told = []
    for name, own in runs.items():
        for run in own:
            clarity = max(figures[0] for _, figures in run)
            side = sum(figures[1] for _, figures in run) / len(run)
            ends = run[0][0], following[run[-1][0]]
            if clarity >= CLEARLY:
                told.append(ShownMotif(name, *(round(each, 3) for each in (*ends, clarity, side))))
    return tuple(sorted(told, key=lambda each: each.start))


def make_cues(
    looks: Sequence[Look], picture: NetworkCard, sound: NetworkCard, table: Couplings | None = None
) -> PictureCues:
    """The kinds that looks show: sounds by their coupled motifs, see `find_couplings`, and other motifs."""
    couplings = find_couplings(picture, sound, table)
    motifs = [name for name in hinted_terms(picture) if name not in couplings]
    kinds = {**couplings, **{name: (name,) for name in motifs}}
    figures = np.zeros((3, len(looks), len(kinds)), np.float32)
    for row, (_, shown) in enumerate(looks):
        for column, names in enumerate(kinds.values()):
            if found := [shown[name] for name in names if name in shown]:
                figures[:, row, column] = max(found)
    seconds = np.array([seconds for seconds, _ in looks], np.float64)
    return PictureCues(tuple(kinds), seconds, *figures)
