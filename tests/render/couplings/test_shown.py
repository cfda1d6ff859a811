"""What the finished picture shows chooses and places the recorded events of a film's sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from make import make_times, write_film
from sklearn.datasets import load_sample_image

from mmdream import Recipe, Schedule, dream_video
from mmdream.audio.chunks import AudioDreamSettings, DreamHooks
from mmdream.audio.dream import dream_source
from mmdream.audio.frontend import read_windows
from mmdream.audio.grains.cues import PictureCues, find_cutoff, scale_level
from mmdream.audio.grains.grain import dull, pan_grain
from mmdream.audio.source import ArraySource
from mmdream.networks.couplings import choose_motif_network, find_couplings, match_kinds
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.render.couplings.shown import make_cues, tell_shown
from mmdream.settings.report import GrainEvent, Report, ShownMotif
from mmdream.settings.targets import NO_TARGETS, Targets, parse_target
from tests.audio.conftest import make_music
from tests.command import mmdream

RATE, SECONDS, TURN = 22050, 12, 6.0
"""Samples a second; seconds of the film, and when dogs give way to lighthouses."""
MOTIFS = (0.0, "dog"), (TURN - 0.5, "dog"), (TURN + 0.5, "lighthouse"), (float(SECONDS), "lighthouse")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flower, with clicks in noise, in stereo."""
    picture = cv2.resize(load_sample_image("flower.jpg"), (192, 128), interpolation=cv2.INTER_AREA)
    sound = np.random.default_rng(0).normal(0, 0.02, (2, SECONDS * RATE)).astype(np.float32)
    for first in range(RATE // 4, SECONDS * RATE, RATE // 2):
        sound[:, first : first + 800] += np.linspace(0.5, 0, 800, dtype=np.float32) * (-1) ** np.arange(800)
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return write_film(
        path, make_times(6 * SECONDS, 6), frames=[picture] * (6 * SECONDS), size=(192, 128),
        options={"threads": "1"}, sound=sound, rate=RATE, sound_codec="pcm_s16le",
    )  # fmt: skip


def dream(film: Path, out: Path, amount: float, **settings: object) -> Report:
    schedule = Schedule(seen_to_heard=amount, heard_to_seen=0, octaves=2, steps=6, motif=MOTIFS)
    return dream_video(film, out, Recipe(schedule=schedule), **settings)


def share_of(kind: str, grains: tuple[GrainEvent, ...], first: float, last: float) -> float:
    inside = [grain.kind == kind for grain in grains if first <= grain.seconds < last]
    return sum(inside) / max(len(inside), 1)


@pytest.fixture(scope="module")
def reports(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[float, Report]:
    folder = tmp_path_factory.mktemp("dreams")
    return {amount: dream(film, folder / f"{amount}.mkv", amount) for amount in (0.0, 1.0)}


def test_dogs_bark_while_they_are_shown(reports: dict[float, Report]):
    before, after = (reports[amount].grains for amount in (0.0, 1.0))
    assert share_of("dog bark", after, 1, TURN) > max(0.6, share_of("dog bark", before, 1, TURN))
    assert share_of("dog bark", after, TURN + 1, SECONDS) < 0.3
    assert share_of("sea waves", after, TURN + 1, SECONDS) > share_of("sea waves", before, TURN + 1, SECONDS)


def test_the_sound_climbs_to_what_is_shown():
    melnet = load_network(load_card("melnet"))
    rate, seconds = 22050, 8.0
    source = ArraySource(make_music(rate, seconds), rate)
    kinds, looks = ("dog bark", "sea waves"), np.arange(0, seconds, 0.5)
    clarity = np.array([[2.0, 0.0] if at < seconds / 2 else [0.0, 2.0] for at in looks], np.float32)
    cues = PictureCues(kinds, looks, clarity, np.zeros_like(clarity), np.full_like(clarity, 0.4))
    numbers = [melnet.card.class_index(kind) for kind in kinds]

    def dream_shown(amount: float, targets: Targets = NO_TARGETS) -> np.ndarray:
        """Log odds of dogs over waves in windows of the dream."""
        blocks: list[np.ndarray] = []
        schedule = Schedule(seen_to_heard=amount, octaves=2, steps=5)
        settings = AudioDreamSettings(schedule, targets=targets)
        hooks = DreamHooks(cues=lambda first, last: cues)
        dream_source(source, blocks.append, melnet, settings, hooks=hooks)
        made = ArraySource(np.concatenate(blocks, axis=1), rate)
        windows = np.concatenate([window for _, window in read_windows(made, melnet, 1.0)])
        dogs, waves = np.asarray(melnet.class_logits()(windows)).T[numbers]
        return dogs - waves

    none, whole = dream_shown(0.0), dream_shown(1.0)
    half = len(none) // 2
    assert np.all((whole - none)[: half - 1] > 0.5)
    assert np.all((whole - none)[half + 1 :] < -0.5)
    asked = Targets((parse_target("rain"),))
    np.testing.assert_array_equal(dream_shown(0.0, asked), dream_shown(1.0, asked))


def test_a_kept_picture_is_looked_at(film: Path, reports: dict[float, Report], tmp_path: Path):
    report = dream(film, tmp_path / "out.mkv", 1.0, keep_picture=True)
    assert report.grains
    assert report.grains != reports[0.0].grains
    assert share_of("dog bark", report.grains, 1, TURN) < 0.5


def test_a_table_of_ones_own_says_what_sounds(film: Path, reports: dict[float, Report], tmp_path: Path):
    table = tmp_path / "mine.toml"
    table.write_text(
        '[[coupling]]\nsound = "dog"\nmotifs = ["tower"]\n[[coupling]]\nsound = "rooster"\nmotifs = ["dog"]\n'
    )
    schedule = Schedule(seen_to_heard=1, heard_to_seen=0, octaves=2, steps=6, motif=MOTIFS)
    recipe = Recipe(schedule=schedule, couplings=table)
    grains = dream_video(film, tmp_path / "out.mkv", recipe, end=TURN).grains
    assert share_of("rooster", grains, 1, TURN) > 0.3 + share_of("rooster", reports[1.0].grains, 1, TURN)
    assert share_of("dog bark", grains, 1, TURN) < 0.2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--seen-to-heard", "1", "--keep-sound"],
            "seen-to-heard changes the sound, but no sound track is dreamed",
        ),
        (
            ["--heard-to-seen", "1", "--keep-picture"],
            "heard-to-seen changes the picture, and --keep-picture keeps it",
        ),
        (["--together", "-1"], "together is -1; choose between 0 and 1"),
        (["--couplings", "none.toml"], "none.toml: No such file"),
    ],
)
def test_a_coupling_without_its_other_side_is_refused(
    film: Path, tmp_path: Path, options: list[str], told: str
):
    done = mmdream("video", film, "-o", tmp_path / "out.mkv", *options)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_silent_film_cannot_be_coupled(tmp_path: Path):
    silent = write_film(tmp_path / "silent.mp4", make_times(8, 8), size=(64, 48))
    done = mmdream("video", silent, "--together", "1")
    assert done.returncode == 2
    assert "has no sound that the picture could go by" in done.stderr


