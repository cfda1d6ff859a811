"""The command line: quick help, one line for every mistake, and nothing left behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream.cli import app
from mmdream.cli.options import build_sound_targets
from mmdream.media import image
from mmdream.sample.film import make_sample
from mmdream.settings.targets import Targets, parse_layer, parse_target
from tests.command import assert_help_is_light, mmdream, run_python

COMMANDS = ("video", "resume", "jobs", "image", "audio", "sample", "nets", "classify", "style", "walk")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_sample(path, seconds=1.0, size=(128, 96))
    return path


def test_help_names_its_options_and_brings_in_nothing_heavy():
    assert_help_is_light(*COMMANDS)


def test_every_option_of_the_issue_is_there():
    text = mmdream("video", "--help").stdout
    options = (
        "output net sound-net weights sound-weights depth strength octaves octave-scale steps coherence "
        "breathe bidirectional color schedule preset seed size start end precision keep-picture keep-sound "
        "strict sound-layer sound-channel sound-target sound-guide "
        "sound-objective invent stereo phase preview sheet compare dry-run overwrite job-dir json"
    )
    missing = [name for name in options.split() if f"--{name}" not in text]
    assert not missing


def test_the_sound_hears_of_the_picture_s_classes_that_it_knows_unless_it_has_wishes_of_its_own():
    seen = (parse_target("dog=0.5"), parse_layer("p4c"), parse_target("goldfish"))
    assert build_sound_targets(Targets(), seen, "melnet") == Targets((parse_target("dog=0.5"),))
    assert build_sound_targets(Targets((parse_target("rain"),)), seen, "melnet") == Targets(
        (parse_target("rain"),)
    )
    assert build_sound_targets(Targets(), (parse_layer("p4c"),), "no such network") == Targets()


def test_a_preset_wishes_for_a_class_of_the_sound_where_nothing_else_does():
    assert build_sound_targets(Targets(), (), "melnet", "dogs") == Targets((parse_target("dog bark"),))
    own = Targets((parse_target("rain"),))
    assert build_sound_targets(own, (), "melnet", "dogs") == own
    assert build_sound_targets(Targets(), (parse_target("rooster"),), "melnet", "dogs") == Targets(
        (parse_target("rooster"),)
    )
    assert build_sound_targets(Targets(), (), "residual_spec", "dogs") == Targets()  # It knows no barks.
    assert build_sound_targets(Targets(), (), "no such network", "giants") == Targets()


def test_nets_are_listed_with_licences_and_told_one_by_one():
    listed = mmdream("nets").stdout
    pictures = (
        "dreamnet",
        "googlenet",
        "squeezenet",
        "vgg16",
        "vgg19",
        "inception_v3",
        "resnet50",
        "mobilenet_v2",
    )
    for name in (*pictures, "melnet", "vgg19_mel", "residual_spec", "conv5_spec"):
        assert re.search(rf"^{name}\b", listed, re.MULTILINE)
    assert listed.count("licence:") >= 12
    assert "vgg19_mel:fma_small" in listed
    printed = mmdream("nets", "googlenet").stdout
    assert "inception_4c_output" in printed
    assert "inception_3b_5x5_reduce (32)" in printed
    assert "BVLC" in printed


MISTAKES = {
    "missing": ("video none.mp4", "no such file"),
    "a folder": ("video .", "folder"),
    "empty": ("video empty.mp4", "empty"),
    "text": ("video text.mp4", "text.mp4"),
    "cut in its header": ("video cut.mp4", "cut.mp4"),
    "output folder missing": ("video FILM -o none/x.mp4", "no such folder"),
    "output folder is a file": ("video FILM -o text.mp4/x.mp4", "not a folder"),
    "output is a folder": ("video FILM -o .", "is a folder"),
    "output suffix": ("video FILM -o x.avi", ".mkv"),
    "output exists": ("video FILM -o empty.mp4", "--overwrite"),
    "layer": ("image picture.png --layer p4d", "p4c"),
    "sound layer": ("audio sound.wav --net melnet --layer c9", "c6"),
    "sound class": ("video FILM --sound-target roster", "rooster"),
    "sound network without weights": ("audio sound.wav --net vgg19_mel", "--weights random"),
    "a network's file": ("video FILM --net none.keras", "no such network"),
    "a pickled network": ("video FILM --net none.pth", "pickled"),
    "a network's file that is none": ("video FILM --net text.keras", "not a Keras file"),
    "channel": ("image picture.png --channel p4c:512", "0 to 511"),
    "channel's form": ("image picture.png --channel p4c", "LAYER:NUMBER"),
    "class": ("video FILM --target goldfsh", "goldfish"),
    "weight": ("video FILM --target goldfish=much", "NAME=weight"),
    "no classes": ("image picture.png --net vgg16 --weights random --target dog", "no classes"),
    "motif": ("video FILM --motif dogg", "dog"),
    "no motif": ("video FILM --motif ,", "motif is empty"),
    "guide": ("video FILM --guide text.mp4", "not a picture"),
    "sound guide": ("video FILM --sound-guide text.mp4", "cannot be read as a film or a sound"),
    "no guide": ("image picture.png --guide nowhere.png", "no such file"),
    "nothing to compare": ("image picture.png --objective cosine", "--guide or --channel"),
    "network": ("video FILM --net dreamnett", "dreamnet"),
    "sound network": ("video FILM --sound-net melnot", "melnet"),
    "network of the other sense": ("video FILM --net melnet", "picture"),
    "preset": ("video FILM --preset clasic", "classic"),
    "depth": ("video FILM --depth 1.5", "between 0 and 1"),
    "octaves": ("video FILM --octaves 0", "between 1 and 12"),
    "coherence": ("video FILM --coherence 2", "between 0 and 1"),
    "breathe": ("video FILM --breathe -1", "between 0 and 1"),
    "colour": ("video FILM --color grey", "source"),
    "size": ("video FILM --size large", "480p"),
    "start": ("video FILM --start 99", "start"),
    "start after end": ("video FILM --start 0.5 --end 0.2", "start"),
    "precision": ("video FILM --precision int8", "bfloat16"),
    "not a number": ("video FILM --steps many", "steps is 'many'; give a number between 0 and 500"),
    "unknown option": ("video FILM --dept 1", "--dept"),
    "schedule with a typo": ("video FILM --schedule typo.toml", "did you mean 'depth'"),
    "schedule missing": ("video FILM --schedule no.toml", "no such"),
    "weights of another network": ("video FILM --weights other.npz", "other.npz"),
    "weights missing": ("video FILM --weights no.npz", "no.npz"),
    "weights that are none": ("video FILM --weights text.mp4", "text.mp4"),
    "nothing left to dream": ("video FILM --keep-picture --keep-sound", "nothing"),
    "no picture in it": ("video sound.wav", "audio"),
    "job's folder is another's": ("video FILM --job-dir .", "holds other files"),
    "job's folder is nowhere": ("video FILM --job-dir none/job", "--job-dir"),
    "job's folder is a file": ("video FILM --job-dir text.mp4", "--job-dir"),
    "no job": ("resume none.mp4", "mmdream jobs"),
    "no job in the folder": ("resume .", "no job"),
    "no folder of jobs": ("jobs none", "no such folder"),
    "image missing": ("image none.jpg", "no such file"),
    "image is text": ("image text.mp4", "not a picture"),
    "image network": ("image picture.png --net vgg", "vgg16"),
    "audio missing": ("audio none.wav", "no such file"),
    "audio is text": ("audio text.mp4", "text.mp4"),
    "audio is a picture": ("audio picture.png", "mmdream image"),
    "sound from what": ("audio --from rain", "sine:440"),
    "sound from too high": ("audio --from sine:30000", "20000"),
    "sound and from": ("audio sound.wav --from noise", "--from"),
    "no sound at all": ("audio", "--from"),
    "length of a recording": ("audio sound.wav --seconds 3", "--seconds"),
    "plot": ("audio sound.wav --plot text.mp4", ".png"),
    "plot nowhere": ("audio sound.wav --plot none/a.png", "no such folder"),
    "no such net": ("nets dreamnot", "dreamnet"),
    "no such command": ("vidio", "vidio"),
}
"""What is typed in a folder of bad files, and what the line must say."""


@pytest.fixture
def folder(film: Path, tmp_path: Path) -> Path:
    """A folder of files that no command should accept."""
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.keras").write_text("no network")
    (tmp_path / "text.mp4").write_text("this is not a film\n" * 50)
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes()[:48])
    (tmp_path / "typo.toml").write_text("[[key]]\nat = 1\ndepht = 0.5\n")
    np.savez(tmp_path / "other.npz", conv1_kernel=np.zeros((3, 3, 3, 8), np.float32))
    soundfile.write(tmp_path / "sound.wav", np.zeros(4000), 8000)
    image.write_image(tmp_path / "picture.png", np.full((32, 32, 3), 0.5, np.float32))
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(mistake: str, film: Path, folder: Path):
    typed, says = MISTAKES[mistake]
    before = sorted(folder.rglob("*")), sorted(film.parent.iterdir())
    done = mmdream(*typed.replace("FILM", str(film)).split(), cwd=folder)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("mmdream: error: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert (sorted(folder.rglob("*")), sorted(film.parent.iterdir())) == before


def test_a_mistake_in_a_file_is_told_before_tensorflow_loads(film: Path, folder: Path):
    early = ("missing", "text", "start", "weights missing", "image is text", "audio missing", "audio is text")
    typed = [MISTAKES[mistake][0].replace("FILM", str(film)).split() for mistake in early]
    code = (
        "import sys\nfrom mmdream.cli.app import main\n"
        f"for words in {typed}:\n"
        "    sys.argv = ['mmdream', *words]\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert end.code == 2, end.code\n"
        "    assert 'tensorflow' not in sys.modules, words\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("mmdream: error: ") == len(early)


TWICE = """
import runpy, sys
for words in {typed}:
    sys.argv = ["mmdream", *words]
    try:
        runpy.run_module("mmdream", run_name="__main__")
    except SystemExit as end:
        print(end.code)
