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

from mmdream.data.card import card
from mmdream.data.sound_layouts import FREESOUND, esc, urbansound8k
from mmdream.data.tree import SOUNDS, Item, Tree, by_name, matching, table
from mmdream.errors import UserError

KINDS = {
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

DOUBTFUL = {"Dog", "Canidae_and_dogs_and_wolves", "Domestic_animals_and_pets", "Animal", "Wild_animals"}
"""Labels of sounds in which a dog may be heard, though not which: neither a dog nor another sound."""


def dog_sounds(trees: Sequence[Tree]) -> Iterator[Item]:
    """The dogs of every set that is there, and as many others.

    Raises:
        UserError: none of the sets is there.
    """
    sets = [_from_esc50(trees), _from_urbansound8k(trees), _from_fsd50k(trees)]
    if not any(sets):
        raise UserError("no meta/esc50.csv, metadata/UrbanSound8K.csv or FSD50K.ground_truth/dev.csv")
    for items in sets:
        dogs = [item for item in items if item.label in KINDS.values()]
        yield from dogs
        yield from _even([item for item in items if item.label not in KINDS.values()], len(dogs))


def _even(items: Sequence[Item], count: int) -> Iterator[Item]:
    """So many of them, from each label alike, always the same ones, as the class of others."""
    piles: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: hashlib.sha256(item.name.encode()).digest()):
        piles[item.label].append(item)
    turns = sorted((n, label) for label, pile in piles.items() for n in range(len(pile)))
    for n, label in turns[:count]:
        yield replace(piles[label][n], label="other")


def _from_esc50(trees: Sequence[Tree]) -> list[Item]:
    if not any(matching(trees, r"meta/esc50\.csv")):
        return []
    return [_told(item, "esc50", "dog") for item in esc(trees)]


def _from_urbansound8k(trees: Sequence[Tree]) -> list[Item]:
    if not any(matching(trees, r"metadata/UrbanSound8K\.csv")):
        return []
    return [_told(item, "urbansound8k", "dog_bark") for item in urbansound8k(trees)]


def _told(item: Item, home: str, dog: str) -> Item:
    """A clip under a name and a licence that tell its set; one that its set calls a dog is a bark."""
    return replace(
        item,
        label="bark" if item.label == dog else item.label,
        fold="",
        licence=item.licence or card(home).licence,
        name=f"{home}-{item.file.name}",
    )


def _from_fsd50k(trees: Sequence[Tree]) -> list[Item]:
    """Clips with one kind of dog's sound and no other, or with none that could be a dog's.

    The collection's labels are as people gave them, and tell howls and whimpers; the ground truth has these
    merged into "Dog". A clip that stands in both goes by the collection.
    """
    sounds, items = by_name(trees, SOUNDS), {}
    licences = _licences(trees)
    collected = [path for path, _ in matching(trees, r"collection_(?:dev|eval)\.csv")]
    truths = [path for path, _ in matching(trees, r"FSD50K\.ground_truth/(?:dev|eval)\.csv")]
    for path in (*collected, *truths):
        for row in table(path, ("fname", "labels")):
            sound = sounds.get(f"{row['fname']}.wav")
            if sound is not None and row["fname"] not in items:
                items[row["fname"]] = _labelled(sound, row, licences)
    return [item for item in items.values() if item is not None]


def _labelled(sound: Path, row: dict[str, str], licences: dict[str, tuple[str, str]]) -> Item | None:
    """A clip with what it is; None: it cannot be told."""
    labels = row["labels"].split(",")
    kinds = {KINDS[label] for label in labels if label in KINDS}
    if len(kinds) > 1 or (not kinds and DOUBTFUL & set(labels)):
        return None
    licence, author = licences.get(row["fname"], (FSD50K_LICENCES, ""))
    return Item(
        sound,
        kinds.pop() if kinds else labels[0],
        group=f"freesound {row['fname']}",
        licence=licence,
        source=f"{FREESOUND.format(row['fname'])}{f' by {author}' if author else ''}",
        name=f"fsd50k-{sound.name}",
    )


def _licences(trees: Sequence[Tree]) -> dict[str, tuple[str, str]]:
    """Licence and author of each clip, by its number."""
    found: dict[str, tuple[str, str]] = {}
    for path, _ in matching(trees, r"(?:dev|eval)_clips_info_FSD50K\.json"):
        try:
            clips = json.loads(path.read_text("utf-8"))
            found |= {
                str(k): (str(v.get("license", "")), str(v.get("uploader", ""))) for k, v in clips.items()
            }
        except (ValueError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: cannot be read ({error}); is it the publisher's own file?") from error
    return found
