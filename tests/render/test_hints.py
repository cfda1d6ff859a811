"""The hints of a film: of each shot by itself, the same in an excerpt and from the store, told over time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from make import make_times, write_film

from mmdream import Recipe, Schedule, dream_image, dream_video, plan_video
from mmdream.core.events import EventSink
from mmdream.image.hints import HINT_GAIN, MAX_COVER, Hints, hinted_terms
from mmdream.image.octaves import OctavePass
from mmdream.media.image import read_image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.render.hints import FilmHints, HintKey, measure_film_hints, pack_hints, unpack_hints
from mmdream.render.passes.load import load_passes
from mmdream.render.passes.renderer import AscentRequest
from mmdream.render.prepare import scan_video
from mmdream.settings.recipe import Selection
from mmdream.settings.targets import Targets, parse_layer

RATE, FRAMES = 5, 12
SIZE = 128, 96


def keep_going() -> bool:
    return False


@pytest.fixture(scope="module")
def film(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shots of 2.4 s, each moving over a photograph."""
    frames = []
    for name in ("china", "tuebingen", "vacation"):
        photo = cv2.resize(
            read_image(data / "photos" / f"{name}.jpg"), (176, 112), interpolation=cv2.INTER_AREA
        )
        wide = np.rint(photo * 255).astype(np.uint8)
        frames += [np.ascontiguousarray(wide[8:104, 2 * k : 2 * k + 128]) for k in range(FRAMES)]
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return write_film(path, make_times(len(frames), RATE), frames=frames, size=SIZE, options={"crf": "8"})


def measure(film: Path, **selection: Fraction) -> FilmHints:
    source = probe(film)
    scan, _ = scan_video(source, Selection(**selection), EventSink(), keep_going)
    passes = load_passes(Recipe(), SIZE, EventSink())
    (hints,) = measure_film_hints(source, scan, passes, 0, keep_going)
    assert hints is not None
    return hints


def test_each_shot_hints_by_itself_and_looks_again_every_two_seconds(film: Path):
    hints = measure(film)
    assert [key.shot for key in hints.keys] == [0, 0, 1, 1, 2, 2]
    assert [key.seconds for key in hints.keys] == pytest.approx([0, 2, 2.4, 4, 4.8, 6])
    assert "dome" in hints.keys[0].hints.names
    assert len({key.hints.names for key in hints.keys if key.shot == 0}) >= 1
    assert hints.keys[0].hints.names != hints.keys[2].hints.names


def test_an_excerpt_that_begins_at_a_cut_hints_at_what_the_whole_does(film: Path):
    whole, part = measure(film), measure(film, start=Fraction(12, 5), end=Fraction(5))
    for key, own in zip(whole.keys[2:5], part.keys, strict=True):
        assert (key.seconds, key.hints.names) == (own.seconds, own.hints.names)
        assert np.array_equal(key.hints.shares, own.hints.shares)
    assert whole.keys[2].shot == 1 != part.keys[0].shot


def test_what_is_stored_is_what_was_measured(film: Path):
    hints = measure(film)
    none, again = unpack_hints(pack_hints((None, hints)))
    assert none is None
    assert again is not None
    assert again.tell([3, 5, 8]) == hints.tell([3, 5, 8])
    for one, other in zip(hints.keys, again.keys, strict=True):
        assert np.array_equal(one.hints.shares, other.hints.shares)
        assert (one.shot, one.seconds, one.hints.names) == (other.shot, other.seconds, other.hints.names)


def make_key(shot: int, seconds: float, *names: str) -> HintKey:
    return HintKey(shot, seconds, Hints(names, np.full((2, 3, len(names)), 0.5, np.float32)))


