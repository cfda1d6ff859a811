"""What shows a dream: the live preview, the contact sheet, the comparison, the plan."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile

from mmdream import Recipe, Schedule, UserError, dream_video, plan_video
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.sample.film import make_sample
from mmdream.settings.recipe import AscentOptions
from mmdream.settings.report import GrainEvent, HintedMotifs, Report, ShownMotif, format_time_code
from mmdream.settings.targets import Targets, parse_layer
from mmdream.views.canvas import fit_size, text_width, truncate_text
from mmdream.views.contact_sheet import choose_ticks, select_evenly, write_contact_sheet
from mmdream.views.lanes import FAMILY_COLORS
from mmdream.views.preview import GAP, Preview, draw_preview

QUICK = Recipe(schedule=Schedule(octaves=1, steps=2))
MOMENT = Schedule().at(0.0)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_sample(path, seconds=3.0, rate=12, size=(128, 96))
    return path


@pytest.fixture(scope="module")
def dream_folder(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dream of an excerpt and all that is made beside it."""
    folder = tmp_path_factory.mktemp("dream")
    dream_video(
        film,
        folder / "dream.mp4",
        QUICK,
        start=1.0,
        end=2.5,
        preview=folder / "live.png",
        sheet=folder / "sheet.png",
        compare=True,
    )
    return folder


def decode_frames(path: Path, **span: Fraction) -> np.ndarray:
    return np.stack([frame.rgb for frame in read_frames(probe(path), **span)])


def read_picture(path: Path) -> np.ndarray:
    return np.float32(cv2.imread(str(path)))[..., ::-1] / 255


def decode_samples(path: Path, folder: Path) -> np.ndarray:
    film = probe(path)
    extract_audio(film, film.audio_tracks[0], folder / f"{path.stem}.wav")
    return soundfile.read(folder / f"{path.stem}.wav", dtype="float32", always_2d=True)[0]


def test_nothing_else_is_left(dream_folder: Path):
    assert sorted(path.name for path in dream_folder.iterdir()) == [
        "dream.compare.mp4",
        "dream.mp4",
        "live.png",
        "sheet.png",
    ]


def test_the_preview_ends_with_the_last_frame_beside_its_dream(film: Path, dream_folder: Path):
    live = read_picture(dream_folder / "live.png")
    source = decode_frames(film, start=Fraction(1), end=Fraction(5, 2))[-1]
    dream = decode_frames(dream_folder / "dream.mp4")[-1]
    size = fit_size(128, 96, Fraction(1), 638, 720)
    halves = live[: size[1], : size[0]], live[: size[1], size[0] + GAP :]
    for half, frame in zip(halves, (source, dream), strict=True):
        assert np.abs(cv2.resize(half, (128, 96), interpolation=cv2.INTER_AREA) - frame).mean() < 0.03
    caption = live[size[1] :]
    assert caption.max() > 0.7  # there are words
    assert np.median(caption) < 0.1


def test_the_comparison_is_both_films_with_the_dreams_stamps_and_sound(
    film: Path, dream_folder: Path, tmp_path: Path
):
    both, dream = decode_frames(dream_folder / "dream.compare.mp4"), decode_frames(dream_folder / "dream.mp4")
    assert both.shape[1:] == (96, 256, 3)
    assert np.abs(both[:, :, :128] - decode_frames(film, start=Fraction(1), end=Fraction(5, 2))).mean() < 0.02
    assert np.abs(both[:, :, 128:] - dream).mean() < 0.02
    stamps = [
        [f.seconds for f in read_frames(probe(dream_folder / name))]
        for name in ("dream.mp4", "dream.compare.mp4")
    ]
    assert stamps[0] == stamps[1]
    assert np.array_equal(
        decode_samples(dream_folder / "dream.mp4", tmp_path),
        decode_samples(dream_folder / "dream.compare.mp4", tmp_path),
    )


def test_the_sheet_shows_the_source_above_the_dream_at_the_same_moment(
    film: Path, dream_folder: Path, tmp_path: Path
):
    path = tmp_path / "one.png"
    write_contact_sheet(probe(film), probe(dream_folder / "dream.mp4"), path, 1, Fraction(1))
    frames = list(read_frames(probe(film), Fraction(1), Fraction(5, 2)))
    middle = len(frames) // 2
    source, dream = frames[middle].rgb, decode_frames(dream_folder / "dream.mp4")[middle]
    sheet = read_picture(path)
    cells = sheet[40:280, 16:336], sheet[282:522, 16:336]
    for cell, frame in zip(cells, (source, dream), strict=True):
        assert np.abs(cv2.resize(cell, (128, 96), interpolation=cv2.INTER_AREA) - frame).mean() < 0.03
    assert read_picture(dream_folder / "sheet.png").shape[1] > 1300
    hints = [HintedMotifs(float(at), at + 1.0, {"dome": 0.5, "coil": 0.2}) for at in range(4)]
    report = Report(hints=tuple(hints))
    write_contact_sheet(probe(film), probe(dream_folder / "dream.mp4"), path, 1, Fraction(1), report=report)
    told = read_picture(path)
    assert np.array_equal(told[: len(sheet)], sheet)
    assert told[len(sheet) :].max() > 0.3 > told[len(sheet) :].min()