"""


def test_json_is_one_object_and_tensorflow_adds_nothing_to_it_nor_to_a_mistake(tmp_path: Path):
    picture = tmp_path / "in.png"
    image.write_image(picture, np.random.default_rng(0).random((64, 64, 3)).astype(np.float32))
    wrong, right = ["--layer", "p4d"], ["--steps", "1", "--octaves", "1", "--json"]
    # The mistake comes first: TensorFlow starts before it is told.
    done = run_python(TWICE.format(typed=[["image", str(picture), *words] for words in (wrong, right)]))
    assert done.returncode == 0, done.stderr
    first, *printed, last = done.stdout.splitlines()
    assert (first, last) == ("2", "0")
    assert done.stderr.startswith("mmdream: error: ")
    assert done.stderr.count("\n") == 1
    report = json.loads("\n".join(printed))
    assert Path(report["output"]) == tmp_path / "in.dream.png"
    assert report["schedule"]["picture"][0]["steps"] == 1
    assert image.read_image(tmp_path / "in.dream.png").shape == (64, 64, 3)


@pytest.mark.parametrize("name", app.COMMANDS)
def test_a_command_is_listed_by_the_first_line_of_its_help(name: str):
    help_text = app.LazyCommand(name).load().help
    assert help_text.split("\n")[0] == app.COMMANDS[name]
