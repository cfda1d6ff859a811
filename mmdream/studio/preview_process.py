"""The process that dreams at the cursor: requests in as lines of JSON, what became of them out likewise.

It begins with the first dream, for it loads TensorFlow, and ends when its standard input does. Of several
requests of one kind the newest counts: the one under way is given up.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

from mmdream.core.errors import Interrupted, UserError

QUICK_SIZE = "180p"
SOUND_SECONDS = Fraction(4)


class Requests:
    """Requests as they come; the newest of them counts."""

    def __init__(self, stream: TextIO) -> None:
        self._waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._newest = 0
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            request = json.loads(line)
            self._newest = request["number"]
            self._waiting.put(request)
        self._newest = sys.maxsize
        self._waiting.put(None)

    def is_outdated(self, number: int) -> bool:
        """Whether a newer one has come, or no more will."""
        return number < self._newest

    def __iter__(self) -> Requests:
        return self

    def __next__(self) -> dict[str, Any]:
        request = self._waiting.get()
        if request is None:
            raise StopIteration
        return request


def answer(request: dict[str, Any], requests: Requests, tell: Any) -> None:
    """Dream what is asked for: a frame quickly and then as in the film, or some seconds of sound."""
    from mmdream.media.image import write_image
    from mmdream.media.probe import probe
    from mmdream.render import excerpt
    from mmdream.studio.form import check_settings
    from mmdream.studio.project import Key

    number, folder = request["number"], Path(request["folder"])
    keys, mask = [Key(**key) for key in request["keys"]], request["mask"] and Path(request["mask"])
    with tempfile.TemporaryDirectory(prefix="mmdream") as work:
        recipe = check_settings(request["settings"], keys, mask or None, Path(work) / "schedule.toml")

        def is_stopped() -> bool:
            return requests.is_outdated(number)

        film, seconds = probe(Path(request["film"])), Fraction(str(request["seconds"]))
        tell(number, "dreaming")
        if request["kind"] == "sound":
            length = film.duration or SOUND_SECONDS
            begin = max(min(seconds - SOUND_SECONDS / 2, length - SOUND_SECONDS), Fraction(0))
            span = begin, begin + SOUND_SECONDS
            track = request["settings"].get("sound-track")
            excerpt.dream_sound_around(film, track, span, recipe, Path(work), is_stopped)
            for name in ("source.wav", "sound.wav"):
                os.replace(Path(work) / name, folder / f"{request['id']}.{name}")
            tell(number, "sound", seconds=float(begin))
            return
        quick = recipe if recipe.size is not None else replace(recipe, size=QUICK_SIZE)
        made = excerpt.dream_frame_alone(film, seconds, quick, is_stopped)
        write_image(folder / f"{request['id']}.quick.jpg", made.dream)
        tell(number, "quick", seconds=made.seconds)
        made = excerpt.dream_frame_in_film(
            film, seconds, recipe, is_stopped, lambda share: tell(number, "share", share=share)
        )
        write_image(folder / f"{request['id']}.full.jpg", made.dream)
        tell(number, "full", seconds=made.seconds)


def main() -> None:
    """Answer until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # What libraries print is no answer.

    def tell(number: int, state: str, **more: Any) -> None:
        out.write(json.dumps({"number": number, "state": state, **more}) + "\n")

    requests = Requests(sys.stdin)
    for request in requests:
        if requests.is_outdated(request["number"]):
            continue
        try:
            answer(request, requests, tell)
        except Interrupted:
            tell(request["number"], "dropped")
        except UserError as error:
            tell(request["number"], "refused", message=str(error))
        except Exception as error:
            tell(request["number"], "failed", message=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
