"""What is around the page: its HTML, its headers, its tabs."""

from __future__ import annotations

import re

from mynah.core.registry import names
from mynah.core.types import Transcript
from mynah.core.verbs import VERBS, Separates, Speaks
from mynah.serve.work import KINDS
from mynah.studio.page import completed
from mynah.studio.verbs import able, protocol
from mynah.studio.words import LANGUAGES
from tests.studio.conftest import Studio


def test_a_verb_has_a_tab_when_somebody_does_it() -> None:
    assert able() == [verb for verb in VERBS if verb in KINDS and any(name.startswith(f"{verb}/") for name in names())]
    assert {"separate", "convert"} <= set(able())
    assert (protocol("separate"), protocol("speak")) == (Separates, Speaks)
    assert Transcript.__name__ in str(protocol("transcribe").transcribe.__annotations__["return"])


def test_pages_name_nobody_else() -> None:
    page = completed(
        '<html lang="en"><meta charset="utf-8" /><meta property="og:image" content="https://a/b.jpg" />'
        '<link rel="preconnect" href="https://fonts.example" /><script src="https://cdn.example/x.js"></script></html>',
        "ko",
    )
    assert 'lang="ko"' in page
    assert 'MYNAH_LANGUAGE = "ko"' in page
    assert "://" not in page


def test_the_front_leads_to_the_language_of_the_reader(studio: Studio) -> None:
    for accepted, language in (("ko-KR,en;q=0.5", "ko"), ("fr", "en"), ("zh-HK", "zh-Hant")):
        answer = studio.client.get("/", headers={"accept-language": accepted})
        assert (answer.status_code, answer.headers["location"]) == (307, f"/{language}/")


def test_every_page_allows_nothing_but_this_machine(studio: Studio) -> None:
    for language in LANGUAGES:
        answer = studio.client.get(f"/{language}/")
        assert answer.status_code == 200
        assert f'lang="{language}"' in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert not re.search(r"https?:|\*", policy)
        assert answer.headers["x-frame-options"] == "DENY"
        assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]*', answer.text)
    assert studio.client.get("/v1/systems").headers["content-security-policy"].startswith("default-src 'none'")


def test_files_of_the_machine_are_not_served(studio: Studio) -> None:
    for path in ("/etc/passwd", str(studio.home / "jobs" / "jobs.sqlite3"), "../../../etc/passwd"):
        assert studio.client.get(f"/en/gradio_api/file={path}").status_code in (403, 404)
