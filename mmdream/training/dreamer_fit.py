"""Fits a dreamer in rounds, and tries it beside ascent; a teaching that was stopped goes on at its round."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.rng import rng_for
from mmdream.image.feedforward import Dreamer, load_dreamer, make_predict
from mmdream.image.octaves import Size
from mmdream.networks.dreamer_card import DreamerCard
from mmdream.networks.dreamer_model import build_dreamer
from mmdream.networks.framework import keras, tf
from mmdream.networks.network import Network, variables_by_name
from mmdream.render.models import load_image_network
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.feedforward import FeedforwardPass
from mmdream.render.temporal import measure_strength
from mmdream.settings.schedule import MotifCurve, Schedule
from mmdream.training.clips import draw_clip
from mmdream.training.dreamer_loss import FIGURES, ClimbMeter, LossInputs, make_inputs, measure_losses
from mmdream.training.dreamer_task import TeachingTask
from mmdream.training.rollout import RecordingPass, Sample, dream_clip
from mmdream.training.task import RoundJournal, find_best_round

LEARNING_RATE = 2e-3
ROUND_STEPS = 250
"""What is lost at most when a teaching is stopped."""
WARMUP_SHARE = 0.02
"""Of the steps, over which the learning rate rises."""
OPEN_CLIPS = 12
"""That are dreamed beside each other: one alone would be learned by heart."""
FIRST_SAMPLES, MAX_SAMPLES = 400, 1200
"""Before the first step; kept of each octave's size at most."""
LARGEST_FACTOR = 2.0
"""How much more often the largest octave is drawn: a film's frames take most of their passes there."""
MIN_BY_ASCENT = 0.15
"""Share of the clips that are dreamed by ascent to the end: at first all are."""
OWN_FROM = 0.25
"""Share of the steps after which no more are."""
BEGUN_SHARE = 0.7
"""Of the others, those whose first frame is climbed."""
VARIED_SHARE = 0.3
"""Of the clips, whose depth is another than the usual one; and whose habituation is."""
ALONE_SHARE, MOST_MIXED = 0.7, 3
"""Of the clips of several motifs, those of one alone; and how many are mixed in the others."""
HELD_BATCHES = 6
"""Of samples of the clips that are kept from it: their loss tells the best round."""
TRIED_CLIPS, TRIED_FRAMES = 6, 40

Progress = Callable[[int, int], None]


class SampleStore:
    """Samples to draw batches from, and the clips that they come from."""

    def __init__(self, task: TeachingTask, network: Network, dreamer: Dreamer, files: Sequence[Path]) -> None:
        """Nothing is dreamed yet."""
        self._task, self._network, self._dreamer, self._files = task, network, dreamer, tuple(files)
        self._clips: list[tuple[RecordingPass, Iterator[np.ndarray]]] = []
        self._samples: dict[Size, list[Sample]] = {}

    @property
    def count(self) -> int:
        """Of the samples."""
        return sum(map(len, self._samples.values()))

    def dream_frame(self, own_share: float, rng: np.random.Generator) -> None:
        """Dream the next frame of one of the clips; a share of them is dreamed by the dreamer itself."""
        if len(self._clips) < OPEN_CLIPS:
            self._clips.append(self._begin(own_share, rng))
        place = rng.integers(len(self._clips))
        recorder, frames = self._clips[place]
        if next(frames, None) is None:
            self._clips[place] = self._begin(own_share, rng)
        for sample in recorder.samples:
            kept = self._samples.setdefault(sample.size, [])
            if len(kept) < MAX_SAMPLES:
                kept.append(sample)
            else:
                kept[rng.integers(len(kept))] = sample
        recorder.samples.clear()

    def draw_batch(self, count: int, rng: np.random.Generator) -> LossInputs:
        """Samples of one size."""
        sizes = list(self._samples)
        largest = max(sizes)
        shares = np.array([math.sqrt(len(self._samples[size])) for size in sizes])
        shares[sizes.index(largest)] *= LARGEST_FACTOR
        kept = self._samples[sizes[rng.choice(len(sizes), p=shares / shares.sum())]]
        return make_inputs([kept[place] for place in rng.integers(len(kept), size=count)], rng)

    def _begin(
        self, own_share: float, rng: np.random.Generator
    ) -> tuple[RecordingPass, Iterator[np.ndarray]]:
        recipe, schedule = self._task.recipe, self._task.recipe.schedule
        if rng.random() < VARIED_SHARE and not schedule.motif_curve.names:
            schedule = replace(schedule, depth=float(rng.uniform(*self._task.depths)))
        names = schedule.motif_curve.names
        if names:
            count = 1 if rng.random() < ALONE_SHARE else int(rng.integers(1, min(len(names), MOST_MIXED) + 1))
            schedule = mix_motifs(schedule, tuple(rng.choice(names, count, replace=False).tolist()))
        if rng.random() < VARIED_SHARE:
            schedule = replace(schedule, habituation=float(rng.uniform(0.2, 1)))
        by_ascent = rng.random() >= own_share
        recorder = RecordingPass(
            replace(recipe, schedule=schedule), self._network, dreamer=self._dreamer,
            climbs_first=False, climbs_on=False,
            by_ascent=by_ascent, begins_by_ascent=by_ascent or rng.random() < BEGUN_SHARE,
        )  # fmt: skip
        return recorder, dream_clip(recorder, draw_clip(self._files, rng), int(rng.integers(1 << 20)))


