"""Where generators that a test trains are kept."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of networks."""
    monkeypatch.setenv("MMDREAM_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"
