"""Lanes that answer each other over time: what is heard, seen and sounds, in rows, colours and links to draw.

Each lane has a row for a name, so that no text runs over another; what belongs together has one colour in all
lanes, and what has no counterpart is grey.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mmdream.settings.report import Report
from mmdream.views.canvas import Color

HEARD, SEEN, SOUNDS = "heard in the film", "seen in the dream", "sounds in the dream"
"""Titles of the lanes, from above."""
ANSWER_SECONDS = 0.5
"""By which what answers may be late, or early."""
COLUMNS = 500
"""Of the time: what is shorter is drawn as long as one, and nothing that lies nearer is told apart."""
LINK_COLUMNS = 5
"""Links of two rows that lie nearer are one band."""
MAX_ROWS, MAX_GREY_ROWS = 14, 4
"""Of a lane, and of these of what has no counterpart; the others share one more."""
FULL_CLARITY = 2.0
"""Spreads of clarity from which on a motif is drawn as strongly as can be."""
LEAST_STRENGTH = 0.45
"""Of a block of what is hardly there, of 1."""
TITLE_ROWS = 1.6
"""Height of a lane's title, in rows."""
FAMILY_COLORS: tuple[Color, ...] = (
    *((240, 140, 40), (70, 150, 230), (85, 175, 75), (225, 85, 90), (165, 115, 210)),
    *((45, 170, 165), (200, 160, 35), (235, 120, 175), (160, 120, 90), (120, 130, 235)),
)
"""That are told apart on white and on black."""
GREY: Color = (125, 125, 125)

Place = tuple[int, int]
"""A lane and a row of it, from above."""
Span = tuple[float, float]
"""Seconds of the source."""


@dataclass(frozen=True, slots=True)
class Block:
    """What is there from one second to another."""

    start: float
    stop: float
    strength: float
    """0..1: how strongly it is drawn."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing over time."""

    name: str
    color: Color
    blocks: tuple[Block, ...]
    """In order of time; none meets another."""


@dataclass(frozen=True, slots=True)
class Link:
    """From a row of a lane to what answers it in a row of the next lane."""

    upper: Place
    lower: Place
    color: Color
    at_upper: Span
    at_lower: Span


@dataclass(frozen=True, slots=True)
class Lane:
    """Rows under a title."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Lanes:
    """Lanes below one another over one time axis; those with nothing in them are left out."""

    span: Span
    lanes: tuple[Lane, ...]
    links: tuple[Link, ...]
    """To be drawn below the blocks."""

    @property
    def height(self) -> float:
        """Of all, in rows."""
        return sum(TITLE_ROWS + len(lane.rows) for lane in self.lanes)

    def top(self, place: Place) -> float:
        """Where a row begins, in rows from above; its lane's title ends where the first row begins."""
        above = sum(TITLE_ROWS + len(lane.rows) for lane in self.lanes[: place[0]])
        return above + TITLE_ROWS + place[1]

    def corners(self, link: Link) -> list[tuple[float, float]]:
        """Of a link from the middle of one row to that of the other: seconds, and rows from above."""
        upper, lower = self.top(link.upper) + 0.5, self.top(link.lower) + 0.5
        (a, b), (c, d) = link.at_upper, link.at_lower
        return [(a, upper), (b, upper), (d, lower), (c, lower)]


@dataclass(frozen=True, slots=True)
class _Thing:
    """Something named, somewhen."""

    name: str
    start: float
    stop: float
    strength: float = 1.0


def plan_lanes(report: Report, span: Span) -> Lanes:
    """What is heard, seen and sounds in a dream between two seconds of the source, ready to be drawn."""
    heard = [_Thing(each.name, each.start, each.stop, each.share) for each in report.heard]
    seen = [
        _Thing(each.name, each.start, each.stop, min(each.clarity / FULL_CLARITY, 1.0))
        for each in report.shown
    ]
    sounds = [_Thing(each.kind, each.seconds, each.seconds + each.length) for each in report.grains]
    contents = {HEARD: heard, SEEN: seen, SOUNDS: sounds}
    contents = {
        title: inside
        for title, things in contents.items()
        if (inside := [each for each in things if each.start < span[1] and each.stop > span[0]])
    }
    column, lanes, homes = (span[1] - span[0]) / COLUMNS, list[Lane](), dict[str, dict[str, int]]()
    colors = _color_names(contents, report.couplings)
    for title, things in contents.items():
        rows, homes[title] = _plan_rows(things, colors[title], column)
        lanes.append(Lane(title, rows))
    links = list[Link]()
    for find, upper, lower in ((_find_shown, HEARD, SEEN), (_find_sounding, SEEN, SOUNDS)):
        if upper in contents and lower in contents:
            found = find(contents[upper], contents[lower], report.couplings)
            first = list(contents).index(upper)
            links += _plan_links(found, first, homes[upper], homes[lower], colors[upper], column)
    return Lanes(span, tuple(lanes), tuple(links))


