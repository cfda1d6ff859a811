"""What retraining changes in a dream: dreams of one film by a network and by its retrained copy, compared.

    python scripts/compare_dreams.py ORIGINAL OTHER_SEED RETRAINED --judge squeezenet --classes dog
    python scripts/compare_dreams.py ORIGINAL OTHER_SEED RETRAINED --judge my-ear --classes dog --sound

ORIGINAL and OTHER_SEED are dreams of the same film by the network before, with two seeds; RETRAINED is
dreamed with the first seed by the network after. The judge should be a network that has dreamed none of them.
Prints one JSON object: how much further RETRAINED lies from ORIGINAL than two seeds do (mean |difference| of
pixels, 0..1, or log-spectral distance, dB), and in which share of frames, or of windows of two seconds, the
judge finds more of the wanted classes in it (log-odds, nats).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure_sound import log_spectral_distance, read_sound, spectrogram_db
from scipy.special import logsumexp

from mmdream.classify.run import ClassifierChoice, classify_file, image_classifier
from mmdream.core.events import EventSink
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card

DOGS = ("n02085620", "n02113978")
"""First and last of ImageNet's 118 breeds, in the order of WordNet ids."""


def main() -> None:
    """Read the command line, compare, print JSON."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    for name in ("original", "other_seed", "retrained"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--weights")
    parser.add_argument(
        "--classes", nargs="+", default=["dog"], help="of the judge; dog: ImageNet's breeds too"
    )
    parser.add_argument("--sound", action="store_true")
    given = parser.parse_args()
    films: list[Path] = [given.original, given.other_seed, given.retrained]
    wanted = class_indices(given.judge, given.classes)
    if given.sound:
        first, second, after = (spectrogram_db(read_sound(film).samples) for film in films)
        distances = [log_spectral_distance(first, each) for each in (second, after)]
        choice = ClassifierChoice(sound_net=given.judge, sound_weights=given.weights)
        odds = [sound_log_odds(film, choice, wanted) for film in films]
    else:
        classify = image_classifier(load_network(load_card(given.judge, "picture"), given.weights))
        distances, odds = compare_pictures(films, lambda rgb: log_odds(classify(rgb), wanted))
    before, _, now = (np.array(each) for each in odds)
    found = {
        "moments": len(now),
        "two_seeds_differ": round(distances[0], 4),
        "retrained_differs": round(distances[1], 4),
        "ratio": round(distances[1] / max(distances[0], 1e-12), 2),
        "log_odds": {"original": round(float(before.mean()), 2), "retrained": round(float(now.mean()), 2)},
        "share_with_more": round(float((now > before).mean()), 3),
    }
    print(json.dumps(found, indent=1))


def class_indices(judge: str, wanted: list[str]) -> list[int]:
    """The classes that are looked for, by their place among the judge's logits."""
    about = load_card(judge)
    breeds = [n for n, names in enumerate(about.class_names()) if DOGS[0] <= names[0] <= DOGS[1]]
    if wanted == ["dog"] and breeds:
        return breeds
    return [about.class_index(name) for name in wanted]


def log_odds(logits: np.ndarray, wanted: list[int]) -> float:
    """Of any of the wanted classes against all others, nats."""
    others = np.delete(logits, wanted)
    return float(logsumexp(logits[wanted]) - logsumexp(others))


def compare_pictures(
    films: list[Path], odds: Callable[[np.ndarray], float]
) -> tuple[list[float], list[list[float]]]:
    """Mean |difference| of the first film to each other one, and the odds of every frame of each."""
    sums, frame_odds = [0.0] * (len(films) - 1), [[] for _ in films]  # type: list[float], list[list[float]]
    for shown in zip(*(read_frames(probe(film)) for film in films), strict=True):
        for number, frame in enumerate(shown):
            frame_odds[number].append(odds(frame.rgb))
            if number:
                sums[number - 1] += float(np.abs(frame.rgb - shown[0].rgb).mean())
    return [each / len(frame_odds[0]) for each in sums], frame_odds


def sound_log_odds(film: Path, choice: ClassifierChoice, wanted: list[int]) -> list[float]:
    """The odds in each window of a film's sound."""
    (answers,) = (
        each for each in classify_file(film, choice, 1, EventSink()).predictions if each.medium == "sound"
    )
    return [log_odds(logits, wanted) for logits in answers.logits]


if __name__ == "__main__":
    main()
