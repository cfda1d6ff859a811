"""The process that dreams for the page: requests in as lines of JSON, what became of them out likewise.

It begins with the first dream, for it loads TensorFlow, and ends when its standard input does.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdream.core.errors import Interrupted, UserError
from mmdream.core.memory import keep_freed_memory
from mmdream.media.frame_reader import FrameReader
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_reader import Frame
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import SCHEDULE_LIMITS
from mmdream.studio import frames
from mmdream.studio.frame_proxy import FrameProxy
from mmdream.studio.preview_requests import Requests

if TYPE_CHECKING:
    from mmdream.analysis.modulate import ModulatedSchedules

QUICK_SIZE = "108p"
PAUSE_SECONDS = 0.15
"""Behind a quick dream: who moves the cursor asks for the next one by then, and need not wait for a step."""
SOUND_SECONDS = Fraction(4)
DRIVE_SAMPLES = 400
"""Of a curve that follows a film, over its length."""
MAX_MODULATED = 8
_modulated: dict[tuple[Path, Recipe], ModulatedSchedules] = {}
"""Schedules that follow a film, by its scan: to measure a long film's sound takes a while."""
Tell = Callable[..., None]
IsStopped = Callable[[], bool]


def answer(request: dict[str, Any], tell: Tell, is_stopped: IsStopped) -> None:
    """Do what is asked for; `Interrupted` when `is_stopped` says so."""
    from mmdream.studio.form import check_settings
    from mmdream.studio.project import Key

    if request["kind"] == "gallery":
        fill_gallery(request, tell, is_stopped)
        return
    keys, mask = [Key(**key) for key in request["keys"]], request["mask"] and Path(request["mask"])
    recipe, film = check_settings(request["settings"], keys, mask or None), probe(Path(request["film"]))
    tell("dreaming")
    recipe = follow_film(film, recipe, Path(request["scan"]), request["kind"] == "sound", is_stopped)
    if request["kind"] == "drives":
        tell("drives", curves=sample_schedule(recipe, float(film.duration or 0)))
    elif request["kind"] == "sound":
        dream_sound(request, film, recipe, tell, is_stopped)
    else:
        dream_picture(request, film, recipe, tell, is_stopped)


def dream_picture(
    request: dict[str, Any], film: MediaFile, recipe: Recipe, tell: Tell, is_stopped: IsStopped
) -> None:
    """A frame quickly, and then as in the film."""
    from mmdream.media.image import write_image
    from mmdream.render import excerpt

    seconds, made = Fraction(str(request["seconds"])), Path(request["folder"]) / request["id"]
    small = None if recipe.size is not None else read_small_frame(Path(request["scan"]), seconds)
    frame = small or read_frame(film, seconds)
    if not request.get("was_quick"):
        quick = recipe if recipe.size is not None else replace(recipe, size=QUICK_SIZE)
        write_image(made.with_suffix(".quick.jpg"), excerpt.dream_frame_alone(frame, quick, is_stopped).dream)
        tell("quick", seconds=float(frame.seconds))
        request["was_quick"] = True
        late = time.monotonic() + PAUSE_SECONDS
        while time.monotonic() < late:
            if is_stopped():
                raise Interrupted
            time.sleep(0.01)
    whole = excerpt.dream_frame_in_film(
        film, frame.seconds, recipe, is_stopped, lambda share: tell("share", share=share)
    )
    write_image(made.with_suffix(".full.jpg"), whole.dream)
    tell("full", seconds=whole.seconds)


def dream_sound(
    request: dict[str, Any], film: MediaFile, recipe: Recipe, tell: Tell, is_stopped: IsStopped
) -> None:
    """Four seconds of sound around a second, and their source."""
    from mmdream.render.audio import dream_sound_around

    seconds, length = Fraction(str(request["seconds"])), film.duration or SOUND_SECONDS
    begin = max(min(seconds - SOUND_SECONDS / 2, length - SOUND_SECONDS), Fraction(0))
    track = request["settings"].get("sound-track")
    with tempfile.TemporaryDirectory(prefix="mmdream") as work:
        span = begin, begin + SOUND_SECONDS
        dream_sound_around(film, track, span, recipe, Path(work), is_stopped)
        for name in ("source.wav", "sound.wav"):
            os.replace(Path(work) / name, Path(request["folder"]) / f"{request['id']}.{name}")
    tell("sound", seconds=float(begin))


