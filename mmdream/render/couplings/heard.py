"""What a film's own sound has in it over time, and how that favours motifs of the picture."""

from __future__ import annotations

import json
import math
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
from safetensors.numpy import load, save
from scipy.special import softmax

from mmdream.audio.source import AudioSource, FileSource
from mmdream.core.errors import Interrupted
from mmdream.core.memory import LruCache
from mmdream.image.gradient import NO_GAINS, ChannelGains
from mmdream.image.hints import HEARD_GAIN, Hints, hint_gains, hinted_terms
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.media.tracks import Excerpt
from mmdream.networks.card import Hint
from mmdream.networks.couplings import Couplings, load_couplings, match_kinds
from mmdream.networks.network import Network
from mmdream.networks.registry import load_card
from mmdream.settings.report import HeardClass
from mmdream.settings.targets import Term

WINDOW_SECONDS, HOP_SECONDS = 1.0, 0.25
"""Of sound that is named together, and from one such window to the next."""
BATCH = 16
"""Windows that are named at once."""
SURE = 0.6
"""Probability of a class from which on it is heard wherever it is."""
PROBABLE = 0.15, 0.4
"""Those between which a class comes to be heard that stands out from the whole sound."""
OUTSTANDING = 0.5, 1.5
"""By how much its log odds then lie over their median in the sound, from where on and where wholly."""
QUIET_DB = -30.0, -20.0
"""Over the sound's loud windows: levels of a window in which nothing is heard for certain, and of one that is
loud enough. A network names silence, too."""
LOUD_QUANTILE = 0.95
FADE_SECONDS = 0.75
"""In which a motif's favour falls to a third, once its sound has ended."""
FADE = float(np.exp(-HOP_SECONDS / FADE_SECONDS))
"""What is left of a share from one window to the next."""
MAX_FADES = 4.0
"""Times `FADE_SECONDS` after which nothing of a favour is left."""
PLANNED_SHARE = 0.5
"""Of a planned grain where nothing is heard: it was half heard, and the picture may yet keep it out."""
MAX_PAUSE = 1.0
"""Seconds between two windows that name a class, up to which it is told as one sound."""
GAIN_CHANNELS = 3
"""Channels of a motif whose energy counts `HEARD_GAIN` more: of more each counts less, or a motif of twelve
would outshine those of three.

It goes with the square of how sure a sound is and of the setting: what is half heard is hinted at, what is
sure cannot be missed.
"""
MOST_DREAMED = 2.0
"""Spreads over the usual (`Hint.dreamed`) at which dreams show what they show most, dogs: of what they show
less the energy counts more, by the exponential of the difference, or it would not be drawn beside them."""
NEXT_MOTIF = 0.7
"""Share of a sound's next motif over the one before in its row of the table: all alike, and what looks most
like the sound's source is lost among what goes with it."""
FORGETTING_RATE = 3.0
"""A second, at which a dream gives way to a sound that is new."""
KNOWN_SECONDS = 1.0, 1.5, 2.0
"""Ago, at which a sound is known already: a dog that barks every two seconds is drawn once."""
RIVALRY = 2
"""Power of a class's probability over that of the likeliest that stands out with it."""
MAX_KNOWN_GAINS, MAX_NETWORKS = 8, 8
STEPS = 20
"""Levels of favour that are told apart."""


@dataclass(frozen=True, slots=True)
class PlannedGrain:
    """A grain that the sound's dream would have if the picture did not matter to it."""

    kind: str
    seconds: float
    """Of the source, at which it begins."""
    length: float
    """Seconds."""


