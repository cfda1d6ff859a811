"""The networks there are, and their card files.

A network of the package has one TOML file in ``models/``, one that was trained a folder with its card, its
weights and the report of its training. One of the user's own is a Keras file, see `networks.user_model`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from mmdream.core.errors import UserError
from mmdream.core.files import user_data_folder
from mmdream.networks import user_model
from mmdream.networks.card import (
    MODELS_FOLDER,
    AudioInput,
    Hint,
    ImageInput,
    KerasWeights,
    NetworkCard,
    NoWeights,
    ShippedWeights,
    SnapshotWeights,
    TrainedWeights,
    lists_to_tuples,
    parse_rungs,
)
from mmdream.settings.targets import Term, parse_channel

CARD_FILE = "card.toml"
"""Of a trained network, in its folder."""
GENERATOR_ENDING = ".generator"
"""Of the folder of what makes pictures, see `networks.generator_card`."""
NETWORK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a network may be called: a folder on any system, and no option, path, variant or file."""
FOREIGN_SUFFIXES = (
    *(".h5", ".hdf5", ".pb", ".pt", ".pth", ".pkl", ".pickle"),
    *(".onnx", ".tflite", ".npz", ".safetensors"),
)
"""Files that hold networks or weights and are no network here."""
WEIGHT_SOURCES: dict[str, Any] = {
    "shipped": ShippedWeights,
    "trained": TrainedWeights,
    "snapshot": SnapshotWeights,
    "keras": KerasWeights,
    "none": NoWeights,
}
"""What a card calls them."""


def list_networks(medium: str | None = None) -> list[str]:
    """Names of the networks of one medium or of both, sorted; without their variants."""
    trained = (path.parent.name for path in trained_folder().glob(f"*/{CARD_FILE}"))
    names = sorted({*_shipped_names(), *(name for name in trained if NETWORK_NAME.fullmatch(name))})
    return [name for name in names if medium is None or load_card(name).medium == medium]


def list_variants(name: str) -> list[str]:
    """The other forms of a network, as `load_card` takes them: ``NAME:VARIANT``."""
    return [f"{name}:{variant}" for variant in _read_toml(_card_file(name)).get("variants", {})]


def is_user_model(name: str) -> bool:
    """Whether a network's name is that of a Keras file of the user's own."""
    return Path(name).suffix == ".keras"


def card_path(name: str) -> Path | None:
    """The file that a network's card is read from; None: the card of a user's network is all guessed."""
    if not is_user_model(name):
        return _card_file(name.partition(":")[0])
    path = Path(name).expanduser().with_suffix(".toml")
    return path if path.is_file() else None


def load_card(name: str, medium: str | None = None) -> NetworkCard:
    """Read the card of a network, of a variant of it, or of a Keras file of the user's own.

    Raises:
        UserError: no such network, or none of the `medium` asked for; names the nearest ones.
    """
    if is_user_model(name):
        return user_model.build_user_card(Path(name).expanduser(), medium)
    if Path(name).suffix in FOREIGN_SUFFIXES:
        raise UserError(
            f"{name}: a network of your own is a Keras 3 file, NAME.keras; pickled ones are never read, "
            "older Keras files are loaded in Keras and saved anew"
        )
    network = name.partition(":")[0]
    if network not in list_networks() or name not in (network, *list_variants(network)):
        if any((each / f"{name}{GENERATOR_ENDING}").is_dir() for each in (MODELS_FOLDER, trained_folder())):
            raise UserError(
                f"{name}: is a generator, which makes what is dreamed on; see --from generator:{name}"
            )
        choice = [each for own in list_networks(medium) for each in (own, *list_variants(own))]
        near = difflib.get_close_matches(name.lower(), choice, 2, 0.5) or list_networks(medium)
        raise UserError(f'no network "{name}"; nearest: {", ".join(near)} (see `mmdream nets`)')
    file = _card_file(network)
    card = _load_cached(name, file, file.stat().st_mtime_ns)
    if medium not in (None, card.medium):
        choice = list_networks(medium)
        raise UserError(f"{name} is a {card.medium} network; {medium} networks: {', '.join(choice)}")
    return card


