"""Try what can go wrong while a film is played live: each trial is real, with processes and sockets.

    python scripts/try_live.py FILM FOLDER [TRIAL ...]

FILM is played at its pace (some 30 s are enough, 60 for `rtsp`). Trials: `stall` (a stream that pauses for
10 s), `cut-off` (one whose sender is killed, as a camera that is unplugged), `resize` (frames change their
size), `reader` (a reader that goes away and comes back), `rtsp` and `udp` (60 s into a stream
that another process reads), `interrupt` (Ctrl-C), `kill` (the recording of a killed session is played).
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
QUIET = ["-hide_banner", "-loglevel", "error", "-y"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def play(*words: str) -> subprocess.Popen[str]:
    """A live session without a browser."""
    command = [sys.executable, "-m", "mmdream", "live", *words, "--no-browser", "--json", "--overwrite"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def send(film: Path, address: str) -> subprocess.Popen[bytes]:
    """FFmpeg, which sends a film at its pace to who connects."""
    command = [FFMPEG, *QUIET, "-re", "-i", str(film), "-c", "copy", "-f", "mpegts", f"{address}?listen=1"]
    return subprocess.Popen(command)


def outcome(session: subprocess.Popen[str], film: Path | None = None) -> dict[str, object]:
    """What a session printed at its end, and what its recording holds."""
    out, err = session.communicate(timeout=150)
    told = [line for line in err.splitlines() if line.startswith("mmdream: ")]
    found: dict[str, object] = {"status": session.returncode, "told": told}
    try:
        report = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        return {**found, "printed": out[-300:]}
    wanted = "ended", "frames", "rate", "dropped", "not_sent", "delay_p95", "delay_p95_last_tenth"
    found |= {name: report[name] for name in wanted}
    return found | ({} if film is None else measure_recording(film))


def measure_recording(film: Path) -> dict[str, object]:
    """How many frames and seconds of a recording can be read."""
    with av.open(str(film)) as container:
        stamps = [frame.time or 0.0 for frame in container.decode(video=0)]
    rising = all(after > before for before, after in itertools.pairwise(stamps))
    return {"recorded": len(stamps), "recorded_seconds": round(stamps[-1], 2), "rising": rising}


def try_stall(film: Path, folder: Path) -> dict[str, object]:
    """A stream that pauses for 10 s."""
    address, out = f"tcp://127.0.0.1:{free_port()}", folder / "stall.mp4"
    sender = send(film, address)
    time.sleep(1)
    session = play(address, "-o", str(out), "--seconds", "35")
    time.sleep(14)
    sender.send_signal(signal.SIGSTOP)
    time.sleep(10)
    sender.send_signal(signal.SIGCONT)
    found = outcome(session, out)
    sender.kill()
    return found


def try_cut_off(film: Path, folder: Path) -> dict[str, object]:
    """A stream whose sender is killed."""
    address, out = f"tcp://127.0.0.1:{free_port()}", folder / "cut-off.mp4"
    sender = send(film, address)
    time.sleep(1)
    session = play(address, "-o", str(out))
    time.sleep(16)
    sender.kill()
    return outcome(session, out)


def try_resize(film: Path, folder: Path) -> dict[str, object]:
    """A stream whose frames change their size on the way."""
    parts = folder / "large.ts", folder / "small.ts"
    for part, size, offset in zip(parts, ("640:360", "400:300"), ("0", "5"), strict=True):
        command = [
            FFMPEG,
            *QUIET,
            "-t",
            "5",
            "-i",
            str(film),
            "-vf",
            f"scale={size}",
            "-output_ts_offset",
            offset,
        ]
        subprocess.run([*command, "-c:v", "libx264", "-preset", "veryfast", str(part)], check=True)
    whole, out = folder / "resize.ts", folder / "resize.mp4"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    return outcome(play(str(whole), "-o", str(out)), out)


def read(address: str, kind: str, log: Path, seconds: float) -> subprocess.Popen[bytes]:
    """FFmpeg, which reads a stream and keeps its packets."""
    command = [FFMPEG, *QUIET]
    options = ["-rtsp_flags", "listen", "-listen_timeout", "60"] if kind == "rtsp" else []
    command += [*options, "-i", address, "-map", "0:v", "-t", str(seconds), "-c", "copy", str(log)]
    return subprocess.Popen(command)


def try_reader(film: Path, folder: Path) -> dict[str, object]:
    """A reader that goes away, and another that comes."""
    address = f"tcp://127.0.0.1:{free_port()}"
    out, got = folder / "reader.mp4", folder / "read.mkv"
    first = read(f"{address}?listen=1", "tcp", folder / "gone.mkv", 90)
    session = play(str(film), "-o", str(out), "--to", address, "--seconds", "24")
    time.sleep(16)
    first.kill()
    time.sleep(3)
    second = read(f"{address}?listen=1", "tcp", got, 90)
    found = outcome(session, out)
    second.wait(20)
    return found | {"read_by_the_second": measure_recording(got)}


def try_stream(film: Path, folder: Path, kind: str) -> dict[str, object]:
    """A minute into a stream that another process reads."""
    port, got = free_port(), folder / f"{kind}.mkv"
    address = {
        "rtsp": f"rtsp://127.0.0.1:{port}/dream",
        "udp": f"udp://127.0.0.1:{port}?timeout=15000000",  # A session takes seconds to begin.
    }[kind]
    reader = read(address, kind, got, 90)
    session = play(str(film), "--to", address.partition("?")[0], "--seconds", "60")
    found = outcome(session)
    time.sleep(2)
    reader.send_signal(signal.SIGINT)
    reader.wait(30)
    with av.open(str(got)) as container:
        stamps = [frame.time or 0.0 for frame in container.decode(video=0)]
    gaps = [after - before for before, after in itertools.pairwise(stamps)]
    return found | {
        "read": len(stamps), "read_seconds": round(stamps[-1] - stamps[0], 2),
        "longest_gap": round(max(gaps), 3),
    }  # fmt: skip


def try_end(film: Path, folder: Path, how: int) -> dict[str, object]:
    """A session that is interrupted, or killed, after some seconds."""
    out = folder / f"{signal.Signals(how).name.lower()}.mp4"
    session = play(str(film), "-o", str(out), "--take")
    time.sleep(20)
    session.send_signal(how)
    if how == signal.SIGTERM:
        return outcome(session, out) | {"take": out.with_name(f"{out.stem}.take.toml").is_file()}
    session.wait(20)
    drafts = sorted(folder.glob(f".*/{out.name}")) + sorted(folder.glob(f".*{out.name}*/*"))
    return {"draft": str(drafts[0]), **measure_recording(drafts[0])} if drafts else {"draft": None}


TRIALS: dict[str, Callable[[Path, Path], dict[str, object]]] = {
    "stall": try_stall,
    "cut-off": try_cut_off,
    "resize": try_resize,
    "reader": try_reader,
    "rtsp": lambda film, folder: try_stream(film, folder, "rtsp"),
    "udp": lambda film, folder: try_stream(film, folder, "udp"),
    "interrupt": lambda film, folder: try_end(film, folder, signal.SIGTERM),
    "kill": lambda film, folder: try_end(film, folder, signal.SIGKILL),
}


def main() -> int:
    """Read the command line, and print what came of each trial."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("trials", nargs="*", choices=[*TRIALS, []])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.trials or TRIALS:
        print(json.dumps({name: TRIALS[name](options.film, options.folder)}, indent=1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
