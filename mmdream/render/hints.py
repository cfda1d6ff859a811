"""What a film's shots hint at, looked at every few seconds of each shot, and laid over its frames.

A frame goes by what was seen in its shot so far, so that an excerpt that begins at a cut hints at what the
whole does, wherever it ends.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from safetensors.numpy import load, save

from mmdream.analysis.shots import Scan, Shot
from mmdream.core.errors import Interrupted
from mmdream.core.memory import LruCache
from mmdream.core.rng import rng_for
from mmdream.image.hints import Hints, choose_hints, hint_gains, measure_departures, shrink_look
from mmdream.image.objective import follows_hints
from mmdream.media.probe import MediaFile
from mmdream.media.video_reader import read_frames
from mmdream.networks.network import Network
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.load import BoundPass
from mmdream.settings.report import HintedMotifs

KEY_SECONDS = Fraction(2)
"""From one look to the next, and in which the dream goes over from one to the other."""
MEMORY = 0.5
"""Share that earlier looks at a shot have in the next one: what is hinted at changes slowly."""
VARIATION = 0.3
"""Spreads by which a motif's score varies from shot to shot, so that shots that are alike differ."""
TOLD_MOTIFS = 4
"""Motifs that are told of a time, at most."""
MIN_TOLD_SHARE = 0.03
"""Of the picture, over the time."""
MAX_KNOWN_GAINS = 4
"""Looks whose gains are remembered: frames go by two, and those of the next shot may be measured ahead."""


@dataclass(frozen=True, slots=True)
class HintKey:
    """A look at a shot."""

    shot: int
    """Its number in the scan."""
    seconds: float
    """Of the source."""
    hints: Hints


