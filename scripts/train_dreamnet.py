"""Train dreamnet: robust distillation of GoogLeNet into a small plain network, and Tiny ImageNet's classes.

The teacher sees the clean picture, the student an attacked one: one gradient step of a small L2
length in the direction that raises the loss. A student that must not answer to noise has clean
gradients, and those are what a dream is made of (after Engstrom et al. 2019,
"Adversarial robustness as a prior for learned representations"). The class head is trained together with
the features, under the same attack, on the pictures whose class is among Tiny ImageNet's 200. `--dreams` adds
the student's own class dreams to each batch, see training_dreams.py.

    python scripts/train_dreamnet.py --tiny tiny-imagenet-200 --steps 20000   # trains, resumes, exports
    python scripts/train_dreamnet.py --begin models/dreamnet.npz --rate 5e-4 --batch 16 --dreams 8 ...
    python scripts/train_dreamnet.py --export-only                            # exports the newest checkpoint
    KERAS_BACKEND=torch python scripts/train_dreamnet.py ...                  # on a GPU without TensorFlow

Numbers are addressed by step, so that a stopped and resumed run goes on as an unbroken one, but for
`--dreams`, which begin anew; a smaller ``--steps`` on resuming ends the cosine earlier. ``kill -STOP`` and
``-CONT`` pause it. Beside the checkpoint lie the weights of its last evaluation, in the form that ships
(``.folded.npz``), to begin from.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from backends import compile_step, value_and_gradient
from dreamnet_export import export, unfold
from keras import ops
from training_dreams import Dreams, add_dreams, shares_of_finished
from training_pictures import Batch, batch, batches, load_pools, read_film_frames

from mmdream.networks.image_models import dreamnet, googlenet
from mmdream.networks.network import assign_arrays
from mmdream.networks.registry import load_card
from mmdream.networks.weights import read_arrays
from mmdream.training.attacks import perturb_images

RUNGS = ("inception_3b_output", "inception_4c_output", "inception_5b_output")
CAFFE_MEAN = (104.0, 117.0, 123.0)
CLASSES = 1.0
"""Weight of the classes' cross entropy beside the distance to the teacher's features."""
TRUST = 0.5
"""How far the teacher is believed about the class of a picture whose class is known."""
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Read the options, then train or export."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    data = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
    options.add_argument("--data", type=Path, default=data, help="folder of imagenet_samples.tar")
    options.add_argument("--tiny", type=Path, help="tiny-imagenet-200 as published; default: archive")
    options.add_argument("--more", type=Path, nargs="*", default=[], help="folders WORDNET_ID/picture.jpg")
    options.add_argument("--steps", type=int, default=20_000)
    options.add_argument("--eps", type=float, default=5.0, help="L2 length of the attack, pixels 0..1")
    options.add_argument("--side", type=int, default=160, help="px of a crop")
    options.add_argument("--batch", type=int, default=24)
    options.add_argument(
        "--dreams", type=int, default=0, help="class dreams in each batch, beside its pictures"
    )
    options.add_argument(
        "--films", type=Path, nargs="*", default=[], help="films whose frames dreams begin from"
    )
    options.add_argument("--begin", type=Path, help="weights to begin from: models/dreamnet.npz or an export")
    options.add_argument("--rate", type=float, default=2.5e-3, help="peak rate; from weights about 5e-4")
    options.add_argument("--checkpoint", type=Path, default=ROOT / "training" / "dreamnet.npz")
    options.add_argument("--out", type=Path, default=ROOT / "models" / "dreamnet.npz")
    options.add_argument("--export-only", action="store_true")
    chosen = options.parse_args()
    if not chosen.export_only:
        train(chosen)
    export(chosen.checkpoint, chosen.out)


def train(chosen: argparse.Namespace) -> None:
    """Train to `chosen.steps`, with a checkpoint every 200 steps."""
    keras.utils.set_random_seed(0)
    trained_on, kept = load_pools(chosen.data, chosen.tiny, chosen.more)
    large = " and ".join(str(len(pictures)) for pictures in trained_on.large)
    print(f"{large} large pictures, {len(trained_on.small)} small ones", flush=True)
    teacher = load_teacher(chosen.data / "weights" / "googlenet_fp16.npz")
    student = dreamnet("mixed_bfloat16", normalised=True)
    optimizer = keras.optimizers.AdamW(chosen.rate, beta_2=0.99, weight_decay=1e-3)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    optimizer.build(student.trainable_variables)
    state = student.variables + optimizer.variables
    first, units = load_checkpoint(chosen.checkpoint, state)
    shape = chosen.batch, chosen.side
    if not units:
        units = channel_units(teacher, [batch(trained_on, *shape, 10**9 + place) for place in range(16)])
    if not first and chosen.begin is not None:
        calibration = [batch(trained_on, *shape, 3 * 10**9 + place).pictures for place in range(8)]
        unfold(student, read_arrays(chosen.begin), units, np.concatenate(calibration))
    columns = [load_card("googlenet").class_index(names[0]) for names in load_card("dreamnet").class_names()]
    ascent = make_ascent(student)
    dreams = Dreams(trained_on, read_film_frames(chosen.films), chosen.side, chosen.dreams)
    believed: list[float] = []  # what share the teacher gives to the class of each finished dream
    train_step = make_step(student, teacher, optimizer, units, columns)
    evaluate = make_evaluation(student, teacher, units, columns)
    trials = [batch(kept, 24, chosen.side, 2 * 10**9 + place) for place in range(12)]
    began, at = time.monotonic(), first
    for step, given in batches(trained_on, *shape, first, chosen.steps):
        progress = step / chosen.steps
        optimizer.learning_rate.assign(chosen.rate * learning_rate(progress))
        longest = chosen.eps * (1.0 if chosen.begin is not None else min(1.0, progress / 0.3))
        grown = dreams.grow(ascent, step)
        shown = add_dreams(given, grown)
        length = np.random.default_rng((2019, step)).uniform(0, longest, len(shown.classes))
        loss, shares = train_step(shown.pictures, shown.classes, length.astype(np.float32))
        believed += shares_of_finished(grown, ops.convert_to_numpy(shares)[chosen.batch :])
        if (done := step + 1) % 100 == 0 or done == chosen.steps:
            pace = (time.monotonic() - began) / (done - at) * 1000
            told = f", {np.mean(believed):.3f} believed in {len(believed)} dreams" if believed else ""
            print(f"step {done}/{chosen.steps} {pace:.0f} ms/step loss {float(loss):.4f}{told}", flush=True)
            believed.clear()
            began, at = time.monotonic(), done
            if done % 500 == 0 or done == chosen.steps:
                figures = evaluate_student(evaluate, trials, chosen.eps / 2)
                print("   ", " ".join(f"{name} {value:.3f}" for name, value in figures.items()), flush=True)
                save_checkpoint(chosen.checkpoint, state, done, units, figures)
                # Of half size and without the optimiser: a later training may begin from it.
                export(chosen.checkpoint, chosen.checkpoint.with_suffix(".folded.npz"))
                began = time.monotonic()


def learning_rate(progress: float) -> float:
    """Share of the peak rate at `progress` 0..1: 3 % warm-up, then a cosine to 0."""
    if progress < 0.03:
        return (progress + 1e-4) / 0.03
    return 0.5 * (1 + float(np.cos(np.pi * (progress - 0.03) / 0.97)))


def load_teacher(weights: Path) -> keras.Model:
    """GoogLeNet, bfloat16, its own input: the rungs and the logits."""
    whole = googlenet("bfloat16")
    assign_arrays(whole, read_arrays(weights), "googlenet", weights)
    teacher = keras.Model(whole.inputs, [*(whole.get_layer(layer).output for layer in RUNGS), whole.output])
    teacher.trainable = False
    return teacher


def teacher_outputs(teacher: keras.Model, pictures: keras.KerasTensor) -> list[keras.KerasTensor]:
    """The teacher's features and its logits [n, 1000], float32, for RGB 0..1."""
    caffe = ops.flip(pictures, -1) * 255 - ops.array(CAFFE_MEAN, "float32")
    return [ops.cast(feature, "float32") for feature in teacher(caffe, training=False)]


