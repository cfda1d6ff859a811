"""Train an independent judge of class dreams: a small residual network, on Tiny ImageNet alone, from scratch.

    python scripts/train_judge.py --tiny tiny-imagenet-200 --out training/judge.npz
    python scripts/judge_dreams.py --trained training/judge.npz

It has seen neither dreamnet's teacher nor any picture larger than 64 px, and shares no weights and no plan
with the networks it judges: residual blocks (He et al. 2016, "Identity mappings in deep residual networks")
over a stem of stride 2. It is not shipped.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from backends import compile_step, value_and_gradient
from keras import layers, ops
from training_pictures import read_archive, read_folder

from mmdream.networks.network import assign_arrays
from mmdream.networks.weights import read_arrays

SIDE = 64
"""px of the pictures, as Tiny ImageNet has them."""
BATCH = 128
WIDTHS = (32, 64, 128, 256)
"""Channels of the stages, two blocks each."""
PEAK_RATE, DECAY, SMOOTHING = 4e-3, 0.05, 0.1
SHIFT = 6
"""px that a picture may be moved by."""
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Read the options, train, and write the weights."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    data = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
    options.add_argument("--data", type=Path, default=data, help="folder of wnids.txt and the validation set")
    options.add_argument("--tiny", type=Path, help="tiny-imagenet-200 as published; default: the archive")
    options.add_argument("--epochs", type=float, default=10.0, help="times that each picture is seen")
    options.add_argument("--minutes", type=float, default=60.0, help="stop there, whatever is left")
    options.add_argument("--out", type=Path, default=ROOT / "training" / "judge.npz")
    chosen = options.parse_args()
    keras.utils.set_random_seed(0)
    wnids = (chosen.data / "wnids.txt").read_text().split()
    place = {wnid: number for number, wnid in enumerate(wnids)}
    if chosen.tiny is None:
        found = read_archive(chosen.data / "tiny_imagenet_train.tar.gz", place)
    else:
        found = read_folder(chosen.tiny / "train", place)
    shown, classes = np.stack([picture for picture, _ in found]), np.array([c for _, c in found], np.int32)
    network = build_judge("mixed_bfloat16")
    steps = round(chosen.epochs * len(shown) / BATCH)
    began = time.monotonic()
    train(network, shown, classes, steps, began + 60 * chosen.minutes)
    kept = [
        (picture, c) for picture, c in read_archive(chosen.data / "tiny_imagenet_val.tar", place) if c >= 0
    ]
    hits = accuracy(network, np.stack([p for p, _ in kept]), np.array([c for _, c in kept]))
    print(f"{len(kept)} validation pictures: top-1 {hits[0]:.3f} top-5 {hits[1]:.3f}, ", end="")
    print(f"{(time.monotonic() - began) / 60:.0f} minutes")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{layer.name}_{v.name}": ops.convert_to_numpy(v) for layer in network.layers for v in layer.weights
    }
    np.savez_compressed(chosen.out, **arrays)


def build_judge(dtype: str = "float32", weights: Path | None = None) -> keras.Model:
    """The network: [n, 64, 64, 3], RGB 0..1 minus 0.5 -> logits [n, 200] in the order of wnids.txt."""

    def convolve(x, channels, side, stride, name):  # type: ignore[no-untyped-def]
        given = {"padding": "same", "use_bias": False, "dtype": dtype, "name": name}
        return layers.Conv2D(channels, side, stride, **given)(x)

    def norm(x, name):  # type: ignore[no-untyped-def]
        x = layers.BatchNormalization(momentum=0.98, dtype=dtype, name=f"{name}_norm")(x)
        return layers.ReLU(dtype=dtype, name=f"{name}_relu")(x)

    pixels = keras.Input((SIDE, SIDE, 3))
    x = convolve(pixels, WIDTHS[0], 5, 2, "stem")
    for stage, channels in enumerate(WIDTHS):
        for block in range(2):
            name, stride = f"s{stage}b{block}", 2 if stage and not block else 1
            before = norm(x, f"{name}a")
            y = norm(convolve(before, channels, 3, stride, f"{name}a"), f"{name}b")
            y = convolve(y, channels, 3, 1, f"{name}b")
            if stride > 1:
                x = convolve(before, channels, 1, stride, f"{name}_skip")
            x = layers.Add(dtype=dtype, name=name)([x, y])
    x = layers.GlobalAveragePooling2D(dtype=dtype, name="pool")(norm(x, "last"))
    network = keras.Model(pixels, layers.Dense(200, dtype="float32", name="classes")(x), name="judge")
    if weights is not None:
        assign_arrays(network, read_arrays(weights), "judge", weights)
    return network


def train(network: keras.Model, shown: np.ndarray, classes: np.ndarray, steps: int, until: float) -> None:
    """Train for `steps`: the rate goes up, then down a cosine; ends by `until` (monotonic, s)."""
    optimizer = keras.optimizers.AdamW(PEAK_RATE, weight_decay=DECAY, beta_2=0.99)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    optimizer.build(network.trainable_variables)

    @compile_step
    def step(pictures, labels):  # type: ignore[no-untyped-def]
        def loss():  # type: ignore[no-untyped-def]
            logits = network(pictures, training=True)
            exact = ops.one_hot(labels, logits.shape[-1])
            smooth = exact * (1 - SMOOTHING) + SMOOTHING / logits.shape[-1]
            return -ops.mean(ops.sum(smooth * ops.log_softmax(logits), -1))

        value, gradients = value_and_gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return value

    began = time.monotonic()
    for number, (pictures, labels) in enumerate(batches(shown, classes, steps)):
        # By the clock as well: a slow machine ends its cosine in time.
        progress = max(number / steps, (time.monotonic() - began) / max(1e-9, until - began))
        if progress >= 1:
            break
        turn = 0.5 * (1 + float(np.cos(np.pi * max(0.0, progress - 0.1) / 0.9)))
        optimizer.learning_rate.assign(PEAK_RATE * min(progress / 0.1 + 0.01, turn))
        value = step(pictures, labels)
        if number % 200 == 0:
            print(f"step {number}/{steps} {progress:.2f} loss {float(value):.3f}", flush=True)


def batches(shown: np.ndarray, classes: np.ndarray, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches made one ahead in a thread: moved, flipped, each picture once in an epoch."""
    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(batch, shown, classes, 0)
        for number in range(steps):
            now, ahead = ahead.result(), thread.submit(batch, shown, classes, number + 1)
            yield now


