"""Make the table of words that prompts are read by, ``models/words/words.npz``.

    python scripts/make_words.py ENCODER SCOWL WORDNET [-o models/words/words.npz] [--steps 1500]

ENCODER is the folder of a sentence encoder that sentence-transformers loads (shipped: all-MiniLM-L6-v2, of
384 numbers), SCOWL holds the word lists of that name (english-words.10 and on), WORDNET the files of
WordNet's dictionary (data.noun and so on).

The words are those that are usual, without plurals and without most verb forms, and all words of the cards'
classes. Their vectors begin as the main components of what the encoder makes of each word, and are then
fitted as a reverse dictionary (Hill et al. 2016): the weighted sum of a definition's words is to point where
the words that it defines do, among hundreds of other definitions, and words keep the neighbours that the
encoder gives them; so a paraphrase finds its word.

It needs sentence-transformers (which brings torch), and takes some five minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmdream.networks.card import MODELS_FOLDER
from mmdream.prompts.words import TABLE, split_words, uninflect

WORDS, DIMENSION = 30_000, 40
LEVELS, VERB_LEVELS, NOUN_LEVEL = (10, 20, 35, 40, 50), (10, 20), 50
"""SCOWL's sizes, from the most usual; those whose verb forms ("flying") are words of their own; that of which
only nouns are taken."""
OTHER_DEFINITIONS = 8000
"""Of adjectives and verbs, besides those of all nouns."""
HELD = 2000
"""Definitions that are kept from the fit."""
BATCH, RATES = 768, (3e-3, 1e-2, 1e-3)
"""Learning rates of vectors, of weights and of the temperature."""
TEACHER_SHARPNESS, TEACHER_SHARE = 20.0, 0.5
NEIGHBOUR_WEIGHT, UNRELATED = 55.0, 0.25
"""Of the loss by which words keep the encoder's neighbours, and the likeness under which they are none."""


@dataclass(frozen=True)
class Definition:
    """Words that mean the same, and what."""

    names: tuple[str, ...]
    text: str
    is_noun: bool


def read_words(scowl: Path, size: int) -> list[str]:
    """The plain words of one of SCOWL's sizes, sorted."""
    files = [scowl / f"{kind}-words.{size}" for kind in ("english", "american")]
    lines = [word for file in files for word in file.read_text("latin-1").split()]
    return sorted({word for word in lines if re.fullmatch(r"[a-z]{2,}", word)})


def choose_words(scowl: Path, nouns: set[str]) -> list[str]:
    """The words of the table, the most usual first, and before them those that cards name."""
    levels = {size: read_words(scowl, size) for size in LEVELS}
    known = {word for words in levels.values() for word in words}
    chosen = dict.fromkeys(read_card_words())
    for size, words in levels.items():
        for word in words:
            stems = [stem for stem in uninflect(word) if stem in known]
            is_verb_form = word.endswith(("ing", "ed"))
            is_form = bool(stems) and not (is_verb_form and size in VERB_LEVELS)
            if not is_form and (size < NOUN_LEVEL or word in nouns):
                chosen[word] = None
    return list(chosen)[:WORDS]