def scale_features(features: list[keras.KerasTensor], units: list[np.ndarray]) -> list[keras.KerasTensor]:
    """Features over the unit of each channel."""
    return [f / ops.convert_to_tensor(unit) for f, unit in zip(features, units, strict=True)]


def channel_units(teacher: keras.Model, several: list[Batch]) -> list[np.ndarray]:
    """The unit of each channel: its deviation plus 5 % of the mean one, for the rare channels."""
    outputs = [teacher_outputs(teacher, ops.array(given.pictures))[:-1] for given in several]
    arrays = [[ops.convert_to_numpy(feature) for feature in features] for features in outputs]
    units = []
    for rung in zip(*arrays, strict=True):
        deviation = np.concatenate(rung).std((0, 1, 2))
        units.append((deviation + 0.05 * deviation.mean()).astype(np.float32))
    return units


def build_targets(teacher, pictures, classes, units, columns):  # type: ignore[no-untyped-def]
    """What the student is to say of `pictures`: features in `units`, and shares of the 200 classes [n, 200].

    A picture of a known class has that class and the teacher's shares, half and half; another one the
    teacher's shares alone, and less of them where the teacher sees another class than the 200.
    """
    *features, logits = teacher_outputs(teacher, pictures)
    shares = ops.take(ops.softmax(logits), columns, -1)
    known = ops.expand_dims(ops.cast(classes >= 0, "float32"), -1)
    believed = shares / ops.sum(shares, -1, keepdims=True)
    exact = ops.one_hot(ops.maximum(classes, 0), len(columns))
    return scale_features(features, units), known * (TRUST * believed + (1 - TRUST) * exact) + (
        1 - known
    ) * shares


def distillation_loss(outputs, targets):  # type: ignore[no-untyped-def]
    """Loss of each picture, float32 [n]: squared error, summed over the rungs, and the classes' entropy."""
    features, shares = targets
    errors = [
        ops.mean(ops.square(ops.cast(s, "float32") - t), [1, 2, 3])
        for s, t in zip(outputs[:-1], features, strict=True)
    ]
    log_shares = ops.log_softmax(ops.cast(outputs[-1], "float32"))
    return sum(errors) - CLASSES * ops.sum(shares * log_shares, -1)


