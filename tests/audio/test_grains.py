"""Grains: where they are laid, what they do to the dream, and that nothing else gives way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mmdream.audio.chunk_dream import plan_chunk
from mmdream.audio.chunks import (
    CHUNK_HOPS,
    AudioDreamSettings,
    ChunkContext,
    DreamHooks,
    split_into_chunks,
)
from mmdream.audio.dream import AudioDreamReport, measure_contrast_energies, plan_grains
from mmdream.audio.grains.atoms import Atom, make_atom, read_atom_folder
from mmdream.audio.grains.choice import find_transposition
from mmdream.audio.grains.grain import (
    HeardGrains,
    PlacedGrain,
    add_grains,
    fade_at_end,
    limit_level,
    pan_grain,
)
from mmdream.audio.loudness import meter_loudness
from mmdream.audio.source import ArraySource
from mmdream.networks.card import MODELS_FOLDER
from mmdream.networks.network import Network
from mmdream.settings.report import GrainEvent
from mmdream.settings.schedule import Schedule
from tests.audio.conftest import make_music

Dream = Callable[..., tuple[np.ndarray, AudioDreamReport]]
RATE = 22050
ALONE = Schedule(octaves=1, steps=0)
"""Grains without a gain."""


@pytest.fixture(scope="module")
def atoms() -> tuple[Atom, ...]:
    return tuple(read_atom_folder(MODELS_FOLDER / "atoms"))


def choose(source: ArraySource, network: Network, atoms: tuple[Atom, ...], start: float, meter=None):
    settings = AudioDreamSettings(Schedule(), atoms=atoms)
    context = ChunkContext(source, network, meter or meter_loudness(source), settings, start)
    plans = [plan_chunk(context, chunk) for chunk in split_into_chunks(*context.hop_range)]
    return plan_grains(context, plans, None)


def test_grains_raise_what_the_dream_climbs_and_are_of_many_kinds(
    dream: Dream, melnet: Network, atoms: tuple[Atom, ...]
) -> None:
    sound = make_music(RATE, 10.0)
    stems = defaultdict[str, list[np.ndarray]](list)
    hooks = DreamHooks(on_stem=lambda name, samples: stems[name].append(samples))
    laid, report = dream(sound, RATE, ALONE, atoms=atoms, hooks=hooks)
    source = ArraySource(sound, RATE)
    was, now = (
        measure_contrast_energies(source, each, melnet)[-1] for each in (source, ArraySource(laid, RATE))
    )
    assert now > 1.5 * was
    assert len({grain.kind for grain in report.grains}) >= 4
    seconds = [grain.seconds for grain in report.grains]
    assert seconds == sorted(seconds)
    assert min(np.diff(seconds)) >= 0.29
    # At the onsets of the notes, 0.45 s apart.
    late = np.array(seconds) % 0.45
    assert np.mean(np.minimum(late, 0.45 - late) < 0.03) > 0.7
    parts = {name: np.concatenate(blocks, axis=1) for name, blocks in stems.items()}
    np.testing.assert_array_equal(parts.pop("source"), sound)
    assert set(parts) == {"gain", *(f"grains {grain.kind}" for grain in report.grains)}
    np.testing.assert_allclose(sum(parts.values()), laid, atol=1e-6)
    # Without a gain it is the source, less loud by what the grains add.
    assert np.corrcoef(parts["gain"][0], sound[0])[0, 1] > 0.999


def test_without_strength_or_depth_there_are_none(dream: Dream, atoms: tuple[Atom, ...]) -> None:
    sound = make_music(RATE, 1.5)
    same, report = dream(sound, RATE, Schedule(strength=0, grains=1), atoms=atoms)
    np.testing.assert_array_equal(same, sound)
    assert not report.grains
    shallow = Schedule(octaves=1, steps=2, depth=0.4)
    with_atoms, report = dream(sound, RATE, shallow, atoms=atoms)
    assert not report.grains
    np.testing.assert_allclose(with_atoms, dream(sound, RATE, shallow)[0], atol=1e-6)
    silence, report = dream(0 * sound, RATE, ALONE, atoms=atoms)
    assert not silence.any()


def test_an_excerpt_gets_the_grains_of_the_whole(melnet: Network, atoms: tuple[Atom, ...]) -> None:
    sound = make_music(RATE, 30.0)
    whole = ArraySource(sound, RATE)
    track = choose(whole, melnet, atoms, 0)
    # Of four chunks the second and third: what lies a chunk away decides nothing.
    first = 7 * RATE
    part = ArraySource(sound[:, first:], RATE)
    other = choose(part, melnet, atoms, 7.0, meter_loudness(whole))
    low, high = 2 * CHUNK_HOPS, 3 * CHUNK_HOPS

    def inside(found):
        return [grain for _, grain in found.order() if low <= grain.hop < high]

    assert inside(track)
    assert [(g.hop, g.atom) for g in inside(track)] == [(g.hop, g.atom) for g in inside(other)]


def test_a_dream_begins_and_ends_as_its_source_does(dream: Dream, atoms: tuple[Atom, ...]) -> None:
    sound = make_music(RATE, 3.0)
    laid, report = dream(sound, RATE, ALONE, atoms=atoms)
    assert report.grains
    bare, _ = dream(sound, RATE, ALONE)
    # But for the loudness match the first and last 50 ms are those of a dream without grains.
    for part in (slice(0, RATE // 20), slice(-RATE // 100, None)):
        factor = float(np.median(laid[0, part] / bare[0, part]))
        np.testing.assert_allclose(laid[0, part], factor * bare[0, part], atol=2e-3)
    assert np.abs(laid - bare).max() > 0.01
    long = make_atom(np.ones(2000, np.float32), RATE)
    short = fade_at_end(long.samples, ArraySource(sound, RATE), sound.shape[1] - 1500)
    assert len(short) == 1500
    assert short[-1] == 0
    assert np.abs(np.diff(short)).max() < 0.01


def test_own_events_are_a_set_too(dream: Dream) -> None:
    _, report = dream(make_music(RATE, 6.0), RATE, ALONE, atoms="own")
    assert report.grains
    assert all(grain.atom.startswith("own") for grain in report.grains)


def test_a_grain_stands_where_the_source_is_around_it(dream: Dream, atoms: tuple[Atom, ...]) -> None:
    left = np.concatenate((make_music(RATE, 3.0), np.zeros((1, 3 * RATE), np.float32)))
    np.testing.assert_allclose(pan_grain(ArraySource(left, RATE), RATE), [1, 0])
    laid, report = dream(left, RATE, ALONE, atoms=atoms)
    assert report.grains
    assert not laid[1].any()


@pytest.mark.parametrize("source", [90.0, 196.0, 440.0, 1234.0])
@pytest.mark.parametrize("atom", [100.0, 551.0, 1300.0])
def test_a_transposed_atom_meets_the_source_in_some_octave(source: float, atom: float) -> None:
    ratio = find_transposition(source, atom, 0.9)
    assert 2**-0.5 <= ratio <= 2**0.5
    away = [(np.log2(ratio * atom / source / interval) + 0.5) % 1 - 0.5 for interval in (1, 1.5)]
    assert min(map(abs, away)) < 1e-9
    assert find_transposition(source, atom, 0.5) == find_transposition(0, atom, 0.9) == 1


def test_the_gradient_of_a_level_is_that_of_its_power() -> None:
    rng = np.random.default_rng(0)
    heard = HeardGrains((40, 8))
    heard.add(12, 12, rng.random((9, 8)).astype(np.float32))
    heard.add(-3, -3, rng.random((9, 8)).astype(np.float32))  # Begins before the stretch.
    slopes, levels = rng.standard_normal((40, 8)).astype(np.float32), np.zeros(40, np.float32)
    up, down = (replace_at(levels, 12, 0.01 * way) for way in (1, -1))
    measured = (np.vdot(heard.power(up), slopes) - np.vdot(heard.power(down), slopes)) / 0.02
    found = heard.level_gradient(slopes, levels)
    assert found[12] == pytest.approx(measured, rel=0.01)
    assert np.count_nonzero(found) == 1
    assert abs(float(limit_level(9.0))) < 0.7


def replace_at(values: np.ndarray, place: int, value: float) -> np.ndarray:
    return np.where(np.arange(len(values)) == place, np.float32(value), values)


def test_grains_are_laid_over_blocks_of_any_length() -> None:
    event = GrainEvent(0.0, 300 / RATE, "bell", "bell 1", None, -20.0, (1.0, 1.0))
    placed = [PlacedGrain(event, first, np.full((2, 300), 1.0, np.float32)) for first in (0, 250, 990)]
    waiting = list(placed)

    def take_before(stop: int):
        while waiting and waiting[0].first < stop:
            yield waiting.pop(0)

    blocks = [np.zeros((2, length), np.float32) for length in (7, 400, 1, 592)]
    found = np.concatenate(list(add_grains(blocks, take_before)), axis=1)[0]
    expected = np.zeros(1000)
    for each in placed:
        expected[each.first : each.first + 300] += 1
    np.testing.assert_array_equal(found, expected)


def test_two_runs_are_equal_and_another_seed_lays_others(dream: Dream, atoms: tuple[Atom, ...]) -> None:
    sound = make_music(RATE, 4.0)
    first, again, other = (dream(sound, RATE, ALONE, seed, atoms=atoms) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1].grains == again[1].grains
    assert first[1].grains != other[1].grains
    assert replace(first[1].grains[0], seconds=0.0)
