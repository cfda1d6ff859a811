"""Whether a film's dreamed picture and its dreamed sound turn to the same things at the same time.

    python scripts/measure_together.py film OUT.mp4 [--seconds 160] [--seed 0]
    python scripts/measure_together.py judge FILM ... --sound-judge FILE [--hints OUT.hints.json]
    python scripts/measure_together.py compare TABLE ...
    python scripts/measure_together.py sides REPORT.json FILM

film: neutral pictures with hard cuts, over quiet music. In 20 stretches each a dog and the sea shine faintly
through the picture, and in 20 others each, drawn apart from those, they are heard faintly; OUT.hints.json has
all of them. judge: P(dog) and P(sea) in each second of films, by networks that dream in neither medium: of
two frames, mean over three squares across, and of the sound about the second's middle; written beside each
film, FILM.judged.json, and printed. With --hints it is told as well what is seen and heard within hints and
outside of any. compare: Spearman's rank correlation over seconds of the picture's chance with the sound's,
and the mean and standard deviation of the same with the sound turned round by 10 seconds or more. sides: of
the report that `mmdream video --json` printed, each grain whose class belongs to motifs of dreamnet: where it
is heard, and where in the finished picture its motifs are; and the rank correlation of these.

The judge of sounds is that of train_sound_judge.py; the events are of ESC-10's fold 5, which neither it nor
melnet has learned from.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import librosa
import numpy as np
import soundfile
from esc10 import list_classes, list_members, read_clip
from judge_dreams import ROOT, crop_square
from measure_sound import read_sound
from PIL import Image
from scipy.special import softmax
from scipy.stats import spearmanr
from sound_dreams import fit_length, load_sound
from sound_judge import HOP, RATE, load_judge, mel_power

from mmdream.audio.source import ArraySource, CrossfadedSource
from mmdream.core.rng import rng_for
from mmdream.image.hints import cut_windows, hinted_terms, measure_departures, shrink_look
from mmdream.image.octaves import resize
from mmdream.media.color import ColorSpace, default_matrix
from mmdream.media.formats import merge_audio_video, video_format
from mmdream.media.probe import Orientation, VideoTrack, probe
from mmdream.media.video_reader import read_frames
from mmdream.media.video_writer import VideoWriter
from mmdream.networks.couplings import find_couplings
from mmdream.networks.framework import tf
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card

WIDTH, HEIGHT, FPS = 320, 180, 25
SHOT_SECONDS, ZOOM, TRAVEL = (7.0, 9.0), (1.08, 1.25), 0.9
"""Lengths of shots, drawn; zoom at either end; share of the room beside the view that the camera passes."""
STRETCHES, LEAST_SECONDS = 20, 6
"""Of each kind in each medium, fewer in a film with less than so many seconds for each."""
STRETCH_SECONDS, FADE_SECONDS = (2.0, 3.0), 0.3
OPACITY = 0.30, 0.45
HINT_SHARE, RIM = 0.95, 0.5
"""Side of a hint over the film's height; width of its soft rim over its radius."""
BED_DB, HINT_DB = -30.0, -12.0
"""RMS of the bed, of full scale, and of an event over that, within 20 dB of its loudest moment."""
SOUND_SIDE = 0.7
"""How far to a side an event is heard, of all the way."""
BED = "strings", "vibe_ace"
SOUNDS = {"dog": "dog bark", "sea": "sea waves"}
SEA = (107, 108, 109, 112, 117, 437, 460, 484, 510, 554, 625, 628, 780, 871, 914, 973, 975, 976, 977, 978)
CLASSES = {"dog": tuple(range(151, 269)), "sea": SEA}
"""ImageNet's classes: breeds; coasts, ships, shells, corals, what the table of couplings has for waves."""
NEUTRAL = (425, 454, 483, 497, 579, 580, 624, 663, 698, 706, 716, 762, 825, 858, 884, 888, 958, 970, 984)
"""Buildings, gardens, fields and rooms."""
PICTURE_JUDGES = {"squeezenet": "squeezenet_v1_1.npz", "googlenet": "googlenet_fp16.npz"}
LOOKS_PER_SECOND, WINDOW_SECONDS = 2, 1.5
"""Of the picture, and of the sound."""
LEAST_SHIFT = 10
"""Seconds."""


@dataclass(frozen=True)
class Stretch:
    """A hint."""

    kind: str
    start: float
    end: float
    side: int
    """-1 left, 0 in the middle, 1 right."""

    def fade(self, at: float | np.ndarray) -> Any:
        """How much of it there is at a second, 0..1."""
        return np.clip(np.minimum(at - self.start, self.end - at) / FADE_SECONDS, 0, 1)


