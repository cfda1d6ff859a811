"""What a job is to make, in full, and the machine and libraries that its bits depend on.

Written down before the work, and compared before it goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from mmdream import __version__
from mmdream.core.files import hash_file
from mmdream.core.processors import count_threads
from mmdream.networks.network import choose_precision, has_bfloat16
from mmdream.networks.registry import GENERATOR_ENDING, card_path, is_user_model, load_card
from mmdream.networks.weights import RANDOM, locate_weights
from mmdream.settings.definition import read_text, to_dict
from mmdream.settings.passes import Pass, WeightsSource
from mmdream.settings.recipe import GENERATOR_PREFIX, GRAIN_SETS, NO_EXTRAS, ExtraOutputs, Recipe, Selection
from mmdream.settings.schedule import Drive
from mmdream.settings.targets import Term

SAMPLE_BYTES = 1 << 20
"""Bytes of the source that are read at its beginning, at its end, and at `MIDDLE_SAMPLES` places."""
MIDDLE_SAMPLES = 14
DIGEST_DIGITS = 64
"""Of a SHA-256, which tells a person nothing."""
JOB_FORMAT = 23
"""Of job.json; another one is another job."""
LIBRARIES = (
    *("av", "imageio-ffmpeg", "keras", "librosa", "numpy", "opencv-python-headless", "pyloudnorm"),
    *("scenedetect-headless", "scipy", "soundfile", "tensorflow"),
)
"""Those that touch a pixel or a sample."""
GPU_FOLDER = Path("/proc/driver/nvidia/gpus")


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

    def to_json(self) -> str:
        """The job as it is written down."""
        return json.dumps({"format": JOB_FORMAT, "digest": _digest(self.settings), **to_dict(self)}, indent=1)

    @staticmethod
    def from_json(text: str) -> Job:
        """What `to_json` gave; a ValueError if it is something else, or was changed."""
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
    """Write down what is to be made; `hears`: a sound is dreamed. UserError: what the networks cannot do."""
    # Whoever only looks at jobs, as the studio does, does without the libraries behind these.
    from mmdream.networks.couplings import check_couplings, choose_motif_network, load_couplings
    from mmdream.render.atoms import hash_grain_set, list_grain_kinds
    from mmdream.render.audio_style import check_audio_style
    from mmdream.render.models import probe_guide_sound

    contents = {"source": fingerprint_file(source)}
    if not order.keep_picture:
        contents |= _hash_image_network(recipe)
        for number, pass_ in enumerate(recipe.passes, 1):
            own = recipe.for_pass(pass_)
            found = _hash_image_network(own) | _hash_pass_files(pass_)
            contents |= {f"pass {number} {role}": digest for role, digest in found.items()}
        if recipe.wishes.guide is not None:
            contents["guide"] = hash_file(recipe.wishes.guide)
    if order.sound_style is not None:
        check_audio_style(order.sound_style)
        contents["sound style"] = hash_file(order.sound_style)
    listens = not order.keep_picture and not recipe.schedule.curve("heard_to_seen").is_zero
    if hears or listens:
        contents |= _hash_network(recipe.sound_net, "sound", "sound network", recipe.sound_weights)
    nets = [] if order.keep_picture else [recipe.net, *(recipe.for_pass(each).net for each in recipe.passes)]
    if (table := recipe.couplings) is not None:
        able = *map(load_card, nets), load_card("dreamnet")
        check_couplings(table, able, load_card(recipe.sound_net, "sound"), list_grain_kinds(recipe))
        contents["table of couplings"] = hash_file(table)
    if hears and not recipe.schedule.curve("seen_to_heard").is_zero:
        sound = load_card(recipe.sound_net)
        motif_network = choose_motif_network(map(load_card, nets), sound, load_couplings(table))
        contents |= _hash_network(motif_network.name, "picture", "looking network", None)
    if hears:
        load_card(recipe.sound_net).check_classes(recipe.sound_wishes.terms)
        if (digest := hash_grain_set(recipe)) is not None:
            contents["grain set"] = digest
        if recipe.sound_wishes.guide is not None:
            probe_guide_sound(recipe.sound_wishes.guide)
            contents["sound guide"] = hash_file(recipe.sound_wishes.guide)
    order, recipe = _with_absolute_paths(order), _with_absolute_paths(recipe)
    environment = describe_environment(recipe)
    return Job(source.resolve(), out.resolve(), order, recipe, overwrite, contents, environment, extras)


def describe_environment(recipe: Recipe) -> dict[str, str]:
    """Where a recipe is dreamed: two runs with equal values give equal bits.

    Nothing here needs TensorFlow, so that a job of another machine is refused at once.
    """
    nets = {"precision": recipe.net}
    nets |= {
        f"pass {number} precision": recipe.for_pass(each).net for number, each in enumerate(recipe.passes, 1)
    }
    return {
        **{name: choose_precision(recipe.precision, load_card(net)) for name, net in nets.items()},
        "processor": platform.machine(),
        "bfloat16": "yes" if has_bfloat16() else "no",
        "threads": str(count_threads()),
        "GPUs": _list_gpus(),
        "mmdream": __version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _library_version(name) for name in LIBRARIES},
    }


def _list_gpus() -> str:
    """Models of the graphics cards that may be used, as NVIDIA's driver tells them."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "none"
    found = [
        line.partition(":")[2].strip()
        for file in sorted(GPU_FOLDER.glob("*/information"))
        for line in file.read_text(errors="replace").splitlines()
        if line.startswith("Model")
    ]
    return ", ".join(found) or "none"


