"""Feed every reader of files thousands of damaged and lying ones, each in a process with limits.

    python scripts/fuzz_media.py [--files 21000] [--kinds mp4,png] [--seed 0] [--keep FOLDER]
    python scripts/fuzz_media.py --case mp4-123 [--seed 0] [--keep FOLDER]

A file is a seed of `fuzz_seeds.py` changed by `fuzz_mutations.py`, and has a name: kind and number; with the
same seed a name stands for the same bytes. One process has loaded the readers of `fuzz_readers.py` and is
forked for each file; what needs TensorFlow, which must not be forked, goes through some 50 files a process.
Good ends are two: the whole result, or a refusal in one line (exit status 2); counted by itself is the one
that memory does not suffice, as for the largest pictures that are allowed. Anything else is a fault: another
exception, a signal, too much time or disk, a line with signs that move a terminal's cursor, a file left
outside of its folder. Prints a table of ends by kind, and each fault with the last line it said.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mmdream  # noqa: F401  # Before OpenCV, which learns its limits when it is loaded.

# isort: split
import cv2
from fuzz_mutations import MUTATIONS, mutate_file
from fuzz_readers import READERS, TRAINED, prepare_set, read_prepared_set
from fuzz_seeds import Seeds, all_seeds, write_sets

from mmdream.core.errors import MAX_MESSAGE_LENGTH, UserError, to_one_line
from mmdream.core.events import EventSink
from mmdream.datasets.prepare import prepare_dataset

MEMORY = 2 << 30
"""Bytes of address space beside what the libraries have taken."""
MEMORY_LOADED = 8 << 30
"""The same where TensorFlow is still to be loaded."""
SECONDS = 20
DISK = 512 << 20
"""Bytes of any file that is written."""
BATCH = 50
"""Files a process with TensorFlow takes."""
SHARES = {"keras-loaded": 0.02, "mat": 0.01}
"""Of all files, those of kinds that take a second each: they need TensorFlow, or start a process to read in.
The other kinds share the rest."""
GOOD = ("whole", "refused", "no memory")


@dataclass(frozen=True)
class End:
    """How a file was taken."""

    name: str
    end: str
    """One of `GOOD`, or what went wrong."""
    said: str
    noisy: bool
    """Whether a library wrote on stderr by itself."""


class Workshop:
    """Seeds in a folder of their own, and the cases made of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        (folder / "sets").mkdir()
        self.sets = write_sets(folder / "sets")
        prepare_dataset("esc10", [folder / "sets/esc10"], folder / "sets/prepared", None, False, EventSink())
        self.seeds: Seeds = all_seeds(folder, TRAINED.format(sha256="0" * 64))
        self.seeds["keras-loaded"] = self.seeds["keras"]
        for kind, cases in self.sets.items():
            if kind != "mat":  # It is written without a folder, as it holds a date.
                self.seeds[kind] = [(file, (home / file).read_bytes()) for _, home, file in cases]
        (folder / "network.keras").write_bytes(dict(self.seeds["keras"])["ways.keras"])
        (folder / "weights.npz").write_bytes(self.seeds["npz"][0][1])
        os.environ["FUZZ_NETWORK"], os.environ["FUZZ_WEIGHTS"] = (
            f"{folder}/network.keras",
            f"{folder}/weights.npz",
        )

    def make_case(self, name: str, into: Path) -> tuple[Path, Any]:
        """Make a case; what is to be read, and its reader."""
        kind, _, number = name.rpartition("-")
        rng = random.Random(f"{self.seed}/{kind}/{number}")
        place = rng.randrange(len(self.seeds[kind]))
        seed_name, seed = self.seeds[kind][place]
        data = mutate_file(kind.removesuffix("-loaded"), seed, [each for _, each in self.seeds[kind]], rng)
        if kind not in self.sets:
            path = into / f"{name}{Path(seed_name).suffix}"
            path.write_bytes(data)
            return path, READERS[kind]
        of, home, file = self.sets[kind][place]
        folder_copy = shutil.copytree(home, into / name)
        (folder_copy / file).write_bytes(data)
        return folder_copy, read_prepared_set if kind in READERS else partial(prepare_set, of)


def read_case(path: Path, reader: Any, work: Path) -> tuple[str, str]:
    """Read a file: the end, and what was said."""
    before = sorted(path.parent.rglob("*"))
    end, said = "whole", ""
    try:
        reader(path, work)
    except UserError as error:
        end, said = "refused", str(error)
    except MemoryError as error:  # The command line tells it in one line, too.
        end, said = "no memory", to_one_line(str(error))
    except BaseException as error:
        places = traceback.extract_tb(error.__traceback__)
        ours = [place for place in places if "/mmdream/" in place.filename] or places
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        return type(error).__name__, f"{' '.join(str(error).split())[:200]} ({where})"
    if not said.isprintable() or len(said) > MAX_MESSAGE_LENGTH:
        return "badly told", repr(said[:200])
    if sorted(path.parent.rglob("*")) != before:
        return "files left beside", ""
    if end == "refused" and (work / "out").exists():
        return "files left", str(sorted(work.rglob("*"))[:3])
    return end, said


def limit_resources(memory: int) -> None:
    """Bound what this process may take; where it ends by a signal, it says where."""
    with open("/proc/self/statm") as statm:
        taken = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    cv2.setNumThreads(1)


