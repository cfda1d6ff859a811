"""Whether a film's dreamed picture and its dreamed sound turn to the same things at the same time.

    python scripts/measure_together.py film OUT.mkv [--seconds 120] [--seed 0]
    python scripts/measure_together.py judge FILM ... --sound-judge FILE [--hints OUT.hints.json]
    python scripts/measure_together.py compare TABLE ...
    python scripts/measure_together.py sides REPORT.json FILM

film: neutral pictures with hard cuts, over quiet music. In 20 stretches each a dog and the sea lie over the
picture, and in 20 others each, drawn apart from those, they are heard over the music; OUT.hints.json has all
of them. The pictures of them are those that the judges of pictures know for what they are: fainter ones, and
others, the judges do not find in the film itself. judge: P(dog) and P(sea) in each second of films, by
networks that dream in neither medium: of two frames, where it is likeliest of three squares across, and of
the sound about the second's middle; written beside each film, FILM.judged.json, and printed. With --hints it
is told as well what is seen and heard within hints and outside of any. compare: Spearman's rank correlation
over seconds of the picture's chance with the sound's, and the mean and standard deviation of the same with
the sound turned round by 10 seconds or more. sides: of the report that `mmdream video --json` printed, each
grain whose class belongs to motifs of dreamnet: where it is heard, and where in the finished picture its
motifs are; and the rank correlation of these.

The judge of sounds is that of train_sound_judge.py; the events are of ESC-10's fold 5, which neither it nor
melnet has learned from.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from judge_dreams import ROOT
from measure_sound import read_sound
from picture_judges import SOUNDS, PictureJudges, chances_in_picture, load_picture_judges
from scipy.stats import spearmanr
from sound_judge import HOP, RATE, load_judge, mel_power
from together_film import HINT_DB, make_film

from mmdream.image.hints import hinted_terms, measure_departures, shrink_look
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.couplings import find_couplings
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card

LOOKS_PER_SECOND, WINDOW_SECONDS = 2, 1.5
"""Of the picture, and of the sound."""
LEAST_SHIFT = 10
"""Seconds."""


def judge_picture(film: Path, judges: PictureJudges) -> np.ndarray:
    """P(dog) and P(sea) in each second of a film's picture, [second, 2]."""
    frames = read_frames(probe(film), every=Fraction(1, LOOKS_PER_SECOND))
    found = [chances_in_picture(judges, frame.rgb) for frame in frames]
    seconds = len(found) // LOOKS_PER_SECOND
    return np.reshape(found[: seconds * LOOKS_PER_SECOND], (seconds, LOOKS_PER_SECOND, -1)).mean(axis=1)


