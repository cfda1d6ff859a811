"""Films played live, as a user sees and keeps them: in step, as they were turned, whatever breaks."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mmdream import Recipe, Schedule
from mmdream.core.errors import UserError
from mmdream.live.play import take_path
from mmdream.live.report import LiveReport
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.settings.files import read_schedule
from tests.command import mmdream
from tests.live.conftest import CUT, RATE, SECONDS, SIZE, Audience, make_frames


def read_all(path: Path) -> dict[float, np.ndarray]:
    return {float(frame.seconds): frame.rgb for frame in read_frames(probe(path))}


@pytest.fixture(scope="module")
def played(film: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Audience, LiveReport, Path]:
    """The whole film as it was seen and heard, told and recorded."""
    audience, out = Audience(), tmp_path_factory.mktemp("played") / "out.mp4"
    return audience, audience.watch(film, out), out


def test_a_film_is_played_recorded_and_told(film: Path, played: tuple[Audience, LiveReport, Path]) -> None:
    audience, report, out = played
    assert report.output == out
    assert report.frames == len(audience.pictures) > 0.6 * RATE * SECONDS
    assert report.frames + report.dropped <= RATE * SECONDS
    assert sorted(seconds for seconds, _ in audience.pictures) == [
        seconds for seconds, _ in audience.pictures
    ]
    # What is seen lies in the source at the same second, and is dreamed.
    source, dream = read_all(film), read_all(out)
    assert len(dream) == report.frames
    first = report.began - min(dream)
    for seconds, rgb in list(dream.items())[3:]:
        nearest = min(source, key=lambda each: abs(each - seconds - first))
        assert abs(nearest - seconds - first) < 0.002
        assert rgb.shape == (SIZE[1], SIZE[0], 3)
        assert np.abs(rgb - source[nearest]).mean() > 0.02
    assert pytest.approx(report.cuts[-1], abs=1.1 / RATE) == CUT
    assert json.loads(json.dumps(report.as_json()))["rate"] > 0


def test_sound_stays_in_step_with_the_picture(film: Path, played: tuple[Audience, LiveReport, Path]) -> None:
    audience, report, out = played
    heard = []
    for path in (film, out):
        media = probe(path)
        track = media.audio_tracks[0]
        samples = np.concatenate([each for _, each in decode_audio(media, track)], axis=1).mean(axis=0)
        start = round(float(track.start) * track.rate)
        heard.append(np.concatenate((np.zeros(max(0, start)), samples))[max(0, -start) :])
    source, dream = heard
    # The envelope of the bursts, at a thousand values a second.
    envelopes = [np.abs(each[: len(each) // 48 * 48]).reshape(-1, 48).mean(1) for each in (source, dream)]
    shift = np.arange(-120, 121)
    first = round(1000 * (report.began - min(read_all(out))))
    a, b = envelopes[0][first + 500 : first + 3300], envelopes[1]
    match = [float(np.dot(a - a.mean(), b[500 + k : 3300 + k])) for k in shift]
    assert abs(int(shift[int(np.argmax(match))])) <= 20
    # One block follows the other, to the sample.
    position = 0
    for block in audience.sounds:
        assert round((block.seconds - audience.sounds[0].seconds) * block.rate) == position
        position += block.samples.shape[1]
    assert position == pytest.approx(SECONDS * 48_000, abs=2048)


def test_a_dream_of_no_strength_is_the_source(film: Path, audience: Audience, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    audience.watch(film, out, Recipe(Schedule(strength=0)), no_sound=True, seconds=2.5)
    source = read_all(film)
    for seconds, rgb in read_all(out).items():
        assert min(np.abs(rgb - each).mean() for at, each in source.items() if abs(at - seconds) < 0.1) < 0.02


def test_what_is_turned_acts_and_is_kept_as_a_schedule(
    film: Path, audience: Audience, tmp_path: Path
) -> None:
    out, turned = tmp_path / "out.mp4", dict[str, float]()

    def turn(session: object, seconds: float) -> None:
        # A new motif is made ready first, which may take seconds on a slow machine.
        if seconds > 1 and not turned:
            turned["strength"] = seconds
            session.change_settings({"strength": 0.0, "motif": "dog,eye"})  # type: ignore[attr-defined]

    audience.on_picture = turn
    report = audience.watch(film, out, take=True, no_sound=True)
    assert report.take == take_path(out)
    schedule = read_schedule(report.take)
    strengths = [schedule.at(seconds).strength for seconds in (0.0, turned["strength"], 3.9)]
    assert strengths == [1.0, 1.0, 0.0]
    assert schedule.motif_curve.at(0.5) == ()
    assert dict(schedule.motif_curve.at(3.9)) == {"dog": 0.5, "eye": 0.5}
    source, dream = read_all(film), read_all(out)
    last, before = max(dream), max(seconds for seconds in dream if seconds < 0.9)
    moved = [
        np.abs(dream[at] - source[min(source, key=lambda each: abs(each - at))]).mean()
        for at in (before, last)
    ]
    assert moved[1] < 0.5 * moved[0]
    with pytest.raises(UserError, match="no motif"):
        audience.session.change_settings({"motif": "nothing-of-that-name"})  # type: ignore[union-attr]
    with pytest.raises(UserError, match="between 0 and 4"):
        audience.session.change_settings({"strength": 40})  # type: ignore[union-attr]


def test_it_can_be_ended_and_what_was_recorded_stays(film: Path, audience: Audience, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    audience.on_picture = lambda session, seconds: session.stop() if seconds > 1.5 else None
    report = audience.watch(film, out)
    assert report.ended == "stopped"
    assert 1.3 < max(read_all(out)) < 3
    assert not list(tmp_path.glob(".*"))


def test_frames_of_another_size_are_fitted_in(tmp_path: Path, audience: Audience) -> None:
    parts = []
    for number, size in enumerate(((160, 96), (96, 96))):
        part = tmp_path / f"{number}.ts"
        with av.open(str(part), "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=RATE, options={"bf": "0"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 90_000)
            for at in range(RATE):
                level = np.full((size[1], size[0], 3), 60 + 100 * number, np.uint8)
                level[:, : size[0] // 2] += np.uint8(40)
                frame = av.VideoFrame.from_ndarray(level, "rgb24")
                frame.pts, frame.time_base = (number * RATE + at) * 90_000 // RATE, Fraction(1, 90_000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        parts.append(part.read_bytes())
    film = tmp_path / "both.ts"
    film.write_bytes(b"".join(parts))
    out = tmp_path / "out.mp4"
    audience.watch(film, out, recipe=Recipe(Schedule(strength=0)))
    assert [each for each in audience.warnings if "changed its size" in each] == [
        f"{film}: changed its size; it is fitted into the first one"
    ]
    last = read_all(out)[max(read_all(out))]
    assert last.shape == (96, 160, 3)
    assert last[:, :28].max() < 0.1  # Black bars beside it.
    assert last[20:76, 40:120].min() > 0.3


def test_a_reader_gets_the_stream_and_its_going_is_told_once(
    film: Path, audience: Audience, tmp_path: Path
) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    read: list[float] = []

    def listen() -> None:
        with av.open(f"{address}?listen=1", timeout=30) as container:
            for frame in container.decode(video=0):
                read.append(frame.time)
                if len(read) == 10:
                    return

    reader = threading.Thread(target=listen, daemon=True)
    reader.start()
    out = tmp_path / "out.mp4"
    report = audience.watch(film, out, to=address)
    reader.join(20)
    assert len(read) == 10
    assert report.frames == len(read_all(out))
    assert len([each for each in audience.warnings if "nobody reads" in each]) <= 1


def test_a_stream_is_played_as_it_comes(film: Path, audience: Audience) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        address = f"udp://127.0.0.1:{found.getsockname()[1]}"
    is_over, frames = threading.Event(), make_frames()

    def send() -> None:
        with av.open(address, "w", format="mpegts") as out:
            stream = out.add_stream("mpeg2video", rate=25, options={"g": "5"})
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for number in range(25 * 120):
                if is_over.wait(1 / 25):
                    return
                frame = av.VideoFrame.from_ndarray(frames[number % len(frames)], "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                out.mux(stream.encode(frame))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        report = audience.watch(address, seconds=2.5)
    finally:
        is_over.set()
        sender.join()
    assert report.ended == "stopped after 2.5 s"
    assert report.frames > RATE
    assert report.delays[0] == pytest.approx(0.2, abs=0.15)


BAD = {
    ("nothing.mp4",): "nothing.mp4: no such file",
    ("/dev/video77",): "/dev/video77: there is no such camera; name another, a film, or an address",
    ("gopher://x/y",): "gopher://x/y: mmdream plays rtsp, rtmp, srt, udp, tcp, http, https addresses",
    ("tcp://127.0.0.1:1/",): "tcp://127.0.0.1:1/: cannot be opened (Connection refused)",
    ("IN", "--to", "somewhere"): "--to somewhere: write an address of rtsp, rtmp, srt, udp, tcp such as",
    ("IN", "--to", "/dev/video78"): "--to /dev/video78: there is no such device",
    ("IN", "-o", "out.gif"): "out.gif: cannot write .gif; use .mp4, .mov, .mkv",
    ("IN", "--microphone", "nowhere"): "--microphone nowhere: cannot be opened",
    ("IN", "--take"): "--take keeps OUT.take.toml; name OUT with -o",
    ("IN", "--rate", "0"): "rate is 0; choose between 1 and 120",
    ("IN", "--motif", "unicorn"): 'dreamnet has no motif "unicorn"',
    ("SOUND",): "has no picture; dream a sound with `mmdream audio`",
    ("IN", "--port", "PORT"): "choose another --port, or none",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_is_one_line(words: tuple[str, ...], film: Path, tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        names = {"IN": str(film), "SOUND": str(sound), "PORT": str(taken.getsockname()[1])}
        done = mmdream("live", *(names.get(word, word) for word in words), "--no-browser", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mmdream: error: ")]
    assert len(lines) == 1
    assert BAD[words] in lines[0]
    assert [each for each in tmp_path.iterdir() if each != sound] == []


def test_a_style_is_refused(film: Path) -> None:
    from mmdream.settings.passes import Pass

    with pytest.raises(UserError, match="live play has one dream"):
        Audience().watch(film, recipe=replace(Recipe(), passes=(Pass(), Pass())))
