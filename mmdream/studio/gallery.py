"""What networks can be asked for, to be looked at and heard: dreamed once for a network, and kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from mmdream.core.errors import Interrupted, UserError
from mmdream.core.files import hash_file, user_cache_folder
from mmdream.media.image import write_image
from mmdream.networks.card import MODELS_FOLDER
from mmdream.networks.registry import card_path, list_networks, load_card
from mmdream.prompts.reading import rank_dreams
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets, parse_target

ATOMS_FOLDER = MODELS_FOLDER / "atoms"
KINDS = {"motif": ".jpg", "class": ".jpg", "sound": ".wav"}
SIDE = 160
"""px of a picture."""
MOST_FOUND, LEAST_LIKENESS = 12, 0.5
"""Names that words find."""
SCHEDULE = Schedule(octaves=4, steps=24, strength=2.0)
"""Clear at a glance, out of faint noise."""
SOUND_SECONDS, SOUND_RATE = 2.0, 22050
NOISE_LEVEL = 0.02
"""RMS of the noise that sounds are dreamed out of: hardly heard."""


def find_entry(net: str, kind: str, name: str) -> Path:
    """The file of a network's motif or class, there or not; `UserError`: there is no such one."""
    card = load_card(net, "sound" if kind == "sound" else "picture") if net in list_networks() else None
    if card is None or name not in (card.motifs if kind == "motif" else card.primary_names()):
        raise UserError(f"there is no {kind} {name} of {net}")
    # Another version of a network dreams other pictures.
    version = hash_file(path)[:16] if (path := card_path(net)) else net
    folder = user_cache_folder() / "studio" / "gallery" / version
    return folder / f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:16]}{KINDS[kind]}"


def find_names(net: str, words: str) -> list[str]:
    """Motifs and classes of a network that some words come near to, the nearest first; of no words none."""
    card = load_card(net) if net in list_networks() else None
    if card is None:
        raise UserError(f"there is no network {net}")
    try:
        ranked = rank_dreams(words, card)
    except UserError:  # As long as somebody types, there are words that are none.
        return []
    return [name for name, likeness in ranked[:MOST_FOUND] if likeness >= LEAST_LIKENESS]


def make_entry(net: str, kind: str, name: str, path: Path, is_stopped: Callable[[], bool]) -> None:
    """Dream it; this brings TensorFlow in. `Interrupted` is raised when `is_stopped` says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    if kind == "sound":
        _dream_sound(net, name, draft, is_stopped)
    else:
        _dream_picture(net, kind, name, draft, is_stopped)
    os.replace(draft, path)


def _dream_picture(net: str, kind: str, name: str, path: Path, is_stopped: Callable[[], bool]) -> None:
    from mmdream.core.events import EventSink
    from mmdream.image.spectrum import make_noise_image
    from mmdream.render.image import render_image

    schedule, wishes = SCHEDULE, Targets()
    if kind == "motif":
        schedule = SCHEDULE.with_settings(motif=name)
    else:
        wishes = Targets((parse_target(name),))
    recipe = Recipe(schedule=schedule, wishes=wishes, net=net)
    noise = make_noise_image(SIDE, SIDE, 0)
    rgb, _ = render_image(noise, recipe, EventSink(), on_step=lambda _rgb: _check(is_stopped))
    write_image(path, rgb)


def _dream_sound(net: str, name: str, path: Path, is_stopped: Callable[[], bool]) -> None:
    import numpy as np
    import soundfile

    from mmdream import dream_audio
    from mmdream.core.events import EventSink
    from mmdream.core.rng import rng_for

    noise = rng_for(0, "gallery").standard_normal(round(SOUND_SECONDS * SOUND_RATE))
    recipe = Recipe(sound_net=net, sound_wishes=Targets((parse_target(name),)))
    watch = EventSink(lambda _event: _check(is_stopped))
    sound = dream_audio((NOISE_LEVEL * noise).astype(np.float32), SOUND_RATE, recipe, listener=watch)
    soundfile.write(path, sound, SOUND_RATE, "PCM_16")


def _check(is_stopped: Callable[[], bool]) -> None:
    if is_stopped():
        raise Interrupted


def list_atoms() -> dict[str, list[str]]:
    """Names of the atoms that ship, by kind."""
    atoms: dict[str, list[str]] = {}
    for path in sorted(ATOMS_FOLDER.glob("*/*.ogg")):
        atoms.setdefault(path.parent.name, []).append(path.stem)
    return atoms


def find_atom(kind: str, number: int) -> Path:
    """The file of an atom that ships, by its place among its kind; `UserError`: there is none."""
    names = list_atoms().get(kind, [])
    if not 0 <= number < len(names):
        raise UserError(f"there is no such atom of {kind}")
    return ATOMS_FOLDER / kind / f"{names[number]}.ogg"
