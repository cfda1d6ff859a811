"""What an independent judge hears in dreams of a class: more of it, and less in the same gain backwards.

    python scripts/judge_sounds.py training/sound-judge.npz ../shared/data [--seeds 10] [--set steps=6]
                                   [--only dreams away silence] [--json figures.json]

The judge is that of train_sound_judge.py. dreams: `--target` dreamed into rain, strings and a vibraphone
with each seed; the chance of it in the source, in the dream, and in the source under the dream's gain
reversed in time. away: a negative weight on the bark that the judge is surest of. silence: `mmdream audio
--from silence --invent 1`, each class in turn; how the judge ranks it among the ten. Attack and decay are
the steepest rise and fall, dB a hop (11.6 ms), over 35 ms, of the level in `BAND` about the peaks of a
sound, the median of them; real barks of fold 5 are measured alike. Status 1 if a line is missed:

    more       in 9 of 10 seeds the dream has a higher chance than its source
    direction  the mean chance is at least twice that of the same gain backwards
    attack     within a third of real barks', and decay likewise
    away       lower in 9 of 10 seeds
    silence    first in half of the classes

Three minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import sound_judge
from esc10 import list_members, read_clip
from measure_sound import read_sound
from sound_dreams import apply_gain, build_recipe, dream_sound, load_sound
from sound_judge import Judge

from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import make_stft, read_spectra
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("rain", "strings", "vibe_ace")
BAND = 400.0, 2000.0
"""Hz, where a dog barks."""
PROMINENCE, DEPTH = 6.0, 30.0
"""dB: a burst stands out by so much, and the level is followed so far below the loudest."""
BEFORE, AFTER, APART = 9, 26, 9
"""Hops: a burst rises within 0.1 s and falls within 0.3 s; peaks are 0.1 s apart."""
SPAN = 3
"""Hops that a slope is taken over, 35 ms: between two hops noise rises and falls by 2 dB of its own."""
PARTS = ("dreams", "away", "silence")
BACK = 2.0
"""Times the chance of the same gain backwards."""


def measure_attack_decay(sound: ArraySource) -> tuple[float, float, int]:
    """Steepest rise and fall of a sound's bursts, dB a hop, medians; and how many there are."""
    stft = make_stft(sound.rate)
    within = (stft.frequencies >= BAND[0]) & (stft.frequencies <= BAND[1])
    spectra = read_spectra(sound, stft, 0, sound.n_samples // stft.hop)[..., within]
    level = 10 * np.log10(np.square(np.abs(spectra)).sum(axis=(0, 2)) + 1e-20)
    level = np.maximum(level, level.max() - DEPTH)
    # A burst at either end rises and falls as any other.
    level = np.pad(level, AFTER, constant_values=level.min())
    peaks, _ = scipy.signal.find_peaks(level, prominence=PROMINENCE, distance=APART)
    if not len(peaks):
        return 0.0, 0.0, 0
    steps = (level[SPAN:] - level[:-SPAN]) / SPAN
    rises = [steps[max(peak - BEFORE, 0) : peak].max() for peak in peaks]
    falls = [-steps[peak : peak + AFTER - SPAN].min() for peak in peaks]
    return float(np.median(rises)), float(np.median(falls)), len(peaks)


def measure_barks(judge: Judge, data: Path, place: int) -> dict[str, Any]:
    """Attack and decay of real recordings of the class, and the one that the judge is surest of."""
    tar = data / "esc10.tar"
    names = list_members(tar, place, 5)
    sounds = [read_clip(tar, name) for name in names]
    chances = [float(judge.chances(each.samples, each.rate)[place]) for each in sounds]
    shapes = np.array([measure_attack_decay(each) for each in sounds])
    return {
        "attack": shapes[:, 0].mean(),
        "decay": shapes[:, 1].mean(),
        "each": shapes.round(2).tolist(),
        "chances": chances,
        "surest": names[int(np.argmax(chances))],
    }


def dream_into(
    judge: Judge, source: ArraySource, class_name: str, network: Network, seeds: int, settings: list[str]
) -> dict[str, Any]:
    """Dream a class into a sound with each seed, and judge."""
    place = judge.class_index(class_name)
    before = float(judge.chances(source.samples, source.rate)[place])
    after, backwards, attacks, decays, bursts = [], [], [], [], []
    for seed in range(seeds):
        dream = dream_sound(source, network, build_recipe([class_name], [*settings, f"seed={seed}"]))
        back = apply_gain(source, dream.gain[::-1])
        after.append(float(judge.chances(dream.sound.samples, source.rate)[place]))
        backwards.append(float(judge.chances(back.samples, source.rate)[place]))
        attack, decay, count = measure_attack_decay(dream.sound)
        attacks.append(attack)
        decays.append(decay)
        bursts.append(count)
    own = measure_attack_decay(source)
    return {
        "source": before,
        "dream": np.mean(after),
        "backwards": np.mean(backwards),
        "more": int(np.sum(np.array(after) > before)),
        "ratio": np.mean(after) / max(float(np.mean(backwards)), 1e-9),
        "seeds_twice_backwards": int(np.sum(np.array(after) >= BACK * np.array(backwards))),
        "attack": np.mean(attacks),
        "decay": np.mean(decays),
        "bursts": np.mean(bursts),
        "source_attack_decay_bursts": own,
        "each": {"dream": after, "backwards": backwards},
    }


def dream_away(
    judge: Judge, source: ArraySource, class_name: str, network: Network, seeds: int, settings: list[str]
) -> dict[str, Any]:
    """Dream a class out of a recording of it with each seed."""
    place = judge.class_index(class_name)
    before = float(judge.chances(source.samples, source.rate)[place])
    after = []
    for seed in range(seeds):
        dream = dream_sound(
            source, network, build_recipe([f"{class_name}=-1"], [*settings, f"seed={seed}"])
        ).sound
        after.append(float(judge.chances(dream.samples, dream.rate)[place]))
    lower = int(np.sum(np.array(after) < before))
    return {"source": before, "dream": np.mean(after), "lower": lower, "each": after}


def dream_from_silence(judge: Judge, options: list[str], beginning: str, keep: Path | None) -> dict[str, Any]:
    """Dream each class from nothing by the command line; where the judge ranks it, 1 is first."""
    figures = {}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        home = keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        for place, name in enumerate(judge.classes):
            out = home / f"{name.replace(' ', '-')}.wav"
            command = [sys.executable, "-m", "mmdream", "audio", "--from", beginning, "--target", name,
                       "-o", str(out), "--overwrite", *options]  # fmt: skip
            subprocess.run(
                command, env={**os.environ, "PYTHONPATH": path}, check=True, stdout=subprocess.DEVNULL
            )
            dream = read_sound(out)
            chances = judge.chances(dream.samples, dream.rate)
            first = judge.classes[int(chances.argmax())]
            rank = 1 + int((chances > chances[place]).sum())
            figures[name] = {
                "rank": rank,
                "chance": chances[place],
                "first": first,
                "its_chance": chances.max(),
            }
    return figures


def check_limits(figures: dict[str, Any], seeds: int) -> dict[str, bool]:
    """Which lines are held."""
    held, most = {}, 0.9 * seeds
    for name, found in figures.get("dreams", {}).items():
        held[f"more {name}"] = found["more"] >= most
        held[f"direction {name}"] = bool(found["ratio"] >= BACK)
        for end in ("attack", "decay"):
            real = figures["barks"][end]
            held[f"{end} {name}"] = bool(abs(found[end] - real) <= real / 3)
    if "away" in figures:
        held["away"] = figures["away"]["lower"] >= most
    if "silence" in figures:
        ranks = [found["rank"] for found in figures["silence"].values()]
        held["silence"] = ranks.count(1) >= len(ranks) / 2
    return held


def print_table(figures: dict[str, Any]) -> None:
    """Print what was found."""
    real = figures["barks"]
    print(f"real barks of fold 5: attack {real['attack']:.2f}, decay {real['decay']:.2f} dB a hop, ", end="")
    print("chances " + " ".join(f"{chance:.2f}" for chance in real["chances"]))
    columns = ("source", "dream", "backwards", "more", "ratio", "attack", "decay", "bursts")
    print(f"{'':10}" + "".join(f"{column:>10}" for column in columns))
    for name, found in figures.get("dreams", {}).items():
        print(f"{name:10}" + "".join(f"{found[column]:10.3f}" for column in columns))
    if "away" in figures:
        print("away:", ", ".join(f"{key} {figures['away'][key]:.3f}" for key in ("source", "dream", "lower")))
    for name, found in figures.get("silence", {}).items():
        print(f"{name:15} rank {found['rank']:2}, chance {found['chance']:.2f}; ", end="")
        print(f"first: {found['first']} {found['its_chance']:.2f}")
    missed = [name for name, held in figures["lines"].items() if not held]
    print("missed:", ", ".join(missed) or "none")


def main() -> None:
    """Dream, judge, print a table."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("judge", type=Path, help="weights of train_sound_judge.py")
    parser.add_argument("data", type=Path, help="folder of esc10.tar, sounds and films")
    parser.add_argument("--target", default="dog")
    parser.add_argument("--sources", nargs="+", default=list(SOURCES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--net", default="melnet")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the dream")
    parser.add_argument("--from", dest="beginning", default="silence")
    parser.add_argument("--options", default="--invent 1 --seconds 5", help="of `mmdream audio --from`")
    parser.add_argument("--keep", type=Path, help="folder for the dreams from silence")
    parser.add_argument("--json", type=Path, help="where all figures go")
    args = parser.parse_args()
    judge, network = sound_judge.load_judge(args.judge), load_network(load_card(args.net))
    # The network that dreams has the whole names.
    class_name = judge.classes[judge.class_index(args.target)]
    figures: dict[str, Any] = {
        "target": class_name,
        "barks": measure_barks(judge, args.data, judge.class_index(class_name)),
    }
    if "dreams" in args.only:
        figures["dreams"] = {
            name: dream_into(judge, load_sound(args.data, name), class_name, network, args.seeds, args.set)
            for name in args.sources
        }
    if "away" in args.only:
        surest = read_clip(args.data / "esc10.tar", figures["barks"]["surest"])
        figures["away"] = dream_away(judge, surest, class_name, network, args.seeds, args.set)
    if "silence" in args.only:
        figures["silence"] = dream_from_silence(judge, args.options.split(), args.beginning, args.keep)
    figures["lines"] = check_limits(figures, args.seeds)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1, default=float) + "\n")
    print_table(figures)
    sys.exit(not all(figures["lines"].values()))


if __name__ == "__main__":
    main()
