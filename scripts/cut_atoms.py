"""Cut the shipped atoms from ESC-10: short events of its CC0 clips, for the grains of a sound's dream.

    python scripts/cut_atoms.py ../shared/data/esc10.tar [models/atoms]

Only clips that the set's README marks CC0, of folds 1 to 4; at most half of a class's recordings in those
folds, because judges need the rest; up to twelve atoms of a class, from as many recordings as there are, the
clearest first. Writes KIND/CLIP-N.ogg, credits.tsv and README.md. Made again, the samples are the same, but
not the files: an Ogg stream has a random number.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from itertools import zip_longest
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
from esc10 import find_origin, list_classes, list_members, read_clip

from mmdream.audio.grains.atoms import (
    Atom,
    cut_atoms,
    find_events,
    make_atom,
    measure_pitch,
    remove_noise,
)
from mmdream.media.credits import CREDITS_FILE

ATOMS_PER_CLASS, ATOMS_PER_RECORDING = 12, 3
FOLDS = range(1, 5)
SAME = 0.9
"""Correlation of two atoms that are one event."""
QUALITY = 0.5
"""libsndfile's compression level of Vorbis, 0 the best."""
CREDIT = re.compile(
    r"- \[(?P<clip>\S+)\.ogg\]:\s+clip derived from (?P<title>.*?) \((?P<address>http\S+?)\) "
    r"by (?P<author>.*?) \[(?P<licence>[^]]+)\]"
)
CARD = """# atoms

Short events for the grains of a sound's dream (`--grain-set shipped`): {count} of {kinds} kinds, {kilobytes}
kB, cut by `python scripts/cut_atoms.py esc10.tar` out of ESC-10 (K. J. Piczak, *ESC: Dataset for
Environmental Sound Classification*, ACM Multimedia 2015), freed of what lies under them, and faded.

**Every clip is CC0**: whoever dreams with them owes nobody a credit. All the same we thank their authors, who
are named with title, address and licence in `credits.tsv`, an atom a line. Clips under CC BY or CC Sampling+
are left out, and so is fold 5; of a class at most half of the recordings in folds 1 to 4 are used, so that a
judge can be trained on others. The recordings, by their number at freesound.org:

| kind | atoms | seconds | recordings used | recordings in folds 1 to 4 |
|---|---|---|---|---|
{rows}
"""


@dataclass(frozen=True)
class Credit:
    """A line of the table of credits."""

    file: str
    kind: str
    clip: str
    recording: str
    title: str
    author: str
    address: str
    licence: str
    pitch: str
    pitch_confidence: str
    seconds: str


def read_credits(tar: Path) -> dict[str, re.Match[str]]:
    """What the set's README says of each clip, by its name without suffix."""
    with tarfile.open(tar) as archive:
        file = archive.extractfile("README.txt")
        assert file is not None
        text = file.read().decode("utf-8", "replace")
    return {found["clip"]: found for found in CREDIT.finditer(text)}


def list_recordings(tar: Path, label: int) -> dict[str, list[str]]:
    """Names in the archive of a class's clips in folds 1 to 4, by recording."""
    found: dict[str, list[str]] = {}
    for fold in FOLDS:
        for member in list_members(tar, label, fold):
            found.setdefault(find_origin(member), []).append(member)
    return found


