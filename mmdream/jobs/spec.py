"""What a job is to make, in full: written down before the work, and compared before it goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from mmdream.core.files import hash_file
from mmdream.jobs.environment import describe_environment
from mmdream.networks.registry import card_path, is_user_model, load_card
from mmdream.networks.weights import RANDOM, locate_weights
from mmdream.render.audio_style import check_audio_style
from mmdream.render.models import check_image_targets, probe_guide_sound
from mmdream.settings.definition import read_text, to_dict
from mmdream.settings.modulation import Drive
from mmdream.settings.passes import Pass, WeightsSource
from mmdream.settings.recipe import NO_EXTRAS, ExtraOutputs, Recipe, Selection
from mmdream.settings.targets import Targets, Term

SAMPLE_BYTES = 1 << 20
"""Bytes of the source that are read at its beginning, at its end, and at `MIDDLE_SAMPLES` places."""
MIDDLE_SAMPLES = 14
DIGEST_DIGITS = 64
"""Of a SHA-256, which tells a person nothing."""
JOB_FORMAT = 6
"""Of job.json; another one is another job."""


@dataclass(frozen=True, slots=True)
class Job:
    """A film to be dreamed."""

    source: Path
    out: Path
    """Absolute."""
    order: Selection
    recipe: Recipe
    overwrite: bool
    """Whether the result may replace a file."""
    contents: dict[str, str]
    """SHA-256 of what the dream is made of, by role: the source (sampled), cards and weights."""
    environment: dict[str, str]
    extras: ExtraOutputs = NO_EXTRAS

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides what is made, flat, as plain JSON."""
        return _flatten(to_dict(self))

    @property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        return _digest(self.settings)

    def to_json(self) -> str:
        """The job as it is written down."""
        return json.dumps({"format": JOB_FORMAT, "digest": self.digest, **to_dict(self)}, indent=1)

    @staticmethod
    def from_json(text: str) -> Job:
        """What `to_json` gave.

        Raises:
            ValueError: it is something else, or was changed.
        """
        values = json.loads(text)
        try:
            job = msgspec.convert(values, Job, dec_hook=read_text)
        except msgspec.ValidationError as error:
            raise ValueError(f"not a job: {error}") from error
        # Of what is written: a whole number may stand there with or without its point.
        if values.get("digest") != _digest(_flatten(values)):
            raise ValueError("not a job of this version")
        return job


def describe_job(
    source: Path,
    out: Path,
    order: Selection,
    recipe: Recipe,
    hears: bool,
    overwrite: bool,
    extras: ExtraOutputs = NO_EXTRAS,
) -> Job:
    """Write down what is to be made.

    Args:
        source: the film.
        out: the result.
        order: which part of the film, and what is kept.
        recipe: how to dream.
        hears: whether a sound is dreamed.
        overwrite: whether the result may replace a file.
        extras: what is made besides.

    Raises:
        UserError: weights that are missing or damaged; wishes that the network cannot fulfil.
    """
    contents = {"source": fingerprint_file(source)}
    if not order.keep_picture:
        contents |= _hash_network(recipe.net, "picture", "network", recipe.weights)
        check_image_targets(load_card(recipe.net), recipe.schedule, recipe.wishes)
        for number, pass_ in enumerate(recipe.passes, 1):
            own = recipe.for_pass(pass_)
            check_image_targets(load_card(own.net, "picture"), own.schedule, own.wishes)
            found = _hash_network(own.net, "picture", "network", own.weights) | _hash_pass_files(pass_)
            contents |= {f"pass {number} {role}": digest for role, digest in found.items()}
        recipe = replace(recipe, passes=tuple(map(_absolute_pass, recipe.passes)))
        if recipe.wishes.guide is not None:
            contents["guide"] = hash_file(recipe.wishes.guide)
            recipe = replace(recipe, wishes=_absolute_guide(recipe.wishes))
    if order.sound_style is not None:
        check_audio_style(order.sound_style)
        contents["sound style"] = hash_file(order.sound_style)
        order = replace(order, sound_style=order.sound_style.resolve())
    if hears:
        contents |= _hash_network(recipe.sound_net, "sound", "sound network", recipe.sound_weights)
        load_card(recipe.sound_net).check_classes(recipe.sound_wishes.terms)
        if recipe.sound_wishes.guide is not None:
            probe_guide_sound(recipe.sound_wishes.guide)
            contents["sound guide"] = hash_file(recipe.sound_wishes.guide)
            recipe = replace(recipe, sound_wishes=_absolute_guide(recipe.sound_wishes))
    recipe = replace(
        recipe,
        net=_absolute_network(recipe.net),
        sound_net=_absolute_network(recipe.sound_net),
        weights=_absolute_weights(recipe.weights),
        sound_weights=_absolute_weights(recipe.sound_weights),
    )
    return Job(
        source.resolve(),
        out.resolve(),
        order,
        recipe,
        overwrite,
        contents,
        describe_environment(recipe),
        extras,
    )