@dataclass(frozen=True)
class FilmHints:
    """What a film hints at over time."""

    keys: tuple[HintKey, ...]
    """In their order; of each shot the first is of its first frame, unless that cannot be seen."""
    _known: LruCache = field(default_factory=lambda: LruCache(MAX_KNOWN_GAINS), compare=False, repr=False)

    def gains(
        self, network: Network, shot: int, seconds: float, size: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        """What the energy of channels is multiplied by in a shot's frame, see `hint_gains`; none: 1."""
        place = bisect_right(self.keys, seconds, key=lambda key: key.seconds) - 1
        if place < 0 or self.keys[place].shot != shot:
            return {}
        gains = self._gains_at(network, place, size)
        share = (seconds - self.keys[place].seconds) / float(KEY_SECONDS)
        if place and share < 1 and self.keys[place - 1].shot == shot:
            gains = _blend(self._gains_at(network, place - 1, size), gains, share)
        return gains

    def _gains_at(self, network: Network, place: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
        """Those of a key, by its place: they are the same for many frames."""
        hints = self.keys[place].hints
        return self._known.get((network, place, size), lambda: hint_gains(network, hints, size))

    def tell(self, ends: Sequence[float]) -> tuple[HintedMotifs, ...]:
        """The motifs over time, by the second at which each shot ends: looks that agree are told as one."""
        told: list[HintedMotifs] = []
        for place, key in enumerate(self.keys):
            following = self.keys[place + 1 : place + 2]
            end = following[0].seconds if following and following[0].shot == key.shot else ends[key.shot]
            shares = zip(key.hints.names, key.hints.shares.mean(axis=(0, 1)).tolist(), strict=True)
            motifs = {name: round(share, 3) for name, share in shares if share >= MIN_TOLD_SHARE}
            motifs = dict(list(motifs.items())[:TOLD_MOTIFS])
            if told and told[-1].motifs.keys() == motifs.keys():
                told[-1] = HintedMotifs(told[-1].start, end, told[-1].motifs)
            else:
                told.append(HintedMotifs(key.seconds, end, motifs))
        return tuple(told)


PassHints = tuple[FilmHints | None, ...]
"""One for each pass; None: it does not go by hints."""


def tell_hints(hints: PassHints, scan: Scan, start: Fraction) -> tuple[HintedMotifs, ...]:
    """What the first pass that goes by hints is hinted at over the time of a scanned film.

    `start` is the time stamp, in seconds, of the film's second 0.
    """
    own = next((each for each in hints if each is not None), None)
    if own is None:
        return ()
    stops = [*(shot.first for shot in scan.shots[1:]), len(scan.pts) - 1]
    return own.tell([float(scan.pts[stop] * scan.time_base - start) for stop in stops])


def pack_hints(hints: PassHints) -> bytes:
    """Hints without loss, as a safetensors file."""
    arrays = {"passes": np.array([len(hints)])}
    for number, own in enumerate(hints):
        if own is not None:
            names = json.dumps([key.hints.names for key in own.keys]).encode()
            arrays[f"{number}.names"] = np.frombuffer(names, np.uint8)
            arrays[f"{number}.shots"] = np.array([key.shot for key in own.keys], np.int64)
            arrays[f"{number}.seconds"] = np.array([key.seconds for key in own.keys], np.float64)
            arrays |= {f"{number}.{place}": key.hints.shares for place, key in enumerate(own.keys)}
    return save(arrays)


def unpack_hints(data: bytes) -> PassHints:
    """Read what `pack_hints` gave."""
    arrays = load(data)

    def read(number: int) -> FilmHints | None:
        if f"{number}.names" not in arrays:
            return None
        names = json.loads(arrays[f"{number}.names"].tobytes())
        times = zip(arrays[f"{number}.shots"].tolist(), arrays[f"{number}.seconds"].tolist(), strict=True)
        return FilmHints(
            tuple(
                HintKey(shot, seconds, Hints(tuple(names[place]), arrays[f"{number}.{place}"]))
                for place, (shot, seconds) in enumerate(times)
            )
        )

    return tuple(map(read, range(int(arrays["passes"][0]))))


def hinted_networks(passes: Sequence[BoundPass]) -> list[Network | None]:
    """The network of each pass that goes by hints."""
    return [
        bound.renderer.network
        if isinstance(bound.renderer, DreamPass)
        and follows_hints(bound.renderer.network.card, bound.renderer.schedule, bound.renderer.recipe.wishes)
        else None
        for bound in passes
    ]


def measure_film_hints(
    film: MediaFile, scan: Scan, passes: Sequence[BoundPass], seed: int, is_stopped: Callable[[], bool]
) -> PassHints:
    """Look at a scanned film; `Interrupted` is raised when `is_stopped` says so."""
    networks = hinted_networks(passes)
    found = {id(network): list[HintKey]() for network in networks if network is not None}
    distinct = {id(network): network for network in networks if network is not None}
    for number, shot in enumerate(scan.shots if distinct else ()):
        looks = _read_looks(film, scan, shot, is_stopped)
        for key, network in distinct.items():
            found[key] += look_at_shot(network, number, looks, seed)
    return tuple(None if network is None else FilmHints(tuple(found[id(network)])) for network in networks)


def find_still_hints(passes: Sequence[BoundPass], rgb: np.ndarray, seed: int) -> PassHints:
    """What an image, float32 [H, W, 3], hints at, as a film's only frame."""
    return tuple(
        None
        if network is None
        else FilmHints(tuple(look_at_shot(network, 0, [(0.0, shrink_look(rgb))], seed)))
        for network in hinted_networks(passes)
    )


def look_at_shot(
    network: Network, number: int, looks: Sequence[tuple[float, np.ndarray]], seed: int
) -> list[HintKey]:
    """The keys of a shot, by its number, from pictures of it at rising seconds, float32 [h, w, 3]."""
    keys: list[HintKey] = []
    seen: np.ndarray | None = None
    for seconds, rgb in looks:
        departures = measure_departures(network, rgb)
        if not keys:
            drawn = rng_for(seed, "hints", Fraction(seconds)).standard_normal(departures.shape[2], np.float32)
        departures = departures + np.float32(VARIATION) * drawn
        if seen is not None and np.isfinite(departures).all():
            departures = MEMORY * seen + (1 - MEMORY) * departures
        seen = departures if np.isfinite(departures).all() else None
        keys.append(HintKey(number, seconds, choose_hints(network.card, departures)))
    return keys


def _read_looks(
    film: MediaFile, scan: Scan, shot: Shot, is_stopped: Callable[[], bool]
) -> list[tuple[float, np.ndarray]]:
    """Seconds and picture, within the borders, of a shot's first frame and of one in each `KEY_SECONDS`."""
    if shot.box[0] == shot.box[1]:
        return []
    start, last = (scan.pts[place] * scan.time_base - film.start for place in (shot.first, shot.stop - 1))
    (top, bottom, left, right), looks = shot.box, []
    with closing(read_frames(film, start, last + scan.time_base, every=KEY_SECONDS)) as frames:
        for frame in frames:
            if is_stopped():
                raise Interrupted
            if not shot.is_flash(bisect_left(scan.pts, frame.pts)):
                looks.append((float(frame.seconds), shrink_look(frame.rgb[top:bottom, left:right])))
    return looks


def _blend(
    before: dict[str, np.ndarray], after: dict[str, np.ndarray], share: float
) -> dict[str, np.ndarray]:
    """Gains between two, `share` of the way; a layer that has none has 1."""
    one = np.ones(1, np.float32)
    return {
        layer: before.get(layer, one) * np.float32(1 - share) + after.get(layer, one) * np.float32(share)
        for layer in before.keys() | after.keys()
    }
