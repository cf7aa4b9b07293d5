"""What is around the page: its HTML, its headers, its tabs."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import torch

from mynah.audio.files import write
from mynah.core.registry import names
from mynah.core.types import Audio, Transcript
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


def hand_in(studio: Studio, file: dict[str, Any]) -> httpx.Response:
    """As the page does when somebody has recorded themselves."""
    page = studio.client.get("/en/config").json()
    kinds = {part["id"]: part["type"] for part in page["components"]}
    [event] = [each for each in page["dependencies"] if [kinds[id] for id in each["inputs"]] == ["audio"]]
    return studio.client.post(
        "/en/gradio_api/queue/join", json={"data": [file], "fn_index": event["id"], "session_hash": "stranger"}
    )


@pytest.mark.parametrize("named", ["a file of the machine", "jobs", "an address", "a link"])
def test_only_what_was_uploaded_is_taken(studio: Studio, named: str) -> None:
    """A request names files as gradio's own page does; it must not get hold of others."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        link = studio.home / "studio" / "link.wav"
        link.unlink(missing_ok=True)
        link.symlink_to("/etc/passwd")
        path = {
            "a file of the machine": "/etc/passwd",
            "jobs": str(studio.home / "jobs" / "jobs.sqlite3"),
            "an address": f"http://127.0.0.1:{listening.getsockname()[1]}/secret.wav",
            "a link": str(link),
        }[named]
        before = set((studio.home / "studio").rglob("*"))
        for said in ({"path": path}, {"path": path, "url": path}, {"path": f"{studio.home}/studio/../../../{path}"}):
            answer = hand_in(studio, {**said, "meta": {"_type": "gradio.FileData"}})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_file")
        assert set((studio.home / "studio").rglob("*")) == before
        with pytest.raises(TimeoutError):
            listening.accept()


def test_what_was_uploaded_is_taken(studio: Studio, tmp_path: Path) -> None:
    file = write(Audio(torch.zeros(1, 8000), 8000), tmp_path / "silence.wav")
    with file.open("rb") as opened:
        [path] = studio.client.post("/en/gradio_api/upload", files={"files": opened}).json()
    assert hand_in(studio, {"path": path, "meta": {"_type": "gradio.FileData"}}).status_code == 200


def test_whatever_one_chooses_from_can_be_changed(studio: Studio) -> None:
    """gradio locks what it thinks is only shown: what is an input of events that are drawn later, it takes for that."""
    page = studio.client.get("/en/config").json()
    known = {id for event in page["dependencies"] for id in event["inputs"]}
    kinds = ("dropdown", "slider", "number", "checkbox", "textbox", "audio", "file", "dataframe")
    parts = [part for part in page["components"] if part["type"] in kinds]
    assert len(parts) > 50
    locked = [
        part["props"].get("elem_id") or part["props"].get("label")
        for part in parts
        if part["id"] not in known and part["props"].get("interactive") is None
    ]
    assert not locked
