"""What a command reads of each kind of file, as far as the first thing that a user would get of it.

`fuzz_media.py` runs each in a process of its own. A reader gets the file, and an empty folder to write in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from mmdream.analysis.shots import scan_frames
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets.check import check_dataset
from mmdream.datasets.folder import read_dataset
from mmdream.datasets.load import ExampleFormat, load_example
from mmdream.datasets.prepare import prepare_dataset
from mmdream.media import image
from mmdream.media.audio_files import extract_audio
from mmdream.media.mask import check_mask
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.card import NetworkCard, NoWeights, TrainedWeights
from mmdream.networks.registry import load_card
from mmdream.networks.weights import locate_weights, read_arrays
from mmdream.settings import files
from mmdream.settings.passes import Mask

Reader = Callable[[Path, Path], object]

TRAINED = """medium = "picture"
builder = "dreamnet"
about = "Two layers."
licence = "none"
source = "here"
credits = "nobody"
carried = 0.1
rungs = [{{ layer = "a", step = 0.01 }}, {{ layer = "b", step = 0.01 }}]
head = "told"
classes = ["cat", "dog"]
[input]
order = "RGB"
scale = 1.0
mean = [0.5, 0.5, 0.5]
[weights]
how = "trained"
file = "weights.npz"
sha256 = "{sha256}"
"""


def read_film(path: Path, work: Path) -> None:
    """Every frame and every sample, and the film's shots: what a dream looks at before it begins."""
    found = probe(path)
    if found.video is not None:
        with closing(read_frames(found)) as frames:
            scan_frames(frames)
        with closing(read_frames(found, Fraction(1, 10))) as frames:
            next(frames, None)
    for sound in found.audio_tracks:
        wave = work / f"{sound.number}.wav"
        extract_audio(found, sound, wave)
        wave.unlink()


def read_example(path: Path, work: Path) -> None:
    """A file of a data set: loaded as for a training, and checked."""
    home = work / "set" / "class"
    home.mkdir(parents=True)
    shutil.copyfile(path, home / path.name)
    of = read_dataset(home.parent)
    found = check_dataset(home.parent, EventSink())
    values = load_example(of, of.examples[0], ExampleFormat(32))
    if not np.isfinite(values).all():
        raise AssertionError("an example that is no numbers")
    found.lines()


def read_sound(path: Path, work: Path) -> None:
    """A sound to be dreamed, and one of a data set."""
    try_all(partial(read_film, path, work), partial(read_example, path, work))


def read_picture(path: Path, work: Path) -> None:
    """A picture to be dreamed, a mask, and one of a data set."""

    def read_as_picture() -> None:
        rgb = image.read_image(path)
        if rgb.dtype != np.float32 or rgb.ndim != 3 or not ((rgb >= 0) & (rgb <= 1)).all():
            raise AssertionError("a picture that is none")

    def read_as_mask() -> None:
        check_mask(Mask(path), 32, 24)

    ways: list[Callable[[], object]] = [read_as_picture, read_as_mask]
    try_all(*ways, *([] if path.suffix == ".tif" else [partial(read_example, path, work)]))


def read_settings(path: Path, work: Path) -> None:
    """A schedule with its passes, a card beside a Keras file, and the card of a network that was trained."""

    def read_as_schedule() -> None:
        read = files.read_schedule(path)
        for stroke in files.read_passes(path):
            str(stroke.schedule(read).at(0.5)), str(stroke)
        str(read.at(0.5))

    def read_as_card_beside() -> None:
        network = work / "ways.keras"
        shutil.copyfile(os.environ["FUZZ_NETWORK"], network)
        shutil.copyfile(path, network.with_suffix(".toml"))
        check_card(load_card(str(network)))

    def read_as_trained_card() -> None:
        os.environ["MMDREAM_MODELS"] = str(work)
        (work / "mine").mkdir()
        shutil.copyfile(path, work / "mine" / "card.toml")
        check_card(load_card("mine"))

    try_all(read_as_schedule, read_as_card_beside, read_as_trained_card)


def check_card(about: NetworkCard) -> None:
    """What `mmdream nets NAME` says of a card before TensorFlow is there."""
    about.mix(0.5)
    about.primary_names()


def read_weights(path: Path, work: Path) -> None:
    """Arrays for a network of two layers."""
    shutil.copyfile(os.environ["FUZZ_WEIGHTS"], work / "weights.npz")
    sha256 = hashlib.sha256((work / "weights.npz").read_bytes()).hexdigest()
    found = locate_weights(
        replace(load_card("dreamnet"), weights=TrainedWeights("weights.npz", sha256), home=work), path
    )
    assert found is not None
    read_arrays(found)
    locate_weights(replace(load_card("vgg19_mel"), weights=NoWeights("it was not kept")), path)


def read_keras_card(path: Path, _work: Path) -> None:
    """A Keras file as a card, without Keras."""
    check_card(load_card(str(path)))


def load_keras_network(path: Path, work: Path) -> None:
    """A Keras file as a network, with TensorFlow."""
    from mmdream.networks.network import load_network

    about = load_card(str(path))
    net = load_network(about)
    sizes = (1, 32, 32, 3) if about.medium == "picture" else (1, 64, 64, 1)
    features = net.rung_features(tuple(range(len(about.rungs))))(np.zeros(sizes, np.float32))
    assert len(features) == len(about.rungs)
    check_card(about)


def prepare_set(name: str, path: Path, work: Path) -> None:
    """A data set out of an archive, or out of a folder as its publisher lays it out."""
    prepare_dataset(name, [path], work / "out", None, False, EventSink()).lines()


def read_prepared_set(path: Path, _work: Path) -> None:
    """A prepared set, one of whose two tables was changed."""
    of = read_dataset(path)
    of.counts()
    check_dataset(path, EventSink()).lines()


def try_all(*ways: Callable[[], object]) -> None:
    """Try each; the whole is refused when every one of them refuses."""
    refused, done = None, False
    for way in ways:
        try:
            way()
            done = True
        except UserError as error:
            refused = refused or error
    if refused is not None and not done:
        raise refused


READERS: dict[str, Reader] = {
    **dict.fromkeys(("mp4", "mov", "mkv", "webm", "gif"), read_film),
    **dict.fromkeys(("wav", "flac", "ogg", "mp3"), read_sound),
    **dict.fromkeys(("png", "jpg", "webp", "tif"), read_picture),
    **dict.fromkeys(("npz", "safetensors"), read_weights),
    **dict.fromkeys(("tar", "zip"), partial(prepare_set, "esc10")),
    **dict.fromkeys(("tsv", "json"), read_prepared_set),
    **{"toml": read_settings, "keras": read_keras_card, "keras-loaded": load_keras_network},
}
"""By kind; of a publisher's table the set's name must be known first, see `prepare_set`."""
