"""What networks see and hear in a picture, a sound or a film.

Pictures and sounds come to a network as they do in a dream; a film is looked at once a second and heard in
windows of two, in memory that does not grow with its length.
"""

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

from mmdream.audio.source import FileSource
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.octaves import resize
from mmdream.media import image, video_reader
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import MediaFile, probe
from mmdream.networks.card import ImageInput, NetworkCard, list_networks, load_card
from mmdream.networks.network import Network
from mmdream.render.models import load_audio_network, load_image_network
from mmdream.settings.recipe import Recipe
from mmdream.views.canvas import format_time_code

pass

FRAME_INTERVAL = Fraction(1)
"""Seconds from one frame that is looked at to the next."""
WINDOW_SECONDS = 2.0
"""Seconds of sound that are named together: a bark or two; melnet was taught on 2.5."""
MAX_MOMENTS = 600
"""Frames or windows of a film; in longer ones they lie further apart."""


@dataclass(frozen=True)
class ClassifierChoice:
    """The networks that are asked, and where their weights are; None: the default, or the card's own."""

    net: str | None = None
    """Of either medium, so that a sound can be given to it too."""
    sound_net: str | None = None
    weights: str | None = None
    sound_weights: str | None = None

    def sorted(self) -> ClassifierChoice:
        """The same, with each network in the place of its medium.

        Raises:
            UserError: no such network, two of one medium, or one without classes.
        """
        if self.net is None or load_card(self.net).medium == "picture":
            return self
        if self.sound_net is not None:
            raise UserError(f"{self.net} and {self.sound_net} both hear; give one of them")
        return ClassifierChoice(None, self.net, None, self.weights)

    def recipe(self) -> Recipe:
        """What loads them, in float32: a name should not depend on the machine."""
        default = Recipe()
        return replace(
            default,
            net=self.net or default.net,
            sound_net=self.sound_net or default.sound_net,
            weights=self.weights,
            sound_weights=self.sound_weights,
            precision="float32",
        )


def classify_file(source: Path, choice: ClassifierChoice, top: int, listener: EventSink) -> FilePredictions:
    """Say what networks see and hear in a file.

    Args:
        source: a picture, a sound or a film.
        choice: which networks.
        top: so many classes are told.
        listener: told about progress.

    Raises:
        UserError: a file that is none of them, or has nothing for a network that is named; a network without
            classes; whatever is wrong with its weights.
    """
    if top < 1:
        raise UserError(f"--top is {top}; at least one class can be told")
    choice = choice.sorted()
    if image.is_image(source):
        if choice.sound_net is not None:
            raise UserError(f"{source}: is a picture; {choice.sound_net} hears sounds")
        rgb = image.read_image(source)
        network = _load_classifier(load_image_network, choice, "picture", listener)
        return FilePredictions(
            source, (_make_predictions(network, [0.0], None, [image_classifier(network)(rgb)]),), top
        )
    film = probe(source)
    if film.video is None and choice.net is not None:
        raise UserError(f"{source}: has no picture for {choice.net} to see")
    if not film.audio_tracks and choice.sound_net is not None:
        raise UserError(f"{source}: has no sound for {choice.sound_net} to hear")
    answers = []
    if film.video is not None:
        answers.append(
            _classify_frames(
                film, _load_classifier(load_image_network, choice, "picture", listener), listener
            )
        )
    if film.audio_tracks:
        answers.append(
            _classify_windows(film, _load_classifier(load_audio_network, choice, "sound", listener), listener)
        )
    return FilePredictions(source, tuple(answers), top)


def image_classifier(network: Network) -> Callable[[np.ndarray], np.ndarray]:
    """What a network sees in pictures.

    The whole picture is warped to the square that the network was taught on: the protocol "warp", by which
    the ImageNet networks name more samples than by a crop of the middle, and nothing at a wide frame's sides
    is left out.

    Args:
        network: a picture network with classes.

    Returns:
        A function from a picture, float32 [H, W, 3], 0..1, to its logits, float32 [class].
    """
    front, head = network.card.input, network.head()
    assert isinstance(front, ImageInput)
    size = front.side, front.side
    return lambda rgb: np.asarray(head(resize(rgb, size)[None]), np.float32)[0]


def _load_classifier(
    load: Callable[[Recipe, EventSink], Network], asked: ClassifierChoice, medium: str, listener: EventSink
) -> Network:
    """A network, loaded when it is known to have classes."""
    recipe = asked.recipe()
    about = load_card(recipe.net if medium == "picture" else recipe.sound_net, medium)
    check_classes(about)
    return load(recipe, listener)


def check_classes(about: NetworkCard) -> None:
    """Refuse a network that cannot tell one thing from another.

    Raises:
        UserError: names those that can.
    """
    if about.head is None or len(about.class_names()) < 2:
        having = ", ".join(name for name in list_networks(about.medium) if load_card(name).head is not None)
        raise UserError(f"{about.name} has no classes to name; these have: {having}")


def _make_predictions(
    network: Network, at: list[float], span: float | None, logits: list[np.ndarray]
) -> Predictions:
    about = network.card
    return Predictions(about.medium, about.name, about.primary_names(), np.array(at), span, np.stack(logits))