def read_card_words() -> list[str]:
    """All words of the classes and the motifs of the cards that mmdream brings."""
    found = []
    for file in sorted(MODELS_FOLDER.glob("*.toml")):
        card = tomllib.loads(file.read_text(encoding="utf-8"))
        found += [*card.get("classes", ()), *card.get("motifs", ())]
    for file in sorted(MODELS_FOLDER.glob("*_classes.tsv")):
        found += [line.split("\t", 1)[1] for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted({word for name in found for word in split_words(name) if len(word) > 1 and word.isascii()})


def read_definitions(wordnet: Path) -> list[Definition]:
    """WordNet's definitions of nouns, adjectives and verbs, without their examples."""
    found = []
    for kind in ("noun", "verb", "adj"):
        for line in (wordnet / f"data.{kind}").read_text(encoding="utf-8").splitlines():
            left, bar, gloss = line.partition(" | ")
            if not bar or line.startswith("  "):
                continue
            parts = left.split()
            names = [re.sub(r"\(.*\)", "", parts[4 + 2 * k]).lower() for k in range(int(parts[3], 16))]
            text = re.sub(r'"[^"]*"', "", gloss).split(";")[0].strip()
            found.append(Definition(tuple(name.replace("_", " ") for name in names), text, kind == "noun"))
    return found


class Fit:
    """The vectors and weights of words on their way."""

    def __init__(self, words: list[str], encoded: np.ndarray) -> None:
        """`encoded` is the encoder's float32 [word, 384]; each of length 1."""
        import torch

        self._torch = torch
        self._places = {word: place for place, word in enumerate(words)}
        self._encoded = torch.from_numpy(encoded)
        centred = self._encoded - self._encoded.mean(0)
        main = centred @ torch.linalg.svd(centred, full_matrices=False)[2][:DIMENSION].T
        self.vectors = torch.nn.Parameter(main / main.norm(dim=1).mean())
        self.logits = torch.nn.Parameter(torch.full([len(words)], 0.54))
        self.temperature = torch.nn.Parameter(torch.tensor(2.7))

    def find_rows(self, text: str) -> list[int]:
        """The known words of a text."""
        forms = ((word, *uninflect(word)) for word in split_words(text))
        rows = (next((self._places[each] for each in own if each in self._places), None) for own in forms)
        return [row for row in rows if row is not None]

    def embed(self, bags: list[list[int]]) -> Any:
        """The weighted sums of some words' vectors, of length 1."""
        functional = self._torch.nn.functional
        flat = self._torch.tensor([row for bag in bags for row in bag])
        offsets = self._torch.tensor(np.cumsum([0, *map(len, bags[:-1])]))
        weights = functional.softplus(self.logits[flat])
        summed = functional.embedding_bag(flat, self.vectors, offsets, mode="sum", per_sample_weights=weights)
        return functional.normalize(summed, dim=1)

    def measure_loss(self, texts: Any, names: Any, teacher: Any, drawn: Any) -> Any:
        """How far definitions are from their words, both ways, and words from the encoder's neighbours."""
        torch, functional = self._torch, self._torch.nn.functional
        loss = 0.0
        likeness = torch.exp(self.temperature) * (texts @ names.T)
        for scores, taught in ((likeness, teacher), (likeness.T, teacher.T)):
            own = torch.eye(len(scores)) * (1 - TEACHER_SHARE)
            wanted = own + TEACHER_SHARE * torch.softmax(TEACHER_SHARPNESS * taught, 1)
            loss = loss - (wanted * torch.log_softmax(scores, 1)).sum(1).mean()
        vectors = functional.normalize(self.vectors[drawn], dim=1)
        encoded = self._encoded[drawn] @ self._encoded[drawn].T
        related = (encoded - UNRELATED).clamp(min=0) / (1 - UNRELATED)
        return loss + NEIGHBOUR_WEIGHT * torch.square(vectors @ vectors.T - related).mean()

    def pack(self) -> dict[str, np.ndarray]:
        """The table's arrays, see `mmdream.prompts.words.load_words`."""
        vectors = self.vectors.detach().numpy()
        lengths = np.linalg.norm(vectors, axis=1)
        said = lengths * self._torch.nn.functional.softplus(self.logits).detach().numpy()
        unit = vectors / lengths[:, None]
        scale = np.float32(np.abs(unit).max() / 127)
        weights = np.clip(np.rint(255 * said / np.quantile(said, 0.999)), 1, 255)
        return {
            "words": np.frombuffer("\n".join(self._places).encode("ascii"), np.uint8),
            "vectors": np.rint(unit / scale).astype(np.int8),
            "scale": scale,
            "weights": weights.astype(np.uint8),
        }


def fit_words(words: list[str], definitions: list[Definition], encoder: Any, steps: int) -> Fit:
    """Fit vectors and weights; prints how often a definition that was held back finds its word."""
    import torch

    def encode(texts: list[str]) -> np.ndarray:
        made: np.ndarray = encoder.encode(texts, batch_size=256, normalize_embeddings=True)
        return made.astype(np.float32)

    torch.manual_seed(0)
    rng, fit = np.random.default_rng(0), Fit(words, encode(words))
    named = [(fit.find_rows(" ".join(each.names[:3])), fit.find_rows(each.names[0])) for each in definitions]
    told = [fit.find_rows(each.text) for each in definitions]
    print(f"{len(words)} words, {len(definitions)} definitions: encoding", flush=True)
    taught = torch.from_numpy(encode([each.text for each in definitions]))
    names = torch.from_numpy(encode([", ".join(each.names[:3]) for each in definitions]))
    order = rng.permutation([at for at, rows in enumerate(told) if rows and all(named[at])])
    held, learned = order[:HELD], order[HELD:]
    groups = zip((fit.vectors, fit.logits, fit.temperature), RATES, strict=True)
    optimizer = torch.optim.Adam([{"params": [each], "lr": rate} for each, rate in groups])
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, RATES, strict=True):
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-5
        batch, form = rng.choice(learned, BATCH, replace=False), int(rng.integers(2))
        drawn = torch.from_numpy(rng.choice(len(words), BATCH, replace=False))
        texts, called = fit.embed([told[at] for at in batch]), fit.embed([named[at][form] for at in batch])
        loss = fit.measure_loss(texts, called, taught[batch] @ names[batch].T, drawn)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 250 == 0:
            with torch.no_grad():
                scores = fit.embed([told[at] for at in held]) @ fit.embed([named[at][1] for at in held]).T
            ranks = (scores > scores.diag()[:, None]).sum(1)
            shares = ", ".join(f"{float((ranks < k).float().mean()):.3f} in {k}" for k in (1, 10, 50))
            print(f"step {step + 1}: loss {float(loss):.3f}; of {HELD}: {shares}", flush=True)
    return fit


def main() -> None:
    """See the module."""
    from sentence_transformers import SentenceTransformer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("encoder", "scowl", "wordnet"):
        parser.add_argument(name, type=Path)
    parser.add_argument("-o", "--output", type=Path, default=TABLE)
    parser.add_argument("--steps", type=int, default=1500)
    asked = parser.parse_args()
    definitions = read_definitions(asked.wordnet)
    nouns = {name for each in definitions if each.is_noun for name in each.names}
    words = choose_words(asked.scowl, nouns)
    known = set(words)
    fitting = [each for each in definitions if any(known.issuperset(name.split()) for name in each.names)]
    others = [each for each in fitting if not each.is_noun]
    kept = np.random.default_rng(0).permutation(len(others))[:OTHER_DEFINITIONS]
    definitions = [each for each in fitting if each.is_noun] + [others[place] for place in kept]
    encoder = SentenceTransformer(str(asked.encoder), device="cpu")
    fit = fit_words(words, definitions, encoder, asked.steps)
    asked.output.parent.mkdir(exist_ok=True)
    np.savez_compressed(asked.output, **fit.pack())  # type: ignore[arg-type]  # its stub
    print(f"{asked.output}: {asked.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
