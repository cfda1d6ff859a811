"""A whole sound, dreamed in constant memory: metered, climbed chunk by chunk into a file, mastered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.audio import chunks, mastering
from mmdream.audio.canvas import DB_PER_NEPER
from mmdream.audio.chunk_dream import ChunkPlan, measure_chunk_energies, plan_chunk, render_chunk
from mmdream.audio.chunks import AudioDreamSettings, Chunk, ChunkContext, ChunkStore, DreamHooks
from mmdream.audio.grains.choice import GrainWindow
from mmdream.audio.grains.cues import PictureCues
from mmdream.audio.grains.grain import add_grains, pack_grains
from mmdream.audio.grains.places import coupling_amounts
from mmdream.audio.grains.stems import split_stems
from mmdream.audio.grains.track import GrainTrack, choose_track, restore_track
from mmdream.audio.loudness import meter_loudness
from mmdream.audio.resynthesis import apply_gains, fit_dream_phases, resynthesize
from mmdream.audio.source import AudioSource
from mmdream.core.errors import Interrupted
from mmdream.settings.report import GrainEvent, Report, SettingsChange, drop_repeats, list_credits
from mmdream.settings.schedule import Schedule

if TYPE_CHECKING:
    from mmdream.networks.network import Network


@dataclass(frozen=True)
class AudioDreamReport(mastering.AudioReport):
    """What was done to a sound."""

    objective_gain: float
    """Contrast energy of the dream over the source's, weighted as it was climbed; NaN for silence."""
    strength: float
    """Mean |gain| as applied, dB, over all hops and bands."""
    schedule: tuple[SettingsChange, ...]
    """The schedule at each chunk's centre."""
    grains: tuple[GrainEvent, ...] = ()

    @property
    def credits(self) -> Sequence[str]:
        """Who is to be named for the grains' recordings."""
        return list_credits(self.grains)

    def extend_report(self, report: Report) -> Report:
        """A report with these figures."""
        return replace(
            super().extend_report(report),
            objective_gain={**report.objective_gain, "sound": self.objective_gain},
            strength={**report.strength, "sound": self.strength},
            schedule={**report.schedule, "sound": drop_repeats(self.schedule)},
            grains=self.grains,
        )