def fit_dreamer(
    task: TeachingTask, folder: Path, listener: EventSink, progress: Progress
) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """Teach, going on with the rounds in `folder`: the best round's weights by name, and a row for each.

    A `UserError` says that the loss is no number any more.
    """
    settings, network = task.settings, load_image_network(task.recipe, listener)
    counts = network.channel_counts()
    dtype = {"bfloat16": "mixed_bfloat16"}.get(network.precision, network.precision)
    keras.utils.set_random_seed(settings.seed)
    model = build_dreamer(sum(counts[layer] for layer in task.layers), dtype)
    listener.say(
        f"a dreamer of {model.count_params():,} weights for {task.card.name}: {len(task.learned)} pictures "
        f"and films to learn from, {len(task.held)} to try it on; {dtype}"
    )
    step = _make_step(model, ClimbMeter(network, task.layers), settings.steps)
    dreamer = Dreamer(task.layers, make_predict(model))
    journal = RoundJournal(folder)
    done = len(journal.rounds)
    if done:
        model.load_weights(journal.weights_path(done - 1))
    held = _draw_held(task, network, dreamer)
    store, rng = SampleStore(task, network, dreamer, task.learned), rng_for(settings.seed, "teach", done)
    rounds, own_share = math.ceil(settings.steps / ROUND_STEPS), 0.0
    for number in range(done, rounds):
        figures = []
        for k in range(number * ROUND_STEPS, min((number + 1) * ROUND_STEPS, settings.steps)):
            own_share = min(k / (OWN_FROM * settings.steps), 1 - MIN_BY_ASCENT)
            store.dream_frame(own_share, rng)
            while store.count < FIRST_SAMPLES:
                store.dream_frame(own_share, rng)
                progress(k, settings.steps)
            figures.append(step(store.draw_batch(settings.batch, rng), True))
            progress(k + 1, settings.steps)
        val_loss = float(np.mean([step(batch, False)[0] for batch in held]))
        means = dict(zip(FIGURES, np.mean(figures, axis=0).tolist(), strict=True))
        if not math.isfinite(val_loss + means["loss"]):
            raise UserError(
                f"the loss grew beyond all numbers in round {number + 1}; begin anew with another --seed"
            )
        journal.add({"epoch": number, **means, "val_loss": val_loss}, model.save_weights)
        listener.say(
            f"round {number + 1} of {rounds}: climbs {means['climbed']:.0%} of what an ascent does, is "
            f"{means['likeness']:.2f} like it, agrees {means['calm']:.2f} with itself; "
            f"loss {means['loss']:.3f}, of those kept from it {val_loss:.3f}"
        )
    model.load_weights(journal.weights_path(find_best_round(journal.rounds)))
    return {
        name: each.numpy().astype(np.float16) for name, each in variables_by_name(model).items()
    }, journal.rows()


def mix_motifs(schedule: Schedule, names: tuple[str, ...]) -> Schedule:
    """A schedule with some of its motifs; the others stay among its terms, so that nothing is traced anew."""
    curve = MotifCurve(((-1.0, schedule.motif_curve.names), (0.0, names)))
    return replace(schedule, motif=curve)