def attack(student, pictures, targets, length):  # type: ignore[no-untyped-def]
    """Each picture moved by its L2 `length` [n] in the direction that raises its loss."""

    def loss(pictures):  # type: ignore[no-untyped-def]
        return ops.sum(distillation_loss(student(pictures - 0.5, training=False), targets))

    return perturb_images(pictures, value_and_gradient(loss, pictures)[1], length)


def make_ascent(student):  # type: ignore[no-untyped-def]
    """(pictures, classes) -> gradient of the classes' evidence, for any size of pictures, as arrays."""

    @compile_step
    def gradient(pictures, classes):  # type: ignore[no-untyped-def]
        def evidence(pictures):  # type: ignore[no-untyped-def]
            log_shares = ops.log_softmax(ops.cast(student(pictures - 0.5, training=False)[-1], "float32"))
            return ops.sum(log_shares * ops.one_hot(classes, log_shares.shape[-1]))

        return value_and_gradient(evidence, pictures)[1]

    return lambda pictures, classes: ops.convert_to_numpy(gradient(pictures, classes))


def make_step(student, teacher, optimizer, units, columns):  # type: ignore[no-untyped-def]
    """One training step: (pictures, classes, lengths of attack) -> loss under attack, shares of classes."""

    @compile_step
    def step(pictures, classes, length):  # type: ignore[no-untyped-def]
        targets = build_targets(teacher, pictures, classes, units, columns)
        attacked = attack(student, pictures, targets, length)

        def loss():  # type: ignore[no-untyped-def]
            return ops.mean(distillation_loss(student(attacked - 0.5, training=True), targets))

        value, gradients = value_and_gradient(loss, student.trainable_variables)
        optimizer.apply(gradients, student.trainable_variables)
        return value, targets[1]

    return step


def make_evaluation(student, teacher, units, columns):  # type: ignore[no-untyped-def]
    """(pictures, classes, length) -> cosine to the teacher at each rung, hits, and loss; clean, attacked."""

    @compile_step
    def evaluate(pictures, classes, length):  # type: ignore[no-untyped-def]
        targets = build_targets(teacher, pictures, classes, units, columns)
        attacked = attack(student, pictures, targets, length)
        rows = []
        for shown in (pictures, attacked):
            outputs = student(shown - 0.5, training=False)
            hits = ops.cast(ops.argmax(outputs[-1], -1) == classes, "float32")
            rows.append(
                [
                    *[mean_cosine(s, t, u) for s, t, u in zip(outputs[:-1], targets[0], units, strict=True)],
                    ops.sum(hits) / ops.maximum(ops.sum(ops.cast(classes >= 0, "float32")), 1.0),
                    ops.mean(distillation_loss(outputs, targets)),
                ]
            )
        return ops.stack([ops.stack(row) for row in rows])

    return evaluate


def mean_cosine(outputs, target, unit):  # type: ignore[no-untyped-def]
    """Mean cosine between student's and teacher's channels, in the teacher's own units."""
    unit = ops.convert_to_tensor(unit)
    s, t = ops.cast(outputs, "float32") * unit, target * unit
    return ops.mean(ops.sum(ops.normalize(s, -1) * ops.normalize(t, -1), -1))


def evaluate_student(evaluate, trials: list[Batch], length: float) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """The card's figures, means over the kept pictures."""
    rows = [
        ops.convert_to_numpy(evaluate(t.pictures, t.classes, np.full(len(t.classes), length, np.float32)))
        for t in trials
    ]
    clean, attacked = np.mean(rows, 0)
    names = ["cosine_3b", "cosine_4c", "cosine_5b", "top1", "loss"]
    figures = {name: float(value) for name, value in zip(names, clean, strict=True)}
    return figures | {f"{n}_attacked": float(v) for n, v in zip(names, attacked, strict=True)}


def save_checkpoint(
    path: Path, state: list[keras.Variable], step: int, units: list[np.ndarray], figures: dict[str, float]
) -> None:
    """Write a checkpoint under a temporary name, then rename."""
    arrays = {f"v{place:03}": ops.convert_to_numpy(variable) for place, variable in enumerate(state)}
    arrays |= {f"unit{place}": unit for place, unit in enumerate(units)}
    arrays |= {f"seen_{name}": np.float64(value) for name, value in figures.items()}
    buffer = io.BytesIO()
    np.savez(buffer, step=step, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_bytes(buffer.getvalue())
    path.with_suffix(".part").replace(path)


def load_checkpoint(path: Path, state: list[keras.Variable]) -> tuple[int, list[np.ndarray]]:
    """Lay a checkpoint into `state`; returns its step and units, or 0 and nothing."""
    if not path.is_file():
        return 0, []
    found = read_arrays(path)
    for place, variable in enumerate(state):
        variable.assign(found[f"v{place:03}"])
    return int(found["step"]), [found[f"unit{place}"] for place in range(len(RUNGS))]


if __name__ == "__main__":
    main()