def draw_stretches(seconds: float, rng: np.random.Generator) -> list[Stretch]:
    """Stretches of one medium, in order, that do not overlap."""
    each = min(STRETCHES, int(seconds / LEAST_SECONDS))
    kinds = rng.permutation([*SOUNDS] * each)
    lengths = rng.uniform(*STRETCH_SECONDS, len(kinds))
    starts = np.sort(rng.uniform(0, seconds - lengths.sum(), len(kinds)))
    starts += np.cumsum(lengths) - lengths
    sides = rng.integers(-1, 2, len(kinds))
    return [
        Stretch(str(kind), round(float(start), 3), round(float(start + length), 3), int(side))
        for kind, start, length, side in zip(kinds, starts, lengths, sides, strict=True)
    ]


def read_samples(data: Path) -> dict[int, np.ndarray]:
    """ImageNet's sample pictures of dogs, the sea and what is neutral, by class, float32 [H, W, 3]."""
    found = {}
    with tarfile.open(data / "imagenet_samples.tar") as tar:
        # In the order of WordNet ids, as the classes are.
        names = sorted(tar.getnames())
        for number in (*NEUTRAL, *chain(*CLASSES.values())):
            file = tar.extractfile(names[number])
            assert file is not None
            found[number] = np.asarray(Image.open(file).convert("RGB"), np.float32) / 255
    return found