def test_gains_go_over_from_look_to_look_and_not_over_a_cut():
    network = load_network(load_card("dreamnet"), "random")
    hints = FilmHints((make_key(0, 1.0, "dome"), make_key(0, 3.0, "coil"), make_key(1, 4.0, "net")))
    terms = hinted_terms(network.card)

    def weight(name: str, shot: int, seconds: float) -> float:
        gains = hints.gains(network, shot, seconds, (60, 90))
        return float(gains["p4c"][0, 0, terms[name].channels[0]]) if gains else 0.0

    most = HINT_GAIN * MAX_COVER  # Both are hinted at everywhere.
    assert hints.gains(network, 0, 0.5, (60, 90)) == {}
    assert weight("dome", 0, 1.5) == weight("dome", 0, 3.0) == pytest.approx(1 + most)
    assert weight("coil", 0, 3.0) == 1
    assert weight("coil", 0, 3.5) == pytest.approx(1 + most / 4)
    assert weight("dome", 0, 3.5) == pytest.approx(1 + 3 * most / 4)
    assert weight("net", 1, 4.0) == pytest.approx(1 + most)
    assert weight("coil", 1, 4.0) == 1


def test_layers_are_traced_once_in_whatever_order_they_are_hinted_at():
    (bound,) = load_passes(Recipe(), SIZE, EventSink())
    renderer, grey = bound.renderer, np.full((64, 64, 3), 0.5, np.float32)
    counts, traces = renderer.network.channel_counts(), renderer.network.traces
    seen = set()
    for layers in (("c3b", "p4c"), ("p4c", "c3b"), ()):
        hinted = {layer: np.ones((9, 9, counts[layer]), np.float32) for layer in layers}
        renderer.ascend(
            AscentRequest(
                grey,
                np.zeros_like(grey),
                [OctavePass((64, 64), 1)],
                renderer.schedule.at(0.0),
                Fraction(0),
                hinted=hinted,
            )
        )
        seen.add(len(traces))
    assert len(seen) == 1


def test_looks_that_agree_are_told_as_one():
    keys = make_key(0, 0.0, "dome", "net"), make_key(0, 2.0, "net", "dome"), make_key(1, 3.2, "coil")
    told = FilmHints(keys).tell([3.2, 9.6])
    assert list(map(str, told)) == ["0.0-3.2 s dome, net", "3.2-9.6 s coil"]


def test_a_film_goes_by_its_hints_and_tells_them(film: Path, tmp_path: Path):
    quick, start, end = Schedule(octaves=1, steps=2), Fraction(12, 5), Fraction(4)
    dreams = {}
    for name, motif, span in (("whole", "auto", {}), ("part", "auto", {"start": 2.4, "end": 4.0}),
                              ("none", "none", {"start": 2.4, "end": 4.0})):  # fmt: skip
        recipe = Recipe(schedule=quick.with_settings(motif=motif))
        report = dream_video(film, tmp_path / f"{name}.mkv", recipe, **span)
        first = start if name == "whole" else None
        frames = list(read_frames(probe(tmp_path / f"{name}.mkv"), first, end if first else None))
        dreams[name] = np.stack([frame.rgb for frame in frames]), report
    assert np.array_equal(dreams["whole"][0], dreams["part"][0])
    assert not np.array_equal(dreams["part"][0], dreams["none"][0])
    told, partly, nothing = (dreams[name][1].as_json()["hints"] for name in ("whole", "part", "none"))
    assert nothing == []
    assert [list(each) for each in told[:1]] == [["start", "stop", "motifs"]]
    assert told[0]["start"] == 0
    assert partly[0]["motifs"] == next(each for each in told if each["start"] == pytest.approx(2.4))["motifs"]
    assert "hints:" in "\n".join(dreams["whole"][1].lines())
    plan = plan_video(film, tmp_path / "no.mkv", Recipe(schedule=quick))
    assert list(plan.as_json()["hints"]) == told
    assert str(plan.hints[0]) in "\n".join(plan.lines())


def test_a_picture_goes_by_its_own_hints_unless_something_is_asked_for(data: Path):
    photo = cv2.resize(read_image(data / "photos" / "china.jpg"), (128, 96), interpolation=cv2.INTER_AREA)
    quick = Schedule(octaves=1, steps=2)

    def dream(motif: str, **recipe: object) -> np.ndarray:
        return dream_image(photo, Recipe(schedule=quick.with_settings(motif=motif), **recipe))

    assert not np.array_equal(dream("auto"), dream("none"))
    layer = Targets((parse_layer("p4c"),))
    assert np.array_equal(dream("auto", wishes=layer), dream("none", wishes=layer))
