"""A dream for each channel of a layer: the files, the index of them, and what cannot be asked."""

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
from mmdream.media import image
from mmdream.views.channels import SPECTROGRAM_SIZE, SheetCell, draw_channel_sheet, parse_channels

RATE = 16_000


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
    told = json.loads(run.stdout)
    names = ["out.c5.003.flac", "out.c5.040.flac"]
    assert list(told["outputs"]) == ["3", "40"]
    assert [Path(path).name for path in told["outputs"].values()] == names
    assert min(told["objective_gain"].values()) > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", *names, "out.c5.png"]
    one, other = (soundfile.read(tmp_path / name)[0] for name in names)
    assert len(one) == len(other) == RATE
    assert np.abs(one - other).max() > 0.01
    assert image.read_image(tmp_path / "out.c5.png").shape[1] > 4 * SPECTROGRAM_SIZE[0]

    again = CliRunner().invoke(app, [*words, "--each-channel", "c5:3"])
    assert "out.c5.003.flac: exists already" in str(again.exception)
    for asked, said in (
        ("c7", "nearest: c"),
        ("c5:64", "0 to 63 there"),
        ("c5:99-101", "channel 101 of c5"),
    ):
        wrong = CliRunner().invoke(app, [*words, "--each-channel", asked])
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
