"""One state of the program: does a run through the command line, and tells all that came of it.

Several commands of a run share a process; what they have in common with a user's is `python -m mmdream`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from result_hashes import Results, of_command, of_folder, plain
from unchanged_runs import Killed, Python, Refused, Run

LONGEST = 600
"""Seconds that a process may take."""
LINKS = ("in", "data")
"""In each run's folder, and no results."""
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
        return subprocess.Popen(
            [self.python, "-P", *words],  # -P: modules are not looked for in the run's folder.
            cwd=folder,
            env=self.environment(folder / "models"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def asked(self) -> tuple[Path, dict[str, str]]:
        """Where its package lies, and the versions of Python and the libraries."""
        with self.started(["-c", ASK], Path(tempfile.gettempdir())) as process:
            told, said = process.communicate(timeout=LONGEST)
        if process.returncode:
            raise RuntimeError(f"{self.python}: cannot import mmdream: {said.strip()[-200:]}")
        file, versions = json.loads(told)
        return Path(file).resolve().parent, versions

    def done(self, run: Run, place: Path, inputs: Path, data: Path) -> Results:
        """Do a run; all that came of it."""
        folder = place / self.name / run.name.replace(", ", " ").replace(" ", "-")
        folder.mkdir(parents=True)
        for link, target in zip(LINKS, (inputs, data), strict=True):
            (folder / link).symlink_to(target, target_is_directory=True)
        found: Results = {}
        commands = {number: words_of(step) for number, step in enumerate(run.steps, 1) if words_of(step)}
        if commands and not run.apart:
            found |= self.together(commands, folder)
        for number, step in enumerate(run.steps, 1):
            if isinstance(step, Killed):
                found[f"status: command {number}"] = self.killed(step, folder)
            elif isinstance(step, Python):
                found |= of_command(number, *self.finished(["-c", step.text], folder), folder)
            elif run.apart:
                words = ["-m", "mmdream", *commands[number]]
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

    def together(self, commands: dict[int, list[str]], folder: Path) -> Results:
        """Run several commands in one process."""
        status, told, said = self.finished(["-c", TOGETHER, json.dumps(list(commands.values()))], folder)
        found = {"status: of all": str(status), "messages: of all, stderr": plain(said, folder)}
        for number, line in zip(commands, told.splitlines(), strict=False):
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


def words_of(step: str | Refused | Killed | Python) -> list[str]:
    """Words behind `mmdream`; none: it is no command that runs to its end."""
    return (
        []
        if isinstance(step, Killed | Python)
        else shlex.split(step if isinstance(step, str) else step.words)
    )


def alike(found: Results, one: str, other: str) -> bool:
    """Whether two files of a run have the same content."""
    rows = [
        {key.replace(name, ""): text for key, text in found.items() if f": {name}" in key}
        for name in (one, other)
    ]
    return bool(rows[0]) and rows[0] == rows[1]
