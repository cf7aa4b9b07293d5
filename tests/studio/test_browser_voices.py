"""A person at the voices tab: hears, mixes, hands on, takes in and deletes. Run by `make browser`."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mynah.audio.files import read
from tests.studio.visit import Visit

pytestmark = pytest.mark.skipif(not os.environ.get("MYNAH_BROWSER"), reason="run by make browser")


def names(page: Any) -> list[str]:
    return [cell.inner_text() for cell in page.locator("#voices tbody tr td:first-child").all()]


def test_hear_mix_hand_on_take_in_and_delete(studio: Any, chromium: Any, shots: Path, tmp_path: Path) -> None:
    visit = Visit(chromium(), studio.url)
    page = visit.page
    visit.tab("Voices")
    page.wait_for_selector("#voices tbody tr")
    ours = names(page)
    first = page.locator("#voices tbody tr", has_text="kerstin").first
    assert "–" in first.inner_text()  # a range, as singers say it
    assert "CC" in first.inner_text()  # a licence
    visit.choose("#voices-voice", "kerstin")
    page.wait_for_selector("#voices-about dl:has-text('Licence')")
    visit.shot(shots / "voices.png")

    page.click("#voices-hear")
    page.wait_for_selector("#hear-steps .completed")
    heard = visit.taken("#hear-result [data-file=converted]", tmp_path / "heard.flac")
    assert read(heard).seconds > 3

    page.click("text=Mix voices")
    visit.choose("#mix-voice-0", "kerstin")
    visit.choose("#mix-voice-1", "philipp")
    page.fill("#mix-share-0 input[type=number]", "0.75")
    page.fill("#mix-share-1 input[type=number]", "0.25")
    page.press("#mix-share-1 input[type=number]", "Tab")
    page.fill("#mix-name textarea, #mix-name input", "both")
    page.click("#mix-go")
    page.wait_for_selector("#voices tbody tr:has-text('both')")
    assert sorted(names(page)) == sorted([*ours, "both"])
    assert page.input_value("#voices-voice input").startswith("both")
    visit.shot(shots / "voices-mixed.png")

    page.click("#voices-export")
    parcel = visit.taken("#voices-parcel a[download]", tmp_path / "both.mynah")
    assert "voice.json" in zipfile.ZipFile(parcel).namelist()

    page.click("#voices-delete")
    visit.told("Say first that you are sure.")
    assert "both" in names(page)
    page.check("#voices-sure input")
    page.click("#voices-delete")
    page.wait_for_selector("#voices tbody tr:has-text('both')", state="detached")
    assert not page.is_checked("#voices-sure input")

    page.click("text=Take in a voice that somebody else trained")
    page.click("#import-go")
    visit.told("Give a file, or an address.")
    page.set_input_files("#import-file input[type=file]", parcel)
    page.wait_for_selector("#import-file :text('both')")
    page.fill("#import-name textarea, #import-name input", "again")
    page.click("#import-go")
    page.wait_for_selector("#voices tbody tr:has-text('again')")
    assert page.input_value("#voices-voice input").startswith("again")
    visit.shot(shots / "voices-imported.png")
    visit.fine()


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("https://127.0.0.1:1/voice.zip", "not on the public internet"),
        ("https://localhost/voice.zip", "not on the public internet"),
        ("http://example.org/voice.zip", "An address begins with https://"),
        ("/etc/passwd", "An address begins with https://"),
    ],
)
def test_an_address_of_this_machine_is_not_fetched(studio: Any, chromium: Any, address: str, answer: str) -> None:
    visit = Visit(chromium(), studio.url)
    page = visit.page
    visit.tab("Voices")
    page.click("text=Take in a voice that somebody else trained")
    page.fill("#import-address textarea, #import-address input", address)
    page.fill("#import-name textarea, #import-name input", "stranger")
    page.click("#import-go")
    page.wait_for_selector(f"#import-steps .failed:has-text('{answer}'), .toast-body:has-text('{answer}')")
    assert "stranger" not in names(page)
