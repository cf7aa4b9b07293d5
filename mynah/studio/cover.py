"""The cover tab: a song in, a voice chosen or recorded, and the song with that voice out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from mynah.catalog.weights import sha256
from mynah.core.errors import BadAudio, BadOption
from mynah.scenes.cover import shelf
from mynah.scenes.cover.options import CoverOptions
from mynah.serve.asking import system_for
from mynah.serve.compare import AFTER, BEFORE
from mynah.serve.jobs import Job
from mynah.serve.knobs import FORMATS
from mynah.studio import engines, people
from mynah.studio.controls import Controls
from mynah.studio.desk import QUIET, Desk, told
from mynah.studio.melody import Melody
from mynah.studio.recording import Booth
from mynah.studio.watch import Watch, address_of, player, row
from mynah.studio.words import Words

_INSIDE = (BEFORE, AFTER, "master", "levels", "transposition")  # heard above, the same as the cover, or numbers


class CoverTab:
    """Everything on the tab.

    Attributes:
        voice: The list of voices, which other tabs bring up to date.
    """

    def __init__(self, desk: Desk, said: Words, page: gr.Blocks) -> None:
        self._desk, self._said = desk, said
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                self._song = gr.Audio(
                    sources=["upload", "microphone"],
                    type="filepath",
                    buttons=["download"],
                    label=said("Song"),
                    elem_id="song",
                    interactive=True,
                )
            with gr.Column(min_width=320):
                known = people.choices(said)
                self.voice = gr.Dropdown(
                    known, value=known[0][1] if known else None, label=said("Voice"), allow_custom_value=True,
                    info=said("A voice, or a mixture such as ann:0.7,bo:0.3"), elem_id="voice", interactive=True,
                )  # fmt: skip
                with gr.Accordion(said("Record a voice"), open=False, elem_id="booth"):
                    self._booth = Booth(desk, said, "enrol")
                self._format = gr.Dropdown(
                    list(FORMATS), value="flac", label=said("Format of the result"), elem_id="format", interactive=True
                )  # fmt: skip
        self._controls: Controls
        with gr.Accordion(said("Adjust the cover"), open=False):
            self._controls = Controls(CoverOptions, said, "cover")
        with gr.Accordion(said("Who does the work"), open=False), gr.Row():
            separator = engines.chooser("separate", said, label=said("Separates the song"), name="separator")
            converter = engines.chooser("convert", said, label=said("Converts the voice"), name="converter")
        drawn = gr.Column()
        self._watch = Watch(desk, said, "cover", self._result)
        self._melody = Melody(desk, said, self._watch)
        with drawn:

            @gr.render([separator, converter])  # type: ignore[untyped-decorator]
            def drawers(separating: str, converting: str) -> None:
                self._drawers(separator, converter, separating, converting)

        self._watch.resume(page)
        self._booth.watch.resume(page)
        self._booth.watch.ended.change(self._enrolled, self._booth.watch.ended, self.voice, **QUIET)

    def _drawers(self, separator: gr.Dropdown, converter: gr.Dropdown, separating: str, converting: str) -> None:
        """The controls of the chosen systems, and the button, which is not there before it can do something."""
        said, own = self._said, self._controls
        first = engines.adjusted("separate", separating, said, "cover-separate")
        second = engines.adjusted("convert", converting, said, "cover-convert", without=("transpose",))
        go = gr.Button(said("Make the cover"), variant="primary", size="lg", elem_id="cover-go")
        counts = [len(each.parts) if each else 0 for each in (own, first)]

        def begin(
            song: str, voice: str, format: str, separating: str, converting: str, last: str, rows: Any, drawn: Any,
            *values: Any, who: gr.Request,
        ) -> Any:  # fmt: skip
            with told():
                ends = counts[0], counts[0] + counts[1]
                options = {
                    "options": own.given(values[: ends[0]]),
                    "separate": first.given(values[ends[0] : ends[1]]) if first else {},
                    "convert": second.given(values[ends[1] :]) if second else {},
                }
                job = self._ask(who, song, voice, format, (separating, converting), options, last, (rows, drawn))
            return self._watch.begun(job)

        def asked(request: gr.Request, *inputs: Any) -> Any:
            return begin(*inputs, who=request)

        parts = [part for each in (own, first, second) if each for part in each.parts]
        inputs = [
            self._song,
            self.voice,
            self._format,
            separator,
            converter,
            self._watch.job,
            self._melody.table,
            self._melody.canvas,
        ]
        go.click(asked, [*inputs, *parts], self._watch.outputs, **QUIET)

    def _ask(
        self, who: gr.Request, song: str | None, voice: str | None, format: str, models: Sequence[str],
        options: dict[str, Any], last: str, corrections: tuple[Any, Any],
    ) -> Job:  # fmt: skip
        said = self._said
        if not song:
            raise BadAudio(said("Choose a song first."))
        if not voice:
            raise BadOption(said("Choose a voice, or record one."))
        if format not in FORMATS:
            raise BadOption(f"there is no format {format!r}")
        separator, converter = (
            system_for(verb, name) for verb, name in zip(("separate", "convert"), models, strict=True)
        )
        made_for = people.system_of(voice)
        if made_for and models[1] == engines.DEFAULT:
            converter = made_for
            options["convert"] = {}  # those on the page are another system's
        what = {
            "separator": separator,
            "converter": converter,
            "voice": voice,
            "format": format,
            "preview": not shelf.has(shelf.shelf(), sha256(Path(song))),  # one that was done before is done soon
            "stems": True,
            "compare": True,
            **options,
        }
        return self._desk.ask(
            who, "cover", what, [song], beside=self._melody.corrected(who, last, *corrections, Path(song))
        )  # fmt: skip

    def _enrolled(self, id: str, who: gr.Request) -> Any:
        job = self._desk.job(who, id)
        known = people.choices(self._said)
        if job is None or job.result["voice"] not in [name for _, name in known]:  # it may have been deleted since
            return gr.skip()
        return gr.Dropdown(known, value=job.result["voice"])

    def _result(self, job: Job) -> str:
        """Before and after to be compared, then every file."""
        said = self._said
        found = {file["name"]: file["file"] for file in job.result.get("files", [])}
        rows = [row(job, name, file, said) for name, file in found.items() if name not in _INSIDE]
        return (
            f"<div class='ab'><h3>{escape(said('Listen: before and after, equally loud'))}</h3>"
            f"<button type='button' data-ab aria-pressed='true'>"
            f"<span>{escape(said('After'))}</span><span hidden>{escape(said('Before'))}</span> ⇄</button>"
            f"{player(address_of(job, AFTER), more='data-after')}"
            f"{player(address_of(job, BEFORE), more='data-before hidden')}</div>"
            f"<ul class='files'>{''.join(rows)}</ul>"
        )
