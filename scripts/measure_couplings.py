"""How much a bark in a film's sound raises the dog's motif in its picture, and what it does to the others.

    python scripts/measure_couplings.py PHOTO ESC10.tar [--at 5 12] [--seconds 20] [--seeds 3] [--plot OUT]

A film is made: a camera glides over the photograph, in all but silence, and at some seconds a dog of ESC-10's
fold 5 barks. It is dreamed with `--heard-to-seen` 0 and 1. Told, as a mean over the seeds: what the dream
adds to the energy of each coupled motif's channels, of 1 over 0, in the second behind a bark's beginning, in
the two seconds after that, and elsewhere; how the shares of other motifs among themselves change most; and
how much they differ, at 0, between two halves of the seeds, of which there must be two or more.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import imageio_ffmpeg
import librosa
import numpy as np
import soundfile
from matplotlib.figure import Figure

from mmdream import Recipe, Schedule, dream_video
from mmdream.image.gradient import count_places, measure_channel_energies
from mmdream.image.hints import hinted_terms
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.couplings import find_couplings
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card

RATE, BARK_SECONDS, NOISE = 44_100, 1.5, 0.002
EVERY = 5
"""One frame in so many is measured."""
TOLD_MOTIFS = 4
"""Of those whose shares change most."""
SIZE = "320x180"


def make_film(photo: Path, barks: Path, moments: list[float], seconds: int, work: Path) -> Path:
    """The film, in a folder."""
    pan, wave, film = work / "pan.mp4", work / "barks.wav", work / "film.mkv"
    maker = Path(__file__).with_name("make_pan.py")
    subprocess.run([sys.executable, maker, photo, pan, "--frames", str(25 * seconds)], check=True)
    sound = np.random.default_rng(0).normal(0, NOISE, seconds * RATE).astype(np.float32)
    with tarfile.open(barks) as tar:
        names = sorted(name for name in tar.getnames() if "/5-" in name and "Dog" in name)
        for moment, name in zip(moments, names[:: max(1, len(names) // len(moments))], strict=False):
            held = tar.extractfile(name)
            assert held is not None
            bark, _ = librosa.load(io.BytesIO(held.read()), sr=RATE)
            onsets = librosa.onset.onset_detect(y=bark, sr=RATE, units="samples")
            bark = bark[max(0, (int(onsets[0]) if len(onsets) else 0) - 500) :][: round(BARK_SECONDS * RATE)]
            first = round(moment * RATE)
            sound[first : first + len(bark)] += 0.5 * bark / np.abs(bark).max()
    soundfile.write(wave, sound, RATE)
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    given = ["-i", pan, "-i", wave, "-map", "0:v", "-map", "1:a", "-s", SIZE, "-crf", "16"]
    subprocess.run([ffmpeg, "-loglevel", "error", "-y", *given, "-c:a", "pcm_s16le", film], check=True)
    return film


def measure_motifs(network: Network, film: Path) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of some frames, and the energy of each hinted motif's channels in them, [frame, motif]."""
    terms = hinted_terms(network.card)
    layers = tuple(dict.fromkeys(term.name for term in terms.values()))
    seconds, rows = [], []
    for number, frame in enumerate(read_frames(probe(film))):
        if number % EVERY == 0:
            places = count_places(frame.rgb.shape[:2])
            energies = measure_channel_energies(network, layers, frame.rgb, places)
            means = {layer: energy.mean((0, 1)) for layer, energy in energies.items()}
            rows.append([means[term.name][list(term.channels)].mean() for term in terms.values()])
            seconds.append(float(frame.seconds))
    return np.array(seconds), np.array(rows)


def share_energies(energies: np.ndarray) -> np.ndarray:
    """What each motif has of all that is added, [motif] of energies [frame, motif]."""
    means = np.maximum(energies.mean(0), 0)
    return np.asarray(means / means.sum())


def main() -> None:
    """Make, dream, measure, and print one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("photo", type=Path)
    options.add_argument("barks", type=Path)
    options.add_argument("--at", type=float, nargs="+", default=[5.0, 12.0])
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--plot", type=Path)
    chosen = options.parse_args()
    if chosen.seeds < 2:
        options.error("--seeds: give 2 or more: what seeds alone do is told from two halves of them")
    network = load_network(load_card("dreamnet"))
    names = list(hinted_terms(network.card))
    coupled = [names.index(name) for name in find_couplings(network.card, load_card("melnet"))["dog bark"]]
    added: dict[int, list[np.ndarray]] = {0: [], 1: []}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        film = make_film(chosen.photo, chosen.barks, chosen.at, chosen.seconds, work)
        seconds, source = measure_motifs(network, film)
        for seed in range(chosen.seeds):
            for amount in (0, 1):
                out = work / f"{seed}.{amount}.mkv"
                recipe = Recipe(schedule=Schedule(heard_to_seen=amount), seed=seed)
                dream_video(film, out, recipe, keep_sound=True)
                added[amount].append(measure_motifs(network, out)[1] - source)
    zero, one = (np.mean(added[amount], axis=0) for amount in (0, 1))
    since = np.min([np.where(seconds >= at, seconds - at, np.inf) for at in chosen.at], axis=0)
    spans = {
        "the first second": (since >= 0.25) & (since <= 1.25),
        "the two seconds after": (since > 1.25) & (since <= 3.25),
        "elsewhere": since > 5,
    }
    others = [place for place in range(len(names)) if place not in coupled]
    figures = {}
    for span, inside in spans.items():
        factor = one[inside][:, coupled].mean(0) / zero[inside][:, coupled].mean(0)
        halves = [np.mean(added[0][half::2], axis=0) for half in (0, 1)]
        before, after, *seeds = (share_energies(each[inside][:, others]) for each in (zero, one, *halves))
        change = after - before
        figures[span] = {
            **{names[place]: round(float(value), 2) for place, value in zip(coupled, factor, strict=True)},
            "together": round(float(one[inside][:, coupled].mean() / zero[inside][:, coupled].mean()), 2),
            "largest change of others' shares": {
                names[others[place]]: round(float(change[place]), 3)
                for place in np.argsort(-np.abs(change))[:TOLD_MOTIFS]
            },
            "between seeds": round(float(np.abs(seeds[1] - seeds[0]).max()), 3),
        }
    print(json.dumps(figures, indent=1))
    if chosen.plot is not None:
        figure = Figure(figsize=(10, 3), layout="constrained")
        axes = figure.subplots()
        for amount, rows in ((0, zero), (1, one)):
            axes.plot(seconds, rows[:, coupled].mean(1), label=f"heard-to-seen {amount}")
        for at in chosen.at:
            axes.axvline(at, color="black", lw=0.8)
        axes.set(xlabel="seconds", ylabel="energy of dogs' channels, added")
        axes.legend()
        figure.savefig(chosen.plot, dpi=100)


if __name__ == "__main__":
    main()
