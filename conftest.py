"""What holds for every test: no hub, no library of the person who runs them, the same examples every time."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported

settings.register_profile("house", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Voices, weights and settings of a test live and die with it."""
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path / "home"))
