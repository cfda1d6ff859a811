"""What is heard in a film favours its motif in the picture, from that moment on and not before."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from make import make_times, write_film
from sklearn.datasets import load_sample_image

from mmdream import Recipe, Schedule, dream_video
from mmdream.core.events import EventSink
from mmdream.image.gradient import ChannelGains, count_places, measure_channel_energies
from mmdream.image.octaves import OctavePass
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.card import MODELS_FOLDER
from mmdream.networks.couplings import find_couplings, load_couplings
from mmdream.networks.network import load_network
from mmdream.networks.registry import list_networks, load_card
from mmdream.render.audio import InputTrack
from mmdream.render.couplings.heard import (
    HOP_SECONDS,
    PLANNED_SHARE,
    WINDOW_SECONDS,
    HeardSounds,
    PlannedGrain,
    hold_shares,
    measure_heard,
    measure_sureness,
    unpack_heard,
)
from mmdream.render.couplings.planned import choose_planned_grains
from mmdream.render.models import load_audio_network
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.renderer import AscentRequest
from tests.command import mmdream

RATE, BARK = 22050, 2.0
"""Samples a second, and the second at which it barks."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a roof, with three barks in a row."""
    roof = cv2.resize(load_sample_image("china.jpg"), (160, 96), interpolation=cv2.INTER_AREA)
    sound = np.random.default_rng(0).normal(0, 0.002, 4 * RATE).astype(np.float32)
    for number, path in enumerate(sorted((MODELS_FOLDER / "atoms" / "dog bark").glob("*.ogg"))[:3]):
        bark, rate = soundfile.read(path, dtype="float32")
        bark = np.interp(np.arange(0, len(bark), rate / RATE), np.arange(len(bark)), bark)
        first = round((BARK + 0.4 * number) * RATE)
        bark = bark[: len(sound) - first]
        sound[first : first + len(bark)] += 0.5 * bark / np.abs(bark).max()
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return write_film(
        path, make_times(48, 12), frames=[roof] * 48, size=(160, 96), options={"threads": "1"},
        sound=sound[None], rate=RATE, sound_codec="pcm_s16le",
    )  # fmt: skip


@pytest.fixture(scope="module")
def heard(film: Path) -> HeardSounds:
    source, network = probe(film), load_audio_network(Recipe(), EventSink())
    return measure_heard(source, source.audio_tracks[0], (None, None), network, lambda: False)


def test_a_bark_is_heard_within_a_second_and_dies_away(heard: HeardSounds):
    dog = heard.shares[:, heard.names.index("dog bark")]
    assert dog[heard.seconds <= BARK].max() == 0
    assert dog[(heard.seconds > BARK) & (heard.seconds < BARK + 1)].max() > 0.3
    again = unpack_heard(heard.pack())
    assert again == HeardSounds(heard.net, heard.names, again.seconds, again.shares)
    np.testing.assert_array_equal(again.shares, heard.shares)


def test_a_bark_is_told_while_it_lasts_and_not_while_it_dies_away(heard: HeardSounds):
    (bark,) = [each for each in heard.tell() if each.name == "dog bark"]
    assert BARK - 0.5 < bark.start < BARK + 0.5 < bark.stop <= 4
    assert 0.3 < bark.share <= 1
    probabilities = np.zeros((12, 1), np.float32)
    probabilities[[1, 2, 4, 9]] = 1.0
    moments = WINDOW_SECONDS + HOP_SECONDS * np.arange(12)
    made = HeardSounds("melnet", ("rain",), moments, hold_shares(probabilities))
    ends = [0.5 + HOP_SECONDS * place for place in (0.5, 4.5, 8.5, 9.5)]
    assert [(each.start, each.stop) for each in made.tell()] == [tuple(ends[:2]), tuple(ends[2:])]


def test_what_has_ended_dies_away():
    held = hold_shares(measure_sureness(np.array([[0.2], [1.0], [0.1], [0.1]], np.float32)))[:, 0]
    assert held[0] == 0
    assert held[1] == pytest.approx(1)
    assert held[1] > held[2] > held[3] > 0


def test_what_stands_out_is_heard_and_what_is_there_throughout_is_not():
    throughout, event, faint = np.full(8, 0.4), np.full(8, 0.05), np.full(8, 0.01)
    event[3:5], faint[3:5] = 0.35, 0.1
    sure = measure_sureness(np.stack([throughout, event, faint, np.full(8, 0.9)], axis=1))
    assert (sure[:, [0, 2]] == 0).all()
    assert np.flatnonzero(sure[:, 1]).tolist() == [3, 4]
    assert sure[3, 1] > 0.7
    assert (sure[:, 3] > 0.7).all()
    # Waves that sound like rain, too.
    rain = event * (0.25 / 0.35)
    alone, together = (measure_sureness(np.stack(each, axis=1))[3] for each in ([rain], [rain, event]))
    assert together[1] == sure[3, 1]
    assert together[0] == pytest.approx(alone[0] * (0.25 / (0.35 * sure[3, 1])) ** 2, rel=1e-3)


def test_every_coupled_motif_and_sound_exists():
    dreamnet, melnet = load_card("dreamnet"), load_card("melnet")
    assert {coupling.sound for coupling in load_couplings()} == set(melnet.primary_names())
    assert all(set(coupling.motifs) <= dreamnet.motifs.keys() for coupling in load_couplings())
    assert find_couplings(dreamnet, melnet)["dog bark"] == ("dog", "spaniel", "dalmatian")
    for name in list_networks("picture"):
        find_couplings(load_card(name), melnet)


