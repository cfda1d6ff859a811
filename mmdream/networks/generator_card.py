"""The generators there are: what each makes, of which classes, and where its weights lie.

A generator has a folder ``NAME.generator`` with a card, its weights and the report of its training: in
``models/`` of the package, beside the networks that were trained, or wherever the user says.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec
import tomli_w

from mmdream.core.errors import UserError
from mmdream.networks.card import MODELS_FOLDER
from mmdream.networks.registry import (
    FOREIGN_SUFFIXES,
    GENERATOR_ENDING,
    check_name,
    list_networks,
    trained_folder,
)

Medium = Literal["picture", "sound"]
Form = Literal["picture", "spectrogram", "wave"]
"""What a generator makes: pictures, float32 [n, side, side, 3], RGB 0..1; spectrograms, [n, frame, band, 1],
0..1; waves, [n, sample, 1], -1..1. See `mmdream.audio.events` of the latter two."""
SPECTROGRAM_FRAMES, WAVE_SAMPLES = 96, 16_384
"""Of an event, whatever its bands."""
MAP_RATE, WAVE_RATE = 44_100, 16_000
"""Samples a second of an event that is made as a spectrogram, whose frames are 512 of them, and as a wave."""
GENERATOR_CARD, GENERATOR_WEIGHTS = "generator.toml", "weights.npz"
SIDES: dict[Form, tuple[int, ...]] = {
    "picture": (32, 64, 128),
    "spectrogram": (64, 128),
    "wave": (WAVE_SAMPLES,),
}
"""px that a generator's pictures may have, bands of its spectrograms, samples of its waves."""
MAX_CLASSES, MAX_WIDTH = 1000, 64
"""What a card may claim: a graph is built by it before its weights are looked at."""


@dataclass(frozen=True)
class GeneratorCard:
    """Everything about a generator but its weights; fields are keys of its file."""

    role: Literal["generator"]
    classes: tuple[str, ...]
    """Names, in the order of its input."""
    side: int
    """px of its pictures, bands of its spectrograms, or samples of its waves."""
    width: int
    """Channels of its finest level."""
    sha256: str
    """Of its weights file."""
    form: Form = "picture"
    """What it makes, see `networks.generator_model.build_form`."""
    about: str = ""
    licence: str = ""
    source: str = ""
    credits: str = ""
    facts: dict[str, str | int | float] = field(default_factory=dict, compare=False)
    home: Path = field(default=MODELS_FOLDER, compare=False)
    """Its folder."""

    def __post_init__(self) -> None:
        if self.side not in SIDES[self.form] or not 4 <= self.width <= MAX_WIDTH:
            raise ValueError(f"a {self.form} of {self.side} by {self.width} channels is none that is made")
        if not 2 <= len(self.classes) <= MAX_CLASSES or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"{len(self.classes)} classes, or two of one name")

    @property
    def medium(self) -> Medium:
        """What it makes: pictures or sounds."""
        return "picture" if self.form == "picture" else "sound"

    @property
    def name(self) -> str:
        """What it is called."""
        return self.home.name.removesuffix(GENERATOR_ENDING)

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        return self.home / GENERATOR_WEIGHTS

    @property
    def _places(self) -> dict[str, int]:
        return {_plain_name(each): place for place, each in enumerate(self.classes)}

    def makes(self, name: str) -> bool:
        """Whether it has a class of that name."""
        return _plain_name(name) in self._places

    def class_index(self, name: str) -> int:
        """A class's place in the input; `UserError`: it has none of that name, the nearest are told."""
        known, wanted = self._places, _plain_name(name)
        if wanted in known:
            return known[wanted]
        near = difflib.get_close_matches(wanted, known, 3, 0.5)
        told = f"nearest: {', '.join(near)}" if near else f"it has {', '.join(self.classes[:12])}"
        raise UserError(f'generator {self.name} makes no "{name}"; {told}')


def _plain_name(name: str) -> str:
    return name.lower().replace("_", " ")


def new_generator_folder(name: str, overwrite: bool) -> Path:
    """Where a generator that is to be trained will lie; `UserError`: no name for it, or a taken one."""
    check_name(name, "generator")
    if (MODELS_FOLDER / f"{name}{GENERATOR_ENDING}").exists() or name in list_networks():
        raise UserError(f"-o {name}: is called so already, see `mmdream nets`; choose another name")
    folder = trained_folder() / f"{name}{GENERATOR_ENDING}"
    if folder.exists() and not overwrite:
        raise UserError(f"{name}: exists already ({folder}); add --overwrite or choose another name with -o")
    return folder


def list_generators() -> Iterator[GeneratorCard]:
    """The generators of the package and the user's own; a damaged card is a `UserError`."""
    for folder in (MODELS_FOLDER, trained_folder()):
        for file in sorted(folder.glob(f"*{GENERATOR_ENDING}/{GENERATOR_CARD}")):
            yield read_generator_card(file)


def find_generator(name: str, medium: Medium | None = None) -> GeneratorCard:
    """A generator by its name, or by the path of its folder.

    `UserError`: there is none, it is damaged, or it makes none of the `medium`.
    """
    card = _find_generator(name)
    if medium not in (None, card.medium):
        other = {"picture": "mmdream image --from", "sound": "mmdream audio --from"}[card.medium]
        raise UserError(
            f"{name}: makes {card.medium}s and no {medium}s; it goes with `{other} generator:{name}`"
        )
    return card


def _find_generator(name: str) -> GeneratorCard:
    path = Path(name).expanduser()
    if path.suffix in (*FOREIGN_SUFFIXES, ".keras"):
        raise UserError(
            f"{name}: a generator is a folder NAME{GENERATOR_ENDING} that `mmdream train generator` makes; "
            "weights of other programs are not read"
        )
    if path.suffix == GENERATOR_ENDING or len(path.parts) > 1:
        if not (path / GENERATOR_CARD).is_file():
            raise UserError(f"{name}: is no generator's folder; it has no {GENERATOR_CARD}")
        return read_generator_card(path / GENERATOR_CARD)
    for folder in (MODELS_FOLDER, trained_folder()):
        if (file := folder / f"{name}{GENERATOR_ENDING}" / GENERATOR_CARD).is_file():
            return read_generator_card(file)
    others = [
        file.parent.name.removesuffix(GENERATOR_ENDING)
        for each in (MODELS_FOLDER, trained_folder())
        for file in each.glob(f"*{GENERATOR_ENDING}/{GENERATOR_CARD}")
    ]
    told = (
        f"generators: {', '.join(sorted(others))}" if others else "train one with `mmdream train generator`"
    )
    if name.partition(":")[0] in list_networks():
        raise UserError(f"{name}: is a network that dreams and tells classes, and makes nothing; {told}")
    raise UserError(f'no generator "{name}"; {told}')


def read_generator_card(file: Path) -> GeneratorCard:
    """A generator's card; `UserError`: it is damaged, or the card of something else."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return replace(msgspec.convert(content, GeneratorCard), home=file.parent.resolve())
    except (OSError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise UserError(f"{file}: is no generator's card, or is damaged ({told})") from error


def generator_card_to_toml(card: GeneratorCard) -> str:
    """TOML from which `read_generator_card` makes the same card again."""
    return tomli_w.dumps({key: value for key, value in asdict(card).items() if key != "home"})
