"""A whole sound, dreamed in constant memory.

Three passes, all in blocks: the source is metered; its chunks are dreamed into a temporary float32
file; that file is brought back to the source's loudness and held under its peak limit.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from mmdream.audio.canvas import DB_PER_NEPER
from mmdream.audio.chunk_ascent import ChunkContext, ascend_chunk, make_chunk_context, measure_chunk_energies
from mmdream.audio.chunks import Chunk, ChunkStore, crossfade_chunks, split_into_chunks
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.mastering import (
    PEAK_CEILING,
    GainCurve,
    TruePeakMeter,
    match_dream_loudness,
    write_mastered,
)
from mmdream.audio.resynthesis import apply_gains, fit_dream_phases, resynthesize
from mmdream.audio.source import ArraySource, AudioSource, FileSource, append_samples, read_blocks
from mmdream.core.report import Report, SettingsChange, drop_repeats
from mmdream.settings.recipe import DEFAULT_AUDIO_OPTIONS, AudioOptions
from mmdream.settings.schedule import Curve, FrameSettings, Schedule
from mmdream.settings.targets import NO_TARGETS, Targets

if TYPE_CHECKING:
    from mmdream.networks.network import Network


@dataclass(frozen=True)
class AudioDreamReport:
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
    schedule: tuple[SettingsChange, ...]
    """What each chunk asked for at its centre."""

    def extend_report(self, report: Report) -> Report:
        """A report with these figures; sounds are dreamed in float32."""
        return replace(
            report,
            loudness_source=self.loudness_source,
            loudness_dream=self.loudness_dream,
            true_peak=self.true_peak,
            objective_gain={**report.objective_gain, "sound": self.objective_gain},
            strength={**report.strength, "sound": self.strength},
            precision={**report.precision, "sound": "float32"},
            schedule={**report.schedule, "sound": drop_repeats(self.schedule)},
        )


@dataclass
class _ChunkTally:
    """What the chunks leave behind for the report."""

    used: list[SettingsChange] = field(default_factory=list)
    applied: float = 0.0
    hops: int = 0
    heard: list[tuple[Chunk, np.ndarray, np.ndarray]] = field(default_factory=list)
    """Chunk, weight of each of the ear's terms, the source's energies of those that have one."""


def dream_source(
    source: AudioSource,
    write: Callable[[np.ndarray], None],
    network: Network,
    schedule: Schedule,
    seed: int,
    *,
    start_seconds: float | Fraction = 0,
    folder: Path | None = None,
    store: ChunkStore | None = None,
    progress: Callable[[float], None] | None = None,
    is_stopped: Callable[[], bool] | None = None,
    wishes: Targets = NO_TARGETS,
    guide: ArraySource | None = None,
    options: AudioOptions = DEFAULT_AUDIO_OPTIONS,
    loudness: float | None = None,
    on_gain: Callable[[np.ndarray], None] | None = None,
    on_step: Callable[[Chunk, int, int, np.ndarray], None] | None = None,
) -> AudioDreamReport:
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
        store: where finished chunks outlive the run; None: nowhere.
        progress: takes the finished share, 0..1.
        is_stopped: asked before each step; True ends the dream.
        wishes: what to climb in place of, or besides, the rungs next to the schedule's depth.
        guide: the sound that the dream goes towards; of `wishes` its file's name is not looked at.
        options: how to dream.
        loudness: LUFS that the dream is brought to. None: its source's, and no 400 ms much louder than the
            source's.
        on_gain: takes the log gain as it is applied, in order, float32 [hop, band], nepers.
        on_step: takes the chunks that are dreamed as they climb, see `Stage.shown`.

    Returns:
        What was done.

    Raises:
        UserError: a sample is not a number.
        Interrupted: `is_stopped` said so.
        OSError: ENOSPC, no room for the temporary file.
    """
    tell = progress or (lambda share: None)
    heard, peaks = _make_meters(source)
    for samples in read_blocks(source):
        heard.feed(samples)
        peaks.feed(samples)
    if not source.n_samples:
        return AudioDreamReport(0, source.rate, source.channels, -math.inf, -math.inf, -math.inf,
                           1.0, 0.0, ())  # fmt: skip
    on = make_chunk_context(
        source, network, heard, seed, start_seconds, is_stopped or _never_stop, wishes, guide, options
    )
    on = replace(on, shown=on_step)
    tally = _ChunkTally()

    def applied(gain: np.ndarray) -> None:
        tally.applied += float(DB_PER_NEPER * np.abs(gain).mean(axis=(0, 2)).sum())
        tally.hops += gain.shape[1]
        if on_gain is not None:
            on_gain(gain.mean(axis=0))

    def share(samples: np.ndarray) -> np.ndarray:
        """How much of the loudness gain acts at these samples, 0..1."""
        at = (on.offset + samples) / source.rate
        return np.asarray(np.minimum(schedule.curve("strength").at(at), 1.0))

    dreamed, _ = _make_meters(source)
    with tempfile.TemporaryDirectory(dir=folder, prefix="sound") as place:
        path = Path(place) / "raw.wav"
        with soundfile.SoundFile(path, "w", source.rate, source.channels, "FLOAT", format="RF64") as file:
            canvases = crossfade_chunks(_dream_chunks(on, schedule, tally, store, tell))
            spectra = apply_gains(on, canvases, schedule.curve("strength"), applied)
            if options.phase == "griffin-lim":
                spectra = fit_dream_phases(spectra, on.stft)
            for samples in resynthesize(on, spectra):
                dreamed.feed(samples)
                append_samples(file, samples)
        level = match_dream_loudness(dreamed, heard, source.rate, share, loudness)
        with soundfile.SoundFile(path) as file:
            raw = FileSource(file)
            final, top = write_mastered(raw, source.layout, level, max(PEAK_CEILING, peaks.peak), write)
            gain = _measure_objective_gain(on, raw, tally, level)
    tell(1.0)
    return AudioDreamReport(
        n_samples=source.n_samples,
        rate=source.rate,
        channels=source.channels,
        loudness_source=heard.loudness(),
        loudness_dream=final.loudness(),
        true_peak=20 * math.log10(top) if top > 0 else -math.inf,
        objective_gain=gain,
        strength=tally.applied / max(tally.hops, 1),
        schedule=tuple(tally.used),
    )


