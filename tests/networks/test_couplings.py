"""Which sounds and which motifs belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdream.core.errors import UserError
from mmdream.networks.couplings import check_couplings, find_couplings, load_couplings
from mmdream.networks.registry import load_card


def write_table(folder: Path, sound: str, motifs: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(f"[[coupling]]\nsound = {sound}\nmotifs = {motifs}\n")
    return path


def test_a_users_rows_stand_before_those_that_ship(tmp_path: Path):
    dreamnet, melnet = load_card("dreamnet"), load_card("melnet")
    table = load_couplings(write_table(tmp_path, '"dog"', '["tower", "no motif of it"]'))
    found = find_couplings(dreamnet, melnet, table)
    assert found["dog bark"] == ("tower",)
    assert found["rain"] == find_couplings(dreamnet, melnet)["rain"]


def test_a_kind_of_grains_may_be_coupled_too(tmp_path: Path):
    table = write_table(tmp_path, '"tram"', '["bus"]')
    dreamnet, melnet = load_card("dreamnet"), load_card("melnet")
    check_couplings(table, [dreamnet], melnet, {"tram"})
    assert find_couplings(dreamnet, melnet, load_couplings(table))["tram"] == ("bus",)


@pytest.mark.parametrize(
    ("sound", "motifs", "told"),
    [
        ('"tram"', '["bus"]', "no sound network or grains here know 'tram'; they know dog bark, "),
        ('"dog"', '["tram"]', "no picture network here knows the motif 'tram'; known: "),
        ('"dog"', "[]", "'dog' has no motifs"),
        ('"dog"', '"bus"', "write [[coupling]] with sound"),
        ('"dog', "[]", "write [[coupling]] with sound"),
    ],
)
def test_a_table_that_nothing_can_go_by_is_refused(tmp_path: Path, sound: str, motifs: str, told: str):
    table = write_table(tmp_path, sound, motifs)
    with pytest.raises(UserError) as refused:
        check_couplings(table, [load_card("dreamnet")], load_card("melnet"), ())
    assert str(table) in str(refused.value)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
