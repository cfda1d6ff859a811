"""Measure a dreamed sound against its source: how far, how loud, how much more happens in it.

    python scripts/measure_sound.py SOURCE DREAM [--start T --end T]

Reads any file that PyAV reads and prints JSON: log-spectral distance (PEERS' measure: frames of
2048 every 512 samples, floored 80 dB under the source's peak bin), loudness, true peak, the
contrast objective of each rung (dream over source) and, as a control, that of a random smooth gain
with the same log-spectral distance. The dream passes when (control - 1) / (dream - 1) is under a
third.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.optimize
import soundfile

from mmdream.audio.dream import measure_contrast_energies
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.mastering import TruePeakMeter
from mmdream.audio.source import ArraySource
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card

FLOOR_DB = 80.0


def read_sound(path: Path, start: Fraction | None = None, end: Fraction | None = None) -> ArraySource:
    """The first sound track between two times of the file's clock, float32 [channel, sample]."""
    film = probe(path)
    track = film.audio_tracks[0]
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "sound.wav"
        extract_audio(film, track, wave, start, end)
        samples, _ = soundfile.read(wave, dtype="float32", always_2d=True)
    return ArraySource(samples.T, track.rate, track.layout)


def spectrogram_db(samples: np.ndarray) -> np.ndarray:
    """Spectrogram of the channels' power sum, dB, [frame, bin]; Hann, 2048 samples every 512."""
    window = np.hanning(2049)[:-1].astype(np.float32)
    padded = np.pad(samples, ((0, 0), (1024, 1024)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2048, axis=1)[:, ::512]
    power = sum(np.square(np.abs(scipy.fft.rfft(channel * window))) for channel in frames)
    return np.asarray(10 * np.log10(power + 1e-20))


def log_spectral_distance(source_db: np.ndarray, dream_db: np.ndarray) -> float:
    """Log-spectral distance in dB: mean over frames of the RMS over bins."""
    floor = source_db.max() - FLOOR_DB
    distance = np.maximum(source_db, floor) - np.maximum(dream_db, floor)
    return float(np.sqrt(np.square(distance).mean(axis=1)).mean())


def diagonal_share(difference: np.ndarray) -> float:
    """Share of a picture's structure that runs 20 to 70 degrees off both axes (1 bin : 1 frame).

    Structure tensor over 5 x 5, energy-weighted, coherence above 0.5. Isotropic noise has 0.56.
    """
    by_time, by_bin = np.gradient(scipy.ndimage.gaussian_filter(difference, 1.0))
    tt, ff, tf = (
        scipy.ndimage.uniform_filter(x, 5) for x in (by_time * by_time, by_bin * by_bin, by_time * by_bin)
    )
    energy = tt + ff
    spread = np.sqrt(np.square(tt - ff) + 4 * tf * tf)
    angle = np.abs(np.degrees(0.5 * np.arctan2(2 * tf, tt - ff)))
    clear = spread > 0.5 * energy
    slanted = clear & (angle > 20) & (angle < 70)
    return float(energy[slanted].sum() / max(energy[clear].sum(), 1e-12))


def apply_random_gain(source: ArraySource, target_db: float, seed: int = 0) -> ArraySource:
    """The source under a random smooth gain, at a given log-spectral distance and its own loudness.

    Gaussian noise blurred over 12 frames and 24 bins of a 2048-point transform, scaled to fit.
    """
    n_fft, hop = 2048, 512
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    n = source.n_samples
    padded = np.pad(source.samples, ((0, 0), (n_fft, n_fft + hop)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
    spectra = scipy.fft.rfft(frames * window)
    noise = np.random.default_rng(seed).standard_normal(spectra.shape[1:])
    shape = scipy.ndimage.gaussian_filter(noise, (12, 24))
    shape /= shape.std()
    source_db = spectrogram_db(source.samples)
    target = loudness(source)

    def apply_gain(nepers: float) -> np.ndarray:
        shaped = scipy.fft.irfft(spectra * np.exp(nepers * shape)) * window / 1.5
        out = np.zeros_like(padded, dtype=np.float64)
        for number in range(shaped.shape[1]):
            out[:, number * hop : number * hop + n_fft] += shaped[:, number]
        audio = out[:, n_fft : n_fft + n].astype(np.float32)
        lufs = loudness(ArraySource(audio, source.rate, source.layout))
        return np.asarray(audio * 10 ** ((target - lufs) / 20), np.float32)

    def excess(nepers: float) -> float:
        return log_spectral_distance(source_db, spectrogram_db(apply_gain(nepers))) - target_db

    # No gain goes as far from a source with pauses as what is laid into them.
    nepers = 6.0 if excess(6.0) < 0 else scipy.optimize.brentq(excess, 0.0, 6.0, xtol=0.01)
    return ArraySource(apply_gain(nepers), source.rate, source.layout)


def loudness(source: ArraySource) -> float:
    """Integrated loudness in LUFS."""
    meter = LoudnessMeter(source.rate, source.channels, source.layout)
    meter.feed(source.samples)
    return meter.loudness()


def true_peak(source: ArraySource) -> float:
    """True peak in dBTP."""
    meter = TruePeakMeter(source.channels)
    meter.feed(source.samples)
    return float(20 * np.log10(max(meter.peak, 1e-12)))


def measure_dream(source: ArraySource, dream: ArraySource, network: Network) -> dict[str, object]:
    """All figures of one pair."""
    length = min(source.n_samples, dream.n_samples)
    source_db, dream_db = (
        spectrogram_db(source.samples[:, :length]),
        spectrogram_db(dream.samples[:, :length]),
    )
    distance = log_spectral_distance(source_db, dream_db)
    source_energies = measure_contrast_energies(source, source, network)
    dreamed = measure_contrast_energies(source, dream, network) / source_energies
    smooth = measure_contrast_energies(source, apply_random_gain(source, distance), network) / source_energies
    floor = source_db.max() - FLOOR_DB
    return {
        "samples": [source.n_samples, dream.n_samples],
        "log_spectral_distance": distance,
        "loudness": [loudness(source), loudness(dream)],
        "true_peak": [true_peak(source), true_peak(dream)],
        "diagonal_share": diagonal_share(np.maximum(dream_db, floor) - np.maximum(source_db, floor)),
        "rungs": [rung.layer for rung in network.card.rungs],
        "objective_gain": dreamed.tolist(),
        "objective_gain_control": smooth.tolist(),
        "control_over_dream": ((smooth - 1) / (dreamed - 1)).tolist(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("dream", type=Path)
    parser.add_argument("--start", type=Fraction, help="seconds of SOURCE where DREAM begins")
    parser.add_argument("--end", type=Fraction)
    parser.add_argument("--net", default="melnet")
    args = parser.parse_args()
    source, dream = read_sound(args.source, args.start, args.end), read_sound(args.dream)
    print(json.dumps(measure_dream(source, dream, load_network(load_card(args.net))), indent=1))


if __name__ == "__main__":
    main()
