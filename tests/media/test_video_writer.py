"""Parts joined by packet copy make the file that one writer makes: same stamps, tags and pixels."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from make import make_times, make_uneven_times, write_film

from mmdream.core.errors import Interrupted
from mmdream.media import video_reader
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_writer import VideoWriter, count_frames, join_parts

FILMS = {
    "NTSC": (".mp4", make_times(40, Fraction(30_000, 1001))),
    "variable": (".mp4", make_uneven_times(40)),
    "early": (".mkv", make_times(40, 25, Fraction(-1, 2))),
    "late": (".mp4", make_times(40, 25, Fraction(9, 8))),
}
CUTS = (0, 13, 14, 37, 40)


def read_stream_properties(path: Path) -> dict[str, Any]:
    """The properties of the video stream of a file, with the times of its packets."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        return {
            "packets": [(p.pts, p.dts, p.duration) for p in container.demux(stream) if p.size],
            "origin": {k.lower(): v for k, v in container.metadata.items()}.get("origin"),
            "clock": (stream.time_base, stream.start_time, stream.average_rate),
            "shape": (context.width, context.height, stream.sample_aspect_ratio, context.pix_fmt),
            "colour": (context.colorspace, context.color_range, context.color_primaries, context.color_trc),
            "header": context.extradata,
        }


def decode_frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def write_parts(source: MediaFile, read: list[video_reader.Frame], suffix: str, folder: Path) -> list[Path]:
    assert source.video is not None
    found = []
    for first, stop in pairwise(CUTS):
        found.append(folder / f"{first}.mid")
        base = source.video.time_base
        with VideoWriter(found[-1], source.video, suffix, base, part=True) as writer:
            for frame in read[first:stop]:
                writer.write(frame.rgb, frame.pts)
        assert count_frames(found[-1]) == stop - first
    return found


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_parts_make_the_file_that_one_writer_makes(suffix: str, name: str, tmp_path: Path) -> None:
    own, times = FILMS[name]
    source = probe(write_film(tmp_path / f"film{own}", times, size=(70, 50), sar=Fraction(4, 3)))
    assert source.video is not None
    read, base = list(video_reader.read_frames(source)), source.video.time_base
    with VideoWriter(tmp_path / "one", source.video, suffix, base) as writer:
        for frame in read:
            writer.write(frame.rgb, frame.pts)
    parts = write_parts(source, read, suffix, tmp_path)
    pts = [frame.pts for frame in read]
    with VideoWriter(tmp_path / "joined", source.video, suffix, base) as writer:
        join_parts(parts, writer, pts, lambda: False)
    assert read_stream_properties(tmp_path / "joined") == read_stream_properties(tmp_path / "one")
    one, joined = decode_frames(tmp_path / "one"), decode_frames(tmp_path / "joined")
    if suffix == ".mkv":
        assert np.array_equal(one, joined)
    else:
        assert np.abs(one.astype(float) - joined).mean() < 3  # of 255: parts begin with a keyframe
    decoded = np.concatenate([decode_frames(part) for part in parts])
    assert np.array_equal(decoded, joined)


def test_parts_that_do_not_fit_and_a_stop_are_told(tmp_path: Path) -> None:
    source = probe(write_film(tmp_path / "film.mp4", make_times(40, 25)))
    assert source.video is not None
    read, base = list(video_reader.read_frames(source)), source.video.time_base
    parts = write_parts(source, read, ".mp4", tmp_path)
    pts = [frame.pts for frame in read]
    for some in (parts[1:], parts[:-1], [*parts, parts[-1]]):
        with (
            pytest.raises(RuntimeError, match="frames"),
            VideoWriter(tmp_path / "out", source.video, ".mp4", base) as writer,
        ):
            join_parts(some, writer, pts, lambda: False)
    with (
        pytest.raises(Interrupted),
        VideoWriter(tmp_path / "out", source.video, ".mp4", base) as writer,
    ):
        join_parts(parts, writer, pts, lambda: True)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_the_encoder_gives_the_same_bytes_every_time(suffix: str, tmp_path: Path) -> None:
    # Sides that are no multiple of 16, which x264 pads with what it finds.
    rng = np.random.default_rng(0)
    source = probe(write_film(tmp_path / "film.mp4", make_times(24, 25), size=(200, 124)))
    assert source.video is not None
    pictures = [rng.random((124, 200, 3)).astype(np.float32) for _ in range(24)]
    found = set()
    for _ in range(4):
        with VideoWriter(tmp_path / "a", source.video, suffix, source.video.time_base) as writer:
            for number, rgb in enumerate(pictures):
                writer.write(rgb, number * 3600)
        with av.open(str(tmp_path / "a")) as container:
            found.add(b"".join(bytes(packet) for packet in container.demux(video=0) if packet.size))
    assert len(found) == 1
