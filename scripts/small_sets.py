"""The small sets that retraining is measured on, made of what is at hand.

    python scripts/small_sets.py dogs26 OUT --data ../shared/data --tiny tiny-imagenet-200
    python scripts/small_sets.py dog_or_not OUT --from esc10
    python scripts/small_sets.py fsdkaggle2018 OUT

dogs26: the six dog classes of Tiny ImageNet and twenty others, 250 training pictures of each, and those
of the six breeds in imagenet_samples.tar. dog_or_not: a prepared ESC-10 as two classes, with its folds.
fsdkaggle2018: a tree as its publisher lays it out, 20 classes of 15 synthetic sounds each, for `mmdream data
prepare fsdkaggle2018 --from OUT`: no clip of the real set is among them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from compare_dreams import DOGS

from mmdream.core.rng import rng_for
from mmdream.datasets.card import read_dataset_card
from mmdream.datasets.folder import INPUT_FOLDER, read_manifest, write_manifest

PICTURES = 250
"""Training pictures of a class."""
CLIPS = (12, 3)
"""Synthetic sounds of a class to learn from, and to test on."""
RATE, SECONDS = 44_100, 1.5


def main() -> None:
    """Read the command line and make one set."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("name", choices=["dogs26", "dog_or_not", "fsdkaggle2018"])
    parser.add_argument("out", type=Path)
    data = Path(os.environ.get("MMDREAM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--tiny", type=Path, help="tiny-imagenet-200 as published")
    parser.add_argument("--from", type=Path, dest="source", help="esc10 as `mmdream data prepare` sorts it")
    given = parser.parse_args()
    if given.name == "dogs26":
        make_dogs26(given.data, given.tiny, given.out)
    elif given.name == "dog_or_not":
        make_dog_or_not(given.source, given.out)
    else:
        make_fsdkaggle2018(given.out)


def make_dogs26(data: Path, tiny: Path, out: Path) -> None:
    """Folders of pictures, one a class."""
    words = dict(line.split("\t") for line in (data / "words.txt").read_text().splitlines())
    every = (data / "wnids.txt").read_text().split()
    dogs = [wnid for wnid in every if DOGS[0] <= wnid <= DOGS[1]]
    others = [wnid for wnid in every if wnid not in dogs][4::9][:20]
    homes = {wnid: out / words[wnid].split(",")[0].strip().replace(" ", "_") for wnid in dogs + others}
    for wnid, home in homes.items():
        home.mkdir(parents=True, exist_ok=True)
        for path in sorted((tiny / "train" / wnid / "images").iterdir())[:PICTURES]:
            shutil.copyfile(path, home / path.name)
    with tarfile.open(data / "imagenet_samples.tar") as tar:
        for member in tar:
            wnid = member.name.split("_")[0]
            if wnid in dogs and (file := tar.extractfile(member)) is not None:
                (homes[wnid] / f"sample_{wnid}.webp").write_bytes(file.read())


def make_dog_or_not(source: Path, out: Path) -> None:
    """A prepared set with two classes."""
    about, rows = read_manifest(source)
    sorted_rows = []
    for row in rows:
        label = "dog" if row.label == "dog" else "not_dog"
        file = f"{INPUT_FOLDER}/{label}/{Path(row.file).name}"
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / row.file, out / file)
        sorted_rows.append(replace(row, file=file, label=label))
    write_manifest(out, replace(about, name="dog_or_not", classes=("dog", "not_dog")), sorted_rows)


def make_fsdkaggle2018(out: Path) -> None:
    """A tree in the publisher's layout."""
    header = "fname,label,manually_verified,freesound_id,license"
    parts = {"train": "train_post_competition", "test": "test_post_competition_scoring_clips"}
    lines = {"train": [header], "test": [header.replace("manually_verified", "usage")]}
    chosen = [each.name for each in read_dataset_card("fsdkaggle2018").classes if not each.only]
    for place, label in enumerate(chosen):
        for number in range(sum(CLIPS)):
            part = "train" if number < CLIPS[0] else "test"
            name = f"{place:04x}{number:04x}.wav"
            home = out / f"FSDKaggle2018.audio_{part}"
            home.mkdir(parents=True, exist_ok=True)
            soundfile.write(home / name, synthesize_clip(place, number), RATE, "PCM_16")
            kind = "1" if part == "train" else "Public"
            lines[part].append(f"{name},{label},{kind},{place * 100 + number},Creative Commons 0")
    (out / "FSDKaggle2018.meta").mkdir(exist_ok=True)
    for part, name in parts.items():
        (out / "FSDKaggle2018.meta" / f"{name}.csv").write_text("\n".join(lines[part]) + "\n")


def synthesize_clip(place: int, number: int) -> np.ndarray:
    """A sound, float32 [sample]: a class has its pitch, its partials, its decay and its share of noise."""
    recipe, clip = rng_for(0, "class", place), rng_for(0, "clip", place, number)
    t = np.arange(round(RATE * SECONDS)) / RATE
    pitch = 110 * 2 ** recipe.uniform(0, 4.5) * 2 ** clip.uniform(-0.1, 0.1)
    partials = pitch * np.sort(recipe.uniform(1, 6, 4)) * [[1]]
    beats = recipe.integers(1, 9) + clip.uniform(-0.2, 0.2)
    decay = recipe.uniform(2, 30)
    envelope = np.exp(-decay * ((t + clip.uniform(0, 0.3)) * beats % 1) / beats)
    tone = np.sin(2 * np.pi * partials.T * t + clip.uniform(0, 6, (4, 1))).sum(axis=0)
    hiss = clip.standard_normal(len(t)) * recipe.uniform(0, 2)
    sound = envelope * (tone + hiss) + 0.02 * clip.standard_normal(len(t))
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


if __name__ == "__main__":
    main()