def judge_sound(film: Path, weights: Path) -> np.ndarray:
    """P(dog) and P(sea) in each second of a film's sound, [second, 2]."""
    judge, source = load_judge(weights), read_sound(film)
    power, rate = mel_power(source.samples, source.rate), RATE / HOP
    firsts = np.arange(source.n_samples // source.rate) + (1 - WINDOW_SECONDS) / 2
    spans = [(max(round(at * rate), 0), round((at + WINDOW_SECONDS) * rate)) for at in firsts]
    chances = judge.chances_of_powers([power[first:stop] for first, stop in spans])
    return chances[:, [judge.class_index(name) for name in SOUNDS.values()]]


def compare_hinted(chances: np.ndarray, stretches: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Of each class: mean chance in seconds whose middle is hinted at with it, and with nothing; the area.

    The area under the ROC curve is that of the seconds with it against all others.
    """
    found, middles = {}, np.arange(len(chances)) + 0.5
    spans = {kind: np.zeros(len(middles), bool) for kind in SOUNDS}
    for each in stretches:
        spans[each["kind"]] |= (each["start"] <= middles) & (middles < each["end"])
    for (kind, within), own in zip(spans.items(), chances.T, strict=True):
        area = np.mean(own[within, None] > own[None, ~within])
        nothing = own[~np.any([*spans.values()], axis=0)]
        found[kind] = [round(float(x), 4) for x in (own[within].mean(), nothing.mean(), area)]
    return found


def judge_films(args: argparse.Namespace) -> None:
    """Write a table for each film, and print it."""
    judges = load_picture_judges(args.data)
    for film in args.films:
        found = judge_picture(film, judges), judge_sound(film, args.sound_judge)
        both = [each[: min(map(len, found))] for each in found]
        table: dict[str, object] = {"film": film.name}
        for medium, chances in zip(("picture", "sound"), both, strict=True):
            table[medium] = {k: chances[:, n].round(6).tolist() for n, k in enumerate(SOUNDS)}
        film.with_suffix(".judged.json").write_text(json.dumps(table) + "\n")
        if args.hints is not None:
            hints = json.loads(args.hints.read_text())
            pairs = zip(hints.items(), both, strict=True)
            table["hints"] = {name: compare_hinted(heard, each) for (name, each), heard in pairs}
        print(json.dumps(table), flush=True)


def compare_media(args: argparse.Namespace) -> None:
    """Print the rank correlations of each table."""
    for path in args.tables:
        table = json.loads(path.read_text())
        pairs = [(np.array(table["picture"][kind]), np.array(table["sound"][kind])) for kind in SOUNDS]
        length = len(pairs[0][0])
        shifts = [0, *range(LEAST_SHIFT, length - LEAST_SHIFT + 1)]
        found = [[spearmanr(seen, np.roll(heard, by)).statistic for by in shifts] for seen, heard in pairs]
        figures = {}
        for kind, row in zip([*SOUNDS, "mean"], np.array([*found, np.mean(found, axis=0)]), strict=True):
            told = {"together": row[0], "shifted": row[1:].mean(), "standard_error": row[1:].std()}
            figures[kind] = {key: round(float(value), 3) for key, value in told.items()}
        print(json.dumps({"film": table["film"], "seconds": length, **figures}))


def find_side(departures: np.ndarray) -> float | None:
    """Middle of motifs' positive departures, [row, column, motif], -1 (left) to 1; None: there are none."""
    columns = np.maximum(departures, 0).sum(axis=(0, 2))
    middles = (np.arange(len(columns)) + 0.5) * 2 / len(columns) - 1
    return float((columns * middles).sum() / columns.sum()) if columns.sum() > 0 else None


def compare_sides(args: argparse.Namespace) -> None:
    """Print where grains are heard and where their motifs are seen."""
    network = load_network(load_card("dreamnet"))
    couplings, names = find_couplings(network.card, load_card("melnet")), list(hinted_terms(network.card))
    grains = [each for each in json.loads(args.report.read_text())["grains"] if each["kind"] in couplings]
    grains.sort(key=lambda grain: grain["seconds"])
    rows, last = [], None
    for frame in chain(read_frames(probe(args.film)), [None]):
        until = math.inf if frame is None else frame.seconds
        if last is not None and grains and grains[0]["seconds"] < until:
            departures = measure_departures(network, shrink_look(last.rgb))
            while grains and grains[0]["seconds"] < until:
                grain = grains.pop(0)
                motifs = [names.index(name) for name in couplings[grain["kind"]]]
                heard = 4 / math.pi * math.atan2(grain["pan"][1], grain["pan"][0]) - 1
                rows.append((heard, find_side(departures[..., motifs])))
        last = frame
    pairs = [row for row in rows if row[1] is not None]
    rank = round(float(spearmanr(*zip(*pairs, strict=True)).statistic), 3) if len(pairs) > 2 else None
    told = {"sides": rank, "grains": len(pairs), "unseen": len(rows) - len(pairs)}
    print(json.dumps({"film": args.film.name, **told}))


RUNS = {"film": make_film, "judge": judge_films, "compare": compare_media, "sides": compare_sides}


def main() -> None:
    """Read the command line and do one of the four."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    data = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data)
    commands = parser.add_subparsers(dest="command", required=True)
    film, judge, compare, sides = map(commands.add_parser, RUNS)
    film.add_argument("out", type=Path)
    film.add_argument("--seconds", type=float, default=120.0)
    film.add_argument("--seed", type=int, default=0)
    film.add_argument("--hint-db", type=float, default=HINT_DB, help="of an event over the bed")
    judge.add_argument("films", type=Path, nargs="+")
    judge.add_argument("--sound-judge", type=Path, default=Path("training/sound-judge.npz"), metavar="FILE")
    judge.add_argument("--hints", type=Path, help="what `film` wrote beside the film")
    compare.add_argument("tables", type=Path, nargs="+")
    sides.add_argument("report", type=Path)
    sides.add_argument("film", type=Path)
    args = parser.parse_args()
    RUNS[args.command](args)


if __name__ == "__main__":
    main()