def choose_recordings(tar: Path, recordings: dict[str, list[str]], free: set[str]) -> dict[str, list[str]]:
    """The CC0 ones with the clearest events, at most half of all."""
    clear = {}
    for number, members in recordings.items():
        members = [member for member in members if Path(member).stem in free]
        if members:
            clear[number] = max(map(lambda member: _clarity(tar, member), members)), members
    best = sorted(clear, key=lambda number: (-clear[number][0], number))[: len(recordings) // 2]
    return {number: clear[number][1] for number in best}


def _clarity(tar: Path, member: str) -> float:
    sound = read_clip(tar, member)
    events = find_events(remove_noise(sound.samples[0], sound.rate), sound.rate)
    return events[0].prominence if events else 0.0


def cut_class(tar: Path, kind: str, chosen: dict[str, list[str]]) -> Iterator[tuple[str, Atom]]:
    """Clip and atom, a recording after the other in turn."""
    found = []
    for members in chosen.values():
        atoms = []
        for member in members:
            sound = read_clip(tar, member)
            cut = cut_atoms(sound.samples[0], sound.rate, ATOMS_PER_RECORDING, kind, Path(member).stem)
            atoms += [(Path(member).stem, atom) for atom in cut]
        found.append(_drop_repeats(atoms))
    in_turn = [each for row in zip_longest(*found) for each in row if each is not None]
    yield from in_turn[:ATOMS_PER_CLASS]


def _drop_repeats(atoms: list[tuple[str, Atom]]) -> list[tuple[str, Atom]]:
    """Without those that another one resembles: clips shorter than 5 s were filled up by repeating them."""
    kept: list[tuple[str, Atom]] = []
    for clip, atom in atoms:
        if all(_correlate(atom.samples, other.samples) < SAME for _, other in kept):
            kept.append((clip, atom))
    return kept


def _correlate(one: np.ndarray, other: np.ndarray) -> float:
    product = scipy.signal.correlate(one, other)
    return float(np.abs(product).max() / (np.linalg.norm(one) * np.linalg.norm(other)))


def write_class(
    folder: Path, atoms: Iterable[tuple[str, Atom]], about: dict[str, re.Match[str]]
) -> list[Credit]:
    """Write the atoms of a class; a line of credits for each, of what was read back."""
    rows = []
    for number, (clip, atom) in enumerate(atoms):
        path = folder / atom.kind / f"{clip}-{number:02d}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Vorbis clips what is over full scale.
        loudest = abs(atom.samples).max()
        soundfile.write(
            path,
            atom.samples * (0.7 / loudest),
            atom.rate,
            format="OGG",
            subtype="VORBIS",
            compression_level=QUALITY,
        )
        read, rate = soundfile.read(path, dtype="float32")
        (pitch, confidence), credit = measure_pitch(make_atom(read, rate)), about[clip]
        rows.append(
            Credit(
                path.relative_to(folder).as_posix(), atom.kind, clip, clip.split("-")[1], credit["title"],
                credit["author"], credit["address"], credit["licence"], f"{pitch:.0f}",
                f"{confidence:.2f}", f"{len(read) / rate:.2f}",
            )
        )  # fmt: skip
    return rows


def main() -> None:
    """Cut all classes, and write the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tar", type=Path, help="esc10.tar")
    home = Path(__file__).parents[1] / "models" / "atoms"
    parser.add_argument("out", type=Path, nargs="?", default=home)
    args = parser.parse_args()
    about = read_credits(args.tar)
    free = {clip for clip, credit in about.items() if credit["licence"] == "CC0"}
    shutil.rmtree(args.out, ignore_errors=True)
    credits_, table = [], []
    for label, kind in enumerate(list_classes(args.tar)):
        recordings = list_recordings(args.tar, label)
        chosen = choose_recordings(args.tar, recordings, free)
        rows = write_class(args.out, cut_class(args.tar, kind, chosen), about)
        credits_ += rows
        used = sorted({row.recording for row in rows}, key=int)
        seconds = sum(float(row.seconds) for row in rows)
        table.append(f"| {kind} | {len(rows)} | {seconds:.1f} | {', '.join(used)} | {len(recordings)} |")
        print(table[-1], flush=True)
    with (args.out / CREDITS_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(field.name for field in fields(Credit))
        writer.writerows(astuple(row) for row in credits_)
    size = sum(path.stat().st_size for path in args.out.glob("*/*.ogg"))
    text = CARD.format(
        count=len(credits_), kinds=len(table), kilobytes=round(size / 1000), rows="\n".join(table)
    )
    (args.out / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
