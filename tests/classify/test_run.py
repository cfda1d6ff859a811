"""What networks say of files: right figures at the right moments, and one line for each mistake."""

from __future__ import annotations

import io
import json
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from make import make_bursts, make_times, write_film
from typer.testing import CliRunner

from mmdream.audio.frontend import read_windows
from mmdream.audio.source import ArraySource
from mmdream.classify.run import (
    MAX_MOMENTS,
    ClassifierChoice,
    FilePredictions,
    Predictions,
    classify_file,
    image_classifier,
)
from mmdream.cli.app import app
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.media import image, video_reader
from mmdream.media.probe import probe
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.views.predictions import draw_predictions

QUIET = EventSink()


def make_predictions(logits: np.ndarray, medium: str = "picture") -> Predictions:
    names = tuple(f"class {k}" for k in range(logits.shape[1]))
    return Predictions(medium, "toy", names, np.arange(float(len(logits))), None, logits.astype(np.float32))


@pytest.fixture
def pixels() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.uniform(0, 1, (48, 64, 3)).astype(np.float32)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A film of 3.2 s, with 4.5 s of sound."""
    return write_film(tmp_path / "film.mp4", make_times(32, 10), sound=make_bursts(4.5), size=(96, 64))


def test_probabilities_add_up_and_log_odds_are_theirs():
    found = make_predictions(np.random.default_rng(0).normal(0, 3, (7, 12)))
    p = found.probabilities
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(found.log_odds, np.log(p / (1 - p)), rtol=1e-9)


def test_log_odds_of_the_sure_stay_finite():
    sure = make_predictions(np.array([[200.0, 0.0, 0.0], [0.0, -900.0, 900.0]]))
    np.testing.assert_allclose(sure.log_odds[0], [200 - np.log(2), -200, -200])
    assert np.isfinite(sure.log_odds).all()
    json.dumps(FilePredictions(Path("a"), (sure,), 3).as_json(), allow_nan=False)


def test_the_first_class_of_a_file_is_that_of_the_highest_mean():
    found = make_predictions(np.array([[9.0, 0.0, 4.0], [0.0, 1.0, 6.0], [0.0, 1.0, 6.0]]))
    assert found.top_classes(2) == [2, 0]
    report = found.as_json(1)
    assert [row["class"] for row in report["mean"]] == ["class 2"]
    assert [moment["classes"][0]["class"] for moment in report["moments"]] == [
        "class 0",
        "class 2",
        "class 2",
    ]
    assert report["mean"][0]["log_odds"] == pytest.approx(found.log_odds[:, 2].mean(), abs=1e-4)


def test_a_picture_is_told_for_what_it_shows(data: Path):
    found = classify_file(data / "photos" / "cat.jpg", ClassifierChoice(), 5, QUIET)
    (seen,) = found.predictions
    assert seen.network == "dreamnet"
    assert seen.classes[seen.top_classes(1)[0]] == "Egyptian cat"
    assert draw_predictions(found.panels()).std() > 10


def test_a_sound_is_prepared_as_in_training(data: Path):
    network = load_network(load_card("melnet"))
    head = network.class_logits()
    right = []
    with tarfile.open(data / "esc10.tar") as tar:
        for member in tar:
            folder, _, clip = member.name.partition("/")
            if not clip.startswith("5-"):  # The fold that the weights have not heard.
                continue
            samples, rate = soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype="float32")
            ((_, window),) = read_windows(ArraySource(samples[None], rate), network, len(samples) / rate, 1)
            best = int(np.argmax(head(window)))
            right.append(best == network.card.class_index(folder.partition(" - ")[2]))
    assert len(right) == 80
    assert np.mean(right) == pytest.approx(network.card.facts["accuracy_fold_5"], abs=0.013)  # One clip.


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(load_card("melnet"), "random")


@pytest.mark.parametrize("seconds", [0.01, 1.3, 2.0, 4.1, 9.7])
def test_windows_hear_all_of_a_sound(seconds: float, network: Network):
    rate = 8000
    source = ArraySource(make_bursts(seconds, rate)[:, : max(1, round(seconds * rate))], rate)
    found = list(read_windows(source, network, 2.0, MAX_MOMENTS))
    begins = np.array([begin for begin, _ in found])
    assert begins[0] == 0
    assert begins[-1] + 2 >= seconds - 0.012
    assert (np.diff(begins) > 0).all()
    assert (np.diff(begins) <= 2.001).all()
    assert {window.shape for _, window in found} == {found[0][1].shape}
    assert len(list(read_windows(source, network, 2.0, 2))) == min(2, len(found))


def test_a_network_of_another_front_end_hears_short_sounds():
    network = load_network(
        load_card("residual_spec"), "random"
    )  # The others of the zoo take ten times as long to build.
    ((_, window),) = read_windows(ArraySource(make_bursts(0.1, 16_000), 16_000), network, 2.0, MAX_MOMENTS)
    logits = np.asarray(network.class_logits()(window))
    assert logits.shape == (1, len(network.card.classes))
    assert np.isfinite(logits).all()


def test_a_film_is_seen_and_heard_over_time(film: Path):
    choice = ClassifierChoice(weights="random", sound_weights="random")
    progress: list[tuple[str, float, float]] = []
    found = classify_file(film, choice, 2, EventSink(progress=lambda *each: progress.append(each)))
    seen, heard = found.predictions
    assert seen.seconds.tolist() == [0, 1, 2, 3]
    assert heard.seconds[0] == 0
    assert heard.seconds[-1] == pytest.approx(2.5, abs=0.1)
    network = load_network(load_card("dreamnet"), "random")
    every = list(video_reader.read_frames(probe(film)))
    for row, index in zip(seen.logits, (0, 10, 20, 30), strict=True):
        np.testing.assert_allclose(row, image_classifier(network)(every[index].rgb), rtol=1e-4, atol=1e-5)
    assert {medium for medium, _, _ in progress} == {"picture", "sound"}
    assert all(done <= total for _, done, total in progress)
    both, one = (draw_predictions(each) for each in (found.panels(), found.panels()[:1]))
    assert both.shape[0] > one.shape[0]
    lines = "\n".join(found.lines())
    assert "picture, dreamnet, mean of 4 frames" in lines
    assert "0:03.0" in lines


def test_a_network_of_either_medium_can_be_named(film: Path):
    found = classify_file(film, ClassifierChoice("melnet", weights="random"), 1, QUIET)
    assert [each.network for each in found.predictions] == ["dreamnet", "melnet"]


def test_the_command_prints_json_and_draws(pixels: np.ndarray, tmp_path: Path):
    image.write_image(tmp_path / "a.png", pixels)
    drawn = tmp_path / "b.png"
    words = ["classify", f"{tmp_path / 'a.png'}", "--weights", "random", "--plot", f"{drawn}", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["picture"]["mean"]) == 5
    assert image.read_image(drawn).ndim == 3
    again = CliRunner().invoke(app, words)
    assert str(again.exception).startswith(f"{drawn}: exists already; add --overwrite or choose another name")


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("text.md", ClassifierChoice(), "cannot be read as a film or a sound"),
        ("text.txt", ClassifierChoice(), "is a text, and no film or sound"),
        ("nowhere.png", ClassifierChoice(), "no such file"),
        ("a.png", ClassifierChoice("melnet"), "a.png: is a picture; melnet hears sounds"),
        ("a.png", ClassifierChoice(sound_net="melnet"), "a.png: is a picture; melnet hears sounds"),
        ("a.png", ClassifierChoice("vgg16"), "vgg16 has no classes to name; these have: dreamnet, googlenet"),
        ("a.png", ClassifierChoice("dreamnot"), 'no network "dreamnot"; nearest: dreamnet'),
        ("a.wav", ClassifierChoice("dreamnet"), "a.wav: has no picture for dreamnet to see"),
        (
            "a.wav",
            ClassifierChoice("melnet", "conv5_spec"),
            "melnet and conv5_spec both hear; give one of them",
        ),
        (
            "a.wav",
            ClassifierChoice(sound_net="dreamnet"),
            "dreamnet is a picture network; sound networks: conv5_spec",
        ),
        ("silent.mp4", ClassifierChoice(sound_net="melnet"), "silent.mp4: has no sound for melnet to hear"),
    ],
)
def test_a_mistake_is_one_line(
    name: str, choice: ClassifierChoice, message: str, pixels: np.ndarray, tmp_path: Path
):
    (tmp_path / "text.md").write_text("words\n")
    (tmp_path / "text.txt").write_text("n02124075\tEgyptian cat\n" * 200)
    image.write_image(tmp_path / "a.png", pixels)
    soundfile.write(tmp_path / "a.wav", make_bursts(0.5)[0], 48_000)
    write_film(tmp_path / "silent.mp4", make_times(3, 10))
    with pytest.raises(UserError) as error:
        classify_file(tmp_path / name, choice, 5, QUIET)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_at_least_one_class_is_told(tmp_path: Path):
    with pytest.raises(UserError, match="--top is 0"):
        classify_file(tmp_path / "a.png", ClassifierChoice(), 0, QUIET)


def test_frames_further_apart_in_a_long_film(film: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mmdream.classify.run.MAX_MOMENTS", 3)
    (seen, _) = classify_file(
        film, ClassifierChoice(weights="random", sound_weights="random"), 1, QUIET
    ).predictions
    assert len(seen.seconds) <= 3
    assert (np.diff(seen.seconds) >= Fraction(45, 10) / 3 - 0.1).all()
