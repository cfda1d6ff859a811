"""The command line: quick help, one line for every mistake, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream.picture import files
from mmdream.sample import make_sample

COMMANDS = ("video", "image", "audio", "sample", "nets")


def mmdream(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mmdream", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
    )


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_sample(path, seconds=1.0, size=(128, 96))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_its_options_and_brings_in_nothing_heavy(command: str):
    code = (
        "import sys\nfrom mmdream.cli import main\n"
        f"sys.argv = ['mmdream', '{command}', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'numpy', 'tensorflow', 'keras', 'cv2', 'av', 'librosa', 'moviepy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: mmdream " + command in done.stdout


def test_every_option_of_the_issue_is_there():
    text = mmdream("video", "--help").stdout
    wanted = (
        "output net sound-net weights sound-weights depth strength octaves octave-scale steps coherence schedule "
        "preset seed size start end precision keep-picture keep-sound strict overwrite json"
    )
    missing = [name for name in wanted.split() if f"--{name}" not in text]
    assert not missing


def test_nets_are_listed_with_licences_and_told_one_by_one():
    listed = mmdream("nets").stdout
    for name in ("dreamnet", "melnet", "googlenet", "squeezenet", "vgg16", "vgg19", "inception_v3"):
        assert re.search(rf"^{name}\b", listed, re.MULTILINE)
    assert listed.count("licence:") >= 7
    told = mmdream("nets", "googlenet").stdout
    assert "inception_4c_output" in told
    assert "BVLC" in told


def bad(film: Path, folder: Path, kind: str) -> tuple[list[object], str]:
    """Words of a wrong command, and what its line must say."""
    empty, text, cut = folder / "empty.mp4", folder / "text.mp4", folder / "cut.mp4"
    empty.touch()
    text.write_text("this is not a film\n" * 50)
    cut.write_bytes(film.read_bytes()[:48])
    typo, weights, plain = folder / "typo.toml", folder / "weights.npz", folder / "plain"
    typo.write_text("[[key]]\nat = 1\ndepht = 0.5\n")
    np.savez(weights, conv1_kernel=np.zeros((3, 3, 3, 8), np.float32))
    plain.write_text("a file")
    sound, picture = folder / "sound.wav", folder / "picture.png"
    soundfile.write(sound, np.zeros(4000), 8000)
    files.write(picture, np.full((32, 32, 3), 0.5, np.float32))
    table: dict[str, tuple[list[object], str]] = {
        "missing": (["video", folder / "none.mp4"], "no such file"),
        "folder": (["video", folder], "folder"),
        "empty": (["video", empty], "empty"),
        "text": (["video", text], "text.mp4"),
        "cut": (["video", cut], "cut.mp4"),
        "output folder missing": (["video", film, "-o", folder / "none" / "x.mp4"], "no such folder"),
        "output folder a file": (["video", film, "-o", plain / "x.mp4"], "not a folder"),
        "output a folder": (["video", film, "-o", folder], "is a folder"),
        "output suffix": (["video", film, "-o", folder / "x.avi"], ".mkv"),
        "output exists": (["video", film, "-o", empty], "--overwrite"),
        "network": (["video", film, "--net", "dreamnett"], "dreamnet"),
        "sound network": (["video", film, "--sound-net", "melnot"], "melnet"),
        "network of the other sense": (["video", film, "--net", "melnet"], "picture"),
        "preset": (["video", film, "--preset", "clasic"], "classic"),
        "depth": (["video", film, "--depth", "1.5"], "between 0 and 1"),
        "octaves": (["video", film, "--octaves", "0"], "between 1 and 12"),
        "coherence": (["video", film, "--coherence", "2"], "between 0 and 1"),
        "size": (["video", film, "--size", "large"], "480p"),
        "start": (["video", film, "--start", "99"], "start"),
        "start after end": (["video", film, "--start", "0.5", "--end", "0.2"], "start"),
        "precision": (["video", film, "--precision", "int8"], "bfloat16"),
        "not a number": (["video", film, "--steps", "many"], "--steps"),
        "unknown option": (["video", film, "--dept", "1"], "--dept"),
        "schedule typo": (["video", film, "--schedule", typo], "did you mean 'depth'"),
        "schedule missing": (["video", film, "--schedule", folder / "no.toml"], "no such"),
        "weights of another network": (["video", film, "--weights", weights], "weights"),
        "weights missing": (["video", film, "--weights", folder / "no.npz"], "no.npz"),
        "weights not weights": (["video", film, "--weights", text], "text.mp4"),
        "nothing left": (["video", film, "--keep-picture", "--keep-sound"], "nothing"),
        "no picture": (["video", sound], "audio"),
        "image missing": (["image", folder / "none.jpg"], "no such file"),
        "image is text": (["image", text], "not a picture"),
        "image network": (["image", picture, "--net", "vgg"], "vgg16"),
        "audio missing": (["audio", folder / "none.wav"], "no such file"),
        "audio is text": (["audio", text], "text.mp4"),
        "audio is a picture": (["audio", picture], "sound"),
        "net": (["nets", "dreamnot"], "dreamnet"),
        "no command": (["vidio"], "vidio"),
    }
    return table[kind]


KINDS = (
    "missing|folder|empty|text|cut|output folder missing|output folder a file|output a folder|output suffix|"
    "output exists|network|sound network|network of the other sense|preset|depth|octaves|coherence|size|start|"
    "start after end|precision|not a number|unknown option|schedule typo|schedule missing|"
    "weights of another network|weights missing|weights not weights|nothing left|no picture|image missing|"
    "image is text|image network|audio missing|audio is text|audio is a picture|net|no command"
).split("|")


@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(kind: str, film: Path, tmp_path: Path):
    words, says = bad(film, tmp_path, kind)
    before = sorted(tmp_path.rglob("*")), sorted(film.parent.iterdir())
    done = mmdream(*words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    line = done.stderr
    assert line.startswith("mmdream: error: ")
    assert line.count("\n") == 1
    assert says in line
    assert (sorted(tmp_path.rglob("*")), sorted(film.parent.iterdir())) == before


def test_json_is_one_object_and_nothing_else(tmp_path: Path):
    picture = tmp_path / "in.png"
    files.write(picture, np.random.default_rng(0).random((64, 64, 3)).astype(np.float32))
    done = mmdream("image", picture, "--steps", 1, "--octaves", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert Path(report["output"]) == tmp_path / "in.dream.png"
    assert report["schedule"]["picture"][0]["steps"] == 1
    assert files.read(tmp_path / "in.dream.png").shape == (64, 64, 3)