def batch(shown: np.ndarray, classes: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures float32 [BATCH, 64, 64, 3] about 0, and their classes."""
    epoch, place = divmod(number, len(shown) // BATCH)
    order = np.random.default_rng((64, epoch)).permutation(len(shown))
    chosen = order[place * BATCH : (place + 1) * BATCH]
    rng = np.random.default_rng((65, number))
    margin = ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))
    wide = np.pad(shown[chosen], margin, "reflect")
    y, x = rng.integers(2 * SHIFT + 1, size=(2, BATCH))
    moved = np.stack([w[a : a + SIDE, b : b + SIDE] for w, a, b in zip(wide, y, x, strict=True)])
    flipped = np.where(rng.random(BATCH)[:, None, None, None] < 0.5, moved[:, :, ::-1], moved)
    bright = rng.uniform(0.7, 1.3, (BATCH, 1, 1, 1)).astype(np.float32)
    tint = rng.uniform(-0.1, 0.1, (BATCH, 1, 1, 3)).astype(np.float32)
    return (flipped.astype(np.float32) / 255 - 0.5) * bright + tint, classes[chosen]


def accuracy(network: keras.Model, shown: np.ndarray, classes: np.ndarray) -> list[float]:
    """Shares of pictures, uint8, whose class comes first, and among the first five."""
    several = [shown[k : k + BATCH].astype(np.float32) / 255 - 0.5 for k in range(0, len(shown), BATCH)]
    logits = np.concatenate([ops.convert_to_numpy(network(some, training=False)) for some in several])
    ranks = (logits > logits[np.arange(len(classes)), classes][:, None]).sum(axis=1)
    return [float(np.mean(ranks < best)) for best in (1, 5)]


if __name__ == "__main__":
    main()
