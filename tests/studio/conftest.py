"""The studio as a person starts it, and Debian's Chromium (or another) to look at it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the studio wants the extra of its name: pip install 'mynah[studio]'")

from tests.serve.conftest import Running
from tests.studio.line import line_system

SHOTS = Path(os.environ.get("MYNAH_SHOTS", "")) if os.environ.get("MYNAH_SHOTS") else None
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Studio(Running):
    """`mynah studio` instead of `mynah serve`."""

    command, says = ("studio", "--no-browser"), "mynah studio is at "

    def start(self) -> None:
        line_system(self.home.parent / f"{self.home.name}-plugins")
        super().start()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One for all tests of the page."""
    running = Studio(tmp_path_factory.mktemp("studio") / "home", "--minutes", "2")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: to be looked at, by a person."""
    place = SHOTS or tmp_path_factory.mktemp("shots")
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Starts browsers; each hears a recording of its own as its microphone."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    open_ones: list[Any] = []
    with playwright.sync_playwright() as tools:

        def start(microphone: Path | None = None) -> Any:
            flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
            if microphone:
                flags.append(f"--use-file-for-fake-audio-capture={microphone}")
            open_ones.append(tools.chromium.launch(executable_path=found, args=flags))
            return open_ones[-1]

        yield start
        for browser in open_ones:
            browser.close()
