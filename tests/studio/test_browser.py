"""A person at the page: records a voice, drops a song, hears the cover, takes it home.

Run by `make browser`: minutes of work that hang on how fast a browser, a server and a worker get along.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from mynah.audio.files import read, write
from mynah.core.types import Audio, Contour
from mynah.features.pitch import pitch, read_csv
from mynah.metrics.pitch import agreement
from mynah.voices.ears import own_ears
from tests.studio.visit import Visit

pytestmark = pytest.mark.skipif(not os.environ.get("MYNAH_BROWSER"), reason="run by make browser")

EXAMPLES = Path(__file__).parents[2] / "examples"
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


INK = """where => { const at = document.querySelector(where); if (!at || !at.width) return false;
return at.getContext("2d").getImageData(0, 0, at.width, at.height).data.some(Boolean); }"""  # something is drawn there


def cover(page: Any, song: Path | None = None, before: str = "") -> None:
    """Ask for a cover, and wait until it is there: another one than the one before."""
    if song:
        page.set_input_files("#song input[type=file]", song)
        page.wait_for_selector("#song audio, #song .waveform-container", state="attached")
    page.click("#cover-go")
    page.wait_for_function(
        "before => { const at = document.querySelector('#cover-steps .completed');"
        " return at && at.dataset.job !== before; }",
        arg=before,
    )


def on_the_note(source: Contour, result: Contour) -> float:
    """Share of frames within half a semitone of the source, octaves aside: a band may cost a tracker the octave."""
    count = min(len(source.values), len(result.values))
    moved = 12 * (result.values[:count] / source.values[:count]).log2()
    moved = moved[moved.isfinite()]
    return float((((moved + 6) % 12 - 6).abs() < 0.5).float().mean())


def test_record_a_voice_and_hear_the_cover(
    studio: Any, chromium: Any, somebody: Path, song: Path, shots: Path, tmp_path: Path
) -> None:
    visit = Visit(chromium(somebody), studio.url)
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
    page.wait_for_function(INK, arg="#contour canvas")
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
    visit.fine()


def test_a_melody_is_drawn_over_and_sung(studio: Any, chromium: Any, song: Path, shots: Path, tmp_path: Path) -> None:
    visit = Visit(chromium(), studio.url)
    page = visit.page

    def melody(name: str) -> Contour:
        return read_csv(visit.taken("#cover-result [data-file=melody]", tmp_path / name))

    cover(page, song)
    heard = melody("heard.csv")
    page.click("text=Look at it, and correct the melody")
    page.wait_for_function(INK, arg="#contour canvas")
    page.locator("#contour").scroll_into_view_if_needed()
    box = page.locator("#contour canvas").bounding_box()
    assert box

    def drag(start: float, end: float, height: float) -> None:
        """Over the canvas, which shows all of the song: from second to second."""
        x, y = (box["x"] + box["width"] * at / SECONDS for at in (start, end)), box["y"] + box["height"] * height
        page.mouse.move(next(x), y)
        page.mouse.down()
        page.mouse.move(next(x), y, steps=8)
        page.mouse.up()

    drag(2.0, 3.0, 0.5)
    page.click("#contour [data-deed=pause]")
    drag(4.0, 4.5, 0.5)
    page.click("#contour [data-deed=draw]")
    drag(5.0, 6.0, 0.2)
    page.click("#contour [data-deed=undo]")
    visit.shot(shots / "drawn.png")
    page.set_viewport_size({"width": 390, "height": 844})
    visit.shot(shots / "drawn-phone.png")
    page.set_viewport_size({"width": 1280, "height": 900})
    before = page.get_attribute("#cover-steps [data-job]", "data-job")
    cover(page, before=before or "")
    drawn = melody("drawn.csv").values
    assert drawn[210:290].std() < 1
    assert drawn[410:440].isnan().all()
    same = [(drawn[cut], heard.values[cut]) for cut in (slice(0, 190), slice(310, 390), slice(460, 690))]
    assert all(one.nan_to_num().allclose(other.nan_to_num(), atol=0.01) for one, other in same)
    sung = pitch(read(visit.taken("#cover-result [data-file=converted]", tmp_path / "sung.wav")))
    told = (12 * (sung.values[220:280] / drawn[220:280]).log2()).nanmedian()
    assert abs((float(told) + 6) % 12 - 6) < 0.5  # octaves aside, which the voice chooses
    visit.fine()


def test_everything_is_done_by_keys(studio: Any, chromium: Any, song: Path, shots: Path) -> None:
    visit = Visit(chromium(), studio.url)
    page = visit.page
    seen: list[str] = []

    def focused() -> dict[str, Any]:
        told: dict[str, Any] = page.evaluate(
            """() => { const at = document.activeElement, style = getComputedStyle(at);
            const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
            const ids = [];
            for (let outer = at; outer; outer = outer.parentElement) ids.push(outer.id);
            return { ids, tag: at.tagName, text: (at.innerText || "").split("\\n")[0].trim(),
            ring: outline || style.boxShadow !== "none" }; }"""
        )
        return told

    def tab_to(wanted: str, most: int = 60) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            at = focused()
            seen.extend(at["ids"])
            if at["tag"] in ("BUTTON", "A", "SUMMARY", "INPUT"):
                assert at["ring"], f"one does not see that {at} is chosen"
            if wanted in (*at["ids"], at["text"]):
                return
        raise AssertionError(f"{wanted} is not reached by the Tab key: {seen}")

    page.set_input_files("#song input[type=file]", song)
    page.wait_for_selector("#song audio, #song .waveform-container", state="attached")
    page.locator("#head a").first.focus()
    tab_to("Adjust the cover")
    page.keyboard.press("Enter")
    page.wait_for_selector("#cover-vocal_db input[type=range]:visible")
    tab_to("cover-vocal_db")
    tab_to("cover-go", 120)
    visit.shot(shots / "keys.png")
    page.keyboard.press("Space")
    page.wait_for_selector("#cover-steps .completed")
    tab_to("After ⇄")
    page.keyboard.press("Enter")
    assert page.get_attribute("[data-ab]", "aria-pressed") == "false"
    assert seen.index("song") < seen.index("voice") < seen.index("cover-vocal_db") < seen.index("cover-go")
    visit.fine()


@pytest.mark.parametrize("voice", ["<img src=x onerror=window.broken=1>", "a:1,<script>window.broken=1</script>:1"])
def test_what_is_written_stays_text(studio: Any, chromium: Any, song: Path, voice: str) -> None:
    visit = Visit(chromium(), studio.url)
    page = visit.page
    page.set_input_files("#song input[type=file]", song)
    page.wait_for_selector("#song audio, #song .waveform-container", state="attached")
    page.fill("#voice input", voice)
    page.press("#voice input", "Enter")
    page.click("#cover-go")
    page.wait_for_selector(".toast-body")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.broken") is None
    visit.fine()


def test_one_slider_recomputes_only_what_depends_on_it(studio: Any, chromium: Any, song: Path) -> None:
    visit = Visit(chromium(), studio.url)
    page = visit.page
    visit.choose("#voice", "philipp")
    visit.choose("#format", "mp3")
    cover(page, song)
    job = studio.job(page.get_attribute("#cover-steps [data-job]", "data-job"))
    assert (job["request"]["voice"], job["request"]["format"]) == ("philipp", "mp3")
    before = page.get_attribute("#cover-steps [data-job]", "data-job")
    page.click("text=Adjust the cover")
    page.fill("#cover-vocal_db input[type=number]", "3")
    page.press("#cover-vocal_db input[type=number]", "Tab")
    cover(page, before=before or "")
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
    more = page.locator(".overflow-dropdown button").all_text_contents()
    assert bool(more) == (width < 600)
    for number, word in enumerate(more):
        page.click(".overflow-menu > button")
        page.locator(".overflow-dropdown button").filter(has_text=word).click()
        visit.shot(shots / f"{name}-more-{number}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{word} is wider than the screen"
    if name == "japanese":
        assert page.url.endswith("/ja/")
        assert (page.text_content("#cover-go") or "").strip() == "カバーを作る"
        assert page.evaluate("document.documentElement.lang") == "ja"
    visit.fine()
