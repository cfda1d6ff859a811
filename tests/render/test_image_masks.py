"""Masks from files, and pictures dreamed only where a mask is white."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from make import make_bursts, make_times, write_film
from typer.testing import CliRunner

from mmdream.cli.app import app
from mmdream.core.errors import UserError
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image
from mmdream.media.mask import check_mask, open_mask
from mmdream.settings.passes import Mask

QUICK = ("--steps", 2, "--octaves", 1)
BLACK, WHITE = np.s_[:, :44], np.s_[:, 52:]
"""What lies beyond the ramp of the mask's edge, in the picture of 96 x 72."""


def call(*words: object) -> tuple[int, str, dict]:
    run = CliRunner().invoke(app, ["image", *map(str, words), "--json"])
    if isinstance(run.exception, UserError):
        return 2, str(run.exception), {}
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exception
    return run.exit_code, run.output, json.loads(run.stdout) if run.exit_code == 0 else {}


def make_half_mask(width: int, height: int) -> np.ndarray:
    """Black on the left, white on the right, float32 [height, width, 3]."""
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[:, width // 2 :] = 1
    return rgb


@pytest.fixture(scope="module")
def dream_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture and its dream."""
    folder = tmp_path_factory.mktemp("dreamed")
    image.write_image(folder / "in.png", cv2.GaussianBlur(make_noise_image(72, 96, 1) * 4 - 1.5, (0, 0), 1.5))
    assert call(folder / "in.png", *QUICK, "-o", folder / "whole.png")[0] == 0
    return folder


@pytest.fixture
def place(dream_folder: Path, tmp_path: Path, monkeypatch) -> Path:
    """A folder to stand in with that picture, its dream, and a mask of another size."""
    shutil.copytree(dream_folder, tmp_path, dirs_exist_ok=True)
    image.write_image(tmp_path / "mask.png", make_half_mask(192, 144))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", [(), ("--size", "80x60", "--color", "source")])
def test_black_is_the_source_and_white_the_dream_to_the_bit(place: Path, words: tuple[str, ...]) -> None:
    if words:
        assert call("in.png", *QUICK, *words, "-o", "whole.png", "--overwrite")[0] == 0
    status, said, report = call("in.png", *QUICK, *words, "--mask", "mask.png", "-o", "out.png")
    assert status == 0, said
    assert report["objective_gain"]["picture"] > 1
    source, whole, out = (image.read_image(place / name) for name in ("in.png", "whole.png", "out.png"))
    np.testing.assert_array_equal(out[BLACK], source[BLACK])
    np.testing.assert_array_equal(out[WHITE], whole[WHITE])
    assert min(np.abs(whole - source)[half].mean() for half in (BLACK, WHITE)) > 1 / 255
    assert (out <= np.maximum(source, whole)).all()
    assert (out >= np.minimum(source, whole)).all()


def test_a_black_mask_leaves_the_picture(place: Path) -> None:
    image.write_image(place / "black.jpg", np.zeros((72, 96, 3), np.float32))
    status, said, report = call("in.png", *QUICK, "--mask", "black.jpg", "-o", "out.png")
    assert status == 0, said
    np.testing.assert_array_equal(image.read_image(place / "out.png"), image.read_image(place / "in.png"))
    assert report["strength"]["picture"] == 0


def test_grey_is_a_share_of_the_dream_and_without_a_feather_it_ends_at_once(place: Path) -> None:
    image.write_image(place / "grey.png", np.maximum(make_half_mask(96, 72), np.float32(51 / 255)))
    assert call("in.png", *QUICK, "--mask", "grey.png", "--feather", 0, "-o", "out.png")[0] == 0
    source, whole, out = (image.read_image(place / name) for name in ("in.png", "whole.png", "out.png"))
    share = np.where(np.arange(96) < 48, 0.2, 1)[:, None]
    np.testing.assert_allclose(out - source, share * (whole - source), atol=1.1 / 255)
    np.testing.assert_array_equal(out[:, 48:], whole[:, 48:])


def test_steps_are_kept_as_the_mask_leaves_them(place: Path) -> None:
    words = ("--mask", "mask.png", "--feather", 40, "--save-steps", "-o", "out.png")
    assert call("in.png", *QUICK, *words)[0] == 0
    source, *kept = (
        image.read_image(path) for path in (place / "in.png", *sorted(place.glob("out.steps/*.png")))
    )
    assert len(kept) == 2
    for step in kept:
        np.testing.assert_array_equal(step[BLACK], source[BLACK])
        assert np.abs(step - source)[WHITE].max() > 1 / 255
    np.testing.assert_array_equal(kept[-1], image.read_image(place / "out.png"))


def test_of_a_film_a_picture_takes_the_frame_at_second_0(place: Path) -> None:
    shown = [(frame * 255).astype(np.uint8) for frame in (make_half_mask(96, 72), 1 - make_half_mask(96, 72))]
    write_film(place / "mask.mp4", make_times(2, 25), frames=shown, size=(96, 72))
    assert call("in.png", *QUICK, "--mask", "mask.mp4", "-o", "out.png")[0] == 0
    np.testing.assert_array_equal(
        image.read_image(place / "out.png")[BLACK], image.read_image(place / "in.png")[BLACK]
    )


def test_transparency_is_black_and_pictures_lie_upright(tmp_path: Path) -> None:
    clear = np.full((48, 64, 4), 255, np.uint8)
    clear[:, :32, 3] = 0
    cv2.imwrite(str(tmp_path / "clear.png"), clear)
    mask = open_mask(Mask(tmp_path / "clear.png", 0), 64, 48).at(Fraction(5))
    assert (mask[:, :32] == 0).all()
    assert (mask[:, 32:] == 1).all()


def test_a_gif_is_a_film(tmp_path: Path) -> None:
    from PIL import Image

    pictures = [Image.new("L", (64, 48), level) for level in (0, 255)]
    pictures[0].save(tmp_path / "m.gif", save_all=True, append_images=pictures[1:], duration=500, loop=0)
    reader = open_mask(Mask(tmp_path / "m.gif"), 64, 48)
    assert [reader.at(Fraction(k, 4)).mean() for k in (0, 1, 3, 400)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.png", "none.png: no such file"),
        ("none.mp4", "none.mp4: no such file"),
        ("n" * 300, "no such file"),
        (".", "is a folder"),
        ("empty.png", "empty.png: is empty"),
        ("note.txt", "note.txt: is no mask that can be read; give a film or a .png"),
        ("cut.png", "cut.png: not a picture"),
        ("cut.mp4", "cut.mp4: is no mask that can be read"),
        ("bare.avi", "bare.avi: is no mask that can be read"),
        ("sound.wav", "sound.wav: is a sound; a mask is a picture or a film"),
        ("dot.png", "dot.png: a mask of 1x1 pixels is too small"),
        ("wide.png", "wide.png: a mask of 128x48 does not lie on 64x48"),
        ("wide.mp4", "wide.mp4: a mask of 128x48 does not lie on 64x48"),
    ],
)
def test_what_cannot_be_a_mask_is_told_in_one_line(name: str, said: str, tmp_path: Path) -> None:
    import soundfile

    for number, (wide, high) in enumerate([(64, 48), (128, 48), (1, 1)]):
        image.write_image(
            tmp_path / ("cut.png", "wide.png", "dot.png")[number], make_noise_image(high, wide, 1)
        )
    for short in ("cut.mp4", "wide.mp4"):
        write_film(tmp_path / short, make_times(3, 25), size=(128, 48))
    with av.open(str(tmp_path / "bare.avi"), "w") as out:
        out.add_stream("mpeg4", rate=25, width=64, height=48)
        out.start_encoding()
    for cut in ("cut.png", "cut.mp4"):
        (tmp_path / cut).write_bytes((tmp_path / cut).read_bytes()[:60])
    (tmp_path / "empty.png").touch()
    (tmp_path / "note.txt").write_text("white\n")
    soundfile.write(tmp_path / "sound.wav", make_bursts(1).T, 48_000)
    for refuse in (check_mask, open_mask):
        with pytest.raises(UserError) as caught:
            refuse(Mask(tmp_path / name), 64, 48)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_good_mask_is_not_refused(tmp_path: Path) -> None:
    image.write_image(tmp_path / "mask.webp", make_half_mask(128, 96))
    write_film(tmp_path / "mask.mkv", make_times(3, 25), size=(32, 24), time_base=Fraction(1, 1000))
    for name in ("mask.webp", "mask.mkv"):
        check_mask(Mask(tmp_path / name), 64, 48)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--feather", 4), "--feather goes with --mask"),
        (("--mask", "mask.png", "--feather", -1), "feather is -1; choose between 0 and 360"),
        (("--mask", "mask.png", "--feather", "nan"), "feather is nan"),
        (("--mask", "mask.png", "--ouroboros", 1), "--mask lies on one picture"),
        (("--mask", "none.png"), "none.png: no such file"),
        (("--mask", "tall.png"), "tall.png: a mask of 72x96 does not lie on 96x72"),
    ],
)
def test_the_command_refuses_and_leaves_nothing(
    tmp_path: Path, words: tuple[object, ...], said: str, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image.write_image(tmp_path / "in.png", make_noise_image(72, 96, 1))
    image.write_image(tmp_path / "mask.png", make_half_mask(96, 72))
    image.write_image(tmp_path / "tall.png", make_half_mask(72, 96))
    before = sorted(tmp_path.iterdir())
    status, line, _ = call("in.png", *words, "--save-steps")
    if "--ouroboros" in words:
        status, line, _ = call("in.png", *words)
    assert (status, said in line) == (2, True), line
    assert sorted(tmp_path.iterdir()) == before
