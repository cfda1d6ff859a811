"""Train a judge of sound dreams that noise bursts and reversed recordings do not fool, on ESC-10 alone.

    python scripts/train_sound_judge.py ../shared/data --out training/sound-judge.npz
    python scripts/train_sound_judge.py ../shared/data --weights training/sound-judge.npz

Learns from folds 1 to 4 (melnet that ships learned from the same clips) without the recordings that the
shipped atoms are cut from, and is tested on fold 5, which neither has heard. Half of what it learns from is
4 s long, half 1 s, so that it can say whether something is there at a moment. Beside the clips, alone and
over other sounds, it hears decoys that are none of the ten: bursts of noise and of tones, gains drawn by
hand on sounds that are no events, clips of the classes in `DIRECTED` played backwards, and dreams, without
grains, of music and speech in which none of the ten is: one that had never heard how a dream gates music
took every second one for a bark. Classes that are not `DIRECTED` sound backwards as they sound forwards;
what the judge makes of their direction is told as well. With --weights it is only tested. Prints JSON: the
accuracy, how often each kind of decoy is refused, and areas under the ROC curves of a second of each event in
music and speech, as loud as those and 6 dB softer: against the same without it, and against it backwards.
Forty minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from esc10 import list_classes, read_recordings
from sound_decoys import bursts, draw_gain, tones
from sound_judge import (
    BANDS,
    HOP,
    RATE,
    Judge,
    build_network,
    compress_mel_power,
    load_judge,
    mean_level,
    mel_power,
    save_judge,
)
from sound_judge_data import DIRECTED, EVENTS, OTHERS, Clip, dream_others, read_others, read_speech
from sound_judge_figures import HZ, evaluate

from mmdream.media.credits import CREDITS_FILE
from mmdream.networks.card import MODELS_FOLDER
from mmdream.networks.framework import keras, tf

ATOM_CREDITS = MODELS_FOLDER / "atoms" / CREDITS_FILE
FRAMES = 400, 100
"""Of pieces that teach, 4 s and 1 s, in turn."""
SOFTEST_DB = -8.0
"""Over what it is mixed with: an event that can be heard."""
BATCH = 32
KINDS = {"event": 0.36, "standing": 0.2, "backwards": 0.1, "decoy": 0.12, "gain": 0.08, "nothing": 0.14}
"""How often an example is what."""
MUSIC_WEIGHT = 10
"""How often each recording that is none of the classes, and each dream of one, is among fifty decoys."""
Example = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Mel power [frame, band], labels [class], and which of the labels count [class]."""


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


def cut_piece(power: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """So many frames of a sound that are not silent, a little slower, higher or brighter than they were."""
    frames = round(count * 2 ** rng.uniform(-0.25, 0.25))
    if len(power) < frames:
        power = np.pad(power, ((0, frames - len(power)), (0, 0)))
    sums = np.cumsum(np.concatenate(([0.0], power.sum(axis=1))))
    within = sums[frames:] - sums[:-frames]
    start = int(rng.choice(np.flatnonzero(within >= 0.2 * within.max())))
    power = power[start : start + frames]
    power = power[np.rint(np.linspace(0, frames - 1, count)).astype(int)]
    tilt = np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 5), rng.normal(0, 0.7, 5))
    places = np.clip(np.arange(BANDS) - rng.uniform(-2, 2), 0, BANDS - 1)
    low = np.minimum(places.astype(int), BANDS - 2)
    mix = np.zeros((BANDS, BANDS), np.float32)
    mix[low, np.arange(BANDS)], mix[low + 1, np.arange(BANDS)] = low + 1 - places, places - low
    power = power @ (mix * np.exp(tilt).astype(np.float32))
    return power / np.float32(mean_level(power))


def draw_background(
    material: Material, frames: int, rng: np.random.Generator, standing: float = 0.5
) -> tuple[np.ndarray, int | None]:
    """A piece of what is no event, and its class if it has one, as so many have."""
    if rng.random() < standing:
        clip = material.standing[rng.integers(len(material.standing))]
        return cut_piece(clip.power, frames, rng), clip.label
    other = material.others[rng.integers(len(material.others))]
    return cut_piece(other.power, frames, rng), None


