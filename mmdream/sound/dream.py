"""A whole sound, dreamed in constant memory.

Three passes, all in blocks: the source is metered; its chunks are dreamed into a temporary float32
file; that file is brought back to the source's loudness and held under its peak limit.
"""

from __future__ import annotations

import errno
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from scipy.ndimage import median_filter

from mmdream.recipe import AS_USUAL, SoundManner
from mmdream.report import Used
from mmdream.schedule import Curve, Moment, Schedule
from mmdream.sound.canvas import BANDS, DB, EDGES, new_power
from mmdream.sound.chunks import Chunk, chunks, crossfaded
from mmdream.sound.climb import Stage, climbed, energies, stage
from mmdream.sound.front import spread
from mmdream.sound.invented import Excitation, edges
from mmdream.sound.kept import Kept
from mmdream.sound.level import Meter
from mmdream.sound.peak import CEILING, PeakMeter, limited
from mmdream.sound.phase import Stretch, fitted
from mmdream.sound.pitch import pitches
from mmdream.sound.source import BLOCK, ArraySource, FileSource, Source, blocks, padded
from mmdream.sound.stft import REACH, samples_of
from mmdream.terms import NOTHING_ASKED, Wishes

if TYPE_CHECKING:
    from mmdream.networks.network import Network


FELT_HZ = 20.0
"""What is lower is no sound, and keeps its level: a gain on it would add a direct current."""
ROUNDS = 6
"""Of the loudness match; the last ones move it by hundredths of a decibel."""


@dataclass(frozen=True)
class SoundReport:
    """What was done to a sound."""

    n_samples: int
    rate: int
    channels: int
    loudness_source: float
    """LUFS, or dB RMS for sounds too short or too quiet for BS.1770; -inf for silence."""
    loudness_dream: float
    true_peak: float
    """Of the dream, dBTP; -inf for silence."""
    objective_gain: float
    """Contrast energy of the dream over the source's, what was climbed weighted as it was climbed; not a
    number for silence."""
    strength: float
    """Mean |gain| as applied, dB, over the hops and bands where the source is above the floor."""
    schedule: tuple[Used, ...]
    """What each chunk asked for at its centre."""


@dataclass
class _Tally:
    """What the chunks leave behind for the report."""

    used: list[Used] = field(default_factory=list)
    applied: float = 0.0
    hops: int = 0
    heard: list[tuple[Chunk, np.ndarray, np.ndarray]] = field(default_factory=list)
    """Chunk, weight of each of the ear's terms, the source's energies of those that have one."""


def dream_sound(
    source: Source,
    write: Callable[[np.ndarray], None],
    network: Network,
    schedule: Schedule,
    seed: int,
    *,
    start_seconds: float | Fraction = 0,
    folder: Path | None = None,
    kept: Kept | None = None,
    progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
    wishes: Wishes = NOTHING_ASKED,
    guide: ArraySource | None = None,
    manner: SoundManner = AS_USUAL,
    loudness: float | None = None,
    watch: Callable[[np.ndarray], None] | None = None,
    shown: Callable[[Chunk, int, int, np.ndarray], None] | None = None,
) -> SoundReport:
    """Dream a sound: same rate, channels, length and loudness.

    Args:
        source: what is dreamed; asked for about twelve seconds at a time.
        write: takes the dream in order, float32 [channel, sample], `source.n_samples` in all.
        network: a sound network.
        schedule: octaves and steps are asked at each chunk's centre, depth and strength at each hop.
        seed: of the rolls and of the canvases' first noise.
        start_seconds: time of the first sample as a player shows it. Chunks, rolls and schedule
            belong to this clock, so an excerpt is dreamed like that part of the whole.
        folder: where the temporary file goes, as large as the sound in float32; None: the system's
            place.
        kept: where finished chunks outlive the run; None: nowhere.
        progress: takes the finished share, 0..1.
        stop: asked before each step; True ends the dream.
        wishes: what to climb in place of, or besides, the rungs next to the schedule's depth.
        guide: the sound that the dream goes towards; of `wishes` its file's name is not looked at.
        manner: how to dream.
        loudness: LUFS that the dream is brought to. None: its source's, and no 400 ms much louder than the
            source's.
        watch: takes the log gain as it is applied, in order, float32 [hop, band], nepers.
        shown: takes the chunks that are dreamed as they climb, see `Stage.shown`.

    Returns:
        What was done.

    Raises:
        UserError: a sample is not a number.
        Interrupted: `stop` said so.
        OSError: ENOSPC, no room for the temporary file.
    """
    tell = progress or (lambda share: None)
    heard, peaks = _meters(source)
    for samples in blocks(source):
        heard.feed(samples)
        peaks.feed(samples)
    if not source.n_samples:
        return SoundReport(0, source.rate, source.channels, -math.inf, -math.inf, -math.inf,
                           1.0, 0.0, ())  # fmt: skip
    on = stage(source, network, heard, seed, start_seconds, stop or _never, wishes, guide, manner)
    on = replace(on, shown=shown)
    tally = _Tally()

    def share(samples: np.ndarray) -> np.ndarray:
        """How much of the loudness gain acts at these samples, 0..1."""
        at = (on.offset + samples) / source.rate
        return np.asarray(np.minimum(schedule.curve("strength").at(at), 1.0))

    dreamed, _ = _meters(source)
    with tempfile.TemporaryDirectory(dir=folder, prefix="sound") as place:
        path = Path(place) / "raw.wav"
        with soundfile.SoundFile(path, "w", source.rate, source.channels, "FLOAT", format="RF64") as file:
            stretches = _stretches(on, schedule, tally, kept, tell, watch)
            if manner.phase == "griffin-lim":
                stretches = fitted(stretches, on.stft)
            for samples in _raw(on, stretches):
                dreamed.feed(samples)
                _append(file, samples)
        level = _levelling(dreamed, heard, source.rate, share, loudness)
        final, top = _meters(source)
        with soundfile.SoundFile(path) as file:
            raw = FileSource(file)

            def levelled(start: int, end: int) -> np.ndarray:
                gain = np.exp(level(np.arange(start, end)))
                return padded(raw, start, end) * gain.astype(np.float32)

            for start in range(0, source.n_samples, BLOCK):
                end = min(start + BLOCK, source.n_samples)
                samples = limited(levelled, start, end, source.rate, max(CEILING, peaks.peak))
                final.feed(samples)
                top.feed(samples)
                write(samples)
            gain = _objective_gain(on, raw, tally, level)
    tell(1.0)
    return SoundReport(
        n_samples=source.n_samples,
        rate=source.rate,
        channels=source.channels,
        loudness_source=heard.loudness(),
        loudness_dream=final.loudness(),
        true_peak=20 * math.log10(top.peak) if top.peak > 0 else -math.inf,
        objective_gain=gain,
        strength=tally.applied / max(tally.hops, 1),
        schedule=tuple(tally.used),
    )


