"""Whether the grains of a class that is dreamed are heard as that class, where they were laid in.

    python scripts/judge_grains.py training/sound-judge.npz ../shared/data [--target dog] [--seeds 10]
                                   [--sounds rain strings vibe_ace voice] [--json figures.json]
                                   [--grain-set shipped|FOLDER|generator:NAME]

The judge is that of train_sound_judge.py; it has not heard the recordings that the atoms are cut from. Each
sound is dreamed with `--target` and each seed. Chances of the class in 1 s from 0.1 s before each grain,
their median over the grains of a dream:

    dream      as it is
    alone      the grains alone, in silence
    source     the source there
    backwards  the dream with each grain turned round in time

Status 1 if a line is missed:

    present    in 9 of 10 seeds the dream's is at least 0.8 of that alone
    new        in 9 of 10 seeds the dream's is at least three times the source's

Some minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from sound_dreams import build_recipe, load_sound
from sound_judge import Judge, load_judge, mel_power

from mmdream.audio.chunks import AudioDreamSettings, DreamHooks
from mmdream.audio.dream import dream_source
from mmdream.audio.source import ArraySource
from mmdream.core.events import EventSink
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.render.atoms import load_atoms
from mmdream.settings.report import GrainEvent

SOUNDS = ("rain", "strings", "vibe_ace", "voice")
BEFORE_SECONDS, WINDOW_SECONDS = 0.1, 1.0
PRESENT, NEW, MOST = 0.8, 3.0, 0.9
"""Of the chance alone, times the source's, and share of the seeds."""


def reverse_events(sound: np.ndarray, rate: int, events: list[GrainEvent]) -> np.ndarray:
    """Grains alone, each turned round in its place, float32 [channel, sample]."""
    result, ends = sound.copy(), [event.seconds for event in events[1:]] + [np.inf]
    for event, end in zip(events, ends, strict=True):
        first, stop = (round(at * rate) for at in (event.seconds, min(event.seconds + event.length, end)))
        result[:, first:stop] = sound[:, first:stop][:, ::-1]
    return result


def judge_places(judge: Judge, place: int, sound: np.ndarray, rate: int, seconds: list[float]) -> float:
    """Median chance of a class in windows about moments of a sound, float32 [channel, sample]."""
    windows = []
    for at in seconds:
        first = max(round((at - BEFORE_SECONDS) * rate), 0)
        windows.append(mel_power(sound[:, first : first + round(WINDOW_SECONDS * rate)], rate))
    return float(np.median(judge.chances_of_powers(windows)[:, place]))


def dream_and_judge(
    judge: Judge, source: ArraySource, name: str, network: Network, settings: list[str]
) -> dict[str, float]:
    """The chances in one dream."""
    recipe, place = build_recipe([name], settings), judge.class_index(name)
    how = AudioDreamSettings.from_recipe(recipe, atoms=load_atoms(recipe, network, EventSink()))
    parts = defaultdict[str, list[np.ndarray]](list)
    hooks = DreamHooks(on_stem=lambda stem, samples: parts[stem].append(samples))
    report = dream_source(source, lambda samples: parts["dream"].append(samples), network, how, hooks=hooks)
    events = list(report.grains)
    found = {"grains": len(events), "of_the_class": sum(is_of(network, grain.kind, name) for grain in events)}
    if not events:
        return found | dict.fromkeys(("dream", "alone", "source", "backwards"), 0.0)
    sounds = {stem: np.concatenate(blocks, axis=1) for stem, blocks in parts.items()}
    alone = sum(each for stem, each in sounds.items() if stem.startswith("grains "))
    backwards = sounds["dream"] - alone + reverse_events(alone, source.rate, events)
    heard = {"dream": sounds["dream"], "alone": alone, "source": sounds["source"], "backwards": backwards}
    at = [grain.seconds for grain in events]
    return found | {key: judge_places(judge, place, each, source.rate, at) for key, each in heard.items()}


def is_of(network: Network, kind: str, name: str) -> bool:
    """Whether a grain's kind is the network's class of that name."""
    return network.card.find_class(kind) == network.card.find_class(name)


def main() -> None:
    """Dream, judge, print a table."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("judge", type=Path, help="weights of train_sound_judge.py")
    parser.add_argument("data", type=Path, help="folder of esc10.tar, sounds and films")
    parser.add_argument("--target", default="dog")
    parser.add_argument("--sounds", nargs="+", default=list(SOUNDS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="where all figures go")
    parser.add_argument("--grain-set", default="shipped")
    args = parser.parse_args()
    judge, network = load_judge(args.judge), load_network(load_card("melnet"))
    name, figures = judge.classes[judge.class_index(args.target)], dict[str, Any]()
    missed = []
    for sound in args.sounds:
        source = load_sound(args.data, sound)
        each = [[f"seed={seed}", f"grain_set={args.grain_set}"] for seed in range(args.seeds)]
        rows = [dream_and_judge(judge, source, name, network, how) for how in each]
        present = sum(row["dream"] >= PRESENT * row["alone"] > 0 for row in rows)
        new = sum(row["dream"] >= NEW * row["source"] > 0 for row in rows)
        mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        figures[sound] = {"mean": mean, "present": present, "new": new, "each": rows}
        if len(figures) == 1:
            print(f"{'':10}" + "".join(f"{column:>13}" for column in (*mean, "present", "new")))
        print(
            f"{sound:10}" + "".join(f"{value:13.3f}" for value in (*mean.values(), present, new)), flush=True
        )
        missed += [f"{line} {sound}" for line, count in (("present", present), ("new", new))
                   if count < MOST * args.seeds]  # fmt: skip
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1) + "\n")
    print("missed:", ", ".join(missed) or "none")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
