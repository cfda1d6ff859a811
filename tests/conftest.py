"""Where the real films, sounds and pictures are that the tests read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("MMDREAM_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The shared data folder; a test that needs it says so when it is missing."""
    if not DATA.is_dir():
        pytest.skip(f"no shared data at {DATA}; set MMDREAM_DATA to the folder that holds films/ and sounds/")
    return DATA


@pytest.fixture(scope="session")
def generator_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of networks with the generator `small`, of the classes lemon and gizmo, 32 px."""
    from tests.generator import write_generator  # TensorFlow.

    folder = tmp_path_factory.mktemp("models")
    write_generator(folder)
    return folder


@pytest.fixture
def small_generator(generator_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator `small` is among the user's own networks."""
    monkeypatch.setenv("MMDREAM_MODELS", str(generator_models))
