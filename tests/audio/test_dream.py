"""A whole sound: what is promised of its samples, its level and its memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import soundfile

from mmdream.audio.chunks import CHUNK_HOPS, AudioDreamSettings, DreamHooks
from mmdream.audio.dream import AudioDreamReport, dream_source, measure_contrast_energies
from mmdream.audio.loudness import MAX_EXCESS_LU, QUIET_MARGIN_LU, LoudnessMeter
from mmdream.audio.source import BLOCK_SAMPLES, ArraySource, FileSource
from mmdream.audio.spectra import make_stft
from mmdream.core.errors import Interrupted, UserError
from mmdream.networks.network import Network
from mmdream.settings.schedule import Schedule

from .conftest import QUICK, make_music

Dream = Callable[..., tuple[np.ndarray, AudioDreamReport]]
STILL = Schedule(octaves=2, steps=3, strength=0.0)


def compute_snr(source: np.ndarray, dream: np.ndarray) -> float:
    error = np.square(source.astype(np.float64) - dream).sum()
    return float(10 * np.log10(np.square(source, dtype=np.float64).sum() / max(error, 1e-30)))


def make_sines(rate: int, channels: int) -> np.ndarray:
    t = np.arange(rate) / rate
    return np.stack([0.3 * np.sin(2 * np.pi * 200 * (k + 1) * t) for k in range(channels)]).astype(np.float32)


@pytest.mark.parametrize(
    ("rate", "channels", "layout"),
    [(8000, 1, "mono"), (44100, 2, "stereo"), (48000, 6, "5.1"), (96000, 2, None)],
)
def test_strength_zero_is_the_source(dream: Dream, rate: int, channels: int, layout: str) -> None:
    sound = make_sines(rate, channels)
    out, report = dream(sound, rate, STILL, layout=layout)
    assert out.shape == sound.shape
    assert compute_snr(sound, out) >= 100
    assert report.strength == 0.0
    assert report.objective_gain == pytest.approx(1.0)


def test_strength_zero_is_the_source_also_where_it_clips(dream: Dream) -> None:
    sound = np.clip(3 * make_music(22050, 1.0), -1, 1)
    np.testing.assert_array_equal(dream(sound, 22050, STILL)[0], sound)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
def test_count_and_channels_are_the_source_s(dream: Dream, rate: int) -> None:
    sound = make_music(rate, 0.73, channels=2)
    out, report = dream(sound, rate)
    assert out.shape == sound.shape
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert (report.n_samples, report.rate, report.channels) == (sound.shape[1], rate, 2)
    assert not np.array_equal(out, sound)


@pytest.mark.parametrize("n", [0, 1, 100, 479, 48001])
def test_any_length(dream: Dream, n: int) -> None:
    sound = make_music(48000, 1.1)[:, :n]
    out, report = dream(sound, 48000)
    assert out.shape == sound.shape
    assert report.n_samples == n


def test_silence_stays_silence(dream: Dream) -> None:
    sound = np.zeros((2, 44100), np.float32)
    out, report = dream(sound, 44100)
    np.testing.assert_array_equal(out, sound)
    assert report.true_peak == -np.inf


def test_nearly_silent_parts_are_not_blown_up(dream: Dream) -> None:
    sound = make_music(44100, 3.0)
    sound[:, 66150:] *= 1e-6
    out, _ = dream(sound, 44100, Schedule(octaves=2, steps=6))
    assert np.sqrt(np.square(out[:, 80000:]).mean()) < 1e-5


def test_a_sample_that_is_no_number_is_named(dream: Dream) -> None:
    sound = make_music(8000, 1.0, channels=2)
    sound[1, 4000] = np.nan
    with pytest.raises(UserError, match=r"sample 4000 .* 0\.500 s"):
        dream(sound, 8000)


def test_the_dream_begins_where_strength_begins(dream: Dream) -> None:
    sound = make_music(44100, 4.0, channels=2)
    schedule = Schedule(octaves=2, steps=6, strength=((2.0, 0.0), (2.04, 1.0)))
    out, report = dream(sound, 44100, schedule)
    apart = np.abs(out - sound).max(axis=0)
    first = int(np.flatnonzero(apart > 1e-7)[0]) / 44100
    window = make_stft(44100, 512 / 44100).window / 44100
    assert abs(first - 2.0) <= window
    assert apart[int(2.2 * 44100) :].max() > 0.01
    assert all(used.moment == schedule.at(used.seconds) for used in report.schedule)


def test_one_seed_one_dream(dream: Dream) -> None:
    sound = make_music(22050, 2.5)
    first, second, other = (dream(sound, 22050, QUICK, seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-3


def test_an_excerpt_is_dreamed_like_that_part_of_the_whole(dream: Dream) -> None:
    rate = 16000
    sound = make_music(rate, 16.0)
    whole, _ = dream(sound, rate)
    start = Fraction(7, 2)
    excerpt, report = dream(sound[:, 56000:], rate, start_seconds=start)
    assert report.schedule[1].seconds == pytest.approx(1.5 * CHUNK_HOPS * 186 / 16000)
    inner = slice(int(3.5 * rate), int(6.5 * rate))
    part = whole[:, 56000:][:, inner]
    apart = excerpt[:, inner] - part
    changed = part - sound[:, 56000:][:, inner]
    # Level and loudness are the excerpt's own, so it is alike, not the same.
    assert np.square(apart).sum() < 0.1 * np.square(changed).sum()


def test_no_step_at_the_seams(dream: Dream) -> None:
    """Gain curves of the dream move no more where chunks meet than elsewhere."""
    rate = 44100
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.standard_normal((1, 18 * rate))).astype(np.float32)
    out, _ = dream(sound, rate, Schedule(octaves=3, steps=6, depth=0.6))
    hops = np.sqrt(np.square(out[0, : len(out[0]) // 512 * 512]).reshape(-1, 512).mean(axis=1))
    steps = np.abs(np.diff(20 * np.log10(hops)))
    seams = np.zeros(len(steps), bool)
    for seam in range(CHUNK_HOPS, len(steps), CHUNK_HOPS):
        seams[seam - 4 : seam + 4] = True
    assert steps[seams].mean() < 1.3 * steps[~seams].mean()


def test_the_dream_climbs_the_rung_of_its_depth(dream: Dream, melnet: Network) -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal((1, 88200))).astype(np.float32)
    schedules = [Schedule(octaves=2, steps=6, depth=depth) for depth in (0.0, 1.0)]
    (shallow, report), (deep, _) = (dream(sound, 44100, schedule) for schedule in schedules)
    source = ArraySource(sound, 44100)
    plain, low, high = (
        measure_contrast_energies(source, ArraySource(x, 44100), melnet) for x in (sound, shallow, deep)
    )
    assert low[0] / plain[0] == pytest.approx(report.objective_gain, rel=0.05)
    assert low[0] > 2 * plain[0]
    assert high[3] > 4 * plain[3]
    assert high[3] / high[0] > 1.2 * low[3] / low[0]


def test_loudness_and_peak_are_the_source_s(dream: Dream, data) -> None:
    samples, rate = soundfile.read(data / "sounds" / "strings.ogg", dtype="float32", stop=4 * 44100)
    _, report = dream(samples.T, rate, Schedule(octaves=2, steps=8))
    assert report.loudness_dream == pytest.approx(report.loudness_source, abs=0.5)
    assert report.true_peak <= -1.0
    assert report.strength > 0.5


def test_no_moment_is_much_louder_than_the_source_s(dream: Dream, data) -> None:
    file = data / "sounds" / "vibe_ace.ogg"
    sound, rate = soundfile.read(file, dtype="float32", stop=4 * 44100, always_2d=True)
    out, report = dream(sound.T, rate, Schedule())
    before, after = (LoudnessMeter(rate, len(out)) for _ in range(2))
    before.feed(sound.T)
    after.feed(out)
    most = np.maximum(before.momentary_loudness() + MAX_EXCESS_LU, before.loudness() - QUIET_MARGIN_LU)
    assert np.all(after.momentary_loudness() <= most)
    assert report.loudness_dream == pytest.approx(report.loudness_source, abs=0.5)


def test_a_loud_sound_stays_under_its_own_peak(dream: Dream) -> None:
    sound = make_music(44100, 2.0)
    sound *= 0.99 / np.abs(sound).max()
    _, still = dream(sound, 44100, STILL)
    _, report = dream(sound, 44100, Schedule(octaves=2, steps=8))
    assert report.true_peak <= still.true_peak + 1e-6


@dataclass
class RecordingSource:
    """A long sound, synthesized as it is read, which records the longest read."""

    rate: int
    channels: int
    n_samples: int
    layout: str | None = None
    longest: int = 0

    def read(self, start: int, stop: int) -> np.ndarray:
        assert 0 <= start <= stop <= self.n_samples
        self.longest = max(self.longest, stop - start)
        t = np.arange(start, stop) / self.rate
        swell = 0.2 * np.abs(np.sin(3 * t))
        return np.stack([swell * np.sin(2 * np.pi * 440 * t)] * self.channels).astype(np.float32)


def test_memory_does_not_grow_with_length(melnet: Network) -> None:
    schedule = Schedule(octaves=1, steps=1, depth=0.0)
    peaks = []
    for seconds in (15, 30, 90):
        source = RecordingSource(8000, 1, 8000 * seconds)
        tracemalloc.start()
        dream_source(source, lambda block: None, melnet, AudioDreamSettings(schedule))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert source.longest <= max(BLOCK_SAMPLES, 13 * source.rate)
    # Python's own caches make up some; the samples alone would make it 1.35.
    assert peaks[2] < 1.15 * peaks[1]


def test_a_full_disk_is_told_as_one(melnet: Network, tmp_path) -> None:
    resource = pytest.importorskip("resource")  # Not on Windows.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    source = ArraySource(make_music(16000, 4.0), 16000)
    # A file that may not grow fails as one on a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            dream_source(source, lambda block: None, melnet, AudioDreamSettings(QUICK), folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_a_source(melnet: Network, tmp_path) -> None:
    sound = make_music(16000, 1.0, channels=2)
    soundfile.write(tmp_path / "in.wav", sound.T, 16000, subtype="FLOAT")
    blocks: list[np.ndarray] = []
    shares: list[float] = []
    with soundfile.SoundFile(tmp_path / "in.wav") as file:
        dream_source(
            FileSource(file),
            blocks.append,
            melnet,
            AudioDreamSettings(QUICK),
            folder=tmp_path,
            hooks=DreamHooks(progress=shares.append),
        )
    again: list[np.ndarray] = []
    dream_source(ArraySource(sound, 16000), again.append, melnet, AudioDreamSettings(QUICK))
    np.testing.assert_array_equal(np.concatenate(blocks, 1), np.concatenate(again, 1))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [file.name for file in tmp_path.iterdir()] == ["in.wav"]


def test_a_dream_can_be_stopped(dream: Dream, tmp_path) -> None:
    with pytest.raises(Interrupted):
        dream(make_music(16000, 1.0), 16000, folder=tmp_path, hooks=DreamHooks(should_stop=lambda: True))
    assert not list(tmp_path.iterdir())
