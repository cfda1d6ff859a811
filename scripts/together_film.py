"""The film of measure_together.py: dogs and the sea, hinted at in picture and sound, each for itself."""

from __future__ import annotations

import argparse
import json
import math
import tarfile
import tempfile
from collections.abc import Iterator
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
from judge_dreams import crop_square
from picture_judges import CLASSES, SOUNDS, chances_in_picture, load_picture_judges
from PIL import Image
from sound_dreams import fit_length, load_sound
from sound_judge import RATE

from mmdream.audio.source import ArraySource, CrossfadedSource
from mmdream.core.rng import rng_for
from mmdream.image.octaves import resize
from mmdream.media.color import ColorSpace, default_matrix
from mmdream.media.formats import merge_audio_video, video_format
from mmdream.media.probe import Orientation, VideoTrack
from mmdream.media.video_writer import VideoWriter

WIDTH, HEIGHT, FPS = 320, 180, 6
SHOT_SECONDS, ZOOM, TRAVEL = (7.0, 9.0), (1.08, 1.25), 0.9
"""Lengths of shots, drawn; zoom at either end; share of the room beside the view that the camera passes."""
STRETCHES, LEAST_SECONDS = 20, 6
"""Of each kind in each medium, fewer in a film with less than so many seconds for each."""
STRETCH_SECONDS, FADE_SECONDS = (2.0, 3.0), 0.3
OPACITY = 0.75, 0.95
KNOWN = 0.5
"""Least chance that the judges give a picture of what it shows, of which a hint is made."""
HINT_SHARE, RIM = 0.95, 0.5
"""Side of a hint over the film's height; width of its soft rim over its radius."""
BED_DB, HINT_DB = -30.0, 8.0
"""RMS of the bed, of full scale, and of an event over that, within 20 dB of its loudest moment."""
SOUND_SIDE = 0.7
"""How far to a side an event is heard, of all the way."""
BED = "strings", "vibe_ace"
NEUTRAL = (425, 454, 483, 497, 579, 580, 624, 663, 698, 706, 716, 762, 825, 858, 884, 888, 958, 970, 984)
"""Buildings, gardens, fields and rooms."""


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
    judges, known = load_picture_judges(data), dict[str, list[np.ndarray]]()
    for place, (kind, numbers) in enumerate(CLASSES.items()):
        own = [crop_square(samples[number]) for number in numbers]
        known[kind] = [each for each in own if chances_in_picture(judges, each)[place] >= KNOWN]
    chosen = [
        (known[each.kind][rng.integers(len(known[each.kind]))], each.side, rng.uniform(*OPACITY))
        for each in stretches
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
