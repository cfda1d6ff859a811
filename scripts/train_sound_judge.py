"""Train a judge of sound dreams that noise bursts and reversed recordings do not fool, on ESC-10 alone.

    python scripts/train_sound_judge.py ../shared/data --out training/sound-judge.npz
    python scripts/train_sound_judge.py ../shared/data --weights training/sound-judge.npz

Learns from folds 1 to 4 (melnet that ships learned from the same clips) and is tested on fold 5, which
neither has heard. It never hears a dream. Beside the clips, alone and over other sounds, it hears decoys
that are none of the ten: bursts of noise and of tones, gains drawn by hand on sounds that are no events,
and clips of the classes in `DIRECTED` played backwards. The others sound forwards as they sound
backwards; what the judge makes of their direction is told as well. With --weights it is only tested. Prints
JSON: the accuracy, and how often each kind of decoy is refused. Twelve minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
from esc10 import list_classes, read_recordings
from measure_sound import read_sound
from sound_decoys import bursts, draw_gain, plain_bursts, tones
from sound_judge import (
    BANDS,
    HIGH_HZ,
    HOP,
    LOW_HZ,
    RATE,
    Judge,
    build_network,
    compress_mel_power,
    load_judge,
    mean_level,
    mel_power,
    save_judge,
)

from mmdream.networks.framework import keras, tf

EVENTS = ("dog bark", "baby cry", "clock tick", "person sneeze", "rooster")
"""Classes that begin and end; the others stand, or are showers of events too short for the judge's frames."""
DIRECTED = ("dog bark", "clock tick", "person sneeze", "rooster")
"""Events that are none when they are played backwards. A baby's cry swells as it dies away: taught its
direction, the judge told 5 clips of 8 right, and believed all of them half."""
OTHERS = ("sounds/voice.ogg", "sounds/trumpet.ogg", "sounds/humpback.ogg", "films/chaplin.mp4",
          "films/big_buck_bunny_0_30.webm")  # fmt: skip
"""Sounds of none of the classes, to learn what is no event; two more are left for the test."""
HELD_OUT = ("sounds/strings.ogg", "sounds/vibe_ace.ogg")
FRAMES = 400
"""Of a piece that teaches, 4 s."""
BATCH = 32
HZ = librosa.mel_frequencies(BANDS + 2, fmin=LOW_HZ, fmax=HIGH_HZ)[1:-1]
KINDS = {"event": 0.3, "standing": 0.2, "backwards": 0.2, "decoy": 0.12, "gain": 0.1, "nothing": 0.08}
"""How often an example is what."""
Example = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Mel power [frame, band], labels [class], and which of the labels count [class]."""


@dataclass(frozen=True)
class Clip:
    """A recording as the judge hears it."""

    label: int
    """-1: none of the classes."""
    fold: int
    """0: not of ESC-10."""
    power: np.ndarray
    """float32 [frame, band]."""


@dataclass(frozen=True)
class Material:
    """What batches are made of."""

    classes: int
    events: list[Clip]
    directed: list[Clip]
    """Those of the events that are none backwards."""
    standing: list[Clip]
    others: list[Clip]
    """Sounds that are none of the classes."""
    decoys: list[Clip]
    """Bursts and tones."""


def read_others(data: Path, files: tuple[str, ...]) -> list[Clip]:
    """Sounds of none of the classes."""
    sounds = [read_sound(data / name) for name in files]
    return [Clip(-1, 0, mel_power(sound.samples, sound.rate)) for sound in sounds]


def cut_piece(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`FRAMES` of a sound that are not silent, a little slower, higher or brighter than they were."""
    frames = round(FRAMES * 2 ** rng.uniform(-0.25, 0.25))
    if len(power) < frames:
        power = np.pad(power, ((0, frames - len(power)), (0, 0)))
    sums = np.cumsum(np.concatenate(([0.0], power.sum(axis=1))))
    within = sums[frames:] - sums[:-frames]
    start = int(rng.choice(np.flatnonzero(within >= 0.2 * within.max())))
    power = power[start : start + frames]
    power = power[np.rint(np.linspace(0, frames - 1, FRAMES)).astype(int)]
    tilt = np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 5), rng.normal(0, 0.7, 5))
    places = np.clip(np.arange(BANDS) - rng.uniform(-2, 2), 0, BANDS - 1)
    low = np.minimum(places.astype(int), BANDS - 2)
    mix = np.zeros((BANDS, BANDS), np.float32)
    mix[low, np.arange(BANDS)], mix[low + 1, np.arange(BANDS)] = low + 1 - places, places - low
    power = power @ (mix * np.exp(tilt).astype(np.float32))
    return power / np.float32(mean_level(power))


