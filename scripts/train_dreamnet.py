"""Train dreamnet: robust distillation of GoogLeNet's middle layers into a small plain network.

The teacher sees the clean picture, the student an attacked one: one gradient step of a small L2
length in the direction that raises the loss. A student that must not answer to noise has clean
gradients, and those are what a dream is made of (after Engstrom et al. 2019,
"Adversarial robustness as a prior for learned representations").

    python scripts/train_dreamnet.py --steps 10000            # trains, resumes, exports at the end
    python scripts/train_dreamnet.py --export-only            # exports the newest checkpoint

Numbers are addressed by step, so that a stopped and resumed run equals an unbroken one; a smaller
``--steps`` on resuming ends the cosine earlier. ``kill -STOP`` and ``-CONT`` pause it.
"""

from __future__ import annotations

import argparse
import io
import os
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import tensorflow as tf
from dreamnet_export import export

from mmdream.networks.network import lay
from mmdream.networks.pictures import dreamnet, googlenet
from mmdream.networks.weights import read_arrays

SIDE = 128
BATCH = 32
RUNGS = {"p3b": "inception_3b_output", "p4c": "inception_4c_output"}
CAFFE_MEAN = (104.0, 117.0, 123.0)
PEAK_RATE = 2.5e-3
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Read the options, then train or export."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    data = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
    options.add_argument("--data", type=Path, default=data, help="folder of imagenet_samples.tar")
    options.add_argument("--tiny", type=Path, help="tiny-imagenet-200 as published; default: archive")
    options.add_argument("--steps", type=int, default=10_000)
    options.add_argument("--eps", type=float, default=1.5, help="L2 length of the attack, pixels 0..1")
    options.add_argument("--checkpoint", type=Path, default=ROOT / "training" / "dreamnet.npz")
    options.add_argument("--out", type=Path, default=ROOT / "models" / "dreamnet.npz")
    options.add_argument("--export-only", action="store_true")
    chosen = options.parse_args()
    if not chosen.export_only:
        train(chosen)
    export(chosen.checkpoint, chosen.out)


def train(chosen: argparse.Namespace) -> None:
    """Train to `chosen.steps`, with a checkpoint every 200 steps."""
    tf.keras.utils.set_random_seed(0)
    samples = read_samples(chosen.data / "imagenet_samples.tar")
    tiny = read_tiny(chosen.tiny or chosen.data / "tiny_imagenet_train.tar.gz")
    print(f"{len(samples)} samples, {len(tiny)} small pictures", flush=True)
    kept = (samples[::40], tiny[::500])  # never trained on: judge by these
    pool = (
        [picture for place, picture in enumerate(samples) if place % 40],
        [picture for place, picture in enumerate(tiny) if place % 500],
    )
    teacher = load_teacher(chosen.data / "weights" / "googlenet_fp16.npz")
    student = dreamnet("mixed_bfloat16", normalised=True)
    optimizer = keras.optimizers.AdamW(PEAK_RATE, beta_2=0.99, weight_decay=1e-3)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    optimizer.build(student.trainable_variables)
    state = student.variables + optimizer.variables
    first, units = resume(chosen.checkpoint, state)
    if not units:
        units = deviations(teacher, [batch(*pool, seed=10**9 + place) for place in range(16)])
    step_fn = make_step(student, teacher, optimizer, units)
    judge = make_judge(student, teacher, units)
    trials = tf.constant(np.concatenate([batch(*kept, seed=2 * 10**9 + i) for i in range(4)]))
    began, at = time.monotonic(), first
    for step, pictures in batches(*pool, first, chosen.steps):
        progress = step / chosen.steps
        optimizer.learning_rate.assign(rate(progress))
        eps = chosen.eps * min(1.0, progress / 0.3)
        loss = step_fn(tf.constant(pictures), tf.constant(eps, tf.float32), tf.constant([7, step]))
        if (done := step + 1) % 100 == 0 or done == chosen.steps:
            pace = (time.monotonic() - began) / (done - at) * 1000
            clean, attacked, trial = (np.asarray(v) for v in judge(trials, chosen.eps))
            print(
                f"step {done}/{chosen.steps} {pace:.0f} ms/step loss {float(loss):.4f} "
                f"kept {float(trial):.4f} cosine clean {clean[0]:.3f} {clean[1]:.3f} "
                f"attacked {attacked[0]:.3f} {attacked[1]:.3f}",
                flush=True,
            )
            began, at = time.monotonic(), done
            if done % 200 == 0 or done == chosen.steps:
                save(chosen.checkpoint, state, done, units, [*clean, *attacked, float(trial)])


