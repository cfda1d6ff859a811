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

from result_hashes import Results, hash_command, hash_folder, remove_varying
from unchanged_runs import Killed, Python, Refused, Run

MAX_SECONDS = 600
"""Seconds that a process may take."""
LINKS = ("in", "data")
"""In each run's folder, and no results."""
LIBRARIES = (
    *("av", "h5py", "imageio-ffmpeg", "keras", "librosa", "matplotlib", "ml-dtypes", "moviepy", "numba"),
    *("numpy", "opencv-python-headless", "pyloudnorm", "safetensors", "scenedetect-headless"),
    *("scikit-learn", "scipy", "soundfile", "soxr", "tensorflow", "typer", "rich"),
)
"""Those that touch a pixel, a sample or a message."""
DESCRIBE = f"""
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

RUN_COMMANDS = """
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
    words: str = ""
    """Added to every command that dreams a picture or a film."""

    def environment(self, models: Path) -> dict[str, str]:
        """Of its processes; what the caller's says of modules does not count."""
        own = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        own |= {"MMDREAM_MODELS": str(models), "COLUMNS": "110", "TERM": "dumb"}
        return own if self.path is None else {**own, "PYTHONPATH": self.path}

    def start_process(self, words: list[str], folder: Path) -> subprocess.Popen[str]:
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

    def describe(self) -> tuple[Path, dict[str, str]]:
        """Where its package lies, and the versions of Python and the libraries."""
        with self.start_process(["-c", DESCRIBE], Path(tempfile.gettempdir())) as process:
            stdout, stderr = process.communicate(timeout=MAX_SECONDS)
        if process.returncode:
            raise RuntimeError(f"{self.python}: cannot import mmdream: {stderr.strip()[-200:]}")
        file, versions = json.loads(stdout)
        return Path(file).resolve().parent, versions

    def do_run(self, run: Run, place: Path, inputs: Path, data: Path) -> Results:
        """Do a run; all that came of it."""
        folder = place / self.name / run.name.replace(", ", " ").replace(" ", "-")
        folder.mkdir(parents=True)
        for link, target in zip(LINKS, (inputs, data), strict=True):
            (folder / link).symlink_to(target, target_is_directory=True)
        results: Results = {}
        commands = {
            number: words for number, step in enumerate(run.steps, 1) if (words := self.command_words(step))
        }
        if commands and not run.apart:
            results |= self.run_commands(commands, folder)
        for number, step in enumerate(run.steps, 1):
            if isinstance(step, Killed):
                results[f"status: command {number}"] = self.kill_midway(step, folder)
            elif isinstance(step, Python):
                results |= hash_command(number, *self.run_process(["-c", step.text], folder), folder)
            elif run.apart:
                words = ["-m", "mmdream", *commands[number]]
                results |= hash_command(number, *self.run_process(words, folder), folder)
        results |= hash_folder(folder, LINKS)
        if run.same is not None:
            results["same: " + " and ".join(run.same)] = str(is_same_content(results, *run.same))
        return results

    def command_words(self, step: str | Refused | Killed | Python) -> list[str]:
        """Words behind `mmdream`; none: it is no command that runs to its end."""
        if isinstance(step, Killed | Python):
            return []
        return self.add_words(shlex.split(step if isinstance(step, str) else step.words))

    def add_words(self, command: list[str]) -> list[str]:
        """A command with this side's own words, if it dreams a picture or a film."""
        dreams = command[0] in ("image", "video") and "--help" not in command
        return [*command, *shlex.split(self.words)] if dreams else command

    def run_process(self, words: list[str], folder: Path) -> tuple[int, str, str]:
        """Run a process to its end: exit status, what stands on stdout and on stderr."""
        with self.start_process(words, folder) as process:
            try:
                stdout, stderr = process.communicate(timeout=MAX_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                stdout, stderr = "", "took too long"
        return process.returncode, stdout, stderr

    def run_commands(self, commands: dict[int, list[str]], folder: Path) -> Results:
        """Run several commands in one process."""
        status, stdout, stderr = self.run_process(
            ["-c", RUN_COMMANDS, json.dumps(list(commands.values()))], folder
        )
        results = {"status: of all": str(status), "messages: of all, stderr": remove_varying(stderr, folder)}
        for number, line in zip(commands, stdout.splitlines(), strict=False):
            results |= hash_command(number, *json.loads(line), folder)
        return results

    def kill_midway(self, step: Killed, folder: Path) -> str:
        """Begin a film, and kill it when the journal of its job tells of a part of the picture."""
        words = self.add_words(shlex.split(step.words))
        with self.start_process(["-m", "mmdream", *words], folder) as process:
            end = time.monotonic() + MAX_SECONDS
            while process.poll() is None and time.monotonic() < end:
                if any('"picture"' in path.read_text() for path in folder.glob("job/*.jsonl")):
                    process.kill()
                    process.communicate()
                    return "killed"
                time.sleep(0.01)
            process.kill()
            _, stderr = process.communicate()
        return f"was not killed in the midst of its work: {stderr}"


def is_same_content(results: Results, one: str, other: str) -> bool:
    """Whether two files of a run have the same content."""
    rows = [
        {key.replace(name, ""): text for key, text in results.items() if f": {name}" in key}
        for name in (one, other)
    ]
    return bool(rows[0]) and rows[0] == rows[1]
