"""Small valid files of every kind that is read, the same bytes each time: what `fuzz_media.py` changes."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import soundfile
from safetensors.numpy import save
from scipy.io import savemat

WIDE, HIGH, FRAMES, SECONDS = 32, 24, 6, 0.3

Seeds = dict[str, list[tuple[str, bytes]]]
"""By kind: name with its ending, and contents."""

FILMS: dict[str, list[dict[str, Any]]] = {
    "mp4": [
        {"codec": "libx264", "sound": "aac", "options": {"x264-params": "bframes=2:keyint=3"}},
        {"codec": "libx264", "pixels": "yuv444p", "rotate": 90},
        {
            "codec": "libx265",
            "pixels": "yuv420p10le",
            "options": {"x265-params": "log-level=none:pools=none"},
        },
        {"codec": "mpeg4", "sound": "aac", "layout": "5.1"},
        {"codec": "libx264", "sound": "libmp3lame", "container": {"movflags": "frag_keyframe+empty_moov"}},
        {"codec": "libvpx-vp9", "sound": "libopus", "rate": 48_000},
        {"sound": "aac", "ending": ".m4a"},
    ],
    "mov": [
        {"codec": "prores_ks", "pixels": "yuva444p10le", "sound": "pcm_s16le"},
        {"codec": "png", "pixels": "rgba", "size": (16, 12)},
        {"codec": "mjpeg", "pixels": "yuvj420p", "sound": "pcm_f32le", "layout": "stereo", "rotate": 180},
        {"codec": "libx264", "sound": "alac", "options": {"preset": "ultrafast"}},
    ],
    "mkv": [
        {"codec": "ffv1", "pixels": "yuv420p", "sound": "flac"},
        {"codec": "libsvtav1", "sound": "eac3", "rate": 48_000, "size": (64, 64)},
        {"codec": "libx264", "sound": "ac3", "layout": "5.1", "rate": 48_000},
        {"codec": "rawvideo", "pixels": "yuv420p", "size": (8, 6), "sound": "pcm_s24le", "layout": "stereo"},
    ],
    "webm": [
        {"codec": "libvpx", "sound": "libopus", "rate": 48_000},
        {"codec": "libvpx-vp9", "sound": "libopus", "rate": 48_000},
        {"codec": "libvpx-vp9", "pixels": "yuva420p"},
    ],
    "gif": [{"codec": "gif", "pixels": "rgb8"}, {"codec": "gif", "pixels": "gray", "size": (16, 12)}],
}
SOUNDS: dict[str, list[tuple[str, str, int, int]]] = {
    "wav": [
        *(("WAV", "PCM_16", 8000, 1), ("WAV", "FLOAT", 44_100, 2), ("WAVEX", "PCM_24", 48_000, 6)),
        *(("WAV", "IMA_ADPCM", 8000, 1), ("WAV", "ULAW", 8000, 2), ("RF64", "FLOAT", 22_050, 1)),
        ("WAV", "MS_ADPCM", 8000, 2),
    ],
    "flac": [("FLAC", "PCM_16", 16_000, 1), ("FLAC", "PCM_24", 48_000, 2), ("FLAC", "PCM_S8", 8000, 1)],
    "ogg": [("OGG", "VORBIS", 8000, 1), ("OGG", "VORBIS", 44_100, 2), ("OGG", "OPUS", 48_000, 1)],
    "mp3": [("MP3", "MPEG_LAYER_III", 44_100, 2), ("MP3", "MPEG_LAYER_III", 16_000, 1)],
}


def noise(*shape: int) -> np.ndarray:
    """The same for the same shape, 0..1."""
    return np.random.default_rng(len(shape)).random(shape, np.float32)


def write_film(
    path: Path,
    codec: str | None = None,
    pixels: str = "yuv420p",
    sound: str | None = None,
    layout: str = "mono",
    rate: int = 44_100,
    size: tuple[int, int] = (WIDE, HIGH),
    rotate: int | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
) -> None:
    """Write a film of some frames, a sound, or both."""
    with av.open(str(path), "w", container_options={"fflags": "+bitexact", **(container or {})}) as out:
        out.metadata["title"] = "A title"
        if codec is not None:
            video = out.add_stream(codec, rate=25, options={"threads": "1", **(options or {})})
            video.width, video.height, video.pix_fmt = *size, pixels
            if rotate is not None:
                video.set_display_rotation(rotate)
        if sound is not None:
            audio = out.add_stream(sound, rate=rate, layout=layout)
        if codec is not None:
            for number in range(FRAMES):
                shown = np.uint8(255 * noise(size[1], size[0], 3)) ^ np.uint8(40 * number)
                frame = av.VideoFrame.from_ndarray(shown, "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        if sound is not None:
            channels = av.AudioLayout(layout).nb_channels
            for at in range(0, round(SECONDS * rate), 960):
                block = av.AudioFrame.from_ndarray(noise(1, 960 * channels) - 0.5, "flt", layout)
                block.sample_rate, block.pts, block.time_base = rate, at, Fraction(1, rate)
                out.mux(audio.encode(block))
            out.mux(audio.encode(None))


def film_seeds(folder: Path) -> Seeds:
    """Of every container, with several codecs."""
    found: Seeds = {}
    for kind, every in FILMS.items():
        for number, given in enumerate(every):
            rest = dict(given)
            path = folder / f"{number}{rest.pop('ending', f'.{kind}')}"
            write_film(path, **rest)
            found.setdefault(kind, []).append((path.name, path.read_bytes()))
    return found


def sound_seeds() -> Seeds:
    """Of every form of sound file, as libsndfile writes it."""
    found: Seeds = {}
    for kind, every in SOUNDS.items():
        for form, coded, rate, channels in every:
            buffer = io.BytesIO()
            with soundfile.SoundFile(buffer, "w", rate, channels, coded, format=form) as file:
                if form == "WAV" and coded == "PCM_16":
                    file.title, file.artist = "A title", "Somebody"
                file.write(noise(round(SECONDS * rate), channels) - 0.5)
            found.setdefault(kind, []).append((f"{form}-{coded}.{kind}", remove_date(buffer.getvalue())))
    return found


def remove_date(data: bytes) -> bytes:
    """A sound file without the time, and of Ogg the random number, that libsndfile writes into it."""
    changed = bytearray(data)
    if (place := data.find(b"PEAK")) > 0:
        changed[place + 12 : place + 16] = bytes(4)
    for page in ogg_pages(changed):
        changed[page.start + 14 : page.start + 18] = b"mmdr"
        write_page_checksum(changed, page)
    return bytes(changed)


def ogg_pages(data: bytes) -> list[range]:
    """The places of an Ogg file's pages."""
    found, at = [], 0
    while data[at : at + 4] == b"OggS" and len(data) > at + 27:
        lengths = data[at + 27 : at + 27 + data[at + 26]]
        found.append(range(at, min(at + 27 + len(lengths) + sum(lengths), len(data))))
        at = found[-1].stop
    return found