def format_differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two sets of settings, for a person: ``steps was 10, is 3; ...``."""
    found = []
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        secret = any(isinstance(value, str) and len(value) == DIGEST_DIGITS for value in (old, new))
        said = "has changed" if secret else f"was {_format_value(old)}, is {_format_value(new)}"
        found.append(f"{name.replace('_', '-')} {said}")
    return "; ".join(found)


def fingerprint_file(path: Path) -> str:
    """SHA-256 of a file's size and of samples of it: quick for a film of any length.

    The time of its last change is left out: a copy is the same film.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        for number in range(MIDDLE_SAMPLES + 2):
            file.seek(max(0, size - SAMPLE_BYTES) * number // (MIDDLE_SAMPLES + 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _hash_network(name: str, medium: str, role: str, weights: WeightsSource) -> dict[str, str]:
    path, told = locate_weights(load_card(name, medium), weights), card_path(name)
    return {
        f"{role}'s card": "guessed" if told is None else hash_file(told),
        f"{role}'s weights": RANDOM if path is None else hash_file(path),
    }


def _absolute_network(network: str) -> str:
    """A network of the user's own by a name that holds in any folder."""
    return str(Path(network).expanduser().resolve()) if is_user_model(network) else network


def _absolute_weights(weights: WeightsSource) -> WeightsSource:
    """A weights file by a name that holds in any folder."""
    return weights if weights in (None, RANDOM) else str(Path(weights).expanduser().resolve())


def _absolute_pass(pass_: Pass) -> Pass:
    style, mask = pass_.style, pass_.mask
    if style is not None:
        style = replace(style, models=tuple((path.resolve(), weight) for path, weight in style.models))
    return replace(
        pass_,
        style=style,
        wishes=None if pass_.wishes is None else _absolute_guide(pass_.wishes),
        net=None if pass_.net is None else _absolute_network(pass_.net),
        weights=_absolute_weights(pass_.weights),
        mask=None if mask is None else replace(mask, path=mask.path.resolve()),
    )


def _absolute_guide(targets: Targets) -> Targets:
    return targets if targets.guide is None else replace(targets, guide=targets.guide.resolve())


def _hash_pass_files(pass_: Pass) -> dict[str, str]:
    """SHA-256 of a pass's paintings, guide and mask, by role."""
    paintings = () if pass_.style is None else pass_.style.models
    paths = {f"painting {number}": path for number, (path, _) in enumerate(paintings, 1)}
    if pass_.wishes is not None and pass_.wishes.guide is not None:
        paths["guide"] = pass_.wishes.guide
    if pass_.mask is not None:
        paths["mask"] = pass_.mask.path
    return {role: hash_file(path) for role, path in paths.items()}


def _flatten(job: dict[str, Any]) -> dict[str, Any]:
    """All that decides what a job makes, by one name each; not where files lie, but what they hold."""
    values = {**job["order"], **job["recipe"], **job["contents"]}
    passes = values.pop("passes")
    for name in ("sound_style", "weights", "sound_weights"):
        del values[name]
    schedule, image = values.pop("schedule"), {**_name_terms(values.pop("wishes")), **values.pop("manner")}
    audio = {**_name_terms(values.pop("sound_wishes")), **values.pop("sound_manner")}
    values |= {f"sound_{name}": value for name, value in audio.items()}
    for number, pass_ in enumerate(passes, 1):
        values |= {f"pass {number} {name}": value for name, value in _flatten_pass(pass_).items()}
    for name in ("drives", "sound_drives"):
        values[name] = ", ".join(str(Drive(**drive)) for drive in values[name])
    for role in ("net", "sound_net"):
        if is_user_model(values[role]):
            values[role] = Path(values[role]).name
    return {"result": Path(job["out"]).suffix.lower(), **schedule, **image, **values}


def _flatten_pass(pass_: dict[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in pass_.items() if name != "weights"}
    if values["style"] is not None:
        values["style"] = {**values["style"], "models": [weight for _, weight in values["style"]["models"]]}
    if values["mask"] is not None:
        values["mask"] = {"feather": values["mask"]["feather"]}
    if (targets := values.pop("wishes")) is not None:
        values |= _name_terms(targets)
    values |= values.pop("settings")
    return {name: value for name, value in values.items() if value is not None}


def _name_terms(targets: dict[str, Any]) -> dict[str, Any]:
    terms = msgspec.convert(targets["terms"], tuple[Term, ...])
    return {"terms": ", ".join(map(str, terms)), "measure": targets["measure"]}


def _digest(settings: dict[str, Any]) -> str:
    text = json.dumps([JOB_FORMAT, settings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _format_value(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        if len(value) > 1:
            return "another curve"
        value = value[0][1] if value else ""
    return f"{value:g}" if isinstance(value, float) else str(value) or "not set"
