"""The cards: read, complete, honest about what nobody verified."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields

import pytest

from mmdream.core.errors import UserError
from mmdream.datasets import layouts
from mmdream.datasets.card import (
    CARDS_FOLDER,
    NOT_VERIFIED,
    DatasetArchive,
    DatasetCard,
    DatasetClass,
    DatasetVariant,
    dataset_names,
    read_dataset_card,
)
from mmdream.networks.card import MODELS_FOLDER

ISSUE = (
    "stanford_dogs dog_sounds imagenet25 fsdkaggle2018 esc50 esc10 urbansound8k fma_small bird_audio "
    "librispeech_gender speech_commands nsynth tiny_imagenet"
)


def test_every_set_of_the_list_has_a_card():
    assert dataset_names() == sorted(ISSUE.split())


@pytest.mark.parametrize("name", ISSUE.split())
def test_a_card_tells_what_a_stranger_needs(name: str):
    about = read_dataset_card(name)
    assert hasattr(layouts, f"read_{about.layout}")
    for words in (about.about, about.laid_out, about.licence, about.licence_source, about.citation):
        assert words.strip()
    assert about.facts_source
    assert about.publisher.startswith("http")
    labels = [each.label or each.name for each in about.classes]
    folders = [each.name for each in about.classes]
    assert len(set(labels)) == len(labels)
    assert len({folder.lower() for folder in folders}) == len(folders)
    assert not [folder for folder in folders if re.search(r'[/\\:*?"<>|\t]|^\.|\.$', folder)]
    counted = sum(each.files for each in about.classes)
    assert counted in (0, about.files)
    for archive in about.archives:
        assert re.fullmatch(r"https?://\S+", archive.address)
        assert re.fullmatch(r"(|sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40}|md5:[0-9a-f]{32})", archive.checksum)
        assert archive.file
        # What is empty is said to be.
        assert archive.bytes or any("size" in each for each in about.not_verified)
        assert archive.checksum or any("checksum" in each for each in about.not_verified)
        assert archive.size == NOT_VERIFIED or archive.size.endswith(" MB")


IMAGENET25 = """
altar; viaduct; Roman building; temple; totem pole; windmill; artillery, heavy weapon, gun, ordnance;
launcher, rocket launcher; atom bomb, atomic bomb, A-bomb, fission bomb, plutonium bomb; shotgun shell;
automatic firearm; revolver; khukuri; broad arrow; helicopter; biplane; stealth fighter; airbus;
hot-air balloon; motor scooter; ambulance; sports car; Model T; jeep; stock car
"""


def test_imagenet25_is_the_issues_and_16_of_it_are_new():
    about = read_dataset_card("imagenet25")
    expected = [name.strip() for name in IMAGENET25.split(";")]
    assert [each.words or each.name for each in about.classes] == expected
    lines = (MODELS_FOLDER / "imagenet_classes.tsv").read_text(encoding="utf-8").splitlines()
    known = {line.split("\t")[0]: line.split("\t")[1] for line in lines}
    shared = [each for each in about.classes if each.label in known]
    assert len(about.classes) - len(shared) == 16
    assert all(each.name in known[each.label] for each in shared)
    assert about.side == 224
    assert not about.archives


def test_dogs_and_tiny_pictures_bear_imagenets_names():
    lines = (MODELS_FOLDER / "imagenet_classes.tsv").read_text(encoding="utf-8").splitlines()
    known = {line.split("\t")[0]: line.split("\t")[1].lower() for line in lines}
    for name, count in (("stanford_dogs", 120), ("tiny_imagenet", 200)):
        about = read_dataset_card(name)
        assert len(about.classes) == count
        assert all(each.name.replace("_", " ").lower() in known[each.label] for each in about.classes)


def test_the_other_lists_have_their_lengths():
    lengths = {
        "esc50": 50,
        "esc10": 10,
        "urbansound8k": 10,
        "fsdkaggle2018": 41,
        "fma_small": 8,
        "speech_commands": 35,
        "nsynth": 11,
    }
    assert {name: len(read_dataset_card(name).classes) for name in lengths} == lengths


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(UserError, match=r'no dataset "urbansounds"; nearest: urbansound8k'):
        read_dataset_card("urbansounds")
    with pytest.raises(UserError, match="bird_audio, dog_sounds"):
        read_dataset_card("???")


def test_the_readme_names_every_card():
    text = (CARDS_FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in dataset_names())


@pytest.mark.parametrize("name", dataset_names())
def test_a_card_has_no_key_that_nobody_reads(name: str):
    content = tomllib.loads((CARDS_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    tables = {"classes": DatasetClass, "archives": DatasetArchive, "variants": DatasetVariant}
    assert content.keys() <= {field.name for field in fields(DatasetCard)}
    for key, kind in tables.items():
        for table in content.get(key, ()):
            assert table.keys() <= {field.name for field in fields(kind)}
