"""How the publishers of sounds lay out their files."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.datasets.card import read_dataset_card
from mmdream.datasets.layouts import (
    AUDIO_SUFFIXES,
    FileTree,
    SourceFile,
    find_required,
    index_by_name,
    match_paths,
    read_csv,
    read_table,
)

FREESOUND_URL = "https://freesound.org/s/{}/"
"""Where a recording of Freesound's is, by its number."""

AUDIO_SUFFIX_PATTERN = rf"(?:{'|'.join(re.escape(ending) for ending in AUDIO_SUFFIXES)})"


def read_esc(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """ESC-50 with its table, or ESC-10 in folders such as ``001 - Dog bark``.

    A clip's name begins with its fold and the number of the recording at Freesound.
    """
    credits = _read_esc_credits(trees)
    tables = [path for path, _ in match_paths(trees, r"meta/esc50\.csv")]
    sounds = index_by_name(trees, AUDIO_SUFFIXES)
    for path in tables:
        for row in read_table(path, ("filename", "category")):
            if row["filename"] in sounds:
                yield from _make_esc_file(sounds[row["filename"]], row["category"], credits)
    if not tables:
        for path, match in match_paths(trees, rf"(\d{{3}} - [^/]+)/[^/]*{AUDIO_SUFFIX_PATTERN}"):
            yield from _make_esc_file(path, match[1], credits)


_ESC_FILENAME = re.compile(r"((\d)-(\d+)-[A-Z])(?:-\d+)?")
"""Fold, recording and take; in ESC-50 the number of the class follows."""


def _make_esc_file(path: Path, label: str, credits: dict[str, tuple[str, str]]) -> Iterator[SourceFile]:
    """A clip, unless its name is none of the publisher's."""
    if match := _ESC_FILENAME.fullmatch(path.stem):
        clip, fold, number = match.groups()
        licence, author = credits.get(clip, ("", ""))
        source = f"{FREESOUND_URL.format(number)}{f' by {author}' if author else ''}"
        yield SourceFile(path, label, fold, f"freesound {number}", licence, source)


def _read_esc_credits(trees: Sequence[FileTree]) -> dict[str, tuple[str, str]]:
    """Licence and author of each clip, by its name without ending, out of the publisher's text."""
    wanted = re.compile(r"- \[(\d-\d+-[A-Z])\.\w+\]:.* by (.*) \[([^\]]+)\]")
    return {
        match[1]: (match[3], match[2])
        for path, _ in match_paths(trees, r"(?:LICENSE|README\.txt)")
        for line in path.read_text("utf-8", "replace").splitlines()
        if (match := wanted.match(line))
    }


def read_urbansound8k(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``audio/foldN/*.wav`` and a table; folds keep the slices of a recording together."""
    found = find_required(trees, r"metadata/UrbanSound8K\.csv", "metadata/UrbanSound8K.csv")
    sounds = {
        f"{match[1]}/{path.name}": path
        for path, match in match_paths(trees, rf"fold(\d+)/[^/]*{AUDIO_SUFFIX_PATTERN}")
    }
    for row in read_table(found, ("slice_file_name", "fsID", "fold", "class")):
        if path := sounds.get(f"{row['fold']}/{row['slice_file_name']}"):
            source = FREESOUND_URL.format(row["fsID"])
            yield SourceFile(
                path, row["class"], fold=row["fold"], group=f"freesound {row['fsID']}", source=source
            )


def read_fsdkaggle2018(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Two folders of sounds and two tables."""
    sounds = index_by_name(trees, AUDIO_SUFFIXES)
    tables = {"train": r"train_post_competition\.csv", "test": r"test_post_competition_scoring_clips\.csv"}
    found = [(fold, path) for fold, wanted in tables.items() for path, _ in match_paths(trees, wanted)]
    if not found:
        find_required(trees, tables["train"], "FSDKaggle2018.meta/train_post_competition.csv")
    for fold, path in found:
        for row in read_table(path, ("fname", "label")):
            if row["fname"] in sounds:
                number = row.get("freesound_id") or row.get("fsID") or ""
                yield SourceFile(
                    sounds[row["fname"]],
                    row["label"],
                    fold=fold,
                    group=f"freesound {number}" if number else "",
                    licence=row.get("license", ""),
                    source=FREESOUND_URL.format(number) if number else "",
                )


def read_fma(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``000/000002.mp3`` by number, and a table under two lines of headings.

    The publisher's parts keep each artist in one of them.
    """
    sounds = index_by_name(trees, AUDIO_SUFFIXES)
    path = find_required(trees, r"tracks\.csv", "fma_metadata/tracks.csv")
    rows = read_csv(path)
    names = list(zip(next(rows, []), next(rows, []), strict=False))
    wanted = [
        ("track", "genre_top"),
        ("track", "license"),
        ("set", "split"),
        ("artist", "id"),
        ("artist", "name"),
    ]
    if missing := [name for name in wanted if name not in names]:
        raise UserError(f"{path}: has no column {' '.join(missing[0])}; is it the publisher's own table?")
    places = [names.index(name) for name in wanted]
    for row in rows:
        if len(row) != len(names) or not row[0].isdecimal() or len(row[0]) > MAX_TRACK_DIGITS:
            continue  # The third line names the first column.
        genre, licence, fold, artist, who = (row[place] for place in places)
        sound = sounds.get(f"{int(row[0]):06d}.mp3")
        if sound is not None:
            fold = {"training": "train"}.get(fold, fold)
            source = f"https://freemusicarchive.org, track {row[0]} by {who}"
            yield SourceFile(sound, genre, fold, f"artist {artist}", licence, source)


MAX_TRACK_DIGITS = 20
"""Digits of a track; Python refuses to read thousands of them."""
_FMA_COLUMNS = (
    ("track", "genre_top"),
    ("track", "license"),
    ("set", "split"),
    ("artist", "id"),
    ("artist", "name"),
)
"""The columns of FMA's table that are read, by the words in its two lines of headings."""


def read_bird_audio(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Tables of what has a bird, and sounds named by their items; which of the sets it is stands as fold."""
    sounds = index_by_name(trees, AUDIO_SUFFIXES)
    names = r"(?:ff1010bird|warblrb10k|BirdVox)[^/]*\.csv"
    find_required(trees, names, "table such as ff1010bird_metadata_2018.csv")
    for path, _ in match_paths(trees, names):
        for row in read_table(path, ("itemid", "hasbird")):
            sound = sounds.get(f"{row['itemid']}.wav")
            if sound is not None:
                home = row.get("datasetid") or re.split(r"[_.]", path.name)[0]
                yield SourceFile(sound, row["hasbird"], fold=home, source=f"{home} {row['itemid']}")


def read_librispeech(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``SPEAKER/CHAPTER/*.flac`` and a table of speakers between upright strokes."""
    path = find_required(trees, r"SPEAKERS\.TXT", "SPEAKERS.TXT")
    people = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        cells = [cell.strip() for cell in line.split("|", 4)]
        if not line.startswith(";") and len(cells) == 5:
            people[cells[0]] = (cells[1], cells[4])
    for sound, match in match_paths(trees, rf"(\d+)/\d+/\d+-\d+-\d+{AUDIO_SUFFIX_PATTERN}"):
        if match[1] in people:
            sex, name = people[match[1]]
            yield SourceFile(sound, sex, group=f"speaker {match[1]}", source=f"LibriVox, read by {name}")


def read_speech_commands(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``WORD/SPEAKER_nohash_N.wav``; two lists name the files of validation and test."""
    parts = {
        line.strip(): part
        for part, wanted in (("validation", r"validation_list\.txt"), ("test", r"testing_list\.txt"))
        for path, _ in match_paths(trees, wanted)
        for line in path.read_text("utf-8", "replace").splitlines()
    }
    for sound, match in match_paths(trees, rf"([a-z]+)/([0-9a-f]+)_nohash_\d+{AUDIO_SUFFIX_PATTERN}"):
        fold = parts.get(f"{match[1]}/{sound.name}", "train" if parts else "")
        yield SourceFile(sound, match[1].lower(), fold=fold, group=f"speaker {match[2]}")


def read_nsynth(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``nsynth-PART/audio/FAMILY_KIND_NUMBER-PITCH-VELOCITY.wav``."""
    name = rf"((\w+)_(?:acoustic|electronic|synthetic)_\d+)-\d+-\d+{AUDIO_SUFFIX_PATTERN}"
    for sound, match in match_paths(trees, rf"(?:nsynth-(train|valid|test)/)?audio/{name}"):
        fold = {"valid": "validation"}.get(match[1], match[1] or "")
        yield SourceFile(sound, match[3], fold=fold, group=match[2])


pass

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
