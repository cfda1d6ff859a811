"""How Sphinx builds the documentation: `make docs`. No network connection is needed."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

from mmdream import __version__

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "mmdream"
author = "The mmdream authors"
copyright = f"{author}, MIT licence"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "commands", "imports", "settings"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
smartquotes = False  # "--depth" is no dash

html_theme = "furo"
html_title = f"mmdream {release}"
html_static_path = ["media"]
html_copy_source = False
html_show_sourcelink = False

default_role = "code"  # docstrings write `name`
highlight_language = "none"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints_format = "short"
toc_object_entries_show_parents = "hide"
nitpicky = True
# What other projects document: their inventories would have to be fetched.
nitpick_ignore_regex = [("py:.*", r"(collections|fractions|numpy|os|pathlib|typing)\..*")]


def show_made(
    app: Sphinx, what: str, name: str, of: object, options: object, form: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write defaults that are made anew for each object as Python: dataclasses have `<factory>`."""
    return form and form.replace("<factory>", "...").replace("= Ellipsis", "= ..."), returns


def setup(app: Sphinx) -> None:
    """Listen to autodoc."""
    app.connect("autodoc-process-signature", show_made)
