"""What a generator and its discriminator learn by: each pair of a made and a real picture is compared.

The relativistic loss (Jolicoeur-Martineau 2019) with penalties on the discriminator's slope at real and at
made pictures alike (Huang et al. 2024, "R3GAN"): a real picture is to seem more real than the made one that
it is compared with, by what is told of each place; the generator wants the opposite.
"""

from __future__ import annotations

from mmdream.generators.discriminator import Discriminator
from mmdream.networks.framework import tf

FIGURES = ("discriminator", "generator", "told", "slope")
"""Losses of the two; share of places where the real picture seems more real; mean square of the slope."""


def compare_pictures(
    discriminator: Discriminator,
    real_maps: list[tf.Tensor],
    made_maps: list[tf.Tensor],
    shares: tf.Tensor,
    penalised: bool,
) -> dict[str, tf.Tensor]:
    """The `FIGURES` of pairs of pictures, averaged over the heads; `slope` is 0 unless it is `penalised`.

    The maps are the discriminator's view of real pictures and of made ones of the same classes, whose
    `shares` are float32 [n, class].
    """
    totals, doubled = dict.fromkeys(FIGURES, tf.constant(0.0)), tf.concat([shares, shares], 0)
    for head, *pair in zip(discriminator.heads, real_maps, made_maps, strict=True):
        maps = tf.concat(pair, 0)
        if penalised:
            with tf.GradientTape() as tape:
                tape.watch(maps)
                logits = head([maps, doubled])
                total = tf.reduce_sum(tf.reduce_mean(logits, (1, 2)))
            slopes = tape.gradient(total, maps)
            totals["slope"] += tf.reduce_mean(tf.reduce_sum(tf.square(slopes), (1, 2, 3)))
        else:
            logits = head([maps, doubled])
        real, made = tf.split(logits, 2)
        totals["discriminator"] += tf.reduce_mean(tf.nn.softplus(made - real))
        totals["generator"] += tf.reduce_mean(tf.nn.softplus(real - made))
        totals["told"] += tf.reduce_mean(tf.cast(real > made, tf.float32))
    return {name: total / len(discriminator.heads) for name, total in totals.items()}
