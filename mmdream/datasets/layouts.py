"""How each publisher lays its set out: ``read_LAYOUT`` finds the files in trees, each with its class.

The trees may hang in any folder; files of classes that the card lacks are found too.
"""

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
from mmdream.datasets.folder import MEDIA_SUFFIXES
from mmdream.datasets.sources import (
    FileTree,
    SourceFile,
    find_required,
    index_by_name,
    match_paths,
    read_csv,
    read_lines,
    read_matlab_list,
    read_table,
)

WORDNET_ID = r"n\d{8}"
IMAGE_PATTERN = rf"[^/]*(?:{'|'.join(map(re.escape, MEDIA_SUFFIXES['picture']))})"
AUDIO_SUFFIX = rf"(?:{'|'.join(map(re.escape, MEDIA_SUFFIXES['sound']))})"
AUDIO_PATTERN = rf"[^/]*{AUDIO_SUFFIX}"
"""The names of files of pictures and sounds."""

ESC_FILENAME = re.compile(r"((\d)-(\d+)-[A-Z])(?:-\d+)?")
"""Fold, recording and take; in ESC-50 the number of the class follows."""
ESC_CREDIT = re.compile(r"- \[(\d-\d+-[A-Z])\.\w+\]:.* by (.*) \[([^\]]+)\]")
"""Clip, author and licence, in the publisher's text."""

FMA_COLUMNS = (
    *(("track", "genre_top"), ("track", "license"), ("set", "split")),
    *(("artist", "id"), ("artist", "name")),
)
"""That are read, by the words in the table's two lines of headings."""
MAX_TRACK_DIGITS = 20
"""Python refuses to read numbers of thousands of digits."""

DOG_LABELS = {
    **dict.fromkeys(("Bark", "Bow-wow", "Yip"), "bark"),
    **{"Growling": "growl", "Howl": "howl", "Whimper_(dog)": "whimper"},
}
"""FSD50K's labels of what dogs do, and the classes that they become."""
AMBIGUOUS_LABELS = {
    *("Dog", "Canidae_and_dogs_and_wolves", "Domestic_animals_and_pets", "Animal", "Wild_animals")
}
"""Labels of sounds in which a dog may be heard, though not which: neither a dog nor another sound."""
FSD50K_LICENCES = "CC0, CC BY, CC BY-NC or CC Sampling+; see FSD50K.metadata"
"""Of a clip whose own is not at hand."""


