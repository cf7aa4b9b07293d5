"""A person at the tabs that are made from protocols: each verb is asked for, heard or read. Run by `make browser`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mynah.audio.files import read, write
from mynah.core.types import Audio
from tests.studio.visit import Visit

pytestmark = pytest.mark.skipif(not os.environ.get("MYNAH_BROWSER"), reason="run by make browser")

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_verb_does_what_its_tab_says(studio: Any, chromium: Any, shots: Path, tmp_path: Path) -> None:
    voice = read(EXAMPLES / "voice.ogg")
    recording = write(Audio(voice.samples[:, : 3 * voice.rate], voice.rate), tmp_path / "recording.wav")
    visit = Visit(chromium(), studio.url)
    page = visit.page
    for name, system, comes in (
        ("Separate", "centre", "vocals"),
        ("Convert", "loud", "converted"),
        ("Speak", "beep", "speech"),
        ("Transcribe", "ear", ""),
        ("Vocode", "griffin_lim", "vocoded"),
    ):
        verb = name.lower()
        visit.tab(name)
        if verb == "speak":
            page.fill("#speak-text textarea", "la la la")
        else:
            page.set_input_files(f"#{verb}-source input[type=file]", recording)
            page.wait_for_selector(f"#{verb}-source [aria-label='Play'], #{verb}-source audio", state="attached")
        visit.choose(f"#{verb}-system", f"{system} ·")
        page.wait_for_selector(f"#{verb}-go")
        page.wait_for_timeout(1500)  # the drawer of the chosen system comes with a button of its own
        page.click(f"#{verb}-go")
        page.wait_for_selector(f"#{verb}-steps .completed")
        if comes:
            heard = visit.taken(f"#{verb}-result [data-file={comes}]", tmp_path / f"{verb}.flac")
            assert read(heard).seconds > 0.5
        else:
            assert page.inner_text("#transcribe-result .words") == "la la"
        job = studio.job(page.get_attribute(f"#{verb}-steps [data-job]", "data-job"))
        assert job["status"] == "completed"
        visit.shot(shots / f"verb-{verb}.png")
    visit.fine()
