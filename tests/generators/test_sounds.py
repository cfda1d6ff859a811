"""A generator of sounds that learns for seconds: it cuts events, goes on where it stopped, and is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.datasets.folder import DatasetInfo, ManifestRow, write_manifest
from mmdream.generators import fit, sound_discriminator
from mmdream.generators.augment import augment_spectrograms, augment_waves
from mmdream.generators.sound_discriminator import build_wave_discriminator
from mmdream.generators.sounds import load_events
from mmdream.generators.task import make_generator_task
from mmdream.generators.train import SAMPLES, GeneratorReport, train_generator
from mmdream.media.image import read_image
from mmdream.networks.framework import tf
from mmdream.networks.generator_card import find_generator
from mmdream.settings.training import GeneratorSettings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RATE, FILES, EVENTS = 22_050, 5, 4
SMALL = {"ROUND_STEPS": 1, "PENALTY_STEPS": 1, "ROUND_EXAMPLES": 8, "LAST_EXAMPLES": 12}


def make_recording(kind: str, number: int) -> np.ndarray:
    """Two seconds with `EVENTS` beeps or hisses."""
    rng = np.random.default_rng((len(kind), number))
    samples = rng.normal(0, 1e-4, 2 * RATE)
    for place in range(EVENTS):
        times = np.arange(RATE // 4) / RATE
        tone = np.sin(2 * np.pi * rng.uniform(500, 900) * times)
        event = tone if kind == "beep" else rng.normal(0, 0.5, len(times))
        start = round((0.45 * place + rng.uniform(0.05, 0.15)) * RATE)
        samples[start : start + len(times)] += 0.3 * event * np.exp(-15 * times)
    return samples.astype(np.float32)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "sounds"
    for kind in ("beep", "hiss"):
        (root / kind).mkdir(parents=True)
        for number in range(FILES):
            soundfile.write(root / kind / f"{number}.wav", make_recording(kind, number), RATE)
    return root


@pytest.fixture(scope="module", autouse=True)
def short_rounds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(fit, name, value)
        patch.setattr(sound_discriminator, "WAVE_CHANNELS", 2)
        yield


def small_settings(data: Path) -> GeneratorSettings:
    return GeneratorSettings(data, "events", form="wave", width=4, steps=2, batch=8)


@pytest.fixture(scope="module")
def training(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[GeneratorReport, list[str]]:
    """A generator of waves whose training was stopped in its second round and went on; what was said."""
    said: list[str] = []

    def stop(what: str, done: float, total: float) -> None:
        if what == "training" and done == 2:
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMDREAM_MODELS", str(tmp_path_factory.mktemp("trained")))
        with pytest.raises(Interrupted):
            train_generator(small_settings(sounds), listener=EventSink(progress=stop, say=said.append))
        return train_generator(small_settings(sounds), listener=EventSink(say=said.append)), said


def test_a_stopped_training_of_waves_goes_on_at_its_round(training: tuple[GeneratorReport, list[str]]):
    report, said = training
    assert sum(line.startswith("round 1 ") for line in said) == 1
    rounds = json.loads((report.folder / "report.json").read_text())["rounds"]
    assert [row["epoch"] for row in rounds] == [0, 1]
    assert all(np.isfinite(list(row.values())).all() for row in rounds)


def test_what_draws_the_phase_shuffle_is_kept_with_the_weights():
    [head] = build_wave_discriminator(2, 7).heads
    counts = [each for each in head.weights if each.name == "count"]
    given = np.random.default_rng(0).normal(size=(4, 2048, 1, 1)).astype(np.float32), np.eye(4, 2)
    first, second = (head(list(given)).numpy() for _ in range(2))
    assert [int(each.numpy()) for each in counts] == [2] * 4
    assert np.abs(first - second).max() > 0
    for each in counts:
        each.assign(0)
    np.testing.assert_array_equal(head(list(given)), first)


def test_it_is_kept_with_what_it_makes(training: tuple[GeneratorReport, list[str]]):
    report, _ = training
    card = find_generator(str(report.folder), "sound")
    assert (card.form, card.medium, card.classes) == ("wave", "sound", ("beep", "hiss"))
    assert "40 events" in str(card.facts["data"])
    assert read_image(report.folder / SAMPLES).shape == (2 * 64, 12 * 96, 3)
    assert any("mmdream audio --from generator:events --target" in line for line in report.lines())
    with pytest.raises(UserError, match="makes sounds and no pictures; it goes with `mmdream audio --from"):
        find_generator(str(report.folder), "picture")


def test_spectrograms_are_learned_by_melnets_features(sounds: Path):
    report = train_generator(replace(small_settings(sounds), form="spectrogram", steps=1))
    card = find_generator("events")
    assert (card.form, card.side, card.facts["told_apart_by"]) == ("spectrogram", 64, "melnet's features")
    assert np.isfinite([report.likeness.distance, report.likeness.precision]).all()


def test_events_are_cut_at_their_onsets(sounds: Path):
    task = make_generator_task(replace(small_settings(sounds), form="spectrogram"), False)
    real = load_events(task.dataset, "spectrogram", 64, lambda done, total: None)
    assert real.values.shape == (2 * FILES * EVENTS, 96, 64, 1)
    beeps, hisses = (real.select(np.flatnonzero(real.labels == label))[..., 0] for label in (0, 1))
    # Loud from the first frames on; a tone in few bands, noise in all.
    assert beeps[:, :4].max((1, 2)).min() > 0.8
    assert (beeps[:, 3] > 0.6).mean() < 0.5 * (hisses[:, 3] > 0.6).mean()


def test_the_last_fold_is_kept_from_learning(sounds: Path, tmp_path: Path):
    folder = tmp_path / "prepared"
    shutil.copytree(sounds, folder / "input")
    rows = [
        ManifestRow(f"input/{kind}/{number}.wav", kind, str(number + 1), "", "CC0", "", 1, "0", "0")
        for kind in ("beep", "hiss")
        for number in range(FILES)
    ]
    info = DatasetInfo("mini", "", "sound", "fold", ("beep", "hiss"), "CC0", "nobody")
    write_manifest(folder, info, rows)
    task = make_generator_task(small_settings(folder), False)
    assert {each.fold for each in task.dataset.examples} == {"1", "2", "3", "4"}


def test_augmentation_moves_what_it_is_told_to_and_has_a_gradient():
    seed = tf.constant([3, 4])
    maps = np.zeros((64, 96, 64, 1), np.float32)
    maps[:, 10:20, 20:30] = 0.8
    moved = augment_spectrograms(tf.constant(maps), seed).numpy()
    assert moved.shape == maps.shape
    centers = moved[..., 0].mean(2).argmax(1)
    assert 10 <= centers.min() < centers.max() < 32
    waves = tf.constant(np.random.default_rng(0).normal(0, 0.1, (8, 2048, 1)), tf.float32)
    for given, change in ((tf.constant(maps), augment_spectrograms), (waves, augment_waves)):
        with tf.GradientTape() as tape:
            tape.watch(given)
            total = tf.reduce_sum(tf.square(change(given, seed)))
        assert np.abs(tape.gradient(total, given).numpy()).sum() > 0
        np.testing.assert_array_equal(change(given, seed), change(given, seed))


def keep_one_file(root: Path) -> None:
    for path in sorted((root / "hiss").iterdir())[1:]:
        path.unlink()


def keep_two_files(root: Path) -> None:
    for path in sorted((root / "hiss").iterdir())[2:]:
        path.unlink()


def silence(root: Path) -> None:
    for path in (root / "hiss").iterdir():
        soundfile.write(path, np.zeros(RATE), RATE)


def damage_one(root: Path) -> None:
    (root / "hiss" / "3.wav").write_bytes(b"no sound")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (keep_one_file, "class hiss has 1 sounds to learn from; each needs 2, and is better with 30"),
        (keep_two_files, "class hiss has only 8 different events; each needs 16"),
        (silence, "class hiss has only 0 different events; each needs 16"),
        (damage_one, r"3\.wav: cannot be read as a sound"),
        (lambda root: shutil.rmtree(root / "hiss"), "1 classes to learn; a generator learns 2 to 1000"),
    ],
)
def test_sets_that_cannot_be_learned_are_refused(
    sounds: Path, tmp_path: Path, models: Path, spoil: Callable[[Path], None], line: str
):
    data = Path(shutil.copytree(sounds, tmp_path / "set"))
    spoil(data)
    with pytest.raises(UserError, match=line):
        train_generator(small_settings(data))
    assert not models.exists() or not list(models.iterdir())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"judge": "squeezenet"}, "--judge and --judge-weights are for pictures"),
        ({"net": "melnet"}, "--form wave learns from samples alone"),
        ({"form": "spectrogram", "net": "dreamnet"}, "dreamnet is a picture network; sound networks: "),
    ],
)
def test_wishes_of_pictures_are_refused_for_sounds(sounds: Path, change: dict[str, str], line: str):
    with pytest.raises(UserError, match=line):
        make_generator_task(replace(small_settings(sounds), **change), False)
