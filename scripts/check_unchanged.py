"""Show that this checkout gives the very frames, samples, time stamps and figures of an earlier commit.

    python scripts/check_unchanged.py BEFORE_PYTHON [NOW_PYTHON] [--only NAME ...] [--data FOLDER]
    python scripts/check_unchanged.py BEFORE_PYTHON --store hashes.json
    python scripts/check_unchanged.py --against hashes.json

BEFORE_PYTHON is the interpreter of an environment in which the earlier commit is installed; NOW_PYTHON (else
this one) runs this checkout. Both are spoken to through the command line and `mmdream.__all__` alone, and do
the same small runs (scripts/unchanged_runs.py) side by side, on inputs made for them. A line tells each run
as it ends, and what differs.
--store keeps what the earlier commit gave, with all that its bits depend on: processor flags, cores, the
variables of threads, libraries; --against compares with that, and refuses where any of it is different.
--data: the shared data (else MMDREAM_DATA, else ../shared/data); runs that need it are left out without it.
--keep FOLDER: keeps all results. --commit: of the earlier state, where its folder is no checkout.
Exit status: 0 all is equal, or differs as is listed; 1 something differs; 2 it cannot be compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from result_hashes import Results, of_command, of_folder, plain
from unchanged_inputs import make
from unchanged_runs import MEANT, RUNS, Killed, Meant, Python, Run

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
LONGEST = 600
"""Seconds that a process may take."""
SHOWN, WIDE = 6, 150
"""Differences of a run that are shown, and characters of each side."""
LINKS = ("in", "data")
"""In each run's folder, and no results."""
THREADS = re.compile("THREADS|^(TF|OMP|MKL|KMP|ONEDNN|DNNL|XLA)_|^CUDA_VISIBLE_DEVICES$|^KERAS_BACKEND$")
"""Variables that change how sums are taken."""
LIBRARIES = (
    *("av", "h5py", "imageio-ffmpeg", "keras", "librosa", "matplotlib", "ml-dtypes", "moviepy", "numba"),
    *("numpy", "opencv-python-headless", "pyloudnorm", "safetensors", "scenedetect-headless"),
    *("scikit-learn", "scipy", "soundfile", "soxr", "tensorflow", "typer", "rich"),
)
"""Those that touch a pixel, a sample or a message."""
ASK = f"""
import json, mmdream, platform
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
found = {{"Python": platform.python_version(), **{{name: version(name) for name in {LIBRARIES}}}}}
print(json.dumps([mmdream.__file__, found]))
"""

TOGETHER = """
import contextlib, io, json, runpy, sys
for words in json.loads(sys.argv[1]):
    sys.argv, told, said, status = ["mmdream", *words], io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(said):
        try:
            runpy.run_module("mmdream", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code
    print(json.dumps([status, told.getvalue(), said.getvalue()]), flush=True)
"""


