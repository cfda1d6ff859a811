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
--now-words "--habituation 0": added to this checkout's dreams of pictures and films, to show that what is new
can be turned off. --keep FOLDER: keeps all results.
--commit: of the earlier state, where its folder is no checkout.
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
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from result_hashes import Results
from unchanged_inputs import make_inputs
from unchanged_runs import MEANT, RUNS, Meant, Run
from unchanged_sides import Side

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
SHOWN, WIDE = 6, 150
"""Differences of a run that are shown, and characters of each side."""
THREADS = re.compile("THREADS|^(TF|OMP|MKL|KMP|ONEDNN|DNNL|XLA)_|^CUDA_VISIBLE_DEVICES$|^KERAS_BACKEND$")
"""Variables that change how sums are taken."""


def describe_machine() -> dict[str, str]:
    """What bits depend on besides the program and its libraries."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    fields = dict(line.partition(":")[::2] for line in lines if ":" in line)
    facts = {name.strip(): text.strip() for name, text in fields.items()}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": f"{platform.machine()} {facts.get('model name', '')}".strip(),
        "processor flags": " ".join(sorted(facts.get("flags", "").split())),
        "cores": str(cores),
        **{name: text for name, text in sorted(os.environ.items()) if THREADS.search(name)},
    }


def hash_folder(folder: Path, whole: bool = True) -> str:
    """One hash of a folder's names and files, or of names and sizes."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes() if whole else str(path.stat().st_size).encode()
        digest.update(f"{path.relative_to(folder)}\n".encode() + hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]


def find_commit(package: Path) -> str | None:
    """The commit of the checkout that a package lies in; None: it lies in none."""
    top = run_git(package.parent, "rev-parse", "--show-toplevel")
    return run_git(package.parent, "rev-parse", "HEAD") if top == str(package.parent) else None


def run_git(folder: Path, *words: str) -> str | None:
    """What git says; None: nothing good."""
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def applies(meant: Meant, commit: str | None) -> bool:
    """Whether a listed difference counts in a comparison with a commit: has it the fault?"""
    if commit is None:
        return False
    return run_git(ROOT, "merge-base", "--is-ancestor", commit, meant.last) is not None