def read_wordnet(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Pictures in folders named by a WordNet id, or under names that begin with one."""
    labels: dict[Path, str] = {}
    for pattern in (
        rf"({WORDNET_ID})(?:-[^/]*)?/(?:images/)?{IMAGE_PATTERN}",
        rf"({WORDNET_ID})_{IMAGE_PATTERN}",
    ):
        for path, match in match_paths(trees, pattern):
            labels.setdefault(path, match[1])
    return (SourceFile(path, label) for path, label in labels.items())


def read_stanford_dogs(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``Images/WNID-breed/*.jpg``; the publisher's lists, where they are there, tell training from test."""
    folds = {
        entry.rpartition("/")[2]: fold
        for fold in ("train", "test")
        for path, _ in match_paths(trees, rf"{fold}_list\.mat")
        for entry in read_matlab_list(path)
    }
    for path, match in match_paths(trees, rf"({WORDNET_ID})-[^/]*/{IMAGE_PATTERN}"):
        yield SourceFile(path, match[1], fold=folds.get(path.name, ""))


def read_tiny_imagenet(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``train/WNID/images`` and ``val/images`` with its table, or both as ``WNID/*``."""
    for path, match in match_paths(trees, rf"({WORDNET_ID})/(?:images/)?{IMAGE_PATTERN}"):
        yield SourceFile(path, match[1], fold="validation" if path.name.startswith("val_") else "train")
    rows = (line.split("\t") for line in read_lines(trees, r"val/val_annotations\.txt"))
    labels = {row[0]: row[1] for row in rows if len(row) > 1}
    for path, _ in match_paths(trees, rf"val/images/{IMAGE_PATTERN}"):
        if path.name in labels:
            yield SourceFile(path, labels[path.name], fold="validation")


def read_esc(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """ESC-50 with its table, or ESC-10 in folders such as ``001 - Dog bark``; names tell folds."""
    lines = map(ESC_CREDIT.match, read_lines(trees, r"(?:LICENSE|README\.txt)"))
    credits = {match[1]: (match[3], match[2]) for match in lines if match}
    clips: list[tuple[Path, str]] = []
    tables = [path for path, _ in match_paths(trees, r"meta/esc50\.csv")]
    sounds = index_by_name(trees, AUDIO_PATTERN)
    for path in tables:
        rows = read_table(path, ("filename", "category"))
        clips += [(sounds[row["filename"]], row["category"]) for row in rows if row["filename"] in sounds]
    if not tables:
        pattern = rf"(\d{{3}} - [^/]+)/{AUDIO_PATTERN}"
        clips = [(path, match[1]) for path, match in match_paths(trees, pattern)]
    for path, label in clips:
        if match := ESC_FILENAME.fullmatch(path.stem):
            clip, fold, number = match.groups()
            licence, author = credits.get(clip, ("", ""))
            yield SourceFile(path, label, fold, f"freesound {number}", licence, _freesound(number, author))


def _freesound(number: str, author: str = "") -> str:
    return f"https://freesound.org/s/{number}/{f' by {author}' if author else ''}"


def read_urbansound8k(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``audio/foldN/*.wav`` and a table; folds keep the slices of a recording together."""
    table = find_required(trees, r"metadata/UrbanSound8K\.csv", "metadata/UrbanSound8K.csv")
    files = match_paths(trees, rf"fold(\d+)/{AUDIO_PATTERN}")
    sounds = {f"{match[1]}/{path.name}": path for path, match in files}
    for row in read_table(table, ("slice_file_name", "fsID", "fold", "class")):
        if path := sounds.get(f"{row['fold']}/{row['slice_file_name']}"):
            group, source = f"freesound {row['fsID']}", _freesound(row["fsID"])
            yield SourceFile(path, row["class"], fold=row["fold"], group=group, source=source)


def read_fsdkaggle2018(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Two folders of sounds and two tables."""
    sounds = index_by_name(trees, AUDIO_PATTERN)
    names = {"train": r"train_post_competition\.csv", "test": r"test_post_competition_scoring_clips\.csv"}
    tables = [(fold, path) for fold, name in names.items() for path, _ in match_paths(trees, name)]
    if not tables:
        find_required(trees, names["train"], "FSDKaggle2018.meta/train_post_competition.csv")
    for fold, path in tables:
        for row in read_table(path, ("fname", "label")):
            if row["fname"] in sounds:
                number, licence = row.get("freesound_id") or row.get("fsID"), row.get("license", "")
                group, source = (f"freesound {number}", _freesound(number)) if number else ("", "")
                yield SourceFile(sounds[row["fname"]], row["label"], fold, group, licence, source)


def read_fma(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``000/000002.mp3`` and a table under two lines of headings; each artist is in one of the parts."""
    sounds = index_by_name(trees, AUDIO_PATTERN)
    path = find_required(trees, r"tracks\.csv", "fma_metadata/tracks.csv")
    rows = read_csv(path)
    names = list(zip(next(rows, []), next(rows, []), strict=False))
    if missing := [name for name in FMA_COLUMNS if name not in names]:
        raise UserError(f"{path}: has no column {' '.join(missing[0])}; is it the publisher's own table?")
    columns = [names.index(name) for name in FMA_COLUMNS]
    for row in rows:
        if len(row) != len(names) or not row[0].isdecimal() or len(row[0]) > MAX_TRACK_DIGITS:
            continue  # The third line names the first column.
        genre, licence, fold, artist_id, artist = (row[column] for column in columns)
        sound = sounds.get(f"{int(row[0]):06d}.mp3")
        if sound is not None:
            fold = {"training": "train"}.get(fold, fold)
            source = f"https://freemusicarchive.org, track {row[0]} by {artist}"
            yield SourceFile(sound, genre, fold, f"artist {artist_id}", licence, source)


def read_bird_audio(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Tables of what has a bird, and sounds named by their items; which of the sets it is stands as fold."""
    sounds = index_by_name(trees, AUDIO_PATTERN)
    names = r"(?:ff1010bird|warblrb10k|BirdVox)[^/]*\.csv"
    find_required(trees, names, "table such as ff1010bird_metadata_2018.csv")
    for path, _ in match_paths(trees, names):
        for row in read_table(path, ("itemid", "hasbird")):
            sound = sounds.get(f"{row['itemid']}.wav")
            if sound is not None:
                fold = row.get("datasetid") or re.split(r"[_.]", path.name)[0]
                yield SourceFile(sound, row["hasbird"], fold=fold, source=f"{fold} {row['itemid']}")


def read_librispeech(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``SPEAKER/CHAPTER/*.flac`` and a table of speakers between upright strokes."""
    path = find_required(trees, r"SPEAKERS\.TXT", "SPEAKERS.TXT")
    lines = path.read_text("utf-8", "replace").splitlines()
    rows = [[cell.strip() for cell in line.split("|", 4)] for line in lines if not line.startswith(";")]
    speakers = {row[0]: (row[1], row[4]) for row in rows if len(row) == 5}
    for path, match in match_paths(trees, rf"(\d+)/\d+/\d+-\d+-\d+{AUDIO_SUFFIX}"):
        if match[1] in speakers:
            sex, name = speakers[match[1]]
            yield SourceFile(path, sex, group=f"speaker {match[1]}", source=f"LibriVox, read by {name}")


def read_speech_commands(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``WORD/SPEAKER_nohash_N.wav``; two lists name the files of validation and test."""
    folds = {
        line.strip(): fold
        for fold, name in (("validation", r"validation_list\.txt"), ("test", r"testing_list\.txt"))
        for line in read_lines(trees, name)
    }
    for path, match in match_paths(trees, rf"([a-z]+)/([0-9a-f]+)_nohash_\d+{AUDIO_SUFFIX}"):
        fold = folds.get(f"{match[1]}/{path.name}", "train" if folds else "")
        yield SourceFile(path, match[1].lower(), fold=fold, group=f"speaker {match[2]}")


def read_nsynth(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``nsynth-PART/audio/FAMILY_KIND_NUMBER-PITCH-VELOCITY.wav``."""
    name = rf"((\w+)_(?:acoustic|electronic|synthetic)_\d+)-\d+-\d+{AUDIO_SUFFIX}"
    for path, match in match_paths(trees, rf"(?:nsynth-(train|valid|test)/)?audio/{name}"):
        fold = {"valid": "validation"}.get(match[1], match[1] or "")
        yield SourceFile(path, match[3], fold=fold, group=match[2])


def read_dog_sounds(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Dogs of ESC-50, UrbanSound8K and FSD50K, and of each set as many other sounds.

    The others come from the same sets in the same numbers: otherwise a network could tell a dog by the
    microphone. Numbers of Freesound's recordings keep clips of one recording together, also of two sets.
    """
    sets = [
        [_relabel_clip(clip, name, dog) for clip in read(trees)]
        for name, table, dog, read in (
            ("esc50", r"meta/esc50\.csv", "dog", read_esc),
            ("urbansound8k", r"metadata/UrbanSound8K\.csv", "dog_bark", read_urbansound8k),
        )
        if any(match_paths(trees, table))
    ]
    sets.append(_read_fsd50k(trees))
    if not any(sets):
        raise UserError("no meta/esc50.csv, metadata/UrbanSound8K.csv or FSD50K.ground_truth/dev.csv")
    for clips in sets:
        dogs = [clip for clip in clips if clip.label in DOG_LABELS.values()]
        yield from dogs
        yield from _draw_others([clip for clip in clips if clip.label not in DOG_LABELS.values()], len(dogs))


def _draw_others(clips: Sequence[SourceFile], count: int) -> Iterator[SourceFile]:
    """Up to `count` clips as the class of others, from each label alike, always the same ones."""
    by_label: dict[str, list[SourceFile]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: hashlib.sha256(clip.name.encode()).digest()):
        by_label[clip.label].append(clip)
    order = sorted((n, label) for label, same in by_label.items() for n in range(len(same)))
    for n, label in order[:count]:
        yield replace(by_label[label][n], label="other")


def _relabel_clip(clip: SourceFile, dataset: str, dog: str) -> SourceFile:
    """A clip under a name and a licence that tell its set; what its set calls a dog is a bark."""
    return replace(
        clip,
        label="bark" if clip.label == dog else clip.label,
        fold="",
        licence=clip.licence or read_dataset_card(dataset).licence,
        name=f"{dataset}-{clip.file.name}",
    )


def _read_fsd50k(trees: Sequence[FileTree]) -> list[SourceFile]:
    """Clips with one kind of dog's sound and no other, or with none that could be a dog's.

    The collection's labels are as people gave them, and tell howls and whimpers; the ground truth has these
    merged into "Dog". A clip that stands in both goes by the collection.
    """
    sounds, credits = index_by_name(trees, AUDIO_PATTERN), _read_fsd50k_credits(trees)
    clips: dict[str, SourceFile | None] = {}
    for pattern in (r"collection_(?:dev|eval)\.csv", r"FSD50K\.ground_truth/(?:dev|eval)\.csv"):
        for path, _ in match_paths(trees, pattern):
            for row in read_table(path, ("fname", "labels")):
                number, labels = row["fname"], row["labels"].split(",")
                sound = sounds.get(f"{number}.wav")
                if sound is None or number in clips:
                    continue
                dogs = {DOG_LABELS[label] for label in labels if label in DOG_LABELS}
                if len(dogs) > 1 or (not dogs and AMBIGUOUS_LABELS & set(labels)):
                    clips[number] = None
                    continue
                licence, author = credits.get(number, (FSD50K_LICENCES, ""))
                label, group, source = [*dogs, *labels][0], f"freesound {number}", _freesound(number, author)
                name = f"fsd50k-{sound.name}"
                clips[number] = SourceFile(sound, label, "", group, licence, source, name)
    return [clip for clip in clips.values() if clip is not None]


def _read_fsd50k_credits(trees: Sequence[FileTree]) -> dict[str, tuple[str, str]]:
    """Licence and author of each clip."""
    credits: dict[str, tuple[str, str]] = {}
    for path, _ in match_paths(trees, r"(?:dev|eval)_clips_info_FSD50K\.json"):
        try:
            for number, clip in json.loads(path.read_text("utf-8")).items():
                credits[number] = str(clip.get("license", "")), str(clip.get("uploader", ""))
        except (ValueError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: cannot be read ({error}); is it the publisher's own file?") from error
    return credits
