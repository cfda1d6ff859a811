"""What a command line's options come to: schedules, wishes, manners, or one line that says why not."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdream.cli.options import ObjectiveMeasure
from mmdream.cli.options_picture import Optimizer
from mmdream.core.errors import UserError
from mmdream.settings.files import DEFAULT_PRESET, parse_pass, preset_sound_target, read_passes, read_schedule
from mmdream.settings.files import load_preset as named
from mmdream.settings.modulation import Drive, parse_drive
from mmdream.settings.passes import Mask, Pass, Style, parse_style
from mmdream.settings.recipe import AscentOptions
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets, Term, parse_channel, parse_layer, parse_target

if TYPE_CHECKING:
    from mmdream.render.feedback_audio import FeedbackSettings
    from mmdream.render.zoom_video import ZoomAudio, ZoomSettings


def build_schedule(
    preset: str | None,
    file: Path | None,
    octaves: int | None,
    octave_scale: float | None,
    steps: int | None,
    depth: float | None,
    strength: float | None,
    motif: str | None = None,
) -> Schedule:
    """The schedule that is asked for: a flag replaces a whole curve, the file overrides the preset."""
    base = named(preset or DEFAULT_PRESET)
    if file is not None:
        base = read_schedule(file, base)
    return base.with_settings(
        octaves=octaves, octave_scale=octave_scale, steps=steps, depth=depth, strength=strength, motif=motif
    )


def build_ascent_options(
    optimizer: Optimizer, wander: float, flatten: float, natural: bool = False
) -> AscentOptions:
    """How the picture is to climb."""
    return AscentOptions(optimizer.value, wander, flatten, natural)


def build_mask(path: Path | None, feather: float | None) -> Mask | None:
    """Where a dream is to act; None: everywhere.

    Raises:
        UserError: a feather without a mask, or out of range.
    """
    if path is None:
        if feather is not None:
            raise UserError("--feather goes with --mask, whose edges it fades")
        return None
    return Mask(path) if feather is None else Mask(path, feather)


def build_targets(
    layers: list[str] | None,
    channels: list[str] | None,
    targets: list[str] | None,
    guide: Path | None,
    measure: ObjectiveMeasure,
) -> Targets:
    """What the picture is to climb; a guide alone is looked for at the schedule's depth."""
    return Targets(build_terms(layers, channels, targets), measure.value, guide)


def build_feedback(
    count: int | None,
    how: str | None,
    guard: bool,
    layers: list[str] | None,
    drawn: bool,
    drives: list[str] | None,
) -> tuple[FeedbackSettings | None, list[str] | None]:
    """How a sound is to be dreamed again (None: it is not), and the layers without "iterate".

    Raises:
        UserError: what makes sense only with --ouroboros stands without it, or the other way round.
    """
    iterate = "iterate" in (layers or ())
    if count is None:
        refuse_without_ouroboros({"--transform": how, "--no-guard": not guard, "--layer iterate": iterate})
        return None, layers
    if drawn:
        raise UserError("--plot and --plot-steps draw one dream; leave them out with --ouroboros")
    if drives:
        raise UserError("--drive follows one sound, and each clip is another; leave it out with --ouroboros")
    from mmdream.audio.transform import parse_transform
    from mmdream.render.feedback_audio import (
        FeedbackSettings,  # Here, so that --help does not wait for numpy.
    )

    turns = FeedbackSettings(count, parse_transform(how or "none"), iterate, guard)
    return turns, [layer for layer in layers or () if layer != "iterate"]