def test_the_sheet_has_lanes_of_what_there_is(film: Path, dream_folder: Path, tmp_path: Path):
    grains = (GrainEvent(1.2, 0.4, "dog bark", "a", None, -20.0, (1.0,)),)
    shown, couplings = (ShownMotif("dog", 1.0, 2.0, 2.0, 0.0),), {"dog bark": ("dog",)}
    sheets = {}
    for name, report in {
        "none": Report(),
        "grains": Report(grains=grains),
        "both": Report(shown=shown, grains=grains, couplings=couplings),
    }.items():
        path = tmp_path / f"{name}.png"
        films = probe(film), probe(dream_folder / "dream.mp4")
        write_contact_sheet(*films, path, 3, Fraction(1), report=report)
        sheets[name] = read_picture(path)
    heights = [len(sheet) for sheet in sheets.values()]
    assert heights == sorted(set(heights))
    color, lanes = np.array(FAMILY_COLORS[0]) / 255, sheets["both"][heights[0] :]
    assert not (np.abs(sheets["grains"] - color).max(axis=2) < 0.01).any()  # Alone, they are grey.
    drawn = np.abs(lanes - color).max(axis=2) < 0.01
    rows = np.flatnonzero(drawn[:, 200:].any(axis=1))
    (gap,) = np.flatnonzero(np.diff(rows) > 1)
    dog, bark = (np.flatnonzero(drawn[row, 200:]) for row in (rows[gap] - 3, rows[gap + 1] + 3))
    assert len(bark) < len(dog) / 2  # It is as long as it lasts,
    linked = lanes[(rows[gap] + rows[gap + 1]) // 2, 200:]
    tinted = np.flatnonzero(linked[:, 0] > linked[:, 2] + 0.1)
    assert abs(tinted.mean() - bark[0]) < 4  # and linked where it begins.


def test_ticks_are_round_and_have_room():
    assert choose_ticks((3.2, 23.9), 12) == [4, 6, 8, 10, 12, 14, 16, 18, 20, 22]
    assert choose_ticks((0.0, 600.0), 6) == [0, 120, 240, 360, 480, 600]
    assert choose_ticks((0.1, 0.9), 6) == []


def test_moments_are_spread_evenly():
    stamps = [Fraction(k, 25) for k in range(1000)]
    found = select_evenly(stamps, 12)
    gaps = np.diff([float(at) for at in found])
    assert len(found) == 12
    assert gaps.max() - gaps.min() <= 0.05
    assert float(found[0]) == pytest.approx(gaps.mean() / 2, abs=0.05)
    assert select_evenly(stamps[:3], 12) == stamps[:3]
    assert select_evenly([], 12) == []


def test_a_film_of_oblong_pixels_is_compared_in_square_ones(film: Path, tmp_path: Path):
    anamorphic = tmp_path / "anamorphic.mp4"
    with av.open(str(anamorphic), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for frame in list(read_frames(probe(film)))[:6]:
            rgb = cv2.resize(np.uint8(frame.rgb * 255), (64, 64))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(stream.encode())
    assert probe(anamorphic).video.sar == Fraction(3, 2)
    dream_video(anamorphic, tmp_path / "d.mkv", QUICK, compare=True, sheet=tmp_path / "s.jpg")
    made = probe(tmp_path / "d.compare.mkv").video
    assert (made.width, made.height, made.sar) == (192, 64, 1)


class ManualClock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_preview_is_refreshed_only_when_its_time_has_come(tmp_path: Path):
    path, ticks = tmp_path / "live.jpg", ManualClock()
    preview = Preview(path, "dreamnet", interval=3.0, clock=ticks)
    dark, bright = np.zeros((40, 60, 3), np.float32), np.ones((40, 60, 3), np.float32)

    def is_bright() -> bool:
        return read_picture(path)[:100, :200].mean() > 0.5

    preview(dark, dark, 0.0, MOMENT, 0, 100)
    assert not is_bright()
    ticks.now = 2.9
    preview(bright, bright, 0.04, MOMENT, 1, 100)
    assert not is_bright()
    ticks.now = 3.0
    preview(bright, bright, 0.08, MOMENT, 2, 100)
    assert is_bright()
    preview(dark, dark, 4.0, MOMENT, 99, 100)  # the last frame is always shown
    assert not is_bright()
    assert [each.name for each in tmp_path.iterdir()] == ["live.jpg"]


def test_a_preview_that_cannot_be_written_ends_nothing(tmp_path: Path):
    folder = tmp_path / "gone"
    folder.mkdir()
    preview = Preview(folder / "live.jpg", "dreamnet")
    folder.rmdir()
    grey = np.full((8, 8, 3), 0.5, np.float32)
    preview(grey, grey, 0.0, MOMENT, 0, 1)
    assert not folder.exists()


@pytest.mark.parametrize("size", [(1, 1), (4, 2000), (2000, 4), (3840, 2160), (720, 576)])
def test_panels_of_any_film_fit_a_screen(size: tuple[int, int]):
    frame = np.full((*size[::-1], 3), 0.5, np.float32)
    sheet = draw_preview(
        frame, frame, Fraction(64, 45), [["0:00.0", "frame 1 of 9", "dreamnet"], ["steps 10"]]
    )
    assert sheet.shape[1] <= 1280
    assert sheet.shape[0] <= 800


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (59.96, "1:00.0"), (3599.99, "1:00:00.0"), (3723.45, "1:02:03.4")]
)
def test_time_codes(seconds: float, text: str):
    assert format_time_code(seconds) == text