def dream_source(
    source: AudioSource,
    write: Callable[[np.ndarray], None],
    network: Network,
    settings: AudioDreamSettings,
    *,
    start_seconds: float | Fraction = 0,
    folder: Path | None = None,
    store: ChunkStore | None = None,
    hooks: DreamHooks = chunks.NO_HOOKS,
) -> AudioDreamReport:
    """Dream a sound: same rate, channels, length and loudness.

    `source` is read about twelve seconds at a time; `write` takes the dream in order, float32 [channel,
    sample]. The first sample lies at `start_seconds` as a player shows it: chunks, rolls and schedule belong
    to this clock, so an excerpt is dreamed like that part of the whole. `folder`, None: the system's, holds a
    temporary file, as large as the sound in float32; in `store` finished chunks outlive the run.

    Raises:
        UserError: a sample is not a number.
        Interrupted: `hooks.should_stop` said so.
        OSError: ENOSPC, no room for the temporary file.
    """
    if not source.n_samples:
        silence = -math.inf
        return AudioDreamReport(0, source.rate, source.channels, silence, silence, silence, 1.0, 0.0, ())
    meter, strength = meter_loudness(source), settings.schedule.curve("strength")
    context = ChunkContext(source, network, meter, settings, start_seconds, hooks)
    dreamed: list[tuple[ChunkPlan, np.ndarray]] = []
    gain_sum, hops = 0.0, 0

    def on_gain(gain: np.ndarray) -> None:
        nonlocal gain_sum, hops
        gain_sum += float(DB_PER_NEPER * np.abs(gain).mean(axis=(0, 2)).sum())
        hops += gain.shape[1]
        if hooks.on_gain is not None:
            hooks.on_gain(gain.mean(axis=0))

    def share(samples: np.ndarray) -> np.ndarray:
        """How much of the loudness gain acts at these samples, 0..1."""
        return np.asarray(np.minimum(strength.at((context.offset + samples) / source.rate), 1.0))

    plans = plan_chunks(context)
    track = plan_grains(context, plans, store) if settings.has_grains else None
    if hooks.fill is not None and store is not None:
        missing = [number for number in range(len(plans)) if number not in store]
        shown = {
            number: find_shown(context, plans[number].chunk, find_cues(context, plans[number].chunk))
            for number in missing
        }
        hooks.fill(
            missing,
            None if track is None else [pack_grains(track.begin_in(number)) for number in range(len(plans))],
            {number: each for number, each in shown.items() if each is not None},
        )
    canvases = chunks.crossfade_chunks(_dream_chunks(context, plans, track, store, dreamed))
    if track is not None:
        canvases = track.watch_levels(canvases)
    spectra = apply_gains(context, canvases, strength, on_gain)
    if settings.options.phase == "griffin-lim":
        spectra = fit_dream_phases(spectra, context.stft)
    blocks, grains = resynthesize(context, spectra), list[GrainEvent]()
    if track is not None:
        blocks = add_grains(blocks, partial(track.take_before, grains))
    with mastering.store_raw(blocks, source, folder) as (raw, raw_meter):
        curve = mastering.match_dream_loudness(raw_meter, meter, source.rate, share, settings.loudness)
        report = mastering.write_mastered(raw, curve, source, meter, write)
        gain = _measure_objective_gain(context, raw, dreamed, curve)
        if hooks.on_stem is not None:
            for parts in split_stems(source, raw, track, grains, curve):
                for name, samples in parts.items():
                    hooks.on_stem(name, samples)
    hooks.progress(1.0)
    schedule = tuple(plan.center for plan, _ in dreamed)
    return AudioDreamReport(
        **vars(report),
        objective_gain=gain,
        strength=gain_sum / max(hops, 1),
        schedule=schedule,
        grains=tuple(grains),
    )


def plan_chunks(context: ChunkContext) -> list[ChunkPlan]:
    """What the schedule asks of each chunk of a sound."""
    return [plan_chunk(context, chunk) for chunk in chunks.split_into_chunks(*context.hop_range)]


def render_chunks_alone(
    context: ChunkContext,
    plans: Sequence[ChunkPlan],
    numbers: Sequence[int],
    grains: Mapping[int, np.ndarray] | None,
    shown: Mapping[int, np.ndarray],
) -> Iterator[dict[str, np.ndarray]]:
    """Some chunks of a sound, as `dream_source` keeps them; they need their grains and their neighbours'.

    These are given by the chunks' numbers, see `pack_grains`; None: the sound has none. So is what the
    picture shows of classes, see `find_shown`, where that matters.
    """
    track = None if grains is None else restore_track(context, [plan.chunk for plan in plans], grains)
    for number in numbers:
        heard = None if track is None else track.hear(number)
        yield render_chunk(context, plans[number], heard, shown.get(number))


def find_cues(context: ChunkContext, chunk: Chunk) -> PictureCues | None:
    """What the picture shows where a chunk is heard; None: there is none, or it does not matter there."""
    hops = np.arange(chunk.low, chunk.high)
    if context.hooks.cues is None or not np.any(coupling_amounts(context, hops)):
        return None
    return context.hooks.cues(float(context.hop_seconds(hops[0])), float(context.hop_seconds(hops[-1])))


def find_shown(context: ChunkContext, chunk: Chunk, cues: PictureCues | None) -> np.ndarray | None:
    """How surely cues show each class where a chunk is heard, by as much as that matters, 0..1.

    float32 [hop, class], zeros without cues; None: there is no picture that matters, or the dream does not
    go by classes.
    """
    hops, card = np.arange(chunk.low, chunk.high), context.frontend.network.card
    amounts = coupling_amounts(context, hops)[:, None].astype(np.float32)
    if context.hooks.cues is None or not amounts.any():
        return None
    if not context.frontend.goes_by_classes or card.head is None:
        return None
    if cues is None:
        return np.zeros((len(hops), len(card.primary_names())), np.float32)
    return cues.class_shares(card, np.asarray(context.hop_seconds(hops))) * amounts


