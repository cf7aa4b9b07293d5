"""A person at the page: records a voice, drops a song, hears the cover, takes it home.

Run by `make browser`: minutes of work that hang on how fast a browser, a server and a worker get along.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mynah.audio.files import read, write
from mynah.core.types import Audio, Contour
from mynah.features.pitch import pitch, read_csv
from mynah.metrics.pitch import agreement
from mynah.voices.ears import own_ears

pytestmark = pytest.mark.skipif(not os.environ.get("MYNAH_BROWSER"), reason="run by make browser")

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 150_000.0  # ms; a busy machine is given time
SECONDS = 7.0


@pytest.fixture(scope="session")
def somebody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of a voice that is not the song's, for the microphone."""
    import mynah

    source = read(EXAMPLES / "voice.ogg")
    phrase = Audio(source.samples[:, : round(10 * source.rate)], source.rate)
    sung = mynah.convert(phrase, "kerstin", transpose=0, tune=0)
    return write(sung, tmp_path_factory.mktemp("microphone") / "somebody.wav", bits=16)


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A piece of the song that comes with the repository."""
    whole = read(EXAMPLES / "song.ogg")
    return write(
        Audio(whole.samples[:, : round(SECONDS * whole.rate)], whole.rate), tmp_path_factory.mktemp("song") / "song.wav"
    )


def on_the_note(source: Contour, result: Contour) -> float:
    """Share of frames within half a semitone of the source, octaves aside: a band may cost a tracker the octave."""
    count = min(len(source.values), len(result.values))
    moved = 12 * (result.values[:count] / source.values[:count]).log2()
    moved = moved[moved.isfinite()]
    return float((((moved + 6) % 12 - 6).abs() < 0.5).float().mean())


class Visit:
    """A page that is open, and all that it asked for."""

    def __init__(self, browser: Any, address: str, language: str = "", **how: Any) -> None:
        self.context = browser.new_context(locale=how.pop("locale", "en-US"), **how)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.address = address
        self.page.goto(f"{address}/{language}")
        self.page.wait_for_selector("#cover-go")

    def hosts(self) -> set[str]:
        """Machines that the page asked for anything."""
        return {urlsplit(url).netloc for url in self.asked if url.startswith(("http", "ws"))}

    def shot(self, path: Path) -> None:
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=path, full_page=True)


def test_record_a_voice_and_hear_the_cover(
    studio: Any, chromium: Any, somebody: Path, song: Path, shots: Path, tmp_path: Path
) -> None:
    visit = Visit(chromium(somebody), studio.url, viewport={"width": 1280, "height": 900})
    page = visit.page
    page.click("text=Record a voice")
    page.click("#enrol-clip button[aria-label='Record audio'], #enrol-clip button.record-button")
    page.wait_for_selector(".level i[data-level='good'], .level i[data-level='hot']")
    page.wait_for_timeout(9000)
    page.click("#enrol-clip button.stop-button:visible, #enrol-clip button:has-text('Stop'):visible")
    page.wait_for_selector("#enrol-advice .advice")
    page.fill("#enrol-name textarea, #enrol-name input", "me")
    page.check("#enrol-agreed input")
    visit.shot(shots / "recording.png")
    page.click("#enrol-go")
    page.wait_for_selector("#enrol-steps .completed")
    page.wait_for_function("document.querySelector('#voice input').value.startsWith('me')")

    page.set_input_files("#song input[type=file]", song)
    page.wait_for_selector("#song audio, #song .waveform-container, #song [data-testid*='waveform']", state="attached")
    page.click("#cover-go")
    page.wait_for_selector("#cover-steps .in_progress, #cover-steps .completed")
    visit.shot(shots / "working.png")
    page.reload()  # the job goes on, and the page finds it again
    page.wait_for_selector("#cover-steps .completed")
    page.wait_for_selector("#cover-result [data-file=cover]")
    page.click("text=Look at it, and correct the melody")
    page.wait_for_selector("#melody svg, #melody canvas")
    page.click("#draw")
    page.wait_for_selector("#picture img")
    visit.shot(shots / "cover.png")
    with page.expect_download() as download:
        page.click("#cover-result [data-file=cover]")
    result = tmp_path / "cover.flac"
    download.value.save_as(result)
    with page.expect_download() as download:
        page.click("#cover-result [data-file=converted]")
    vocal = tmp_path / "vocal.wav"
    download.value.save_as(vocal)
    page.click("[data-ab]")
    assert page.get_attribute("[data-ab]", "aria-pressed") == "false"
    assert page.is_visible("audio[data-before]")

    with page.expect_download() as download:
        page.click("#cover-result [data-file=melody]")
    download.value.save_as(tmp_path / "melody.csv")
    heard, source = pitch(read(vocal)), read(EXAMPLES / "voice.ogg")
    kept = agreement(read_csv(tmp_path / "melody.csv"), heard, transpose=0)  # what was heard in the song
    assert kept.correlation is not None
    assert kept.correlation > 0.9
    source = Audio(source.samples[:, : round(SECONDS * source.rate)], source.rate)
    assert on_the_note(pitch(source), heard) > 0.85  # what the singer sang, before there was a band
    assert read(result).seconds == pytest.approx(SECONDS, abs=0.1)
    ears = own_ears()
    new, old, sung = (ears.embed([each]) for each in (read(somebody), source, read(vocal)))
    assert float(sung @ new) > float(sung @ old)
    assert visit.hosts() == {urlsplit(studio.url).netloc}
    assert not visit.complaints


def test_one_slider_recomputes_only_what_depends_on_it(studio: Any, chromium: Any, song: Path) -> None:
    visit = Visit(chromium(), studio.url, viewport={"width": 1280, "height": 900})
    page = visit.page
    page.set_input_files("#song input[type=file]", song)
    page.wait_for_selector("#song audio, #song .waveform-container", state="attached")
    for level in (0, 3):
        if level:
            page.click("text=Adjust the cover")
            page.fill("#cover-vocal_db input[type=number]", str(level))
            page.press("#cover-vocal_db input[type=number]", "Tab")
        before = page.get_attribute("#cover-steps [data-job]", "data-job") if level else ""
        page.click("#cover-go")
        page.wait_for_function(
            "before => { const at = document.querySelector('#cover-steps .completed');"
            " return at && at.dataset.job !== before; }",
            arg=before,
        )
    kept = page.inner_text("#cover-steps .remark >> nth=0")
    assert re.search("separate.*pitch.*convert.*polish", kept)
    assert "mix" not in kept


@pytest.mark.parametrize(
    ("name", "language", "how"),
    [
        ("phone", "en/", {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}),
        ("dark", "en/", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}),
        ("japanese", "", {"viewport": {"width": 1280, "height": 900}, "locale": "ja-JP"}),
        ("chinese-phone-dark", "zh-Hant/", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}),
    ],
)
def test_every_width_light_and_language(
    studio: Any, chromium: Any, shots: Path, name: str, language: str, how: dict[str, Any]
) -> None:
    visit = Visit(chromium(), studio.url, language, **how)
    page = visit.page
    width = how["viewport"]["width"]
    for number in range(page.locator("button[role=tab]:visible").count()):
        page.locator("button[role=tab]:visible").nth(number).click()
        visit.shot(shots / f"{name}-{number}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
    if name == "japanese":
        assert page.url.endswith("/ja/")
        assert (page.text_content("#cover-go") or "").strip() == "カバーを作る"
        assert page.evaluate("document.documentElement.lang") == "ja"
    assert visit.hosts() == {urlsplit(studio.url).netloc}
    assert not visit.complaints
