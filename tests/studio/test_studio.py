"""What the studio keeps, shows and starts; what it says, the command line and the schedule file can say."""

from __future__ import annotations

import json
import shlex
import shutil
import time
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdream import Recipe, Schedule
from mmdream.core.errors import UserError
from mmdream.jobs.store import job_folder
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.settings.files import json_schema, read_schedule
from mmdream.studio import form
from mmdream.studio.project import PROJECT_FILE, FilmState, Key, Project, read_project, write_project
from tests.command import HEAVY, mmdream, run_python
from tests.studio.conftest import Client

KEYS = [
    {"setting": "strength", "at": 0.0, "value": 0.0},
    {"setting": "strength", "at": 1.0, "value": 1.5},
    {"setting": "motif", "at": 0.0, "value": "dog"},
    {"setting": "motif", "at": 1.0, "value": "tower"},
]
SETTINGS = {"seed": "-3", "depth": "0.5", "motif": "eye", "drive": ["depth=onset"], "keep-sound": True}


def test_the_server_brings_in_no_tensorflow() -> None:
    code = "import sys, mmdream.studio.web; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert run_python(code).returncode == 0
    assert "tensorflow" in HEAVY


def test_controls_are_named_as_the_schema_names_them() -> None:
    known = json_schema()["$defs"]
    titles = {
        name: each["title"] for table in known.values() for name, each in table.get("properties", {}).items()
    }
    fields = {field.name: field for field in form.list_fields()}
    for name in ("strength", "depth", "seed", "octave-scale", "coherence"):
        assert fields[name].title == titles[name.replace("-", "_")]
    assert (fields["strength"].low, fields["strength"].high, fields["strength"].default) == (0, 4, "1")
    assert fields["color"].choices == ("full", "source")
    assert {name for name, field in fields.items() if field.varies} >= {"strength", "motif", "grains"}


def test_settings_are_saved_and_said_as_command_python_and_schedule(studio: Client) -> None:
    text = studio.json("PUT", f"{studio.film}/state", {"settings": SETTINGS, "keys": KEYS, "cursor": 0.5})
    words = shlex.split(text["command"])
    assert words[:5] == ["mmdream", "video", "in.mp4", "-o", "in.dream.mp4"]
    assert {"--seed=-3", "--keep-sound", "depth=onset"} <= set(words)
    assert "--motif" not in words  # Its keys go before.
    schedule = read_schedule(studio.folder / words[words.index("--schedule") + 1])
    assert schedule.curve("strength").keys == ((0.0, 0.0), (1.0, 1.5))
    assert schedule.motif_curve.keys == ((0.0, ("dog",)), (1.0, ("tower",)))
    assert tomllib.loads(text["schedule"])["key"][0] == {"at": 0.0, "strength": 0.0, "motif": "dog"}
    names: dict[str, object] = {}
    lines = text["python"].splitlines()
    exec("\n".join(line for line in lines if line.startswith(("from", "import"))), names)
    call = next(line for line in lines if line.startswith("dream_video"))
    names["dream_video"] = lambda film, out, recipe: (film, out, recipe)
    film, out, recipe = eval(call, names)
    assert (film, out) == ("in.mp4", "in.dream.mp4")
    assert isinstance(recipe, Recipe)
    assert recipe.seed == -3
    assert recipe.schedule == Schedule(
        depth=0.5, strength=((0, 0), (1, 1.5)), motif=((0, "dog"), (1, "tower"))
    )
    kept = read_project(studio.folder).films["in.mp4"]
    assert kept.settings == SETTINGS
    assert kept.cursor == 0.5
    opened = studio.json("GET", studio.film)
    assert [{name: key[name] for name in KEYS[0]} for key in opened["state"]["keys"]] == KEYS
    assert opened["text"] == text
    sampled = studio.json("GET", f"{studio.film}/curves?to=1&count=3")
    assert sampled["curves"]["strength"] == [0.0, 0.75, 1.5]
    assert sampled["motifs"][1] == {"dog": 0.5, "tower": 0.5}
    # A wrong one is refused, and what was kept stays.
    status, _, said = studio.ask("PUT", f"{studio.film}/state", {"settings": {"strength": "5"}})
    assert status == 422
    assert json.loads(said)["error"] == "strength is 5; choose between 0 and 4"
    assert read_project(studio.folder).films["in.mp4"].settings == SETTINGS


