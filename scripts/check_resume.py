"""Kill a film's dream again and again, go on each time, and compare the result with an unbroken run's.

    python scripts/check_resume.py FILM [--kills 20] [--seed 0] [--suffix .mp4] [--extras] [--full FOLDER]
        -- OPTIONS

OPTIONS go to `mmdream video`. Kills (SIGKILL) come at random moments of the work that an unbroken run took;
after every third one the newest file in the job's folder is cut short, as a power cut might have left it.
Then the same command, or `mmdream resume`, goes on. A film that is finished before there were as many kills
begins anew.
--extras: with a contact sheet, a comparison and a preview, which are compared too.
--full: a small file system (a tmpfs that the job just fits in), which is filled to the brim when the first
part is done; what fills it is thrown away after the run has failed.
Prints one JSON object: whether all frames and samples are the same, and the seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import soundfile

from mmdream.jobs.journal import FILE_NAMES
from mmdream.jobs.store import JOB_FILE, LOCK_FILE, MARKER_FILE, WORK_PREFIX, job_folder
from mmdream.media.audio_files import extract_audio
from mmdream.media.image import read_image as read_picture
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames

ROOT = Path(__file__).resolve().parents[1]
MAX_SECONDS = 24 * 3600
"""Seconds that a run may take."""


def build_command(*words: object) -> list[str]:
    """`mmdream` with these words, in this checkout."""
    return [sys.executable, "-m", "mmdream", *map(str, words), "--json"]


def start_run(words: list[str]) -> subprocess.Popen[str]:
    """Begin a run."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        words,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_to_end(words: list[str]) -> tuple[int, str, float, float]:
    """Run to the end: exit status, what stood on stderr, seconds, those of them before the work."""
    began = time.monotonic()
    with start_run(words) as run:
        stdout, stderr = run.communicate(timeout=MAX_SECONDS)
    seconds = time.monotonic() - began
    return run.returncode, stderr, seconds, seconds - (json.loads(stdout)["wall_seconds"] if stdout else 0.0)


def extra_options(out: Path) -> list[object]:
    """Options for all that is made besides a film."""
    return ["--compare", "--sheet", out.with_suffix(".sheet.png"), "--preview", out.with_suffix(".now.png")]


def hash_results(out: Path) -> dict[str, str]:
    """Of a film, and of what was made besides it."""
    results = hash_film(out)
    if (beside := out.with_suffix(f".compare{out.suffix}")).exists():
        results |= {f"compared {kind}": digest for kind, digest in hash_film(beside).items()}
    for name in ("sheet", "now"):
        if (path := out.with_suffix(f".{name}.png")).exists():
            results[name] = hashlib.sha256(read_picture(path).tobytes()).hexdigest()[:16]
    return results


def hash_film(path: Path) -> dict[str, str]:
    """Of all pixels with their time stamps, and of all samples."""
    film, picture, sound = probe(path), hashlib.sha256(), hashlib.sha256()
    for frame in read_frames(film):
        picture.update(str(frame.pts).encode() + frame.rgb.tobytes())
    with tempfile.TemporaryDirectory() as folder:
        for track in film.audio_tracks:
            extract_audio(film, track, Path(folder) / "sound.wav")
            for block in soundfile.blocks(Path(folder) / "sound.wav", 1 << 16, dtype="float32"):
                sound.update(block.tobytes())
    return {"frames": picture.hexdigest()[:16], "samples": sound.hexdigest()[:16]}


def cut_newest(folder: Path, rng: random.Random) -> str | None:
    """Cut the newest file of a job short; its name."""
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in (LOCK_FILE, JOB_FILE, MARKER_FILE)
        and not path.relative_to(folder).as_posix().startswith(WORK_PREFIX)  # Nothing counts on these.
    ]
    if not files:
        return None
    newest = max(files, key=lambda path: path.stat().st_mtime_ns)
    size = newest.stat().st_size
    os.truncate(newest, rng.randrange(size) if size else 0)
    return str(newest.relative_to(folder))