def _classify_frames(film: MediaFile, network: Network, listener: EventSink) -> Predictions:
    """What is seen in the frames of a film."""
    every = max(FRAME_INTERVAL, (film.duration or Fraction(0)) / MAX_MOMENTS)
    expected = 0 if film.duration is None else -(-film.duration // every)
    at, logits, look = [], [], image_classifier(network)
    for frame in video_reader.read_frames(film, every=every, on_warning=listener.warn):
        at.append(float(frame.seconds))
        logits.append(look(frame.rgb))
        listener.progress("picture", len(at), max(expected, len(at)) if expected else 0)
    if not at:
        raise UserError(f"{film.path}: no frame of it can be decoded")
    return _make_predictions(network, at, None, logits)


def _classify_windows(film: MediaFile, network: Network, listener: EventSink) -> Predictions:
    """What is heard in the first sound track of a film, or in a sound."""
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.audio.frontend import read_windows

    track = film.audio_tracks[0]
    head = network.head()
    at, logits = [], []
    with tempfile.TemporaryDirectory(prefix="mmdream-") as folder:
        wave = Path(folder) / "sound.wav"
        laid = extract_audio(film, track, wave)
        if not laid.n_samples:
            raise UserError(f"{film.path}: its sound is empty")
        with soundfile.SoundFile(wave) as file:
            length = laid.n_samples / track.rate
            for window in read_windows(FileSource(file, track.layout), network, WINDOW_SECONDS, MAX_MOMENTS):
                at.append(float(laid.start) + window.seconds)
                logits.append(np.asarray(head(window.shown), np.float32)[0])
                listener.progress("sound", min(window.seconds + WINDOW_SECONDS, length), length)
    return _make_predictions(network, at, WINDOW_SECONDS, logits)


CLASSES_PER_MOMENT = 3
"""Classes that are told of each moment, to a person."""


@dataclass(frozen=True)
class Predictions:
    """What one network says of one file."""

    medium: str
    """"picture" or "sound"."""
    network: str
    classes: tuple[str, ...]
    """Their usual names, at least two."""
    seconds: np.ndarray
    """float64 [moment]: when each frame is shown, or each window begins, as a player tells time."""
    span: float | None
    """Seconds that a moment lasts; None: a frame, or a picture."""
    logits: np.ndarray
    """float32 [moment, class]."""

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax, float64 [moment, class]."""
        raised = np.exp(self.logits - self.logits.max(axis=1, keepdims=True).astype(np.float64))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    @cached_property
    def log_odds(self) -> np.ndarray:
        """ln(p / (1 - p)) in nats, float64 [moment, class], also where p is next to 1."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True).astype(np.float64)
        raised = np.exp(shifted)
        rest = raised.sum(axis=1, keepdims=True) - raised
        rows, best = np.arange(len(raised)), raised.argmax(axis=1)
        raised[rows, best] = 0.0  # The difference above would cancel there.
        rest[rows, best] = raised.sum(axis=1)
        return np.asarray(shifted - np.log(np.maximum(rest, 1e-300)))

    def top(self, count: int) -> list[int]:
        """The classes of the highest mean probability, that one first."""
        mean = self.probabilities.mean(axis=0)
        return np.argsort(-mean, kind="stable")[:count].tolist()

    def as_json(self, top: int) -> dict[str, Any]:
        """Plain values: means of the first classes over the file, and the first classes of each moment."""
        means = self.probabilities.mean(axis=0), self.log_odds.mean(axis=0)
        every = zip(self.seconds, self.probabilities, self.log_odds, strict=True)
        return {
            "network": self.network,
            "span": self.span,
            "mean": self._to_rows(self.top(top), *means),
            "moments": [
                {
                    "seconds": round(float(at), 6),
                    "classes": self._to_rows(_top_classes(chances, top), chances, odds),
                }
                for at, chances, odds in every
            ],
        }

    def lines(self, top: int) -> list[str]:
        """For people: the means, and a line a moment where there are several."""
        count = len(self.seconds)
        what = "windows" if self.medium == "sound" else "frames"
        heading = "probability  log-odds"
        told = [f"{self.medium}, {self.network}{f', mean of {count} {what}' if count > 1 else ''}"]
        told.append(f"  {heading}")
        means = self.probabilities.mean(axis=0), self.log_odds.mean(axis=0)
        for place in self.top(top):
            told.append(f"  {means[0][place]:10.1%}  {means[1][place]:+8.1f}  {self.classes[place]}")
        if count > 1:
            for at, chances in zip(self.seconds, self.probabilities, strict=True):
                best = (
                    f"{self.classes[place]} {chances[place]:.0%}"
                    for place in _top_classes(chances, min(top, CLASSES_PER_MOMENT))
                )
                told.append(f"  {format_time_code(at):>9}  {', '.join(best)}")
        return told

    def _to_rows(self, places: list[int], chances: np.ndarray, odds: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "class": self.classes[place],
                "probability": round(float(chances[place]), 6),
                "log_odds": round(float(odds[place]), 4),
            }
            for place in places
        ]


def _top_classes(chances: np.ndarray, count: int) -> list[int]:
    return np.argsort(-chances, kind="stable")[:count].tolist()


@dataclass(frozen=True)
class FilePredictions:
    """What is seen and heard in a file."""

    source: Path
    answers: tuple[Predictions, ...]
    """Of its picture and its sound, or of one of them."""
    top: int
    """Classes that are told."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"source": str(self.source), **{each.medium: each.as_json(self.top) for each in self.answers}}

    def lines(self) -> list[str]:
        """For people."""
        return [f"{self.source}", *(line for each in self.answers for line in each.lines(self.top))]
