"""The command that says what networks see and hear.

Work modules are imported inside the command, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmdream.cli import options, options_sound
from mmdream.cli.terminal import print_report, report_to_terminal
from mmdream.core.errors import UserError, to_one_line


def classify(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A picture, a sound or a film.", show_default=False)
    ],
    net: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.keras",
            help="Network that sees, else dreamnet; or one that hears, for a sound.",
            show_default=False,
        ),
    ] = None,
    sound_net: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE.keras", help="Network that hears, else melnet.", show_default=False),
    ] = None,
    weights: options.WeightsOption = None,
    sound_weights: options_sound.AudioWeightsOption = None,
    top: Annotated[int, typer.Option(metavar="N", help="Tell so many classes.")] = 5,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE", help="Draw the classes as lines over time into this file.", show_default=False
        ),
    ] = None,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Say what networks see and hear in a picture, a sound or a film, with probabilities.

    A film is looked at once a second and heard in windows of two; the means over the film come first.
    """
    from mmdream.classify.run import ClassifierChoice, classify_file
    from mmdream.views.predictions import check_figure_path, draw_predictions, write_figure

    out = None if plot is None else check_figure_path(plot, overwrite)
    with report_to_terminal(as_json) as listener:
        seen = classify_file(source, ClassifierChoice(net, sound_net, weights, sound_weights), top, listener)
    if out is not None:
        write_figure(draw_predictions(source.name, seen.predictions, top), out, overwrite)
    print_report(seen, as_json)


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
    weights: options.WeightsOption = None,
    overwrite: options.OverwriteOption = False,
) -> None:
    """List the networks, tell all about one (its rungs, its weights, its licence), or draw what it sees."""
    from mmdream.networks.registry import list_networks, list_variants, load_card

    if gallery is not None:
        if name is None:
            raise UserError("--gallery shows one network; name it: mmdream nets dreamnet --gallery out.png")
        from mmdream.sample.film import render_frames
        from mmdream.views.gallery import PHOTO_SIZE, write_gallery

        with report_to_terminal(False) as listener:
            out = write_gallery(name, weights, gallery, overwrite, render_frames(2, PHOTO_SIZE), listener)
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
