"""What grains bring to dreams of real sounds, and where they stand.

    python scripts/measure_grains.py ../shared/data [--sounds dog rain ...] [--draws 20] [--json figures.json]
                                     [--grain-set shipped|FOLDER|generator:NAME]

The sounds are those of check_sounds.py, whole. The columns:

    alone     the objective over the source's with grains and no gain (steps = 0), mean over the rungs at the
              default depth
    random    the median of --draws with the same grains at random places, each as loud over what sounds there
    rise      (alone - 1) over (random - 1); only where both rise
    all       the objective of the whole default dream over the source's
    kinds     different kinds whose level is within 12 dB of the sound around them
    onset     share of grains within 30 ms of an onset of the source (librosa), and of 1000 random places
    pitch     of grains where source and atom are sure of a pitch: share within 50 cents of the source's, its
              octave or fifth; the same untransposed; how many there are

A few minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import librosa
import numpy as np
from sound_dreams import CLIPS, FILES, load_sound

from mmdream.audio.chunk_dream import plan_chunk
from mmdream.audio.chunks import AudioDreamSettings, ChunkContext, split_into_chunks
from mmdream.audio.dream import dream_source, measure_contrast_energies, plan_grains
from mmdream.audio.grains.choice import INTERVALS, SURE_PITCH
from mmdream.audio.grains.grain import PlacedGrain, add_grains, pan_grain
from mmdream.audio.grains.places import measure_loudness
from mmdream.audio.grains.track import GrainTrack
from mmdream.audio.loudness import meter_loudness
from mmdream.audio.source import ArraySource
from mmdream.core.events import EventSink
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.render.atoms import load_atoms
from mmdream.settings.recipe import AudioOptions, Recipe
from mmdream.settings.schedule import Schedule

ONSET_SECONDS, RANDOM_PLACES = 0.03, 1000
NEAR_DB, NEAR_CENTS = 12.0, 50.0


def choose(source: ArraySource, network: Network, settings: AudioDreamSettings) -> GrainTrack:
    """The grains of a sound."""
    context = ChunkContext(source, network, meter_loudness(source), settings)
    plans = [plan_chunk(context, chunk) for chunk in split_into_chunks(*context.hop_range)]
    return plan_grains(context, plans, None)


def lay_at(track: GrainTrack, hops: np.ndarray) -> ArraySource:
    """The source with the track's grains at other hops, each as loud over what sounds there."""
    context, source = track.context, track.context.source
    ordered = track.order()
    here = measure_loudness(context, np.array([grain.hop for _, grain in ordered]))
    there = measure_loudness(context, hops)
    placed = []
    for (number, grain), hop, scale in sorted(
        zip(ordered, hops, there / here, strict=True), key=lambda row: row[1]
    ):
        bank, first = track.banks(number), int(hop) * context.stft.hop - context.offset
        amplitudes = (grain.level * scale * pan_grain(source, first)).astype(np.float32)
        samples = bank.samples(grain.atom, grain.ratio)
        placed.append(PlacedGrain(bank.atoms[grain.atom], first, amplitudes[:, None] * samples))
    whole = [source.read(0, source.n_samples).copy()]
    [mixed] = add_grains(whole, lambda stop: placed)
    return ArraySource(mixed, source.rate, source.layout)


def measure_pitch(track: GrainTrack) -> tuple[float, float, int]:
    """Share of sure pitches near the source's, transposed and not, and how many are sure."""
    near: list[tuple[bool, bool]] = []
    for number, grain in track.order():
        pitch, confidence = track.banks(number).pitch(grain.atom)
        if grain.pitch and confidence >= SURE_PITCH:
            near.append(tuple(_is_near(ratio * pitch, grain.pitch) for ratio in (grain.ratio, 1.0)))  # type: ignore[arg-type]
    with_ratio, without = np.mean(near, axis=0) if near else (np.nan, np.nan)
    return float(with_ratio), float(without), len(near)


def _is_near(pitch: float, source: float) -> bool:
    octaves = (np.log2(pitch / source / interval) for interval in INTERVALS)
    return min(1200 * abs((each + 0.5) % 1 - 0.5) for each in octaves) <= NEAR_CENTS


def measure_sound(
    source: ArraySource, network: Network, settings: AudioDreamSettings, draws: int
) -> dict[str, Any]:
    """All figures of one sound."""
    rng, mix = np.random.default_rng(0), np.abs(network.card.mix(settings.schedule.at(0).depth))
    was = measure_contrast_energies(source, source, network)

    def gain(sound: ArraySource) -> float:
        return float(np.average(measure_contrast_energies(source, sound, network) / was, weights=mix))

    track = choose(source, network, settings)
    hops = np.array([grain.hop for _, grain in track.order()])
    last = max(source.n_samples // track.context.stft.hop, 1)
    random = [gain(lay_at(track, rng.integers(0, last, len(hops)))) for _ in range(draws)]
    blocks: list[np.ndarray] = []
    report = dream_source(source, blocks.append, network, settings)
    # Its usual hop is coarser than the 30 ms at low rates.
    hop = track.context.stft.hop
    mono = source.samples.mean(axis=0)
    onsets = librosa.onset.onset_detect(y=mono, sr=source.rate, hop_length=hop, units="time")

    def near_onset(seconds: np.ndarray) -> float:
        return (
            float(np.mean(np.abs(seconds[:, None] - onsets).min(axis=1) < ONSET_SECONDS))
            if len(onsets)
            else 0.0
        )

    around = measure_loudness(track.context, hops, least=0.0)
    heard = [
        track.banks(number).atoms[grain.atom].kind
        for (number, grain), level in zip(track.order(), around, strict=True)
        if abs(20 * np.log10(grain.level / max(level, 1e-9))) <= NEAR_DB
    ]
    seconds = np.array([grain.seconds for grain in report.grains])
    pitch = measure_pitch(track)
    return {
        "seconds": source.n_samples / source.rate,
        "grains": len(hops),
        "alone": gain(lay_at(track, hops)),
        "random": float(np.median(random)),
        "all": report.objective_gain,
        "kinds": len(set(heard)),
        "onset": near_onset(seconds),
        "onset_random": near_onset(rng.uniform(0, source.n_samples / source.rate, RANDOM_PLACES)),
        "pitch": pitch[0],
        "pitch_before": pitch[1],
        "pitched": pitch[2],
    }


def main() -> None:
    """Print the row of each sound."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("data", type=Path, help="folder of esc10.tar, sounds and films")
    parser.add_argument("--sounds", nargs="+", default=[*CLIPS, *FILES])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    parser.add_argument("--grain-set", default="shipped")
    args = parser.parse_args()
    network = load_network(load_card("melnet"))
    recipe = Recipe(sound_manner=AudioOptions(grain_set=args.grain_set))
    settings = AudioDreamSettings(Schedule(), atoms=load_atoms(recipe, network, EventSink()))
    figures: dict[str, Any] = {}
    for name in args.sounds:
        found = measure_sound(load_sound(args.data, name), network, settings, args.draws)
        found["rise"] = (found["alone"] - 1) / max(found["random"] - 1, 1e-9)
        figures[name] = found
        if len(figures) == 1:
            print(f"{'':11}" + "".join(f"{column:>13}" for column in found))
        print(f"{name:11}" + "".join(f"{value:13.2f}" for value in found.values()), flush=True)
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1) + "\n")
    print("median alone", np.median([found["alone"] for found in figures.values()]))


if __name__ == "__main__":
    main()