CUES = PictureCues(
    ("dog bark", "rain"),
    np.array([0.0, 1.0, 2.0]),
    np.array([[0, 0], [2, 0], [2, 2]], np.float32),
    np.array([[0, 0], [-1, 0], [-1, 1]], np.float32),
    np.array([[0, 0], [0.2, 0], [0.2, 0.4]], np.float32),
)


def test_what_is_not_shown_is_unlikely_and_what_is_shown_is_not():
    matches = CUES.match_atoms(load_card("melnet"), ["dog bark", "rain", "rooster"])
    assert matches.tolist() == [0, 1, -1]
    half, whole = (CUES.favour(np.array([0.5, 1.5, 2.5]), matches, np.full(3, a)) for a in (0.5, 1.0))
    assert (whole[1:, 0] == 1).all()
    assert whole[0, :2].max() < 0.05
    assert whole[0, 2] == 1
    assert whole[2, 2] < 0.05
    np.testing.assert_allclose(half, np.sqrt(whole))
    assert (CUES.favour(np.zeros(1), matches, np.zeros(1)) == 1).all()
    clearer = replace(CUES, clarity=np.array([[0, 0], [2, 1], [1, 2]], np.float32))
    both = clearer.favour(np.array([1.5, 2.5]), matches, np.ones(2))
    assert (both[[0, 1], [0, 1]] == 1).all()
    assert both[[0, 1], [1, 0]].max() < 0.1