def build_zoom(
    seconds: float | None,
    motion: dict[str, Any],
    fps: float | None,
    with_sound: bool,
    sound: Path | None,
    how: str | None,
) -> tuple[ZoomSettings | None, ZoomAudio | None]:
    """The film that a picture is to become, and the sound beside it; None: none.

    Args:
        seconds: of the film.
        motion: zoom, rotate and shift, as they were given.
        fps: frames a second.
        with_sound: whether a sound is dreamed beside it.
        sound: of what.
        how: what the sound goes through between its clips.

    Raises:
        UserError: what makes sense only with --ouroboros stands without it; values out of range.
    """
    if seconds is None:
        moved = {f"--{name}": value is not None for name, value in motion.items()}
        refuse_without_ouroboros({**moved, "--fps": fps is not None, "--with-sound": with_sound})
    if not with_sound:
        for option, asked in {"--sound": sound, "--transform": how}.items():
            if asked:
                raise UserError(f"{option} goes with --with-sound")
    if seconds is None:
        return None, None
    from mmdream.audio.transform import parse_transform
    from mmdream.image.motion import CameraMotion, parse_shift
    from mmdream.render.feedback_audio import (
        FeedbackSettings,  # Here, so that --help does not wait for numpy.
    )
    from mmdream.render.zoom_video import DEFAULT_FRAME_RATE, ZoomAudio, ZoomSettings

    given = {name: value for name, value in motion.items() if value is not None}
    if "shift" in given:
        given["shift"] = parse_shift(given["shift"])
    rate = Fraction(DEFAULT_FRAME_RATE) if fps is None else parse_frame_rate(fps)
    heard = ZoomAudio(sound, FeedbackSettings(1, parse_transform(how or "none"))) if with_sound else None
    return ZoomSettings(seconds, CameraMotion(**given), rate), heard


def parse_frame_rate(fps: float) -> Fraction:
    """A rate as a short fraction; 23.976, 29.97 and 59.94 are NTSC's.

    Raises:
        UserError: not a number.
    """
    if not math.isfinite(fps):
        raise UserError(f"--fps is {fps}; give a number, for example 25")
    ntsc = Fraction(round(fps) * 1000, 1001)
    return ntsc if abs(float(ntsc) - fps) < 0.002 else Fraction(fps).limit_denominator(1000)


def refuse_without_ouroboros(options: dict[str, Any]) -> None:
    """Refuse what makes sense only with --ouroboros.

    Raises:
        UserError: one of the options is given.
    """
    for option, given in options.items():
        if given:
            raise UserError(f"{option} goes with --ouroboros, which dreams again and again")


def build_passes(
    texts: list[str] | None,
    styles: list[str] | None,
    file: Path | None,
    mask: Mask | None,
) -> tuple[Pass, ...]:
    """What is to be done to a film's picture, one after the other; none: one dream.

    Args:
        texts: passes, as they were given.
        styles: paintings: a dream, and then their style.
        file: a schedule file, which may hold passes.
        mask: where passes act that have none of their own.

    Raises:
        UserError: passes are given in two ways, or are no passes.
    """
    filed = () if file is None else read_passes(file)
    ways = {"--pass": texts, "--style": styles, "a schedule file with [[pass]]": filed}
    given = [name for name, way in ways.items() if way]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)}: give the passes in one way")
    passes = tuple(map(parse_pass, texts or ())) or filed
    if styles:
        passes = Pass(), Pass(Style(tuple(map(parse_style, styles))))
    if mask is None:
        return passes
    return tuple(replace(each, mask=each.mask or mask) for each in passes or (Pass(),))


def build_terms(
    layers: list[str] | None, channels: list[str] | None, targets: list[str] | None
) -> tuple[Term, ...]:
    """Layers, channels and classes to climb."""
    return (
        *map(parse_layer, layers or ()),
        *map(parse_channel, channels or ()),
        *map(parse_target, targets or ()),
    )


def build_drives(texts: list[str] | None) -> tuple[Drive, ...]:
    """What is to follow the film."""
    return tuple(map(parse_drive, texts or ()))


def build_sound_targets(own: Targets, seen: tuple[Term, ...], net: str, preset: str | None = None) -> Targets:
    """What a sound is to climb: what is asked of it, or the picture's classes that it knows, or the preset's.

    Args:
        own: what is asked of the sound.
        seen: what is asked of the picture.
        net: the sound network.
        preset: may wish for a class too.
    """
    targets = tuple(term for term in seen if term.kind == "target")
    if not targets and preset is not None and (wished := preset_sound_target(preset)) is not None:
        targets = (parse_target(wished),)
    if own.terms or own.guide is not None or not targets:
        return own
    from mmdream.networks.registry import load_card  # Here, so that --help does not wait for numpy.

    about = load_card(net, "sound")
    return replace(own, terms=tuple(term for term in targets if about.has_class(term.name)))
