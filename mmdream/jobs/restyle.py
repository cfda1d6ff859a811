"""A sound in the style of others: files in, a file out."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile

from mmdream.errors import UserError
from mmdream.film import sound_files
from mmdream.film.source import Film, probe
from mmdream.film.waves import create, extract
from mmdream.jobs.loaded import ear
from mmdream.jobs.output import destination, workshop
from mmdream.listen import Listener
from mmdream.passes import shares
from mmdream.picture.files import is_picture
from mmdream.recipe import Recipe
from mmdream.sound.source import FileSource

if TYPE_CHECKING:
    from mmdream.sound.styled import SoundReport
    from mmdream.sound.styling import Styling


@dataclass(frozen=True, slots=True)
class Styled:
    """One finished sound."""

    output: str
    styles: dict[str, float]
    """Each file's share, their sum 1."""
    done: SoundReport
    wall_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values only; what is not a finite number becomes None."""
        return {
            "output": self.output,
            "styles": self.styles,
            "seconds": self.done.n_samples / self.done.rate,
            "loudness_source": _finite(self.done.loudness_source),
            "loudness": _finite(self.done.loudness),
            "true_peak": _finite(self.done.true_peak),
            "style_left": {name: _finite(left) for name, left in self.done.style_left.items()},
            "wall_seconds": self.wall_seconds,
        }

    def lines(self) -> list[str]:
        """The report for people, a fact a line."""
        left = ", ".join(f"{100 * share:.1f} % ({name})" for name, share in self.done.style_left.items())
        return [
            self.output,
            f"  of the distance to the style's texture are left: {left}",
            f"  loudness {self.done.loudness_source:.1f} -> {self.done.loudness:.1f} LUFS, "
            f"peak {self.done.true_peak:.1f} dBTP",
            f"  {self.wall_seconds:.1f} s of work",
        ]


def style_file(
    content: Path,
    styles: Sequence[tuple[Path, float]],
    output: Path | None,
    styling: Styling,
    overwrite: bool,
    listener: Listener,
) -> Styled:
    """Give an audio file the texture of others.

    Args:
        content: the file.
        styles: audio files, each with its weight.
        output: the result; None: beside the content, named after it.
        styling: how.
        overwrite: whether an existing file may be replaced.
        listener: told about progress, in seconds.

    Raises:
        UserError: what is no sound, or nothing that can be styled; the result cannot go where it should.
    """
    began = time.perf_counter()
    if not styles:
        raise UserError("a style is missing; add --style SOUND")
    film, others = _sound(content), [_sound(path) for path, _ in styles]
    out = destination(content, output, ".styled.wav", sound_files.SUFFIXES, overwrite)
    sound_files.check(out, film.sounds[0])
    network = ear(Recipe(seed=styling.seed), listener)
    from mmdream.sound.styled import style_sound  # After all that can be checked: this brings TensorFlow in.

    track, names = film.sounds[0], [str(content), *(str(path) for path, _ in styles)]
    with workshop(out) as work, ExitStack() as stack:

        def decoded(film: Film, name: str) -> FileSource:
            # At the content's rate, whatever the style's is: what the content cannot hold is not wanted.
            sound = replace(film.sounds[0], rate=track.rate)
            extract(film, sound, work / name)
            return FileSource(stack.enter_context(soundfile.SoundFile(work / name)), sound.layout)

        source = decoded(film, "content.wav")
        heard = [decoded(other, f"style{number}.wav") for number, other in enumerate(others)]
        seconds = source.n_samples / track.rate
        with create(work / "sound.wav", track.rate, track.channels) as writer:
            done = style_sound(
                source, [(sound, weight) for sound, (_, weight) in zip(heard, styles, strict=True)],
                writer.write, network, styling, names=names, folder=work,
                progress=lambda share: listener.progress("styling", share * seconds, seconds),
            )  # fmt: skip
        sound_files.encode(work / "sound.wav", work / out.name)
    return Styled(str(out), shares(styles), done, time.perf_counter() - began)


def _sound(path: Path) -> Film:
    """A file that holds a sound and no picture.

    Raises:
        UserError: it does not.
    """
    if is_picture(path):
        raise UserError(f"{path}: is a picture; a sound takes its style from sounds")
    film = probe(path)
    if film.picture is not None:
        raise UserError(f"{path}: is a film; a sound takes its style from sounds")
    if not film.sounds:
        raise UserError(f"{path}: has no sound")
    return film


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
