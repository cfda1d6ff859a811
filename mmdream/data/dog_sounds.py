"""Dogs out of three sets of sounds, and out of each as many other sounds.

The others come from the same sets in the same numbers: otherwise a network could tell a dog by the
microphone. All three were cut from Freesound's recordings, whose numbers keep what belongs together on one
side of a split.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.data.card import read_dataset_card
from mmdream.data.sound_layouts import FREESOUND_URL, read_esc, read_urbansound8k
from mmdream.data.tree import AUDIO_SUFFIXES, FileTree, SourceFile, index_by_name, match_paths, read_table

DOG_LABELS = {
    "Bark": "bark",
    "Bow-wow": "bark",
    "Yip": "bark",
    "Growling": "growl",
    "Howl": "howl",
    "Whimper_(dog)": "whimper",
}
"""FSD50K's labels of what dogs do."""

FSD50K_LICENCES = "CC0, CC BY, CC BY-NC or CC Sampling+; see FSD50K.metadata"
"""Of a clip whose own is not at hand."""

AMBIGUOUS_LABELS = {
    "Dog",
    "Canidae_and_dogs_and_wolves",
    "Domestic_animals_and_pets",
    "Animal",
    "Wild_animals",
}
"""Labels of sounds in which a dog may be heard, though not which: neither a dog nor another sound."""


def read_dog_sounds(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """The dogs of every set that is there, and as many others.

    Raises:
        UserError: none of the sets is there.
    """
    sets = [_read_esc50_clips(trees), _read_urbansound8k_clips(trees), _read_fsd50k_clips(trees)]
    if not any(sets):
        raise UserError("no meta/esc50.csv, metadata/UrbanSound8K.csv or FSD50K.ground_truth/dev.csv")
    for items in sets:
        dogs = [item for item in items if item.label in DOG_LABELS.values()]
        yield from dogs
        yield from _draw_evenly([item for item in items if item.label not in DOG_LABELS.values()], len(dogs))


def _draw_evenly(items: Sequence[SourceFile], count: int) -> Iterator[SourceFile]:
    """So many of them, from each label alike, always the same ones, as the class of others."""
    piles: dict[str, list[SourceFile]] = defaultdict(list)
    for item in sorted(items, key=lambda item: hashlib.sha256(item.name.encode()).digest()):
        piles[item.label].append(item)
    turns = sorted((n, label) for label, pile in piles.items() for n in range(len(pile)))
    for n, label in turns[:count]:
        yield replace(piles[label][n], label="other")


def _read_esc50_clips(trees: Sequence[FileTree]) -> list[SourceFile]:
    if not any(match_paths(trees, r"meta/esc50\.csv")):
        return []
    return [_label_with_dataset(item, "esc50", "dog") for item in read_esc(trees)]


def _read_urbansound8k_clips(trees: Sequence[FileTree]) -> list[SourceFile]:
    if not any(match_paths(trees, r"metadata/UrbanSound8K\.csv")):
        return []
    return [_label_with_dataset(item, "urbansound8k", "dog_bark") for item in read_urbansound8k(trees)]


def _label_with_dataset(item: SourceFile, home: str, dog: str) -> SourceFile:
    """A clip under a name and a licence that tell its set; one that its set calls a dog is a bark."""
    return replace(
        item,
        label="bark" if item.label == dog else item.label,
        fold="",
        licence=item.licence or read_dataset_card(home).licence,
        name=f"{home}-{item.file.name}",
    )


def _read_fsd50k_clips(trees: Sequence[FileTree]) -> list[SourceFile]:
    """Clips with one kind of dog's sound and no other, or with none that could be a dog's.

    The collection's labels are as people gave them, and tell howls and whimpers; the ground truth has these
    merged into "Dog". A clip that stands in both goes by the collection.
    """
    sounds, items = index_by_name(trees, AUDIO_SUFFIXES), {}
    licences = _read_fsd50k_credits(trees)
    collected = [path for path, _ in match_paths(trees, r"collection_(?:dev|eval)\.csv")]
    truths = [path for path, _ in match_paths(trees, r"FSD50K\.ground_truth/(?:dev|eval)\.csv")]
    for path in (*collected, *truths):
        for row in read_table(path, ("fname", "labels")):
            sound = sounds.get(f"{row['fname']}.wav")
            if sound is not None and row["fname"] not in items:
                items[row["fname"]] = _label_fsd50k_clip(sound, row, licences)
    return [item for item in items.values() if item is not None]


def _label_fsd50k_clip(
    sound: Path, row: dict[str, str], licences: dict[str, tuple[str, str]]
) -> SourceFile | None:
    """A clip with what it is; None: it cannot be told."""
    labels = row["labels"].split(",")
    kinds = {DOG_LABELS[label] for label in labels if label in DOG_LABELS}
    if len(kinds) > 1 or (not kinds and AMBIGUOUS_LABELS & set(labels)):
        return None
    licence, author = licences.get(row["fname"], (FSD50K_LICENCES, ""))
    return SourceFile(
        sound,
        kinds.pop() if kinds else labels[0],
        group=f"freesound {row['fname']}",
        licence=licence,
        source=f"{FREESOUND_URL.format(row['fname'])}{f' by {author}' if author else ''}",
        name=f"fsd50k-{sound.name}",
    )


def _read_fsd50k_credits(trees: Sequence[FileTree]) -> dict[str, tuple[str, str]]:
    """Licence and author of each clip, by its number."""
    found: dict[str, tuple[str, str]] = {}
    for path, _ in match_paths(trees, r"(?:dev|eval)_clips_info_FSD50K\.json"):
        try:
            clips = json.loads(path.read_text("utf-8"))
            found |= {
                str(k): (str(v.get("license", "")), str(v.get("uploader", ""))) for k, v in clips.items()
            }
        except (ValueError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: cannot be read ({error}); is it the publisher's own file?") from error
    return found
