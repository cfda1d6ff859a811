"""The command that gives one thing the style of others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mmdream.cli.options import Given, OutputOptions, argument, build_mask, pick, takes
from mmdream.cli.terminal import run_and_print
from mmdream.core.errors import UserError
from mmdream.settings.definition import RESULT, TextForm, checked, options, setting
from mmdream.settings.passes import STYLE_SCHEDULE, AudioStyleSettings, Mask, Pass, Style, parse_style
from mmdream.settings.recipe import Recipe, Selection
from mmdream.settings.schedule import SCHEDULE_LIMITS, Schedule

STYLE_HELP = "A painting, or for a sound a sound, whose texture it is to have; repeat to blend."
STYLE_FORM = TextForm("style", "FILE[=W]", STYLE_HELP, parse_style)


@checked
@dataclass(frozen=True, slots=True)
class StyleOptions:
    """What is styled, and with what."""

    styles: tuple[tuple[Path, float], ...] = setting((), forms=(STYLE_FORM,))
    start: Literal["content", "noise"] = setting(
        "content", "Begin with the content, or with soft noise.", name="from"
    )
    save_steps: bool = setting(False, "Keep the picture after each step, in OUT.steps.", RESULT)


@checked
@dataclass(frozen=True, slots=True)
class SharedOptions:
    """Settings that a picture's style and a sound's have by the same names."""

    content_weight: float | None = setting(
        None,
        "0: the style alone; more keeps more; of a sound 30 the pitch too.",
        metavar="W",
        default_text="1",
    )
    steps: int | None = setting(
        None,
        "Steps towards the style; of a picture at each octave.",
        metavar="N",
        default_text="30; sounds 100",
    )


SEEN, PICTURES, FILMS, SOUNDS = "Pictures and films", "Pictures", "Films", "Sounds"
PANELS = {SEEN: ("picture", "film"), PICTURES: ("picture",), FILMS: ("film",), SOUNDS: ("sound",)}
"""Headings of the options that do not speak to every kind of content, and whom they speak to."""


@takes(
    pick(options(StyleOptions), "style"),
    pick(options(OutputOptions), "output"),
    options(SharedOptions),
    pick(options(Recipe), "seed"),
    pick(options(OutputOptions), "overwrite json"),
    pick(options(Recipe), "net weights", SEEN),
    pick(options(Style), "statistic style-scale smooth", SEEN),
    pick(options(Recipe), "octaves octave-scale strength color", SEEN),
    pick(options(StyleOptions), "from", PICTURES),
    pick(options(Mask), "mask feather", SEEN),
    pick(options(Recipe), "size precision", SEEN),
    pick(options(StyleOptions), "save-steps", PICTURES),
    pick(options(Selection), "start end sound-style", FILMS),
    pick(options(AudioStyleSettings), "keep-rhythm", SOUNDS),
)
def style(
    content: Annotated[Path, argument("CONTENT", "The picture, film or sound to style.")], given: Given
) -> None:
    """Give a picture or a film the style of paintings, or a sound the texture of other sounds.

    The result is CONTENT.styled.png unless -o names it: .png, .jpg, .webp or .tif.
    That of a film is CONTENT.styled.mp4: .mp4, .mov, .webm or .mkv (lossless); its sound is kept.
    That of a sound is CONTENT.styled.wav (float): .wav, .flac, .ogg, .mp3 or .m4a.
    """
    if "style" not in given:
        raise typer.BadParameter("Missing option '--style'.")
    kind = _detect_kind(content)
    _refuse_foreign_options(given, content, kind)
    result, how = given.settings(OutputOptions()), given.settings(StyleOptions())
    shared = given.settings(SharedOptions())
    own_weight = shared.content_weight
    weight: dict[str, Any] = {} if own_weight is None else {"content_weight": own_weight}
    recipe = given.settings(Recipe(schedule=STYLE_SCHEDULE))
    if kind == "sound":
        from mmdream.render.audio_style import style_audio_file

        audio = given.settings(AudioStyleSettings(seed=recipe.seed, **weight))
        audio = audio if shared.steps is None else replace(audio, steps=shared.steps)
        work = partial(style_audio_file, content, how.styles, result.output, audio, result.overwrite)
        run_and_print(result.json, work)
        return
    target, mask = given.settings(Style(how.styles, **weight)), build_mask(given)
    recipe = replace(recipe, schedule=recipe.schedule.with_settings(steps=shared.steps))
    if kind == "picture":
        from mmdream.render.image_style import style_image_file

        run_and_print(
            result.json,
            partial(
                style_image_file,
                content,
                result.output,
                recipe,
                target,
                result.overwrite,
                from_noise=how.start == "noise",
                mask=mask,
                save_steps=how.save_steps,
            ),
        )
        return
    from mmdream import dream_video

    names = (name for name in SCHEDULE_LIMITS if name.replace("_", "-") in given)
    own = tuple((name, recipe.schedule.curve(name)) for name in names)
    recipe = replace(recipe, schedule=Schedule(), passes=(Pass(target, own, mask=mask),))
    selection = given.settings(Selection())
    run_and_print(
        result.json,
        lambda listener: dream_video(
            content,
            result.output or content.with_name(f"{content.stem}.styled.mp4"),
            recipe,
            start=selection.start,
            end=selection.end,
            keep_sound=selection.sound_style is None,
            sound_style=selection.sound_style,
            overwrite=result.overwrite,
            listener=listener,
        ),
    )


def _detect_kind(content: Path) -> str:
    """What a file is: "picture", "sound" or "film"."""
    from mmdream.media.image import is_image
    from mmdream.media.probe import probe

    if is_image(content):
        return "picture"
    return "sound" if probe(content).video is None else "film"


def _refuse_foreign_options(given: Given, content: Path, kind: str) -> None:
    """Refuse options that speak to another medium than the content's: the panel they stand in tells."""
    others = {panel for panel, kinds in PANELS.items() if kind not in kinds}
    for option in given.options:
        if option.name in given and option.setting.group in others:
            panel = option.setting.group.lower()
            raise UserError(f"{content}: is a {kind}; --{option.name} speaks to {panel} alone")
