"""Prompts: what words ask for, what is refused, and that a prompt dreams what its motifs do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmdream import Recipe, Schedule, dream_image
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.networks.registry import load_card
from mmdream.prompts.lexicon import list_phrases, load_descriptions, load_lexicon
from mmdream.prompts.reading import match_prompt, rank_dreams
from mmdream.prompts.resolve import resolve_prompts, spread_slots
from mmdream.prompts.vocabulary import load_vocabulary, name_dreams
from mmdream.prompts.words import load_kinds, load_words, split_words, uninflect
from mmdream.settings.files import read_schedule
from tests.command import mmdream


@pytest.mark.parametrize(
    ("word", "stem"), [("ponies", "pony"), ("churches", "church"), ("stopped", "stop"), ("dancing", "dance")]
)
def test_forms_are_known_by_their_stems(word: str, stem: str):
    assert stem in uninflect(word)
    assert load_words().find(word) is not None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a lighthouse in the fog", "lighthouse"),
        ("Dogs, barking at the sea!", "dog"),
        ("butterflies everywhere", "butterfly"),
        ("a tower with a light that warns ships", "lighthouse"),
        ("vehicle that takes children to school", "bus"),
        ("the Egyptian cats", "Egyptian cat"),
        ("an old church", "cathedral"),
        ("a tiger in the jungle", "lion"),
        ("Café chairs", "rocking chair"),
        ("the king of animals", "lion"),
        ("my grandmother's kitchen", "teapot"),
        ("a city under water", "coral reef"),
        ("two pugs", "dog"),
        ("dreamboats", "ship"),
    ],
)
def test_words_find_what_dreamnet_can_dream(text: str, name: str):
    assert name in [match.name for match in match_prompt(text, load_vocabulary("dreamnet")).matches]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a cat the size of a house", "house"),
        ("an empty house without windows", "window"),
        ("watching a brass band", "brass"),
        ("walking in the mountains", "walking stick"),
        ("a teddy bear", "bear"),
    ],
)
def test_words_do_not_find_what_was_not_meant(text: str, name: str):
    assert name not in [match.name for match in match_prompt(text, load_vocabulary("dreamnet")).matches]


def test_what_is_not_understood_is_told():
    told = list[str]()
    resolve_prompts(Recipe(schedule=Schedule(prompt="an elephant on stilts")), told.append)
    assert told == ['prompt "an elephant on stilts": elephant: elephant 1.00; left out: stilts']


def test_a_search_finds_what_a_scene_is_made_of():
    names = [name for name, _ in rank_dreams("sea animals", load_card("dreamnet"))[:12]]
    assert {"dugong", "jellyfish"} <= set(names)


def test_lines_by_hand_name_what_can_be_dreamed():
    nets = [load_card(net) for net in ("dreamnet", "melnet", "googlenet")]
    known = {tuple(split_words(called)) for card in nets for _, called in name_dreams(card)}
    lexicon = load_lexicon()
    phrases = [
        row
        for section in (lexicon.same, lexicon.like, lexicon.part, lexicon.mood)
        for row in list_phrases(section)
    ]
    assert not {name for _, choices in phrases for choice in choices for name in choice} - known
    assert not [phrase for phrase, _ in phrases if len([each for each, _ in phrases if each == phrase]) > 1]
    assert not [name for name in load_descriptions() if not load_card("dreamnet").has_class(name)]


@pytest.mark.parametrize(
    ("text", "name"),
    [("waves on a beach", "sea waves"), ("a clock ticks", "clock tick"), ("someone crying", "baby cry")],
)
def test_words_find_what_melnet_can_dream(text: str, name: str):
    assert match_prompt(text, load_vocabulary("melnet")).matches[0].name == name


def test_a_sum_of_words_has_length_one_and_knows_accents():
    assert split_words("Été, naïve!") == ["ete", "naive"]
    vector = load_words().embed(["dog", "sea", "xyzzyx"])
    assert vector is not None
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert load_words().embed(["xyzzyx"]) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 'prompt "": has no words; say in English what is to be dreamed'),
        ("🐶🐶 42", "has no words; say in English"),
        ("собака в тумане", "none of its words is known; say in plain English"),
        ("dog " * 500, "has 500 words; say it in 60 at most"),
        ("it is like that", "none of its words is for what is seen or heard"),
        ("the feeling of loneliness", "is nothing that can be dreamed; nearest: "),
        ("a dog=heavy", "write NAME or NAME=weight"),
    ],
)
def test_what_says_nothing_is_refused(text: str, line: str, tmp_path: Path):
    out = tmp_path / "out.png"
    done = mmdream("image", "--from", "noise", "--prompt", text, "-o", out)
    assert done.returncode == 2
    assert line in done.stderr
    assert not out.exists()


def test_a_prompt_besides_motifs_is_refused():
    with pytest.raises(UserError, match="give one of them"):
        resolve_prompts(Recipe(schedule=Schedule(prompt="a dog", motif="eye")), print)


def test_prompts_are_mixed_by_their_weights_and_cross_fade(tmp_path: Path):
    file = tmp_path / "film.toml"
    file.write_text(
        '[[key]]\nat = 0\nprompt = "a dog=3"\n[[key]]\nat = 0\nprompt = "mushrooms"\n'
        '[[key]]\nat = 4\nprompt = "a lighthouse"\n'
    )
    told = list[str]()
    recipe = resolve_prompts(Recipe(schedule=read_schedule(file)), told.append)
    assert told[0].startswith('prompt "a dog": dog: dog 1.00')
    first, half = (dict(recipe.schedule.at(seconds).motifs) for seconds in (0.0, 2.0))
    assert first["dog"] == pytest.approx(0.75)
    assert first["mushroom"] == pytest.approx(0.25)
    assert half["dog"] == pytest.approx(0.375)
    assert half["lighthouse"] == pytest.approx(0.5)
    assert resolve_prompts(recipe, told.append) == recipe
    assert [term.name for term in recipe.sound_wishes.terms] == ["dog bark", "sea waves"]


def test_shares_are_kept_in_slots():
    names = spread_slots({"dog": 2.0, "sea": 1.0, "eye": 0.01})
    assert [names.count(name) for name in ("dog", "sea", "eye")] == [8, 4, 1]


def test_a_prompt_dreams_what_its_motif_does():
    picture = np.random.default_rng(0).random((72, 96, 3), dtype=np.float32)
    short = Schedule(steps=2, octaves=1)
    dreams = [
        dream_image(picture, Recipe(schedule=replace(short, **asked)), listener=EventSink())
        for asked in ({"prompt": "lighthouses"}, {"motif": "lighthouse"}, {})
    ]
    np.testing.assert_array_equal(dreams[0], dreams[1])
    assert not np.array_equal(dreams[0], dreams[2])


def test_a_class_may_stand_for_a_motif():
    recipe = Recipe(schedule=Schedule(motif="tabby", steps=1, octaves=1))
    picture = np.full((64, 64, 3), 0.5, np.float32)
    assert dream_image(picture, recipe).shape == picture.shape


def test_a_damaged_table_is_named(tmp_path: Path):
    (file := tmp_path / "words.npz").write_bytes(b"no table")
    with pytest.raises(UserError, match="missing or damaged"):
        load_words(file)
    with pytest.raises(UserError, match="missing or damaged"):
        load_kinds(file)
    with pytest.raises(UserError, match="missing or damaged"):
        load_lexicon(file)