def write_page_checksum(data: bytearray, page: range) -> None:
    """Give a page of Ogg its checksum."""
    data[page.start + 22 : page.start + 26] = bytes(4)
    crc = 0
    for byte in data[page.start : page.stop]:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)
            crc &= 0xFFFFFFFF
    data[page.start + 22 : page.start + 26] = struct.pack("<I", crc)


def picture_seeds() -> Seeds:
    """Of every form of picture, with what OpenCV writes of it."""
    deep = np.uint16(65535 * noise(HIGH, WIDE, 4))
    shallow = np.uint8(deep >> 8)
    forms: dict[str, list[tuple[np.ndarray, list[int]]]] = {
        "png": [
            *((shallow, []), (shallow[..., :3], []), (shallow[..., 0], []), (deep, [])),
            (np.uint8(shallow[..., 0] > 99) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1]),
        ],
        "jpg": [
            (shallow[..., :3], []),
            (shallow[..., 0], []),
            (shallow[..., :3], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        ],
        "webp": [(shallow, [cv2.IMWRITE_WEBP_QUALITY, 101]), (shallow[..., :3], []), (shallow, [])],
        "tif": [(shallow, []), (deep[..., :3], []), (noise(HIGH, WIDE, 3), []), (noise(HIGH, WIDE), [])]
        + [(shallow[..., :3], [cv2.IMWRITE_TIFF_COMPRESSION, way]) for way in (1, 7, 8, 32773)],
    }
    found = {
        kind: [(f"{n}.{kind}", cv2.imencode(f".{kind}", *each)[1].tobytes()) for n, each in enumerate(every)]
        for kind, every in forms.items()
    }
    # A JPEG that lies on its side.
    name, data = found["jpg"][0]
    exif = b"Exif\0\0" + struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x112, 3, 1, 6, 0, 0)
    marked = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    found["jpg"].append((f"turned{name}", marked))
    return found


