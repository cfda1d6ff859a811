"""The process that dreams at the cursor: requests in as lines of JSON, what became of them out likewise.

It begins with the first dream, for it loads TensorFlow, and ends when its standard input does. Of several
requests of one kind the newest counts, the one under way is given up; a picture gives way to a sound.
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

QUICK_SIZE = "120p"
SOUND_SECONDS = Fraction(4)


class Requests:
    """Requests as they come; of each kind the newest counts, and a sound does not wait for a picture."""

    def __init__(self, stream: TextIO) -> None:
        self._waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._newest: dict[str, int] = {}
        self._has_ended = False
        self.sound_waits = threading.Event()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            self.put(json.loads(line))
        self._has_ended = True
        self._waiting.put(None)

    def put(self, request: dict[str, Any]) -> None:
        """Let a request wait behind the others."""
        kind, number = request["kind"], request["number"]
        self._newest[kind] = max(number, self._newest.get(kind, number))
        if request["kind"] == "sound":
            self.sound_waits.set()
        self._waiting.put(request)

    def is_outdated(self, request: dict[str, Any]) -> bool:
        """Whether a newer one of its kind has come, or no more will."""
        return self._has_ended or request["number"] < self._newest[request["kind"]]

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
        recipe = check_settings(request["settings"], keys, mask or None)

        def is_stopped() -> bool:
            gives_way = request["kind"] == "picture" and requests.sound_waits.is_set()
            return gives_way or requests.is_outdated(request)

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
        if not request.get("was_quick"):
            quick = recipe if recipe.size is not None else replace(recipe, size=QUICK_SIZE)
            made = excerpt.dream_frame_alone(film, seconds, quick, is_stopped)
            write_image(folder / f"{request['id']}.quick.jpg", made.dream)
            tell(number, "quick", seconds=made.seconds)
            request["was_quick"] = True
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
        if request["kind"] == "sound":
            requests.sound_waits.clear()
        if requests.is_outdated(request):
            continue
        try:
            answer(request, requests, tell)
        except Interrupted:
            if not requests.is_outdated(request):
                requests.put(request)  # It gave way to a sound.
        except UserError as error:
            tell(request["number"], "refused", message=str(error))
        except Exception as error:
            tell(request["number"], "failed", message=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
