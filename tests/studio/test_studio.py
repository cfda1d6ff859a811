"""What the studio keeps, shows and starts; what it says, the command line and the schedule file can say."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmdream import Recipe, Schedule
from mmdream.core.errors import UserError
from mmdream.jobs.store import job_folder
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.settings.files import json_schema, read_schedule
from mmdream.settings.passes import Mask, Pass
from mmdream.studio import form
from mmdream.studio.preview_process import answer
from mmdream.studio.preview_requests import Requests
from mmdream.studio.project import PROJECT_FILE, FilmState, Key, Project, read_project, write_project
from mmdream.studio.scan_process import MARKS_FILE
from mmdream.studio.settings_reader import read_settings
from tests.command import HEAVY, mmdream, run_python
from tests.media.make import make_picture, make_times, write_film
from tests.studio.conftest import Client

KEYS = [
    {"setting": "strength", "at": 0.0, "value": 0.0},
    {"setting": "strength", "at": 1.0, "value": 1.5},
    {"setting": "motif", "at": 0.0, "value": "dog"},
    {"setting": "motif", "at": 1.0, "value": "tower"},
    {"setting": "mask_x", "at": 0.0, "value": 0.2},
    {"setting": "mask_x", "at": 1.0, "value": 0.8},
]
SETTINGS = {
    "seed": "-3",
    "depth": "0.5",
    "motif": "eye",
    "drive": ["depth=onset"],
    "keep-sound": True,
    "mask-size": "0.5",
}


def wait(condition: Callable[[], object], seconds: float = 120) -> None:
    late = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < late
        time.sleep(0.1)


def test_the_server_brings_in_no_tensorflow() -> None:
    code = (
        "import sys, mmdream.studio.web; sys.exit(bool({'tensorflow', 'keras', 'numba'} & set(sys.modules)))"
    )
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
    first = {"at": 0.0, "strength": 0.0, "motif": "dog", "mask_x": 0.2}
    assert tomllib.loads(text["schedule"])["key"][0] == first
    names: dict[str, object] = {}
    lines = text["python"].splitlines()
    exec("\n".join(line for line in lines if line.startswith(("from", "import"))), names)
    call = next(line for line in lines if line.startswith("dream_video"))
    names["dream_video"] = lambda film, out, recipe: (film, out, recipe)
    film, out, recipe = eval(call, names)
    assert (film, out) == ("in.mp4", "in.dream.mp4")
    assert isinstance(recipe, Recipe)
    assert recipe.seed == -3
    assert recipe.passes == (Pass(mask=Mask(x=((0, 0.2), (1, 0.8)), size=0.5)),)
    assert recipe.schedule == Schedule(
        depth=0.5, strength=((0, 0), (1, 1.5)), motif=((0, "dog"), (1, "tower"))
    )
    kept = read_project(studio.folder).films["in.mp4"]
    assert kept.settings == SETTINGS
    assert kept.cursor == 0.5
    opened = studio.json("GET", studio.film)
    assert [{name: key[name] for name in KEYS[0]} for key in opened["state"]["keys"]] == KEYS
    assert opened["text"] == text
    # What is copied can be opened; motifs that have keys go by those.
    keyed = {name: value for name, value in SETTINGS.items() if name != "motif"}
    for copied in (text["command"], text["python"]):
        found = studio.json("POST", f"{studio.film}/read", {"text": copied})
        assert (found["settings"], found["mask"]) == (keyed, "")
        assert sorted(found["keys"], key=str) == sorted(opened["state"]["keys"], key=str)
    found = studio.json("POST", f"{studio.film}/read", {"text": 'preset = "giants"\n' + text["schedule"]})
    assert (found["settings"], len(found["keys"])) == ({"preset": "giants"}, len(KEYS))
    sampled = studio.json("GET", f"{studio.film}/curves?to=1&count=3")
    assert sampled["curves"]["strength"] == [0.0, 0.75, 1.5]
    assert sampled["curves"]["mask_x"] == [0.2, 0.5, 0.8]
    assert sampled["motifs"][1] == {"dog": 0.5, "tower": 0.5}
    # A wrong one is refused, and what was kept stays.
    status, _, said = studio.ask("PUT", f"{studio.film}/state", {"settings": {"strength": "5"}})
    assert status == 422
    assert json.loads(said)["error"] == "strength is 5; choose between 0 and 4"
    assert read_project(studio.folder).films["in.mp4"].settings == SETTINGS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mmdream style a.png", "only the settings of `mmdream video` can be opened"),
        ("mmdream video a.mp4 --sead 3", "--sead is no option of `mmdream video`"),
        ("mmdream video a.mp4 --seed", "--seed has no value"),
        (
            "mmdream video a.mp4 --schedule ../x.toml",
            "../x.toml: is not in the studio's folder; put it there",
        ),
        ("mmdream video 'a.mp4", "this command line cannot be read: No closing quotation"),
        ("hello", "this is neither `mmdream video ...`, nor Python from this page, nor a schedule file"),
        ("[[pass]]\nstrength = 1", "pass of a schedule file cannot be shown here; write passes as --pass"),
        ("[[key]]\nstrength = 1", "write each key as its own [[key]] table, with at = SECONDS"),
    ],
)
def test_what_cannot_be_opened_is_said(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_settings(text, tmp_path)
    assert str(caught.value) == said


@pytest.mark.parametrize("small", [False, True])
def test_frames_are_those_of_the_film_at_their_own_time(small: bool, studio: Client) -> None:
    frames = list(read_frames(probe(studio.folder / "in.mp4")))
    rng = np.random.default_rng(0)
    if small:  # Those that were kept when the film was gone through.
        wait(lambda: studio.json("GET", studio.film)["marks"] is not None)
        assert list((studio.cache / "mmdream" / "studio").glob("*/films/*/frames.mjpeg"))
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
    for name in ("quick.jpg", "full.jpg"):
        wait(lambda name=name: studio.ask("GET", f"/api/dreams/{made}/{name}")[0] == 200)
    tries = studio.json("GET", studio.film)["tries"]
    assert [each["id"] for each in tries] == [made]
    assert tries[0]["settings"] == settings
    assert studio.ask("POST", f"{studio.film}/dream", {"kind": "picture", "at": "x"})[0] == 422
    # The same process fills the gallery, when there is time.
    assert studio.json("POST", "/api/gallery/dreamnet/motif", {"names": ["dog"]}) == []
    wait(lambda: studio.ask("GET", "/api/gallery/dreamnet/motif/dog")[0] == 200)
    assert studio.json("POST", "/api/gallery/dreamnet/motif", {"names": ["dog"]}) == ["dog"]
    picture = studio.ask("GET", "/api/gallery/dreamnet/motif/dog")[2]
    assert studio.json("GET", "/api/gallery/dreamnet/find?words=a%20light%20that%20warns%20ships")[0] in (
        "ship",
        "lighthouse",
    )
    assert studio.json("GET", "/api/gallery/dreamnet/find?words=%D0%B4") == []
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).std() > 30
    assert studio.ask("GET", "/api/atoms/dog%20bark?n=0")[1]["content-type"] == "audio/ogg"
    for path in (
        "gallery/dreamnet/motif/dug",
        "gallery/x/motif/dog",
        "atoms/dog%20bark?n=999",
        "atoms/..?n=0",
    ):
        assert studio.ask("GET", f"/api/{path}")[0] == 422


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
    assert studio.ask("GET", f"/api/jobs/{job['id']}/frame")[1]["content-type"] == "image/jpeg"
    assert b"30 frames" in studio.ask("GET", f"/api/jobs/{job['id']}/record")[2]
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


def test_cuts_beats_and_what_drives_come_to_are_known_of_a_film(tmp_path: Path) -> None:
    clicks = np.zeros((1, 48_000 * 6), np.float32)
    for beat in range(12):  # 120 a minute.
        clicks[0, 24_000 * beat : 24_000 * beat + 400] = 0.8
    frames = [make_picture(0) if number < 60 else 255 - make_picture(3) for number in range(150)]
    film = write_film(tmp_path / "film.mp4", make_times(150, 25), sound=clicks, frames=frames)
    subprocess.run([sys.executable, "-m", "mmdream.studio.scan_process", film, tmp_path / "scan"], check=True)
    marks = json.loads((tmp_path / "scan" / MARKS_FILE).read_text())
    assert marks["cuts"] == [2.4]
    offsets = [(beat + 0.25) % 0.5 - 0.25 for beat in marks["beats"]]
    assert len(offsets) > 6
    assert max(map(abs, offsets)) < 0.08
    told: list[dict[str, Any]] = []
    request = {
        "kind": "drives", "film": str(film), "settings": {"drive": ["strength=onset:0.5-1.5"]}, "keys": [],
        "mask": "", "scan": str(tmp_path / "scan"),
    }  # fmt: skip
    answer(request, lambda state, **more: told.append(more), lambda: False)
    strength = told[-1]["curves"]["strength"]
    assert min(strength) == 0.5
    assert 1.2 < max(strength) <= 1.5
    with pytest.raises(UserError, match="when the film has been gone through"):
        answer(request | {"scan": str(tmp_path)}, lambda state, **more: None, lambda: False)


def test_the_urgent_goes_before_and_the_newest_counts() -> None:
    requests = Requests(io.StringIO())
    requests._has_ended = False  # Its stream has: what follows is put by hand.
    made = [{"kind": kind, "number": n} for n, kind in enumerate(["gallery", "picture", "picture", "sound"])]
    for request in made:
        requests.put(request)
    assert [next(requests)["number"] for _ in range(3)] == [3, 2, 0]
    assert not requests.gives_way(made[2])
    requests.put({"kind": "sound", "number": 9})
    assert requests.gives_way(made[2])
    assert requests.gives_way(made[3])
    next(requests)
    requests.put(made[3])  # An older one does not come back.
    assert not requests.gives_way(made[2])


def test_a_project_is_one_readable_file(tmp_path: Path) -> None:
    project = Project({"a.mp4": FilmState({"seed": "3"}, [Key("strength", 0.5, 1.0)], "a.png", 2.0)})
    write_project(tmp_path, project)
    assert read_project(tmp_path) == project
    assert "a.mp4" in (tmp_path / PROJECT_FILE).read_text()
    (tmp_path / PROJECT_FILE).write_text("films = 3")
    with pytest.raises(UserError, match="cannot be read"):
        read_project(tmp_path)
