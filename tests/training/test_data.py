"""Pictures and sounds as a network is taught on them: what is drawn, and what must not change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdream.audio.chunks import AudioDreamSettings, ChunkContext, split_into_chunks
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import measure_band_power, to_network_input
from mmdream.core.rng import rng_for
from mmdream.datasets.folder import Dataset, Example, read_dataset
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.settings.schedule import Schedule
from mmdream.training import audio_data as heard
from mmdream.training import data as seen
from mmdream.training.data import compute_class_weights, smooth_labels, split_dataset


@pytest.mark.parametrize("seed", range(8))
def test_a_changed_picture_is_one_and_drawn_by_its_number(seed: int):
    picture = rng_for(seed, "picture").random((80, 80, 3), np.float32)
    changed = seen.augment_image(picture, 64, rng_for(seed))
    assert changed.shape == (64, 64, 3)
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 1
    np.testing.assert_array_equal(changed, seen.augment_image(picture, 64, rng_for(seed)))
    assert np.abs(changed - seen.augment_image(picture, 64, rng_for(seed + 100))).mean() > 0.02


def test_crops_show_what_is_there(monkeypatch: pytest.MonkeyPatch):
    """Coordinates as colours: each pixel tells where it comes from."""
    monkeypatch.setattr(seen, "jitter_color", lambda picture, _: picture)
    y, x = np.mgrid[0:96, 0:96].astype(np.float32) / 95
    picture = np.stack([x, y, np.zeros_like(x)], -1)
    views = [seen.augment_image(picture, 64, rng_for(k)) for k in range(200)]
    flipped = 0
    for view in views:
        across = np.diff(view[:, :, 0], axis=1)[8:-8, 8:-8]
        down = np.diff(view[:, :, 1], axis=0)[8:-8, 8:-8]
        flipped += across.mean() < 0
        # A crop shows 55 to 100 % of a side: px of the picture to one of the view.
        assert 0.4 < abs(float(across.mean())) * 64 < 1.2
        assert 0.4 < float(down.mean()) * 64 < 1.2
    assert 70 < flipped < 130
    middle = np.mean([view[32, 32, :2] for view in views], 0)
    np.testing.assert_allclose(middle, 0.5, atol=0.04)


def test_a_sound_is_heard_in_training_as_in_a_dream():
    """The bands of a recording are those that the dreamer's ear gathers, on the same grid and level."""
    about = load_card("melnet")
    rate = heard.choose_sample_rate(about.input)  # type: ignore[arg-type]
    samples = rng_for(0, "sound").normal(0, 0.1, rate).astype(np.float32)
    power = measure_band_power(samples, rate, about.input)  # type: ignore[arg-type]
    source = ArraySource(samples[None], rate)
    meter = LoudnessMeter(rate, 1)
    meter.feed(samples[None])
    on = ChunkContext(source, load_network(about), meter, AudioDreamSettings(Schedule()))
    (chunk,) = split_into_chunks(*on.hop_range)
    own = on.read_slice(source, chunk, on.level_factor)
    first = on.column_range(chunk)[0]
    dreamed = (own.power @ on.frontend.filterbank)[-first : -first + len(power)]
    apart = np.abs(np.log(dreamed + 1e-9) - np.log(power + 1e-9))
    # The ear sums runs of bins, so that the outermost bands differ a little; a wrong column would by 1 or so.
    assert np.quantile(apart, 0.9) < 0.06
    assert np.quantile(np.abs(np.log(dreamed[1:] + 1e-9) - np.log(power[:-1] + 1e-9)), 0.9) > 0.3


@pytest.mark.parametrize("name", ["melnet", "vgg19_mel", "residual_spec", "conv5_spec:xsmall"])
def test_sounds_are_cut_and_mixed_as_the_card_says(sounds: Path, tmp_path: Path, name: str):
    dataset = read_dataset(sounds)
    front = load_card(name).input
    inputs = heard.load_audio_inputs(dataset, front, 1.0, tmp_path, lambda done, total: None)  # type: ignore[arg-type]
    examples = dataset.examples[::8]
    mixed, labels = inputs.augmented_batch(examples, rng_for(0))
    columns = inputs.crop_frames // front.decimation  # type: ignore[union-attr]
    assert mixed.shape == (len(examples), columns, front.bands, 1)  # type: ignore[union-attr]
    assert np.isfinite(mixed).all()
    np.testing.assert_allclose(labels.sum(1), 1, atol=1e-6)
    whole = inputs.plain_batch(examples[:1])
    exact = to_network_input(inputs.power(examples[0])[None], front)  # type: ignore[arg-type]
    np.testing.assert_array_equal(whole, exact[:, : whole.shape[1]])
    again = heard.load_audio_inputs(
        dataset, front, 1.0, tmp_path, lambda done, total: pytest.fail("heard twice")
    )  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.plain_batch(examples[:1]), whole)
    assert [len(each) for each in inputs.group_batches(dataset.examples, 10)] == [10, 10, 10, 2]


def test_a_piece_is_of_its_sound_and_short_ones_are_repeated():
    power = np.arange(1, 11, dtype=np.float32)[:, None] * np.ones((1, 6), np.float32)
    piece = heard.augment_power(power, 25, rng_for(3))
    assert piece.shape == (25, 6)
    # Louder, tinged and rolled, but nothing that is not in the sound: ratios of neighbours stay.
    steps = np.diff(np.log(piece[:, 0]))
    known = np.diff(np.log(np.tile(power[:, 0], 4)))
    assert all(np.abs(known - step).min() < 1e-3 or abs(step) < 4 for step in steps)
    np.testing.assert_array_equal(
        heard.tile_to_length(power, 25)[:10], heard.tile_to_length(power, 25)[10:20]
    )


def test_masks_are_stripes_of_the_mean():
    spectrogram = np.ones((40, 64, 32, 1), np.float32)
    masked = heard.mask_spectrogram(spectrogram, rng_for(0))
    assert (spectrogram == 1).all()
    for one in masked[..., 0]:
        silent = one == 0
        assert silent.mean() < 0.25
        np.testing.assert_array_equal(silent, silent.all(1)[:, None] | silent.all(0)[None])
    assert (masked == 0).any()


def test_no_recording_is_in_two_parts():
    examples = tuple(
        Example(Path(f"{label}-{group}-{take}"), label, str(1 + group % 5), f"{label}-{group}")
        for label in range(3)
        for group in range(20)
        for take in range(2)
    )
    dataset = Dataset("set", Path(), "sound", ("a", "b", "c"), examples, "fold", None)
    divided = split_dataset(dataset, "2", 0)
    assert {each.fold for each in divided.test} == {"2"}
    groups = [{each.group for each in part} for part in (divided.train, divided.validation, divided.test)]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert sum(map(len, (divided.train, divided.validation, divided.test))) == len(examples)
    assert {each.label for each in divided.validation} == {0, 1, 2}


def test_rare_classes_weigh_as_much_as_common_ones():
    examples = [Example(Path(), label) for label in (0,) * 30 + (1,) * 10]
    weights = compute_class_weights(examples, 2)
    np.testing.assert_allclose(weights * [30, 10], 20)
    np.testing.assert_allclose(smooth_labels(np.eye(4)).sum(1), 1)