def _make_step(model: keras.Model, meter: ClimbMeter, steps: int) -> Callable[[LossInputs, bool], np.ndarray]:
    """What learns from a batch, or only measures its losses: (batch, whether to learn) -> `FIGURES`."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    rates = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 20,
        max(1, steps - warmup),
        alpha=0.02,
        warmup_target=LEARNING_RATE,
        warmup_steps=warmup,
    )
    model.compile(keras.optimizers.Adam(rates, global_clipnorm=1.0), jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # Its steps are weights too.
    images, numbers = tf.TensorSpec([None] * 4, tf.float32), tf.TensorSpec([None], tf.float32)
    signature = [*[images] * 4, numbers, images, tf.TensorSpec([2], tf.int32)]

    @tf.function(input_signature=signature, autograph=False)
    def learn(*tensors: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            figures = measure_losses(model, meter, LossInputs(*tensors))
            loss = figures[0]
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return figures

    @tf.function(input_signature=signature, autograph=False)
    def measure(*tensors: tf.Tensor) -> tf.Tensor:
        return measure_losses(model, meter, LossInputs(*tensors))

    def step(batch: LossInputs, learns: bool) -> np.ndarray:
        tensors = (getattr(batch, each.name) for each in fields(LossInputs))
        return (learn if learns else measure)(*tensors).numpy()

    return step


def _draw_held(task: TeachingTask, network: Network, dreamer: Dreamer) -> list[LossInputs]:
    """Batches of clips that are kept from learning, dreamed by ascent: the same in every run."""
    rng = rng_for(task.settings.seed, "held")
    store = SampleStore(task, network, dreamer, task.held)
    while store.count < FIRST_SAMPLES // 2:
        store.dream_frame(0.0, rng)
    return [store.draw_batch(task.settings.batch, rng) for _ in range(HELD_BATCHES)]


@dataclass(frozen=True)
class DreamerTrial:
    """Dreams of a dreamer beside those of ascent, on clips that were kept from it."""

    objective: float
    """What it adds to the objective, over what the ascent adds."""
    strength: float
    """Over the ascent's."""


def try_dreamer(task: TeachingTask, card: DreamerCard, progress: Progress) -> DreamerTrial:
    """Dream clips both ways, and compare the later half of each."""
    network = load_image_network(task.recipe, EventSink())
    dreamer = load_dreamer(card, network)
    rng, names = rng_for(task.settings.seed, "trial"), task.settings.motifs
    climbed, strengths = np.zeros(2), np.zeros(2)
    for number in range(TRIED_CLIPS):
        clip = draw_clip(task.held, rng)[:TRIED_FRAMES]
        schedule = task.recipe.schedule
        if names:
            schedule = mix_motifs(schedule, (names[number % len(names)],))
        recipe = replace(task.recipe, schedule=schedule)
        ascent = DreamPass(recipe, network)
        renderers = ascent, FeedforwardPass(recipe, network, dreamer=dreamer)
        for place, renderer in enumerate(renderers):
            for at, dream in enumerate(dream_clip(renderer, clip, number)):
                progress(number, TRIED_CLIPS)
                if at < len(clip) // 2 or at % 4:
                    continue
                settings = schedule.at(0.0)
                before, after = ascent.score(settings, clip[at], dream)
                climbed[place] += after - before
                strengths[place] += measure_strength(dream, clip[at])
    return DreamerTrial(
        float(climbed[1] / max(climbed[0], 1e-12)), float(strengths[1] / max(strengths[0], 1e-12))
    )


def plot_teaching(rounds: Sequence[dict[str, float]], path: Path) -> None:
    """Draw what the losses are made of, and the losses, round by round."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    numbers = [row["epoch"] + 1 for row in rounds]
    left, right = figure.subplots(1, 2)
    for key in ("climbed", "likeness", "calm"):
        left.plot(numbers, [row[key] for row in rounds], label=key)
    for key, label in (("loss", "learned from"), ("val_loss", "kept from it")):
        right.plot(numbers, [row[key] for row in rounds], label=label)
    left.set(xlabel="round", title="beside the ascent")
    right.set(xlabel="round", title="loss")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=100)