def test_long_names_are_shortened():
    name = "a very long name of a film " * 9
    assert text_width(truncate_text(name, 17, 300), 17) <= 300
    assert truncate_text("film.mp4", 17, 300) == "film.mp4"


@pytest.mark.parametrize(
    ("wish", "line"),
    [
        ({"preview": "live.mp4"}, "cannot write .mp4"),
        ({"preview": "nowhere/live.jpg"}, "no such folder"),
        ({"sheet": "mine.png"}, "choose another name with --sheet"),
        ({"preview": "mine.png"}, "choose another name with --preview"),
        ({"preview": "a.jpg", "sheet": "a.jpg"}, "cannot be one file"),
        ({"plot": "plot.mp4"}, "cannot write .mp4"),
        ({"plot": "mine.png"}, "choose another name with --plot"),
        ({"plot": "a.jpg", "sheet": "a.jpg"}, "--sheet and --plot cannot be one file"),
        ({"preview": "a.jpg", "keep_picture": True}, "drop it or --keep-picture"),
        ({"compare": True}, "out.compare.mkv: exists already"),
    ],
)
def test_names_are_checked_before_the_work(film: Path, tmp_path: Path, wish: dict, line: str):
    for name in ("mine.png", "out.compare.mkv"):
        (tmp_path / name).write_text("mine")
    wish = {k: tmp_path / v if isinstance(v, str) else v for k, v in wish.items()}
    with pytest.raises(UserError, match=line):
        dream_video(film, tmp_path / "out.mkv", QUICK, **wish)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.png", "out.compare.mkv"]


def test_a_plan_tells_what_a_run_takes_and_writes_nothing(film: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    plan = plan_video(film, out, QUICK)
    assert list(tmp_path.iterdir()) == []
    report = json.loads(json.dumps(plan.as_json()))
    assert (report["frames"], report["shots"], report["flashes"]) == (36, 2, 0)
    assert report["size"] == report["working_size"] == [128, 96]
    assert report["seconds"] == pytest.approx(3.0)
    assert 0 < report["frame_seconds"] < report["expected_seconds"]
    assert 100 < report["memory_mib"] < 10_000
    assert report["disk_mib"] > 0
    text = "\n".join(plan.lines())
    for word in ("36 frames", "2 shots", "128x96", "dreamnet", "melnet", "MiB"):
        assert word in text


def test_a_plan_tells_the_settings_that_are_not_the_usual_ones(film: Path, tmp_path: Path):
    recipe = replace(QUICK, wishes=Targets((parse_layer("p4c"),)), manner=AscentOptions(wander=0.5))
    plan = plan_video(film, tmp_path / "out.mkv", recipe, end=0.5, keep_sound=True)
    (line,) = [line for line in plan.lines() if line.startswith("settings ")]
    changed = "octaves 1, steps 2, the picture's layer p4c, wander 0.5, end 0.5, keep-sound"
    assert sorted(line.removeprefix("settings  ").split(", ")) == sorted(changed.split(", "))
    settings = json.loads(json.dumps(plan.as_json()))["settings"]
    assert (settings["net"], settings["manner"]["wander"], settings["end"]) == ("dreamnet", 0.5, "1/2")


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
def test_a_trial_leaves_the_caller_s_priority(film: Path, tmp_path: Path):
    here = os.PRIO_PROCESS, threading.get_native_id()
    before = os.getpriority(*here)
    plan_video(film, tmp_path / "out.mp4", QUICK, end=0.5, keep_sound=True)
    assert os.getpriority(*here) == before


def test_a_plan_of_less_asks_for_less(film: Path, tmp_path: Path):
    small = plan_video(film, tmp_path / "out.mp4", QUICK, end=0.5, keep_sound=True)
    assert small.frames == 6
    assert small.sound_network is None
    silent = plan_video(film, tmp_path / "out.mp4", QUICK, end=0.5, keep_picture=True)
    assert silent.network is None
    assert silent.picture_seconds == 0
    assert any("kept" in line for line in silent.lines())
    with pytest.raises(UserError, match="no such folder"):
        plan_video(film, tmp_path / "nowhere" / "out.mp4", QUICK)


def test_captions_tell_the_settings_of_the_moment(tmp_path: Path):
    grey = np.full((90, 160, 3), 0.5, np.float32)
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    Preview(one, "dreamnet")(grey, grey, 1.0, MOMENT, 0, 9)
    changed = replace(MOMENT, depth=0.123)
    Preview(other, "dreamnet")(grey, grey, 1.0, changed, 0, 9)
    assert not np.array_equal(read_picture(one), read_picture(other))
