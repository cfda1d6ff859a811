"""What networks see and hear in an image, a sound or a film: class probabilities over time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.special import softmax

from mmdream.audio.source import FileSource
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.octaves import resize
from mmdream.media.audio_files import extract_audio
from mmdream.media.image import is_image, read_image
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.card import ImageInput
from mmdream.networks.network import Network
from mmdream.networks.registry import list_networks, load_card
from mmdream.render.models import load_audio_network, load_image_network
from mmdream.settings.recipe import Recipe
from mmdream.settings.report import format_time_code

FRAME_INTERVAL = Fraction(1)
"""Seconds from one frame of a film that is classified to the next."""
WINDOW_SECONDS = 2.0
"""Seconds of sound that are classified together: a bark or two; melnet was trained on 2.5."""
MAX_MOMENTS = 600
"""Frames or windows of a film; in longer ones they lie further apart."""
CLASSES_PER_MOMENT = 3
"""Classes of each moment that a person is told."""


@dataclass(frozen=True)
class ClassifierChoice:
    """The networks to classify with, and their weights; None: the default, or the card's own."""

    net: str | None = None
    """Of either medium, so that a sound can be given to it too."""
    sound_net: str | None = None
    weights: str | None = None
    sound_weights: str | None = None


def classify_file(source: Path, choice: ClassifierChoice, top: int, sink: EventSink) -> FilePredictions:
    """Classify an image, a sound or a film, and report the `top` first classes.

    A `UserError` where the file is none of them or has nothing for a network that is named, a network has no
    classes, or weights are missing or damaged.
    """
    if top < 1:
        raise UserError(f"--top is {top}; at least one class can be told")
    if choice.net is not None and load_card(choice.net).medium != "picture":
        if choice.sound_net is not None:
            raise UserError(f"{choice.net} and {choice.sound_net} both hear; give one of them")
        choice = ClassifierChoice(sound_net=choice.net, sound_weights=choice.weights)
    # In float32, so that a class does not depend on the machine.
    recipe = Recipe(weights=choice.weights, sound_weights=choice.sound_weights, precision="float32")
    recipe = replace(recipe, net=choice.net or recipe.net, sound_net=choice.sound_net or recipe.sound_net)
    if is_image(source):
        if choice.sound_net is not None:
            raise UserError(f"{source}: is a picture; {choice.sound_net} hears sounds")
        rgb = read_image(source)
        network = _load_classifier(recipe, "picture", sink)
        predictions = Predictions.of(network, [0.0], None, [image_classifier(network)(rgb)])
        return FilePredictions(source, (predictions,), top)
    film = probe(source)
    if film.video is None and choice.net is not None:
        raise UserError(f"{source}: has no picture for {choice.net} to see")
    if not film.audio_tracks and choice.sound_net is not None:
        raise UserError(f"{source}: has no sound for {choice.sound_net} to hear")
    both = []
    if film.video is not None:
        both.append(_classify_frames(film, _load_classifier(recipe, "picture", sink), sink))
    if film.audio_tracks:
        both.append(_classify_windows(film, _load_classifier(recipe, "sound", sink), sink))
    return FilePredictions(source, tuple(both), top)


def image_classifier(network: Network) -> Callable[[np.ndarray], np.ndarray]:
    """A function from an image, float32 [H, W, 3], 0..1, to an image network's logits, float32 [class].

    The whole image is warped to the square that the network was trained on: so the ImageNet networks name
    more samples than by a crop of the middle, and nothing at a wide frame's sides is left out.
    """
    front, head = network.card.input, network.class_logits()
    assert isinstance(front, ImageInput)
    size = front.side, front.side
    return lambda rgb: np.asarray(head(resize(rgb, size)[None]), np.float32)[0]


def _load_classifier(recipe: Recipe, medium: str, sink: EventSink) -> Network:
    """A recipe's network of a medium; one without classes to tell apart is a `UserError`."""
    sees = medium == "picture"
    card = load_card(recipe.net if sees else recipe.sound_net, medium)
    if card.head is None or len(card.class_names()) < 2:
        able = ", ".join(name for name in list_networks(medium) if load_card(name).head is not None)
        raise UserError(f"{card.name} has no classes to name; these have: {able}")
    return (load_image_network if sees else load_audio_network)(recipe, sink)


