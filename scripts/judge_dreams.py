"""How often other networks see in a class dream the class that was dreamed.

    python scripts/judge_dreams.py [--net dreamnet] [--weights NET=FILE ...] [--judges squeezenet googlenet]
                                   [--trained judge.npz] [--seeds 4] [--every 5] [--sheet dreams.png]

Every fifth of Tiny ImageNet's 200 classes is dreamed from noise, into photographs and into film frames,
`--seeds` times each. Each judge ranks the 200 classes; told is how often the dreamed one comes first, and
how often among its first five, beside the same for real validation pictures (64 px, enlarged): the ceiling.
A network never judges itself. Dreams into pictures are held at a mean |dream - source| of 0.12. One more
judge, of another kind, is that of train_judge.py.
"""

from __future__ import annotations

import argparse
import json
import os
import tarfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import train_judge
from training_pictures import JUDGED_FRAMES

from mmdream.image import octaves
from mmdream.image.gradient import build_gradient
from mmdream.image.objective import step_size
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, choose_precision, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.recipe import AscentOptions
from mmdream.settings.targets import Objective, Term

SIDE = 224
"""px of a dream."""
MAX_STRENGTH = 0.12
"""Mean |dream - source| that a dream into a picture may have."""
Judge = Callable[[np.ndarray], np.ndarray]
"""Pictures float32 [n, SIDE, SIDE, 3], 0..1 -> logits [n, 200], in the order of wnids.txt."""
BATCH = 32
"""Pictures that a judge looks at together."""
OCTAVES, RATIO, STEPS = 3, 1.5, 24
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Dream, judge, and print one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    data = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
    options.add_argument("--data", type=Path, default=data)
    options.add_argument("--net", default="dreamnet")
    options.add_argument("--weights", nargs="*", default=[], metavar="NET=FILE")
    options.add_argument("--judges", nargs="+", default=["squeezenet", "googlenet"])
    options.add_argument("--trained", type=Path, metavar="FILE", help="weights of train_judge.py")
    options.add_argument("--seeds", type=int, default=4)
    options.add_argument("--every", type=int, default=5)
    options.add_argument("--kinds", nargs="+", default=["noise", "photographs", "film"])
    options.add_argument("--sheet", type=Path, help="a picture of the first seed's dreams from noise")
    chosen = options.parse_args()
    given = dict(pair.split("=", 1) for pair in chosen.weights)
    wnids = (chosen.data / "wnids.txt").read_text().split()
    others = {
        name: load_network(load_card(name), given.get(name)) for name in chosen.judges if name != chosen.net
    }
    judges = {name: card_judge(judge, wnids) for name, judge in others.items()}
    if chosen.trained is not None:
        judges["trained"] = trained_judge(chosen.trained)
    about = load_card(chosen.net)
    network = load_network(about, given.get(chosen.net), choose_precision("auto", about))
    figures: dict[str, object] = {
        "real pictures": hit_rates(judges, *read_validation_pictures(chosen.data, wnids))
    }
    for kind in chosen.kinds:
        began = time.perf_counter()
        sources = make_noise if kind == "noise" else cycle_pictures(read_pictures(chosen.data, kind))
        dreams, wanted, strengths = [], [], []
        for place in range(0, len(wnids), chosen.every):
            for seed in range(chosen.seeds):
                source = sources(place, seed)
                dream = dream_class(network, wnids[place], source, seed, natural=kind == "noise")
                dreams.append(dream)
                wanted.append(place)
                strengths.append(float(np.abs(dream - source).mean()))
        seconds = (time.perf_counter() - began) / len(dreams)
        figures[kind] = hit_rates(judges, dreams, wanted) | {
            "dreams": len(dreams),
            "strength": round(float(np.mean(strengths)), 3),
            "seconds_each": round(seconds, 2),
        }
        print(kind, figures[kind], flush=True)
        if chosen.sheet is not None:
            write_sheet(chosen.sheet.with_stem(f"{chosen.sheet.stem}_{kind}"), dreams[:: chosen.seeds])
    print(json.dumps(figures, indent=1))


