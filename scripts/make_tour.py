"""The pictures, the film and the sounds of the documentation's tour, made by mmdream itself.

    python scripts/make_tour.py [FOLDER]

FOLDER, left out docs/media, gets some 1.5 MB. Sources are the sample film and the photograph `china.jpg` that
scikit-learn ships (danielbuechele, CC BY 2.0). Some ten minutes on two cores, no network connection.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import imageio_ffmpeg
import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

PRESETS = ("classic", "dogs", "filigree", "giants", "whisper")
"""Those that do not change over time."""
DEPTHS = ("0.1", "0.4", "0.7", "1")
TARGETS = ("goldfish", "teapot", "school bus", "orange")
SOUNDS = {
    "music": ("--strength", "0"),
    "giants": ("--preset", "giants"),
    "barks": ("--target", "dog", "--invent", "1"),
}
"""What is made of the sample's music."""


def run_mmdream(*command: str | Path) -> None:
    """Run one command."""
    subprocess.run([sys.executable, "-m", "mmdream", *map(str, command), "--overwrite"], check=True)


def draw_sheet(pictures: dict[str, Path], columns: int, out: Path) -> None:
    """Lay pictures beside each other, each under its name."""
    rows = -(-len(pictures) // columns)
    first = plt.imread(next(iter(pictures.values())))
    aspect = first.shape[0] / first.shape[1]
    figure, axes = plt.subplots(rows, columns, squeeze=False, layout="constrained",
                                figsize=(9, (9 / columns * aspect + 0.3) * rows))  # fmt: skip
    for axis, (name, path) in zip(axes.flat, pictures.items(), strict=False):
        axis.imshow(plt.imread(path))
        axis.set_title(name, fontsize=9)
    for axis in axes.flat:
        axis.axis("off")
    figure.savefig(out, dpi=110, bbox_inches="tight", pil_kwargs={"quality": 82})
    plt.close(figure)


def shrink(path: Path, width: int) -> None:
    """Make a picture file smaller."""
    picture = cv2.imread(str(path))
    size = width, round(picture.shape[0] * width / picture.shape[1])
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])


def make_pictures(work: Path, out: Path) -> None:
    """One photograph under every preset and at some depths; new pictures out of noise."""
    source = work / "china.png"
    cv2.imwrite(str(source), cv2.cvtColor(load_sample_image("china.jpg"), cv2.COLOR_RGB2BGR))
    presets, depths, targets = {"the photograph": source}, {}, {}
    for name in PRESETS:
        presets[name] = work / f"{name}.png"
        run_mmdream("image", source, "--preset", name, "-o", presets[name])
    for depth in DEPTHS:
        depths[f"--depth {depth}"] = path = work / f"depth{depth}.png"
        run_mmdream("image", source, "--depth", depth, "-o", path)
    for target in TARGETS:
        targets[target] = path = work / f"{target}.png"
        run_mmdream("image", "--from", "noise", "--size", "320x320", "--target", target, "-o", path)
    draw_sheet(presets, 3, out / "presets.jpg")
    draw_sheet(depths, 4, out / "depths.jpg")
    draw_sheet(targets, 4, out / "noise.jpg")


def make_film(work: Path, out: Path) -> None:
    """The sample film's dream, small, and twelve moments of it."""
    source, dream = work / "sample.mp4", work / "sample.dream.mp4"
    run_mmdream("sample", source)
    run_mmdream("video", source, "-o", dream, "--sheet", out / "moments.jpg")
    shrink(out / "moments.jpg", 960)
    smaller = ["-vf", "scale=384:-2", "-c:v", "libx264", "-crf", "31", "-preset", "veryslow"]
    playable = ["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-movflags", "+faststart"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", dream]
    subprocess.run([*ffmpeg, *smaller, *playable, out / "film.mp4"], check=True)


def make_sounds(work: Path, out: Path) -> None:
    """The sample's music, three dreams of it with a drawing of the first, and a rooster out of silence."""
    source = work / "sample.mp4"
    for name, options in SOUNDS.items():
        run_mmdream("audio", source, *options, "-o", out / f"{name}.ogg")
    run_mmdream("audio", source, "-o", out / "dream.ogg", "--plot", out / "dream.jpg")
    shrink(out / "dream.jpg", 900)
    rooster = ["--from", "silence", "--seconds", "4", "--target", "rooster"]
    run_mmdream("audio", *rooster, "-o", out / "rooster.ogg")


def main() -> None:
    """Make all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    home = Path(__file__).parents[1] / "docs" / "media"
    parser.add_argument("folder", nargs="?", type=Path, default=home)
    out = parser.parse_args().folder
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for make in (make_pictures, make_film, make_sounds):
            make(Path(folder), out)


if __name__ == "__main__":
    main()
