"""A person at the train tab: sets a training up, looks at the recordings, starts, pauses, listens, ends it, throws it
away. Run by `make browser`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.studio.visit import Visit

pytestmark = pytest.mark.skipif(not os.environ.get("MYNAH_BROWSER"), reason="run by make browser")

EXAMPLES = Path(__file__).parents[2] / "examples"


def status(page: Any, *wanted: str) -> None:
    page.wait_for_selector(", ".join(f"#train-state [data-status={each}]" for each in wanted))


def set_up(visit: Visit, name: str) -> None:
    visit.choose("#train-system", "convert/line")
    visit.page.fill("#train-name textarea, #train-name input", name)


def test_from_a_folder_to_what_was_learnt(studio: Any, chromium: Any, shots: Path, tmp_path: Path) -> None:
    singer = tmp_path / "recordings" / "ann"
    singer.mkdir(parents=True)
    shutil.copyfile(EXAMPLES / "voice.ogg", singer / "voice.ogg")
    visit = Visit(chromium(), studio.url)
    page = visit.page
    visit.tab("Train")
    page.click("#train-go")
    visit.told("Choose a training first.")
    set_up(visit, "first")
    page.click("#train-new")
    visit.told("Give a voice, a folder, or recordings: one of them.")
    page.fill("#train-folder textarea, #train-folder input", str(singer.parent))
    page.click("#train-new")
    status(page, "new")
    assert page.input_value("#train-chosen input") == "first"

    page.click("#train-prepare")
    page.wait_for_selector("#train-report img")
    status(page, "new", "paused", "done")
    assert "ann" in page.inner_text("#train-state pre")
    visit.shot(shots / "train-report.png")

    page.click("#train-go")
    status(page, "running")
    page.wait_for_selector("#train-losses .marks")
    page.wait_for_selector("#train-measures .marks")
    visit.shot(shots / "train-running.png")
    page.click("#train-pause")
    status(page, "paused")
    page.click("#train-hear")
    page.wait_for_selector("#train-preview audio, #train-preview [data-testid*=waveform]", state="attached")
    page.click("#train-go")
    status(page, "running")
    with visit.context.expect_page() as opened:
        page.click("#board a")
    board = opened.value
    board.on("request", lambda request: visit.asked.append(request.url))
    board.wait_for_selector("text=error")  # the name of its loss
    board.screenshot(path=shots / "tensorboard.png")
    board.close()
    page.click("#train-finish")
    status(page, "done")
    visit.shot(shots / "train-done.png")
    page.click("#train-discard")
    page.wait_for_function("document.querySelector('#train-chosen input').value === ''")
    assert not (studio.home / "trainings" / "first").exists()
    visit.fine()


def test_from_uploads(studio: Any, chromium: Any) -> None:
    visit = Visit(chromium(), studio.url)
    page = visit.page
    visit.tab("Train")
    set_up(visit, "second")
    page.set_input_files("#train-files input[type=file]", [EXAMPLES / "voice.ogg", EXAMPLES / "song.ogg"])
    page.wait_for_selector("#train-files :text('song')")
    page.click("#train-new")
    status(page, "new")
    kept = sorted(file.name for file in (studio.home / "trainings" / "second" / "data" / "singer").iterdir())
    assert kept == ["000-voice.ogg", "001-song.ogg"]
    page.reload()
    visit.tab("Train")
    visit.choose("#train-chosen", "second")
    status(page, "new")
    page.click("#train-discard")
    page.wait_for_function("document.querySelector('#train-chosen input').value === ''")
    visit.fine()