def _levelling(
    dreamed: Meter,
    source: Meter,
    rate: int,
    share: Callable[[np.ndarray], np.ndarray],
    loudness: float | None,
) -> Callable[[np.ndarray], np.ndarray]:
    """The log gain, by sample, that makes a dream as loud as it should be, and nowhere a shock.

    Turning the loudest places down makes the whole softer, and turning that up makes them louder again: a few
    rounds settle it.

    Args:
        dreamed: meter of the dream.
        source: meter of its source.
        rate: samples a second.
        share: how much of the gain acts at some samples, 0..1.
        loudness: LUFS; None: as the source, on the whole and at any moment.
    """
    at = dreamed.block_seconds() * rate
    shares, down = share(at), np.zeros(len(at))
    for _ in range(ROUNDS):
        nepers = dreamed.gain_to(source if loudness is None else loudness, shares, -down * shares)
        if loudness is not None:
            break
        down = dreamed.over(source, nepers * shares)
        if not down.any():
            break

    def level(samples: np.ndarray) -> np.ndarray:
        return share(samples) * (nepers - np.interp(samples, at, down))

    return level


def _append(file: soundfile.SoundFile, samples: np.ndarray) -> None:
    """Write a block; libsndfile does not tell why a file stops growing, but a full disk is why."""
    try:
        file.write(samples.T)
    except (soundfile.LibsndfileError, AssertionError) as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name) from error


def _never() -> bool:
    return False


def _meters(source: Source) -> tuple[Meter, PeakMeter]:
    return Meter(source.rate, source.channels, source.layout), PeakMeter(source.channels)


def _gains(
    on: Stage,
    schedule: Schedule,
    tally: _Tally,
    kept: Kept | None,
    tell: Callable[[float], None],
) -> Iterator[tuple[Chunk, np.ndarray]]:
    """Each chunk with what `climbed` makes of all it heard; those that are kept are not dreamed again."""
    grid = chunks(*on.hops)
    for place, chunk in enumerate(grid):
        moment = schedule.at(float(on.seconds(chunk.centre)))
        depths = schedule.curve("depth").at(on.seconds(np.arange(chunk.low, chunk.high)))
        mix = np.abs(on.ear.weights(depths)).mean(axis=0)
        arrays = None if kept is None else kept.load(place)
        if arrays is None:
            heard, gain = _dreamed(on, chunk, moment, depths, mix, schedule.curve("strength"))
            if kept is not None:
                kept.save(place, {"energies": heard, "gain": gain})
        else:
            heard, gain = arrays["energies"], arrays["gain"]
        tally.used.append(Used(float(on.seconds(chunk.centre)), moment))
        tally.heard.append((chunk, mix, heard))
        yield chunk, gain
        tell(0.95 * (place + 1) / len(grid))


def _dreamed(
    on: Stage, chunk: Chunk, moment: Moment, depths: np.ndarray, mix: np.ndarray, strength: Curve
) -> tuple[np.ndarray, np.ndarray]:
    """A chunk's contrast energies as the source has them, and its canvas, zero if it is not heard."""
    rungs = tuple(int(rung) for rung in np.flatnonzero(mix))
    heard = energies(on, on.source, chunk, rungs, on.factor)
    if np.any(strength.at(on.seconds(np.arange(chunk.low, chunk.high)))):
        lively = float(np.average(heard, weights=mix[list(rungs)])) if rungs else 0.0
        return heard, climbed(on, chunk, moment, depths, lively)
    return heard, np.zeros((chunk.high - chunk.low, len(on.voices) * on.width), np.float32)


