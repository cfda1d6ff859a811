"""Lanes that answer each other: what belongs together has one colour and is linked where it meets."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mmdream.settings.report import GrainEvent, HeardClass, Report, ShownMotif
from mmdream.views.lanes import (
    COLUMNS,
    FAMILY_COLORS,
    GREY,
    HEARD,
    MAX_ROWS,
    SEEN,
    SOUNDS,
    Lanes,
    Link,
    plan_lanes,
)

COUPLINGS = {"dog bark": ("dog", "spaniel"), "rain": ("fountain",), "rooster": ("bird",)}


def make_grain(seconds: float, kind: str) -> GrainEvent:
    return GrainEvent(seconds, 0.4, kind, "a", None, -20.0, (1.0,))


REPORT = Report(
    heard=(HeardClass("dog bark", 1.0, 2.0, 0.9), HeardClass("rooster", 4.0, 5.0, 0.5)),
    shown=(
        ShownMotif("spaniel", 1.5, 4.0, 2.0, 0.0),
        ShownMotif("fountain", 5.0, 6.0, 1.0, 0.0),
        ShownMotif("dog", 7.0, 8.0, 1.0, 0.0),
        ShownMotif("tower", 0.0, 9.0, 1.0, 0.0),
    ),
    grains=(
        *(make_grain(at, "dog bark") for at in (0.2, 3.0, 4.4, 4.8)),
        make_grain(5.5, "rain"),
        make_grain(6.0, "sneeze"),
    ),
    couplings=COUPLINGS,
)


def find_row(lanes: Lanes, title: str, name: str) -> tuple[int, int]:
    (place,) = [
        (number, k)
        for number, lane in enumerate(lanes.lanes)
        for k, row in enumerate(lane.rows)
        if (lane.title, row.name) == (title, name)
    ]
    return place


def find_links(lanes: Lanes, upper: tuple[int, int], lower: tuple[int, int]) -> list[Link]:
    return [link for link in lanes.links if (link.upper, link.lower) == (upper, lower)]


def test_what_belongs_together_and_meets_is_linked_and_nothing_else():
    lanes = plan_lanes(REPORT, (0.0, 10.0))
    assert [lane.title for lane in lanes.lanes] == [HEARD, SEEN, SOUNDS]
    heard, spaniel = find_row(lanes, HEARD, "dog bark"), find_row(lanes, SEEN, "spaniel")
    barks, rain = find_row(lanes, SOUNDS, "dog bark"), find_row(lanes, SOUNDS, "rain")
    (answered,) = find_links(lanes, heard, spaniel)
    # Shown half a second after it was heard still answers it.
    assert (answered.at_upper, answered.at_lower) == ((1.5, 2.0), (1.5, 2.5))
    first, second = find_links(lanes, spaniel, barks)
    assert (first.at_upper[0], first.at_lower[0]) == (3.0, 3.0)
    assert (second.at_upper[0], second.at_lower[0]) == (4.0, 4.4)
    (wet,) = find_links(lanes, find_row(lanes, SEEN, "fountain"), rain)
    assert wet.at_lower[0] == 5.5
    assert len(lanes.links) == 4


def test_a_family_has_one_colour_in_all_lanes_and_what_stands_alone_is_grey():
    lanes = plan_lanes(REPORT, (0.0, 10.0))
    colors = {(lane.title, row.name): row.color for lane in lanes.lanes for row in lane.rows}
    dogs = colors[HEARD, "dog bark"]
    assert dogs == colors[SEEN, "spaniel"] == colors[SEEN, "dog"] == colors[SOUNDS, "dog bark"]
    assert colors[SEEN, "fountain"] == colors[SOUNDS, "rain"]
    assert {dogs, colors[SOUNDS, "rain"]} == set(FAMILY_COLORS[:2])
    alone = [(SEEN, "tower"), (SOUNDS, "sneeze"), (HEARD, "rooster")]
    assert {colors[each] for each in alone} == {GREY}
    assert {link.color for link in lanes.links} == {dogs, colors[SOUNDS, "rain"]}


def test_motifs_of_two_sounds_are_one_family():
    report = Report(
        heard=(HeardClass("baby cry", 0.0, 1.0, 1.0), HeardClass("sneeze", 2.0, 3.0, 1.0)),
        shown=(ShownMotif("face", 0.0, 3.0, 2.0, 0.0),),
        couplings={"baby cry": ("face",), "sneeze": ("face", "teeth")},
    )
    lanes = plan_lanes(report, (0.0, 3.0))
    assert len({row.color for lane in lanes.lanes for row in lane.rows}) == 1
    assert len(lanes.links) == 2


@pytest.mark.parametrize(
    ("report", "titles"),
    [
        (Report(), []),
        (Report(grains=REPORT.grains), [SOUNDS]),
        (Report(shown=REPORT.shown, grains=REPORT.grains), [SEEN, SOUNDS]),
        (Report(heard=REPORT.heard, grains=REPORT.grains), [HEARD, SOUNDS]),
        (Report(grains=(make_grain(11.0, "rain"),)), []),
    ],
)
def test_lanes_with_nothing_in_them_are_left_out(report: Report, titles: list[str]):
    lanes = plan_lanes(report, (0.0, 10.0))
    assert [lane.title for lane in lanes.lanes] == titles
    assert not lanes.links  # Nothing is said to belong together.
    tops = [lanes.top((number, 0)) for number in range(len(titles))]
    assert all(0 < top < lanes.height for top in tops)


def test_a_long_film_stays_readable():
    names = [f"motif {number}" for number in range(40)]
    shown = [ShownMotif(name, 10.0 * k, 10.0 * k + 12, 2.0, 0.0) for k, name in enumerate(names)]
    shown += [ShownMotif("dog", 30.0 * k, 30.0 * k + 15, 1.0, 0.0) for k in range(20)]
    grains = tuple(make_grain(0.7 * k, ("dog bark", "rain", "clock")[k % 3]) for k in range(850))
    lanes = plan_lanes(Report(shown=tuple(shown), grains=grains, couplings=COUPLINGS), (0.0, 600.0))
    seen, sounds = lanes.lanes
    assert len(seen.rows) <= MAX_ROWS + 1
    assert seen.rows[0].name == "dog"
    assert seen.rows[-1].name.endswith(" more")
    assert len(seen.rows[-1].blocks) == 1  # The others follow each other without a break.
    for row in (*seen.rows, *sounds.rows):
        assert len(row.blocks) <= COLUMNS
        assert all(first.stop < second.start for first, second in pairwise(row.blocks))
        assert all(each.stop - each.start >= 600 / COLUMNS for each in row.blocks)
    assert len(lanes.links) == 20  # A band for each time that the dog is there.