def _library_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


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
    """SHA-256 of a file's size and of samples of it: quick for any length, the same of a copy."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        for number in range(MIDDLE_SAMPLES + 2):
            file.seek(max(0, size - SAMPLE_BYTES) * number // (MIDDLE_SAMPLES + 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _hash_image_network(recipe: Recipe) -> dict[str, str]:
    """The picture network's card, weights and dreamer; a `UserError`: they cannot dream what is asked for."""
    from mmdream.render.models import choose_dreamer, locate_image_network

    card, weights = locate_image_network(recipe)
    found = _hash_network(recipe.net, "picture", "network", recipe.weights)
    if recipe.engine == "feedforward":
        found["dreamer's weights"] = choose_dreamer(card, weights, recipe.schedule).sha256
    return found


def _hash_network(name: str, medium: str, role: str, weights: WeightsSource) -> dict[str, str]:
    path, told = locate_weights(load_card(name, medium), weights), card_path(name)
    return {
        f"{role}'s card": "guessed" if told is None else hash_file(told),
        f"{role}'s weights": RANDOM if path is None else hash_file(path),
    }


def _with_absolute_paths(value: Any) -> Any:
    """Settings whose files, and networks of the user's own, go by names that hold in any folder."""
    if isinstance(value, Path):
        return value.resolve()
    if type(value) is tuple:
        return tuple(map(_with_absolute_paths, value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    found = {each.name: _with_absolute_paths(getattr(value, each.name)) for each in fields(value)}
    for role in ("net", "sound_net", "weights", "sound_weights"):
        name = found.get(role)
        if name not in (None, RANDOM) and (role.endswith("weights") or is_user_model(name)):
            found[role] = str(Path(name).expanduser().resolve())
    if found.get("grain_set", "none") not in GRAIN_SETS:
        found["grain_set"] = _resolve_grain_set(found["grain_set"])
    return replace(value, **found)


def _resolve_grain_set(name: str) -> str:
    """A folder's absolute path; of a generator too, unless it is called by its name."""
    prefix = GENERATOR_PREFIX if name.startswith(GENERATOR_PREFIX) else ""
    path = Path(name.removeprefix(prefix)).expanduser()
    is_name = prefix and len(path.parts) == 1 and path.suffix != GENERATOR_ENDING
    return name if is_name else f"{prefix}{path.resolve()}"


def _hash_pass_files(pass_: Pass) -> dict[str, str]:
    """SHA-256 of a pass's paintings, guide and mask, by role."""
    paintings = () if pass_.style is None else pass_.style.models
    paths = {f"painting {number}": path for number, (path, _) in enumerate(paintings, 1)}
    if pass_.wishes is not None and pass_.wishes.guide is not None:
        paths["guide"] = pass_.wishes.guide
    if pass_.mask is not None and pass_.mask.path is not None:
        paths["mask"] = pass_.mask.path
    return {role: hash_file(path) for role, path in paths.items()}


def _flatten(job: dict[str, Any]) -> dict[str, Any]:
    """All that decides what a job makes, by one name each; not where files lie, but what they hold."""
    values = {**job["order"], **job["recipe"], **job["contents"]}
    passes = values.pop("passes")
    for name in ("sound_style", "weights", "sound_weights", "couplings"):
        values.pop(name, None)
    schedule, image = values.pop("schedule"), {**_name_terms(values.pop("wishes")), **values.pop("manner")}
    audio = {**_name_terms(values.pop("sound_wishes")), **values.pop("sound_manner")}
    if audio.get("grain_set", "none") not in GRAIN_SETS:
        audio["grain_set"] = Path(audio["grain_set"]).name
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
        values["mask"] = {name: value for name, value in values["mask"].items() if name != "path"}
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
