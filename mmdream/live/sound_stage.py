"""The thread that dreams a session's sound: from what comes, of the source or of a microphone, to blocks."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from contextlib import closing, suppress

from mmdream.live.controls import Controls
from mmdream.live.microphone import RATE as MICROPHONE_RATE
from mmdream.live.microphone import read_microphone
from mmdream.live.report import LiveMeter
from mmdream.live.sound import SoundBlock, SoundDreamer, prepare_sound
from mmdream.live.source import Sound
from mmdream.networks.network import Network
from mmdream.settings.recipe import Recipe

MAX_JUMP_SECONDS = 0.08
"""By which a sound may leave its own clock before it begins anew."""
MAX_WAITING = 400
"""Stretches of sound that wait; then what is oldest goes."""
LATE_SECONDS, LOST_SECONDS = 0.1, 1.0
"""By which a stretch may be late and still be dreamed, and by which it may be late at all. Later ones are
passed on as they are, and then left out: what is nearer to its time comes behind them."""


class SoundStage:
    """Dreams what `add` is given, in the thread that calls `run`, until `end`; blocks go to `send`."""

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        controls: Controls,
        meter: LiveMeter,
        source_rate: int,
        send: Callable[[SoundBlock], None],
    ) -> None:
        """`source_rate` is that of the source's sound; 0: it has none, and a microphone is heard."""
        self._network, self._recipe, self._controls, self._meter = network, recipe, controls, meter
        self._send = send
        self.rate = source_rate or MICROPHONE_RATE
        self._sounds: queue.Queue[Sound | None] = queue.Queue(MAX_WAITING)

    def prepare(self, depth: float) -> None:
        """Trace what the network needs at a depth."""
        prepare_sound(self._network, self.rate, self._recipe.sound_wishes, depth)

    def add(self, sound: Sound | None) -> None:
        """Take the next stretch, in place of the oldest where too many wait; None: there are no more."""
        while True:
            try:
                self._sounds.put_nowait(sound)
                return
            except queue.Full:
                with suppress(queue.Empty):
                    self._sounds.get_nowait()

    def listen(self, device: str, anchor: Callable[[], float], is_over: Callable[[], bool]) -> None:
        """Take what a microphone hears; `anchor` tells the wall's time at the session's second 0.

        Raises:
            UserError: it cannot be opened.
        """
        end: float | None = None
        try:
            with closing(read_microphone(device)) as heard:
                for samples, rate in heard:
                    if is_over():
                        break
                    now = time.monotonic()
                    begin = now - anchor() - samples.shape[1] / rate
                    # Samples follow each other; the wall's clock counts where some were lost.
                    if end is None or abs(begin - end) > MAX_JUMP_SECONDS:
                        end = begin
                    self.add(Sound(samples, rate, end, now))
                    end += samples.shape[1] / rate
        finally:
            self.add(None)

    def run(self) -> None:
        """Dream what comes; a gap or a jump begins anew."""
        dreamer: SoundDreamer | None = None
        expected = 0.0
        while (item := self._sounds.get()) is not None:
            late, seconds = time.monotonic() - item.arrived, item.samples.shape[1] / item.rate
            if late > LATE_SECONDS:
                self._meter.plain_sound += seconds
            if late > LOST_SECONDS:
                continue
            if dreamer is not None and (
                abs(item.seconds - expected) > MAX_JUMP_SECONDS or item.rate != dreamer.rate
            ):
                self._send_all(dreamer.flush())
                dreamer = None
            if dreamer is None:
                dreamer = SoundDreamer(
                    self._network, item.rate, len(item.samples), item.seconds, self._recipe.sound_wishes,
                    self._controls.at_sound, self._recipe.seed,
                )  # fmt: skip
                expected = item.seconds
            with self._meter.time("sound"):
                blocks = dreamer.feed(item.samples, climbs=late <= LATE_SECONDS)
            expected += seconds
            for block in blocks:
                self._meter.sound_delays.append(
                    time.monotonic() - (item.arrived - item.seconds + block.seconds)
                )
            self._send_all(blocks)
        if dreamer is not None:
            self._send_all(dreamer.flush())

    def _send_all(self, blocks: list[SoundBlock]) -> None:
        for block in blocks:
            self._send(block)
