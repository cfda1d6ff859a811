"""The atoms that a recipe names: shipped ones, the sound's own, those of a folder, or a generator's."""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import soundfile
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import hash_file, user_cache_folder, write_atomically
from mmdream.media.audio_files import extract_audio
from mmdream.media.credits import find_credit, read_credit_table
from mmdream.media.probe import probe
from mmdream.networks.card import MODELS_FOLDER
from mmdream.networks.generator_card import GeneratorCard, find_generator
from mmdream.settings.definition import suggest_name
from mmdream.settings.recipe import GENERATOR_PREFIX, GRAIN_SETS, Recipe

if TYPE_CHECKING:
    from mmdream.audio.grains.atoms import Atom
    from mmdream.networks.network import Network

SHIPPED_FOLDER = MODELS_FOLDER / "atoms"
MAX_FILES, MAX_FILE_SECONDS = 500, 120
"""Of a folder: files, in order of their names, and seconds of each, that are looked at."""
MAX_ATOMS, MAX_FILE_ATOMS = 240, 12
"""Of a folder, and of each file in it."""
GENERATED_ATOMS = 12
"""Of each class of a generator, as many as of a kind that ships."""
NO_SOUNDS = {".tsv", ".txt", ".md", ".csv", ".json", ".jpg", ".png"}
"""Files beside sounds, whose being no sounds needs no word."""
CACHE_FORMAT = 2
"""Of atoms that were cut; another way to cut them is another number."""


def check_grain_set(recipe: Recipe) -> None:
    """Refuse a set of grains that is not known, no folder, or one without a file; `UserError`."""
    name = recipe.sound_manner.grain_set
    if name.startswith(GENERATOR_PREFIX):
        find_generator(name.removeprefix(GENERATOR_PREFIX), "sound")
        return
    if name not in GRAIN_SETS and not Path(name).expanduser().is_dir():
        hint = suggest_name(name, GRAIN_SETS)
        raise UserError(
            f"grain-set is {name!r}; choose {', '.join(GRAIN_SETS)}, {GENERATOR_PREFIX}NAME or a folder of "
            f"sounds{hint}"
        )
    if (folder := _find_folder(recipe)) is not None:
        _list_files(folder)


def hash_grain_set(recipe: Recipe) -> str | None:
    """SHA-256 of the recordings, or the generator, behind a recipe's grains.

    None: there are none, or they are the sound's own.

    Raises what `check_grain_set` does.
    """
    check_grain_set(recipe)
    if (generator := _find_generator(recipe)) is not None:
        return generator.sha256
    folder = _find_folder(recipe)
    return None if folder is None else _hash_files(folder)


def list_grain_kinds(recipe: Recipe) -> set[str]:
    """The folders that a recipe's recordings lie in, which their kinds are named by; a generator's classes.

    Raises what `check_grain_set` does.
    """
    check_grain_set(recipe)
    if (generator := _find_generator(recipe)) is not None:
        return set(generator.classes)
    folder = _find_folder(recipe)
    files = [] if folder is None else _list_files(folder)
    return {path.parent.name for path in files if path.parent != folder}


def load_atoms(recipe: Recipe, network: Network, sink: EventSink) -> tuple[Atom, ...] | Literal["own"]:
    """The atoms of a recipe's grains; own: they are cut while it is dreamed; none where it has no grains.

    The kind of a folder's atom is the name of the folder that its file lies in, or else what `network` takes
    it for. Files without a sound that can be read are left out, and said. `UserError`: see `check_grain_set`;
    a folder without any sound.
    """
    check_grain_set(recipe)
    if recipe.schedule.curve("grains").is_zero:
        return ()
    if recipe.sound_manner.grain_set == "own":
        return "own"
    if (generator := _find_generator(recipe)) is not None:
        return tuple(_make_atoms(generator, recipe.seed))
    folder = _find_folder(recipe)
    if folder is None:
        return ()
    if folder == SHIPPED_FOLDER:
        return _read_shipped()
    from mmdream.audio.grains.atoms import name_kinds

    digest = _hash_files(folder)
    return tuple(name_kinds(_read_cached(digest) or _cut_folder(folder, digest, sink), network))


def _find_generator(recipe: Recipe) -> GeneratorCard | None:
    """The generator of a recipe's grains; None: it has none, or they are recordings."""
    name = recipe.sound_manner.grain_set
    if not name.startswith(GENERATOR_PREFIX) or recipe.schedule.curve("grains").is_zero:
        return None
    return find_generator(name.removeprefix(GENERATOR_PREFIX), "sound")


