"""Measure what windows of pictures usually show of dreamnet's motifs, and write it into its card.

    python scripts/measure_hints.py --data DATA [--pictures 400]
    python scripts/measure_hints.py --data DATA --dreams 36

With --motif only those are measured, and the others' rows stay; a row's `automatic` stays in any case.

DATA is the folder with imagenet_samples.tar. The table [hints] of models/dreamnet.toml, if there is one, is
replaced; for other weights, it is to be measured anew. A class's channels are those of the deepest rung that
speak most for it in the head, by their usual height, but for those that the rung goes away from. With
--dreams so many pictures are dreamed, each with its own seed, and what dreams show of each motif is added.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mmdream import Recipe, dream_image
from mmdream.image.hints import (
    WINDOW_SHARES,
    cut_windows,
    hinted_terms,
    measure_departures,
    measure_window_scores,
)
from mmdream.image.octaves import resize
from mmdream.networks.card import MODELS_FOLDER, Hint
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, load_network, variables_by_name
from mmdream.networks.registry import find_motif, load_card
from mmdream.render.couplings.shown import WINDOW_STEP, mean_of_clearest
from mmdream.settings.targets import parse_channel

MIN_CHANNEL_SHARE = 0.35
"""Of the strongest channel's word for a class, from which on another one is among its channels."""
MAX_CHANNELS = 12
"""Of a class."""
COMMENT = "[hints] # usual score of each motif in windows of pictures, spread, a class's channels; in dreams"
DREAM_SIZE = 180, 320
"""Height and width of what is dreamed for --dreams."""


def main() -> None:
    """Measure, and write the card."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--pictures", type=int, default=400)
    options.add_argument("--dreams", type=int, help="add what so many dreams show; measure nothing else")
    options.add_argument("--motif", nargs="+", help="measure these, and keep the others' rows")
    chosen = options.parse_args()
    card = load_card("dreamnet")
    asked = chosen.motif or list(card.motifs)
    if chosen.dreams:
        add_dreamed(chosen.data, chosen.dreams, asked)
        return
    classes = replace(card, motifs={name: card.motifs[name] for name in asked})
    channels = name_class_channels(load_network(classes), chosen.data, chosen.pictures)
    blank = {name: Hint(0.0, 1.0, channels.get(name, "")) for name in asked}
    network = load_network(replace(card, hints=blank))
    scores = np.concatenate(
        [
            measure_window_scores(network, cut_windows(picture, share)[0])
            for picture in read_pictures(chosen.data, chosen.pictures)
            for share in WINDOW_SHARES
        ]
    )
    measured = {}
    for name, usual, spread in zip(blank, scores.mean(axis=0), scores.std(axis=0), strict=True):
        known = card.hints.get(name)
        measured[name] = Hint(
            float(f"{usual:.4g}"),
            float(f"{spread:.4g}"),
            channels.get(name, ""),
            automatic=known is None or known.automatic,
        )
    write_hints({name: measured.get(name) or card.hints[name] for name in card.motifs})
    print(f"{len(scores)} windows")


def add_dreamed(data: Path, count: int, asked: Collection[str]) -> None:
    """Write what dreams mostly show of motifs, where each is clearest, into the card's table."""
    network, rows = load_network(load_card("dreamnet")), []
    for seed, picture in enumerate(read_pictures(data, count)):
        scale = max(side / length for side, length in zip(DREAM_SIZE, picture.shape, strict=False))
        larger = resize(picture, tuple(round(scale * length) for length in picture.shape[:2]))
        top, left = ((length - side) // 2 for length, side in zip(larger.shape, DREAM_SIZE, strict=False))
        view = larger[top : top + DREAM_SIZE[0], left : left + DREAM_SIZE[1]].clip(0, 1)
        rows.append(
            mean_of_clearest(
                measure_departures(
                    network, dream_image(np.ascontiguousarray(view), Recipe(seed=seed)), WINDOW_STEP
                )
            )
        )
    dreamed = dict(zip(hinted_terms(network.card), np.median(rows, axis=0).tolist(), strict=True))
    hints = network.card.hints.items()
    write_hints(
        {
            name: replace(hint, dreamed=round(dreamed[name], 2))
            if name in asked and name in dreamed
            else hint
            for name, hint in hints
        }
    )


def read_pictures(data: Path, count: int) -> Iterator[np.ndarray]:
    """Some of the ImageNet samples, evenly chosen, float32 [H, W, 3], 0..1."""
    with tarfile.open(data / "imagenet_samples.tar") as tar:
        members = [member for member in tar if member.name.endswith(".webp")]
        for place in np.linspace(0, len(members) - 1, count).round().astype(int):
            file = tar.extractfile(members[place])
            assert file is not None
            yield np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"), np.float32) / 255


def name_class_channels(network: Network, data: Path, count: int) -> dict[str, str]:
    """The channels of the deepest rung that speak for each motif that is a class."""
    card, rung = network.card, network.card.rungs[-1]
    heights = np.sqrt(mean_squares(network, rung.layer, data, count))
    # The head takes this rung's means first.
    kernel = variables_by_name(network.model)[f"{card.head}_kernel"].numpy()[: len(heights)]
    word = (kernel - kernel.mean(axis=1, keepdims=True)) * heights[:, None]
    for numbers in rung.away:
        word[list(parse_channel(f"{rung.layer}:{numbers}").channels)] = 0.0
    found = {}
    for name in card.motifs:
        term = find_motif(card, name)
        if term.kind == "target":
            own = word[:, card.class_index(term.name)]
            best = [k for k in np.argsort(-own)[:MAX_CHANNELS] if own[k] >= MIN_CHANNEL_SHARE * own.max()]
            found[name] = f"{rung.layer}:{','.join(map(str, best))}"
    return found


def mean_squares(network: Network, layer: str, data: Path, count: int) -> np.ndarray:
    """Mean square of each channel of a layer over pictures, float64 [channel]."""
    features = network.layer_features((layer,))
    look = tf.function(lambda image: features(image)[0], input_signature=[tf.TensorSpec([1, None, None, 3])])
    pictures = read_pictures(data, count)
    squares = [np.square(look(picture[None]).numpy()).mean(axis=(0, 1, 2)) for picture in pictures]
    return np.mean(squares, axis=0)


def write_hints(hints: Mapping[str, Hint]) -> None:
    """Put the table of hints in front of the weights of dreamnet's card, in place of the one there."""
    path, lines = MODELS_FOLDER / "dreamnet.toml", [COMMENT]
    for name, hint in hints.items():
        row = f"usual = {hint.usual:.4g}, spread = {hint.spread:.4g}"
        row += f', channels = "{hint.channels}"' if hint.channels else ""
        row += "" if hint.dreamed is None else f", dreamed = {hint.dreamed:.2f}"
        row += "" if hint.automatic else ", automatic = false"
        lines.append(f"{name} = {{ {row} }}")
    before, weights, after = path.read_text().partition("[weights]\n")
    before = before.partition("[hints]")[0].rstrip("\n")
    path.write_text("\n".join([before, "", *lines, "", weights + after]))


if __name__ == "__main__":
    main()