def _never_stop() -> bool:
    return False


def _make_meters(source: AudioSource) -> tuple[LoudnessMeter, TruePeakMeter]:
    return LoudnessMeter(source.rate, source.channels, source.layout), TruePeakMeter(source.channels)


def _dream_chunks(
    on: ChunkContext,
    schedule: Schedule,
    tally: _ChunkTally,
    kept: ChunkStore | None,
    tell: Callable[[float], None],
) -> Iterator[tuple[Chunk, np.ndarray]]:
    """Each chunk with what `climbed` makes of all it heard; those that are kept are not dreamed again."""
    grid = split_into_chunks(*on.hops)
    for place, chunk in enumerate(grid):
        moment = schedule.at(float(on.seconds(chunk.center)))
        depths = schedule.curve("depth").at(on.seconds(np.arange(chunk.low, chunk.high)))
        mix = np.abs(on.ear.weights(depths)).mean(axis=0)
        arrays = None if kept is None else kept.load(place)
        if arrays is None:
            heard, gain = _dream_audible_chunk(on, chunk, moment, depths, mix, schedule.curve("strength"))
            if kept is not None:
                kept.save(place, {"energies": heard, "gain": gain})
        else:
            heard, gain = arrays["energies"], arrays["gain"]
        tally.used.append(SettingsChange(float(on.seconds(chunk.center)), moment))
        tally.heard.append((chunk, mix, heard))
        yield chunk, gain
        tell(0.95 * (place + 1) / len(grid))


def _dream_audible_chunk(
    on: ChunkContext,
    chunk: Chunk,
    moment: FrameSettings,
    depths: np.ndarray,
    mix: np.ndarray,
    strength: Curve,
) -> tuple[np.ndarray, np.ndarray]:
    """A chunk's contrast energies as the source has them, and its canvas, zero if it is not heard."""
    rungs = tuple(int(rung) for rung in np.flatnonzero(mix))
    heard = measure_chunk_energies(on, on.source, chunk, rungs, on.factor)
    if np.any(strength.at(on.seconds(np.arange(chunk.low, chunk.high)))):
        lively = float(np.average(heard, weights=mix[list(rungs)])) if rungs else 0.0
        return heard, ascend_chunk(on, chunk, moment, depths, lively)
    return heard, np.zeros((chunk.high - chunk.low, len(on.voices) * on.width), np.float32)


def _measure_objective_gain(
    on: ChunkContext,
    raw: AudioSource,
    tally: _ChunkTally,
    level: GainCurve,
) -> float:
    """Contrast energy of the result over the source's, as the network hears both."""
    n_rungs = len(on.ear.terms)
    weights, before, after = np.zeros(n_rungs), np.zeros(n_rungs), np.zeros(n_rungs)
    for chunk, mix, source_energies in tally.heard:
        rungs = np.flatnonzero(mix)
        centre = np.array([chunk.center * on.stft.hop - on.offset])
        factor = on.factor * math.exp(float(level(centre)[0]))
        found = measure_chunk_energies(on, raw, chunk, tuple(int(rung) for rung in rungs), factor)
        here = (chunk.stop - chunk.first) * mix[rungs]
        weights[rungs] += here
        before[rungs] += here * source_energies
        after[rungs] += here * found
    if not before.any():
        return math.nan  # Silence has none.
    return float(weights @ (after / np.maximum(before, 1e-12)) / max(weights.sum(), 1e-12))


def measure_contrast_energies(source: AudioSource, sound: AudioSource, network: Network) -> np.ndarray:
    """How much happens in a sound, by the network's ear: what a dream raises.

    Args:
        source: sets the level at which `sound` is heard.
        sound: the source itself or what was made of it, of the same rate.
        network: a sound network.

    Returns:
        float64 [rung]: contrast energy, mean over all hops.
    """
    heard, _ = _make_meters(source)
    for samples in read_blocks(source):
        heard.feed(samples)
    on = make_chunk_context(source, network, heard, 0, 0, _never_stop)
    grid = split_into_chunks(*on.hops)
    rungs = tuple(range(len(on.ear.terms)))
    found = [measure_chunk_energies(on, sound, chunk, rungs, on.factor) for chunk in grid]
    return np.average(found, axis=0, weights=[chunk.stop - chunk.first for chunk in grid])