def draw_background(material: Material, rng: np.random.Generator) -> tuple[np.ndarray, int | None]:
    """A piece of what is no event, and its class if it has one."""
    if rng.random() < 0.5:
        clip = material.standing[rng.integers(len(material.standing))]
        return cut_piece(clip.power, rng), clip.label
    return cut_piece(material.others[rng.integers(len(material.others))].power, rng), None


def draw_example(material: Material, rng: np.random.Generator) -> Example:
    """One example: a clip, an event backwards, a decoy, or nothing; alone or over something else."""
    labels, counts = np.zeros(material.classes, np.float32), np.ones(material.classes, np.float32)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind in ("nothing", "gain"):
        power, its_class = draw_background(material, rng)
        if its_class is not None:
            labels[its_class] = 1
        if kind == "gain":
            power = power * np.exp(draw_gain(len(power), HZ, HOP / RATE, rng)).astype(np.float32)
            if its_class is not None:
                counts[its_class] = 0  # Who can say whether rain under such a gain is rain?
        return power, labels, counts
    several = {
        "event": material.events,
        "backwards": material.directed,
        "decoy": material.decoys,
        "standing": material.standing,
    }[kind]
    chosen = several[rng.integers(len(several))]
    power = cut_piece(chosen.power, rng)
    if kind in ("standing", "event"):
        labels[chosen.label] = 1
    if kind == "backwards":
        power = power[::-1]
    if kind != "standing" and rng.random() < 0.5:
        below, its_class = draw_background(material, rng)
        under = rng.uniform(0, 30)  # dB
        power = power + np.float32(10 ** (-under / 10)) * below
        if its_class is not None:
            labels[its_class], counts[its_class] = under < 15, abs(under - 15) > 5
    return power, labels, counts


def draw_batch(
    material: Material, mean: np.ndarray, deviation: np.ndarray, rng: np.random.Generator
) -> list[tf.Tensor]:
    """What the network is given of `BATCH` examples, their labels, smoothed, and which of those count."""
    items = [draw_example(material, rng) for _ in range(BATCH)]
    shown = []
    for power, _, _ in items:
        hiss = rng.standard_exponential(power.shape, np.float32)
        one = (
            compress_mel_power(power + np.float32(10 ** rng.uniform(-7, -4) / BANDS) * hiss) - mean
        ) / deviation
        width, height = int(rng.integers(30)), int(rng.integers(9))
        start, low = int(rng.integers(FRAMES - width)), int(rng.integers(BANDS - height))
        one[start : start + width] = 0.0
        one[:, low : low + height] = 0.0
        shown.append(one)
    labels = 0.02 + 0.96 * np.array([labels for _, labels, _ in items])
    counts = np.array([counts for *_, counts in items])
    return [tf.constant(each, tf.float32) for each in (np.stack(shown), labels, counts)]


