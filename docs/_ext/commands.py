"""A directive for every command, panel and option of the command line, as the program itself defines them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mmdream.cli.app import app

DEFAULT = re.compile(r"\s*(?:\[dim\]\\)?\[(?:default: (?P<default>.*?)|(?P<note>[^:]*))\](?:\[/dim\])?$")
"""What the help writes behind an option's text."""


class Commands(SphinxDirective):
    """``commands``: a section for each command, in the order of `mmdream --help`."""

    def run(self) -> list[nodes.Node]:
        """Write the sections in Markdown and have them read."""
        text = "\n".join(told(typer.main.get_command(app), "mmdream"))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def told(command: Any, name: str) -> Iterator[str]:
    """The Markdown of a command and of those below it."""
    if hasattr(command, "load"):
        command = command.load()
    if hasattr(command, "load"):
        command = command.load()
    if hasattr(command, "commands"):
        for each, below in command.commands.items():
            yield from told(below, f"{name} {each}")
        return
    context = command.context_class(command, info_name=name)
    usage = command.get_usage(context).removeprefix("Usage:").strip()
    yield from (f"## {name}", "", command.help or "", "", "```text", usage, "```", "", ":::{program} " + name,
                ":::", "")  # fmt: skip
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        if not getattr(parameter, "hidden", False):
            is_argument = parameter.param_type_name == "argument"
            usual = "Arguments" if is_argument else "Options"
            panels.setdefault(parameter.rich_help_panel or usual, []).append(parameter)
    for panel, parameters in panels.items():
        if len(panels) > 1:
            yield from (f"**{panel}**", "")
        for parameter in parameters:
            yield from option(*parameter.get_help_record(context))


def option(form: str, text: str) -> Iterator[str]:
    """The Markdown of one option: its form, and what the help says of it."""
    behind = DEFAULT.search(text)
    text = DEFAULT.sub("", text)
    if behind is not None:
        text += (
            f" *Default: {behind['default']}.*" if behind["default"] else f" *{behind['note'].capitalize()}.*"
        )
    yield from (":::{option} " + form, text, ":::", "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
