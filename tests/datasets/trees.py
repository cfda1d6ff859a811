"""Every set in miniature, laid out as its publisher does."""

from __future__ import annotations

import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import soundfile
from scipy.io import savemat

Counts = dict[str, int]


def write_sound(path: Path, seconds: float = 0.05, rate: int = 8000) -> Path:
    """A sound of its own for every name, in the form of the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32("/".join(path.parts[-2:]).encode())
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
    soundfile.write(path, noise, rate)
    return path


def write_picture(path: Path, width: int = 40, height: int = 30) -> Path:
    """A picture of its own for every name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32("/".join(path.parts[-2:]).encode())
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    done, data = cv2.imencode(".png" if path.suffix == ".png" else ".jpg", pixels)
    assert done
    path.write_bytes(data.tobytes())
    return path


def write_lines(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def zip_folder(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder.parent))
    return archive


def tar_folder(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz" if archive.suffix in (".gz", ".tgz") else "w") as file:
        file.add(folder, folder.name)
    return archive


def stanford_dogs(root: Path) -> Counts:
    for name in (
        "n02085620-Chihuahua/n02085620_7",
        "n02085620-Chihuahua/n02085620_199",
        "n02110958-pug/n02110958_1",
    ):
        write_picture(root / "Images" / f"{name}.jpg")
    for part, names in (
        ("train", ["n02085620-Chihuahua/n02085620_7.jpg", "n02110958-pug/n02110958_1.jpg"]),
        ("test", ["n02085620-Chihuahua/n02085620_199.jpg"]),
    ):
        savemat(root / f"{part}_list.mat", {"file_list": np.array([[name] for name in names], dtype=object)})
    return {"Chihuahua": 2, "pug": 1}


def tiny_imagenet(root: Path) -> Counts:
    top = root / "tiny-imagenet-200"
    for number in range(3):
        write_picture(top / f"train/n02124075/images/n02124075_{number}.JPEG", 64, 64)
    write_picture(top / "train/n04067472/images/n04067472_0.JPEG", 64, 64)
    write_lines(top / "train/n04067472/n04067472_boxes.txt", "n04067472_0.JPEG\t0\t0\t63\t63")
    write_picture(top / "val/images/val_0.JPEG", 64, 64)
    write_picture(top / "val/images/val_1.JPEG", 64, 64)
    write_lines(
        top / "val/val_annotations.txt",
        "val_0.JPEG\tn02124075\t0\t0\t1\t1",
        "val_1.JPEG\tn04067472\t0\t0\t1\t1",
    )
    write_picture(top / "test/images/test_0.JPEG", 64, 64)
    return {"Egyptian cat": 4, "reel": 2}


def imagenet25(root: Path) -> Counts:
    """An archive for each class, and one of a class that the set does not have, which nobody can unpack."""
    root.mkdir()
    for wnid, count in (("n02699494", 2), ("n03512147", 3)):
        with tarfile.open(root / f"{wnid}.tar", "w") as tar:
            for number in range(count):
                path = write_picture(
                    root.parent / "pictures" / f"{wnid}_{number}.JPEG", 300 + 20 * number, 250
                )
                tar.add(path, path.name)
    (root / "n01440764.tar").write_bytes(b"no archive")
    write_picture(root / "n04322801/n04322801_5.JPEG", 50, 60)
    return {"altar": 2, "helicopter": 3, "stock car": 1}


def esc50(root: Path) -> Counts:
    top = root / "ESC-50-master"
    clips = [
        ("1-100032-A-0", "dog"),
        ("1-100032-B-0", "dog"),
        ("5-9032-A-0", "dog"),
        ("2-26806-A-1", "rooster"),
    ]
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for name, label in clips:
        write_sound(top / f"audio/{name}.wav")
        fold, number, take, target = name.split("-")
        lines.append(f"{name}.wav,{fold},{target},{label},True,{number},{take}")
    write_lines(top / "meta/esc50.csv", *lines)
    credit = "clip derived from x.wav (http://www.freesound.org/people/nfrae/sounds/100032/) by nfrae [CC0]"
    write_lines(top / "LICENSE", "101 - Dog:", f"- [1-100032-A.ogg]: {credit}")
    return {"dog": 3, "rooster": 1}


def esc10(root: Path) -> Counts:
    for name in ("001 - Dog bark/1-100032-A", "001 - Dog bark/2-114587-A", "010 - Fire crackling/5-9032-A"):
        write_sound(root / f"{name}.ogg", 0.1)
    credit = "clip derived from x.wav (http://www.freesound.org/people/nfrae/sounds/100032/) by nfrae [CC0]"
    write_lines(root / "README.txt", f"- [1-100032-A.ogg]: {credit}")
    return {"dog": 2, "crackling_fire": 1}


def urbansound8k(root: Path) -> Counts:
    top = root / "UrbanSound8K"
    clips = [
        ("100032-3-0-0", 5, "dog_bark", 4.0),
        ("100263-2-0-117", 5, "children_playing", 4.0),
        ("100648-1-0-0", 10, "car_horn", 1.0),
        ("102305-6-0-0", 1, "gun_shot", 4.0),
        ("103074-7-0-0", 1, "jackhammer", 3.9),
    ]
    lines = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for name, fold, label, seconds in clips:
        write_sound(top / f"audio/fold{fold}/{name}.wav", seconds)
        lines.append(f"{name}.wav,{name.split('-')[0]},0.0,{seconds},1,{fold},{name.split('-')[1]},{label}")
    write_lines(top / "metadata/UrbanSound8K.csv", *lines)
    (top / "audio/fold1/._hidden.wav").write_bytes(b"of macOS")
    return {"dog_bark": 1, "children_playing": 1, "car_horn": 1, "gun_shot": 1, "jackhammer": 1}


def fsdkaggle2018(root: Path) -> Counts:
    lines = ["fname,label,manually_verified,freesound_id,license"]
    for name, label in (
        ("00044347", "Gong"),
        ("001ca53d", "Bus"),
        ("002d256b", "Gong"),
        ("0033e230", "Cello"),
    ):
        write_sound(root / f"FSDKaggle2018.audio_train/{name}.wav")
        lines.append(f"{name}.wav,{label},1,{int(name, 16) % 1000},Attribution")
    write_lines(root / "FSDKaggle2018.meta/train_post_competition.csv", *lines)
    write_sound(root / "FSDKaggle2018.audio_test/00326aa9.wav")
    write_lines(
        root / "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv",
        "fname,label,usage,freesound_id,license",
        "00326aa9.wav,Bus,Public,7,Creative Commons 0",
        "ffffffff.wav,Bus,Public,8,Creative Commons 0",
    )
    return {"Gong": 2, "Bus": 2}


def fma_small(root: Path) -> Counts:
    for number in (2, 5, 140):
        write_sound(root / f"fma_small/000/{number:06d}.mp3", 0.5, 44_100)
    write_lines(
        root / "fma_metadata/tracks.csv",
        ",album,artist,artist,artist,set,set,track,track",
        ",comments,bio,id,name,split,subset,genre_top,license",
        "track_id,,,,,,,,",
        '2,0,"a life, in',
        'two lines",1,AWOL,training,small,Hip-Hop,CC BY-NC-SA 3.0',
        "5,0,,1,AWOL,training,small,Hip-Hop,CC BY-NC-SA 3.0",
        "140,0,,54,Alec,test,small,Folk,CC BY 4.0",
        "3,0,,1,AWOL,training,medium,Rock,CC BY 4.0",
    )
    return {"Hip-Hop": 2, "Folk": 1}


def bird_audio(root: Path) -> Counts:
    for table, lines in (
        ("ff1010bird_metadata_2018.csv", ["64486,ff1010bird,0", "2525,ff1010bird,1"]),
        ("warblrb10k_public_metadata_2018.csv", ["759808e5-f824-401e,warblrb10k,1"]),
    ):
        write_lines(root / table, "itemid,datasetid,hasbird", *lines)
        for line in lines:
            item, home, _ = line.split(",")
            write_sound(root / home / "wav" / f"{item}.wav")
    return {"bird": 2, "no_bird": 1}


def librispeech_gender(root: Path) -> Counts:
    top = root / "LibriSpeech"
    for speaker, count in ((84, 2), (174, 1), (251, 1)):
        for number in range(count):
            write_sound(top / f"dev-clean/{speaker}/121123/{speaker}-121123-{number:04d}.flac", 0.1, 16_000)
    write_lines(
        top / "SPEAKERS.TXT",
        "; Some pipe(|) characters",
        ";ID  |SEX| SUBSET           |MINUTES| NAME",
        "84   | F | dev-clean        |  8.02 | Christie Nowak",
        "174  | M | dev-clean        |  8.04 | Peter Eastman",
        "251  | M | dev-clean        |  8.03 | Mark | Nelson",
    )
    return {"female": 2, "male": 2}


def speech_commands(root: Path) -> Counts:
    for name in (
        "dog/0a7c2a8d_nohash_0",
        "dog/0a7c2a8d_nohash_1",
        "dog/00b01445_nohash_0",
        "yes/00b01445_nohash_0",
    ):
        write_sound(root / f"{name}.wav", 0.1, 16_000)
    write_sound(root / "_background_noise_/running_tap.wav")
    write_lines(root / "validation_list.txt", "dog/00b01445_nohash_0.wav")
    write_lines(root / "testing_list.txt", "yes/00b01445_nohash_0.wav")
    return {"dog": 3, "yes": 1}


def nsynth(root: Path) -> Counts:
    for part, name in (
        ("train", "bass_synthetic_033-022-050"),
        ("train", "synth_lead_synthetic_004-060-127"),
        ("valid", "bass_electronic_018-047-100"),
        ("test", "vocal_acoustic_002-050-025"),
    ):
        write_sound(root / f"nsynth-{part}/audio/{name}.wav", 0.1, 16_000)
        write_lines(root / f"nsynth-{part}/examples.json", "{}")
    return {"bass": 2, "synth_lead": 1, "vocal": 1}


def dog_sounds(root: Path) -> Counts:
    """Three sets; of each as many others as dogs, and a clip of one recording in two of them."""
    esc50(root / "esc")
    urbansound8k(root / "urban")
    fsd50k(root / "fsd")
    # 3 barks and 1 other of ESC-50, 1 and 1 of UrbanSound8K, 4 dogs and 3 others of FSD50K.
    return {"bark": 5, "growl": 1, "howl": 1, "whimper": 1, "other": 5}


def fsd50k(root: Path) -> Counts:
    """Six clips of dogs, of which one cannot be told and one is of two kinds, and three others."""
    clips = {
        "64760": ("Bark,Dog,Domestic_animals_and_pets,Animal", "Bark"),
        "100032": ("Growling,Dog,Domestic_animals_and_pets,Animal", "Growling"),
        "1000": ("Dog,Domestic_animals_and_pets,Animal", "Howl"),
        "1001": ("Dog,Domestic_animals_and_pets,Animal", "Whimper_(dog)"),
        "1002": ("Dog,Domestic_animals_and_pets,Animal", "Dog"),
        "1003": ("Bark,Growling,Dog,Domestic_animals_and_pets,Animal", "Bark,Growling"),
        "2000": ("Electric_guitar,Guitar,Music", "Electric_guitar"),
        "2001": ("Rain,Water", "Rain"),
    }
    for name in clips:
        write_sound(root / f"FSD50K.dev_audio/{name}.wav")
    write_sound(root / "FSD50K.eval_audio/3000.wav")
    dev = [f'{name},"{smeared}",/m/0,train' for name, (smeared, _) in clips.items()]
    write_lines(root / "FSD50K.ground_truth/dev.csv", "fname,labels,mids,split", *dev)
    write_lines(root / "FSD50K.ground_truth/eval.csv", "fname,labels,mids", '3000,"Rain,Water",/m/0')
    raw = [f'{name},"{label}",/m/0' for name, (_, label) in clips.items()]
    write_lines(root / "FSD50K.metadata/collection/collection_dev.csv", "fname,labels,mids", *raw)
    info = {"64760": {"license": "http://creativecommons.org/licenses/by/3.0/", "uploader": "somebody"}}
    write_lines(root / "FSD50K.metadata/dev_clips_info_FSD50K.json", json.dumps(info))
    return {"bark": 1, "growl": 1, "howl": 1, "whimper": 1, "other": 3}


SETS: dict[str, Callable[[Path], Counts]] = {
    make.__name__: make
    for make in (
        stanford_dogs,
        tiny_imagenet,
        imagenet25,
        esc50,
        esc10,
        urbansound8k,
        fsdkaggle2018,
        fma_small,
        bird_audio,
        librispeech_gender,
        speech_commands,
        nsynth,
        dog_sounds,
    )
}
"""The cards of the project, each with the maker of its tree, which returns the right counts."""


def list_sources(name: str, root: Path) -> list[Path]:
    """What a user would give for a tree."""
    return sorted(root.iterdir()) if name == "dog_sounds" else [root]
