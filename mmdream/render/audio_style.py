"""One sound rendered in the texture of others: an audio file, or the sound track of a film."""

from __future__ import annotations

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
from mmdream.media.audio_files import DecodedSpan, WaveWriter, extract_audio
from mmdream.media.formats import AUDIO_SUFFIXES, check_audio_format, encode_audio
from mmdream.media.image import is_image
from mmdream.media.probe import MediaFile, probe
from mmdream.render.audio import InputTrack
from mmdream.render.models import load_audio_network
from mmdream.settings.definition import fields_to_dict
from mmdream.settings.passes import style_shares
from mmdream.settings.recipe import Recipe

if TYPE_CHECKING:
    from mmdream.audio.style import AudioStyleReport
    from mmdream.networks.network import Network
    from mmdream.settings.passes import AudioStyleSettings


@dataclass(frozen=True, slots=True)
class AudioStyleFileReport:
    """Figures of one finished audio file."""

    output: str
    styles: dict[str, float]
    """Each style file's share, their sum 1."""
    seconds: float
    loudness_source: float
    loudness: float
    true_peak: float
    """Both of the result, LUFS and dBTP."""
    style_left: dict[str, float]
    """See `AudioStyleReport`."""
    wall_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is not a finite number becomes None."""
        return fields_to_dict(self, finite=True)

    def lines(self) -> list[str]:
        """The report for people, a fact a line."""
        left = ", ".join(f"{100 * share:.1f} % ({name})" for name, share in self.style_left.items())
        levels = f"loudness {self.loudness_source:.1f} -> {self.loudness:.1f} LUFS"
        return [
            self.output,
            f"  of the distance to the style's texture are left: {left}",
            f"  {levels}, peak {self.true_peak:.1f} dBTP",
            f"  {self.wall_seconds:.1f} s of work",
        ]


def style_audio_file(
    content: Path,
    styles: Sequence[tuple[Path, float]],
    output: Path | None,
    settings: AudioStyleSettings,
    overwrite: bool,
    sink: EventSink,
) -> AudioStyleFileReport:
    """Give an audio file the texture of others, each with its weight.

    The result is `output`, or lies beside the content, named after it. What is no sound or cannot be styled,
    and a path that cannot be written, is a `UserError`. Progress is told in seconds.
    """
    began = time.perf_counter()
    if not styles:
        raise UserError("a style is missing; add --style SOUND")
    film = _probe_audio_file(content)
    for path, _ in styles:
        _probe_audio_file(path)
    audio = InputTrack(film, film.audio_tracks[0])
    out = check_output_file(content, output, ".styled.wav", AUDIO_SUFFIXES, overwrite)
    check_audio_format(out, audio.track)
    network = load_audio_network(Recipe(seed=settings.seed), sink)
    with output_workspace(out, overwrite) as work:
        _, report = style_audio_track(audio, styles, settings, network, sink, work)
        encode_audio(work / "sound.wav", work / out.name)
    return AudioStyleFileReport(
        output=str(out),
        styles=style_shares(styles),
        seconds=report.n_samples / report.rate,
        loudness_source=report.loudness_source,
        loudness=report.loudness_dream,
        true_peak=report.true_peak,
        style_left=report.style_left,
        wall_seconds=time.perf_counter() - began,
    )


def style_audio_track(
    audio: InputTrack,
    styles: Sequence[tuple[Path, float]],
    settings: AudioStyleSettings,
    network: Network,
    sink: EventSink,
    work: Path,
    should_stop: Callable[[], bool] = lambda: False,
    store: ChunkStore | None = None,
) -> tuple[DecodedSpan, AudioStyleReport]:
    """Style one sound track into ``work/sound.wav``, float32 at its own rate; styles have a weight each.

    Progress is told in seconds; finished windows outlive the run in `store`. Returns where the sound starts
    and how long it is, and the figures of what was done to it.

    Raises:
        UserError: a sound that is silent, too short, or holds what is not a number.
        Interrupted: `should_stop` said so.
    """
    from mmdream.audio.style import style_source  # After all that can be checked: this brings TensorFlow in.

    track = audio.track
    span = extract_audio(audio.film, track, work / "source.wav", *audio.span)
    seconds = span.n_samples / track.rate

    def progress(share: float) -> None:
        if should_stop():
            raise Interrupted
        sink.progress("sound", share * seconds, seconds)

    with ExitStack() as stack:
        sources = []
        for number, (path, weight) in enumerate(styles):
            film, wave = probe(path), work / f"style{number}.wav"
            # At the content's rate, whatever the style's is: what the content cannot hold is not wanted.
            style_track = replace(film.audio_tracks[0], rate=track.rate)
            extract_audio(film, style_track, wave)
            file = stack.enter_context(soundfile.SoundFile(wave))
            sources.append((FileSource(file, style_track.layout), weight))
        content = FileSource(stack.enter_context(soundfile.SoundFile(work / "source.wav")), track.layout)
        names = [str(audio.film.path), *(str(path) for path, _ in styles)]
        with WaveWriter(work / "sound.wav", track.rate, track.channels, track.layout) as writer:
            report = style_source(
                content, sources, writer.write, network, settings, names=names, folder=work, store=store,
                progress=progress,
            )  # fmt: skip
    return span, report


def check_audio_style(path: Path) -> None:
    """Refuse, before any work, a style file that holds no sound."""
    if is_image(path) or not probe(path).audio_tracks:
        raise UserError(f"{path}: has no sound to take the texture of")


def _probe_audio_file(path: Path) -> MediaFile:
    """A file that holds a sound and no picture; `UserError`: it does not."""
    if is_image(path):
        raise UserError(f"{path}: is a picture; a sound takes its style from sounds")
    film = probe(path)
    if film.video is not None:
        raise UserError(f"{path}: is a film; a sound takes its style from sounds")
    if not film.audio_tracks:
        raise UserError(f"{path}: has no sound")
    return film