def find_motif(card: NetworkCard, name: str) -> Term:
    """The channels or the class that a motif of a network stands for, or the class of that name.

    UserError: there is neither.
    """
    if name not in card.motifs and card.has_class(name):
        return Term("target", name)
    if not card.motifs:
        others = " and ".join(other for other in list_networks(card.medium) if load_card(other).motifs)
        raise UserError(f"{card.name} has no motifs; {others} have some")
    if name not in card.motifs:
        near = difflib.get_close_matches(name.lower(), card.motifs, 3, 0.5) or list(card.motifs)[:3]
        raise UserError(
            f'{card.name} has no motif "{name}"; nearest: {", ".join(near)}; all: `mmdream nets {card.name}`'
        )
    meaning = card.motifs[name]
    return Term("target", meaning[1:]) if meaning.startswith("=") else parse_channel(meaning)


def trained_folder() -> Path:
    """The folder of the networks that were trained: ``MMDREAM_MODELS``, or by the platform's custom."""
    folder = os.environ.get("MMDREAM_MODELS")
    return Path(folder).expanduser() if folder else user_data_folder() / "models"


def new_network_folder(name: str, overwrite: bool) -> Path:
    """Where a network that is to be trained will lie; UserError: no name for it, or a taken one."""
    check_name(name, "network")
    if name.lower() in _shipped_names():
        raise UserError(f"-o {name}: is a network of the package; choose another name")
    folder = trained_folder() / name
    if folder.exists() and not overwrite:
        raise UserError(f"{name}: exists already ({folder}); add --overwrite or choose another name with -o")
    return folder


def check_name(name: str, kind: str) -> None:
    """Raise a UserError if what is to be trained, of a kind, cannot be called so."""
    if not NETWORK_NAME.fullmatch(name) or name.endswith((".", ".keras", ".toml", *FOREIGN_SUFFIXES)):
        raise UserError(
            f'-o "{name}": a {kind}\'s name has letters, digits, "-", "_" and ".", no path or ending'
        )


def parse_card(name: str, content: dict[str, Any], home: Path = MODELS_FOLDER) -> NetworkCard:
    """A card from its TOML; an unknown or missing key is a bug in the card and a TypeError."""
    given = {key: value for key, value in content.items() if key != "variants"}
    if variant := name.partition(":")[2]:
        for key, value in content["variants"][variant].items():
            given[key] = {**given[key], **value} if isinstance(value, dict) and key in given else value
    given = lists_to_tuples(given)
    network_input, weights = lists_to_tuples(given.pop("input")), dict(given.pop("weights"))
    if not all(isinstance(each, str) for each in given.get("classes", ())):
        raise TypeError("a class is no name")
    return NetworkCard(
        name=name,
        home=home,
        input=(ImageInput if given["medium"] == "picture" else AudioInput)(**network_input),
        weights=WEIGHT_SOURCES[weights.pop("how")](**weights),
        rungs=parse_rungs(given.pop("rungs")),
        hints={motif: Hint(**hint) for motif, hint in given.pop("hints", {}).items()},
        **given,
    )


def card_to_toml(card: NetworkCard) -> str:
    """TOML from which `parse_card` makes the same card again, under any name."""
    how = next(how for how, kind in WEIGHT_SOURCES.items() if isinstance(card.weights, kind))
    content = {
        each.name: getattr(card, each.name)
        for each in fields(card)
        if each.name not in ("name", "home", "guesses") and getattr(card, each.name) not in (each.default, {})
    }
    content["rungs"] = [asdict(rung) for rung in card.rungs]
    if card.hints:
        content["hints"] = {motif: asdict(hint) for motif, hint in card.hints.items()}
    content["input"], content["weights"] = asdict(card.input), {"how": how, **asdict(card.weights)}
    return tomli_w.dumps(content)


@cache
def _load_cached(name: str, file: Path, changed: int) -> NetworkCard:
    """The card in a file; its time tells a newly trained network from the one before it."""
    try:
        return parse_card(name, _read_toml(file), file.parent)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        if file.parent == MODELS_FOLDER:
            raise
        raise UserError(
            f"{file}: is damaged ({error}); train the network again or delete its folder"
        ) from error


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read as a card ({error})") from error


def _card_file(name: str) -> Path:
    """The card file of a network; the package's goes before the user's."""
    return MODELS_FOLDER / f"{name}.toml" if name in _shipped_names() else trained_folder() / name / CARD_FILE


def _shipped_names() -> list[str]:
    return [file.stem for file in MODELS_FOLDER.glob("*.toml")]
