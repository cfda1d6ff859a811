"""Make what prompts know of kinds of things: ``models/words/kinds.npz`` and ``models/words/classes.tsv``.

    python scripts/make_kinds.py WORDNET

WORDNET is the folder of WordNet's dictionary (data.noun, index.noun, cntlist.rev). Of each word of the table
that is a noun more often than anything else, its most usual meaning is kept, and what that is a kind of, up
to the most general ("collie", "sheepdog", "dog"); of each class that is called by a WordNet id, the words for
what it is a kind of, and its definition.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from mmdream.networks.card import MODELS_FOLDER
from mmdream.prompts.words import CLASSES, KINDS, NO_KIND, load_words, uninflect

NOUN, VERB = "1", "2"
"""Parts of speech, as the keys of senses tell them."""
GENERAL = {"artifact", "artefact", "being", "conveyance", "entity", "matter", "object", "organism", "part"}
GENERAL |= {"region", "unit", "whole"}
"""Kinds of all and nothing."""


def read_synsets(wordnet: Path) -> dict[int, tuple[list[str], int | None, str]]:
    """By the offset of a noun's meaning: its words, that of what it is a kind of, and its definition."""
    found = {}
    for line in (wordnet / "data.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        left, _, gloss = line.partition(" | ")
        parts = left.split()
        count = int(parts[3], 16)
        words = [parts[4 + 2 * k].lower().replace("_", " ") for k in range(count)]
        links = parts[5 + 2 * count :]
        above = [int(links[k + 1]) for k in range(0, len(links) - 3, 4) if links[k] in ("@", "@i")]
        found[int(parts[0])] = words, above[0] if above else None, gloss.split('; "')[0].strip()
    return found


def count_uses(wordnet: Path) -> Counter[tuple[str, str]]:
    """How often each word is met as each part of speech, in the texts that were marked by hand."""
    uses: Counter[tuple[str, str]] = Counter()
    for line in (wordnet / "cntlist.rev").read_text(encoding="utf-8").splitlines():
        key, _, count = line.split()
        word, _, rest = key.partition("%")
        uses[word, rest[0]] += int(count)
    return uses


def read_first_senses(wordnet: Path) -> dict[str, int]:
    """The offset of each noun's most usual meaning."""
    found = {}
    for line in (wordnet / "index.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):
            parts = line.split()
            found[parts[0]] = int(parts[-int(parts[2])])
    return found


def is_noun(word: str, uses: Counter[tuple[str, str]]) -> bool:
    """Whether a word that may be a noun is mostly one; "melting" is not."""
    as_noun = uses[word, NOUN]
    others = sum(uses[word, part] for part in "2345")
    if word.endswith(("ing", "ed")):
        others += sum(uses[stem, VERB] for stem in uninflect(word))
    return as_noun >= others


def find_chain(synsets: dict[int, tuple[list[str], int | None, str]], offset: int) -> list[int]:
    """A meaning, and all that it is a kind of."""
    chain, at = [], offset if offset in synsets else None
    while at is not None:
        chain.append(at)
        at = synsets[at][1]
    return chain


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wordnet", type=Path)
    wordnet = parser.parse_args().wordnet
    synsets, senses, uses = read_synsets(wordnet), read_first_senses(wordnet), count_uses(wordnet)
    places: dict[int, int] = {}
    words = load_words().places
    meanings = np.full(len(words), NO_KIND, np.uint16)
    for word, row in words.items():
        if word in senses and is_noun(word, uses):
            chain = find_chain(synsets, senses[word])
            for offset in chain:
                places.setdefault(offset, len(places))
            meanings[row] = places[chain[0]]
    above = [synsets[offset][1] for offset in places]
    parents = np.array([NO_KIND if each is None else places[each] for each in above], np.uint16)
    np.savez_compressed(KINDS, meanings=meanings, parents=parents)

    rows = {}
    for file in sorted(MODELS_FOLDER.glob("*_classes.tsv")):
        for line in file.read_text(encoding="utf-8").splitlines():
            wnid = line.split("\t")[0]
            chain = find_chain(synsets, int(wnid[1:]))[1:]
            kinds = [word for offset in chain for word in synsets[offset][0] if word in words]
            gloss = synsets[int(wnid[1:])][2] if int(wnid[1:]) in synsets else ""
            telling = (word for word in dict.fromkeys(kinds) if word not in GENERAL)
            rows[wnid] = f"{wnid}\t{', '.join(telling)}\t{gloss}\n"
    CLASSES.write_text("".join(rows[wnid] for wnid in sorted(rows)), encoding="utf-8")
    print(f"{np.count_nonzero(meanings != NO_KIND)} nouns, {len(parents)} meanings, {len(rows)} classes")
    print(f"{KINDS.stat().st_size:,} and {CLASSES.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
