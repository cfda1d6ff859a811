"""Passes as a job writes them down, and what they are made of."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.media.mask import check_mask
from mmdream.media.probe import MediaFile
from mmdream.networks.card import is_user_model
from mmdream.networks.weights import RANDOM
from mmdream.render.image_style import read_style_image
from mmdream.settings.passes import Mask, Pass, Span, Style
from mmdream.settings.schedule import Curve, MotifCurve
from mmdream.settings.targets import Targets, Term

END_TOLERANCE = 0.05
"""Seconds that a pass may end behind the film's end: a duration is seldom told to the frame."""


def targets_to_dict(wishes: Targets) -> dict[str, Any]:
    """Wishes as plain JSON; `targets_from_dict` reads it."""
    guide = None if wishes.guide is None else str(wishes.guide)
    return {"terms": [asdict(term) for term in wishes.terms], "measure": wishes.measure, "guide": guide}


def targets_from_dict(values: dict[str, Any]) -> Targets:
    """What `targets_to_dict` was given."""
    terms = tuple(Term(**{**term, "channels": tuple(term["channels"])}) for term in values["terms"])
    return Targets(terms, values["measure"], None if values["guide"] is None else Path(values["guide"]))


def absolute_targets(wishes: Targets) -> Targets:
    """Wishes whose guide has a name that holds in any folder."""
    return wishes if wishes.guide is None else replace(wishes, guide=wishes.guide.resolve())


def pass_to_dict(stroke: Pass) -> dict[str, Any]:
    """A pass as plain JSON; `pass_from_dict` reads it."""
    style, mask = stroke.style, stroke.mask
    return {
        "style": None if style is None else {**asdict(style), "models": _style_models(style)},
        "settings": {name: _curve_to_keys(curve) for name, curve in stroke.settings},
        "wishes": None if stroke.wishes is None else targets_to_dict(stroke.wishes),
        "net": stroke.net,
        "weights": None if stroke.weights is None else str(stroke.weights),
        "span": asdict(stroke.span),
        "mask": None if mask is None else {"path": str(mask.path), "feather": mask.feather},
    }


def pass_from_dict(values: dict[str, Any]) -> Pass:
    """What `pass_to_dict` was given."""
    style, mask, wishes = values["style"], values["mask"], values["wishes"]
    if style is not None:
        models = tuple((Path(path), weight) for path, weight in style["models"])
        style = Style(**{**style, "models": models})
    return Pass(
        style=style,
        settings=tuple((name, _curve_from_keys(name, keys)) for name, keys in values["settings"].items()),
        wishes=None if wishes is None else targets_from_dict(wishes),
        net=values["net"],
        weights=values["weights"],
        span=Span(**values["span"]),
        mask=None if mask is None else Mask(Path(mask["path"]), mask["feather"]),
    )


def describe_pass(stroke: Pass) -> dict[str, Any]:
    """What decides about a pass, without where its files lie: those are told by what is in them."""
    values = pass_to_dict(stroke)
    del values["weights"]
    if values["style"] is not None:
        values["style"]["models"] = [weight for _, weight in values["style"]["models"]]
    if values["mask"] is not None:
        del values["mask"]["path"]
    if (wishes := values.pop("wishes")) is not None:
        del wishes["guide"]
        values |= {**wishes, "terms": ", ".join(map(str, stroke.wishes.terms)) if stroke.wishes else ""}
    settings = values.pop("settings")
    return {name: value for name, value in {**values, **settings}.items() if value is not None}


def hash_pass_files(stroke: Pass) -> dict[str, str]:
    """SHA-256 of a pass's paintings, guide and mask, by role."""
    found = {}
    if stroke.style is not None:
        models = enumerate(stroke.style.models, 1)
        found = {f"painting {number}": hash_file(path) for number, (path, _) in models}
    if stroke.wishes is not None and stroke.wishes.guide is not None:
        found["guide"] = hash_file(stroke.wishes.guide)
    if stroke.mask is not None:
        found["mask"] = hash_file(stroke.mask.path)
    return found


def absolute_pass(stroke: Pass) -> Pass:
    """A pass whose files have names that hold in any folder."""
    if stroke.weights not in (None, RANDOM):
        stroke = replace(stroke, weights=str(Path(str(stroke.weights)).expanduser().resolve()))
    if stroke.net is not None and is_user_model(stroke.net):
        stroke = replace(stroke, net=str(Path(stroke.net).expanduser().resolve()))
    if stroke.wishes is not None:
        stroke = replace(stroke, wishes=absolute_targets(stroke.wishes))
    if stroke.style is not None:
        models = tuple((path.resolve(), weight) for path, weight in stroke.style.models)
        stroke = replace(stroke, style=replace(stroke.style, models=models))
    if stroke.mask is not None:
        stroke = replace(stroke, mask=replace(stroke.mask, path=stroke.mask.path.resolve()))
    return stroke


def check_pass(film: MediaFile, stroke: Pass) -> None:
    """Refuse a pass that cannot be done on a film, before any work.

    Raises:
        UserError: a time outside the film; a painting or a mask that cannot be read.
    """
    span, length = stroke.span, film.duration
    if length is not None and (span.start >= length or (span.stop or 0) > float(length) + END_TOLERANCE):
        raise UserError(f"the {stroke} lies outside the film, which lasts {float(length):.2f} seconds")
    assert film.video is not None
    check_pass_files(stroke, film.video.width, film.video.height)


def check_pass_files(stroke: Pass, width: int, height: int) -> None:
    """Refuse a pass whose paintings or mask cannot be used on a film or a picture of a width and height, px.

    Raises:
        UserError: a painting or a mask that cannot be read, or does not fit.
    """
    if stroke.style is not None:
        for path, _ in stroke.style.models:
            read_style_image(path)
    if stroke.mask is not None:
        check_mask(stroke.mask, width, height)


def _style_models(style: Style) -> list[list[Any]]:
    return [[str(path), weight] for path, weight in style.models]


def _curve_to_keys(curve: Curve | MotifCurve) -> list[list[Any]]:
    if isinstance(curve, Curve):
        return [list(key) for key in curve.keys]
    return [[when, ",".join(names)] for when, names in curve.keys]


def _curve_from_keys(name: str, keys: list[list[Any]]) -> Curve | MotifCurve:
    if name == "motif":
        return MotifCurve(tuple((when, tuple(names.split(","))) for when, names in keys))
    return Curve(tuple((when, value) for when, value in keys))
