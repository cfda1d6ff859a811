"""The pictures that are asked for beside a dreamed sound: where they go, and their drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from mmdream.audio.canvas import ColumnMeans
from mmdream.audio.source import FileSource
from mmdream.core.files import check_output_folder, move_folder_into_place
from mmdream.jobs import figure
from mmdream.jobs.evolution import CanvasHistory, draw_canvas_steps
from mmdream.jobs.portrait import draw_audio_dream
from mmdream.media import image
from mmdream.settings.schedule import Schedule


@dataclass(frozen=True)
class AudioFigures:
    """What is to be drawn of one dream, and what is gathered for it while it is dreamed."""

    plot: Path | None
    """The dream beside its source."""
    steps: Path | None
    """A folder: how it grew."""
    evolution: CanvasHistory | None
    overwrite: bool
    """Whether existing ones may be replaced."""
    gains: ColumnMeans = field(default_factory=ColumnMeans)
    """The log gain as it was applied."""

    def __bool__(self) -> bool:
        """Whether anything is to be drawn."""
        return self.plot is not None or self.steps is not None

    def draw(self, name: str, layout: str, schedule: Schedule, start: float, work: Path) -> None:
        """Draw all and lay it where it goes.

        Args:
            name: of the source.
            layout: of its channels.
            schedule: what was asked for.
            start: seconds of the first sample.
            work: where ``source.wav`` and ``sound.wav`` are, of at least one sample.
        """
        with (
            soundfile.SoundFile(work / "source.wav") as heard,
            soundfile.SoundFile(work / "sound.wav") as dream,
        ):
            source, sound = FileSource(heard, layout), FileSource(dream, layout)
            if self.plot is not None:
                figure.write_figure(
                    draw_audio_dream(name, source, sound, self.gains, schedule, start),
                    self.plot,
                    self.overwrite,
                )
            if self.steps is not None and self.evolution is not None:
                folder = work / self.steps.name
                folder.mkdir()
                for number, picture in enumerate(draw_canvas_steps(name, source, self.evolution, start), 1):
                    image.write_image(folder / f"{number:04}.png", picture.astype("float32") / 255)
                move_folder_into_place(folder, self.steps)


def plan_audio_figures(
    out: Path, plot: Path | None, plot_steps: bool, schedule: Schedule, rate: int, overwrite: bool
) -> AudioFigures:
    """Look whether the drawings can go where they should.

    Args:
        out: the dream.
        plot: a picture of it; None: none.
        plot_steps: whether there is to be a folder of how it grew, named as the dream and ``.steps``.
        schedule: how it is dreamed.
        rate: samples a second.
        overwrite: whether existing ones may be replaced.

    Raises:
        UserError: they cannot.
    """
    picture = None if plot is None else figure.check_figure_path(plot, overwrite)
    steps = check_output_folder(out, "steps", overwrite) if plot_steps else None
    return AudioFigures(picture, steps, CanvasHistory(schedule, rate) if plot_steps else None, overwrite)