def run_forked(shop: Workshop, name: str, keep: Path | None) -> End:
    """Read one file in a process of its own."""
    folder = shop.folder / "case"
    (folder / "in").mkdir(parents=True)
    (folder / "work").mkdir()
    path, reader = shop.make_case(name, folder / "in")
    child = os.fork()
    if not child:
        with open(folder / "said", "wb", buffering=0) as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        os.chdir(folder / "work")
        limit_resources(MEMORY)
        faulthandler.enable()
        signal.alarm(SECONDS)
        found = read_case(path, reader, folder / "work")
        (folder / "end").write_text(json.dumps(found))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    noise = (folder / "said").read_text(errors="replace")
    if (folder / "end").exists():
        end, said = json.loads((folder / "end").read_text())
    else:
        number = os.waitstatus_to_exitcode(status)
        end = f"signal {signal.Signals(-number).name}" if number < 0 else f"status {number}"
        said = next((line.strip() for line in noise.splitlines() if "/mmdream/" in line), noise[-200:])
    result = End(name, end, said, bool(noise.strip()))
    if keep is not None and end not in GOOD:
        place = keep / path.name
        shutil.copytree(path, place, dirs_exist_ok=True) if path.is_dir() else shutil.copyfile(path, place)
    shutil.rmtree(folder)
    return result


def run_in_batches(shop: Workshop, names: list[str], keep: Path | None) -> list[End]:
    """Read files in processes that load TensorFlow, and go on behind a file that ends one of them."""
    found: list[End] = []
    while names:
        some, names = names[:BATCH], names[BATCH:]
        folder = shop.folder / "turn"
        folder.mkdir()
        paths = [str(shop.make_case(name, folder)[0]) for name in some]
        (folder / "ends").touch()
        words = [sys.executable, __file__, "--read", *paths]
        ran = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
        ends = [json.loads(line) for line in (folder / "ends").read_text().splitlines()]
        if len(ends) < len(some):
            number = ran.returncode
            end = f"signal {signal.Signals(-number).name}" if number < 0 else f"status {number}"
            said = next(
                (line.strip() for line in ran.stderr.splitlines() if "/mmdream/" in line), ran.stderr[-200:]
            )
            names = some[len(ends) + 1 :] + names
            ends.append((end, said))
        for name, path, (end, said) in zip(some, paths, ends, strict=False):
            found.append(End(name, end, said, False))
            if keep is not None and end not in GOOD:
                shutil.copyfile(path, keep / Path(path).name)
        shutil.rmtree(folder)
    return found


def read_in_process(paths: list[Path]) -> None:
    """Read files with TensorFlow, one after the other, and write down how each ended."""
    limit_resources(MEMORY_LOADED)
    faulthandler.enable()
    import mmdream.networks.framework  # noqa: F401  # Its loading is not the first file's.

    for path in paths:
        kind = path.stem.rpartition("-")[0]
        signal.alarm(2 * SECONDS)
        with tempfile.TemporaryDirectory() as work:
            found = read_case(path, READERS[kind], Path(work))
        with open(path.parent / "ends", "a") as file:
            file.write(json.dumps(found) + "\n")


def format_table(ends: list[End], minutes: float) -> str:
    """Kinds by ends."""
    kinds = list(dict.fromkeys(each.name.rpartition("-")[0] for each in ends))
    columns = [*GOOD, "faults", "noisy"]
    lines = [f"{'kind':14}{'files':>8}" + "".join(f"{column:>10}" for column in columns)]
    for kind in [*kinds, "all"]:
        here = [each for each in ends if kind in ("all", each.name.rpartition("-")[0])]
        count = Counter(each.end if each.end in GOOD else "faults" for each in here)
        count["noisy"] = sum(each.noisy for each in here)
        lines.append(f"{kind:14}{len(here):8}" + "".join(f"{count[column]:10}" for column in columns))
    lines.append(f"{minutes:.1f} minutes; noisy: a library wrote on stderr by itself")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, run, print the table; status 1 where there was a fault."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--files", type=int, default=21_000, help="of all kinds together")
    parser.add_argument("--kinds", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where faulty files go")
    parser.add_argument("--case")
    parser.add_argument("--read", type=Path, nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        return read_in_process(given.read)
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        shop = Workshop(Path(folder), given.seed)
        if given.case:
            (Path(folder) / "work").mkdir()
            path, reader = shop.make_case(given.case, given.keep or Path(folder))
            limit_resources(MEMORY)
            return reader(path, Path(folder) / "work")
        loaded = "keras-loaded"
        kinds = given.kinds.split(",") if given.kinds else [*MUTATIONS, loaded]
        counts = {kind: round(given.files * SHARES[kind]) for kind in kinds if kind in SHARES}
        rest = [kind for kind in kinds if kind not in SHARES]
        counts |= dict.fromkeys(rest, -(-(given.files - sum(counts.values())) // max(1, len(rest))))
        ends = []
        for kind in (kind for kind in kinds if kind != loaded):
            for number in range(counts[kind]):
                ends.append(run_forked(shop, f"{kind}-{number}", given.keep))
                if ends[-1].end not in GOOD:
                    print(f"{ends[-1].name}: {ends[-1].end}: {ends[-1].said}", flush=True)
        batch_ends = run_in_batches(
            shop, [f"{loaded}-{number}" for number in range(counts.get(loaded, 0))], given.keep
        )
        for each in batch_ends:
            if each.end not in GOOD:
                print(f"{each.name}: {each.end}: {each.said}", flush=True)
        ends += batch_ends
    print(format_table(ends, (time.monotonic() - began) / 60))
    sys.exit(any(each.end not in GOOD for each in ends))


if __name__ == "__main__":
    main()
