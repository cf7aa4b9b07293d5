"""The page itself: tabs, one page for each language, and what keeps it from asking anything outside this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse

from mynah.catalog.home import home
from mynah.serve.guard import App, Message, Receive, Send
from mynah.studio import board, people
from mynah.studio.cover import CoverTab
from mynah.studio.desk import AT_ONCE, Desk
from mynah.studio.gate import Gate
from mynah.studio.train import TrainTab
from mynah.studio.training import Trainings
from mynah.studio.verbs import VerbTab, able
from mynah.studio.voices import VoicesTab
from mynah.studio.words import LANGUAGES, Words, best

_HERE = Path(__file__).parent
_FONTS = ["system-ui", "Noto Sans", "Noto Sans CJK SC", "sans-serif"]
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_KEEP_SECONDS = 24 * 3600


def put(app: FastAPI) -> None:
    """Put the studio on a server: `/` leads to the page in the reader's language, `/ja` and so on are the pages."""
    place = home() / "studio"
    shutil.rmtree(place, ignore_errors=True)  # uploads of an earlier run: their jobs have copies
    place.mkdir(parents=True)
    place.chmod(0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(place)
    house = app.state.house
    desk, trainings = Desk(house), Trainings(home() / "trainings", house.settings.device)

    @app.get("/", include_in_schema=False)
    def front(request: Request) -> RedirectResponse:
        return RedirectResponse(f"/{best(request.headers.get('accept-language', ''))}/")

    for language in LANGUAGES:
        page = blocks(desk, Words(language), trainings)
        page.has_launched = True  # or gradio takes, and gives away, every file of this machine that a request names
        gr.mount_gradio_app(
            app, page, f"/{language}",
            theme=gr.themes.Default(primary_hue="rose", neutral_hue="slate", font=_FONTS, font_mono=["monospace"]),
            css=(_HERE / "studio.css").read_text("utf-8"), footer_links=[], run_history=False, show_error=False,
            max_file_size=int(1e6 * house.settings.upload_mb), ssr_mode=False, pwa=False, mcp_server=False,
            app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        )  # fmt: skip
    board.put(app, trainings.place, _POLICY)
    app.add_middleware(Gate, place=place, upload_mb=house.settings.upload_mb)
    app.add_middleware(Local)


def blocks(desk: Desk, said: Words, trainings: Trainings) -> gr.Blocks:
    """The page in one language."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of gradio about gradio
        page = gr.Blocks(title="Mynah", analytics_enabled=False, delete_cache=(3600, _KEEP_SECONDS))
        with page:
            gr.HTML(_head(said), elem_id="head")
            with gr.Tabs():
                with gr.Tab(said("Cover"), id="cover") as tab:
                    cover = CoverTab(desk, said, page)
                fresh: list[tuple[gr.Tab, gr.Dropdown]] = [(tab, cover.voice)]
                with gr.Tab(said("Voices"), id="voices") as tab:
                    voices = VoicesTab(desk, said, page)
                tab.select(voices.fresh, voices.voice, voices.shown, **AT_ONCE)
                for verb in able():
                    with gr.Tab(said(verb.capitalize()), id=verb) as tab:
                        each = VerbTab(desk, said, page, verb)
                    if each.voice is not None:
                        fresh.append((tab, each.voice))
                with gr.Tab(said("Train"), id="train") as tab:
                    train = TrainTab(desk, said, page, trainings)
                tab.select(train.own, None, train.voice, **AT_ONCE)
            for tab, voice in fresh:
                tab.select(lambda: gr.Dropdown(people.choices(said)), None, voice, **AT_ONCE)
        page.queue(default_concurrency_limit=16, api_open=False)
    return page


def _head(said: Words) -> str:
    links = "".join(
        f"<a href='/{language}/' lang='{language}' {'aria-current=page' if language == said.language else ''}>"
        f"{escape(name)}</a>"
        for language, name in LANGUAGES.items()
    )
    return f"<header><h1>Mynah</h1><p>{escape(said('Any voice sings your song.'))}</p><nav>{links}</nav></header>"


class Local:
    """Stands before the pages: says what they may load, keeps their files in the browser, and completes the HTML."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        language = scope.get("path", "").partition("/")[2].partition("/")[0]
        if scope["type"] != "http" or language not in LANGUAGES:
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Completed(scope["path"], language, send).send)


class _Completed:
    """One answer of a page."""

    def __init__(self, path: str, language: str, send: Callable[[Message], Awaitable[None]]) -> None:
        self._send, self._language = send, language
        self._lasting = "/assets/" in path or "/static/" in path
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """What the page says, with our headers; a page as a whole, because its length changes."""
        if message["type"] == "http.response.start":
            ours = {b"content-security-policy": _POLICY.encode()}
            if self._lasting:
                ours[b"cache-control"] = b"private, max-age=86400"
            headers = [pair for pair in message["headers"] if pair[0].lower() not in ours]
            message = {**message, "headers": [*headers, *ours.items()]}
            if any(name == b"content-type" and kind.startswith(b"text/html") for name, kind in headers):
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = completed(self._body.decode("utf-8"), self._language).encode()
            headers = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
            headers.append((b"content-length", str(len(body)).encode()))
            await self._send({**self._start, "headers": headers})
            message = {"type": "http.response.body", "body": body}
        await self._send(message)


def completed(html: str, language: str) -> str:
    """A page of gradio in its language, with our script, and without its advertisements, which name other sites."""
    html = re.sub(r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>', "", html)
    html = re.sub(r'<link[^>]*(?:manifest|preconnect|https?:)[^>]*>|<script[^>]*src="https?:[^>]*></script>', "", html)
    script = f"const MYNAH_LANGUAGE = {json.dumps(language)};\n{(_HERE / 'studio.js').read_text('utf-8')}"
    html = html.replace('lang="en"', f'lang="{language}"', 1)
    return html.replace(
        '<meta charset="utf-8" />',
        f'<meta charset="utf-8" /><link rel="icon" href="data:," /><script>{script}</script>',
        1,
    )
