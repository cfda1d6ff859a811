"""A further kind of pass: its settings and its renderer, and all else comes by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mmdream import Pass, Recipe, UserError, dream_image
from mmdream.render import passes as renderers
from mmdream.settings import passes
from mmdream.settings.definition import checked, parse, setting
from mmdream.settings.files import json_schema, parse_pass, read_passes


@checked
@dataclass(frozen=True, slots=True)
class Darken:
    amount: float = setting(0.5, "How much darker.", low=0, high=1)


@dataclass(frozen=True)
class DarkenPass(renderers.EffectPass):
    def apply(self, image):
        return image * np.float32(1 - self.effect.amount)


@pytest.fixture(autouse=True)
def darken(monkeypatch):
    monkeypatch.setitem(passes.EFFECTS, "darken", Darken)
    monkeypatch.setitem(renderers.EFFECT_RENDERERS, "darken", DarkenPass)


def test_an_effect_is_laid_on_an_image_as_strong_as_it_is_asked_for():
    image = np.random.default_rng(0).random((64, 80, 3), dtype=np.float32)
    dark = dream_image(image, Recipe(passes=(parse_pass("darken:amount=0.25,strength=0.5"),)))
    np.testing.assert_allclose(dark, image * 0.875, atol=1e-6)


def test_an_effect_comes_from_files_and_goes_into_jobs(tmp_path):
    file = tmp_path / "passes.toml"
    file.write_text('[[pass]]\neffect = "darken"\namount = 0.25\n')
    (dark,) = read_passes(file)
    assert dark == parse_pass("darken:amount=0.25") == Pass(effect=Darken(0.25))
    assert parse(Pass, dark.to_dict(), "pass") == dark
    assert str(dark) == "darken"
    assert "amount" in json_schema()["$defs"]["DarkenPass"]["properties"]


def test_what_is_wrong_with_an_effect_is_told_in_a_line():
    with pytest.raises(UserError, match="amount is 2; choose between 0 and 1"):
        parse_pass("darken:amount=2")
    with pytest.raises(UserError, match=r"ammount.*did you mean 'amount'"):
        parse_pass("darken:ammount=1")
