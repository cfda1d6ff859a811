"""A sound in the style of others: files in, a file out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile

from mmdream.audio.chunks import ChunkStore
from mmdream.audio.source import FileSource
from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.media import formats
from mmdream.media.audio_files import DecodedSpan, WaveWriter, extract_audio
from mmdream.media.image import is_image
from mmdream.media.probe import AudioTrack, MediaFile, probe
from mmdream.render.audio import AudioInput
from mmdream.render.models import load_audio_network
from mmdream.settings.passes import style_shares
from mmdream.settings.recipe import Recipe

if TYPE_CHECKING:
    from mmdream.audio.style import AudioStyleReport
    from mmdream.networks.network import Network
    from mmdream.settings.passes import AudioStyleSettings


@dataclass(frozen=True, slots=True)
class AudioStyleFileReport:
    """One finished sound."""

    output: str
    styles: dict[str, float]
    """Each file's share, their sum 1."""
    done: AudioStyleReport
    wall_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values only; what is not a finite number becomes None."""
        return {
            "output": self.output,
            "styles": self.styles,
            "seconds": self.done.n_samples / self.done.rate,
            "loudness_source": _finite_or_none(self.done.loudness_source),
            "loudness": _finite_or_none(self.done.loudness_dream),
            "true_peak": _finite_or_none(self.done.true_peak),
            "style_left": {name: _finite_or_none(left) for name, left in self.done.style_left.items()},
            "wall_seconds": self.wall_seconds,
        }

    def lines(self) -> list[str]:
        """The report for people, a fact a line."""
        left = ", ".join(f"{100 * share:.1f} % ({name})" for name, share in self.done.style_left.items())
        return [
            self.output,
            f"  of the distance to the style's texture are left: {left}",
            f"  loudness {self.done.loudness_source:.1f} -> {self.done.loudness_dream:.1f} LUFS, "
            f"peak {self.done.true_peak:.1f} dBTP",
            f"  {self.wall_seconds:.1f} s of work",
        ]


def style_audio_file(
    content: Path,
    styles: Sequence[tuple[Path, float]],
    output: Path | None,
    styling: AudioStyleSettings,
    overwrite: bool,
    listener: EventSink,
) -> AudioStyleFileReport:
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
    film = _probe_audio_file(content)
    for path, _ in styles:
        _probe_audio_file(path)
    out = check_output_file(content, output, ".styled.wav", formats.AUDIO_SUFFIXES, overwrite)
    formats.check_audio_format(out, film.audio_tracks[0])
    network = load_audio_network(Recipe(seed=styling.seed), listener)
    with output_workspace(out, overwrite) as work:
        audio = AudioInput(film, film.audio_tracks[0])
        _, done = style_audio_track(audio, styles, styling, network, listener, work)
        formats.encode_audio(work / "sound.wav", work / out.name)
    return AudioStyleFileReport(str(out), style_shares(styles), done, time.perf_counter() - began)


def style_audio_track(
    audio: AudioInput,
    styles: Sequence[tuple[Path, float]],
    styling: AudioStyleSettings,
    network: Network,
    listener: EventSink,
    work: Path,
    should_stop: Callable[[], bool] = lambda: False,
    store: ChunkStore | None = None,
) -> tuple[DecodedSpan, AudioStyleReport]:
    """Style one sound track into ``work/sound.wav``, float32 at its own rate.

    Args:
        audio: the track.
        styles: files with a sound, each with its weight.
        styling: how.
        network: a sound network.
        listener: told about progress, in seconds.
        work: where decoded sounds go too.
        should_stop: asked now and then; True ends the work.
        store: where finished windows outlive the run.

    Returns:
        Where the sound starts and how long it is, and what was done to it.

    Raises:
        UserError: a sound that is silent, too short, or holds what is not a number.
        Interrupted: `should_stop` said so.
    """
    from mmdream.audio.style import style_source  # After all that can be checked: this brings TensorFlow in.

    track = audio.track
    laid = extract_audio(audio.film, track, work / "source.wav", *audio.span)
    seconds = laid.n_samples / track.rate

    def tell(share: float) -> None:
        if should_stop():
            raise Interrupted
        listener.progress("sound", share * seconds, seconds)

    with ExitStack() as stack:

        def opened(name: str, sound: AudioTrack) -> FileSource:
            return FileSource(stack.enter_context(soundfile.SoundFile(work / name)), sound.layout)

        heard = []
        for number, (path, weight) in enumerate(styles):
            other = probe(path)
            # At the content's rate, whatever the style's is: what the content cannot hold is not wanted.
            sound = replace(other.audio_tracks[0], rate=track.rate)
            extract_audio(other, sound, work / f"style{number}.wav")
            heard.append((opened(f"style{number}.wav", sound), weight))
        source = opened("source.wav", track)
        names = [str(audio.film.path), *(str(path) for path, _ in styles)]
        with WaveWriter(work / "sound.wav", track.rate, track.channels, track.layout) as writer:
            done = style_source(
                source, heard, writer.write, network, styling, names=names, folder=work, store=store,
                progress=tell,
            )  # fmt: skip
    return laid, done


def check_audio_style(path: Path) -> None:
    """Refuse, before any work, a file that holds no sound.

    Raises:
        UserError: it does not.
    """
    if is_image(path) or not probe(path).audio_tracks:
        raise UserError(f"{path}: has no sound to take the texture of")


def _probe_audio_file(path: Path) -> MediaFile:
    """A file that holds a sound and no picture.

    Raises:
        UserError: it does not.
    """
    if is_image(path):
        raise UserError(f"{path}: is a picture; a sound takes its style from sounds")
    film = probe(path)
    if film.video is not None:
        raise UserError(f"{path}: is a film; a sound takes its style from sounds")
    if not film.audio_tracks:
        raise UserError(f"{path}: has no sound")
    return film


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
