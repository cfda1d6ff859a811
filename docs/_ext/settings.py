"""A directive for every setting, by its definition; and what autodoc shows of the classes that hold them."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import MISSING, fields
from importlib import import_module
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import mmdream.settings
from mmdream import Recipe
from mmdream.settings.definition import MEDIA, Setting, field_types, metadata, options


class Settings(SphinxDirective):
    """``settings``: a table for each group, in the order of their definitions."""

    def run(self) -> list[nodes.Node]:
        """Write the tables in Markdown and have them read."""
        groups: dict[str, list[str]] = {}
        media = {
            each: {option.name for option in options(Recipe, frozenset({each}))} for each in sorted(MEDIA)
        }
        for each in options(Recipe):
            about = each.setting
            shown = not each.form and isinstance(each.default, str | int | float)
            default = about.default_text or (f"`{each.default}`" if shown else "")
            cells = f"`{each.name}`", f"`{'.'.join(each.path)}`", about.help, values(each.kind), default
            row = " | ".join(
                (*cells, ", ".join(medium for medium, names in media.items() if each.name in names))
            )
            groups.setdefault(about.group, []).append(f"| {row} |")
        head = "| setting | in Python | what it does | values | default | for |\n|---|---|---|---|---|---|\n"
        text = "\n\n".join(f"## {group}\n\n{head}" + "\n".join(rows) for group, rows in groups.items())
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def values(kind: Any) -> str:
    """The range or the choices of a type."""
    if get_origin(kind) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(kind))
    ends = [each for each in getattr(kind, "__metadata__", ()) if hasattr(each, "ge")]
    for each in ends:
        if each.le is not None:
            return f"{each.ge if each.gt is None else each.gt:g} to {each.le:g}"
    return next(filter(None, map(values, get_args(kind))), "")


def show_plainly(cls: Any) -> None:
    """Have types shown without what `setting` says of them, and defaults as Python."""
    field_types(cls)  # Is remembered, with all.
    cls.__annotations__ = types = get_type_hints(cls)
    defaults = ((each.name, each.default) for each in fields(cls))
    made = {name: inspect.Parameter.empty if default is MISSING else default for name, default in defaults}
    made |= {each.name: ... for each in fields(cls) if each.default_factory is not MISSING}
    cls.__signature__ = inspect.Signature(
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=made[name], annotation=kind)
        for name, kind in types.items()
        if name in made
    )


def classes() -> Iterator[Any]:
    """Every class of settings that checks its values."""
    for module in pkgutil.iter_modules(mmdream.settings.__path__, "mmdream.settings."):
        for each in vars(import_module(module.name)).values():
            if (
                isinstance(each, type)
                and hasattr(each.__init__, "__wrapped__")
                and each.__module__ == module.name
            ):
                yield each


def describe(app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Give a field the help, the range and the unit of its setting."""
    if what != "attribute":
        return
    meta = HELP.get(name.rpartition(".")[0].rpartition(".")[2], {}).get(name.rpartition(".")[2])
    about = meta.extra["setting"] if meta is not None and meta.extra else Setting()
    if about.help and not any(lines):
        span = values(Annotated[float, meta])
        ends = f" Range: {span}{about.unit and f' {about.unit}'}." if span else ""
        unit = f" Unit: {about.unit}." if about.unit and not span else ""
        lines[:] = [about.help + ends + unit]
    # Or napoleon would take what stands before a colon for the type.
    lines[:0] = ["..", ""]


HELP = {each.__name__: {k: metadata(kind) for k, kind in field_types(each).items()} for each in classes()}


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive, and listen before napoleon does."""
    for each in classes():
        show_plainly(each)
    app.add_directive("settings", Settings)
    app.connect("autodoc-process-docstring", describe, priority=400)
    return {"parallel_read_safe": True}
