"""One session of live play: threads between slots, from a source to the page, a file and a stream."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from mmdream.core.errors import to_one_line
from mmdream.core.events import EventSink
from mmdream.core.threads import lower_priority
from mmdream.live.controls import Controls
from mmdream.live.microphone import RATE as MICROPHONE_RATE
from mmdream.live.microphone import hear
from mmdream.live.outputs import MediaOutput, Target
from mmdream.live.picture import FrameWork, HintWatcher, PictureDreamer
from mmdream.live.quality import Quality
from mmdream.live.report import LiveMeter, LiveReport
from mmdream.live.slots import Closed, LatestSlot
from mmdream.live.sound import SoundBlock, SoundDreamer, prepare_sound
from mmdream.live.source import LiveSource, Picture, Sound
from mmdream.live.studio_link import StudioLink
from mmdream.networks.network import Network
from mmdream.settings.live import LiveSettings
from mmdream.settings.recipe import Recipe

USUAL_RATE = 25.0
"""Frames a second at most, unless asked for."""
QUIET_SECONDS = 2.0
"""Without a frame, after which it is told."""
JPEG_QUALITY = 85
WAITING_FRAMES = 16
"""ReadyFrame frames that wait for their time."""
SOUND_JUMP = 0.08
"""Seconds by which a sound may leave its own clock before it begins anew."""
MAX_SOUNDS = 400
"""Stretches of sound that wait; then what is oldest goes."""


class Viewer(Protocol):
    """Who is shown what goes out; called from threads, and must not wait."""

    def show_picture(self, seconds: float, jpeg: bytes) -> None:
        """A frame as a JPEG file."""

    def play_sound(self, block: SoundBlock) -> None:
        """A stretch of sound."""

    def tell(self, state: dict[str, Any]) -> None:
        """How it goes."""


@dataclass(frozen=True)
class ReadyFrame:
    """A frame that waits for its time."""

    work: FrameWork
    rgb: np.ndarray
    jpeg: bytes


class LiveSession:
    """Plays a source until it ends, or `stop` is called."""

    def __init__(
        self,
        source: LiveSource,
        recipe: Recipe,
        settings: LiveSettings,
        controls: Controls,
        sound_network: Network | None,
        sink: EventSink,
        viewer: Viewer,
        targets: dict[str, Target],
        link: StudioLink | None = None,
    ) -> None:
        """`targets` are a file ("file") and a stream ("stream"), where they are wanted."""
        self._link = link
        self._source, self._recipe, self._settings = source, recipe, settings
        self._sound_network, self.controls, self._viewer = sound_network, controls, viewer
        self._sink, self._targets = sink, targets
        self.rate = settings.rate or min(source.rate, USUAL_RATE)
        self.meter = LiveMeter()
        self._incoming: LatestSlot[Picture] = LatestSlot()
        self._measured: LatestSlot[FrameWork] = LatestSlot()
        self._ascended: LatestSlot[FrameWork] = LatestSlot()
        self._finished: queue.Queue[ReadyFrame | None] = queue.Queue(WAITING_FRAMES)
        self._sounds: queue.Queue[Sound | None] = queue.Queue(MAX_SOUNDS)
        self._ended, self._stopped = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._outputs: dict[str, MediaOutput] = {}
        self._last_arrival = time.monotonic()
        self._anchor: float | None = None
        """Wall time of the session's second 0."""
        self._late = 0
        self._seen_drops = 0
        self._has_told_size = False
        self.why_ended = "played to its end"
        self.now = 0.0
        """Second of the source that came last."""

    def stop(self, why: str = "stopped") -> None:
        """End soon; what has come in is still finished."""
        if not self._stopped.is_set():
            self.why_ended = why
        self._stopped.set()
        self._source.stop()
        self._incoming.close()

    def run(self, dreamer: PictureDreamer, hints: HintWatcher) -> None:
        """Play; returns when all has gone out.

        Raises:
            UserError: what ended it, if that was an error.
        """
        self.dreamer = dreamer
        jobs: list[tuple[str, Callable[[], None]]] = [
            ("feed", self._feed), ("measure", self._measure), ("ascend", self._ascend),
            ("finish", self._finish), ("present", self._present),
        ]  # fmt: skip
        if self._sound_network is not None:
            jobs.append(("sound", self._dream_sound))
        threads = [threading.Thread(target=self._guard(job), name=name, daemon=True) for name, job in jobs]
        looker = threading.Thread(target=hints.run, name="hints", daemon=True) if hints.is_active else None
        for thread in threads:
            thread.start()
        if looker is not None:
            looker.start()
        try:
            self._watch(threads)
        finally:
            hints.close()
            for output in self._outputs.values():
                output.close()
        errors = [self._error, *(output.error for output in self._outputs.values())]
        for error in errors:
            if error is not None:
                raise error

    def _guard(self, job: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                job()
            except Closed:
                pass
            except BaseException as error:
                self._error = self._error or error
                self.stop("broke off")
                for slot in (self._measured, self._ascended):
                    slot.close()
                with suppress(queue.Full):
                    self._finished.put_nowait(None)
                    self._sounds.put_nowait(None)

        return run

    def _watch(self, threads: list[threading.Thread]) -> None:
        """Tell the viewer how it goes, and the user where nothing comes."""
        is_quiet, began = False, time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.1)
            waited = time.monotonic() - self._last_arrival
            if (
                not is_quiet
                and waited > QUIET_SECONDS
                and not self._ended.is_set()
                and self._anchor is not None
            ):
                is_quiet = True
                self._sink.warn(f"{self._source.name}: nothing came for {waited:.0f} s; waiting for more")
            elif is_quiet and waited < QUIET_SECONDS:
                is_quiet = False
                self._sink.say(f"{self._source.name}: goes on")
            if self._settings.seconds and time.monotonic() - began > self._settings.seconds:
                self.stop(f"stopped after {self._settings.seconds:g} s")
            self._follow_studio()
            self._viewer.tell(self.state())

    def _follow_studio(self) -> None:
        schedule = None if self._link is None else self._link.poll()
        if schedule is not None:
            self.dreamer.prepare(schedule.at(self.now))
            self.controls.use_schedule(schedule)

    def state(self) -> dict[str, Any]:
        """How it goes now."""
        rate, delay = self.meter.recent()
        known = hasattr(self, "dreamer")
        quality = self.dreamer.pacer.quality if known else None
        return {
            "seconds": self.now, "rate": rate, "delay": delay, "dropped": self._incoming.dropped,
            "quality": None if quality is None else name_quality(quality), "turned": self.controls.state(),
        }  # fmt: skip

    def turn(self, values: dict[str, Any]) -> None:
        """Turn settings, from the next frame on; what a new motif needs is made ready before.

        Raises:
            UserError: see `Controls.change`.
        """
        settings = self.controls.check(values)
        self.dreamer.prepare(settings)
        self.prepare_sound(settings.depth)
        self.controls.change(values)

    def prepare_sound(self, depth: float) -> None:
        """Trace what the sound's network needs at a depth."""
        if self._sound_network is not None:
            rate = self._source.sound_rate or MICROPHONE_RATE
            prepare_sound(self._sound_network, rate, self._recipe.sound_wishes, depth)

    def _feed(self) -> None:
        """Read the source: frames at the rate that is held, all of the sound."""
        lower_priority()
        due = -1e9
        try:
            for item in self._source:
                if self._anchor is None:
                    self._anchor = item.arrived - item.seconds
                    if self._settings.microphone is not None:
                        threading.Thread(target=self._guard(self._listen), daemon=True).start()
                self._last_arrival = time.monotonic()
                if isinstance(item, Sound):
                    self._take_sound(item)
                    continue
                if item.seconds + 0.2 / self.rate < due:
                    continue
                due = max(due + 1 / self.rate, item.seconds)
                self.now = item.seconds
                self._incoming.offer(item)
        finally:
            self._ended.set()
            if self._source.error is not None:
                self.why_ended = f"ended ({self._source.error})"
                self._sink.warn(f"{self._source.name}: {self.why_ended}")
            self._incoming.close()
            if self._settings.microphone is None:
                self._put_sound(None)

    def _take_sound(self, item: Sound) -> None:
        if self._sound_network is not None and self._settings.microphone is None:
            self._put_sound(item)

    def _put_sound(self, item: Sound | None) -> None:
        while True:
            try:
                self._sounds.put_nowait(item)
                return
            except queue.Full:
                with suppress(queue.Empty):
                    self._sounds.get_nowait()

    def _listen(self) -> None:
        """Read the microphone, on the session's clock."""
        assert self._settings.microphone is not None
        assert self._anchor is not None
        end: float | None = None
        try:
            with closing(hear(self._settings.microphone)) as heard:
                for samples, rate in heard:
                    if self._ended.is_set() or self._stopped.is_set():
                        break
                    now = time.monotonic()
                    begin = now - self._anchor - samples.shape[1] / rate
                    # Samples follow each other; the wall's clock counts where some were lost.
                    if end is None or abs(begin - end) > SOUND_JUMP:
                        end = begin
                    self._put_sound(Sound(samples, rate, end, now))
                    end += samples.shape[1] / rate
        finally:
            self._put_sound(None)

    def _measure(self) -> None:
        try:
            while (picture := self._incoming.take()) is not None:
                pacer = self.dreamer.pacer
                dropped = self._incoming.dropped
                pacer.advance(dropped > self._seen_drops or self._late > 0)
                self._seen_drops, self._late = dropped, 0
                with self.meter.time("measure") as taken:
                    work = self.dreamer.measure(picture)
                pacer.note("measure", taken[0], work.quality)
                if self.dreamer.has_resized and not self._has_told_size:
                    self._has_told_size = True
                    self._sink.warn(f"{self._source.name}: changed its size; it is fitted into the first one")
                self._measured.put(work)
        finally:
            self._measured.close()

    def _ascend(self) -> None:
        try:
            while (work := self._measured.take()) is not None:
                with self.meter.time("dream") as taken:
                    self.dreamer.ascend(work)
                if not work.is_same and not work.is_skipped and work.sight.kind == "on":
                    self.dreamer.pacer.note("dream", taken[0], work.quality)
                self._ascended.put(work)
        finally:
            self._ascended.close()

    def _finish(self) -> None:
        lower_priority()
        try:
            while (work := self._ascended.take()) is not None:
                with self.meter.time("compose") as taken:
                    rgb = self.dreamer.compose(work)
                    levels = np.rint(rgb[..., ::-1] * 255).astype(np.uint8)
                    _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                self.dreamer.pacer.note("compose", taken[0], work.quality)
                if time.monotonic() > work.arrived + self._settings.delay:
                    self._late += 1
                self._finished.put(ReadyFrame(work, rgb, data.tobytes()))
        finally:
            self._finished.put(None)

    def _present(self) -> None:
        """Show each frame when its delay is over."""
        while (done := self._finished.get()) is not None:
            due = done.work.arrived + self._settings.delay
            time.sleep(max(0.0, due - time.monotonic()))
            seconds = float(done.work.frame.seconds)
            if not self._outputs and not len(self.meter.shown):
                self.meter.began = seconds
            self._viewer.show_picture(seconds, done.jpeg)
            for output in self._open_outputs():
                output.add(seconds, done.rgb)
            self.meter.show(
                done.work.arrived, time.monotonic(), done.work.strength, name_quality(done.work.quality)
            )

    def _open_outputs(self) -> list[MediaOutput]:
        """The outputs, opened when the first frame tells their size."""
        if len(self._outputs) < len(self._targets):
            channels = 2
            sound = (
                None
                if self._sound_network is None
                else (self._source.sound_rate or MICROPHONE_RATE, channels)
            )
            for name, target in self._targets.items():
                self._outputs[name] = MediaOutput(target, self.dreamer.size, self.rate, sound, self._warn)
        return list(self._outputs.values())

    def _warn(self, text: str) -> None:
        self._sink.warn(to_one_line(text))

    def _dream_sound(self) -> None:
        """Dream what comes; a gap or a jump begins anew."""
        dreamer: SoundDreamer | None = None
        expected = 0.0
        while (item := self._sounds.get()) is not None:
            if dreamer is not None and (
                abs(item.seconds - expected) > SOUND_JUMP or item.rate != dreamer.rate
            ):
                self._send(dreamer.flush(), item)
                dreamer = None
            if dreamer is None:
                network = self._sound_network
                assert network is not None
                dreamer = SoundDreamer(
                    network, item.rate, len(item.samples), item.seconds, self._recipe.sound_wishes,
                    self.controls.at_sound, self._recipe.seed,
                )  # fmt: skip
                expected = item.seconds
            with self.meter.time("sound"):
                blocks = dreamer.feed(item.samples)
            expected += item.samples.shape[1] / item.rate
            self._send(blocks, item)
        if dreamer is not None:
            self._send(dreamer.flush(), None)

    def _send(self, blocks: list[SoundBlock], item: Sound | None) -> None:
        for block in blocks:
            if item is not None and self._anchor is not None:
                self.meter.sound_delays.append(time.monotonic() - (self._anchor + block.seconds))
            self._viewer.play_sound(block)
            for output in tuple(self._outputs.values()):
                output.add(block.seconds, block)

    def report(self, output: Path | None, take: Path | None) -> LiveReport:
        """What it came to."""
        meter = self.meter
        delays = np.array(meter.delays) if len(meter.delays) else np.zeros(1)
        tenth = max(1, len(delays) // 10)
        span = meter.shown[-1] - meter.shown[0] if len(meter.shown) > 1 else 0.0
        lost = {name: each.dropped for name, each in self._outputs.items()}
        return LiveReport(
            source=self._source.name,
            output=output,
            take=take,
            frames=len(meter.shown),
            began=meter.began,
            seconds=span,
            dropped=self._incoming.dropped,
            not_recorded=lost.get("file", 0),
            not_sent=lost.get("stream", 0),
            delays=(float(np.percentile(delays, 50)), float(np.percentile(delays, 95))),
            late_delays=(float(np.percentile(delays[:tenth], 95)), float(np.percentile(delays[-tenth:], 95))),
            jitter=float(np.percentile(np.abs(delays - np.median(delays)), 95)),
            sound_delay=float(np.percentile(meter.sound_delays, 95)) if len(meter.sound_delays) else 0.0,
            strength=float(np.mean(meter.strengths)) if len(meter.strengths) else 0.0,
            cuts=tuple(self.dreamer.cuts),
            shares={name: seconds / max(span, 1e-6) for name, seconds in meter.seconds.items()},
            qualities=dict(meter.rungs),
            ended=self.why_ended,
        )


def name_quality(quality: Quality) -> str:
    """A quality in a few words: "feedforward at 72 %"."""
    rest = f", one frame in {quality.every}" if quality.every > 1 else ""
    return f"{quality.engine} at {quality.scale:.0%}{rest}"