def rate(progress: float) -> float:
    """Learning rate at `progress` 0..1: 3 % warm-up, then a cosine to 0."""
    if progress < 0.03:
        return PEAK_RATE * (progress + 1e-4) / 0.03
    return PEAK_RATE * 0.5 * (1 + float(np.cos(np.pi * (progress - 0.03) / 0.97)))


def read_samples(archive: Path) -> list[np.ndarray]:
    """The pictures of imagenet_samples.tar, uint8 [h, w, 3] RGB."""
    with tarfile.open(archive) as tar:
        return [decode(tar.extractfile(m).read()) for m in tar if m.isfile()]  # type: ignore[union-attr]


def read_tiny(place: Path) -> list[np.ndarray]:
    """Tiny ImageNet's training pictures, from the archive or the publisher's folder, uint8 RGB."""
    if place.is_dir():
        files = sorted((place / "train").glob("*/images/*.JPEG"))
        return [decode(file.read_bytes()) for file in files]
    return read_samples(place)


def decode(data: bytes) -> np.ndarray:
    """A coded picture as uint8 [h, w, 3] RGB, turned as stored: ImageNet ignores EXIF."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)[..., ::-1]


def batches(
    samples: list[np.ndarray], tiny: list[np.ndarray], first: int, last: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Batches of steps `first` to `last`, made two ahead in a thread."""
    with ThreadPoolExecutor(1) as thread:
        ahead = {s: thread.submit(batch, samples, tiny, s) for s in range(first, min(first + 2, last))}
        for step in range(first, last):
            if step + 2 < last:
                ahead[step + 2] = thread.submit(batch, samples, tiny, step + 2)
            yield step, ahead.pop(step).result()


def batch(samples: list[np.ndarray], tiny: list[np.ndarray], seed: int) -> np.ndarray:
    """One batch: half crops of the samples at 0.55 to 1.3x, half Tiny ImageNet at 2 to 3x.

    Returns:
        float32 [BATCH, SIDE, SIDE, 3], RGB 0..1; flipped, contrast 0.7 to 1.2, colours +-0.1.
    """
    rng = np.random.default_rng((2016, seed))
    crops = np.empty((BATCH, SIDE, SIDE, 3), np.float32)
    for place in range(BATCH):
        small = place % 2
        pool = tiny if small else samples
        picture = pool[rng.integers(len(pool))]
        scale = rng.uniform(2.0, 3.0) if small else rng.uniform(0.55, 1.3)
        side = min(round(SIDE / scale), *picture.shape[:2])
        y, x = (int(rng.integers(size - side + 1)) for size in picture.shape[:2])
        crop = picture[y : y + side, x : x + side]
        how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
        crop = cv2.resize(crop, (SIDE, SIDE), interpolation=how).astype(np.float32) / 255
        crop = crop[:, ::-1] if rng.random() < 0.5 else crop
        crops[place] = (crop - 0.5) * rng.uniform(0.7, 1.2) + 0.5 + rng.uniform(-0.1, 0.1, 3)
    return np.clip(crops, 0, 1)


def load_teacher(weights: Path) -> keras.Model:
    """GoogLeNet up to 4c, bfloat16, RGB 0..1 left to the caller."""
    whole = googlenet("bfloat16")
    lay(whole, read_arrays(weights), "googlenet", weights)
    return keras.Model(whole.inputs, [whole.get_layer(layer).output for layer in RUNGS.values()])


def teach(teacher: keras.Model, pictures: tf.Tensor) -> list[tf.Tensor]:
    """The teacher's features, float32, for RGB 0..1."""
    features = teacher(pictures[..., ::-1] * 255 - tf.constant(CAFFE_MEAN), training=False)
    return [tf.cast(feature, tf.float32) for feature in features]


def deviations(teacher: keras.Model, several: list[np.ndarray]) -> list[np.ndarray]:
    """The unit of each channel: its deviation plus 5 % of the mean one, for the rare channels."""
    seen = [[f.numpy() for f in teach(teacher, tf.constant(pictures))] for pictures in several]
    units = []
    for rung in zip(*seen, strict=True):
        deviation = np.concatenate(rung).std((0, 1, 2))
        units.append((deviation + 0.05 * deviation.mean()).astype(np.float32))
    return units