def judge_run(run: Run, before: Results, now: Results, commit: str | None) -> tuple[bool, str, list[str]]:
    """Whether all is well with a run, the word for it, and its differences, a line each."""
    keys = [key for key in dict.fromkeys((*before, *now)) if before.get(key) != now.get(key)]
    # What goes wrong on both sides is no proof that nothing has changed.
    wanted = run.statuses | {key: "True" for key in now if key.startswith("same:")}
    keys += [key for key, right in wanted.items() if now.get(key) != right and key not in keys]
    listed = {meant.kind: meant for meant in MEANT if meant.run == run.name and applies(meant, commit)}
    kinds = list(dict.fromkeys(key.partition(":")[0] for key in keys))
    stale = [
        f"  listed, and equal: {kind} ({meant.reason})" for kind, meant in listed.items() if kind not in kinds
    ]
    if not keys:
        return True, "equal", stale
    lines = [
        f"  {key}: {describe_difference(before.get(key), now.get(key), wanted.get(key))}"
        for key in keys[:SHOWN]
    ]
    lines += [f"  and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
    excused = [f"{kind} as listed: {listed[kind].reason}" for kind in kinds if kind in listed]
    others = [kind for kind in kinds if kind not in listed]
    return not others, f"differs: {', '.join(others + excused)}", lines + stale


def describe_difference(one: str | None, other: str | None, wanted: str | None) -> str:
    """Two values for a line, from a little before where they part."""
    if one == other:
        return f"{one} on both sides, and must be {wanted}"
    pairs = enumerate(zip(one or "", other or "", strict=False))
    begin = max(0, next((place for place, (a, b) in pairs if a != b), 0) - WIDE // 4)
    excerpts = ["nothing" if text is None else text[begin : begin + WIDE] for text in (one, other)]
    return " -> ".join(excerpts)


def stop(line: str) -> NoReturn:
    """It cannot be compared."""
    print(f"check_unchanged: {line}", file=sys.stderr)
    sys.exit(2)


def ask_side(side: Side) -> tuple[Path, dict[str, str]]:
    """Where a side's package lies, and the versions of its libraries."""
    try:
        return side.describe()
    except (OSError, RuntimeError) as error:
        stop(str(error))


def refuse_other_environments(stored: dict[str, str], here: dict[str, str]) -> None:
    """Refuse where bits would differ for other reasons than the program's."""
    other = [name for name in {**stored, **here} if stored.get(name) != here.get(name)]
    if other:
        differences = "; ".join(
            f"{name}: {compare_facts(stored.get(name), here.get(name))}" for name in other
        )
        stop(f"results would differ for other reasons than the program's: {differences}")


def compare_facts(one: str | None, other: str | None) -> str:
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
    parser.add_argument("--now-words", default="", metavar="WORDS")
    given = parser.parse_args()
    if (given.before is None) == (given.against is None):
        parser.error("give BEFORE_PYTHON, or --against")
    began = time.monotonic()
    now = Side("now", given.now, str(ROOT), given.now_words)
    package, here = ask_side(now)
    if package.parent != ROOT:
        stop(f"{given.now}: takes mmdream from {package}, not from {ROOT}")
    print(f"now     {package} ({find_commit(package) or 'no checkout'})")
    place = Path(tempfile.mkdtemp(prefix="unchanged-")) if given.keep is None else given.keep.resolve()
    try:
        inputs = place / "inputs"
        if inputs.exists():
            stop(f"{place}: holds results already")
        make_inputs(inputs)
        data = given.data.resolve()
        here = {**describe_machine(), **here, "inputs": hash_folder(inputs), "runs": hash_text(RUNS)}
        here["data"] = hash_folder(data, whole=False) if data.is_dir() else "none"
        before, stored = None, {}
        if given.against is not None:
            kept = json.loads(given.against.read_text())
            refuse_other_environments(kept["environment"], here)
            commit, stored = kept["commit"], kept["results"]
            print(f"before  {given.against} ({commit})")
        else:
            before = Side("before", given.before, None)
            earlier, versions = ask_side(before)
            if earlier == package:
                stop(f"both sides take mmdream from {package}")
            refuse_other_environments(versions, {name: here[name] for name in versions})
            commit = given.commit or find_commit(earlier)
            print(f"before  {earlier} ({commit or 'commit unknown: see --commit'})")
        well, counts = compare(now, before, stored, given.only, place, inputs, data, commit)
        if given.store is not None and before is not None:
            record = {"commit": commit, "environment": here, "results": stored}
            given.store.write_text(json.dumps(record, indent=1, ensure_ascii=False))
    finally:
        if given.keep is None:
            shutil.rmtree(place, ignore_errors=True)
    seconds = {"wall_seconds": time.monotonic() - began, "processor_seconds": processor_seconds()}
    print(json.dumps(counts | {name: round(value, 1) for name, value in seconds.items()}))
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
            results = list(pool.map(lambda side, run=run: side.do_run(run, place, inputs, data), sides))
        if before is not None:
            stored[run.name] = results[0]
        well, word, lines = judge_run(run, stored[run.name], results[-1], commit)
        counts["equal" if word == "equal" else "as_listed" if well else "differ"] += 1
        took = f"{time.monotonic() - began:.1f} s, {processor_seconds() - used:.1f} s of processor"
        print(f"{run.name:18} {word} ({len(results[-1])} results, {took})", flush=True)
        for line in lines:
            print(line.replace("\n", "\\n"), flush=True)
    return not counts["differ"], counts


def processor_seconds() -> float:
    """Of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def hash_text(value: object) -> str:
    """Of a value's text."""
    return hashlib.sha256(str(value).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
