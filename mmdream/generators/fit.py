"""Trains a generator in rounds; a training that was stopped goes on at its round.

A batch, its latents and its augmentation are drawn by the step's number alone, so that a resumed training
sees what an unbroken one sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mmdream.core.errors import UserError
from mmdream.generators.discriminator import Discriminator
from mmdream.generators.examples import RealExamples, one_hot
from mmdream.generators.figures import FeatureFunction, Likeness, measure_likeness
from mmdream.generators.forms import build_task_discriminator, build_task_judge, draw_examples
from mmdream.generators.losses import FIGURES, compare_pictures
from mmdream.generators.task import GeneratorTask
from mmdream.media.image import write_image
from mmdream.networks.framework import keras, tf
from mmdream.networks.generator import draw_latent, make_pictures
from mmdream.networks.generator_model import build_form
from mmdream.training.task import RoundJournal, find_best_round

ROUND_STEPS = 250
"""What is lost at most when a training is stopped."""
PENALTY_STEPS = 4
"""The discriminator's slope is measured every so many steps, and counts as much more: it takes long."""
AVERAGE = 0.998
"""Share of the mean weights that stays at each step: those of some 500 steps are in them."""
BETA_1, BETA_2 = 0.0, 0.99
"""Of Adam, as in StyleGAN2: the other one moves too, so gradients of long ago lead astray."""
HEAD_RATE = 2.0
"""Of the heads' learning rate over the generator's: what tells pictures apart has to keep up."""
LAST_RATE = 0.1
"""Share of the learning rate that is left at the end."""
STATISTIC_EXAMPLES = 256
"""By which features are brought to one size."""
ROUND_EXAMPLES, LAST_EXAMPLES = 400, 2000
"""That are measured after each round, and at the end."""
SHEETS = "sheets"
"""Folder of a row of samples, a class each, for each round."""

Progress = Callable[[str, int, int], None]
"""(kind of work, done, in all); may raise `Interrupted`."""


