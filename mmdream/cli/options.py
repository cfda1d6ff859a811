"""Options of the commands, made of the definitions of settings, and settings made of the options given."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from functools import partial, wraps
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import typer

from mmdream.core.errors import UserError
from mmdream.settings.added_sound import with_added_sound
from mmdream.settings.definition import (
    CLIMB,
    DREAM,
    PASSES,
    RESULT,
    Option,
    TextForm,
    checked,
    parse,
    setting,
)
from mmdream.settings.files import (
    DEFAULT_PRESET,
    WALK_KEYS,
    json_schema,
    list_presets,
    load_preset,
    parse_pass,
    preset_sound_target,
    read_mask_curves,
    read_passes,
    read_schedule,
    read_walk_keys,
)
from mmdream.settings.passes import Mask, Pass, Style, parse_style
from mmdream.settings.recipe import Recipe
from mmdream.settings.targets import Targets, Term, parse_target

T = TypeVar("T")


@checked
@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where a result goes."""

    output: Path | None = setting(None, "Name of the result.", RESULT, "OUT")
    overwrite: bool = setting(False, "Replace an existing result.", RESULT)
    json: bool = setting(False, "Print the report as one JSON object and nothing else.", RESULT)


@checked
@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """What the schedule builds on."""

    schedule: Path | None = setting(None, "Settings that change over time.", CLIMB, "FILE.toml")
    preset: str | None = setting(None, f"A ready look and sound: {', '.join(list_presets())}.", DREAM, "NAME")
    together: float | None = setting(
        None, "0..1: dream of the same in picture and sound; sets both of the next.", DREAM, "A", 0, 1
    )


STYLE_HELP = "Dream, and then paint in the style of this picture; repeat to blend."
STYLE_FORM = TextForm("style", "PICTURE[=W]", STYLE_HELP, parse_style)
PASS_FORM = TextForm(
    "pass",
    "PASS",
    "dream:SETTING=VALUE,... or style=PICTURE:SETTING=VALUE,...; repeat, in order. Settings: those of the "
    "schedule, from=3s, to=8s, fade=1s, mask=FILE, net; of a style content-weight, style-scale.",
    parse_pass,
)


@checked
@dataclass(frozen=True, slots=True)
class PassOptions:
    """Passes over a film."""

    passes: tuple[Pass, ...] = setting((), group=PASSES, forms=(PASS_FORM,))
    styles: tuple[tuple[Path, float], ...] = setting((), group=PASSES, forms=(STYLE_FORM,))


class Given:
    """The options of one command that were given, as text."""

    def __init__(self, options: tuple[Option, ...], values: dict[str, Any]) -> None:
        self.options = options
        self.values = {name: value for name, value in values.items() if value not in (None, False, [])}

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def settings(self, base: T) -> T:
        """Settings with what was given of them."""
        tree: dict[str, Any] = {}
        for option in self.options:
            if option.owner is not type(base) or option.name not in self:
                continue
            text, branch, name = self.values[option.name], tree, option.path[-1]
            for step in option.path[:-1]:
                branch = branch.setdefault(step, {})
            if option.form is not None:
                branch[name] = (*branch.get(name, ()), *map(option.form.read, text))
            else:
                branch[name] = parse(option.kind, text, option.name, strict=False)
        return _replaced(base, tree)