@dataclass(frozen=True)
class Side:
    """One of the two states of the program."""

    name: str
    python: str
    path: str | None
    """Before all else where Python looks for modules; None: as it is installed."""

    def environment(self, models: Path) -> dict[str, str]:
        """Of its processes; what the caller's says of modules does not count."""
        own = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        own |= {"MMDREAM_MODELS": str(models), "COLUMNS": "110", "TERM": "dumb"}
        return own if self.path is None else {**own, "PYTHONPATH": self.path}

    def started(self, words: list[str], folder: Path) -> subprocess.Popen[str]:
        """Begin a process in a run's folder."""
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        # -P: modules are not looked for in the run's folder.
        return subprocess.Popen(
            [self.python, "-P", *words],
            cwd=folder,
            env=self.environment(folder / "models"),
            text=True,
            **pipes,
        )

    def asked(self) -> tuple[Path, dict[str, str]]:
        """Where its package lies, and the versions of Python and the libraries."""
        with self.started(["-c", ASK], Path(tempfile.gettempdir())) as process:
            told, said = process.communicate(timeout=LONGEST)
        if process.returncode:
            stop(f"{self.python}: cannot import mmdream: {said.strip().splitlines()[-1]}")
        file, versions = json.loads(told)
        return Path(file).resolve().parent, versions

    def done(self, run: Run, place: Path, inputs: Path, data: Path) -> Results:
        """Do a run; all that came of it."""
        folder = place / self.name / run.name.replace(", ", " ").replace(" ", "-")
        folder.mkdir(parents=True)
        for link, target in zip(LINKS, (inputs, data), strict=True):
            (folder / link).symlink_to(target, target_is_directory=True)
        found: Results = {}
        together = [step for step in run.steps if isinstance(step, str) and not run.apart]
        if together:
            found |= self.commands(together, folder)
        for number, step in enumerate(run.steps, 1):
            if isinstance(step, Killed):
                found[f"status: command {number}"] = self.killed(step, folder)
            elif step not in together:
                text = isinstance(step, Python)
                words = ["-c", step.text] if text else ["-m", "mmdream", *shlex.split(step)]
                found |= of_command(number, *self.finished(words, folder), folder)
        found |= of_folder(folder, LINKS)
        if run.same is not None:
            found["same: " + " and ".join(run.same)] = str(alike(found, *run.same))
        return found

    def finished(self, words: list[str], folder: Path) -> tuple[int, str, str]:
        """Run a process to its end: exit status, what stands on stdout and on stderr."""
        with self.started(words, folder) as process:
            try:
                told, said = process.communicate(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                process.kill()
                told, said = "", "took too long"
        return process.returncode, told, said

    def commands(self, steps: list[str], folder: Path) -> Results:
        """Run several commands in one process."""
        words = json.dumps([shlex.split(step) for step in steps])
        status, told, said = self.finished(["-c", TOGETHER, words], folder)
        found = {"status: of all": str(status), "messages: of all, stderr": plain(said, folder)}
        for number, line in enumerate(told.splitlines(), 1):
            found |= of_command(number, *json.loads(line), folder)
        return found

    def killed(self, step: Killed, folder: Path) -> str:
        """Begin a film, and kill it when the journal of its job tells of a part of the picture."""
        with self.started(["-m", "mmdream", *shlex.split(step.words)], folder) as process:
            end = time.monotonic() + LONGEST
            while process.poll() is None and time.monotonic() < end:
                if any('"picture"' in path.read_text() for path in folder.glob("job/*.jsonl")):
                    process.kill()
                    process.communicate()
                    return "killed"
                time.sleep(0.01)
            process.kill()
            _, said = process.communicate()
        return f"was not killed in the midst of its work: {said}"


def alike(found: Results, one: str, other: str) -> bool:
    """Whether two files of a run have the same content."""
    rows = [
        {key.replace(name, ""): text for key, text in found.items() if f": {name}" in key}
        for name in (one, other)
    ]
    return bool(rows[0]) and rows[0] == rows[1]


def machine() -> dict[str, str]:
    """What bits depend on besides the program and its libraries."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    told = dict(line.partition(":")[::2] for line in lines if ":" in line)
    facts = {name.strip(): text.strip() for name, text in told.items()}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": f"{platform.machine()} {facts.get('model name', '')}".strip(),
        "processor flags": " ".join(sorted(facts.get("flags", "").split())),
        "cores": str(cores),
        **{name: text for name, text in sorted(os.environ.items()) if THREADS.search(name)},
    }


def content(folder: Path, whole: bool = True) -> str:
    """One hash of a folder's names and files, or of names and sizes."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        told = path.read_bytes() if whole else str(path.stat().st_size).encode()
        digest.update(f"{path.relative_to(folder)}\n".encode() + hashlib.sha256(told).digest())
    return digest.hexdigest()[:16]


def commit_of(package: Path) -> str | None:
    """The commit of the checkout that a package lies in; None: it lies in none."""
    top = git(package.parent, "rev-parse", "--show-toplevel")
    return git(package.parent, "rev-parse", "HEAD") if top == str(package.parent) else None


def git(folder: Path, *words: str) -> str | None:
    """What git says; None: nothing good."""
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def stands(meant: Meant, commit: str | None) -> bool:
    """Whether a listed difference counts in a comparison with a commit: has it the fault?"""
    if commit is None:
        return False
    return git(ROOT, "merge-base", "--is-ancestor", commit, meant.last) is not None


def judged(run: Run, before: Results, now: Results, commit: str | None) -> tuple[bool, str, list[str]]:
    """Whether all is well with a run, the word for it, and its differences, a line each."""
    keys = [key for key in dict.fromkeys((*before, *now)) if before.get(key) != now.get(key)]
    # What is wrong on both sides is no proof that nothing has changed.
    keys += [key for key in now if key.startswith("same:") and now[key] != "True" and key not in keys]
    listed = {meant.kind: meant for meant in MEANT if meant.run == run.name and stands(meant, commit)}
    kinds = list(dict.fromkeys(key.partition(":")[0] for key in keys))
    stale = [
        f"  stale: {kind} no longer differ ({listed[kind].reason})" for kind in listed if kind not in kinds
    ]
    if not keys:
        return True, "equal", stale
    lines = [f"  {key}: {short(before.get(key))} -> {short(now.get(key))}" for key in keys[:SHOWN]]
    lines += [f"  and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
    excused = [f"{kind} as listed: {listed[kind].reason}" for kind in kinds if kind in listed]
    others = [kind for kind in kinds if kind not in listed]
    return not others, f"differs: {', '.join(others + excused)}", lines + stale


def short(text: str | None) -> str:
    """A value for a line."""
    if text is None:
        return "nothing"
    return (
        text if len(text) <= WIDE else f"{text[:WIDE]}... ({hashlib.sha256(text.encode()).hexdigest()[:8]})"
    )


def stop(line: str) -> NoReturn:
    """It cannot be compared."""
    print(f"check_unchanged: {line}", file=sys.stderr)
    sys.exit(2)


def refuse_others(stored: dict[str, str], here: dict[str, str]) -> None:
    """Refuse where bits would differ for other reasons than the program's."""
    other = [name for name in {**stored, **here} if stored.get(name) != here.get(name)]
    if other:
        told = "; ".join(f"{name}: {difference(stored.get(name), here.get(name))}" for name in other)
        stop(f"results would differ for other reasons than the program's: {told}")


def difference(one: str | None, other: str | None) -> str:
    """Of two facts; of two lists of flags the flags that only one has."""
    if one and other and one.count(" ") > 20:
        return " ".join(sorted(set(one.split()) ^ set(other.split())))
    return f"{one or 'nothing'} and {other or 'nothing'}"


def main() -> None:
    """Read the command line, compare, tell."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("before", nargs="?", metavar="BEFORE_PYTHON")
    parser.add_argument("now", nargs="?", metavar="NOW_PYTHON", default=sys.executable)
    parser.add_argument("--only", nargs="+", choices=[run.name for run in RUNS], metavar="NAME")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--commit")
    given = parser.parse_args()
    if (given.before is None) == (given.against is None):
        parser.error("give BEFORE_PYTHON, or --against")
    began = time.monotonic()
    now = Side("now", given.now, str(ROOT))
    package, here = now.asked()
    if package.parent != ROOT:
        stop(f"{given.now}: takes mmdream from {package}, not from {ROOT}")
    print(f"now     {package} ({commit_of(package) or 'no checkout'})")
    place = Path(tempfile.mkdtemp(prefix="unchanged-")) if given.keep is None else given.keep.resolve()
    try:
        inputs = place / "inputs"
        if inputs.exists():
            stop(f"{place}: holds results already")
        make(inputs)
        data = given.data.resolve()
        here = {**machine(), **here, "inputs": content(inputs), "runs": hash_of(RUNS)}
        here["data"] = content(data, whole=False) if data.is_dir() else "none"
        before, stored = None, {}
        if given.against is not None:
            kept = json.loads(given.against.read_text())
            refuse_others(kept["environment"], here)
            commit, stored = kept["commit"], kept["results"]
            print(f"before  {given.against} ({commit})")
        else:
            before = Side("before", given.before, None)
            earlier, versions = before.asked()
            if earlier == package:
                stop(f"both sides take mmdream from {package}")
            refuse_others(versions, {name: here[name] for name in versions})
            commit = given.commit or commit_of(earlier)
            print(f"before  {earlier} ({commit or 'commit unknown: see --commit'})")
        well, counts = compare(now, before, stored, given.only, place, inputs, data, commit)
        if given.store is not None and before is not None:
            told = {"commit": commit, "environment": here, "results": stored}
            given.store.write_text(json.dumps(told, indent=1, ensure_ascii=False))
    finally:
        if given.keep is None:
            shutil.rmtree(place, ignore_errors=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = round(time.monotonic() - began, 1)
    summary = {
        **counts,
        "wall_seconds": seconds,
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
    }
    print(json.dumps(summary))
    sys.exit(0 if well else 1)


def compare(
    now: Side,
    before: Side | None,
    stored: dict[str, Results],
    only: list[str] | None,
    place: Path,
    inputs: Path,
    data: Path,
    commit: str | None,
) -> tuple[bool, dict[str, int]]:
    """Do the runs, a line each; whether all is well, and how many went how.

    Args:
        now: this checkout.
        before: the earlier state; None: what is stored stands for it.
        stored: its results by run; filled where it is run.
        only: names of runs; None: all.
        place: where results go.
        inputs: for all runs.
        data: the shared data, if it is there.
        commit: of the earlier state.
    """
    counts = dict.fromkeys(("runs", "equal", "as_listed", "differ", "left_out"), 0)
    for run in RUNS:
        if only is not None and run.name not in only:
            continue
        counts["runs"] += 1
        if (run.needs_data and not data.is_dir()) or (before is None and run.name not in stored):
            why = f"no shared data at {data}" if run.needs_data and not data.is_dir() else "is not stored"
            print(f"{run.name:18} left out: {why}", flush=True)
            counts["left_out"] += 1
            continue
        began, used = time.monotonic(), processor_seconds()
        # Side by side: both then have the same machine, and its cores are used.
        with ThreadPoolExecutor(2) as pool:
            sides = [side for side in (before, now) if side is not None]
            results = list(pool.map(lambda side, run=run: side.done(run, place, inputs, data), sides))
        if before is not None:
            stored[run.name] = results[0]
        well, word, lines = judged(run, stored[run.name], results[-1], commit)
        counts["equal" if word == "equal" else "as_listed" if well else "differ"] += 1
        print(
            f"{run.name:18} {word} ({len(results[-1])} results, {time.monotonic() - began:.1f} s)", flush=True
        )
        for line in lines:
            print(line.replace("\n", "\\n"), flush=True)
    return not counts["differ"], counts


def processor_seconds() -> float:
    """Of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def hash_of(value: object) -> str:
    """Of a value's text."""
    return hashlib.sha256(str(value).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
