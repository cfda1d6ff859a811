"""Playing a result: the right program is taken, and where there is none the dream is kept all the same."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from mmdream.cli.app import app
from mmdream.cli.terminal import PLAYERS, find_player, play_sound
from mmdream.core.events import EventSink


def make_which(*names: str) -> Callable[[str], str | None]:
    return lambda name: f"/bin/{name}" if name in names else None


@pytest.mark.parametrize(
    ("platform", "there", "taken"),
    [
        ("darwin", ["afplay", "ffplay"], ["/bin/afplay"]),
        ("linux", ["aplay", "paplay"], ["/bin/paplay"]),
        ("linux", ["aplay", "pw-play", "paplay"], ["/bin/pw-play"]),
        ("linux", ["ffplay"], ["/bin/ffplay", "-nodisp", "-autoexit", "-loglevel", "error"]),
        ("linux", ["aplay"], ["/bin/aplay", "-q"]),
        ("linux", ["sox", "bash"], None),
        ("darwin", [], None),
    ],
)
def test_the_first_program_that_is_there_plays(
    platform: str, there: list[str], taken: list[str] | None
) -> None:
    assert find_player(platform, make_which(*there)) == taken


def test_windows_needs_no_program_but_python() -> None:
    words = find_player("win32", make_which())
    assert words is not None
    assert words[0] == sys.executable
    compile(words[2], "the words for Windows", "exec")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows plays by itself")
def test_where_nothing_plays_the_dream_is_kept_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    words = ["audio", "--from", "noise", "--seconds", "0.5", "--steps", "1", "--play", "-o", "out.ogg"]
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 0, run.output
    assert run.stderr.count("warning") == 1
    assert "nothing here plays sounds" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.ogg"]


@pytest.mark.skipif(sys.platform == "win32", reason="the player is a script")
@pytest.mark.parametrize("status", [0, 3])
def test_the_player_is_given_a_plain_wave_file(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A program of a player's name that keeps what it is given.
    script = tmp_path / "bin" / PLAYERS[0][0]
    script.parent.mkdir()
    copy = tmp_path / "heard.wav"
    script.write_text(f'#!/bin/sh\n/bin/cp "$1" "{copy}"\necho "no such device" >&2\nexit {status}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    soundfile.write(tmp_path / "six $(channels).flac", np.full((9600, 6), 0.1), 96_000)
    said: list[str] = []
    play_sound(tmp_path / "six $(channels).flac", EventSink(warn=said.append))
    about = soundfile.info(copy)
    assert (about.samplerate, about.channels, about.subtype) == (48_000, 2, "PCM_16")
    assert about.frames == pytest.approx(4800, abs=64)
    assert len(said) == (1 if status else 0)
    assert all("afplay could not play" in line and line.endswith("no such device") for line in said)
