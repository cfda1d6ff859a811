"""One session of live play: threads between slots, from a source to the page, a file and a stream."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from mmdream.core.errors import to_one_line
from mmdream.core.events import EventSink
from mmdream.live.controls import Controls
from mmdream.live.frame_clock import FrameClock
from mmdream.live.outputs import MediaOutput, Target
from mmdream.live.picture import FrameWork, HintWatcher, PictureDreamer
from mmdream.live.report import LiveMeter, LiveReport
from mmdream.live.slots import Closed, LatestSlot
from mmdream.live.sound import SoundBlock
from mmdream.live.sound_stage import SoundStage
from mmdream.live.source import LiveSource, Picture, Sound
from mmdream.live.studio_link import StudioLink
from mmdream.networks.network import Network
from mmdream.settings.live import LiveSettings
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings

USUAL_RATE = 25.0
"""Frames a second at most, unless asked for."""
QUIET_SECONDS = 2.0
"""Without a frame, after which it is told."""
OUTPUT_CHANNELS = 2
"""Of the sound that is recorded and sent."""
JPEG_QUALITY = 85
WAITING_FRAMES = 16
"""Finished frames that wait for their time."""


def held_rate(source: LiveSource, settings: LiveSettings) -> float:
    """Frames a second that are to be held."""
    return settings.rate or min(source.rate, USUAL_RATE)


class Viewer(Protocol):
    """Who is shown what goes out; called from threads, and must not wait."""

    def show_picture(self, seconds: float, jpeg: bytes) -> None:
        """A frame as a JPEG file."""

    def play_sound(self, block: SoundBlock) -> None:
        """A stretch of sound."""

    def show_state(self, state: dict[str, Any]) -> None:
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
        link: StudioLink | None,
        dreamer: PictureDreamer,
        hints: HintWatcher,
    ) -> None:
        """`targets` are a file ("file") and a stream ("stream"), where they are asked for."""
        self._link, self.dreamer, self._hints = link, dreamer, hints
        self._source, self._settings = source, settings
        self.controls, self._viewer = controls, viewer
        self._sink, self._targets = sink, targets
        self.rate = held_rate(source, settings)
        self.meter = LiveMeter()
        self._incoming: LatestSlot[Picture] = LatestSlot()
        self._measured: LatestSlot[FrameWork] = LatestSlot()
        self._ascended: LatestSlot[FrameWork] = LatestSlot()
        self._finished: queue.Queue[ReadyFrame | None] = queue.Queue(WAITING_FRAMES)
        self._sound: SoundStage | None = None
        if sound_network is not None:
            self._sound = SoundStage(
                sound_network, recipe, controls, self.meter, source.sound_rate, self._send_sound
            )
        self._ended, self._stopped = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._outputs: dict[str, MediaOutput] = {}
        self._last_arrival = time.monotonic()
        self._anchor: float | None = None
        """Wall time of the session's second 0."""
        self._clock = FrameClock(dreamer, settings.delay)
        self._has_warned_of_size = False
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

    def run(self) -> None:
        """Play; returns when all has gone out.

        Raises:
            UserError: what ended it, if that was an error.
        """
        hints = self._hints
        jobs: list[tuple[str, Callable[[], None]]] = [
            ("feed", self._feed), ("measure", self._measure), ("ascend", self._ascend),
            ("finish", self._finish), ("present", self._present),
        ]  # fmt: skip
        if self._sound is not None:
            jobs.append(("sound", self._sound.run))
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
                if self._sound is not None:
                    self._sound.add(None)

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
            self._viewer.show_state(self.state())

    def _follow_studio(self) -> None:
        schedule = None if self._link is None else self._link.poll()
        if schedule is not None:
            self._prepare(schedule.at(self.now))
            self.controls.use_schedule(schedule)

    def state(self) -> dict[str, Any]:
        """How it goes now."""
        rate, delay = self.meter.recent()
        return {
            "seconds": self.now, "rate": rate, "delay": delay, "dropped": self._incoming.dropped,
            "quality": str(self.dreamer.pacer.quality), "turned": self.controls.state(),
        }  # fmt: skip

    def change_settings(self, values: dict[str, Any]) -> None:
        """Turn settings, from the next frame on; what a new motif needs is made ready before.

        Raises:
            UserError: see `Controls.change`.
        """
        settings = self.controls.check(values)
        self._prepare(settings)
        self.controls.change(values)

    def _prepare(self, settings: FrameSettings) -> None:
        """Trace what settings ask for; frames go on meanwhile, and are not judged by the clock."""
        with self._clock.excuse_while():
            self.dreamer.prepare(settings)
            self.prepare_sound(settings.depth)

    def prepare_sound(self, depth: float) -> None:
        """Trace what the sound's network needs at a depth."""
        if self._sound is not None:
            self._sound.prepare(depth)

    def _listen(self) -> None:
        assert self._sound is not None
        assert self._settings.microphone is not None
        assert self._anchor is not None
        anchor = self._anchor
        self._sound.listen(
            self._settings.microphone, lambda: anchor + self._source.held_up,
            lambda: self._ended.is_set() or self._stopped.is_set(),
        )  # fmt: skip

    def _feed(self) -> None:
        """Read the source: frames at the rate that is held, all of the sound."""
        due = -1e9
        try:
            for item in self._source:
                if self._anchor is None:
                    self._anchor = item.arrived - item.seconds
                    if self._settings.microphone is not None:
                        threading.Thread(target=self._guard(self._listen), daemon=True).start()
                self._last_arrival = time.monotonic()
                if isinstance(item, Sound):
                    if self._sound is not None and self._settings.microphone is None:
                        self._sound.add(item)
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
            if self._sound is not None and self._settings.microphone is None:
                self._sound.add(None)

    def _measure(self) -> None:
        try:
            while (picture := self._incoming.take()) is not None:
                with self.meter.time("measure") as taken:
                    work = self.dreamer.measure(picture)
                if work.scan.presence > 0 and not work.is_same:
                    self._clock.note("measure", taken[0], work.quality)
                    self._clock.advance(self._incoming.dropped)
                if self.dreamer.has_resized and not self._has_warned_of_size:
                    self._has_warned_of_size = True
                    self._sink.warn(f"{self._source.name}: changed its size; it is fitted into the first one")
                self._measured.put(work)
        finally:
            self._measured.close()

    def _ascend(self) -> None:
        try:
            while (work := self._measured.take()) is not None:
                with self.meter.time("dream") as taken:
                    self.dreamer.ascend(work)
                if work.begins:
                    self._clock.excuse()
                elif work.layers and not work.is_skipped:
                    self._clock.note("dream", taken[0], work.quality)
                self._ascended.put(work)
        finally:
            self._ascended.close()

    def _finish(self) -> None:
        try:
            while (work := self._ascended.take()) is not None:
                with self.meter.time("compose") as taken:
                    rgb = self.dreamer.compose(work)
                    levels = np.rint(rgb[..., ::-1] * 255).astype(np.uint8)
                    _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                if work.layers:
                    self._clock.note("compose", taken[0], work.quality)
                self._clock.finish(work.arrived)
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
            self.meter.show(done.work.arrived, time.monotonic(), done.work.strength, str(done.work.quality))

    def _open_outputs(self) -> list[MediaOutput]:
        """The outputs, opened when the first frame tells their size."""
        if len(self._outputs) < len(self._targets):
            sound = None if self._sound is None else (self._sound.rate, OUTPUT_CHANNELS)
            for name, target in self._targets.items():
                self._outputs[name] = MediaOutput(target, self.dreamer.size, self.rate, sound, self._warn)
        return list(self._outputs.values())

    def _warn(self, text: str) -> None:
        self._sink.warn(to_one_line(text))

    def _send_sound(self, block: SoundBlock) -> None:
        self._viewer.play_sound(block)
        for output in tuple(self._outputs.values()):
            output.add(block.seconds, block)

    def report(self, output: Path | None, take: Path | None) -> LiveReport:
        """What it came to."""
        lost = {name: each.dropped for name, each in self._outputs.items()}
        return LiveReport.measure(
            self.meter, self._source.name, self.why_ended, output=output, take=take,
            cuts=tuple(self.dreamer.cuts), dropped=self._incoming.dropped,
            not_recorded=lost.get("file", 0), not_sent=lost.get("stream", 0), held_up=self._source.held_up,
        )  # fmt: skip