def run_with_kills(
    film: Path, whole: Path, options: list[str], beside: bool, kills: int, seed: int, longest: float
) -> dict[str, Any]:
    """The same film through many kills, each at most `longest` seconds after its run began."""
    rng, seconds, cuts, at = random.Random(seed), 0.0, [], []
    films, runs = [], 0
    while len(at) < kills:
        out = whole.with_stem(f"broken{len(films)}")
        job = job_folder(out)
        again = build_command("video", film, "-o", out, *options, *(extra_options(out) if beside else []))
        status, stderr = None, ""
        while status is None:
            words = build_command("resume", out) if (job / JOB_FILE).is_file() and runs % 2 else again
            wait = rng.uniform(0.0, longest) if len(at) < kills else MAX_SECONDS
            began, runs = time.monotonic(), runs + 1
            with start_run(words) as run:
                try:
                    _, stderr = run.communicate(timeout=wait)
                    status = run.returncode
                except subprocess.TimeoutExpired:
                    run.kill()
                    at.append(round(wait, 2))
            seconds += time.monotonic() - began
            if status is None and len(at) % 3 == 2 and job.is_dir() and (name := cut_newest(job, rng)):
                cuts.append(name)
        films.append({"status": status, "said": stderr, "folder_gone": not job.exists(), **hash_results(out)})
    return {
        "kills": len(at), "runs": runs, "killed_after_s": at, "cut_short": cuts,
        "seconds": round(seconds, 2), "films": films,
    }  # fmt: skip


def run_on_full_disk(film: Path, place: Path, suffix: str, options: list[str]) -> dict[str, Any]:
    """The same film where the disk fills up once the first part is done, and then is emptied."""
    out, ballast = place / f"full{suffix}", place / "ballast"
    job, began = job_folder(out), time.monotonic()
    with start_run(build_command("video", film, "-o", out, *options)) as run:
        while run.poll() is None and not (job / FILE_NAMES["picture"].format(0)).exists():
            time.sleep(0.02)
        with open(ballast, "wb") as file:
            file.write(bytes(shutil.disk_usage(place).free))
        _, stderr = run.communicate(timeout=MAX_SECONDS)
    first = time.monotonic() - began
    kept = sorted(path.name for path in job.rglob("*")) if job.is_dir() else []
    ballast.unlink()
    status, said_then, seconds, _ = run_to_end(build_command("resume", out))
    results = {
        "status": run.returncode,
        "said": stderr,
        "kept": kept,
        "resumed": status,
        "resume_said": said_then,
    }
    results |= {"seconds": round(first + seconds, 2)} | (hash_results(out) if out.exists() else {})
    out.unlink(missing_ok=True)
    return results


def main() -> None:
    """Read the command line, run, print JSON."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("film", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--suffix", default=".mkv")
    parser.add_argument("--extras", action="store_true")
    parser.add_argument("--full", type=Path)
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given, options = parser.parse_args(sys.argv[1:split]), sys.argv[split + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / f"whole{given.suffix}"
        beside = extra_options(whole) if given.extras else []
        status, stderr, usual, start = run_to_end(
            build_command("video", given.film, "-o", whole, *options, *beside)
        )
        if status:
            sys.exit(stderr)
        unbroken = {
            "seconds_before_the_work": round(start, 2),
            "seconds": round(usual, 2),
            **hash_results(whole),
        }
        results: dict[str, Any] = {"unbroken": unbroken}
        if given.full is not None:
            results["full"] = run_on_full_disk(given.film, given.full, given.suffix, options)
        if given.kills:
            # About half of it gets done: so the kills are spread over all of the work.
            longest = 1.2 * start + 2.5 * usual / given.kills
            results["killed"] = run_with_kills(
                given.film, whole, options, given.extras, given.kills, given.seed, longest
            )
            films = len(results["killed"]["films"])
            results["seconds_ratio"] = round(results["killed"]["seconds"] / usual / films, 2)
            less = max(0.0, results["killed"]["seconds"] - results["killed"]["runs"] * start)
            results["seconds_ratio_without_starts"] = round(less / (usual - start) / films, 2)
        expected = hash_results(whole)
    if "full" in results:
        results["full_is_the_same"] = all(
            results["full"].get(kind) == expected[kind] for kind in ("frames", "samples")
        )
    if "killed" in results:
        results["killed_is_the_same"] = all(
            expected.items() <= film.items() for film in results["killed"]["films"]
        )
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
