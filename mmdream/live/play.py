"""What `mmdream live` does: everything loaded and checked, then played, recorded and told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.image.feedforward import load_dreamer
from mmdream.image.hints import measure_departures
from mmdream.live.controls import Controls
from mmdream.live.microphone import check_microphone
from mmdream.live.outputs import RECORDING_SUFFIXES, parse_stream, recording_target
from mmdream.live.picture import TRACED_SIZE, HintWatcher, PictureDreamer, TaughtDreamer
from mmdream.live.report import LiveReport
from mmdream.live.session import LiveSession, Viewer, held_rate
from mmdream.live.source import FrameFitter, LiveSource, open_source
from mmdream.live.studio_link import StudioLink
from mmdream.networks.dreamer_card import find_dreamers
from mmdream.networks.network import Network
from mmdream.render.hints import hinted_networks
from mmdream.render.models import load_audio_network, load_image_network, locate_image_network
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.feedforward import FeedforwardPass
from mmdream.render.passes.load import BoundPass
from mmdream.settings.live import LiveSettings
from mmdream.settings.passes import Span
from mmdream.settings.recipe import Recipe


def check_live(recipe: Recipe, settings: LiveSettings, output: Path | None, overwrite: bool) -> Path | None:
    """What can be refused before anything is opened; the result's name.

    Raises:
        UserError: a style or a mask, a place that cannot be written to, a take of nothing.
    """
    if recipe.passes:
        raise UserError("live play has one dream; leave out --pass and --style, or use `mmdream video`")
    if settings.to is not None:
        parse_stream(settings.to)
    if settings.take and output is None:
        raise UserError("--take keeps OUT.take.toml; name OUT with -o")
    if output is None:
        return None
    checked = check_output_file(None, output, ".mp4", RECORDING_SUFFIXES, overwrite)
    if settings.take and take_path(checked).exists() and not overwrite:
        raise UserError(
            f"{take_path(checked)}: exists already; add --overwrite or choose another name with -o"
        )
    return checked


def take_path(output: Path) -> Path:
    """The schedule file beside a recording."""
    return output.with_name(f"{output.stem}.take.toml")


def play_live(
    name: str,
    recipe: Recipe,
    settings: LiveSettings,
    output: Path | None,
    overwrite: bool,
    sink: EventSink,
    viewer: Viewer,
    on_ready: Callable[[LiveSession], None],
    stop: threading.Event,
) -> LiveReport:
    """Play a source to its end, or until `stop` is set; the recording gets its name when it is whole.

    `on_ready` is handed the session before its clock runs. Raises `UserError` for what cannot be opened,
    read or written.
    """
    output = check_live(recipe, settings, output, overwrite)
    if settings.microphone is not None:
        check_microphone(settings.microphone)
    source = open_source(name, not settings.no_sound and settings.microphone is None)
    with source.passing_over():
        network = load_image_network(recipe, sink)
        dreamers = load_dreamers(recipe, network)
        has_sound = not settings.no_sound and (source.has_sound or settings.microphone is not None)
        sound_network = load_audio_network(recipe, sink) if has_sound else None
        controls = Controls(recipe.schedule, network.card)
        hinted = hinted_networks((BoundPass(DreamPass(recipe, network), Span()),))[0]
        trace_all(recipe, network, dreamers, hinted)
    with ExitStack() as stack:
        targets = {}
        if output is not None:
            work = stack.enter_context(output_workspace(output, overwrite))
            targets["file"] = recording_target(work / output.name)
        if settings.to is not None:
            targets["stream"] = parse_stream(settings.to)
        hints = HintWatcher(hinted, recipe.seed)
        link = StudioLink(Path(name)) if source.is_file else None
        fitter, rate = FrameFitter(source.orientation), held_rate(source, settings)
        dreamer = PictureDreamer(recipe, network, dreamers, controls, hints, fitter, rate)
        session = LiveSession(
            source, recipe, settings, controls, sound_network, sink, viewer, targets, link, dreamer, hints
        )
        session.prepare_sound(recipe.schedule.at(0.0).depth)
        describe(source, session, dreamers, sink)
        on_ready(session)
        threading.Thread(target=_stop_when_asked, args=(session, stop), daemon=True).start()
        broke_off: UserError | None = None
        try:
            session.run()
        except UserError as error:
            broke_off = error
        if not len(session.meter.shown):
            raise broke_off or UserError(f"{name}: gave no frames; see that it is there and plays")
        take = None
        if settings.take and output is not None:
            take = take_path(output)
            controls.write_take(take, f"What was turned while {name} was played by `mmdream live`.")
    if broke_off is not None:
        kept = "" if output is None or not output.exists() else f"; recorded until then: {output}"
        raise UserError(f"{broke_off}{kept}")
    return session.report(output, take)


def _stop_when_asked(session: LiveSession, stop: threading.Event) -> None:
    stop.wait()
    session.stop()


def load_dreamers(recipe: Recipe, network: Network) -> tuple[TaughtDreamer, ...]:
    """The dreamers of the recipe's network, if it has any; none where layers or classes are asked for."""
    card, weights = locate_image_network(recipe)
    if recipe.wishes.terms:
        return ()
    try:
        found = find_dreamers(card, weights)
    except UserError:
        return ()
    return tuple(TaughtDreamer(each, load_dreamer(each, network)) for each in found)


def trace_all(
    recipe: Recipe, network: Network, dreamers: tuple[TaughtDreamer, ...], hinted: Network | None
) -> None:
    """Do once what takes a second the first time, before the clock runs."""
    DreamPass(recipe, network).prepare_step(TRACED_SIZE)()
    grey = np.full((*TRACED_SIZE, 3), 0.5, np.float32)
    grey += np.random.default_rng(0).normal(0, 0.1, grey.shape).astype(np.float32)
    grey = np.clip(grey, 0, 1)
    settings = recipe.schedule.at(0.0)
    DreamPass(recipe, network).tiring_energies(settings, grey, is_carried=True)
    for each in dreamers:
        renderer = FeedforwardPass(recipe, network, dreamer=each.dreamer)
        counts = network.channel_counts()
        channels = sum(counts[layer] for layer in renderer.dreamer.layers)
        weights = np.ones((9, 12, channels), np.float32)
        renderer.dreamer.directions(grey, np.zeros_like(grey), TRACED_SIZE, weights)
    if hinted is not None:
        measure_departures(hinted, grey)


def describe(
    source: LiveSource, session: LiveSession, dreamers: tuple[TaughtDreamer, ...], sink: EventSink
) -> None:
    """Say what is about to be played."""
    sound = "with its sound" if source.has_sound else "without sound"
    how = "ascent and a dreamer" if dreamers else "ascent alone: this network was never taught a dreamer"
    sink.say(
        f"{source.name}: {session.rate:.3g} frames a second, {sound}; by {how}. What is played depends on "
        "the clock: the same settings give another dream each time"
    )
