"""The sets of grains that a recipe may name: a folder of anything, a typo, nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream import Recipe, Schedule, UserError
from mmdream.core.events import EventSink, Warned
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.render import atoms as sets
from mmdream.render.atoms import hash_grain_set, load_atoms
from mmdream.settings.recipe import AudioOptions

RATE = 16000


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(load_card("melnet"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(sets, "user_cache_folder", lambda: folder)
    return folder


def recipe_of(grain_set: str | Path) -> Recipe:
    return replace(Recipe(), sound_manner=AudioOptions(grain_set=str(grain_set)))


def make_bursts(channels: int = 1, rate: int = RATE) -> np.ndarray:
    t = np.arange(2 * rate) / rate
    wave = sum(np.where(t > at, np.sin(2 * np.pi * 500 * t) * np.exp(-15 * (t - at)), 0) for at in (0.3, 1.2))
    return np.repeat(0.4 * np.asarray(wave, np.float32)[:, None], channels, axis=1)


def test_a_folder_is_cut_named_cached_and_what_is_no_sound_is_left_out(
    tmp_path: Path, network: Network, cache: Path
) -> None:
    (tmp_path / "bell").mkdir()
    soundfile.write(tmp_path / "bell" / "two.wav", make_bursts(), RATE)
    soundfile.write(tmp_path / "many.wav", make_bursts(64, 8000), 8000)
    soundfile.write(tmp_path / "sample.wav", np.ones((1, 1)), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros((RATE, 1)), RATE)
    soundfile.write(tmp_path / "wild.wav", np.full((RATE, 1), np.nan), RATE, subtype="FLOAT")
    (tmp_path / "torn.ogg").write_bytes(b"OggS" + bytes(range(256)))
    (tmp_path / "credits.tsv").write_text("File\tTitle\tAuthor\tLicense\nbell/two.wav\tTwo\tA\0nn\tCC BY\n")
    (tmp_path / ".hidden").write_bytes(b"\0")
    said: list[str] = []
    sink = EventSink(lambda event: said.append(event.text) if isinstance(event, Warned) else None)
    found = load_atoms(recipe_of(tmp_path), network, sink)
    assert [atom.kind for atom in found].count("bell") == 2
    assert len(found) == 4
    assert {atom.kind for atom in found} <= {"bell", *network.card.classes}
    for name in ("sample.wav", "silent.wav", "wild.wav", "torn.ogg"):
        assert sum(name in line for line in said) == 1
    assert len(said) == 4
    assert len(list(cache.rglob("*.safetensors"))) == 1
    said.clear()
    again = load_atoms(recipe_of(tmp_path), network, sink)
    assert not said  # Nothing was read again.
    assert {atom.credit for atom in found if atom.kind == "bell"} == {"Two by Ann (CC BY)"}
    assert {atom.credit for atom in found if "many" in atom.name} == {""}
    assert [(atom.kind, atom.name, atom.rate, atom.credit) for atom in again] == [
        (atom.kind, atom.name, atom.rate, atom.credit) for atom in found
    ]
    for one, other in zip(again, found, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
    [kept] = cache.rglob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])  # A torn cache is made anew.
    assert len(load_atoms(recipe_of(tmp_path), network, sink)) == 4


def test_another_file_is_another_set(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", make_bursts(), RATE)
    before = hash_grain_set(recipe_of(tmp_path))
    soundfile.write(tmp_path / "b.wav", make_bursts(), RATE)
    assert hash_grain_set(recipe_of(tmp_path)) != before
    assert hash_grain_set(recipe_of("none")) is hash_grain_set(recipe_of("own")) is None
    silent = replace(recipe_of(tmp_path), schedule=Schedule(grains=0))
    assert hash_grain_set(silent) is None


def test_what_is_no_set_is_one_line(tmp_path: Path, network: Network) -> None:
    for name, says in (("shiped", "did you mean 'shipped'"), (tmp_path / "gone", "a folder of sounds")):
        with pytest.raises(UserError, match=says):
            hash_grain_set(recipe_of(name))
    with pytest.raises(UserError, match="holds no sounds"):
        hash_grain_set(recipe_of(tmp_path))
    (tmp_path / "notes.txt").write_text("no sound")
    with pytest.raises(UserError, match="holds no sounds"):
        load_atoms(recipe_of(tmp_path), network, EventSink())