def fill_gallery(request: dict[str, Any], tell: Tell, is_stopped: IsStopped) -> None:
    """Dream what a gallery lacks of what is looked at."""
    from mmdream.studio.gallery import find_entry, make_entry

    for name in request["names"]:
        if is_stopped():
            raise Interrupted
        path = find_entry(request["net"], request["of"], name)
        if not path.is_file():
            make_entry(request["net"], request["of"], name, path, is_stopped)
        tell("entry", net=request["net"], of=request["of"], name=name)


def follow_film(
    film: MediaFile, recipe: Recipe, folder: Path, is_sound: bool, is_stopped: IsStopped
) -> Recipe:
    """A recipe whose schedule follows its drives; `UserError`: the film was not gone through yet."""
    from mmdream.studio.scan_process import SCAN_FILE

    if not (recipe.drives or recipe.sound_drives):
        return recipe
    from mmdream.analysis.modulate import modulate_schedules, with_modulated_schedule
    from mmdream.analysis.shots import Scan

    if not (folder / SCAN_FILE).is_file():
        raise UserError("drives are followed when the film has been gone through; wait a little")
    if (made := _modulated.get((folder, recipe))) is None:
        scan = Scan.from_bytes((folder / SCAN_FILE).read_bytes())
        made = _modulated[folder, recipe] = modulate_schedules(film, recipe, scan, is_stopped)
        while len(_modulated) > MAX_MODULATED:
            del _modulated[next(iter(_modulated))]
    return with_modulated_schedule(recipe, made.audio if is_sound else made.video)


def sample_schedule(recipe: Recipe, length: float) -> dict[str, Any]:
    """Every setting over a film: seconds, and values at them."""
    seconds = [length * number / (DRIVE_SAMPLES - 1) for number in range(DRIVE_SAMPLES)]
    curves = {name: recipe.schedule.curve(name).at(seconds) for name in SCHEDULE_LIMITS}
    return {"seconds": seconds} | {name: [round(float(v), 4) for v in curves[name]] for name in curves}


@functools.lru_cache(1)
def _open(path: Path, modified: float) -> FrameReader:
    del modified  # Of the file: another one has other frames.
    return FrameReader(path)


def read_frame(film: MediaFile, seconds: Fraction) -> Frame:
    """The frame that is shown at a second; the film stays open for the next one."""
    return _open(film.path, film.path.stat().st_mtime).read(seconds)


def read_small_frame(folder: Path, seconds: Fraction) -> Frame | None:
    """The same out of what was kept when the film was gone through, which needs no decoding of others."""
    try:
        found = _open_proxy(folder).read(float(seconds))
    except OSError:
        return None
    if found is None:
        return None
    data, shown = found
    return Frame(frames.decode_jpeg(data), 0, Fraction(1), 0, Fraction(str(shown)))


@functools.lru_cache(1)
def _open_proxy(folder: Path) -> FrameProxy:
    return FrameProxy(folder)


def main() -> None:
    """Answer until standard input ends; as nicely as the command line says."""
    if hasattr(os, "nice"):
        os.nice(int(sys.argv[1]))
    keep_freed_memory()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # What libraries print is no answer.

    def tell(number: int, state: str, **more: Any) -> None:
        out.write(json.dumps({"number": number, "state": state, **more}) + "\n")

    requests = Requests(sys.stdin)
    for request in requests:
        number = request["number"]
        try:
            answer(request, functools.partial(tell, number), functools.partial(requests.gives_way, request))
        except Interrupted:
            requests.put(request)  # It goes on when there is time, unless a newer one has come.
        except UserError as error:
            tell(number, "refused", message=str(error))
        except OSError as error:
            tell(number, "failed", message=f"this dream cannot be kept: {error.strerror or error}")
        except Exception as error:
            tell(number, "failed", message=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
