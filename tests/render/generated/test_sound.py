"""Dreams of sounds that a generator makes: by class and seed, as grains, in the wrong role, damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream import Recipe
from mmdream.audio import events
from mmdream.audio.loudness import LoudnessMeter
from mmdream.core.events import EventSink
from mmdream.networks.generator_card import GENERATOR_WEIGHTS
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.render import atoms as sets
from mmdream.render.atoms import hash_grain_set, list_grain_kinds, load_atoms
from mmdream.render.generated import sound
from mmdream.render.generated.events import make_events
from mmdream.render.generated.sound import GeneratedSound, make_samples, parse_sound_start
from mmdream.settings.recipe import AudioOptions
from mmdream.settings.targets import parse_target
from tests.command import mmdream, run_for_report
from tests.generator import write_generator

CLASSES = "rooster", "gizmo"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_generator(folder)
    for form in ("spectrogram", "wave"):
        write_generator(folder, form, CLASSES, form)
    return folder


@pytest.fixture(autouse=True)
def own_models(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MMDREAM_MODELS", str(models))
    monkeypatch.setattr(sets, "user_cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(sets, "GENERATED_ATOMS", 2)
    monkeypatch.setattr(sound, "MAX_EVENTS", 3)
    for name in ("BAND_ITERATIONS", "PHASE_ITERATIONS"):
        monkeypatch.setattr(events, name, 4)


def generated(name: str, *targets: str, seconds: float = 2.0) -> GeneratedSound:
    start = parse_sound_start(f"generator:{name}", tuple(map(parse_target, targets)), seconds)
    assert isinstance(start, GeneratedSound)
    return start


def make_whole(start: GeneratedSound, seed: int = 0) -> tuple[int, np.ndarray]:
    rate, blocks = make_samples(start, seed)
    return rate, np.concatenate(list(blocks), 1)


@pytest.mark.parametrize("form", ["spectrogram", "wave"])
def test_a_sound_is_that_of_its_seed_and_class_as_long_and_loud_as_asked(form: str):
    rate, first = make_whole(generated(form, "rooster"))
    assert first.shape == (1, 2 * rate)
    np.testing.assert_array_equal(first, make_whole(generated(form, "rooster"))[1])
    for other in (make_whole(generated(form, "rooster"), 1), make_whole(generated(form, "gizmo"))):
        assert np.abs(first - other[1]).max() > 1e-3
    meter = LoudnessMeter(rate, 1)
    meter.feed(first)
    assert meter.loudness() == pytest.approx(-23, abs=0.5) or np.abs(first).max() > 0.8


def test_events_of_a_class_are_numbered_whatever_is_made_beside_them():
    card = generated("wave", "rooster").generator
    alone = make_events(card, ["rooster", "rooster"], 0)
    among = make_events(card, ["gizmo", "rooster", "gizmo", "rooster"], 0)
    assert [each.name for each in among] == [
        f"wave {kind} {n}" for n in (0, 1) for kind in ("gizmo", "rooster")
    ]
    for one, other in zip(alone, among[1::2], strict=True):
        np.testing.assert_allclose(one.samples, other.samples, atol=1e-4)


def test_grains_are_what_a_generator_makes_and_come_again_from_the_cache(monkeypatch: pytest.MonkeyPatch):
    recipe = replace(Recipe(), sound_manner=AudioOptions(grain_set="generator:wave"))
    network = load_network(load_card("melnet"))
    atoms = load_atoms(recipe, network, EventSink())
    assert sorted({atom.kind for atom in atoms}) == sorted(CLASSES)
    assert len(atoms) == 4
    assert list_grain_kinds(recipe) == set(CLASSES)
    assert hash_grain_set(recipe) == generated("wave", "rooster").generator.sha256
    other = load_atoms(replace(recipe, seed=1), network, EventSink())
    assert np.abs(atoms[0].samples[:500] - other[0].samples[:500]).max() > 1e-3
    monkeypatch.setattr("mmdream.render.generated.events.make_events", None)
    again = load_atoms(recipe, network, EventSink())
    for one, same in zip(atoms, again, strict=True):
        np.testing.assert_array_equal(one.samples, same.samples)


def test_it_is_dreamed_as_any_sound_though_the_network_knows_none(tmp_path: Path):
    words = ("audio", "--from", "generator:wave", "--target", "gizmo", "--seconds", "1.5", "--steps", "1")
    words += ("--octaves", "1", "--grain-set", "generator:wave", "-o", tmp_path / "out.wav")
    status, _, report = run_for_report(*words)
    assert status == 0
    assert report["seconds"] == 1.5
    samples, rate = soundfile.read(tmp_path / "out.wav")
    assert (len(samples), rate) == (24_000, 16_000)
    assert "melnet knows no gizmo" in mmdream(*words, "--overwrite").stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--from", "generator:wave"), "choose what it makes with --target: rooster, gizmo"),
        (
            ("--from", "generator:wave", "--target", "roster"),
            'generator wave makes no "roster"; nearest: roo',
        ),
        (
            ("--from", "generator:small", "--target", "lemon"),
            "small: makes pictures and no sounds; it goes with `mmdream image --from generator:small`",
        ),
        (("--from", "generator:wav", "--target", "rooster"), 'no generator "wav"; generators: '),
        (("--from", "generator:melnet", "--target", "rooster"), "melnet: is a network that dreams"),
        (
            ("--from", "generator:wave", "--target", "rooster", "--seconds", "0"),
            "--seconds is 0; choose between 0.1 and 3600",
        ),
        (("--from", "noise", "--grain-set", "generator:small"), "small: makes pictures and no sounds"),
        (("--from", "noise", "--grain-set", "generator:mine.pt"), "weights of other programs are not read"),
        (
            ("--from", "noise", "--grain-set", "generators:wave"),
            "grain-set is 'generators:wave'; choose shipped",
        ),
    ],
)
def test_wrong_beginnings_and_roles_are_told_in_one_line(tmp_path: Path, options: tuple[str, ...], line: str):
    done = mmdream("audio", *options, "-o", tmp_path / "out.wav")
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.wav").exists()


def test_a_generator_of_sounds_makes_no_picture_and_a_damaged_one_nothing(models: Path, tmp_path: Path):
    done = mmdream("image", "--from", "generator:wave", "--target", "rooster", "--size", "64x64")
    assert done.returncode == 2
    assert (
        "wave: makes sounds and no pictures; it goes with `mmdream audio --from generator:wave`"
        in done.stderr
    )
    folder = write_generator(tmp_path / "own", "torn", CLASSES, "wave").home
    (folder / GENERATOR_WEIGHTS).write_bytes((folder / GENERATOR_WEIGHTS).read_bytes()[:-100])
    for words in (
        ("--from", f"generator:{folder}", "--target", "rooster"),
        ("--from", "noise", "--grain-set", f"generator:{folder}"),
    ):
        done = mmdream("audio", *words, "-o", tmp_path / "out.wav")
        assert done.returncode == 2
        assert "missing or damaged; train the generator again" in done.stderr
        assert not (tmp_path / "out.wav").exists()
