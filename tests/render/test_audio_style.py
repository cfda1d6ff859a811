"""`mmdream style`: files in, a file out, and one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from mmdream.cli.app import app
from mmdream.core.errors import UserError
from mmdream.media import image
from mmdream.sample.film import make_sample
from mmdream.settings.passes import parse_style
from tests.command import mmdream

RATE = 16_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds of several kinds, a picture and a film."""
    folder = tmp_path_factory.mktemp("style")
    t = np.arange(RATE) / RATE
    noise = np.random.default_rng(1).standard_normal((RATE, 2))
    tone = 0.3 * np.sin(2 * np.pi * 440 * t) * np.exp(-4 * (t % 0.25))
    soundfile.write(folder / "voice.wav", np.stack((tone, 0.5 * tone), axis=1), RATE, "FLOAT")
    soundfile.write(folder / "rain.flac", 0.1 * noise, 44_100)
    soundfile.write(folder / "a=b.wav", tone, RATE, "FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE, "FLOAT")
    soundfile.write(folder / "one.wav", np.full(1, 0.5), RATE, "FLOAT")
    soundfile.write(folder / "none.wav", np.zeros(0), RATE, "FLOAT")
    broken = tone.copy()
    broken[77] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE, "FLOAT")
    (folder / "text.wav").write_text("no sound at all")
    image.write_image(folder / "picture.png", np.zeros((32, 32, 3), np.float32))
    make_sample(folder / "film.mp4", seconds=1.0, size=(128, 96))
    return folder


def test_a_sound_is_styled_by_two(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    words = "style voice.wav --style rain.flac --style a=b.wav --steps 4 --json"
    run = CliRunner().invoke(app, words.split())
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert report["output"] == "voice.styled.wav"
    assert report["styles"] == {"rain.flac": 0.5, "a=b.wav": 0.5}
    assert set(report["style_left"]) == {"wide", "melnet"}
    assert report["loudness"] == pytest.approx(report["loudness_source"], abs=0.5)
    samples, rate = soundfile.read("voice.styled.wav")
    assert (samples.shape, rate) == ((RATE, 2), RATE)
    assert not list(place.glob(".*"))
    again = CliRunner().invoke(app, words.split())
    assert "exists already" in str(again.exception)
    Path("voice.styled.wav").unlink()


@pytest.mark.parametrize(
    ("words", "message"),
    {
        "no style": ("voice.wav", "--style"),
        "content missing": ("absent.wav --style rain.flac", "absent.wav: no such file"),
        "style missing": ("voice.wav --style absent.wav", "absent.wav: no such file"),
        "content is text": ("text.wav --style rain.flac", "text.wav"),
        "style is text": ("voice.wav --style text.wav", "text.wav"),
        "content is a picture": ("picture.png --style rain.flac", "rain.flac: not a picture"),
        "style is a picture": ("voice.wav --style picture.png", "takes its style from sounds"),
        "content is a film": ("film.mp4 --style rain.flac", "not a picture that can be read"),
        "style is a film": ("voice.wav --style film.mp4", "takes its style from sounds"),
        "weight": ("voice.wav --style rain.flac=loud", "above 0"),
        "content weight": ("voice.wav --style rain.flac --content-weight -1", "between 0 and 1000"),
        "suffix": ("voice.wav --style rain.flac -o out.txt", ".wav"),
        "onto itself": ("voice.wav --style rain.flac -o voice.wav --overwrite", "is the input itself"),
    }.values(),
)
def test_mistakes_are_told_before_the_work(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: str, message: str
):
    monkeypatch.chdir(place)
    before = sorted(place.iterdir())
    run = CliRunner().invoke(app, ["style", *words.split()])
    assert run.exit_code, run.output
    said = str(run.exception) if isinstance(run.exception, UserError) else run.output
    assert message in said
    assert sorted(place.iterdir()) == before


def test_a_mistake_is_one_line_and_status_2(place: Path):
    done = mmdream("style", "voice.wav", "--style", "picture.png", cwd=place)
    assert done.returncode == 2
    assert done.stderr == "mmdream: error: picture.png: is a picture; a sound takes its style from sounds\n"


@pytest.mark.parametrize("bad", ["silent.wav", "one.wav", "none.wav", "nan.wav"])
@pytest.mark.parametrize("words", ["{} --style rain.flac", "voice.wav --style {}"])
def test_sounds_without_a_texture_are_named_and_leave_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, bad: str, words: str
):
    monkeypatch.chdir(place)
    before = sorted(place.iterdir())
    run = CliRunner().invoke(app, ["style", *words.format(bad).split()])
    assert isinstance(run.exception, UserError), run.output
    assert str(run.exception).startswith(bad), run.exception
    assert sorted(place.iterdir()) == before


def test_a_weight_is_what_follows_the_last_equals_sign(place: Path):
    assert parse_style("rain.wav=0.5") == (Path("rain.wav"), 0.5)
    assert parse_style(str(place / "a=b.wav")) == (place / "a=b.wav", 1.0)
    assert parse_style(f"{place / 'a=b.wav'}=2") == (place / "a=b.wav", 2.0)
    for text in ("rain.wav=0", "rain.wav=-1", "rain.wav=inf", "rain.wav=nan", "rain.wav="):
        with pytest.raises(UserError, match="above 0"):
            parse_style(text)
