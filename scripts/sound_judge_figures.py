"""What a judge of sound dreams is worth, on clips and decoys that it has not heard."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
from sound_decoys import bursts, draw_gain, plain_bursts, tones
from sound_judge import BANDS, HIGH_HZ, HOP, LOW_HZ, RATE, Judge, mean_level, mel_power
from sound_judge_data import DIRECTED, EVENTS, HELD_OUT, Clip, read_others, read_speech

HZ = librosa.mel_frequencies(BANDS + 2, fmin=LOW_HZ, fmax=HIGH_HZ)[1:-1]
"""Of the judge's bands."""
MIX_FRAMES = 100
"""Of an event in a mix, 1 s."""
MIX_DB = 0, -6
"""Of that event over what it is mixed with."""


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
    music = [clip.power for clip in [*read_others(data, HELD_OUT), read_speech(data, 1)]]
    grounds = [clip.power for clip in standing] + music
    return {
        "accuracy": float((ahead.argmax(axis=1) == labels).mean()),
        "heard_where_it_is": float((own > 0.5).mean()),
        "heard_where_it_is_not": float((ahead[absent] > 0.5).mean()),
        "directed_forwards_heard": float((own[directed] > 0.5).mean()),
        "directed_backwards_refused": float((reversed_own[directed] <= 0.5).mean()),
        "directed_more_sure_of_forwards": float((own > reversed_own)[directed].mean()),
        "decoys": evaluate_decoys(judge, grounds),
        "one_second_in_music_and_speech": {
            f"{decibels} dB": evaluate_mixes(judge, test, music, decibels) for decibels in MIX_DB
        },
        "classes": each,
    }


def evaluate_mixes(
    judge: Judge, test: list[Clip], grounds: list[np.ndarray], decibels: float
) -> dict[str, object]:
    """Areas under the ROC curves of a second of each event, so much louder than a ground it is mixed with."""
    rng, frames, found = np.random.default_rng(12), MIX_FRAMES, {}
    for number, name in enumerate(judge.classes):
        shown: dict[str, list[np.ndarray]] = {"forwards": [], "backwards": [], "absent": []}
        for clip in (clip for clip in test if clip.label == number):
            sums = np.cumsum(np.concatenate(([0.0], clip.power.sum(axis=1))))
            start = int(np.argmax(sums[frames:] - sums[:-frames]))
            event = clip.power[start : start + frames]
            for ground in grounds:
                first = int(rng.integers(len(ground) - frames))
                below = ground[first : first + frames]
                shown["forwards"].append(mix_over(event, below, decibels))
                shown["backwards"].append(mix_over(event[::-1], below, decibels))
                shown["absent"].append(below)
        chances = {key: judge.chances_of_powers(powers)[:, number] for key, powers in shown.items()}
        found[name] = {f"chance_{key}": each.mean() for key, each in chances.items()} | {
            "auc_over_absent": roc_area(chances["forwards"], chances["absent"]),
            "auc_over_backwards": roc_area(chances["forwards"], chances["backwards"]),
        }
    return found


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