def view_picture(picture: np.ndarray, done: float, way: np.ndarray) -> np.ndarray:
    """A picture as the camera sees it when a share of the shot is done; `way` is from -1 to 1 each way."""
    size = np.array([picture.shape[1], picture.shape[0]])
    zoom = max(WIDTH / size[0], HEIGHT / size[1]) * float(np.interp(done, (0, 1), ZOOM))
    room = size - np.array([WIDTH, HEIGHT]) / zoom
    x, y = room / 2 * (1 + TRAVEL * way * (2 * done - 1))
    back = np.array([[1 / zoom, 0, x], [0, 1 / zoom, y]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, back, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)


def cut_hint(picture: np.ndarray, side: int, opacity: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture at one side of the film, and its opacity with a soft rim, float32 [H, W, 3] and [H, W, 1]."""
    length = round(HINT_SHARE * HEIGHT)
    left, top = round((1 + side) / 2 * (WIDTH - length)), (HEIGHT - length) // 2
    layer, mask = np.zeros((HEIGHT, WIDTH, 3), np.float32), np.zeros((HEIGHT, WIDTH, 1), np.float32)
    down, right = (np.mgrid[:length, :length].astype(np.float32) + 0.5) * 2 / length - 1
    inside = np.clip((1 - np.hypot(down, right)) / RIM, 0, 1)[..., None]
    place = np.s_[top : top + length, left : left + length]
    layer[place] = resize(crop_square(picture), (length, length)).clip(0, 1)
    mask[place] = opacity * inside * inside * (3 - 2 * inside)
    return layer, mask


def make_frames(data: Path, seconds: float, stretches: list[Stretch], seed: int) -> Iterator[np.ndarray]:
    """The picture, frame by frame."""
    samples, rng = read_samples(data), rng_for(seed, "pictures")
    chosen = [
        (samples[int(rng.choice(CLASSES[each.kind]))], each.side, rng.uniform(*OPACITY)) for each in stretches
    ]
    starts = [0.0]
    while starts[-1] < seconds:
        starts.append(starts[-1] + rng.uniform(*SHOT_SECONDS))
    order = np.concatenate([rng.permutation(NEUTRAL) for _ in range(0, len(starts), len(NEUTRAL))])
    ways = rng.uniform(-1, 1, (len(starts), 2))
    for number in range(round(seconds * FPS)):
        at = number / FPS
        shot = int(np.searchsorted(starts, at, "right")) - 1
        done = (at - starts[shot]) / (starts[shot + 1] - starts[shot])
        view = view_picture(samples[int(order[shot])], done, ways[shot])
        for place, stretch in enumerate(stretches):
            if stretch.start <= at < stretch.end:
                layer, mask = cut_hint(*chosen[place])
                mask = mask * stretch.fade(at)
                view = view + mask * (layer - view)
        yield np.clip(view, 0, 1).astype(np.float32)


def set_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """A sound, float [..., sample], with another RMS of what is within 20 dB of its loudest moment."""
    rms = librosa.feature.rms(y=np.atleast_2d(samples).mean(axis=0), hop_length=512)[0]
    loud = rms[rms >= 0.1 * rms.max()]
    return samples * 10 ** (level_db / 20) / max(float(np.sqrt(np.mean(np.square(loud)))), 1e-9)


def cut_event(clip: ArraySource, length: int, rng: np.random.Generator) -> np.ndarray:
    """A part of a recording with as much in it as almost any, float32 [length]."""
    sound = fit_length(clip, 10.0).samples[0]
    sums = np.cumsum(np.square(sound, dtype=np.float64))
    powers = (sums[length:] - sums[:-length])[:: RATE // 20]
    start = int(rng.choice(np.flatnonzero(powers >= 0.8 * powers.max()))) * (RATE // 20)
    return np.asarray(sound[start : start + length])


def make_sound(data: Path, seconds: float, stretches: list[Stretch], seed: int, hint_db: float) -> np.ndarray:
    """The sound, float32 [2, sample]."""
    rng, names = rng_for(seed, "events"), list_classes(data / "esc10.tar")
    members = {kind: list_members(data / "esc10.tar", names.index(name), 5) for kind, name in SOUNDS.items()}
    bed = [load_sound(data, name) for name in BED]
    bed = [ArraySource(set_level(each.samples, BED_DB), each.rate, each.layout) for each in bed]
    sound = CrossfadedSource(bed * math.ceil(seconds / 20)).read(0, round(seconds * RATE))
    for stretch in stretches:
        first, last = (round(at * RATE) for at in (stretch.start, stretch.end))
        clip = read_clip(data / "esc10.tar", str(rng.choice(members[stretch.kind])))
        event = set_level(cut_event(clip, last - first, rng), BED_DB + hint_db)
        angle = (SOUND_SIDE * stretch.side + 1) * math.pi / 4
        gains = math.sqrt(2) * np.array([[math.cos(angle)], [math.sin(angle)]])
        sound[:, first:last] += gains * event * stretch.fade(np.arange(first, last) / RATE)
    return sound


def make_film(args: argparse.Namespace) -> None:
    """Write the film and its stretches."""
    drawn = {name: draw_stretches(args.seconds, rng_for(args.seed, name)) for name in ("picture", "sound")}
    color = ColorSpace(default_matrix(HEIGHT), full_range=False)
    tick, kind = Fraction(1, FPS), video_format(args.out)
    shape = WIDTH, HEIGHT, Orientation(), tick, 0, 1 / tick, None, Fraction(1)
    video = VideoTrack(0, "", *shape, color, bit_depth=8, alpha=False)
    with tempfile.TemporaryDirectory() as folder:
        silent, wave = Path(folder) / f"silent{kind.intermediate_suffix}", Path(folder) / "sound.wav"
        with VideoWriter(silent, video, args.out.suffix.lower(), tick) as writer:
            for number, rgb in enumerate(make_frames(args.data, args.seconds, drawn["picture"], args.seed)):
                writer.write(rgb, number)
        sound = make_sound(args.data, args.seconds, drawn["sound"], args.seed, args.hint_db)
        soundfile.write(wave, sound.T, RATE, "FLOAT")
        merge_audio_video(silent, wave, args.out, kind.audio_encoder)
    rows = {name: [asdict(stretch) for stretch in stretches] for name, stretches in drawn.items()}
    args.out.with_suffix(".hints.json").write_text(json.dumps(rows, indent=1) + "\n")


def picture_judge(name: str, weights: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A network of the zoo: float32 [H, W, 3] -> P(dog), P(sea), mean over squares across the picture."""
    network = load_network(load_card(name), str(weights))
    head, side = network.class_logits(), network.card.input.side  # type: ignore[union-attr]

    def judge(rgb: np.ndarray) -> np.ndarray:
        windows = [resize(window, (side, side)) for window in cut_windows(rgb, 1.0)[0]]
        chances = softmax(head(tf.constant(np.stack(windows).clip(0, 1))).numpy().astype(np.float64), axis=1)
        return np.array([chances[:, own].sum(axis=1).mean() for own in CLASSES.values()])

    return judge


def judge_picture(film: Path, judges: list[Callable[[np.ndarray], np.ndarray]]) -> np.ndarray:
    """P(dog) and P(sea) in each second of a film's picture, [second, 2]."""
    frames = read_frames(probe(film), every=Fraction(1, LOOKS_PER_SECOND))
    found = [np.mean([judge(frame.rgb) for judge in judges], axis=0) for frame in frames]
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
    judges = [picture_judge(name, args.data / "weights" / file) for name, file in PICTURE_JUDGES.items()]
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
    film.add_argument("--seconds", type=float, default=160.0)
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