def test_frames_are_those_of_the_film_at_their_own_time(studio: Client) -> None:
    frames = list(read_frames(probe(studio.folder / "in.mp4")))
    rng = np.random.default_rng(0)
    for number in [0, 1, 2, len(frames) - 1, *rng.integers(0, len(frames), 6)]:
        frame = frames[number]
        for within in (0.0, 0.9 / 24):
            at = float(frame.seconds) + within
            status, headers, data = studio.ask("GET", f"{studio.film}/frame?at={at:.6f}&height=96")
            assert status == 200
            assert float(headers["x-seconds"]) == pytest.approx(float(frame.seconds), abs=1e-5)
            shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] / 255
            assert np.abs(shown - frame.rgb).mean() < 0.03
    _, headers, _ = studio.ask("GET", f"{studio.film}/frame?at=999")
    assert float(headers["x-seconds"]) == pytest.approx(float(frames[-1].seconds), abs=1e-5)
    assert studio.ask("GET", f"{studio.film}/frame?at=nan")[0] == 422
    assert (
        cv2.imdecode(
            np.frombuffer(studio.ask("GET", f"{studio.film}/thumbnail?at=1")[2], np.uint8), cv2.IMREAD_COLOR
        ).shape[0]
        == 54
    )


def test_a_dream_at_the_cursor_comes_quick_and_then_as_in_the_film(studio: Client) -> None:
    settings = {"octaves": "1", "steps": "1"}
    studio.json("PUT", f"{studio.film}/state", {"settings": settings, "keys": []})
    made = studio.json("POST", f"{studio.film}/dream", {"kind": "picture", "at": 1.0})["id"]
    late = time.monotonic() + 120
    for name in ("quick.jpg", "full.jpg"):
        while studio.ask("GET", f"/api/dreams/{made}/{name}")[0] != 200:
            assert time.monotonic() < late
            time.sleep(0.1)
    tries = studio.json("GET", studio.film)["tries"]
    assert [each["id"] for each in tries] == [made]
    assert tries[0]["settings"] == settings
    assert studio.ask("POST", f"{studio.film}/dream", {"kind": "picture", "at": "x"})[0] == 422


def test_a_queued_film_is_that_of_the_command_and_outlives_the_studio(studio: Client, tmp_path: Path) -> None:
    settings = {"octaves": "1", "steps": "1", "depth": "0.3"}
    text = studio.json("PUT", f"{studio.film}/state", {"settings": settings, "keys": KEYS[:2]})
    [job] = studio.json("POST", f"{studio.film}/job")
    assert job["out"] == "in.dream.mp4"
    late = time.monotonic() + 200
    while (job := studio.json("POST", f"/api/jobs/{job['id']}/up")[0])["state"] != "done":
        assert job["state"] in ("waiting", "running"), job
        assert time.monotonic() < late
        time.sleep(0.3)
    assert job["share"] == 1
    for kind in ("film", "compare", "sheet"):
        assert studio.ask("GET", f"/api/jobs/{job['id']}/{kind}")[0] == 200
    assert not job_folder(studio.folder / job["out"]).exists()
    for name in ("in.mp4", "in.mp4.schedule.toml"):
        shutil.copyfile(studio.folder / name, tmp_path / name)
    words = shlex.split(text["command"])[1:]
    done = mmdream(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for mine, other in zip(
        read_frames(probe(studio.folder / "in.dream.mp4")),
        read_frames(probe(tmp_path / "in.dream.mp4")),
        strict=True,
    ):
        assert mine.pts == other.pts
        np.testing.assert_array_equal(mine.rgb, other.rgb)
    assert studio.json("POST", f"/api/jobs/{job['id']}/remove") == []
    assert (studio.folder / "in.dream.mp4").is_file()


def test_a_project_is_one_readable_file(tmp_path: Path) -> None:
    project = Project({"a.mp4": FilmState({"seed": "3"}, [Key("strength", 0.5, 1.0)], "a.png", 2.0)})
    write_project(tmp_path, project)
    assert read_project(tmp_path) == project
    assert "a.mp4" in (tmp_path / PROJECT_FILE).read_text()
    (tmp_path / PROJECT_FILE).write_text("films = 3")
    with pytest.raises(UserError, match="cannot be read"):
        read_project(tmp_path)