def train(material: Material, mean: np.ndarray, deviation: np.ndarray, steps: int, seed: int) -> keras.Model:
    """One network."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_network(material.classes)
    rate = keras.optimizers.schedules.CosineDecay(1e-4, steps, warmup_target=3e-3, warmup_steps=steps // 20)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=5e-3)

    @tf.function
    def step(shown: tf.Tensor, labels: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(shown, training=True)
            apart = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(apart * counts) / tf.reduce_sum(counts)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    began, losses = time.perf_counter(), []
    for number in range(steps):
        losses.append(float(step(*draw_batch(material, mean, deviation, rng))))
        if (number + 1) % (steps // 5) == 0:
            progress = f"loss {np.mean(losses[-50:]):.3f}, {time.perf_counter() - began:.0f} s"
            print(f"seed {seed}, step {number + 1}: {progress}", flush=True)
    return model


def train_networks(clips: list[Clip], names: tuple[str, ...], data: Path, args: argparse.Namespace) -> Judge:
    """A judge that has not heard fold 5."""
    teach = [clip for clip in clips if clip.fold != 5]
    rng = np.random.default_rng(10)
    kinds = [bursts] * 300 + [tones] * 100
    drawn = [Clip(-1, 0, mel_power(draw(5.0, RATE, rng), RATE)) for draw in kinds]
    material = Material(
        len(names),
        [clip for clip in teach if names[clip.label] in EVENTS],
        [clip for clip in teach if names[clip.label] in DIRECTED],
        [clip for clip in teach if names[clip.label] not in EVENTS],
        [*read_others(data, OTHERS), *drawn[-50:]],
        drawn,
    )
    shown = np.concatenate([compress_mel_power(clip.power) for clip in teach])
    mean, deviation = shown.mean(axis=0), shown.std(axis=0)
    networks = tuple(train(material, mean, deviation, args.steps, seed) for seed in range(args.networks))
    return Judge(names, networks, mean, deviation)


def mix_over(power: np.ndarray, below: np.ndarray, under_db: float) -> np.ndarray:
    """A sound over another one that is looped, softer by so much."""
    again = np.tile(below, (-(-len(power) // len(below)), 1))[: len(power)]
    return np.asarray(
        power / mean_level(power) + 10 ** (-under_db / 10) * again / mean_level(again), np.float32
    )


def evaluate(judge: Judge, clips: list[Clip], data: Path) -> dict[str, object]:
    """What the judge is worth on fold 5 and on decoys that it has not heard."""
    test = [clip for clip in clips if clip.fold == 5]
    labels = np.array([clip.label for clip in test])
    ahead, back = (judge.chances_of_powers([clip.power[::turn] for clip in test]) for turn in (1, -1))
    own, reversed_own = ahead[np.arange(len(test)), labels], back[np.arange(len(test)), labels]
    absent = np.ones_like(ahead, bool)
    absent[np.arange(len(test)), labels] = False
    each = {}
    for number, name in enumerate(judge.classes):
        here = labels == number
        each[name] = {
            "chance_of_its_clips": own[here].mean(),
            "of_the_same_backwards": reversed_own[here].mean(),
            "clips_more_sure_of_than_backwards": f"{int((own > reversed_own)[here].sum())} of {here.sum()}",
            "direction_auc": roc_area(own[here], reversed_own[here]),
            "auc_against_other_clips": roc_area(ahead[here, number], ahead[~here, number]),
        }
    directed = np.isin(labels, [judge.classes.index(name) for name in DIRECTED])
    standing = [clip for clip in test if judge.classes[clip.label] not in EVENTS]
    grounds = [clip.power for clip in [*standing, *read_others(data, HELD_OUT)]]
    return {
        "accuracy": float((ahead.argmax(axis=1) == labels).mean()),
        "heard_where_it_is": float((own > 0.5).mean()),
        "heard_where_it_is_not": float((ahead[absent] > 0.5).mean()),
        "directed_forwards_heard": float((own[directed] > 0.5).mean()),
        "directed_backwards_refused": float((reversed_own[directed] <= 0.5).mean()),
        "directed_more_sure_of_forwards": float((own > reversed_own)[directed].mean()),
        "decoys": evaluate_decoys(judge, grounds),
        "classes": each,
    }


def evaluate_decoys(judge: Judge, grounds: list[np.ndarray]) -> dict[str, object]:
    """How often decoys that the judge has not heard are taken for an event, and for a bark."""
    rng, events = np.random.default_rng(11), [judge.classes.index(name) for name in EVENTS]
    alone = {
        "bursts": [mel_power(bursts(5.0, RATE, rng), RATE) for _ in range(100)],
        "bursts at 400-2000 Hz": [mel_power(plain_bursts(5.0, RATE, rng), RATE) for _ in range(20)],
        "tones": [mel_power(tones(5.0, RATE, rng), RATE) for _ in range(50)],
    }
    kinds: dict[str, list[np.ndarray]] = {"nothing but ground": grounds} | alone
    for name in ("bursts", "bursts at 400-2000 Hz"):
        kinds[f"{name} over ground"] = [
            mix_over(power, grounds[rng.integers(len(grounds))], rng.uniform(0, 20)) for power in alone[name]
        ]
    kinds["gains drawn by hand on ground"] = [
        (below[:500] * np.exp(draw_gain(len(below[:500]), HZ, HOP / RATE, rng))).astype(np.float32)
        for below in grounds
        for _ in range(2)
    ]
    dog, rates = judge.class_index("dog"), {}
    for name, powers in kinds.items():
        chances = judge.chances_of_powers(powers)
        rates[name] = {
            "count": len(powers),
            "refused": float((chances[:, events].max(axis=1) <= 0.5).mean()),
            "taken_for_a_bark": float((chances[:, dog] > 0.5).mean()),
            "mean_chance_of_a_bark": float(chances[:, dog].mean()),
        }
    return rates


def roc_area(more: np.ndarray, less: np.ndarray) -> float:
    """How often one of the first is more than one of the second: the area under the ROC curve."""
    apart = more[:, None] - less
    return float((apart > 0).mean() + 0.5 * (apart == 0).mean())


def main() -> None:
    """Train, or read what was trained, and test."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("data", type=Path, help="folder of esc10.tar, sounds and films")
    parser.add_argument("--out", type=Path, default=Path("training/sound-judge.npz"))
    parser.add_argument("--weights", type=Path, help="test these, and train nothing")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--networks", type=int, default=3, help="whose answers are averaged")
    args = parser.parse_args()
    tar = args.data / "esc10.tar"
    clips = [
        Clip(each.label, each.fold, mel_power(each.sound.samples, each.sound.rate))
        for each in read_recordings(tar)
    ]
    if args.weights:
        judge = load_judge(args.weights)
    else:
        tf.config.experimental.enable_op_determinism()
        judge = train_networks(clips, list_classes(tar), args.data, args)
        save_judge(judge, args.out)
    print(json.dumps(evaluate(judge, clips, args.data), indent=1, default=lambda x: round(float(x), 3)))


if __name__ == "__main__":
    main()
