"""The parts of live play alone: slots, the choice of a quality, what is turned, seen and heard."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmdream import Schedule
from mmdream.analysis.shots import scan_frames
from mmdream.core.errors import UserError
from mmdream.live.controls import Controls
from mmdream.live.quality import BARRED, PATIENCE, Pacer, make_levels
from mmdream.live.scan import CausalScan
from mmdream.live.slots import Closed, LatestSlot
from mmdream.live.sound import SoundBlock, SoundDreamer
from mmdream.live.studio_link import StudioLink
from mmdream.media.video_reader import Frame
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.files import read_schedule
from mmdream.settings.schedule import SCHEDULE_LIMITS
from mmdream.settings.targets import NO_TARGETS
from mmdream.studio.project import FilmState, Key, Project, write_project
from tests.live.conftest import make_frames


def test_a_slot_keeps_the_newest_and_counts_what_it_drops() -> None:
    slot = LatestSlot[int]()
    for item in range(5):
        slot.offer(item)
    assert (slot.take(), slot.dropped) == (4, 4)
    assert slot.take(timeout=0.01) is None
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: [taken.append(slot.take()) for _ in range(3)])
    thread.start()
    for item in range(3):
        slot.put(item)
    thread.join(5)
    assert (taken, slot.dropped) == ([0, 1, 2], 4)
    slot.offer(9)
    slot.close()
    assert slot.take() == 9
    with pytest.raises(Closed):
        slot.take()
    with pytest.raises(Closed):
        slot.offer(1)


def run_pacer(pacer: Pacer, frames: int, seconds_at_full: float) -> None:
    """A machine on which a frame's time falls with its pixels."""
    for _ in range(frames):
        quality = pacer.quality
        cost = seconds_at_full * quality.scale**2 * (2 if quality.engine == "ascent" else 1) / quality.every
        pacer.note("dream", cost, quality)
        pacer.advance(is_late=cost > 1.1 * pacer.budget)


@pytest.mark.parametrize("has_dreamer", [True, False])
def test_quality_falls_until_the_clock_is_held_and_rises_again(has_dreamer: bool) -> None:
    pacer = Pacer(make_levels(has_dreamer), 1 / 25)
    run_pacer(pacer, 100, 0.005)
    assert pacer.level == 0
    run_pacer(pacer, 60, 0.1)
    fallen = pacer.level
    assert fallen > 1
    assert pacer.slowest <= pacer.budget
    # Far too slow, it falls at once: what it would take on the way would be late.
    begun = Pacer(make_levels(has_dreamer), 1 / 25, level=1)
    run_pacer(begun, PATIENCE + 1, 0.25)
    assert begun.level >= 5
    # It does not swing between two levels.
    run_pacer(pacer, 200, 0.1)
    assert abs(pacer.level - fallen) <= 1
    run_pacer(pacer, 2 * BARRED[1] + 400, 0.005)
    assert pacer.level == 0
    # A network that is traced once is no slow machine.
    pacer.note("dream", 3.0, pacer.quality)
    pacer.advance(is_late=True)
    run_pacer(pacer, 50, 0.005)
    assert pacer.level == 0


@pytest.fixture
def controls() -> Controls:
    return Controls(Schedule(depth=((0, 0.7), (4, 0.9))), load_card("dreamnet", "picture"))


def test_the_take_gives_what_was_played(controls: Controls, tmp_path: Path) -> None:
    played = {}
    for number in range(100):
        seconds = number / 25
        if number == 20:
            controls.change({"strength": 0.5, "octaves": 3})
        if number == 40:
            controls.change({"motif": "dog,eye"})
        if number == 50:
            for tap in range(3):
                controls.tap(seconds, 10 + tap * 0.5)
        if number == 75:
            controls.stop_beat()
        if number == 80:
            controls.change({"motif": "auto", "strength": None})
        played[seconds] = controls.at(seconds)
    controls.write_take(tmp_path / "take.toml", "two\nlines")
    read = read_schedule(tmp_path / "take.toml", controls.schedule)
    for seconds, settings in played.items():
        again = read.at(seconds + 1e-5)
        assert again.strength == pytest.approx(settings.strength, abs=0.011)
        assert again.depth == pytest.approx(settings.depth, abs=0.002)
        assert (again.octaves, again.motifs) == (settings.octaves, settings.motifs)
    strengths = [played[number / 25].strength for number in range(50, 75)]
    assert max(strengths) > 1.3 * min(strengths)
    assert played[99 / 25].strength == 1


def test_wrong_values_are_refused_and_change_nothing(controls: Controls) -> None:
    before = controls.at(1.0)
    for given, why in (
        ({"strength": "much"}, "strength is 'much'; choose between 0 and 4"),
        ({"depth": math.nan}, "depth is nan"),
        ({"seed": 3}, "seed cannot be turned"),
        ({"motif": 7}, "motif is names"),
        ({"octaves": True}, "octaves is True"),
    ):
        with pytest.raises(UserError, match=why):
            controls.change({"steps": 5, **given})
    assert controls.at(1.0) == before
    for name, (low, high) in SCHEDULE_LIMITS.items():
        # Live has neither grains nor a film that was heard and looked at before.
        if name not in ("grains", "heard_to_seen", "seen_to_heard"):
            controls.change({name: low})
            controls.change({name: high})


