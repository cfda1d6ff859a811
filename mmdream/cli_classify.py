"""The command that says what networks see and hear.

Work modules are imported inside the command, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmdream import options, options_sound
from mmdream.terminal import print_report, report_to_terminal


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
    from mmdream.views import figure
    from mmdream.views.figure import draw_predictions as timeline

    out = None if plot is None else figure.check_figure_path(plot, overwrite)
    with report_to_terminal(as_json) as listener:
        seen = classify_file(source, ClassifierChoice(net, sound_net, weights, sound_weights), top, listener)
    if out is not None:
        figure.write_figure(timeline(seen), out, overwrite)
    print_report(seen, as_json)
