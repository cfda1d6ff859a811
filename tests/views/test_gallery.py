"""Galleries of channels: readable sheets, the files beside them, or one line that says why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from mmdream.audio.canvas import N_BANDS
from mmdream.cli.app import app
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.sample.film import render_frames
from mmdream.views import gallery
from mmdream.views.canvas import BACKGROUND
from mmdream.views.gallery import SPECTROGRAM_SIZE, SheetCell, draw_channel_sheet, parse_channels

RATE = 16_000


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(load_card("dreamnet"), "random")


def test_the_strongest_channels_are_few_and_answer_to_noise(network: Network):
    chosen = gallery.rank_channels(network, render_frames(2, gallery.PHOTO_SIZE), 3)
    features = network.rung_features(tuple(range(len(chosen))))
    assert len(chosen) == len(network.card.rungs)
    for channels, a in zip(
        chosen, features(make_noise_image(gallery.TILE_SIZE, gallery.TILE_SIZE, 0)[None]), strict=True
    ):
        square = np.square(np.asarray(a)).mean(axis=(0, 1, 2))
        assert len(set(channels)) == 3
        assert min(square[list(channels)]) > np.median(square)


def test_a_sheet_has_a_row_for_each_rung(network: Network, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gallery, "OCTAVE_SIZES", (gallery.TILE_SIZE,))
    monkeypatch.setattr(gallery, "STEPS", 2)
    progress: list[tuple[float, float]] = []
    photos = render_frames(2, gallery.PHOTO_SIZE)
    sheet = gallery.draw_gallery(
        network, photos, EventSink(progress=lambda _, done, total: progress.append((done, total))), 2
    )
    count = 2 * len(network.card.rungs)
    assert progress == [(number, count) for number in range(1, count + 1)]
    assert sheet.dtype == np.uint8
    each = gallery.HEADING_HEIGHT + gallery.TILE_SIZE + gallery.CAPTION_HEIGHT
    for row in range(len(network.card.rungs)):
        top = gallery.TITLE_HEIGHT + row * each
        left = sheet[top + gallery.HEADING_HEIGHT :][: gallery.TILE_SIZE, gallery.MARGIN :][
            :, : gallery.TILE_SIZE
        ]
        assert left.std() > 5  # A dream,
        assert (
            sheet[top + gallery.HEADING_HEIGHT + gallery.TILE_SIZE : top + each] > BACKGROUND + 50
        ).any()  # and its name.
    # Each tile is a dream of its own channel.
    right = sheet[top + gallery.HEADING_HEIGHT :][
        : gallery.TILE_SIZE, gallery.MARGIN + gallery.TILE_SIZE + gallery.GAP :
    ]
    assert not np.array_equal(left, right[:, : gallery.TILE_SIZE])


def test_a_file_is_written_once(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gallery, "load_image_network", lambda *_: network)
    monkeypatch.setattr(gallery, "draw_gallery", lambda *_: np.full((8, 9, 3), 128, np.uint8))
    out = tmp_path / "seen.png"
    assert gallery.write_gallery("dreamnet", "random", out, False, [], EventSink()) == out
    assert image.read_image(out).shape == (8, 9, 3)
    with pytest.raises(UserError, match="--overwrite"):
        gallery.write_gallery("dreamnet", "random", out, False, [], EventSink())
    gallery.write_gallery("dreamnet", "random", out, True, [], EventSink())
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("name", "weights", "file", "says"),
    [
        ("melnet", "random", "seen.png", "sound network"),
        ("dreamnot", "random", "seen.png", "dreamnet"),
        ("dreamnet", "random", "seen.gif", ".png"),
        ("dreamnet", "random", "none/seen.png", "no such folder"),
        ("dreamnet", "none.npz", "seen.png", "none.npz"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    name: str, weights: str, file: str, says: str, tmp_path: Path
):
    with pytest.raises(UserError, match=says) as raised:
        gallery.write_gallery(name, weights, tmp_path / file, False, [], EventSink())
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("nets --gallery seen.png", "name it"),
        ("nets dreamnet --weights random", "--gallery"),
        ("nets melnet --gallery seen.png", "sound network"),
        ("nets dreamnet --gallery seen.gif", "use .png"),
    ],
)
def test_the_command_line_refuses(typed: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        CliRunner().invoke(app, typed.split(), catch_exceptions=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("c6", ("c6", ())),
        ("c6:7", ("c6", (7,))),
        ("c6:0-3,9", ("c6", (0, 1, 2, 3, 9))),
        ("c6:3, 1-3", ("c6", (3, 1, 2))),
        ("block/conv:2-2", ("block/conv", (2,))),
    ],
)
def test_layers_and_channels_are_read(text: str, found: tuple[str, tuple[int, ...]]) -> None:
    assert parse_channels(text) == found


@pytest.mark.parametrize("text", ["", ":1", "c6:", "c6:a", "c6:3-1", "c6:-2", "c6:1,,2", "c6:0-9999999"])
def test_what_is_no_list_of_channels_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--each-channel is"):
        parse_channels(text)


def test_each_channel_gets_a_file_and_a_place_in_the_index(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, RATE)
    soundfile.write(tmp_path / "in.wav", noise, RATE)
    out = tmp_path / "out.flac"
    words = ["audio", f"{tmp_path / 'in.wav'}", "-o", f"{out}", "--octaves", "2", "--steps", "3", "--json"]
    run = CliRunner().invoke(app, [*words, "--each-channel", "c5:3,40"])
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    names = ["out.c5.003.flac", "out.c5.040.flac"]
    assert list(report["outputs"]) == ["3", "40"]
    assert [Path(path).name for path in report["outputs"].values()] == names
    assert min(report["objective_gain"].values()) > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", *names, "out.c5.png"]
    one, other = (soundfile.read(tmp_path / name)[0] for name in names)
    assert len(one) == len(other) == RATE
    assert np.abs(one - other).max() > 0.01
    assert image.read_image(tmp_path / "out.c5.png").shape[1] > 4 * SPECTROGRAM_SIZE[0]

    again = CliRunner().invoke(app, [*words, "--each-channel", "c5:3"])
    assert "out.c5.003.flac: exists already" in str(again.exception)
    for channels, said in (
        ("c7", "nearest: c"),
        ("c5:64", "0 to 63 there"),
        ("c5:99-101", "channel 101 of c5"),
    ):
        wrong = CliRunner().invoke(app, [*words, "--each-channel", channels])
        assert isinstance(wrong.exception, UserError)
        assert said in str(wrong.exception)
    both = CliRunner().invoke(app, [*words, "--each-channel", "c5", "--target", "rain"])
    assert "leave out --layer" in str(both.exception)


def test_channels_are_climbed_as_the_objective_says(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.random.default_rng(3).normal(0, 0.1, RATE), RATE)
    dreams = {}
    for measure in ("energy", "mean"):
        out = tmp_path / f"{measure}.wav"
        words = (
            "audio",
            tmp_path / "in.wav",
            "-o",
            out,
            "--octaves",
            1,
            "--steps",
            2,
            "--objective",
            measure,
        )
        run = CliRunner().invoke(app, [*map(str, words), "--each-channel", "c5:3"])
        assert run.exit_code == 0, run.output
        dreams[measure] = soundfile.read(tmp_path / f"{measure}.c5.003.wav")[0]
    assert np.abs(dreams["energy"] - dreams["mean"]).max() > 1e-3


@pytest.mark.parametrize("count", [1, 97])
@pytest.mark.parametrize("rate", [100, 192_000])
def test_the_index_has_a_place_for_every_dream(count: int, rate: int) -> None:
    power = np.full((30, N_BANDS), 1e-4, np.float32)
    louder = np.full((45, N_BANDS), 0.8, np.float32)
    cells = [
        SheetCell("source", power, 0 * louder),
        *(SheetCell(f"{k}", power, louder) for k in range(count - 1)),
    ]
    picture = draw_channel_sheet("a title", cells, rate, 3.0)
    red = (picture[..., 0] > picture[..., 2].astype(int) + 50) & (picture[..., 1] < 160)
    assert red.sum() == pytest.approx(
        (count - 1) * SPECTROGRAM_SIZE[0] * SPECTROGRAM_SIZE[1], rel=0.01, abs=1
    )
