"""Fold a checkpoint of dreamnet's training into the weights that ship."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import keras
import numpy as np

from mmdream.networks.image_models import DREAMNET_LAYERS, dreamnet
from mmdream.networks.network import assign_arrays
from mmdream.networks.weights import read_arrays

LENGTH = 4.0
"""Of each filter that training begins from: a rate of 5e-4 turns one by about half a per cent a step then."""


def export(checkpoint: Path, out: Path) -> None:
    """Write folded weights (kernels float16, biases float32) and the card's figures."""
    found = read_arrays(checkpoint)
    trained = dreamnet("float32", normalised=True)
    for place, variable in enumerate(trained.variables):
        variable.assign(found[f"v{place:03}"])
    units = {"p3b": found["unit0"], "p4c": found["unit1"], "p5b": found["unit2"]}
    folded = fold(trained, units)
    check_folded(trained, folded, units)
    small = {name: a.astype("f2" if name.endswith("_kernel") else "f4") for name, a in folded.items()}
    part = out.with_name(f".{out.stem}.part.npz")
    np.savez_compressed(part, **small)
    part.replace(out)
    sha = hashlib.sha256(out.read_bytes()).hexdigest()
    facts = {"steps": str(int(found["step"]))}
    facts |= {n.removeprefix("seen_"): f"{v:.3f}" for n, v in found.items() if n.startswith("seen_")}
    print(f"{out}: step {facts['steps']}, {out.stat().st_size} bytes, sha256 {sha}, {facts}")
    if (card := out.with_suffix(".toml")).is_file():
        update_card(card, {"sha256": f'"{sha}"'} | facts)


def fold(trained, units):  # type: ignore[no-untyped-def]
    """Batch normalisation into kernel and bias; heads from units of deviation to the teacher's.

    A ReLU lets a positive factor through, so a head's unit may go into its kernel.
    """
    folded = {}
    for name in DREAMNET_LAYERS:
        norm = trained.get_layer(f"{name}_norm")
        kernel = trained.get_layer(f"{name}_conv").kernel.numpy()
        gain = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
        bias = norm.beta.numpy() - norm.moving_mean.numpy() * gain
        unit = units.get(name, np.float32(1))
        folded[f"{name}_kernel"] = kernel * gain * unit
        folded[f"{name}_bias"] = bias * unit
    head = trained.get_layer("classes")
    # The head hears both in units of deviation.
    folded["classes_kernel"] = head.kernel.numpy() / np.concatenate([units["p4c"], units["p5b"]])[:, None]
    folded["classes_bias"] = head.bias.numpy()
    return folded


def unfold(student, folded, units, pictures) -> None:  # type: ignore[no-untyped-def]
    """Lay weights that `fold` made into a student with normalisation, which then begins as the same network.

    A filter behind a normalisation may have any length; Adam turns a short one faster. Each gets `LENGTH`.
    What the normalisation is to take away and give back is measured on `pictures`, [n, h, w, 3] 0..1.
    """
    by_head = dict(zip(("p3b", "p4c", "p5b"), units, strict=True))
    gains = {}
    for name in DREAMNET_LAYERS:
        unit, norm = by_head.get(name, np.float32(1)), student.get_layer(f"{name}_norm")
        kernel = folded[f"{name}_kernel"].astype("f4") / unit
        gains[name] = np.sqrt(np.square(kernel).sum((0, 1, 2))) / LENGTH + 1e-8
        student.get_layer(f"{name}_conv").kernel.assign(kernel / gains[name])
        norm.gamma.assign(gains[name])
        norm.beta.assign(folded[f"{name}_bias"] / unit)
        norm.moving_variance.assign(np.full_like(gains[name], 1 - norm.epsilon))
    head = student.get_layer("classes")
    head.kernel.assign(folded["classes_kernel"].astype("f4") * np.concatenate(units[1:])[:, None])
    head.bias.assign(folded["classes_bias"])
    outputs = [student.get_layer(f"{name}_conv").output for name in DREAMNET_LAYERS]
    convolved = keras.Model(student.inputs, outputs).predict(pictures - 0.5, 16, verbose=0)
    for (name, gain), found in zip(gains.items(), convolved, strict=True):
        mean, variance = (f(found.astype("f4"), (0, 1, 2)) for f in (np.mean, np.var))
        norm = student.get_layer(f"{name}_norm")
        norm.gamma.assign(gain * np.sqrt(variance + norm.epsilon))
        norm.beta.assign(norm.beta.numpy() + mean * gain)
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)


def check_folded(trained, folded, units) -> None:  # type: ignore[no-untyped-def]
    """Folded and unfolded must agree, at odd sizes too."""
    plain = dreamnet("float32")
    assign_arrays(plain, folded, "dreamnet", "folded")
    pictures = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 101, 130, 3)).astype("f4")
    scales = [*units.values(), np.float32(1)]
    outputs = [[keras.ops.convert_to_numpy(y) for y in net(pictures)] for net in (plain, trained)]
    for folded_output, trained_output, unit in zip(*outputs, scales, strict=True):
        scaled = trained_output * unit
        np.testing.assert_allclose(
            folded_output, scaled, rtol=1e-3, atol=1e-3 * float(np.mean(np.abs(scaled)))
        )


def update_card(card: Path, figures: dict[str, str]) -> None:
    """Rewrite the lines ``key = ...`` of the card for each figure."""
    text = card.read_text()
    for key, value in figures.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    card.write_text(text)
