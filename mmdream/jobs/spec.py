"""What a job is to make, in full: written down before the work, and compared before it goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from mmdream.core.files import hash_file
from mmdream.image.objective import check_targets
from mmdream.jobs.environment import describe_environment
from mmdream.networks.card import card_path, is_user_model, load_card
from mmdream.networks.weights import RANDOM, locate_weights
from mmdream.render.audio_style import check_audio_style
from mmdream.render.models import probe_guide_sound
from mmdream.settings import files
from mmdream.settings.modulation import Drive
from mmdream.settings.recipe import AscentOptions, AudioOptions, Recipe, Selection, WeightsSource
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets

SAMPLE_BYTES = 1 << 20
"""Bytes of the source that are read at its beginning, at its end, and at `MIDDLE_SAMPLES` places."""
MIDDLE_SAMPLES = 14
DIGEST_DIGITS = 64
"""Of a SHA-256, which tells a person nothing."""
JOB_FORMAT = 6
"""Of job.json; another one is another job."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What is made besides the film; it decides nothing about the film."""

    preview: Path | None = None
    """A picture of the newest frame, renewed while the film is dreamed."""
    sheet: Path | None = None
    """A picture of the finished film's moments."""
    compare: bool = False
    """Whether source and dream are laid side by side in a film of their own."""

    def absolute(self) -> Extras:
        """With names that hold in any folder."""
        return replace(
            self, preview=self.preview and self.preview.absolute(), sheet=self.sheet and self.sheet.absolute()
        )


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
    extras: Extras = Extras()

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides what is made, flat, as plain JSON."""
        found = {**_to_dict(self.order), **_to_dict(self.recipe), **self.contents}
        schedule, wishes = found.pop("schedule"), {**found.pop("wishes"), **found.pop("manner")}
        heard = {**found.pop("sound_wishes"), **found.pop("sound_manner")}
        del found["sound_style"]
        # Not where weights lie, but what they are.
        del found["weights"], found["sound_weights"]
        del wishes["guide"], heard["guide"]
        wishes["terms"] = ", ".join(map(str, self.recipe.wishes.terms))
        heard["terms"] = ", ".join(map(str, self.recipe.sound_wishes.terms))
        found |= {f"sound_{name}": value for name, value in heard.items()}
        del found["passes"]
        for number, stroke in enumerate(self.recipe.passes, 1):
            found |= {f"pass {number} {name}": value for name, value in files.describe_pass(stroke).items()}
        found["drives"] = ", ".join(map(str, self.recipe.drives))
        found["sound_drives"] = ", ".join(map(str, self.recipe.sound_drives))
        # A network of the user's own is what its file holds.
        found |= {role: Path(found[role]).name for role in ("net", "sound_net") if is_user_model(found[role])}
        return {"result": self.out.suffix.lower(), **schedule, **wishes, **found}

    @property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        text = json.dumps([JOB_FORMAT, self.settings], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """The job as it is written down."""
        values = {
            "format": JOB_FORMAT,
            "digest": self.digest,
            "source": str(self.source),
            "out": str(self.out),
            "overwrite": self.overwrite,
            "order": _to_dict(self.order),
            "recipe": _to_dict(self.recipe),
            "contents": self.contents,
            "environment": self.environment,
            "extras": _to_dict(self.extras),
        }
        return json.dumps(values, indent=1)

    @staticmethod
    def from_json(text: str) -> Job:
        """What `to_json` gave.

        Raises:
            ValueError: it is something else, or was changed.
        """
        try:
            values = json.loads(text)
            recipe, order = dict(values["recipe"]), dict(values["order"])
            schedule = Schedule(**recipe.pop("schedule"))
            wishes, heard = (files.targets_from_dict(recipe.pop(name)) for name in ("wishes", "sound_wishes"))
            manner = AscentOptions(**recipe.pop("manner"))
            sound = AudioOptions(**recipe.pop("sound_manner"))
            recipe["passes"] = tuple(map(files.pass_from_dict, recipe["passes"]))
            for name in ("drives", "sound_drives"):
                recipe[name] = tuple(Drive(**plain) for plain in recipe[name])
            for name in ("start", "end"):
                order[name] = None if order[name] is None else Fraction(order[name])
            if order["sound_style"] is not None:
                order["sound_style"] = Path(order["sound_style"])
            job = Job(
                Path(values["source"]),
                Path(values["out"]),
                Selection(**order),
                Recipe(
                    schedule=schedule,
                    wishes=wishes,
                    manner=manner,
                    sound_wishes=heard,
                    sound_manner=sound,
                    **recipe,
                ),
                values["overwrite"],
                values["contents"],
                values["environment"],
                _extras_from_dict(values["extras"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a job: {error}") from error
        if values.get("digest") != job.digest:
            raise ValueError("not a job of this version")
        return job


def describe_job(
    source: Path,
    out: Path,
    order: Selection,
    recipe: Recipe,
    hears: bool,
    overwrite: bool,
    extras: Extras = Extras(),
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
        check_targets(load_card(recipe.net), recipe.schedule, recipe.wishes)
        for number, stroke in enumerate(recipe.passes, 1):
            own = recipe.of(stroke)
            check_targets(load_card(own.net, "picture"), own.schedule, own.wishes)
            found = _hash_network(own.net, "picture", "network", own.weights) | files.hash_pass_files(stroke)
            contents |= {f"pass {number} {role}": digest for role, digest in found.items()}
        recipe = replace(recipe, passes=tuple(map(files.absolute_pass, recipe.passes)))
        if recipe.wishes.guide is not None:
            contents["guide"] = hash_file(recipe.wishes.guide)
            recipe = replace(recipe, wishes=files.absolute_targets(recipe.wishes))
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
            recipe = replace(recipe, sound_wishes=files.absolute_targets(recipe.sound_wishes))
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


def _extras_from_dict(plain: dict[str, Any]) -> Extras:
    names = {name: None if plain[name] is None else Path(plain[name]) for name in ("preview", "sheet")}
    return Extras(**names, compare=plain["compare"])


def _to_dict(settings: Selection | Recipe | AscentOptions | AudioOptions | Extras) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if each.name == "passes":
            value = [files.pass_to_dict(stroke) for stroke in value]
        elif isinstance(value, Schedule):
            value = value.to_dict()
        elif isinstance(value, Targets):
            value = files.targets_to_dict(value)
        elif isinstance(value, (AscentOptions, AudioOptions)):
            value = _to_dict(value)
        elif isinstance(value, tuple):
            value = [asdict(each) for each in value]
        elif isinstance(value, (Path, Fraction)):
            value = str(value)
        found[each.name] = value
    return found


def _format_value(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        if len(value) > 1:
            return "another curve"
        value = value[0][1] if value else ""
    return f"{value:g}" if isinstance(value, float) else str(value) or "not set"
