"""The command that walks through a generator's pictures to a song."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from mmdream.cli.options import (
    Given,
    OutputOptions,
    PassOptions,
    ScheduleOptions,
    argument,
    build_recipe,
    pick,
    takes,
    without,
)
from mmdream.cli.terminal import run_and_print
from mmdream.cli.video import FilmOptions, list_recipe_options
from mmdream.settings.definition import fields_to_dict, options
from mmdream.settings.execution import Execution
from mmdream.settings.files import read_walk_keys
from mmdream.settings.passes import Mask
from mmdream.settings.recipe import ExtraOutputs
from mmdream.settings.targets import parse_motifs
from mmdream.settings.walk import WalkSettings


@takes(
    options(WalkSettings),
    pick(options(ScheduleOptions), "preset schedule together"),
    without(list_recipe_options(), "size loop"),
    options(PassOptions),
    options(Mask),
    options(ExtraOutputs),
    pick(options(FilmOptions), "job-dir"),
    options(Execution),
    options(OutputOptions),
)
def walk(song: Annotated[Path, argument("SONG", "A file with a sound.")], given: Given) -> None:
    """Walk through a generator's pictures to a song, and dream the film of it.

    The result is SONG.walk.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless); OUT.walk.mov beside
    it is the walk before it is dreamed. The same command again goes on with a film that was stopped.
    """
    from mmdream import walk_video

    recipe, plan = build_recipe(given, "film"), given.settings(ScheduleOptions())
    settings = given.settings(WalkSettings())
    keys = {} if plan.schedule is None else read_walk_keys(plan.schedule)
    settings = replace(
        settings,
        class_keys=tuple((when, parse_motifs(names)) for when, names in keys.get("classes", ())),
        latent_keys=tuple(keys.get("latent", ())),
    )
    result, execution = given.settings(OutputOptions()), given.settings(Execution())
    outputs = fields_to_dict(given.settings(ExtraOutputs()))
    outputs |= {"job_dir": given.settings(FilmOptions()).job_dir, "overwrite": result.overwrite}
    make = partial(walk_video, song, settings, result.output, recipe, execution=execution, **outputs)
    run_and_print(result.json, lambda listener: make(listener=listener))