class GeneratorTrainer(keras.Model):  # type: ignore[misc]  # Keras has no types
    """All that a training changes: two networks, the mean of one, the states of two optimizers."""

    def __init__(self, task: GeneratorTask, discriminator: Discriminator) -> None:
        super().__init__()
        settings, classes = task.settings, len(task.dataset.classes)
        self.settings, self.discriminator = settings, discriminator
        self.generator = build_form(task.form, classes, task.side, settings.width)
        self.average = build_form(task.form, classes, task.side, settings.width)
        self.average.set_weights(self.generator.get_weights())
        self.heads = list(discriminator.heads)
        self.head_variables = [each for head in self.heads for each in head.trainable_variables]
        rate = keras.optimizers.schedules.CosineDecay(settings.rate, settings.steps, alpha=LAST_RATE)
        self.generator_optimizer = keras.optimizers.Adam(rate, BETA_1, BETA_2)
        head_rate = keras.optimizers.schedules.CosineDecay(
            HEAD_RATE * settings.rate, settings.steps, alpha=LAST_RATE
        )
        self.heads_optimizer = keras.optimizers.Adam(head_rate, BETA_1, BETA_2)
        # Their steps are weights too.
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.heads_optimizer.build(self.head_variables)
        self.built = True
        self._steps = {each: self._trace_step(each) for each in (False, True)}

    def learn(self, step: int, batch: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """Learn from a batch, see `RealExamples.draw_batch`; its `FIGURES`."""
        seed = np.array([self.settings.seed % (1 << 31), step], np.int32)
        kept = min(AVERAGE, (step + 1) / (step + 10))
        figures = self._steps[step % PENALTY_STEPS == 0](*map(tf.constant, batch), seed, np.float32(kept))
        values: np.ndarray = figures.numpy()
        return values

    def _trace_step(self, penalised: bool) -> Callable[..., tf.Tensor]:
        weight = self.settings.penalty * PENALTY_STEPS

        @tf.function(autograph=False)
        def step(
            real: tf.Tensor, shares: tf.Tensor, latents: tf.Tensor, seed: tf.Tensor, kept: tf.Tensor
        ) -> tf.Tensor:
            real_maps = self.discriminator.view(real, seed)
            with tf.GradientTape(persistent=True) as tape:
                made_maps = self.discriminator.view(self.generator([latents, shares]), -seed)
                figures = compare_pictures(self.discriminator, real_maps, made_maps, shares, penalised)
                discriminator_loss = figures["discriminator"] + weight * figures["slope"]
            own = self.generator.trainable_variables
            gradients = tape.gradient(figures["generator"], own)
            head_gradients = tape.gradient(discriminator_loss, self.head_variables)
            self.generator_optimizer.apply_gradients(zip(gradients, own, strict=True))
            self.heads_optimizer.apply_gradients(zip(head_gradients, self.head_variables, strict=True))
            for mean, weights in zip(self.average.weights, self.generator.weights, strict=True):
                mean.assign(kept * mean + (1 - kept) * weights)
            return tf.stack([figures[name] for name in FIGURES])

        traced: Callable[..., tf.Tensor] = step
        return traced


def fit_generator(
    task: GeneratorTask, real: RealExamples, folder: Path, say: Callable[[str], object], progress: Progress
) -> tuple[keras.Model, Likeness, list[dict[str, float]]]:
    """Train, going on with the rounds in `folder`: the best round's mean weights, its figures, a row a round.

    A `UserError` says that the weights are no numbers any more.
    """
    settings = task.settings
    keras.utils.set_random_seed(settings.seed % (1 << 32))
    statistics = real.select(real.draw_even(STATISTIC_EXAMPLES, settings.seed))
    trainer = GeneratorTrainer(task, build_task_discriminator(task, statistics))
    weights = sum(int(np.prod(each.shape)) for each in trainer.head_variables)
    say(
        f"a generator of {trainer.generator.count_params():,} weights against {weights:,}: "
        f"{len(real.values)} {task.examples} of {real.classes} classes to learn from"
    )
    judge = build_task_judge(task, lambda: progress("looking", 0, 1))
    real_features = judge(real.select(real.draw_even(ROUND_EXAMPLES, settings.seed)))
    journal = RoundJournal(folder)
    done, rounds = len(journal.rounds), math.ceil(settings.steps / ROUND_STEPS)
    if done:
        trainer.load_weights(journal.weights_path(done - 1))
    for number in range(done, rounds):
        figures = []
        for step in range(number * ROUND_STEPS, min((number + 1) * ROUND_STEPS, settings.steps)):
            figures.append(trainer.learn(step, real.draw_batch(settings.batch, settings.seed, step)))
            progress("training", step + 1, settings.steps)
        made = make_samples(trainer.average, ROUND_EXAMPLES, real.classes, settings.seed)
        if not np.isfinite(made).all():
            raise UserError(f"the weights grew beyond all numbers in round {number + 1}; take a lower --rate")
        likeness = measure_likeness(real_features, judge(made))
        row = dict(zip(FIGURES, np.mean(figures, axis=0).tolist(), strict=True)) | asdict(likeness)
        (folder / SHEETS).mkdir(exist_ok=True)
        shown = draw_examples(task, made[: real.classes])
        write_image(folder / SHEETS / f"{number:05d}.png", np.concatenate(list(shown), 1))
        journal.add({"epoch": number, **row, "val_loss": likeness.distance}, trainer.save_weights)
        say(
            f"round {number + 1} of {rounds}: the real one told {row['told']:.0%} of the time; distance "
            f"{likeness.distance:.1f}, precision {likeness.precision:.2f}, recall {likeness.recall:.2f}"
        )
    trainer.load_weights(journal.weights_path(find_best_round(journal.rounds)))
    likeness = _measure_all(trainer.average, real, judge, settings.seed)
    return trainer.average, likeness, journal.rows()


def make_samples(model: keras.Model, count: int, classes: int, seed: int) -> np.ndarray:
    """So many examples of a graph, of each class in turn, float32 [count, ...]; always the same."""
    latents = np.stack([draw_latent(seed, "sample", number) for number in range(count)])
    return make_pictures(model, latents, one_hot(np.arange(count) % classes, classes))


def _measure_all(model: keras.Model, real: RealExamples, judge: FeatureFunction, seed: int) -> Likeness:
    """Beside as many real examples as there are, up to `LAST_EXAMPLES`."""
    places = real.draw_even(LAST_EXAMPLES, seed)
    made = make_samples(model, len(places), real.classes, seed)
    return measure_likeness(judge(real.select(places)), judge(made))
