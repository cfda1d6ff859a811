"""The user's folders are where the platform's custom has them, unless a variable names another place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmdream.core.files import user_cache_folder, user_data_folder


def test_variables_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert user_cache_folder() == tmp_path / "cache" / "mmdream"
    assert user_data_folder() == tmp_path / "data" / "mmdream"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
@pytest.mark.parametrize("empty", [True, False])
def test_without_variables_they_lie_in_the_home(empty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, "")
        if not empty:
            monkeypatch.delenv(variable)
    assert user_cache_folder() == tmp_path / ".cache" / "mmdream"
    assert user_data_folder() == tmp_path / ".local/share" / "mmdream"
