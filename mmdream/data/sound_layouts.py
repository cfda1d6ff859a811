"""How the publishers of sounds lay out their files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmdream.data.tree import SOUNDS, Item, Tree, by_name, lines, matching, only, table
from mmdream.errors import UserError

FREESOUND = "https://freesound.org/s/{}/"
"""Where a recording of Freesound's is, by its number."""

ENDING = rf"(?:{'|'.join(re.escape(ending) for ending in SOUNDS)})"


def esc(trees: Sequence[Tree]) -> Iterator[Item]:
    """ESC-50 with its table, or ESC-10 in folders such as ``001 - Dog bark``.

    A clip's name begins with its fold and the number of the recording at Freesound.
    """
    credits = _esc_credits(trees)
    tables = [path for path, _ in matching(trees, r"meta/esc50\.csv")]
    sounds = by_name(trees, SOUNDS)
    for path in tables:
        for row in table(path, ("filename", "category")):
            if row["filename"] in sounds:
                yield from _esc_clip(sounds[row["filename"]], row["category"], credits)
    if not tables:
        for path, match in matching(trees, rf"(\d{{3}} - [^/]+)/[^/]*{ENDING}"):
            yield from _esc_clip(path, match[1], credits)


_ESC_NAME = re.compile(r"((\d)-(\d+)-[A-Z])(?:-\d+)?")
"""Fold, recording and take; in ESC-50 the number of the class follows."""


def _esc_clip(path: Path, label: str, credits: dict[str, tuple[str, str]]) -> Iterator[Item]:
    """A clip, unless its name is none of the publisher's."""
    if match := _ESC_NAME.fullmatch(path.stem):
        clip, fold, number = match.groups()
        licence, author = credits.get(clip, ("", ""))
        source = f"{FREESOUND.format(number)}{f' by {author}' if author else ''}"
        yield Item(path, label, fold, f"freesound {number}", licence, source)


def _esc_credits(trees: Sequence[Tree]) -> dict[str, tuple[str, str]]:
    """Licence and author of each clip, by its name without ending, out of the publisher's text."""
    wanted = re.compile(r"- \[(\d-\d+-[A-Z])\.\w+\]:.* by (.*) \[([^\]]+)\]")
    return {
        match[1]: (match[3], match[2])
        for path, _ in matching(trees, r"(?:LICENSE|README\.txt)")
        for line in path.read_text("utf-8", "replace").splitlines()
        if (match := wanted.match(line))
    }


def urbansound8k(trees: Sequence[Tree]) -> Iterator[Item]:
    """``audio/foldN/*.wav`` and a table; folds keep the slices of a recording together."""
    found = only(trees, r"metadata/UrbanSound8K\.csv", "metadata/UrbanSound8K.csv")
    sounds = {f"{match[1]}/{path.name}": path for path, match in matching(trees, rf"fold(\d+)/[^/]*{ENDING}")}
    for row in table(found, ("slice_file_name", "fsID", "fold", "class")):
        if path := sounds.get(f"{row['fold']}/{row['slice_file_name']}"):
            source = FREESOUND.format(row["fsID"])
            yield Item(path, row["class"], fold=row["fold"], group=f"freesound {row['fsID']}", source=source)


def fsdkaggle2018(trees: Sequence[Tree]) -> Iterator[Item]:
    """Two folders of sounds and two tables."""
    sounds = by_name(trees, SOUNDS)
    tables = {"train": r"train_post_competition\.csv", "test": r"test_post_competition_scoring_clips\.csv"}
    found = [(fold, path) for fold, wanted in tables.items() for path, _ in matching(trees, wanted)]
    if not found:
        only(trees, tables["train"], "FSDKaggle2018.meta/train_post_competition.csv")
    for fold, path in found:
        for row in table(path, ("fname", "label")):
            if row["fname"] in sounds:
                number = row.get("freesound_id") or row.get("fsID") or ""
                yield Item(
                    sounds[row["fname"]],
                    row["label"],
                    fold=fold,
                    group=f"freesound {number}" if number else "",
                    licence=row.get("license", ""),
                    source=FREESOUND.format(number) if number else "",
                )