def test_the_studios_changes_are_followed(tmp_path: Path) -> None:
    film = tmp_path / "in.mp4"
    film.touch()
    link = StudioLink(film)
    assert link.poll() is None
    state = FilmState({"depth": "0.3"}, [Key("strength", 0.0, 0.2), Key("strength", 2.0, 1.0)])
    write_project(tmp_path, Project({"in.mp4": state}))
    schedule = link.poll()
    assert schedule is not None
    assert (schedule.at(1.0).depth, schedule.at(1.0).strength) == (0.3, pytest.approx(0.6))
    assert link.poll() is None
    write_project(tmp_path, Project({"in.mp4": replace(state, cursor=2.0)}))
    assert link.poll() is None
    (tmp_path / "studio.toml").write_text("no project")
    assert link.poll() is None


def to_frames(images: list[np.ndarray]) -> list[Frame]:
    tick = Fraction(1, 12)
    return [
        Frame(np.float32(image) / 255, number, tick, number, number * tick)
        for number, image in enumerate(images)
    ]


def test_cuts_are_seen_as_in_a_whole_film_and_flashes_are_taken_back() -> None:
    images = make_frames()
    frames = to_frames(images)
    scan = CausalScan()
    kinds = [scan.scan(frame).kind for frame in frames]
    cuts = [number for number, kind in enumerate(kinds) if kind == "cut"]
    assert cuts == [shot.first for shot in scan_frames(frames).shots] == [0, 24]
    flash = [*images[:10], np.full_like(images[0], 250), *images[11:20]]
    scan = CausalScan()
    kinds = [scan.scan(frame).kind for frame in to_frames(flash)]
    assert (kinds[10], kinds[11], set(kinds[12:])) == ("cut", "back", {"on"})


def test_black_is_not_dreamed_and_a_fade_takes_the_dream_along() -> None:
    image = make_frames()[5]
    shares = [1.0] * 6 + [1 - k / 12 for k in range(13)] + [0.0] * 4
    scan = CausalScan()
    scans = [scan.scan(frame) for frame in to_frames([np.uint8(image * share) for share in shares])]
    presences = [scan.presence for scan in scans]
    assert presences[:6] == [1.0] * 6
    assert all(after <= before + 0.02 for before, after in itertools.pairwise(presences))
    assert presences[12] == pytest.approx(0.5, abs=0.15)
    assert presences[-1] == 0
    assert [scan.kind for scan in scans[1:19]] == ["on"] * 18
    assert scans[3].is_still
    bars = np.zeros((120, 160, 3), np.uint8)
    bars[12:108] = image
    assert CausalScan().scan(to_frames([bars])[0]).shot.box == (12, 108, 0, 160)


@pytest.fixture(scope="module")
def melnet() -> Network:
    return load_network(load_card("melnet", "sound"))


def dream_sound(network: Network, sound: np.ndarray, strength: float, block: int) -> list[SoundBlock]:
    settings = replace(Schedule().at(0.0), strength=strength)
    dreamer = SoundDreamer(network, 22_050, len(sound), 1.5, NO_TARGETS, lambda _: settings)
    blocks = []
    for first in range(0, sound.shape[1], block):
        blocks += dreamer.feed(sound[:, first : first + block])
    return blocks + dreamer.flush()


def test_a_sound_that_comes_bit_by_bit_goes_out_whole(melnet: Network) -> None:
    rng = np.random.default_rng(1)
    envelope = np.repeat(rng.uniform(0.02, 1, 24), 2205)
    sound = np.float32(0.2 * rng.standard_normal((2, len(envelope))) * envelope)
    for strength, block in ((0.0, 777), (1.0, 1024), (1.0, 5000)):
        blocks = dream_sound(melnet, sound, strength, block)
        starts = np.cumsum([0, *(each.samples.shape[1] for each in blocks)])
        assert [round((each.seconds - 1.5) * 22_050) for each in blocks] == starts[:-1].tolist()
        dream = np.concatenate([each.samples for each in blocks], axis=1)
        assert dream.shape == sound.shape
        assert np.abs(dream).max() <= 1
        if not strength:
            # Nothing is changed but what is rounded off at the peaks.
            quiet = np.abs(sound) < 0.85
            assert np.abs(dream - sound)[quiet].max() < 1e-4
        else:
            assert np.abs(dream - sound).mean() > 0.1 * np.abs(sound).mean()
            loudness = [float(np.square(each[:, 22_050:]).mean()) for each in (sound, dream)]
            assert 0.3 < loudness[1] / loudness[0] < 3
