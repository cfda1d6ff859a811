"""Every card prepares its set in miniature, from folders and archives; mistakes are one line."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from trees import (
    SETS,
    esc10,
    esc50,
    fsd50k,
    list_sources,
    tar_folder,
    urbansound8k,
    write_lines,
    write_picture,
    write_sound,
    zip_folder,
)

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets.card import dataset_names, read_dataset_card
from mmdream.datasets.folder import INFO_FILE, TABLE_FILE, ManifestRow, read_manifest
from mmdream.datasets.prepare import PreparedDataset, prepare_dataset
from mmdream.datasets.sources import read_matlab_list


def prepare_set(name: str, out: Path, *given: Path, variant: str | None = None) -> PreparedDataset:
    return prepare_dataset(name, given, out, variant, False, EventSink())


def count_examples(report: PreparedDataset) -> dict[str, int]:
    return {name: found for name, (found, _) in report.counts.items() if found}


def read_rows(out: Path) -> dict[str, ManifestRow]:
    return {row.file: row for row in read_manifest(out)[1]}


def read_rows_by_name(out: Path) -> dict[str, ManifestRow]:
    return {Path(row.file).name: row for row in read_manifest(out)[1]}


def read_files(out: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(out)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in out.rglob("*")
        if path.is_file() and path.name not in (INFO_FILE, TABLE_FILE)
    }


def test_every_card_has_its_tree():
    assert sorted(SETS) == dataset_names()


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_publishers_layout_becomes_class_folders(name: str, tmp_path: Path):
    counts = SETS[name](tmp_path / "given")
    before = {path for path in (tmp_path / "given").rglob("*") if path.is_file()}
    out = tmp_path / "set"
    report = prepare_set(name, out, *list_sources(name, tmp_path / "given"))
    assert count_examples(report) == counts
    for label, count in counts.items():
        assert len(list((out / "input" / label).iterdir())) == count
    table = read_rows(out)
    assert sorted(table) == sorted(str(path.relative_to(out)) for path in (out / "input").rglob("*.*"))
    assert all(row.licence and row.source for row in table.values())
    # What the user gave is still there, and nothing of the work is.
    assert {path for path in (tmp_path / "given").rglob("*") if path.is_file()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", sorted(SETS))
def test_a_second_time_changes_nothing(name: str, tmp_path: Path):
    SETS[name](tmp_path / "given")
    out = tmp_path / "set"
    given = list_sources(name, tmp_path / "given")
    first = prepare_set(name, out, *given)
    files, table = read_files(out), (out / TABLE_FILE).read_bytes()
    again = prepare_set(name, out, *given)
    assert first.new == again.files[0] == first.files[0]
    assert again.new == 0
    assert read_files(out) == files
    assert (out / TABLE_FILE).read_bytes() == table


@pytest.mark.parametrize("pack", [zip_folder, tar_folder], ids=["zip", "tar.gz"])
@pytest.mark.parametrize("name", sorted(set(SETS) - {"imagenet25"}))
def test_an_archive_gives_the_same_as_its_folder(name: str, pack, tmp_path: Path):
    counts = SETS[name](tmp_path / "given")
    ending = ".zip" if pack is zip_folder else ".tar.gz"
    archives = [
        pack(each, tmp_path / f"{each.name}{ending}")
        for each in (list_sources(name, tmp_path / "given"))
        if each.is_dir()
    ]
    assert count_examples(prepare_set(name, tmp_path / "set", *archives)) == counts


def test_archives_that_lie_in_a_folder_are_unpacked(tmp_path: Path):
    counts = SETS["fsdkaggle2018"](tmp_path / "given")
    (tmp_path / "downloads").mkdir()
    for folder in (tmp_path / "given").iterdir():
        zip_folder(folder, tmp_path / "downloads" / f"{folder.name}.zip")
    (tmp_path / "downloads" / "another.zip").write_bytes(b"not of this set")
    assert count_examples(prepare_set("fsdkaggle2018", tmp_path / "set", tmp_path / "downloads")) == counts


def test_a_table_beside_its_archive(tmp_path: Path):
    SETS["bird_audio"](tmp_path / "given")
    archive = zip_folder(tmp_path / "given" / "ff1010bird", tmp_path / "ff1010bird_wav.zip")
    table = tmp_path / "given" / "ff1010bird_metadata_2018.csv"
    assert count_examples(prepare_set("bird_audio", tmp_path / "set", archive, table)) == {
        "bird": 1,
        "no_bird": 1,
    }


def test_imagenets_archive_of_archives(tmp_path: Path):
    counts = SETS["imagenet25"](tmp_path / "given")
    with tarfile.open(tmp_path / "ILSVRC2012_img_train.tar", "w") as tar:
        for path in (tmp_path / "given").glob("*.tar"):
            tar.add(path, path.name)
    report = prepare_set("imagenet25", tmp_path / "set", tmp_path / "ILSVRC2012_img_train.tar")
    assert count_examples(report) == {name: count for name, count in counts.items() if name != "stock car"}


def test_esc10_from_the_real_archive(data: Path, tmp_path: Path):
    report = prepare_set("esc10", tmp_path / "set", data / "esc10.tar")
    assert report.files == (400, 400)
    assert set(report.counts.values()) == {(40, 40)}
    assert len(report.counts) == 10
    table = read_rows(tmp_path / "set").values()
    assert sorted(row.fold for row in table) == sorted("12345" * 80)
    assert {row.licence for row in table} == {"CC0", "CC-BY", "CC-Sampling+"}
    recordings = {row.group: row.fold for row in table}
    assert all(recordings[row.group] == row.fold for row in table)
    assert all(line.count("\t") == 8 for line in (tmp_path / "set" / TABLE_FILE).read_text().splitlines())


def test_tiny_imagenet_from_the_real_archive(data: Path, tmp_path: Path):
    report = prepare_set("tiny_imagenet", tmp_path / "set", data / "tiny_imagenet_val.tar")
    assert report.files == (2000, 110_000)
    assert {found for found, _ in report.counts.values()} == {10}
    assert {row.fold for row in read_rows(tmp_path / "set").values()} == {"validation"}


def test_folds_speakers_and_recordings_are_kept(tmp_path: Path):
    found = {}
    for name in SETS:
        SETS[name](tmp_path / name)
        prepare_set(name, tmp_path / f"{name}-set", *list_sources(name, tmp_path / name))
        found[name] = read_rows_by_name(tmp_path / f"{name}-set")
    assert found["stanford_dogs"]["n02085620_199.jpg"].fold == "test"
    assert found["tiny_imagenet"]["val_0.JPEG"].fold == "validation"
    assert found["esc50"]["5-9032-A-0.wav"].fold == "5"
    assert found["esc50"]["1-100032-A-0.wav"].licence == "CC0"
    assert found["esc50"]["1-100032-A-0.wav"].source.endswith("100032/ by nfrae")
    assert found["esc50"]["1-100032-B-0.wav"].group == found["esc50"]["1-100032-A-0.wav"].group
    assert found["urbansound8k"]["100648-1-0-0.wav"].fold == "10"
    assert found["fsdkaggle2018"]["00326aa9.wav"].fold == "test"
    assert found["fsdkaggle2018"]["00326aa9.wav"].licence == "Creative Commons 0"
    assert found["fma_small"]["000002.mp3"].group == found["fma_small"]["000005.mp3"].group == "artist 1"
    assert found["fma_small"]["000140.mp3"].fold == "test"
    assert found["fma_small"]["000140.mp3"].licence == "CC BY 4.0"
    assert found["bird_audio"]["2525.wav"].fold == "ff1010bird"
    assert found["librispeech_gender"]["251-121123-0000.flac"].group == "speaker 251"
    assert found["librispeech_gender"]["251-121123-0000.flac"].source.endswith("Mark | Nelson")
    assert found["speech_commands"]["00b01445_nohash_0.wav"].group == "speaker 00b01445"
    assert found["nsynth"]["bass_electronic_018-047-100.wav"].fold == "validation"
    assert found["nsynth"]["synth_lead_synthetic_004-060-127.wav"].group == "synth_lead_synthetic_004"
    # The same recording of Freesound's in two sets is one group.
    dogs = found["dog_sounds"]
    assert dogs["esc50-1-100032-A-0.wav"].group == dogs["fsd50k-100032.wav"].group == "freesound 100032"
    assert dogs["esc50-1-100032-A-0.wav"].licence == "CC0"
    assert dogs["urbansound8k-100032-3-0-0.wav"].licence.startswith("CC BY-NC 3.0")
    assert dogs["fsd50k-1000.wav"].licence.endswith("see FSD50K.metadata")
    assert dogs["fsd50k-64760.wav"].licence == "http://creativecommons.org/licenses/by/3.0/"


def test_esc10_out_of_esc50(tmp_path: Path):
    esc50(tmp_path / "given")
    assert count_examples(prepare_set("esc10", tmp_path / "set", tmp_path / "given")) == {
        "dog": 3,
        "rooster": 1,
    }


def test_dogs_of_some_sets_and_then_of_another(tmp_path: Path):
    fsd50k(tmp_path / "fsd")
    urbansound8k(tmp_path / "urban")
    out = tmp_path / "set"
    first = {"bark": 1, "growl": 1, "howl": 1, "whimper": 1, "other": 3}
    assert count_examples(prepare_set("dog_sounds", out, tmp_path / "fsd")) == first
    more = prepare_set("dog_sounds", out, tmp_path / "urban")
    assert count_examples(more) == {**first, "bark": 2, "other": 4}
    assert more.new == 2


def test_the_ground_truth_alone_tells_barks_and_growls(tmp_path: Path):
    fsd50k(tmp_path / "fsd")
    shutil.rmtree(tmp_path / "fsd" / "FSD50K.metadata")
    assert count_examples(prepare_set("dog_sounds", tmp_path / "set", tmp_path / "fsd")) == {
        "bark": 1,
        "growl": 1,
        "other": 2,
    }


def test_four_seconds_and_no_shots(tmp_path: Path):
    urbansound8k(tmp_path / "given")
    report = prepare_set("urbansound8k", tmp_path / "set", tmp_path / "given", variant="four_seconds")
    assert count_examples(report) == {"dog_bark": 1, "children_playing": 1}
    assert len(report.counts) == 9
    assert report.left_out == 2


def test_all_classes_on_request(tmp_path: Path):
    SETS["fsdkaggle2018"](tmp_path / "given")
    report = prepare_set("fsdkaggle2018", tmp_path / "set", tmp_path / "given", variant="all")
    assert count_examples(report) == {"Gong": 2, "Bus": 2, "Cello": 1}
    assert len(report.counts) == 41
    assert report.files == (5, 11_073)
    assert (
        len(
            read_dataset_card("fsdkaggle2018").variant_classes(
                read_dataset_card("fsdkaggle2018").find_variant(None)
            )
        )
        == 20
    )


def test_imagenet25s_pictures_are_squares_of_224(tmp_path: Path):
    SETS["imagenet25"](tmp_path / "given")
    prepare_set("imagenet25", tmp_path / "set", tmp_path / "given")
    shapes = {cv2.imread(str(path)).shape for path in (tmp_path / "set/input").rglob("*.jpg")}
    assert shapes == {(224, 224, 3)}
    table = read_rows(tmp_path / "set").values()
    assert all(row.sha256 != row.origin for row in table)


def test_a_damaged_picture_is_left_out(tmp_path: Path):
    SETS["imagenet25"](tmp_path / "given")
    (tmp_path / "given/n04322801/n04322801_6.JPEG").write_bytes(b"no picture")
    report = prepare_set("imagenet25", tmp_path / "set", tmp_path / "given")
    assert report.left_out == 1
    assert count_examples(report)["stock car"] == 1


def test_links_that_lead_nowhere_and_sounds_that_are_none_are_left_out(tmp_path: Path):
    esc10(tmp_path / "given")
    (tmp_path / "given/001 - Dog bark/3-1-A.ogg").symlink_to(tmp_path / "nowhere.ogg")
    report = prepare_set("esc10", tmp_path / "set", tmp_path / "given")
    assert (report.new, report.left_out) == (3, 1)
    urbansound8k(tmp_path / "urban")
    (tmp_path / "urban/UrbanSound8K/audio/fold5/100032-3-0-0.wav").write_bytes(b"no sound")
    report = prepare_set("urbansound8k", tmp_path / "urban set", tmp_path / "urban", variant="four_seconds")
    assert (report.new, report.left_out) == (1, 3)


def test_a_set_of_which_nothing_can_be_read_is_none(tmp_path: Path):
    (tmp_path / "given/n02699494").mkdir(parents=True)
    (tmp_path / "given/n02699494/n02699494_1.JPEG").write_bytes(b"no picture")
    with pytest.raises(UserError, match="imagenet25: none of its files could be read"):
        prepare_set("imagenet25", tmp_path / "set", tmp_path / "given")
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


def test_what_appears_meanwhile_is_not_written_over(tmp_path: Path):
    esc10(tmp_path / "given")

    def write_into_set(what: str, _done: float, _total: float) -> None:
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / what).write_text("somebody else's")

    with pytest.raises(UserError, match="set: has appeared while the set was prepared; try again"):
        prepare_dataset(
            "esc10", [tmp_path / "given"], tmp_path / "set", None, False, EventSink(progress=write_into_set)
        )
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["sorting"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "set"]


def test_an_interrupted_run_leaves_nothing(tmp_path: Path):
    esc10(tmp_path / "given")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(
            "esc10", [tmp_path / "given"], tmp_path / "set", None, False, EventSink(progress=stop)
        )
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


def test_counts_stand_beside_the_cards(tmp_path: Path):
    esc10(tmp_path / "given")
    report = prepare_set("esc10", tmp_path / "set", tmp_path / "given")
    assert report.counts["dog"] == (2, 40)
    summary = "\n".join(report.lines())
    assert "2 of 40: differs from the card" in summary
    assert "licence: CC BY 3.0" in summary
    assert json.loads(json.dumps(report.as_json()))["classes"]["rain"] == {"files": 0, "expected": 40}


def test_what_is_lost_comes_back_and_what_changed_is_renewed(tmp_path: Path):
    esc10(tmp_path / "given")
    out = tmp_path / "set"
    prepare_set("esc10", out, tmp_path / "given")
    before = read_files(out)
    lost, cut, *_ = sorted((out / "input").rglob("*.ogg"))
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:100])
    assert prepare_set("esc10", out, tmp_path / "given").new == 2
    assert {name: data for name, (data, _) in read_files(out).items()} == {
        n: d for n, (d, _) in before.items()
    }


def test_two_files_of_one_name_are_both_kept_and_one_file_twice_is_kept_once(tmp_path: Path):
    for folder in ("a", "b"):
        write_picture(
            tmp_path / folder / "n02085620-Chihuahua" / "n02085620_7.jpg", 40 if folder == "a" else 50
        )
        write_picture(tmp_path / folder / "n02085620-Chihuahua" / "n02085620_8.jpg")
    report = prepare_set("stanford_dogs", tmp_path / "set", tmp_path / "a", tmp_path / "b")
    assert count_examples(report) == {"Chihuahua": 3}
    found = {Path(file).name for file in read_rows(tmp_path / "set")}
    assert found == {"n02085620_7.jpg", "n02085620_7~1.jpg", "n02085620_8.jpg"}


def test_a_table_cannot_lead_outside_of_the_tree(tmp_path: Path):
    write_sound(tmp_path / "secret.wav")
    urbansound8k(tmp_path / "given")
    table = tmp_path / "given/UrbanSound8K/metadata/UrbanSound8K.csv"
    with table.open("a") as file:
        file.write("../../../../secret.wav,1,0,4,1,1,3,dog_bark\n")
    assert count_examples(prepare_set("urbansound8k", tmp_path / "set", tmp_path / "given"))["dog_bark"] == 1


def test_the_set_may_lie_in_the_folder_that_is_given(tmp_path: Path):
    counts = SETS["stanford_dogs"](tmp_path)
    for _ in range(2):
        assert count_examples(prepare_set("stanford_dogs", tmp_path / "set", tmp_path)) == counts


MISTAKES = {
    "unknown": ("esc11", [], r'no dataset "esc11"; nearest: esc10'),
    "nothing given": ("esc10", [], r"give esc10 with --from ARCHIVE or --from FOLDER .*, or --download"),
    "an account": ("imagenet25", [], r"with --from .*it is to be had at https://image-net.org"),
    "no such source": ("esc10", ["nowhere.zip"], r"nowhere.zip: no such file or folder"),
    "no archive": ("esc10", ["notes.md"], r"notes.md: is no archive .*\.zip, \.tar, \.tar\.gz"),
    "a part": ("dog_sounds", ["parts.zip"], r"parts.zip: is one of several parts of an archive; unpack it"),
    "another set": ("esc10", ["dogs"], r"dogs: nothing of esc10 is there; it is laid out as"),
    "lacks a table": (
        "urbansound8k",
        ["dogs"],
        r"nothing of urbansound8k is there \(no metadata/UrbanSound8K",
    ),
    "lacks a column": ("urbansound8k", ["odd"], r"odd/metadata/UrbanSound8K.csv: has no column fsID"),
    "unreadable table": ("fma_small", ["odd"], r"odd/tracks.csv: is no table that can be read"),
    "lacks columns": ("fma_small", ["odd2"], r"tracks.csv: has no column track genre_top"),
    "unreadable list": ("stanford_dogs", ["odd"], r"train_list.mat: is no list of the publisher's"),
    "torn list": ("stanford_dogs", ["odd3"], r"train_list.mat: is no list of the publisher's"),
    "newer list": ("stanford_dogs", ["odd4"], r"train_list.mat: is no list of the publisher's"),
    "unreadable licences": (
        "dog_sounds",
        ["odd/FSD50K.ground_truth"],
        r"dev_clips_info_FSD50K.json: cannot be read",
    ),
    "no dogs": ("dog_sounds", ["dogs"], r"no meta/esc50.csv, metadata/UrbanSound8K.csv or FSD50K"),
}


def test_a_number_of_thousands_of_digits_is_passed_over(tmp_path: Path):
    SETS["fma_small"](tmp_path / "given")
    with open(tmp_path / "given/fma_metadata/tracks.csv", "a") as table:
        table.write(f"{'9' * 5000},0,,1,AWOL,training,small,Hip-Hop,CC\n")
    assert prepare_set("fma_small", tmp_path / "set", tmp_path / "given").new == 3


@pytest.mark.parametrize("name", ["crash", "index", "unbound"])
def test_a_list_that_scipy_falls_over_is_told(name: str):
    path = Path(__file__).parent / "hostile" / f"{name}.mat"
    with pytest.raises(UserError, match=rf"{name}\.mat: is no list of the publisher's"):
        read_matlab_list(path)


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_a_mistake_is_one_line_and_leaves_nothing(mistake: str, tmp_path: Path):
    SETS["stanford_dogs"](tmp_path / "dogs")
    write_lines(tmp_path / "notes.md", "no archive")
    write_lines(tmp_path / "parts.z01", "the first part")
    write_lines(tmp_path / "parts.zip", "the last part")
    write_lines(tmp_path / "odd/metadata/UrbanSound8K.csv", "slice_file_name,fold,class", "a.wav,1,siren")
    (tmp_path / "odd/tracks.csv").write_bytes(b"\xff\xfe\x00")
    write_lines(tmp_path / "odd2/tracks.csv", ",album", ",comments")
    (tmp_path / "odd/train_list.mat").write_bytes(b"no matrix")
    matrix = io.BytesIO()
    savemat(matrix, {"file_list": np.array([["a.jpg"]] * 50, dtype=object)}, do_compression=True)
    head, body = matrix.getvalue()[:140], matrix.getvalue()[140:]
    for place, data in {
        "odd3": head + body[::-1],
        "odd4": head[:124] + b"\x00\x02" + head[126:] + body,
    }.items():
        (tmp_path / place).mkdir()
        (tmp_path / place / "train_list.mat").write_bytes(data)
    write_lines(tmp_path / "odd/FSD50K.ground_truth/dev_clips_info_FSD50K.json", "[]")
    write_lines(tmp_path / "odd/FSD50K.ground_truth/dev.csv", "fname,labels")
    name, given, message = MISTAKES[mistake]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message) as raised:
        prepare_set(name, tmp_path / "set", *(tmp_path / each for each in given))
    assert "\n" not in str(raised.value)
    assert ".mmdream-" not in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_wrong_variant_names_the_right_ones(tmp_path: Path):
    with pytest.raises(UserError, match=r'urbansound8k has no variant "short"; it has four_seconds'):
        prepare_set("urbansound8k", tmp_path / "set", tmp_path, variant="short")
    with pytest.raises(UserError, match=r'esc50 has no variant "all"; it has none'):
        prepare_set("esc50", tmp_path / "set", tmp_path, variant="all")


def test_what_is_in_the_way_is_told(tmp_path: Path):
    esc10(tmp_path / "given")
    urbansound8k(tmp_path / "urban")
    prepare_set("urbansound8k", tmp_path / "set", tmp_path / "urban", variant="four_seconds")
    (tmp_path / "file").write_bytes(b"")
    for out, message in (
        ("given", r"given: exists and is no prepared set; choose another folder with -o"),
        ("set", r"set: holds urbansound8k \(four_seconds\); choose another folder with -o"),
        ("file", r"file: is a file; choose another name with -o"),
        ("nowhere/set", r"nowhere: no such folder; create it first"),
    ):
        with pytest.raises(UserError, match=message):
            prepare_set("esc10", tmp_path / out, tmp_path / "given")
    (tmp_path / "empty").mkdir()
    assert prepare_set("esc10", tmp_path / "empty", tmp_path / "given").new == 3


@pytest.mark.parametrize("how", ["cells", "outside", "class", "json", "medium", "gone"])
def test_a_tampered_table_is_refused(how: str, tmp_path: Path):
    esc10(tmp_path / "given")
    out = tmp_path / "set"
    prepare_set("esc10", out, tmp_path / "given")
    table, about = out / TABLE_FILE, out / INFO_FILE
    whole, info = table.read_text(), json.loads(about.read_text())
    if how == "cells":
        table.write_text(whole + "input/dog/x.ogg\tdog\n")
    elif how == "outside":
        table.write_text(whole.replace("input/dog/1-100032-A.ogg", "input/dog/../../../x.ogg"))
    elif how == "class":
        table.write_text(whole.replace("input/dog/", "input/../").replace("\tdog\t", "\t..\t"))
        about.write_text(json.dumps({**info, "classes": ["..", "crackling_fire"]}))
    elif how == "json":
        about.write_text("[]")
    elif how == "medium":
        about.write_text(json.dumps({**info, "medium": "smell"}))
    else:
        table.unlink()
    with pytest.raises(UserError, match=r"manifest.tsv or dataset.json is damaged .*; prepare the set again"):
        read_manifest(out)