def dream_class(network: Network, wnid: str, source: np.ndarray, seed: int, natural: bool) -> np.ndarray:
    """One class dreamed on float32 [SIDE, SIDE, 3]."""
    objective = Objective((Term("target", wnid),), (1.0,))
    sizes = [(round(SIDE / RATIO**k),) * 2 for k in reversed(range(OCTAVES))]
    gain = octaves.dream_octaves(
        source,
        np.zeros_like(source),
        octaves.plan_full_passes(sizes, STEPS),
        build_gradient(network, objective),
        step_size(network.card, objective),
        seed=seed,
        time=Fraction(0),
        options=AscentOptions(natural=natural),
    )
    detail = octaves.make_detail_limiter(source, "full")(gain)
    if not natural:
        detail = detail * min(1.0, MAX_STRENGTH / float(np.abs(detail).mean()))
    return np.clip(source + detail, 0, 1).astype(np.float32)


def make_noise(place: int, seed: int) -> np.ndarray:
    """Noise of its own for each class and seed."""
    return make_noise_image(SIDE, SIDE, 1000 * seed + place)


def cycle_pictures(several: list[np.ndarray]):  # type: ignore[no-untyped-def]
    """Pictures by turns."""
    return lambda place, seed: several[(place + seed) % len(several)]


def read_pictures(data: Path, kind: str) -> list[np.ndarray]:
    """Squares out of the middle of photographs or of film frames, float32 [SIDE, SIDE, 3]."""
    if kind == "photographs":
        return [crop_square(image.read_image(path)) for path in sorted((data / "photos").glob("*.jpg"))]
    found = []
    for name in ("chaplin.mp4", "big_buck_bunny_0_30.webm", "sintel_854x480.mp4"):
        film = probe(data / "films" / name)
        every = [frame for number, frame in enumerate(read_frames(film)) if number in JUDGED_FRAMES]
        found += [crop_square(frame.rgb) for frame in every]
    return found


def crop_square(rgb: np.ndarray) -> np.ndarray:
    """The largest square in the middle, SIDE px."""
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    return cv2.resize(rgb[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def read_validation_pictures(data: Path, wnids: list[str]) -> tuple[list[np.ndarray], list[int]]:
    """Tiny ImageNet's validation pictures, enlarged, and their classes."""
    shown, places = [], []
    with tarfile.open(data / "tiny_imagenet_val.tar") as tar:
        for member in tar:
            if member.isfile() and member.name[:9] in wnids:
                coded = np.frombuffer(tar.extractfile(member).read(), np.uint8)  # type: ignore[union-attr]
                rgb = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
                shown.append(cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 1))
                places.append(wnids.index(member.name[:9]))
    return shown, places


def card_judge(network: Network, wnids: list[str]) -> Judge:
    """A network of the zoo as a judge."""
    head = network.class_logits()
    columns = [network.card.class_index(wnid) for wnid in wnids]
    return lambda shown: head(tf.constant(shown)).numpy()[:, columns]


def trained_judge(weights: Path) -> Judge:
    """The network of train_judge.py, which looks at pictures as small as it has learned from."""
    network = train_judge.build_judge(weights=weights)
    size = (train_judge.SIDE, train_judge.SIDE)

    def classify(shown: np.ndarray) -> np.ndarray:
        small = np.stack([cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in shown])
        return network(small - 0.5, training=False).numpy()

    return classify


def hit_rates(judges: dict[str, Judge], shown: list[np.ndarray], wanted: list[int]) -> dict[str, object]:
    """Per cent of pictures whose class each judge ranks first, and among the first five, of the 200."""
    figures: dict[str, object] = {}
    for name, judge in judges.items():
        several = [np.stack(shown[k : k + BATCH]) for k in range(0, len(shown), BATCH)]
        logits = np.concatenate([judge(some) for some in several])
        own = logits[np.arange(len(wanted)), wanted]
        ranks = (logits > own[:, None]).sum(axis=1)
        figures[name] = [round(100 * float(np.mean(ranks < best)), 1) for best in (1, 5)]
    return figures


def write_sheet(path: Path, dreams: list[np.ndarray]) -> None:
    """Ten dreams a row."""
    small = [cv2.resize(dream, (160, 160), interpolation=cv2.INTER_AREA) for dream in dreams]
    small += [np.ones_like(small[0])] * (-len(small) % 10)
    rows = [np.hstack(small[k : k + 10]) for k in range(0, len(small), 10)]
    image.write_image(path, np.vstack(rows))


if __name__ == "__main__":
    main()