@dataclass(frozen=True)
class HeardSounds:
    """The classes of a film's sound over time, and the grains that its dream is to have."""

    net: str
    """Of the sound network."""
    names: tuple[str, ...]
    """Classes."""
    seconds: np.ndarray
    """float64 [moment], rising, of the source: when each window ends."""
    shares: np.ndarray
    """float32 [moment, class], 0..1: how surely a class is heard there, or was a moment ago."""
    planned: tuple[PlannedGrain, ...] = ()
    """In order of time."""
    couplings: Couplings = field(default_factory=load_couplings, compare=False, repr=False)
    """Which motifs belong to them."""
    _known: LruCache = field(default_factory=lambda: LruCache(MAX_KNOWN_GAINS), compare=False, repr=False)
    _matched: LruCache = field(default_factory=lambda: LruCache(MAX_NETWORKS), compare=False, repr=False)

    def share_motifs(self, network: Network, seconds: float) -> dict[str, float]:
        """How much each coupled motif of a picture network is favoured at a time, 0..1."""
        sounding, found = self._share_sounds(seconds), dict[str, float]()
        couplings = self._match(network) if sounding else {}
        for name in sounding.keys() & couplings.keys():
            for place, motif in enumerate(couplings[name]):
                found[motif] = max(sounding[name] * NEXT_MOTIF**place, found.get(motif, 0.0))
        return found

    def _match(self, network: Network) -> dict[str, tuple[str, ...]]:
        """The motifs of a picture network that belong to all that sounds."""
        kinds = (*self.names, *(grain.kind for grain in self.planned))
        made: dict[str, tuple[str, ...]] = self._matched.get(
            network, lambda: match_kinds(network.card, load_card(self.net), kinds, self.couplings)
        )
        return made

    @cached_property
    def _longest_planned(self) -> float:
        """Seconds of the longest planned grain."""
        return max((grain.length for grain in self.planned), default=0.0)

    def _share_sounds(self, seconds: float) -> dict[str, float]:
        """How surely each class is heard at a time, and each kind of the planned grains, 0..1."""
        place, found = int(np.searchsorted(self.seconds, seconds, "right")) - 1, dict[str, float]()
        if place >= 0:
            shares = zip(self.names, self.shares[place].tolist(), strict=True)
            found = {name: share for name, share in shares if share > 0}
        unheard = 1.0 - max(found.values(), default=0.0)
        audible = self._longest_planned + MAX_FADES * FADE_SECONDS
        first = bisect_left(self.planned, seconds - audible, key=lambda grain: grain.seconds)
        last = bisect_right(self.planned, seconds, key=lambda grain: grain.seconds)
        for grain in self.planned[first:last]:
            since = max(0.0, seconds - grain.seconds - grain.length)
            if since < MAX_FADES * FADE_SECONDS:
                share = unheard * PLANNED_SHARE * math.exp(-since / FADE_SECONDS)
                found[grain.kind] = max(share, found.get(grain.kind, 0.0))
        return found

    def gains(self, network: Network, seconds: float, size: tuple[int, int], amount: float) -> ChannelGains:
        """What the energies of channels are multiplied by, see `hint_gains`; `amount` 0..1."""
        favoured = self.share_motifs(network, seconds)
        if not favoured:  # As at most frames of most films.
            return NO_GAINS
        able = hinted_terms(network.card)
        levels = {
            motif: round(STEPS * amount * share) / STEPS for motif, share in favoured.items() if motif in able
        }
        shown = tuple((motif, level) for motif, level in sorted(levels.items()) if level)
        if not shown:
            return NO_GAINS

        def make() -> ChannelGains:
            shares = [
                level**2 * weigh_motif(network.card.hints[motif], able[motif]) for motif, level in shown
            ]
            hints = Hints(tuple(motif for motif, _ in shown), np.array([[shares]], np.float32))
            return hint_gains(network, hints, size, HEARD_GAIN, 1.0)

        gains: ChannelGains = self._known.get((network, shown, size), make)
        return gains

    def forgetting(self, network: Network, seconds: float, elapsed: float, amount: float) -> float:
        """Share of a dream, 0..1, that gives way to what is newly heard, in so many seconds up to a time.

        What was drawn before would be in its way. It goes by the favour that has risen most since
        `KNOWN_SECONDS`, and by its square as the gains do.
        """
        now = self.share_motifs(network, seconds)
        earlier = [self.share_motifs(network, seconds - ago) for ago in KNOWN_SECONDS] if now else []
        risen = [
            share**2 - max(before.get(motif, 0.0) for before in earlier) ** 2 for motif, share in now.items()
        ]
        newness = amount**2 * max([0.0, *risen])
        return 1 - math.exp(-FORGETTING_RATE * newness * elapsed)

    def tell(self) -> tuple[HeardClass, ...]:
        """When each class is heard, in order of time; how it dies away afterwards is no part of that.

        A moment stands for the middle of its window, as far as halfway to the next one.
        """
        before = np.concatenate((self.shares[:1] * 0, self.shares[:-1]))
        anew = self.shares > before * np.float32(FADE * (1 + 1e-3))
        told: list[HeardClass] = []
        for number, name in enumerate(self.names):
            places = np.flatnonzero(anew[:, number])
            middles = self.seconds[places] - WINDOW_SECONDS / 2
            runs = np.split(np.arange(len(places)), np.flatnonzero(np.diff(middles) > MAX_PAUSE) + 1)
            for run in runs if len(places) else ():
                ends = float(middles[run[0]]) - HOP_SECONDS / 2, float(middles[run[-1]]) + HOP_SECONDS / 2
                share = float(self.shares[places[run], number].max())
                told.append(HeardClass(name, *(round(each, 3) for each in (*ends, share))))
        return tuple(sorted(told, key=lambda each: each.start))

    def pack(self) -> bytes:
        """All of it, as a safetensors file."""
        about = [self.net, self.names, [astuple(grain) for grain in self.planned]]
        packed = np.frombuffer(json.dumps(about).encode(), np.uint8)
        return save({"about": packed, "seconds": self.seconds, "shares": self.shares})


