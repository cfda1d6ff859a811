"""What a command left and said, as flat text: exact, and without what differs from run to run.

Of files the decoded content counts: frames, samples, time stamps, pixels, arrays; never names of folders,
dates or seconds of work. Nothing of mmdream is imported, so that any version of it can be looked at.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import soundfile
from safetensors.numpy import load_file

Results = dict[str, str]
"""What was found, by kind and place: "frames: out.mkv" and the like."""

FILMS, PICTURES = (".mp4", ".mov", ".webm", ".mkv"), (".png", ".jpg", ".webp", ".tif")
SOUNDS, TEXTS = (".wav", ".flac", ".ogg", ".mp3"), (".toml", ".json", ".tsv", ".txt", ".csv")

TIMED = re.compile(
    r"((?<=about )|(?<=network: ))[\d.:]+ (ms|s|seconds|minutes|min|h|hours)\b"
    r"|\b[\d.]+ s(?= of work)|[\d.]+ [kMGT]i?B(?= are free)|(?<=WARN:)\d+@[\d.]+"
)
"""Times of work, expected and spent, free disk space, and thread and second of OpenCV's warnings."""
TIMING_KEYS = {"wall_seconds", "timing", "start_seconds", "first_frame_seconds", "frame_seconds"} | {
    "picture_seconds",
    "sound_seconds",
    "expected_seconds",
    "memory_mib",
}
"""Figures that the clock and the machine's memory decide. A training's `seconds` are such too."""
DATED = "events.out.tfevents."
"""TensorBoard's files have date, machine and process in name and content; report.json holds their figures."""


def hash_folder(folder: Path, apart: tuple[str, ...]) -> Results:
    """Everything in a folder.

    Args:
        folder: of a run.
        apart: names in it that are no results.
    """
    results: Results = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] in apart or path.is_dir() or DATED in path.name:
            continue
        results[f"files: {name}"] = "there"
        try:
            content = hash_file(path, folder)
        except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
            content = {
                "bytes:": hashlib.sha256(path.read_bytes()).hexdigest(),
                "bytes: error": remove_varying(str(error), folder),
            }
        for kind, text in content.items():
            results[kind.replace(":", f": {name}", 1)] = text
    return results


def hash_file(path: Path, folder: Path) -> Results:
    """A file's content; what kinds of it there are depends on the file."""
    ending = path.suffix.lower()
    if ending in FILMS or ending == ".m4a":
        return hash_film(path)
    if ending in PICTURES:
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise ValueError("is no picture")
        return {"pixels:": hash_array(picture)}
    if ending in SOUNDS:
        about = soundfile.info(str(path))
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
        return {"samples:": f"{about.subtype}, {rate} a second, {hash_array(samples)}"}
    if ending == ".npz":
        with np.load(path) as arrays:
            return {f"arrays: {name}": hash_array(arrays[name]) for name in arrays.files}
    if ending == ".safetensors":
        return {f"arrays: {name}": hash_array(array) for name, array in load_file(path).items()}
    if ending == ".json":
        return {f"text: {at}": text for at, text in flatten(json.loads(path.read_text("utf-8")), folder)}
    if ending in TEXTS:
        return {"text:": remove_varying(path.read_text("utf-8"), folder)}
    return {"bytes:": hashlib.sha256(path.read_bytes()).hexdigest()}


def hash_film(path: Path) -> Results:
    """Frames, samples and texts of each stream with their time stamps, and what is said of them."""
    results: Results = {}
    with av.open(str(path)) as film:
        for stream in film.streams:
            codec = stream.codec_context  # None: FFmpeg has no decoder for it, as for some subtitles.
            coded = (codec.name, codec.profile) if codec else ()
            times = str(stream.time_base), str(stream.start_time)
            about = *coded, *times, int(stream.disposition), sorted(stream.metadata.items())
            results[f"streams: {stream.index}"] = str(about)
        results["streams: chapters"] = str(film.chapters())
        results["streams: metadata"] = str((sorted(film.metadata.items()), film.duration))
        sums = [hashlib.sha256() for _ in film.streams]
        stamps = [hashlib.sha256() for _ in film.streams]
        counts, forms = [0] * len(sums), [set[str]() for _ in sums]
        for packet in film.demux():
            number = packet.stream.index
            stamps[number].update(f"{packet.pts} {packet.duration};".encode())
            if packet.stream.type not in ("video", "audio"):
                sums[number].update(bytes(packet))
                continue
            for frame in packet.decode():
                stamps[number].update(f"{frame.pts} {frame.time_base};".encode())
                sums[number].update(np.ascontiguousarray(decode_values(frame)).tobytes())
                counts[number] += frame.samples if packet.stream.type == "audio" else 1
                forms[number].add(describe_format(frame))
        for stream in film.streams:
            kind = {"video": "frames", "audio": "samples"}.get(stream.type, "text")
            place, about = f" stream {stream.index}", " ".join(sorted(forms[stream.index]))
            results[f"{kind}:{place}"] = (
                f"{counts[stream.index]} {about} {sums[stream.index].hexdigest()[:16]}"
            )
            results[f"timestamps:{place}"] = stamps[stream.index].hexdigest()[:16]
    return results


def decode_values(frame: Any) -> np.ndarray:
    """All values of a frame or block, in its own format."""
    # What stands in the unused bytes of these is nobody's; the others are only put in another order.
    padded = frame.format.name in ("bgr0", "rgb0", "0bgr", "0rgb")
    return frame.to_ndarray(format="rgb24") if padded else frame.to_ndarray()


def describe_format(frame: Any) -> str:
    """Size and colours of a frame, or rate and channels of a block of sound."""
    if isinstance(frame, av.AudioFrame):
        return f"{frame.format.name}, {frame.layout.name}, {frame.sample_rate} a second"
    colours = (
        int(frame.color_range),
        int(frame.colorspace),
        int(frame.color_primaries),
        int(frame.color_trc),
    )
    return f"{frame.format.name}, {frame.width}x{frame.height}, colours {colours}, turned {frame.rotation}"


def hash_command(number: int, status: int, stdout: str, stderr: str, folder: Path) -> Results:
    """Exit status, figures and messages of a command."""
    results = {f"status: command {number}": str(status)}
    try:
        figures = json.loads(stdout)
    except ValueError:
        results[f"messages: command {number}, stdout"] = remove_varying(stdout, folder)
    else:
        results |= {f"figures: command {number}, {at}": text for at, text in flatten(figures, folder)}
    results[f"messages: command {number}, stderr"] = remove_varying(stderr, folder)
    return results


def remove_varying(text: str, folder: Path) -> str:
    """What is told, without the folder's place, times of work and free disk space."""
    return TIMED.sub("(some)", text.replace(str(folder.resolve()), "FOLDER").replace(str(folder), "FOLDER"))


def flatten(value: Any, folder: Path, at: str = "") -> Iterator[tuple[str, str]]:
    """Each leaf of a JSON value with the names that lead to it; floats with all of their digits."""
    if isinstance(value, dict):
        taught = "medium" in value and "folder" in value
        for name, inner in value.items():
            if name not in TIMING_KEYS and not (name == "seconds" and taught):
                yield from flatten(inner, folder, f"{at}.{name}" if at else str(name))
        if not value:
            yield at, "{}"
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for number, inner in enumerate(value):
            yield from flatten(inner, folder, f"{at}[{number}]")
    else:
        yield at, remove_varying(json.dumps(value, ensure_ascii=False), folder)


def hash_array(array: np.ndarray) -> str:
    """Shape, type and content."""
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
    return f"{'x'.join(map(str, array.shape))} {array.dtype} {digest}"
