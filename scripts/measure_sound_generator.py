"""What a generator's sounds are worth: whether a judge hears their class, how they vary, if they are copies.

    python scripts/measure_sound_generator.py NAME training/sound-judge.npz --data ../shared/data
        [--learned FOLDER] [--out FOLDER] [--count 20] [--seed 0]

The judge is that of train_sound_judge.py, which is not in the loss. Of each class `--count` events are made,
uncurated, the first that the seed gives, and as many are cut from fold 5 of ESC-10, of each clip in turn the
clearest. Each is heard alone, in silence. Told are, for each class and for all:

- first: how often the class is ranked first of ten;
- real: the same of fold 5's events; brought: of them, brought to the generator's form and back, which is what
  phases alone cost;
- variety: the median distance between two events of a class, over that between two of fold 5's, by the
  judge's features;
- nearest: with `--learned`, what the generator learned from, the median distance of what it makes to the
  nearest event of its class there, over the same of fold 5's events, by cepstra: copies would be near 0.

events.png has five events of each class (left) beside five of fold 5's (right). Prints JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import numpy as np
from esc10 import list_classes, list_members, read_clip
from scipy.spatial.distance import cdist, pdist
from sound_judge import Judge, compress_mel_power, load_judge, mel_power

from mmdream.audio.events import decode_maps, encode_map, encode_wave, make_event
from mmdream.audio.grains.atoms import Atom, cut_atoms
from mmdream.datasets.folder import read_dataset
from mmdream.generators.sound_figures import draw_spectrograms, measure_cepstra
from mmdream.generators.sounds import load_events
from mmdream.media.image import write_image
from mmdream.networks.framework import keras, tf
from mmdream.networks.generator_card import MAP_RATE, GeneratorCard, find_generator
from mmdream.render.generated.events import make_events

JUDGED_SECONDS, JUDGED_FOLD = 1.2, 5
SHOWN, BANDS = 5, 64


def main() -> None:
    """Measure, draw, and print one JSON object."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("name")
    options.add_argument("judge", type=Path, help="weights of train_sound_judge.py")
    options.add_argument("--data", type=Path, required=True, help="folder of esc10.tar")
    options.add_argument("--learned", type=Path, help="what the generator learned from")
    options.add_argument("--out", type=Path, default=Path("sound-generator"))
    options.add_argument("--count", type=int, default=20)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    card, judge = find_generator(chosen.name, "sound"), load_judge(chosen.judge)
    features = build_features(judge)
    places = [judge.class_index(name) for name in card.classes]
    made = make_events(card, [name for name in card.classes for _ in range(chosen.count)], chosen.seed)
    learned = None
    if chosen.learned is not None:
        learned = load_events(read_dataset(chosen.learned), "spectrogram", BANDS, lambda done, total: None)
    figures, rows = {}, []
    for label, name in enumerate(card.classes):
        own = [event for event in made if event.kind == name]
        real = cut_kept_events(chosen.data / "esc10.tar", judge.classes[places[label]], chosen.count)
        brought = [each for each in (bring_over(atom, card) for atom in real) if each is not None]
        heard = {"first": own, "real": real, "brought": brought}
        figures[name] = {key: rate_first(judge, each, places[label]) for key, each in heard.items()}
        spread, usual = (float(np.median(pdist(features(each)))) for each in (own, real))
        figures[name]["variety"] = spread / usual
        if learned is not None:
            known = measure_cepstra(learned.select(np.flatnonzero(learned.labels == label)), "spectrogram")
            near, also = (
                float(np.median(cdist(measure_cepstra(to_maps(each), "spectrogram"), known).min(1)))
                for each in (own, real)
            )
            figures[name]["nearest"] = near / also
        shown = [draw_spectrograms(to_maps(each[:SHOWN]), "spectrogram") for each in (own, real)]
        gap = np.ones((BANDS, 6, 3), np.float32)
        rows.append(np.concatenate([*shown[0], gap, *shown[1]], 1))
    write_image(chosen.out / "events.png", np.concatenate(rows))
    figures["all"] = {
        key: float(np.mean([figures[name][key] for name in card.classes])) for key in figures[card.classes[0]]
    }
    figures["all"]["first_over_real"] = figures["all"]["first"] / figures["all"]["real"]
    print(json.dumps(figures, indent=1, default=float))


def cut_kept_events(tar: Path, kind: str, count: int) -> list[Atom]:
    """The clearest events of a class in the fold that is kept, of each clip in turn."""
    found = []
    for member in list_members(tar, list_classes(tar).index(kind), JUDGED_FOLD):
        sound = read_clip(tar, member)
        found.append(cut_atoms(sound.samples[0], sound.rate, count, kind, member))
    return [atom for row in zip_longest(*found) for atom in row if atom is not None][:count]


def bring_over(atom: Atom, card: GeneratorCard) -> Atom | None:
    """An event brought to a generator's form and back."""
    if card.form == "wave":
        return make_event(encode_wave(atom), 16_000, atom.kind, atom.name)
    [samples] = decode_maps(encode_map(atom, card.side)[None], 0)
    return make_event(samples, MAP_RATE, atom.kind, atom.name)


def rate_first(judge: Judge, events: list[Atom], place: int) -> float:
    """Share of events whose class is ranked first."""
    return float((judge.chances_of_powers([hear(event) for event in events]).argmax(1) == place).mean())


def hear(event: Atom) -> np.ndarray:
    """Mel power of an event in silence, float32 [frame, band]."""
    length = round(JUDGED_SECONDS * event.rate)
    samples = event.samples[:length]
    return mel_power(np.pad(samples, (0, length - len(samples)))[None], event.rate)


def build_features(judge: Judge) -> Callable[[list[Atom]], np.ndarray]:
    """What the judge's first network has before its logits: events -> float [n, feature]."""
    network = judge.networks[0]
    model = keras.Model(network.inputs, network.layers[-1].input)

    def compute(events: list[Atom]) -> np.ndarray:
        shown = [(compress_mel_power(hear(event)) - judge.mean) / judge.deviation for event in events]
        return np.asarray(model(tf.constant(np.stack(shown), tf.float32), training=False))

    return compute


def to_maps(events: list[Atom]) -> np.ndarray:
    """Spectrograms of events, float32 [n, frame, band, 1], 0..1."""
    return np.stack([encode_map(event, BANDS) for event in events])[..., None]


if __name__ == "__main__":
    main()