def test_the_picture_changes_from_the_bark_on(film: Path, tmp_path: Path):
    shown = {}
    for amount in (0.0, 1.0):
        out = tmp_path / f"{amount}.mkv"
        recipe = Recipe(schedule=Schedule(heard_to_seen=amount, octaves=2, steps=2))
        report = dream_video(film, out, recipe, keep_sound=True)
        assert ("dog bark" in [each.name for each in report.heard]) == bool(amount)
        assert ("dog" in report.couplings.get("dog bark", ())) == bool(amount)
        shown[amount] = np.stack([frame.rgb for frame in read_frames(probe(out))])
    differs = (shown[0.0] != shown[1.0]).any(axis=(1, 2, 3))
    assert not differs[: round(12 * BARK)].any()
    assert differs[round(12 * (BARK + 1)) :].all()


def test_what_is_heard_does_not_tire_while_it_is(film: Path, heard: HeardSounds):
    network, roof = load_network(load_card("dreamnet")), next(iter(read_frames(probe(film)))).rgb
    renderer, size = DreamPass(Recipe(), network), roof.shape[:2]
    loudest = float(heard.seconds[heard.shares[:, heard.names.index("dog bark")].argmax()])
    dogs = heard.gains(network, loudest, size, 1.0)
    (layer,) = dogs
    own = np.flatnonzero(dogs[layer][0, 0] > 1)
    settings = Schedule(depth=1.0).at(0.0)
    weary = np.zeros((*count_places(size), network.channel_counts()[layer]), np.float32)
    weary[..., own] = 1 / len(own)

    def dream(**gains: ChannelGains) -> float:
        asked = AscentRequest(
            roof,
            np.zeros_like(roof),
            [OctavePass(size, 6)],
            settings,
            Fraction(1),
            fatigue={layer: weary},
            **gains,
        )
        image = np.clip(roof + renderer.ascend(asked), 0, 1)
        energies = measure_channel_energies(network, (layer,), image, count_places(size))[layer]
        return float(energies[..., own].mean())

    nothing, hinted, lasting = dream(), dream(hinted=dogs), dream(heard=dogs)
    assert lasting - nothing > 3 * abs(hinted - nothing)


def test_a_dream_gives_way_to_what_is_new_and_to_nothing_else(heard: HeardSounds):
    network, dog = load_network(load_card("dreamnet")), heard.shares[:, heard.names.index("dog bark")]
    first = float(heard.seconds[np.flatnonzero(dog)[0]])
    moments = [BARK - 0.1, float(heard.seconds[dog.argmax()]), first + 60]
    before, new, long_after = (heard.forgetting(network, at, 0.04, 1.0) for at in moments)
    assert 0.05 < new < 0.2
    assert before == long_after == 0
    assert heard.forgetting(network, moments[1], 0.04, 0.5) < 0.3 * new
    lasting = replace(heard, shares=np.ones_like(heard.shares))
    assert lasting.forgetting(network, float(heard.seconds[-1]), 0.04, 1.0) == 0


def test_it_may_bark_in_the_dark(film: Path, tmp_path: Path):
    dark, sound = tmp_path / "dark.mkv", tmp_path / "sound.wav"
    extract_audio(probe(film), probe(film).audio_tracks[0], sound)
    samples, rate = soundfile.read(sound, dtype="float32")
    frames = [np.zeros((96, 160, 3), np.uint8)] * 48
    write_film(
        dark, make_times(48, 12), frames=frames, size=(160, 96), options={"threads": "1"},
        sound=samples.reshape(1, -1), rate=rate, sound_codec="pcm_s16le",
    )  # fmt: skip
    report = dream_video(
        dark, tmp_path / "out.mkv", Recipe(schedule=Schedule(heard_to_seen=1.0)), keep_sound=True
    )
    assert "dog bark" in [each.name for each in report.heard]
    assert report.frames == 48


def test_a_share_that_is_none_is_refused(film: Path, tmp_path: Path):
    done = mmdream("video", film, "-o", tmp_path / "out.mkv", "--heard-to-seen", "2")
    assert done.returncode == 2
    assert "heard-to-seen is 2; choose between 0 and 1" in done.stderr


def test_the_picture_goes_by_the_dreams_own_events_too(heard: HeardSounds):
    planned = replace(heard, planned=(PlannedGrain("rooster", 1.0, 0.5), PlannedGrain("spaniel", 3.5, 0.2)))
    assert unpack_heard(planned.pack()).planned == planned.planned
    network = load_network(load_card("dreamnet"))
    shares = [planned.share_motifs(network, at) for at in (0.9, 1.0, 1.5, 2.0, 3.6)]
    assert "bird" not in shares[0]
    assert shares[1]["bird"] == shares[2]["bird"] == PLANNED_SHARE > shares[3]["bird"] > 0
    assert shares[4]["spaniel"] >= PLANNED_SHARE
    assert planned.tell() == heard.tell()


def test_the_grains_of_a_films_dream_are_known_before(film: Path, tmp_path: Path):
    source, recipe = probe(film), Recipe(schedule=Schedule(steps=3, seen_to_heard=0))
    audio = InputTrack(source, source.audio_tracks[0])
    planned = choose_planned_grains(audio, load_audio_network(recipe, EventSink()), recipe, lambda: False)
    dreamed = dream_video(film, tmp_path / "out.mkv", recipe, keep_picture=True).grains
    assert [(each.kind, each.seconds) for each in planned] == [(each.kind, each.seconds) for each in dreamed]
    left = [min(each.length, 4 - each.seconds) for each in planned]
    assert left == pytest.approx([each.length for each in dreamed], abs=0.02)