def _stretches(
    on: Stage,
    schedule: Schedule,
    tally: _Tally,
    kept: Kept | None,
    tell: Callable[[float], None],
    watch: Callable[[np.ndarray], None] | None,
) -> Iterator[Stretch]:
    """Spectra of the source and of the dream, in order."""
    strength = schedule.curve("strength")
    to_bins = spread(EDGES, on.stft) * np.minimum(on.stft.hz / FELT_HZ, 1.0).astype(np.float32)
    excited = Excitation(on.stft, on.seed)
    for first, canvas in crossfaded(_gains(on, schedule, tally, kept, tell)):
        hops = np.arange(first, first + len(canvas))
        share = strength.at(on.seconds(hops)).astype(np.float32)
        voices = canvas.reshape(len(canvas), len(on.voices), on.width).transpose(1, 0, 2)
        gain = voices[..., :BANDS] * share[:, None]
        tally.applied += float(DB * np.abs(gain).mean(axis=(0, 2)).sum())
        tally.hops += len(canvas)
        if watch is not None:
            watch(gain.mean(axis=0))
        source = on.spectra(on.source, first, first + len(canvas))
        dream = source * np.exp(gain @ to_bins)
        if on.manner.invent:
            power = new_power(voices[..., BANDS:], on.ear.typical) @ to_bins
            loud = on.manner.invent * share * edges(hops, *on.span)
            height = loud[:, None] * np.sqrt(power / source.shape[0]) / on.factor
            dream = dream + height * excited.spectra(first, _pitch(on, source))
        yield Stretch(first, source, dream.astype(np.complex64))


def _pitch(on: Stage, source: np.ndarray) -> np.ndarray:
    """Pitch of what is invented, Hz, float64 [frame]: the source's, or else that of the class; 0: none."""
    classes = on.ear.network.card.pitches
    usual = [classes[term.name] for term in on.ear.terms if term.weight > 0 and term.name in classes]
    found = median_filter(pitches(np.square(np.abs(source)).sum(axis=0), on.stft), 5)
    return np.where(found > 0, found, usual[0] if usual else 0.0)


def _raw(on: Stage, stretches: Iterator[Stretch]) -> Iterator[np.ndarray]:
    """The dream before its loudness is matched, in order, float32 [channel, sample].

    What has changed is added to the source's own samples, so that no change gives exactly the source.
    """
    hop = on.stft.hop
    waiting: np.ndarray | None = None
    for stretch in stretches:
        change = stretch.dream - stretch.source
        if waiting is not None:
            change = np.concatenate((waiting, change), axis=1)
        waiting = change[:, -(2 * REACH - 1) :]
        if change.shape[1] < 2 * REACH:
            continue
        added = samples_of(change, on.stft)
        stop_at = (stretch.first + stretch.dream.shape[1] - REACH) * hop - on.offset
        start_at = stop_at - added.shape[1]
        low, high = max(start_at, 0), min(stop_at, on.source.n_samples)
        if high > low:
            yield on.source.read(low, high) + added[:, low - start_at : high - start_at]


def _objective_gain(
    on: Stage,
    raw: Source,
    tally: _Tally,
    level: Callable[[np.ndarray], np.ndarray],
) -> float:
    """Contrast energy of the result over the source's, as the network hears both."""
    n_rungs = len(on.ear.terms)
    weights, before, after = np.zeros(n_rungs), np.zeros(n_rungs), np.zeros(n_rungs)
    for chunk, mix, source_energies in tally.heard:
        rungs = np.flatnonzero(mix)
        centre = np.array([chunk.centre * on.stft.hop - on.offset])
        factor = on.factor * math.exp(float(level(centre)[0]))
        found = energies(on, raw, chunk, tuple(int(rung) for rung in rungs), factor)
        here = (chunk.stop - chunk.first) * mix[rungs]
        weights[rungs] += here
        before[rungs] += here * source_energies
        after[rungs] += here * found
    if not before.any():
        return math.nan  # Silence has none.
    return float(weights @ (after / np.maximum(before, 1e-12)) / max(weights.sum(), 1e-12))


def contrast_energies(source: Source, sound: Source, network: Network) -> np.ndarray:
    """How much happens in a sound, by the network's ear: what a dream raises.

    Args:
        source: sets the level at which `sound` is heard.
        sound: the source itself or what was made of it, of the same rate.
        network: a sound network.

    Returns:
        float64 [rung]: contrast energy, mean over all hops.
    """
    heard, _ = _meters(source)
    for samples in blocks(source):
        heard.feed(samples)
    on = stage(source, network, heard, 0, 0, _never)
    grid = chunks(*on.hops)
    rungs = tuple(range(len(on.ear.terms)))
    found = [energies(on, sound, chunk, rungs, on.factor) for chunk in grid]
    return np.average(found, axis=0, weights=[chunk.stop - chunk.first for chunk in grid])