def _color_names(
    contents: Mapping[str, Sequence[_Thing]], couplings: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[str, Color]]:
    """The colour of each name in each lane: that of its family, by its first time, if two lanes have it."""
    families = list[tuple[set[str], set[str]]]()
    for sound, own in couplings.items():
        sounds, motifs = {sound}, set(own)
        for family in [each for each in families if each[1] & motifs]:
            families.remove(family)
            sounds, motifs = sounds | family[0], motifs | family[1]
        families.append((sounds, motifs))
    begun: list[tuple[float, dict[str, set[str]]]] = []
    for sounds, motifs in families:
        members = {title: motifs if title == SEEN else sounds for title in contents}
        starts = {
            title: min((each.start for each in things if each.name in members[title]), default=None)
            for title, things in contents.items()
        }
        known = [start for start in starts.values() if start is not None]
        if len(known) > 1:
            begun.append((min(known), members))
    colors: dict[str, dict[str, Color]] = {title: {} for title in contents}
    for number, (_, members) in enumerate(sorted(begun, key=lambda each: each[0])):
        for title, names in members.items():
            colors[title] |= dict.fromkeys(names, FAMILY_COLORS[number % len(FAMILY_COLORS)])
    return colors


def _plan_rows(
    things: Sequence[_Thing], colors: Mapping[str, Color], column: float
) -> tuple[tuple[Row, ...], dict[str, int]]:
    """The rows of a lane, families together and grey ones below, and the row that each name is in."""
    totals: dict[str, float] = {}
    for each in things:
        totals[each.name] = totals.get(each.name, 0.0) + each.stop - each.start
    longest = sorted(totals, key=lambda name: -totals[name])
    kept = [name for name in longest if name in colors][:MAX_ROWS]
    greys = [name for name in longest if name not in colors]
    kept += greys[: min(MAX_GREY_ROWS, MAX_ROWS - len(kept))]
    rest = [name for name in longest if name not in kept]
    if len(rest) == 1:  # It takes no more room than to say that there is one more.
        kept, rest = kept + rest, []
    order = list(FAMILY_COLORS)
    kept.sort(key=lambda name: order.index(colors[name]) if name in colors else len(order))
    rows = [Row(name, colors.get(name, GREY), _plan_blocks(things, {name}, column)) for name in kept]
    if rest:
        faint = [replace(each, strength=0.0) for each in things]
        rows.append(Row(f"{len(rest)} more", GREY, _plan_blocks(faint, set(rest), column)))
    homes = {name: number for number, name in enumerate(kept)} | dict.fromkeys(rest, len(kept))
    return tuple(rows), homes


def _plan_blocks(things: Iterable[_Thing], names: set[str], column: float) -> tuple[Block, ...]:
    """The blocks of some names, those that nearly meet as one."""
    blocks: list[Block] = []
    for each in sorted((each for each in things if each.name in names), key=lambda each: each.start):
        strength = LEAST_STRENGTH + (1 - LEAST_STRENGTH) * min(max(each.strength, 0.0), 1.0)
        stop = max(each.stop, each.start + column)
        if blocks and each.start - blocks[-1].stop < column:
            last = blocks.pop()
            blocks.append(Block(last.start, max(last.stop, stop), max(last.strength, strength)))
        else:
            blocks.append(Block(each.start, stop, strength))
    return tuple(blocks)


def _find_shown(
    heard: Iterable[_Thing], seen: Sequence[_Thing], couplings: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, Span, Span]]:
    """Each class that is heard, a motif of it that is shown meanwhile, and from when to when at either."""
    for sound in heard:
        for motif in (each for each in seen if each.name in couplings.get(sound.name, ())):
            start, stop = max(sound.start, motif.start), min(sound.stop + ANSWER_SECONDS, motif.stop)
            if start <= stop:
                yield sound.name, motif.name, (min(start, sound.stop), min(stop, sound.stop)), (start, stop)


def _find_sounding(
    seen: Iterable[_Thing], sounds: Sequence[_Thing], couplings: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, Span, Span]]:
    """Each motif that is shown, a sound of it that begins meanwhile, and when at either."""
    for motif in seen:
        for sound in (each for each in sounds if motif.name in couplings.get(each.name, ())):
            if motif.start - ANSWER_SECONDS <= sound.start <= motif.stop + ANSWER_SECONDS:
                at = min(max(sound.start, motif.start), motif.stop)
                yield motif.name, sound.name, (at, at), (sound.start, sound.start)


def _plan_links(
    found: Iterable[tuple[str, str, Span, Span]],
    first: int,
    uppers: Mapping[str, int],
    lowers: Mapping[str, int],
    colors: Mapping[str, Color],
    column: float,
) -> list[Link]:
    """The links between a lane, by its number, and the next: neighbours of the same two rows are one."""
    links: list[Link] = []
    newest: dict[tuple[int, int, Color], int] = {}
    for upper, lower, *ends in sorted(found, key=lambda each: each[3]):
        rows = uppers[upper], lowers[lower], colors[upper]
        at_upper, at_lower = ((start, max(stop, start + column)) for start, stop in ends)
        place = newest.get(rows)
        if place is not None and at_lower[0] - links[place].at_lower[1] < LINK_COLUMNS * column:
            last = links[place]
            at_upper = min(last.at_upper[0], at_upper[0]), max(last.at_upper[1], at_upper[1])
            at_lower = min(last.at_lower[0], at_lower[0]), max(last.at_lower[1], at_lower[1])
            links[place] = replace(last, at_upper=at_upper, at_lower=at_lower)
        else:
            newest[rows] = len(links)
            links.append(Link((first, rows[0]), (first + 1, rows[1]), rows[2], at_upper, at_lower))
    return links