def draw_example(material: Material, frames: int, rng: np.random.Generator) -> Example:
    """One example of so many frames: a clip, an event backwards, a decoy, nothing; alone or over others."""
    labels, counts = np.zeros(material.classes, np.float32), np.ones(material.classes, np.float32)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    if kind in ("nothing", "gain"):
        power, its_class = draw_background(material, frames, rng)
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
    power = cut_piece(chosen.power, frames, rng)
    if kind in ("standing", "event"):
        labels[chosen.label] = 1
    if kind == "backwards":
        power = power[::-1]
    if rng.random() < 0.5:
        # What stands is not mixed with what stands as well.
        share = 0.0 if kind == "standing" else 0.5
        below, its_class = draw_background(material, frames, rng, share)
        under = rng.uniform(SOFTEST_DB, 30)  # dB
        power = power + np.float32(10 ** (-under / 10)) * below
        if its_class is not None:
            labels[its_class], counts[its_class] = under < 15, abs(under - 15) > 5
    return power, labels, counts


def draw_batch(
    material: Material, frames: int, mean: np.ndarray, deviation: np.ndarray, rng: np.random.Generator
) -> list[tf.Tensor]:
    """What the network is given of `BATCH` examples, their labels, smoothed, and which of those count."""
    items = [draw_example(material, frames, rng) for _ in range(BATCH)]
    shown = []
    for power, _, _ in items:
        hiss = rng.standard_exponential(power.shape, np.float32)
        one = (
            compress_mel_power(power + np.float32(10 ** rng.uniform(-7, -4) / BANDS) * hiss) - mean
        ) / deviation
        width, height = int(rng.integers(30 * frames // FRAMES[0])), int(rng.integers(9))
        start, low = int(rng.integers(frames - width)), int(rng.integers(BANDS - height))
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

    @tf.function(reduce_retracing=True)
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
        frames = FRAMES[number % len(FRAMES)]
        losses.append(float(step(*draw_batch(material, frames, mean, deviation, rng))))
        if (number + 1) % (steps // 5) == 0:
            progress = f"loss {np.mean(losses[-50:]):.3f}, {time.perf_counter() - began:.0f} s"
            print(f"seed {seed}, step {number + 1}: {progress}", flush=True)
    return model


def train_networks(clips: list[Clip], names: tuple[str, ...], data: Path, args: argparse.Namespace) -> Judge:
    """A judge that has heard neither fold 5 nor what atoms are cut from."""
    with ATOM_CREDITS.open(encoding="utf-8", newline="") as file:
        cut = {row["recording"] for row in csv.DictReader(file, delimiter="\t")}
    teach = [clip for clip in clips if clip.fold != 5 and clip.origin not in cut]
    print(f"{len(teach)} clips teach", flush=True)
    rng = np.random.default_rng(10)
    kinds = [bursts] * 300 + [tones] * 100
    drawn = [Clip(-1, 0, "", mel_power(draw(5.0, RATE, rng), RATE)) for draw in kinds]
    material = Material(
        len(names),
        [clip for clip in teach if names[clip.label] in EVENTS],
        [clip for clip in teach if names[clip.label] in DIRECTED],
        [clip for clip in teach if names[clip.label] not in EVENTS],
        [
            *(MUSIC_WEIGHT * [*read_others(data, OTHERS), read_speech(data, 0), *dream_others(data)]),
            *drawn[-50:],
        ],
        drawn,
    )
    shown = np.concatenate([compress_mel_power(clip.power) for clip in teach])
    mean, deviation = shown.mean(axis=0), shown.std(axis=0)
    networks = tuple(train(material, mean, deviation, args.steps, seed) for seed in range(args.networks))
    return Judge(names, networks, mean, deviation)


def main() -> None:
    """Train, or read what was trained, and test."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("data", type=Path, help="folder of esc10.tar, sounds and films")
    parser.add_argument("--out", type=Path, default=Path("training/sound-judge.npz"))
    parser.add_argument("--weights", type=Path, help="test these, and train nothing")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--networks", type=int, default=3, help="whose answers are averaged")
    args = parser.parse_args()
    tar = args.data / "esc10.tar"
    clips = [
        Clip(each.label, each.fold, each.origin, mel_power(each.sound.samples, each.sound.rate))
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