def _classify_frames(film: MediaFile, network: Network, sink: EventSink) -> Predictions:
    interval = max(FRAME_INTERVAL, (film.duration or Fraction(0)) / MAX_MOMENTS)
    expected = 0 if film.duration is None else -(-film.duration // interval)
    seconds, logits, classify = [], [], image_classifier(network)
    for frame in read_frames(film, every=interval, on_warning=sink.warn):
        seconds.append(float(frame.seconds))
        logits.append(classify(frame.rgb))
        sink.progress("picture", len(seconds), max(expected, len(seconds)) if expected else 0)
    if not seconds:
        raise UserError(f"{film.path}: no frame of it can be decoded")
    return Predictions.of(network, seconds, None, logits)


def _classify_windows(film: MediaFile, network: Network, sink: EventSink) -> Predictions:
    """Classify the first sound track."""
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.audio.frontend import read_windows

    track, head = film.audio_tracks[0], network.class_logits()
    seconds, logits = [], []
    with tempfile.TemporaryDirectory(prefix="mmdream-") as folder:
        wave = Path(folder) / "sound.wav"
        span = extract_audio(film, track, wave)
        if not span.n_samples:
            raise UserError(f"{film.path}: its sound is empty")
        with soundfile.SoundFile(wave) as file:
            length = span.n_samples / track.rate
            source = FileSource(file, track.layout)
            for begin, window in read_windows(source, network, WINDOW_SECONDS, MAX_MOMENTS):
                seconds.append(float(span.start) + begin)
                logits.append(np.asarray(head(window), np.float32)[0])
                sink.progress("sound", min(begin + WINDOW_SECONDS, length), length)
    return Predictions.of(network, seconds, WINDOW_SECONDS, logits)


@dataclass(frozen=True)
class Predictions:
    """What one network says of one file."""

    medium: str
    """"picture" or "sound"."""
    network: str
    classes: tuple[str, ...]
    """Their primary names, at least two."""
    seconds: np.ndarray
    """float64 [moment]: when each frame is shown, or each window begins, as a player tells time."""
    span: float | None
    """Seconds that a moment lasts; None: a frame, or an image."""
    logits: np.ndarray
    """float32 [moment, class]."""

    @staticmethod
    def of(
        network: Network, seconds: list[float], span: float | None, logits: list[np.ndarray]
    ) -> Predictions:
        """Those of a network, from the logits of each moment, float32 [class]."""
        card = network.card
        names = card.primary_names()
        return Predictions(card.medium, card.name, names, np.array(seconds), span, np.stack(logits))

    @cached_property
    def probabilities(self) -> np.ndarray:
        """float64 [moment, class]."""
        return softmax(self.logits.astype(np.float64), axis=1)

    @cached_property
    def log_odds(self) -> np.ndarray:
        """ln(p / (1 - p)) in nats, float64 [moment, class], exact also where p is next to 1."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True).astype(np.float64)
        odds = np.exp(shifted)
        others = odds.sum(axis=1, keepdims=True) - odds
        rows, best = np.arange(len(odds)), odds.argmax(axis=1)
        odds[rows, best] = 0.0  # The difference above would cancel there.
        others[rows, best] = odds.sum(axis=1)
        return np.asarray(shifted - np.log(np.maximum(others, 1e-300)))

    def top_classes(self, count: int) -> list[int]:
        """Indices of the classes of the highest mean probability, that one first."""
        return _top_classes(self.probabilities.mean(axis=0), count)

    def as_json(self, top: int) -> dict[str, Any]:
        """Plain values: means of the first classes over the file, and the first classes of each moment."""
        means = self.probabilities.mean(axis=0), self.log_odds.mean(axis=0)
        moments = zip(self.seconds, self.probabilities, self.log_odds, strict=True)
        return {
            "network": self.network,
            "span": self.span,
            "mean": self._to_rows(*means, top),
            "moments": [
                {"seconds": round(float(seconds), 6), "classes": self._to_rows(probabilities, odds, top)}
                for seconds, probabilities, odds in moments
            ],
        }

    def lines(self, top: int) -> list[str]:
        """For people: the means, and a line per moment where there are several."""
        count = len(self.seconds)
        unit = "windows" if self.medium == "sound" else "frames"
        lines = [f"{self.medium}, {self.network}{f', mean of {count} {unit}' if count > 1 else ''}"]
        lines.append("  probability  log-odds")
        means = self.probabilities.mean(axis=0), self.log_odds.mean(axis=0)
        for place in self.top_classes(top):
            lines.append(f"  {means[0][place]:10.1%}  {means[1][place]:+8.1f}  {self.classes[place]}")
        if count > 1:
            for seconds, probabilities in zip(self.seconds, self.probabilities, strict=True):
                places = _top_classes(probabilities, min(top, CLASSES_PER_MOMENT))
                best = ", ".join(f"{self.classes[place]} {probabilities[place]:.0%}" for place in places)
                lines.append(f"  {format_time_code(seconds):>9}  {best}")
        return lines

    def _to_rows(self, probabilities: np.ndarray, log_odds: np.ndarray, top: int) -> list[dict[str, Any]]:
        """The first classes, plain values."""
        return [
            {
                "class": self.classes[place],
                "probability": round(float(probabilities[place]), 6),
                "log_odds": round(float(log_odds[place]), 4),
            }
            for place in _top_classes(probabilities, top)
        ]


def _top_classes(probabilities: np.ndarray, count: int) -> list[int]:
    return np.argsort(-probabilities, kind="stable")[:count].tolist()


@dataclass(frozen=True)
class FilePredictions:
    """What networks see and hear in a file."""

    source: Path
    predictions: tuple[Predictions, ...]
    """Of its picture and its sound, or of one of them."""
    top: int
    """Classes that are reported."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        by_medium = {each.medium: each.as_json(self.top) for each in self.predictions}
        return {"source": str(self.source), **by_medium}

    def panels(self) -> list[tuple[str, np.ndarray, list[tuple[str, np.ndarray]]]]:
        """For a figure: title, middles of the moments in seconds, and the first classes' probabilities."""
        panels = []
        for each in self.predictions:
            verb = "sees" if each.medium == "picture" else "hears"
            title = f"what {each.network} {verb} in {self.source.name}"
            places = each.top_classes(self.top)
            curves = [(each.classes[place], each.probabilities[:, place]) for place in places]
            panels.append((title, each.seconds + (each.span or 0.0) / 2, curves))
        return panels

    def lines(self) -> list[str]:
        """For people."""
        return [f"{self.source}", *(line for each in self.predictions for line in each.lines(self.top))]
