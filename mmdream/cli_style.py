"""The command that gives one thing the style of others.

Work modules are imported inside the command, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmdream import options
from mmdream.terminal import listening, show


def style(
    content: Annotated[
        Path, typer.Argument(metavar="CONTENT", help="The sound to style.", show_default=False)
    ],
    styles: Annotated[
        list[str],
        typer.Option(
            "--style",
            metavar="SOUND[=W]",
            help="A sound whose texture it is to have; repeat to blend.",
            show_default=False,
        ),
    ],
    output: options.Output = None,
    content_weight: Annotated[
        float,
        typer.Option(metavar="W", help="0: the style alone; 1: the envelope stays; 30: the pitch too."),
    ] = 1.0,
    keep_rhythm: Annotated[
        bool, typer.Option("--keep-rhythm", help="Keep onsets, pauses and loudness of the content.")
    ] = False,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps towards the style.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", help="Another number, another result.")] = 0,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Give a sound the style of other sounds: its own course, their texture.

    The result is CONTENT.styled.wav (float) unless -o names it: .wav, .flac, .ogg, .mp3 or .m4a.
    """
    from mmdream.jobs.restyle import style_file
    from mmdream.sound.styling import Styling

    styling = Styling(content_weight, keep_rhythm, steps, seed)
    with listening(as_json) as listener:
        done = style_file(content, styles, output, styling, overwrite, listener)
    show(done, as_json)
