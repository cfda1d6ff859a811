"""How a network of the user's own may want its input, where nobody tells: a guess, and what is said of it."""

from __future__ import annotations

import difflib
from dataclasses import fields
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.networks.card import AudioInput, ImageInput
from mmdream.networks.graph import ModelGraph

MAX_RAW_SCALE = 0.02
"""A scale below this brings 0..255 to something small; one above it takes 0..1."""
COMMON_BAND_COUNTS = (40, 48, 64, 80, 96, 128, 256)
"""By which the side of the bands is told where a network takes one size only."""
APPLICATION_INPUTS: dict[str, tuple[str, float, tuple[float, ...]]] = {
    "vgg16": ("BGR", 255.0, (103.939, 116.779, 123.68)),
    "vgg19": ("BGR", 255.0, (103.939, 116.779, 123.68)),
    "resnet50v2": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "resnet101v2": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "resnet152v2": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "resnet": ("BGR", 255.0, (103.939, 116.779, 123.68)),
    "mobilenetv3": ("RGB", 255.0, (0.0, 0.0, 0.0)),
    "mobilenet": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "inception": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "xception": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "nasnet": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "efficientnet": ("RGB", 255.0, (0.0, 0.0, 0.0)),
    "convnext": ("RGB", 255.0, (0.0, 0.0, 0.0)),
}
"""Order, scale and mean of Keras's applications, by how their models' names begin (`preprocess_input`)."""
INPUT_CHOICES = {
    "kind": ("log-mel", "db-mel", "power"),
    "mel": ("htk", "slaney"),
    "order": ("RGB", "BGR"),
}
"""Words that an input may hold."""
PREPROCESSING_LAYERS = ("Multiply", "Divide", "TrueDivide", "Subtract", "Add", "GetItem", "Normalization")
"""Operations before the first convolution by which a graph brings raw pixels into its range."""


def guess_image_input(graph: ModelGraph, told: dict[str, Any], path: Path) -> tuple[ImageInput, list[str]]:
    """The input of a picture network, and what of it is guessed.

    Args:
        graph: its graph.
        told: what its card says of the input.
        path: the file, for errors.

    Raises:
        UserError: the card says what is no input.
    """
    front, why = _guess_pixel_format(graph, path)
    guess: dict[str, Any] = {"order": front[0], "scale": front[1], "mean": front[2]}
    if graph.size[0]:
        guess["side"] = graph.size[0]
    given = _override_input(ImageInput, guess, told, path)
    if {"order", "scale", "mean"} <= told.keys():
        return given, []
    ranges = {1.0: "0..1", 2.0: "-1..1", 255.0: "0..255"}
    low = " less the mean of ImageNet" if any(front[2]) and front[1] == 255 else ""
    return given, [f"pictures {front[0]} {ranges[front[1]]}{low}, {why}"]


def guess_audio_input(graph: ModelGraph, told: dict[str, Any], path: Path) -> tuple[AudioInput, list[str]]:
    """The input of a sound network, and what of it is guessed; no graph tells much of it.

    Raises:
        UserError: as `guess_image_input`; or the number of bands is open.
    """
    rows, columns = graph.size
    first = rows is not None and (
        columns is None or (rows in COMMON_BAND_COUNTS and columns not in COMMON_BAND_COUNTS)
    )
    transposed = bool(told.get("transposed", first))
    bands = told.get("bands", rows if transposed else columns)
    if bands is None:
        raise UserError(
            f"{path}: leaves its number of bands open; tell it in {path.with_suffix('.toml').name}"
        )
    guess = {"kind": "log-mel", "window_seconds": 2048 / 44100, "hop_seconds": 512 / 44100, "bands": bands}
    guess |= {"low_hz": 40.0, "high_hz": 16000.0, "floor": 1e-9, "divisor": 4.0, "level_dbfs": -23.0}
    guess |= {"mu": (-16.0,), "transposed": transposed}
    given = _override_input(AudioInput, guess, told, path)
    if {"kind", "window_seconds", "hop_seconds"} <= told.keys():
        return given, []
    way = "band by time" if transposed else "time by band"
    return given, [
        f"{given.kind} of {bands} bands, {way}, hop {1000 * given.hop_seconds:.1f} ms, as melnet's"
    ]


def _guess_pixel_format(graph: ModelGraph, path: Path) -> tuple[tuple[str, float, tuple[float, ...]], str]:
    """Order, scale and mean of a picture network, and why."""
    raw, plain = ("RGB", 255.0, (0.0, 0.0, 0.0)), ("RGB", 1.0, (0.0, 0.0, 0.0))
    for layer in graph.entry():
        if layer.kind == "Rescaling":
            scale = layer.config.get("scale", 1.0)
            try:
                least = float(min(scale) if isinstance(scale, list) else scale)
            except (TypeError, ValueError) as error:
                raise UserError(f"{path}: its {layer.name} scales by {scale!r}, no number") from error
            return (raw if least < MAX_RAW_SCALE else plain), "by its Rescaling"
        if layer.kind in PREPROCESSING_LAYERS:
            return raw, f"by its {layer.kind}"
    for name in graph.models:
        for begins, front in APPLICATION_INPUTS.items():
            if name.lower().startswith(begins):
                return front, f"as {name} does"
    return plain, "which its graph does not tell"


def _override_input(form: type, guess: dict[str, Any], told: dict[str, Any], path: Path) -> Any:
    """An input of a form, told over guessed."""
    known, beside = [each.name for each in fields(form)], path.with_suffix(".toml")
    for key in told:
        if key not in known:
            near = difflib.get_close_matches(key, known, 3, 0.4) or known
            raise UserError(f'{beside}: input has no "{key}"; nearest: {", ".join(near)}')
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in {**guess, **told}.items()}
    wrong = [key for key, choices in INPUT_CHOICES.items() if key in values and values[key] not in choices]
    wrong += [key for key in ("mu", "mean") if key in values and not _are_numbers(values[key])]
    wrong += [
        key
        for key, value in values.items()
        if key not in (*INPUT_CHOICES, "mu", "mean", "transposed") and not _are_numbers((value,))
    ]
    if wrong:
        what = (
            f"one of {', '.join(INPUT_CHOICES[wrong[0]])}"
            if wrong[0] in INPUT_CHOICES
            else "a number, or a list of them"
        )
        raise UserError(f"{beside}: {wrong[0]} of the input is {values[wrong[0]]!r}; it is {what}")
    found = form(**values)
    lengths = {"mean": (3,)} if form is ImageInput else {"mu": (1, values["bands"])}
    for key, allowed in lengths.items():
        if len(values[key]) not in allowed:
            raise UserError(f"{beside}: {key} has {len(values[key])} numbers; {allowed[-1]} are needed")
    return found


def _are_numbers(values: Any) -> bool:
    return isinstance(values, tuple) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
    )
