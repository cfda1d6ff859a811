"""The command that says what networks see and hear.

Work modules are imported inside the command, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mmdream.cli.options import Given, OutputOptions, pick, takes
from mmdream.cli.terminal import print_report, report_to_terminal
from mmdream.core.errors import UserError, to_one_line
from mmdream.settings.definition import NETWORKS, RESULT, checked, options, setting
from mmdream.settings.recipe import Recipe

NET = "NAME|FILE.keras"


@checked
@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """With what a file is looked at and heard, and what is told."""

    net: str | None = setting(
        None, "Network that sees, else dreamnet; or one that hears, for a sound.", NETWORKS, NET
    )
    sound_net: str | None = setting(None, "Network that hears, else melnet.", NETWORKS, NET)
    top: int = setting(5, "Tell so many classes.", RESULT, "N")
    plot: Path | None = setting(
        None, "Draw the classes as lines over time into this file.", RESULT, "PICTURE"
    )


@takes(
    options(ClassifyOptions), pick(options(Recipe), "weights sound-weights"),
    pick(options(OutputOptions), "overwrite json"),
)  # fmt: skip
def classify(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A picture, a sound or a film.", show_default=False)
    ],
    given: Given,
) -> None:
    """Say what networks see and hear in a picture, a sound or a film, with probabilities.

    A film is looked at once a second and heard in windows of two; the means over the film come first.
    """
    from mmdream.classify.run import ClassifierChoice, classify_file
    from mmdream.views.figures import check_figure_path, draw_predictions, write_figure

    how = given.settings(ClassifyOptions())
    weights, sound_weights = (given.values.get(name) for name in ("weights", "sound-weights"))
    choice = ClassifierChoice(how.net, how.sound_net, weights, sound_weights)
    out = None if how.plot is None else check_figure_path(how.plot, "overwrite" in given)
    with report_to_terminal("json" in given) as listener:
        seen = classify_file(source, choice, how.top, listener)
    if out is not None:
        write_figure(draw_predictions(seen.panels()), out, "overwrite" in given)
    print_report(seen, "json" in given)


@takes(pick(options(Recipe), "weights"), pick(options(OutputOptions), "overwrite"))
def nets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One network, in detail.", show_default=False)
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="Draw what the strongest channels of each rung of it see.",
            show_default=False,
        ),
    ] = None,
    *,
    given: Given,
) -> None:
    """List the networks, tell all about one (its rungs, its weights, its licence), or draw what it sees."""
    from mmdream.networks.registry import list_networks, list_variants, load_card

    weights = given.settings(Recipe()).weights

    if gallery is not None:
        if name is None:
            raise UserError("--gallery shows one network; name it: mmdream nets dreamnet --gallery out.png")
        from mmdream.sample.film import render_frames
        from mmdream.views.gallery import PHOTO_SIZE, write_gallery

        with report_to_terminal(False) as listener:
            out = write_gallery(
                name, weights, gallery, "overwrite" in given, render_frames(2, PHOTO_SIZE), listener
            )
        typer.echo(f"{out}")
        return
    if weights is not None:
        raise UserError("--weights goes with --gallery; nothing else here needs them")
    if name is None:
        for each in list_networks():
            about = load_card(each)
            typer.echo(f"{each:14} {about.medium:8} {about.about}")
            typer.echo(f"{'':23} licence: {about.licence}")
            if others := list_variants(each):
                typer.echo(f"{'':23} also: {', '.join(others)}")
        return
    from mmdream.networks.card import describe_weights
    from mmdream.networks.network import list_layers

    def tell(text: str) -> None:
        typer.echo(to_one_line(text))  # A card may be somebody else's.

    about = load_card(name)
    tell(f"{about.name} ({about.medium}): {about.about}")
    tell("depth  layer, from shallow to deep")
    for number, rung in enumerate(about.rungs):
        tell(f"{number / max(1, len(about.rungs) - 1):5.2f}  {rung.layer}")
    every = (f"{layer} ({channels})" for layer, channels in list_layers(about).items())
    tell(f"layers, with their channels: {', '.join(every)}")
    for guess in about.guesses:
        tell(guess)
    if about.motifs:
        tell(f"motifs: {', '.join(sorted(about.motifs))}")
    if called := about.primary_names():
        tell(f"classes: {', '.join(called)}")
    tell(f"weights: {describe_weights(about.weights)}")
    tell(f"licence: {about.licence}")
    tell(f"source:  {about.source}")
    tell(f"credits: {about.credits}")
    for fact, value in about.facts.items():
        tell(f"{fact.replace('_', ' ')}: {value}")