def plan_grains(context: ChunkContext, plans: Sequence[ChunkPlan], store: ChunkStore | None) -> GrainTrack:
    """The grains of a sound, chosen when they are asked for, and kept in the store behind its chunks."""
    strength = context.settings.schedule.curve("strength")

    def describe(number: int) -> GrainWindow | None:
        plan = plans[number]
        hops = np.arange(plan.chunk.first, plan.chunk.stop)
        if context.hooks.should_stop():
            raise Interrupted
        if not np.any(strength.at(context.hop_seconds(hops))):
            return None
        energies = measure_chunk_energies(
            context, context.source, plan.chunk, plan.terms, context.level_factor
        )
        energy, cues = plan.average_energy(energies), find_cues(context, plan.chunk)
        shown = find_shown(context, plan.chunk, cues)
        return GrainWindow(plan.chunk, plan.depths, energy, cues, shown)

    return choose_track(context, [plan.chunk for plan in plans], describe, store)


def _dream_chunks(
    context: ChunkContext,
    plans: Sequence[ChunkPlan],
    track: GrainTrack | None,
    store: ChunkStore | None,
    dreamed: list[tuple[ChunkPlan, np.ndarray]],
) -> Iterator[tuple[Chunk, np.ndarray]]:
    """Each chunk with its canvas; stored ones are not dreamed again. Plans and energies go to `dreamed`."""
    for number, plan in enumerate(plans):

        def make(plan: ChunkPlan = plan, number: int = number) -> dict[str, np.ndarray]:
            heard = None if track is None else track.hear(number)
            return render_chunk(
                context, plan, heard, find_shown(context, plan.chunk, find_cues(context, plan.chunk))
            )

        arrays = chunks.load_or_make(store, number, make)
        dreamed.append((plan, arrays["energies"]))
        yield plan.chunk, arrays["gain"]
        context.hooks.progress(0.95 * (number + 1) / len(plans))


def _measure_objective_gain(
    context: ChunkContext,
    raw: AudioSource,
    dreamed: list[tuple[ChunkPlan, np.ndarray]],
    curve: mastering.SampleCurve,
) -> float:
    """Contrast energy of the result over the source's, as the network is given both."""
    sums, before, after = np.zeros((3, len(context.frontend.terms)))
    for plan, source_energies in dreamed:
        chunk, terms = plan.chunk, plan.terms
        center = np.array([chunk.center * context.stft.hop - context.offset])
        factor = context.level_factor * math.exp(float(curve(center)[0]))
        weights = (chunk.stop - chunk.first) * plan.weights[terms]
        sums[terms] += weights
        before[terms] += weights * source_energies
        after[terms] += weights * measure_chunk_energies(context, raw, chunk, terms, factor)
    if not before.any():
        return math.nan  # Silence has none.
    return float(sums @ (after / np.maximum(before, 1e-12)) / max(sums.sum(), 1e-12))


def measure_contrast_energies(source: AudioSource, sound: AudioSource, network: Network) -> np.ndarray:
    """Contrast energy of a sound on each rung, float64 [rung]: what a dream raises, mean over all hops.

    `source` sets the level at which `sound`, itself or what was made of it, is measured.
    """
    settings = AudioDreamSettings(Schedule())
    context = ChunkContext(source, network, meter_loudness(source), settings)
    grid, rungs = chunks.split_into_chunks(*context.hop_range), list(range(len(context.frontend.terms)))
    energies = [measure_chunk_energies(context, sound, chunk, rungs, context.level_factor) for chunk in grid]
    return np.average(energies, axis=0, weights=[chunk.stop - chunk.first for chunk in grid])