def test_a_kind_appears_when_it_grows():
    assert CUES.appearances().tolist() == [1.0, 2.0]


def test_a_grain_stands_where_its_motif_does():
    assert CUES.place(0.5, 0) is None
    assert CUES.place(2.5, 1) == pytest.approx((2.0, 1.0, 0.4))
    noise = ArraySource(np.random.default_rng(0).normal(0, 0.1, (2, RATE)).astype(np.float32), RATE)
    for side, share in ((-1.0, (1, 0)), (1.0, (0, 1)), (0.0, (0.5, 0.5))):
        np.testing.assert_allclose(pan_grain(noise, RATE // 2, side, 1.0) ** 2, share, atol=1e-6)
    assert pan_grain(noise, RATE // 2, 1.0, 0.0).tolist() == pan_grain(noise, RATE // 2).tolist()


def test_what_is_small_is_soft_and_dull():
    assert scale_level(0.0, 1.0) < scale_level(0.1, 1.0) < 1 < scale_level(0.4, 1.0)
    assert scale_level(0.0, 0.0) == 1
    assert find_cutoff(0.4, 1.0) == find_cutoff(0.1, 0.0) == 0
    hiss = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert dull(hiss, 0, RATE) is hiss
    assert dull(hiss, find_cutoff(0.1, 1.0), RATE).std() < 0.9 * hiss.std()


def test_looks_that_agree_are_told_as_one():
    clear, faint, left = [1.0, 0.5, 0.2], [0.1, 0.0, 0.1], [2.0, -1.0, 0.2]
    looks = [
        (0.0, {"dog": faint, "coil": faint}),
        (0.5, {"dog": clear}),
        (1.0, {}),
        (1.5, {"dog": left}),
        (2.0, {"coil": faint}),
        (4.0, {"dog": clear, "eye": clear}),
    ]
    assert tell_shown(looks) == (
        ShownMotif("dog", 0.0, 2.0, 2.0, pytest.approx(-1 / 6, abs=1e-3)),
        ShownMotif("dog", 4.0, 4.5, 1.0, 0.5),
        ShownMotif("eye", 4.0, 4.5, 1.0, 0.5),
    )
    assert tell_shown([]) == ()


def test_what_is_shown_over_time_is_told_with_its_couplings(reports: dict[float, Report]):
    assert not reports[0.0].shown
    assert not reports[0.0].couplings
    told = reports[1.0]
    dogs = [each for each in told.shown if each.name in told.couplings["dog bark"]]
    assert sum(min(each.stop, TURN) - min(each.start, TURN) for each in dogs) > TURN / 2
    assert told.as_json()["shown"][0].keys() == {"name", "start", "stop", "clarity", "side"}
    kinds = {grain.kind for grain in told.grains}
    assert told.couplings.keys() <= kinds
    assert (
        told.couplings["sea waves"] == find_couplings(load_card("dreamnet"), load_card("melnet"))["sea waves"]
    )


def test_kinds_of_grains_are_matched_as_the_dream_matches_them():
    dreamnet, melnet = load_card("dreamnet"), load_card("melnet")
    found = match_kinds(dreamnet, melnet, ["dog bark", "spaniel", "crow of a robot"])
    assert found == {"dog bark": ("dog", "spaniel", "dalmatian"), "spaniel": ("spaniel",)}


def test_only_coupled_kinds_and_motifs_of_grains_are_told():
    dreamnet, melnet = load_card("dreamnet"), load_card("melnet")
    assert choose_motif_network([load_card("vgg16"), dreamnet], melnet).name == "dreamnet"
    cues = make_cues([(1.0, {"spaniel": [1.5, -0.5, 0.1], "dog": [1.0, 0.5, 0.2]})], dreamnet, melnet)
    dog = cues.kinds.index("dog bark")
    assert (cues.clarity[0, dog], cues.sides[0, dog], cues.sizes[0, dog]) == pytest.approx((1.5, -0.5, 0.1))
    assert "spaniel" in cues.kinds