SCHEDULE = """preset = "classic"
[[key]]
at = 0.0
depth = 0.5
steps = 8
motif = "dog,tower"
[[key]]
at = 2
strength = 1.5
octaves = 3
octave_scale = 1.4
[[pass]]
style = ["A.jpg=0.5", "B.png"]
statistic = "gram"
smooth = 1.0
from = "1s"
to = 4.5
fade = 0.5
mask = "M.png"
feather = 2
[[pass]]
layer = "c3b"
net = "dreamnet"
[[pass.key]]
at = 1.0
depth = 0.2
"""
BESIDE = """classes = ["cat", "dog"]
about = "Mine."
rungs = [{ layer = "a", step = 0.02 }, { layer = "b", step = 0.03, away = ["7,12=0.5"] }]
carried = 0.2
motifs = { cat = "b:1,2" }
[input]
order = "BGR"
scale = 2.0
mean = [1, 1, 1]
"""


def weight_arrays() -> dict[str, np.ndarray]:
    """The weights of a network of two layers."""
    return {
        "a_kernel": noise(3, 3, 3, 4),
        "a_bias": noise(4),
        "b_kernel": noise(3, 3, 4, 4),
        "b_bias": noise(4),
    }


def plain_seeds(trained: str) -> Seeds:
    """Of what is text or arrays."""
    buffers = io.BytesIO(), io.BytesIO()
    np.savez(buffers[0], **weight_arrays())
    np.savez_compressed(buffers[1], **weight_arrays())
    lists = io.BytesIO()
    names = np.array([["n02085620-Chihuahua/n02085620_7.jpg"], ["n02110958-pug/n02110958_1.jpg"]], object)
    savemat(lists, {"file_list": names})
    lists.seek(0)
    lists.write(b"MATLAB 5.0 MAT-file".ljust(116))  # In place of the date.
    return {
        "toml": [("s.toml", SCHEDULE.encode()), ("b.toml", BESIDE.encode()), ("t.toml", trained.encode())],
        "npz": [("a.npz", buffers[0].getvalue()), ("b.npz", buffers[1].getvalue())],
        "safetensors": [("a.safetensors", save(weight_arrays(), {"format": "np"}))],
        "mat": [("train_list.mat", lists.getvalue())],
    }


def write_sets(folder: Path) -> dict[str, list[tuple[str, Path, str]]]:
    """Small sets as publishers lay them out: by kind (name of the set, its folder, the file to change)."""

    def write_sound(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(400) - 0.5, 8000)

    def write_text(path: Path, *lines: str) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path.relative_to(folder / path.relative_to(folder).parts[0]).as_posix()

    for name in ("001 - Dog bark/1-100032-A", "010 - Fire crackling/5-9032-A"):
        write_sound(folder / "esc10" / f"{name}.ogg")
    write_text(folder / "esc10/README.txt", "- [1-100032-A.ogg]: clip by nfrae [CC0]")
    for name in ("1-100032-A-0", "2-26806-A-1"):
        write_sound(folder / f"esc50/audio/{name}.wav")
    esc50 = write_text(
        folder / "esc50/meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take",
        "1-100032-A-0.wav,1,0,dog,True,100032,A",
        "2-26806-A-1.wav,2,1,rooster,True,26806,A",
    )
    write_sound(folder / "urbansound8k/audio/fold5/100032-3-0-0.wav")
    urban = write_text(
        folder / "urbansound8k/metadata/UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class",
        "100032-3-0-0.wav,100032,0.0,4.0,1,5,3,dog_bark",
    )
    write_sound(folder / "fsdkaggle2018/audio/00044347.wav")
    kaggle = write_text(
        folder / "fsdkaggle2018/FSDKaggle2018.meta/train_post_competition.csv",
        "fname,label,manually_verified,freesound_id,license",
        "00044347.wav,Gong,1,7,Attribution",
    )
    (folder / "fma_small").mkdir()
    (folder / "fma_small/000002.mp3").write_bytes(sound_seeds()["mp3"][0][1])
    fma = write_text(
        folder / "fma_small/fma_metadata/tracks.csv",
        ",album,artist,artist,artist,set,set,track,track",
        ",comments,bio,id,name,split,subset,genre_top,license",
        "track_id,,,,,,,,",
        '2,0,"a life, in\ntwo lines",1,AWOL,training,small,Hip-Hop,CC BY-NC-SA 3.0',
    )
    write_sound(folder / "bird_audio/wav/64486.wav")
    bird = write_text(
        folder / "bird_audio/ff1010bird_metadata_2018.csv", "itemid,datasetid,hasbird", "64486,ff1010bird,0"
    )
    (folder / "stanford_dogs/Images/n02085620-Chihuahua").mkdir(parents=True)
    dogs = folder / "stanford_dogs/Images/n02085620-Chihuahua/n02085620_7.jpg"
    dogs.write_bytes(picture_seeds()["jpg"][0][1])
    tables = [("esc50", esc50), ("urbansound8k", urban), ("fsdkaggle2018", kaggle), ("fma_small", fma)]
    return {
        "csv": [(name, folder / name, file) for name, file in [*tables, ("bird_audio", bird)]],
        "mat": [("stanford_dogs", folder / "stanford_dogs", "train_list.mat")],
        "tsv": [("prepared", folder / "prepared", "manifest.tsv")],
        "json": [("prepared", folder / "prepared", "dataset.json")],
    }


