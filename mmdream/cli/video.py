"""The commands about films: dream one, go on with one, list those that are not finished."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mmdream.cli.options import (
    Given,
    OutputOptions,
    PassOptions,
    ScheduleOptions,
    argument,
    build_recipe,
    for_added_sound,
    pick,
    takes,
    without,
)
from mmdream.cli.terminal import run_and_print
from mmdream.settings.definition import RESULT, SOUND, Option, checked, fields_to_dict, options, setting
from mmdream.settings.execution import Execution
from mmdream.settings.passes import Mask
from mmdream.settings.recipe import ExtraOutputs, Recipe, Selection


@checked
@dataclass(frozen=True, slots=True)
class FilmOptions:
    """How a film's command works."""

    dry_run: bool = setting(False, "Tell what it would take, time, memory and disk, and stop.", RESULT)
    job_dir: Path | None = setting(
        None,
        "Where finished parts are kept until the film is whole; else beside the result.",
        RESULT,
        "FOLDER",
    )


def list_recipe_options() -> list[Option]:
    """A film's options of a recipe; what the sound climbs stands beside how it is dreamed."""
    known = options(Recipe, frozenset({"film"}))
    sound = [each.name for each in known if each.path[0] == "sound_wishes"]
    target = "Dream this class into the sound (default: every --target that it knows)."
    return [
        replace(each, setting=replace(each.setting, help=target)) if each.name == "sound-target" else each
        for each in [*without(known, " ".join(sound)), *pick(known, " ".join(sound), SOUND)]
    ]


DREAM_OPTIONS = (
    *pick(options(ScheduleOptions), "preset schedule together"),
    *list_recipe_options(),
    *options(PassOptions),
    *options(Mask),
    *without(options(Selection), "sound-style"),
)
"""All that decides how a film is dreamed."""


@takes(
    DREAM_OPTIONS,
    options(ExtraOutputs),
    options(FilmOptions),
    options(Execution),
    options(OutputOptions),
)
def video(source: Annotated[Path, argument("IN", "The file to dream.")], given: Given) -> None:
    """Turn a film into a dream film, picture and sound.

    The result is IN.dream.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless).
    The same command again goes on with a film that was stopped; so does `mmdream resume`.
    """
    from mmdream import dream_video, plan_video

    recipe = build_recipe(given, "film")
    result, how = given.settings(OutputOptions()), given.settings(FilmOptions())
    execution = given.settings(Execution())
    chosen = given.settings(Selection())
    if chosen.add_sound:
        recipe = for_added_sound(recipe, given)
    selection = fields_to_dict(chosen)
    del selection["sound_style"]
    if how.dry_run:
        about: dict[str, Any] = {"overwrite": result.overwrite, "execution": execution}
        plan = partial(plan_video, source, result.output, recipe, **selection, **about)
        run_and_print(result.json, lambda listener: plan(listener=listener))
        return
    outputs = fields_to_dict(given.settings(ExtraOutputs())) | {"job_dir": how.job_dir}
    outputs |= {"overwrite": result.overwrite, "execution": execution}
    dream = partial(dream_video, source, result.output, recipe, **selection, **outputs)
    run_and_print(result.json, lambda listener: dream(listener=listener))


@takes(options(Execution), options(OutputOptions))
def resume(
    job: Annotated[Path, argument("JOB", "The result's name, or the job's folder.")], given: Given
) -> None:
    """Go on with a film that was stopped, to the very frames and samples of an unbroken run."""
    from mmdream import resume_video

    result, execution = given.settings(OutputOptions()), given.settings(Execution())
    go_on = partial(resume_video, job, overwrite=result.overwrite, output=result.output, execution=execution)
    run_and_print(result.json, lambda listener: go_on(listener=listener))


def jobs(folder: Annotated[Path, argument("[FOLDER]", "Where the results lie.")] = Path()) -> None:
    """List the films in a folder that are not finished."""
    import shlex
    import time

    from mmdream.jobs.store import list_jobs

    for job in list_jobs(folder):
        share = "" if job.percent is None else f"{job.percent} %, {job.frames} of {job.total} frames, "
        touched = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.touched))
        typer.echo(f"{job.name}  {job.state}, {share}last touched {touched}")
        if job.state == "stopped":
            typer.echo(f"  mmdream resume {shlex.quote(str(job.name))}")
        elif job.state == "broken":
            typer.echo(
                f"  {job.folder} cannot go on; delete it, or begin anew: mmdream video ... --overwrite"
            )


@takes(pick(options(OutputOptions), "overwrite"))
def sample(output: Annotated[Path, argument("OUT.mp4", "Where to write it.")], given: Given) -> None:
    """Make a short film to try things on: a moving camera over two photographs, and music."""
    from mmdream.core.files import check_output_file, output_workspace
    from mmdream.sample.film import make_sample

    path = check_output_file(None, output, ".mp4", (".mp4",), "overwrite" in given)
    with output_workspace(path, "overwrite" in given) as work:
        make_sample(work / path.name)
    typer.echo(f"{path}")
