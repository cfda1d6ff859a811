"""Sounds dreamed from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from mmdream.cli.app import app


def test_a_sound_that_is_made_is_dreamed_where_the_user_is(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, ["audio", "--from", "noise", "--seconds", "1.5", "--steps", "2", "--json"])
    assert run.exit_code == 0, run.output
    report = json.loads(run.stdout)
    assert report["loudness_dream"] == pytest.approx(-23, abs=0.5)
    samples, rate = soundfile.read("noise.dream.wav")
    assert (len(samples), rate) == (66_150, 44_100)
    assert [path.name for path in tmp_path.iterdir()] == ["noise.dream.wav"]
