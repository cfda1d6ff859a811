"""One film dreamed from end to end: looked at, dreamed in picture and sound at once, joined, verified."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.errors import Interrupted, UserError
from mmdream.film import frames, mux, proof
from mmdream.film.shots import Scan, scan
from mmdream.film.source import Film, Picture
from mmdream.film.waves import Extract
from mmdream.jobs.memory import keep_freed_memory
from mmdream.jobs.order import Order, wanted
from mmdream.jobs.picture import Clock, Meter, Painter
from mmdream.jobs.remaining import costs, estimating, expected_work
from mmdream.jobs.sound import dream_track
from mmdream.jobs.watch import Preview, shown
from mmdream.listen import Listener
from mmdream.networks.card import card
from mmdream.networks.network import load, precision
from mmdream.recipe import Recipe, working_size
from mmdream.report import Report, changes
from mmdream.sound.dream import SoundReport

LONG = 20.0
"""Seconds of expected work from which on a cheaper choice is offered."""


def render(
    film: Film,
    out: Path,
    recipe: Recipe,
    order: Order,
    listener: Listener,
    work: Path,
    live: Path | None = None,
) -> Report:
    """Dream a film.

    Args:
        film: the source.
        out: the name that the result has in `work`; its suffix chooses the container.
        recipe: how to dream.
        order: which part of it, and what to keep.
        listener: told about plan and progress.
        work: a folder for what lies between source and result.
        live: a picture file that shows the newest frame.

    Returns:
        The report, without the name of the output.

    Raises:
        UserError: see `wanted`; no frame in the excerpt, no room on the disk.
        Interrupted: the user wants to stop.
    """
    began = time.perf_counter()
    keep_freed_memory()
    picture, track = wanted(film, order)
    clock, stop = Clock(), threading.Event()
    with clock.time("scan"):
        found = scan(frames.read(film, order.start, order.end, strict=order.strict, on_warning=listener.warn))
    if not found.pts:
        raise UserError(f"{film.path}: has no frame between the start and the end that were asked for")
    painter = None if order.keep_picture else _painter(picture, recipe, clock, stop)
    ear = (
        load(card(recipe.sound_net, "sound"), recipe.sound_weights, "float32", recipe.seed) if track else None
    )
    preview = None if live is None else Preview(live, recipe.net, picture.sar)
    if painter is not None:
        _announce(painter, found, listener)
        work_ahead = expected_work(found, film.start, recipe, painter.size, costs(painter))
        listener = estimating(listener, work_ahead, ear is not None)
    meter, heard = Meter(), list[tuple[Extract, SoundReport]]()

    def paint() -> None:
        assert painter is not None
        source = frames.read(film, order.start, order.end)
        writer = frames.Writer(work / "picture.mid", picture, out.suffix.lower(), found.time_base)
        dreams = shown(painter.dreams(source, found.shots), preview, 0, len(found.pts))
        with writer, closing(dreams):
            for dreamed in dreams:
                with clock.time("encode"):
                    writer.write(dreamed.rgb, dreamed.frame.pts)
                meter.add(dreamed)
                listener.progress("picture", meter.frames, len(found.pts))

    def sing() -> None:
        assert track is not None
        assert ear is not None
        span = order.start, order.end
        with clock.time("sound"):
            heard.append(dream_track(film, track, span, ear, recipe, listener, work, stop.is_set))

    with clock.time("wall"):
        _side_by_side([paint] * (painter is not None) + [sing] * (ear is not None), stop)
    with clock.time("join"):
        first = found.pts[0] * found.time_base - film.start
        mux.join(
            film,
            work / "picture.mid" if painter else None,
            work / "sound.wav" if heard else None,
            work / out.name,
            start=order.start,
            end=order.end,
            lead=first - heard[0][0].start if heard else Fraction(0),
            keep_picture=order.keep_picture,
            keep_sound=order.keep_sound,
            work=work,
            on_warning=listener.warn,
        )
        proven = _prove(film, work / out.name, order, found, painter is not None, heard)
    return _report(painter, meter, heard[0][1] if heard else None, proven, clock, began)


def _painter(picture: Picture, recipe: Recipe, clock: Clock, stop: threading.Event) -> Painter:
    about = card(recipe.net, "picture")
    number_format = precision(recipe.precision, about)
    network = load(about, recipe.weights, number_format, recipe.seed)
    same = number_format == "float32"
    judge = network if same else load(about, recipe.weights, "float32", recipe.seed)
    width, height = working_size(recipe.size, picture.width, picture.height)
    rate = max(1, round(picture.rate or 25))
    return Painter(recipe, network, judge, (height, width), rate, clock, stop.is_set)


def _announce(painter: Painter, found: Scan, listener: Listener) -> None:
    """Before the run: frames, expected minutes and, if it is long, a cheaper choice."""
    height, width = painter.size
    seconds = painter.expected_seconds(len(found.pts), len(found.shots))
    wait_for = f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{math.ceil(seconds)} seconds"
    cheaper = f"; cheaper: --size {min(height, width) * 2 // 3}p" if seconds > LONG else ""
    listener.say(
        f"{len(found.pts)} frames at {width}x{height} with {painter.network.card.name}: "
        f"about {wait_for}{cheaper}"
    )


def _side_by_side(jobs: list[Callable[[], None]], stop: threading.Event) -> None:
    """Run jobs in threads; the first that fails, or Ctrl-C, stops the others."""
    with ThreadPoolExecutor(max(1, len(jobs))) as pool:
        running = [pool.submit(job) for job in jobs]
        try:
            # The main thread only waits, so it hears Ctrl-C at once.
            wait(running, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
    errors = [error for job in running if (error := job.exception()) is not None]
    # Jobs that were stopped because of another's failure say Interrupted; the failure itself is the news.
    for error in sorted(errors, key=lambda error: isinstance(error, Interrupted)):
        raise error


def _prove(
    film: Film,
    path: Path,
    order: Order,
    found: Scan,
    dreamed_picture: bool,
    heard: list[tuple[Extract, SoundReport]],
) -> proof.Proof:
    """Read the result back; second `order.start` of the source is its second 0."""
    zero = order.start or Fraction(0)
    stamps = np.asarray(found.pts) * float(found.time_base) - float(film.start + zero)
    laid = heard[0][0] if heard else None
    return proof.check(
        film,
        path,
        stamps if dreamed_picture else None,
        laid.n_samples if laid else None,
        film.sounds[0].rate if laid else None,
        sound_start=laid.start - zero if laid else None,
    )


def _report(
    painter: Painter | None,
    meter: Meter,
    sound: SoundReport | None,
    proven: proof.Proof,
    clock: Clock,
    began: float,
) -> Report:
    gains, strengths, formats, schedules = {}, {}, {}, {}
    if painter is not None:
        gains["picture"] = meter.dream / max(meter.source, 1e-12)
        strengths["picture"] = meter.strength / max(meter.frames, 1)
        formats["picture"] = painter.network.precision
        schedules["picture"] = tuple(meter.used)
    if sound is not None:
        gains["sound"], strengths["sound"] = sound.objective_gain, sound.strength
        formats["sound"], schedules["sound"] = "float32", changes(sound.schedule)
    return Report(
        frames=proven.frames,
        repeated=meter.repeated,
        seconds=proven.seconds,
        drift_ms=proven.drift_ms,
        loudness_source=sound.loudness_source if sound else None,
        loudness_dream=sound.loudness_dream if sound else None,
        true_peak=sound.true_peak if sound else None,
        objective_gain=gains,
        strength=strengths,
        precision=formats,
        wall_seconds=time.perf_counter() - began,
        schedule=schedules,
        timing=dict(clock.seconds),
    )
