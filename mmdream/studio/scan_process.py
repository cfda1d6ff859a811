"""The process that goes through a film once for its page: cuts, beats, and small frames to scrub by.

    python -m mmdream.studio.scan_process FILM FOLDER

It says its share, 0..1, in lines, and leaves its files in the folder; the last one says that they are whole.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from mmdream.core.errors import UserError
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_reader import Frame, read_frames

NICENESS = 15
"""It has time; dreams at the cursor have none."""
SAID_EVERY = 25
"""Frames."""
BEAT_RATE, MAX_BEAT_SECONDS = 22050, 1200
"""Hz at which beats are looked for, and how far."""
SCAN_FILE, MARKS_FILE = "scan.safetensors", "marks.json"


def find_beats(film: MediaFile) -> list[float]:
    """Seconds of the beats of a film's first sound track (Ellis, "Beat tracking by dynamic programming")."""
    if not film.audio_tracks:
        return []
    import librosa

    track = film.audio_tracks[0]
    blocks, length = [], 0
    for _, samples in decode_audio(film, track):
        blocks.append(np.nan_to_num(samples.mean(axis=0)))
        length += samples.shape[1]
        if length > MAX_BEAT_SECONDS * track.rate:
            break
    if not length:
        return []
    mono = librosa.resample(np.concatenate(blocks), orig_sr=track.rate, target_sr=BEAT_RATE)
    _, beats = librosa.beat.beat_track(y=mono, sr=BEAT_RATE, units="time")
    return [round(float(beat) + float(track.start), 3) for beat in beats]


def scan_film(film: MediaFile, folder: Path) -> list[float]:
    """Keep a film's scan and small frames in a folder; the seconds of its cuts."""
    from mmdream.analysis.shots import scan_frames
    from mmdream.studio.frame_proxy import ProxyWriter

    if film.video is None:
        return []
    proxy, duration = ProxyWriter(folder), float(film.duration or 0)

    def watched() -> Iterator[Frame]:
        with closing(read_frames(film)) as frames:
            for frame in frames:
                proxy.add(frame.rgb, float(frame.seconds))
                if frame.index % SAID_EVERY == 0 and duration:
                    sys.stdout.write(f"{round(min(float(frame.seconds) / duration, 1.0), 3)}\n")
                    sys.stdout.flush()
                yield frame

    scan = scan_frames(watched())
    (folder / SCAN_FILE).write_bytes(scan.to_bytes())
    proxy.close()
    cuts = [scan.pts[shot.first] * scan.time_base - film.start for shot in scan.shots[1:]]
    return [round(float(cut), 3) for cut in cuts]


def main() -> None:
    """Scan the film that is named."""
    path, folder = map(Path, sys.argv[1:])
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        film = probe(path)
        marks = {"cuts": scan_film(film, folder), "beats": find_beats(film)}
        draft = folder / f"{MARKS_FILE}.draft"
        draft.write_text(json.dumps(marks))
        os.replace(draft, folder / MARKS_FILE)
    except UserError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"the disk says: {error.strerror}")


if __name__ == "__main__":
    main()