def fma(trees: Sequence[Tree]) -> Iterator[Item]:
    """``000/000002.mp3`` by number, and a table under two lines of headings.

    The publisher's parts keep each artist in one of them.
    """
    sounds = by_name(trees, SOUNDS)
    path = only(trees, r"tracks\.csv", "fma_metadata/tracks.csv")
    rows = lines(path)
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
        if len(row) != len(names) or not row[0].isdecimal() or len(row[0]) > LONGEST_NUMBER:
            continue  # The third line names the first column.
        genre, licence, fold, artist, who = (row[place] for place in places)
        sound = sounds.get(f"{int(row[0]):06d}.mp3")
        if sound is not None:
            fold = {"training": "train"}.get(fold, fold)
            source = f"https://freemusicarchive.org, track {row[0]} by {who}"
            yield Item(sound, genre, fold, f"artist {artist}", licence, source)


LONGEST_NUMBER = 20
"""Digits of a track; Python refuses to read thousands of them."""
_FMA = (("track", "genre_top"), ("track", "license"), ("set", "split"), ("artist", "id"), ("artist", "name"))
"""The columns of FMA's table that are read, by the words in its two lines of headings."""


def bird_audio(trees: Sequence[Tree]) -> Iterator[Item]:
    """Tables of what has a bird, and sounds named by their items; which of the sets it is stands as fold."""
    sounds = by_name(trees, SOUNDS)
    names = r"(?:ff1010bird|warblrb10k|BirdVox)[^/]*\.csv"
    only(trees, names, "table such as ff1010bird_metadata_2018.csv")
    for path, _ in matching(trees, names):
        for row in table(path, ("itemid", "hasbird")):
            sound = sounds.get(f"{row['itemid']}.wav")
            if sound is not None:
                home = row.get("datasetid") or re.split(r"[_.]", path.name)[0]
                yield Item(sound, row["hasbird"], fold=home, source=f"{home} {row['itemid']}")


def librispeech(trees: Sequence[Tree]) -> Iterator[Item]:
    """``SPEAKER/CHAPTER/*.flac`` and a table of speakers between upright strokes."""
    path = only(trees, r"SPEAKERS\.TXT", "SPEAKERS.TXT")
    people = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        cells = [cell.strip() for cell in line.split("|", 4)]
        if not line.startswith(";") and len(cells) == 5:
            people[cells[0]] = (cells[1], cells[4])
    for sound, match in matching(trees, rf"(\d+)/\d+/\d+-\d+-\d+{ENDING}"):
        if match[1] in people:
            sex, name = people[match[1]]
            yield Item(sound, sex, group=f"speaker {match[1]}", source=f"LibriVox, read by {name}")


def speech_commands(trees: Sequence[Tree]) -> Iterator[Item]:
    """``WORD/SPEAKER_nohash_N.wav``; two lists name the files of validation and test."""
    parts = {
        line.strip(): part
        for part, wanted in (("validation", r"validation_list\.txt"), ("test", r"testing_list\.txt"))
        for path, _ in matching(trees, wanted)
        for line in path.read_text("utf-8", "replace").splitlines()
    }
    for sound, match in matching(trees, rf"([a-z]+)/([0-9a-f]+)_nohash_\d+{ENDING}"):
        fold = parts.get(f"{match[1]}/{sound.name}", "train" if parts else "")
        yield Item(sound, match[1].lower(), fold=fold, group=f"speaker {match[2]}")


def nsynth(trees: Sequence[Tree]) -> Iterator[Item]:
    """``nsynth-PART/audio/FAMILY_KIND_NUMBER-PITCH-VELOCITY.wav``."""
    name = rf"((\w+)_(?:acoustic|electronic|synthetic)_\d+)-\d+-\d+{ENDING}"
    for sound, match in matching(trees, rf"(?:nsynth-(train|valid|test)/)?audio/{name}"):
        fold = {"valid": "validation"}.get(match[1], match[1] or "")
        yield Item(sound, match[3], fold=fold, group=match[2])