def weigh_motif(hint: Hint, term: Term) -> float:
    """How much the energy of a motif's channels counts, for it to become as clear as dogs do."""
    rarity = 1.0 if hint.dreamed is None else math.exp(max(0.0, MOST_DREAMED - hint.dreamed))
    return rarity * min(1.0, GAIN_CHANNELS / len(term.channels))


def unpack_heard(data: bytes) -> HeardSounds:
    """Read what `HeardSounds.pack` gave."""
    arrays = load(data)
    net, names, planned = json.loads(arrays["about"].tobytes())
    grains = tuple(PlannedGrain(*each) for each in planned)
    return HeardSounds(net, tuple(names), arrays["seconds"], arrays["shares"], grains)


def measure_heard(
    film: MediaFile, track: AudioTrack, span: Excerpt, network: Network, is_stopped: Callable[[], bool]
) -> HeardSounds:
    """Listen to a sound track, window by window; `Interrupted` is raised when `is_stopped` says so."""
    from mmdream.audio.frontend import read_windows  # This brings TensorFlow in.

    card, head = network.card, network.class_logits()
    seconds, logits, levels = list[float](), list[np.ndarray](), list[float]()
    with tempfile.TemporaryDirectory(prefix="mmdream-") as folder:
        wave = Path(folder) / "sound.wav"
        made = extract_audio(film, track, wave, *span)
        if made.n_samples:
            with soundfile.SoundFile(wave) as file:
                source = FileSource(file, track.layout)
                windows = read_windows(source, network, WINDOW_SECONDS, hop_seconds=HOP_SECONDS)
                while several := list(islice(windows, BATCH)):
                    if is_stopped():
                        raise Interrupted
                    seconds += [float(made.start) + begin + WINDOW_SECONDS for begin, _ in several]
                    levels += [measure_level(source, begin) for begin, _ in several]
                    logits.append(np.asarray(head(np.concatenate([w for _, w in several])), np.float32))
    shares = np.zeros((0, len(card.primary_names())), np.float32)
    if logits:
        sure = measure_sureness(softmax(np.concatenate(logits), axis=1))
        low, high = np.quantile(levels, LOUD_QUANTILE) + np.array(QUIET_DB)
        audible = np.clip((np.array(levels) - low) / (high - low), 0, 1)
        shares = hold_shares((sure * audible[:, None]).astype(np.float32))
    return HeardSounds(card.name, card.primary_names(), np.array(seconds, np.float64), shares)


def measure_level(source: AudioSource, seconds: float) -> float:
    """RMS of a window of a sound, dB of full scale; very low for silence."""
    first = round(seconds * source.rate)
    samples = source.read(first, min(first + round(WINDOW_SECONDS * source.rate), source.n_samples))
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def measure_sureness(probabilities: np.ndarray) -> np.ndarray:
    """How surely each class is heard, 0..1, from probabilities, all [moment, class].

    A network is sure of little that sounds under something else, so what stands out counts as well: music
    that is a little like a helicopter throughout has no helicopter, and a bark over it is a bark. Of several
    that stand out at once the likelier count more: waves sound like rain, too.
    """
    held = np.clip(probabilities, 1e-6, 1 - 1e-6)
    odds = np.log(held / (1 - held))
    probable, outstanding = (
        np.clip((each - low) / (high - low), 0.0, 1.0)
        for each, (low, high) in ((held, PROBABLE), (odds - np.median(odds, axis=0), OUTSTANDING))
    )
    standing_out = probable * outstanding
    rival = np.maximum((held * standing_out).max(axis=1, keepdims=True), 1e-6)
    standing_out *= np.minimum(held / rival, 1.0) ** RIVALRY
    return np.maximum((probabilities - SURE) / (1 - SURE), standing_out).astype(np.float32)


def hold_shares(sure: np.ndarray) -> np.ndarray:
    """How surely each class is heard or was a moment ago, [moment, class]: what has ended dies away."""
    held = np.zeros_like(sure, np.float32)
    for place, row in enumerate(sure):
        held[place] = row if not place else np.maximum(row, np.float32(FADE) * held[place - 1])
    return held
