"""The grains that a sound would have if the picture did not matter to it, for the picture to hear."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from mmdream.audio.chunks import DreamHooks
from mmdream.core.errors import Interrupted
from mmdream.networks.network import Network
from mmdream.render.audio import InputTrack, open_context
from mmdream.render.couplings.heard import PlannedGrain
from mmdream.settings.recipe import Recipe


def choose_planned_grains(
    audio: InputTrack, network: Network, recipe: Recipe, is_stopped: Callable[[], bool]
) -> tuple[PlannedGrain, ...]:
    """The grains of a track's dream, in order of time; `Interrupted` is raised when `is_stopped` says so."""
    from mmdream.audio.dream import plan_chunks, plan_grains  # This brings TensorFlow in.

    # As if there were a picture that shows nothing: a step along what it shows is traced once for both.
    hooks, planned = DreamHooks(should_stop=is_stopped, cues=lambda *_: None), list[PlannedGrain]()
    with (
        tempfile.TemporaryDirectory(prefix="mmdream-") as folder,
        open_context(audio, network, recipe, Path(folder), hooks) as context,
    ):
        if not context.settings.has_grains or not context.source.n_samples:
            return ()
        plans = plan_chunks(context)
        track = plan_grains(context, plans, None)
        for number in range(len(plans)):
            if is_stopped():
                raise Interrupted
            for grain in track.begin_in(number):
                atom = track.banks(number).atoms[grain.atom]
                seconds = float(context.hop_seconds(grain.hop))
                planned.append(PlannedGrain(atom.kind, seconds, len(atom.samples) / atom.rate / grain.ratio))
    return tuple(planned)