def _make_atoms(generator: GeneratorCard, seed: int) -> list[Atom]:
    """As many events of each class as `GENERATED_ATOMS`; kept, for their phases take a while."""
    from mmdream.render.generated.events import make_events

    key = json.dumps([CACHE_FORMAT, generator.sha256, generator.name, generator.classes, seed])
    digest = hashlib.sha256(key.encode()).hexdigest()
    if not (atoms := _read_cached(digest)):
        classes = list(generator.classes * GENERATED_ATOMS)[:MAX_ATOMS]
        atoms = make_events(generator, classes, seed)
        _write_cached(digest, atoms)
    return atoms


def _find_folder(recipe: Recipe) -> Path | None:
    """Where a recipe's recordings lie; None: they are none, the sound's own, or a generator's."""
    name = recipe.sound_manner.grain_set
    no_folder = name in ("own", "none") or name.startswith(GENERATOR_PREFIX)
    if no_folder or recipe.schedule.curve("grains").is_zero:
        return None
    return SHIPPED_FOLDER if name == "shipped" else Path(name).expanduser()


@functools.cache
def _read_shipped() -> tuple[Atom, ...]:
    from mmdream.audio.grains.atoms import read_atom_folder

    return tuple(read_atom_folder(SHIPPED_FOLDER))


def _list_files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not found:
        raise UserError(f"{folder}: holds no sounds to make grains of")
    return found[:MAX_FILES]


def _hash_files(folder: Path) -> str:
    files = [[path.relative_to(folder).as_posix(), hash_file(path)] for path in _list_files(folder)]
    return hashlib.sha256(json.dumps([CACHE_FORMAT, files]).encode()).hexdigest()


def _cut_folder(folder: Path, digest: str, sink: EventSink) -> list[Atom]:
    """Cut the files of a folder, each in turn giving its clearest events, and keep what was cut."""
    found, table = [], read_credit_table(folder)
    for path in _list_files(folder):
        inside = path.parent.relative_to(folder)
        try:
            found.append(_cut_file(path, inside.name, partial(find_credit, path, folder, table)))
        except UserError as error:
            if path.suffix.lower() not in NO_SOUNDS:
                sink.warn(f"{error}; it is left out of the grains")
    atoms = [atom for row in zip_longest(*found) for atom in row if atom is not None][:MAX_ATOMS]
    if not atoms:
        raise UserError(f"{folder}: holds no sounds to make grains of")
    _write_cached(digest, atoms)
    return atoms


def _cut_file(path: Path, kind: str, credit: Callable[[], str]) -> list[Atom]:
    from mmdream.audio.grains.atoms import cut_atoms

    film = probe(path)
    if not film.audio_tracks:
        raise UserError(f"{path}: has no sound")
    with tempfile.TemporaryDirectory(prefix="mmdream") as work:
        wave = Path(work) / "sound.wav"
        extract_audio(film, film.audio_tracks[0], wave, None, Fraction(MAX_FILE_SECONDS))
        samples, rate = soundfile.read(wave, dtype="float32", always_2d=True)
    heard = samples.mean(axis=1) if len(samples) else np.zeros(0, np.float32)
    if not np.isfinite(heard).all():
        raise UserError(f"{path}: has samples that are no numbers")
    atoms = cut_atoms(heard, rate, MAX_FILE_ATOMS, kind, path.stem)
    if not atoms:
        raise UserError(f"{path}: has nothing in it that begins and ends")
    named = credit()
    return [replace(atom, credit=named) for atom in atoms]


def _cache_file(digest: str) -> Path:
    return user_cache_folder() / "atoms" / f"{digest}.safetensors"


def _write_cached(digest: str, atoms: Sequence[Atom]) -> None:
    with suppress(OSError):  # A cache that cannot be written costs time alone.
        path = _cache_file(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _pack_atoms(atoms))


def _pack_atoms(atoms: Sequence[Atom]) -> bytes:
    about = [[atom.rate, atom.kind, atom.name, atom.credit] for atom in atoms]
    arrays = {f"{number:04d}": np.ascontiguousarray(atom.samples) for number, atom in enumerate(atoms)}
    return save(arrays, {"about": json.dumps(about)})


def _read_cached(digest: str) -> list[Atom]:
    """What was cut before; nothing where there is none, or it is damaged."""
    from mmdream.audio.grains.atoms import Atom

    try:
        with safe_open(_cache_file(digest), "numpy") as file:
            about = json.loads(file.metadata()["about"])
            return [Atom(file.get_tensor(f"{number:04d}"), *each) for number, each in enumerate(about)]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return []