def archive_seeds(root: Path) -> Seeds:
    """A set in a tar, packed or not, and in a zip."""
    files = {
        path.relative_to(root.parent).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.*"))
    }
    found: Seeds = {"tar": [], "zip": []}
    for name, mode, form in (("a.tar", "w", tarfile.PAX_FORMAT), ("b.tar", "w", tarfile.GNU_FORMAT)):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode, format=form) as tar:
            for file, data in files.items():
                info = tarfile.TarInfo(file)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        found["tar"].append((name, buffer.getvalue()))
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        found["zip"].append((f"{packing}.zip", pack_zip(files, packing)))
    return found


def pack_zip(files: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """A zip without a date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as out:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = packing
            out.writestr(info, data)
    return buffer.getvalue()


MODELS = """
import sys
from mmdream.networks.framework import keras
import mmdream.networks.image_models as ours
L = keras.layers
def convolve(name, n, step=1):
    return L.Conv2D(n, 3, step, "same", activation="relu", name=name)
keras.utils.set_random_seed(3)
keras.Sequential([keras.Input((16, 16, 3)), L.Rescaling(1 / 255), convolve("a", 4),
    L.MaxPooling2D(name="half"), convolve("b", 4), L.GlobalAveragePooling2D(),
    L.Dense(2, activation="softmax", name="told")]).save(f"{sys.argv[1]}/chain.keras")
x = pixels = keras.Input((None, None, 3))
x = ours.LocalResponse()(convolve("a", 4, 2)(x / 127.5 - 1))
x = L.Add(name="sum")([x, convolve("b", 4)(x)])
keras.Model(pixels, L.Dense(2, name="told")(L.GlobalAveragePooling2D()(x))).save(f"{sys.argv[1]}/ways.keras")
x = sound = keras.Input((64, 20, 1))
x = L.AveragePooling2D(2)(convolve("a", 4)(x))
x = L.Flatten()(convolve("b", 4)(x))
keras.Model(sound, L.Dense(2, name="told")(x)).save(f"{sys.argv[1]}/heard.keras")
"""


def network_seeds(folder: Path) -> Seeds:
    """Keras files, saved in a process of its own: the one that forks must never have started TensorFlow."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1])])}
    subprocess.run(
        [sys.executable, "-c", MODELS, folder], check=True, env=environment, stderr=subprocess.DEVNULL
    )
    found = []
    for path in sorted(folder.glob("*.keras")):
        with zipfile.ZipFile(path) as file:
            files = {name: file.read(name) for name in file.namelist()}
        text = files["config.json"].decode()
        for place, address in enumerate(dict.fromkeys(re.findall(r'"shared_object_id": (\d+)', text))):
            text = text.replace(address, str(place))  # Keras takes an address of its memory.
        files["config.json"] = text.encode()
        files["metadata.json"] = json.dumps({**json.loads(files["metadata.json"]), "date_saved": ""}).encode()
        found.append((path.name, pack_zip(files)))
    return {"keras": found}


def all_seeds(folder: Path, trained: str) -> Seeds:
    """The seeds of all kinds but those that are laid out in folders, see `write_sets`.

    Args:
        folder: to work in.
        trained: the card of a network that was trained.
    """
    (folder / "films").mkdir()
    (folder / "networks").mkdir()
    return {
        **film_seeds(folder / "films"),
        **sound_seeds(),
        **picture_seeds(),
        **plain_seeds(trained),
        **network_seeds(folder / "networks"),
        **archive_seeds(folder / "sets/esc10"),
    }