def distance(student: list[tf.Tensor], targets: list[tf.Tensor]) -> tf.Tensor:
    """Mean squared error per picture, summed over the rungs, float32 [n]."""
    errors = [
        tf.reduce_mean(tf.square(tf.cast(s, tf.float32) - t), [1, 2, 3])
        for s, t in zip(student, targets, strict=True)
    ]
    return tf.add_n(errors)


def attack(
    student: keras.Model,
    clean: tf.Tensor,
    targets: list[tf.Tensor],
    length: tf.Tensor,
    seed: tf.Tensor,
) -> tf.Tensor:
    """One step of L2 `length` [n, 1, 1, 1] uphill from a random start of a tenth of it."""
    noise = tf.random.stateless_normal(tf.shape(clean), seed)
    start = clean + 0.1 * length * tf.nn.l2_normalize(noise, [1, 2, 3])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(start)
        loss = tf.reduce_sum(distance(student(start - 0.5, training=False), targets))
    uphill = tf.nn.l2_normalize(tape.gradient(loss, start), [1, 2, 3], 1e-20)
    return tf.clip_by_value(start + length * uphill, 0.0, 1.0)


def make_step(student, teacher, optimizer, units):  # type: ignore[no-untyped-def]
    """One training step as a graph: (pictures, eps, seed) -> loss under attack."""

    @tf.function
    def step(pictures: tf.Tensor, eps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        targets = [t / unit for t, unit in zip(teach(teacher, pictures), units, strict=True)]
        length = eps * tf.random.stateless_uniform([BATCH, 1, 1, 1], seed + 1)
        attacked = attack(student, pictures, targets, length, seed)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(distance(student(attacked - 0.5, training=True), targets))
        found = tape.gradient(loss, student.trainable_variables)
        optimizer.apply(found, student.trainable_variables)
        return loss

    return step


def make_judge(student, teacher, units):  # type: ignore[no-untyped-def]
    """(pictures, eps) -> cosine per rung clean, the same attacked by eps / 2, loss attacked."""

    @tf.function
    def judge(pictures: tf.Tensor, eps: float) -> tuple[list[tf.Tensor], list[tf.Tensor], tf.Tensor]:
        targets = [t / unit for t, unit in zip(teach(teacher, pictures), units, strict=True)]
        length = tf.fill([len(pictures), 1, 1, 1], 0.5 * eps)
        attacked = attack(student, pictures, targets, length, tf.constant([1, 2]))
        seen = [student(p - 0.5, training=False) for p in (pictures, attacked)]
        return (
            cosines(seen[0], targets),
            cosines(seen[1], targets),
            tf.reduce_mean(distance(seen[1], targets)),
        )

    def cosines(student_features: list[tf.Tensor], targets: list[tf.Tensor]) -> list[tf.Tensor]:
        units_in = [
            (tf.nn.l2_normalize(tf.cast(s, tf.float32) * u, -1), tf.nn.l2_normalize(t * u, -1))
            for s, t, u in zip(student_features, targets, units, strict=True)
        ]
        return [tf.reduce_mean(tf.reduce_sum(s * t, -1)) for s, t in units_in]

    return judge


def save(
    path: Path, state: list[keras.Variable], step: int, units: list[np.ndarray], seen: list[float]
) -> None:
    """Write a checkpoint under a temporary name, then rename."""
    arrays = {f"v{place:03}": variable.numpy() for place, variable in enumerate(state)}
    buffer = io.BytesIO()
    np.savez(buffer, step=step, unit0=units[0], unit1=units[1], seen=np.array(seen), **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_bytes(buffer.getvalue())
    path.with_suffix(".part").replace(path)


def resume(path: Path, state: list[keras.Variable]) -> tuple[int, list[np.ndarray]]:
    """Lay a checkpoint into `state`; returns its step and units, or 0 and nothing."""
    if not path.is_file():
        return 0, []
    found = read_arrays(path)
    for place, variable in enumerate(state):
        variable.assign(found[f"v{place:03}"])
    return int(found["step"]), [found["unit0"], found["unit1"]]


if __name__ == "__main__":
    main()