def takes(*groups: Iterable[Option]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options; it is handed them as `Given`."""
    every = tuple(chain(*groups))

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True).parameters.values()
        arguments = [each for each in own if each.annotation is not Given]

        @wraps(function)
        def command(**values: Any) -> None:
            given = Given(every, {each.name: values.pop(_parameter_name(each)) for each in every})
            function(**values, given=given)

        command.__signature__ = inspect.Signature([*arguments, *map(_parameter, every)])  # type: ignore[attr-defined]
        return command

    return decorate


def argument(metavar: str, help: str) -> Any:
    """What stands on the command line without a name before it."""
    return typer.Argument(metavar=metavar, help=help, show_default=False)


def pick(every: Iterable[Option], names: str, group: str = "") -> list[Option]:
    """Some of the options, in the order of their names, in a panel of their own if one is named."""
    known = {each.name: each for each in every}
    picked = [known[name] for name in names.split()]
    if not group:
        return picked
    return [replace(each, setting=replace(each.setting, group=group)) for each in picked]


def without(every: Iterable[Option], names: str) -> list[Option]:
    """The options but for some."""
    return [each for each in every if each.name not in names.split()]


def for_added_sound(recipe: Recipe, given: Given) -> Recipe:
    """A recipe for a film without sound, see `with_added_sound`, but for what was said."""
    keep = {"invent"} if "invent" in given else set()
    if any(name in given for name in ("seen-to-heard", "together", "schedule")):
        keep.add("seen_to_heard")
    return with_added_sound(recipe, keep)


def build_recipe(given: Given, medium: Literal["film", "image", "audio"], natural: bool = False) -> Recipe:
    """A recipe as it was given: an option replaces a whole curve, the schedule file overrides the preset.

    A sound has no passes, and a picture no sound. `natural` is `AscentOptions.natural`.
    """
    plan = given.settings(ScheduleOptions())
    schedule = load_preset(plan.preset or DEFAULT_PRESET)
    if plan.schedule is not None:
        schedule = read_schedule(plan.schedule, schedule)
        if read_walk_keys(plan.schedule) and not any(each.name == "generator" for each in given.options):
            raise UserError(f"{plan.schedule}: keys of {' and '.join(WALK_KEYS)} are for `mmdream walk`")
    if plan.together is not None:
        schedule = schedule.with_settings(heard_to_seen=plan.together, seen_to_heard=plan.together)
    base = Recipe(schedule=schedule)
    recipe = given.settings(replace(base, manner=replace(base.manner, natural=natural)))
    targets = recipe.sound_wishes
    if medium != "image":
        targets = build_sound_targets(targets, recipe.wishes.terms, recipe.sound_net, plan.preset)
    passes = () if medium == "audio" else _build_passes(given, plan.schedule)
    recipe = replace(recipe, passes=passes, sound_wishes=targets)
    if not recipe.schedule.prompt:
        return recipe
    from mmdream.prompts.resolve import resolve_prompts  # Likewise.

    return resolve_prompts(
        recipe, partial(typer.echo, err=True), picture=medium != "audio", sound=medium != "image"
    )


def build_mask(given: Given, curves: Mapping[str, Any] | None = None) -> Mask | None:
    """Where a dream is to act, by options and by `curves`, which options replace; None: everywhere."""
    names = {each.name for each in given.options if each.owner is Mask and each.name in given}
    if not names and not curves:
        return None
    if not names - {"feather"} and not (curves or {}).keys() - {"feather"}:
        raise UserError("--feather goes with --mask, whose edges it fades")
    return given.settings(Mask(**(curves or {})))


def build_sound_targets(
    own: Targets, image_terms: tuple[Term, ...], net: str, preset: str | None = None
) -> Targets:
    """What a sound climbs: its `own`, or the picture's classes that its network knows, or the preset's."""
    targets = tuple(term for term in image_terms if term.kind == "target")
    if not targets and preset is not None and (target := preset_sound_target(preset)) is not None:
        targets = (parse_target(target),)
    if own.terms or own.guide is not None or not targets:
        return own
    from mmdream.networks.registry import load_card  # Here, so that --help does not wait for numpy.

    card = load_card(net, "sound")
    return replace(own, terms=tuple(term for term in targets if card.has_class(term.name)))


def schema() -> None:
    """Print the JSON schema of schedule files and presets, and of all settings of a dream."""
    typer.echo(json.dumps(json_schema(), indent=1))


def _build_passes(given: Given, file: Path | None) -> tuple[Pass, ...]:
    """What is done to a picture, one after the other; none: one dream."""
    plan = given.settings(PassOptions())
    in_file = () if file is None else read_passes(file)
    ways = {"--pass": plan.passes, "--style": plan.styles, "a schedule file with [[pass]]": in_file}
    if len(names := [name for name, way in ways.items() if way]) > 1:
        raise UserError(f"{' and '.join(names)}: give the passes in one way")
    passes = plan.passes or in_file
    if plan.styles:
        passes = Pass(), Pass(Style(plan.styles))
    mask = build_mask(given, {} if file is None else read_mask_curves(file))
    if mask is None:
        return passes
    return tuple(replace(each, mask=each.mask or mask) for each in passes or (Pass(),))


def _replaced(base: Any, tree: dict[str, Any]) -> Any:
    values = {
        name: _replaced(getattr(base, name), value) if isinstance(value, dict) else value
        for name, value in tree.items()
    }
    return replace(base, **values) if values else base


def _parameter_name(option: Option) -> str:
    """Of a Python parameter: with an underscore behind it, for "from" and "pass" are no names."""
    return f"{option.name.replace('-', '_')}_"


def _parameter(option: Option) -> inspect.Parameter:
    """An option as typer reads it. All values are text, and checked where settings are made of them."""
    is_flag, default = option.kind.__origin__ is bool, _default(option)
    kind: Any = bool if is_flag else list[str] | None if option.form else str | None
    names = ["-o"] if option.name == "output" else []
    metavar, kinds = (option.form or option.setting).metavar, get_args(option.kind)[0]
    about = typer.Option(
        *names,
        f"--{option.name}",
        metavar=metavar or "|".join(each for each in get_args(kinds) if isinstance(each, str)) or None,
        # As typer would write it, which puts brackets round a text.
        help=option.setting.help + (f" [dim]\\[default: {default}][/dim]" if default else ""),
        show_default=False,
        rich_help_panel=option.setting.group or None,
    )
    return inspect.Parameter(
        _parameter_name(option),
        inspect.Parameter.KEYWORD_ONLY,
        default=False if is_flag else None,
        annotation=Annotated[kind, about],
    )


def _default(option: Option) -> str:
    value = option.default
    if option.setting.default_text or option.form or value is None or is_dataclass(value) or value is False:
        return option.setting.default_text
    return f"{value:g}" if isinstance(value, float) else str(value)
