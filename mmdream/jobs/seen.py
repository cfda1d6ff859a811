"""What networks see and hear in a picture, a sound or a film.

Pictures and sounds come to a network as they do in a dream; a film is looked at once a second and heard in
windows of two, in memory that does not grow with its length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from mmdream.audio.source import FileSource
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.octaves import resize
from mmdream.jobs.answers import FilePredictions, Predictions
from mmdream.media import image, video_reader
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import MediaFile, probe
from mmdream.networks.card import ImageInput, NetworkCard, list_networks, load_card
from mmdream.networks.network import Network
from mmdream.render.models import load_audio_network, load_image_network
from mmdream.settings.recipe import Recipe

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
