"""The train tab: a system on recordings, or on for one voice; begun, watched, paused, gone on with, ended."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from mynah.core.errors import BadData, BadOption
from mynah.core.recipe import Adapts, Learns
from mynah.core.registry import those
from mynah.serve.sound import accept
from mynah.serve.uploads import plain
from mynah.serve.work import default
from mynah.studio import board
from mynah.studio.desk import AT_ONCE, QUIET, Desk, shown_from, told
from mynah.studio.training import Curves, Trainings
from mynah.studio.words import Words
from mynah.voices import library

_LOOK_SECONDS = 3.0


class TrainTab:
    """Everything on the tab."""

    def __init__(self, desk: Desk, said: Words, page: gr.Blocks, trainings: Trainings) -> None:
        self._desk, self._said, self._all = desk, said, trainings
        self._pictures: dict[tuple[Path, int], str] = {}
        loopback = desk.house.settings.loopback
        learners, usual = list(those(Learns)), default("convert")
        usual = usual if usual in learners else learners[0]
        with gr.Accordion(said("A new training"), open=True):
            with gr.Row(equal_height=False):
                with gr.Column(min_width=320):
                    system = gr.Dropdown(learners, value=usual, label=said("System"), elem_id="train-system")
                    name = gr.Textbox(label=said("Name of the training"), max_length=64, elem_id="train-name")
                with gr.Column(min_width=320):
                    voice = gr.Dropdown(
                        self._own(), label=said("For one voice of yours"), elem_id="train-voice",
                        info=said("Minutes of training; leave it empty to learn from recordings."),
                    )  # fmt: skip
                    folder = gr.Textbox(
                        label=said("Folder of recordings"), info=said("One folder in it for each singer"),
                        visible=loopback, elem_id="train-folder",
                    )  # fmt: skip
                    files = gr.File(
                        label=said("or recordings of one singer"), file_count="multiple", type="filepath",
                        elem_id="train-files",
                    )  # fmt: skip
            new = gr.Button(said("Set it up"), variant="primary", elem_id="train-new")
        self._chosen = gr.Dropdown(trainings.names(), label=said("Training"), elem_id="train-chosen")
        with gr.Row():
            buttons = {
                "prepare": gr.Button(said("Look at the recordings"), elem_id="train-prepare"),
                "go_on": gr.Button(said("Start or go on"), variant="primary", elem_id="train-go"),
                "pause": gr.Button(said("Pause"), elem_id="train-pause"),
                "finish": gr.Button(said("End and keep it"), elem_id="train-finish"),
                "discard": gr.Button(said("Throw away"), variant="stop", elem_id="train-discard"),
            }
        self._state = gr.HTML(elem_id="train-state")
        with gr.Row():
            self._losses = _plot(said, said("Losses"), said("loss"), "train-losses")
            self._measures = _plot(said, said("Quality"), said("measure"), "train-measures")
        self._report = gr.Image(
            label=said("The recordings"), show_label=False, interactive=False, visible=False, type="filepath",
            buttons=["download", "fullscreen"], elem_id="train-report",
        )  # fmt: skip
        if board.there():
            gr.HTML(f"<p><a href='{board.ADDRESS}' target='_blank' rel='noopener'>TensorBoard</a></p>", elem_id="board")
        with gr.Row():
            hear = gr.Button(said("Hear how it sings now"), elem_id="train-hear")
            self._preview = gr.Audio(
                label=said("Preview"), interactive=False, type="filepath", buttons=["download"],
                elem_id="train-preview",
            )  # fmt: skip
        self._timer = gr.Timer(_LOOK_SECONDS, active=False)
        shown = [self._state, self._losses, self._measures, self._report, self._timer]
        new.click(self._new, [name, system, voice, folder, files], [self._chosen, *shown], **QUIET)
        for deed, button in buttons.items():
            button.click(self._doing(deed), self._chosen, [self._chosen, *shown], **QUIET)
        self._chosen.change(self._look, self._chosen, shown, **QUIET)
        self._timer.tick(self._look, self._chosen, shown, **AT_ONCE)
        hear.click(self._hear, self._chosen, self._preview, api_visibility="private")
        page.load(lambda: gr.Dropdown(trainings.names()), None, self._chosen, **QUIET)
        self.voice, self.shown = voice, shown

    def own(self) -> Any:
        """The list of voices as it is now."""
        return gr.Dropdown(self._own())

    def _own(self) -> list[tuple[str, str]]:
        return [(self._said("none"), "")] + [
            (voice.name, voice.name)
            for voice in library.names()
            if voice.kind in ("enrolled", "trained") and not voice.system
        ]

    def _new(self, name: str, system: str | None, voice: str | None, folder: str, files: list[str] | None) -> list[Any]:
        said = self._said
        with told():
            if not system:
                raise BadOption(said("Choose a system first."))
            if sum(map(bool, (voice, folder.strip(), files))) != 1:
                raise BadOption(said("Give a voice, a folder, or recordings: one of them."))
            if voice and system not in those(Adapts):
                raise BadOption(f"{system} knows no voices to be tuned to: give it recordings")
            if folder.strip() and not self._desk.house.settings.loopback:
                raise BadOption("folders of the server are for those who sit at it: upload recordings")
            data = folder.strip()
            if data and not Path(data).expanduser().is_dir():
                raise BadData(f"{data} is not a folder of recordings")
            for file in files or []:
                accept(Path(file), self._desk.house.settings.minutes, whole=False)
            if files:
                data = str(self._all.uploads(name))
            name = self._all.new(
                name, system, data=str(Path(data).expanduser().resolve()) if data else "", voice=voice or ""
            )
            if files:
                singer = self._all.uploads(name) / "singer"
                singer.mkdir(parents=True, exist_ok=True)
                for number, file in enumerate(files):
                    shutil.copyfile(file, singer / f"{number:03d}-{plain(file)[:60]}{Path(file).suffix}")
            return [gr.Dropdown(self._all.names(), value=name), *self._look(name)]

    def _doing(self, deed: str) -> Any:
        def do(name: str | None) -> list[Any]:
            with told():
                if not name:
                    raise BadOption(self._said("Choose a training first."))
                getattr(self._all, deed)(name)
                names = self._all.names()
                chosen = name if name in names else None
                return [gr.Dropdown(names, value=chosen), *self._look(chosen)]

        return do

    def _look(self, name: str | None) -> list[Any]:
        if not name or name not in self._all.names():
            return ["", *[_drawn(())] * 2, gr.Image(visible=False), gr.Timer(active=False)]
        course = self._all.course(name)
        state = self._said(course.status.capitalize())
        return [
            f"<div role='status' data-status='{course.status}'><p class='state'>{escape(state)}</p>"
            f"<pre>{escape(self._plain(course.lines))}</pre></div>",
            _drawn(course.losses),
            _drawn(course.measures),
            gr.Image(self._picture(course.report), visible=True) if course.report else gr.Image(visible=False),
            gr.Timer(active=course.status == "running"),
        ]

    def _plain(self, lines: Sequence[str]) -> str:
        """What a training says; where things lie is for those who sit at the machine."""
        text = "\n".join(lines)
        return text if self._desk.house.settings.loopback else text.replace(f"{self._all.place}/", "")

    def _picture(self, report: Path) -> str:
        """A copy of it, where the page may show it from: one for each time that it was drawn."""
        drawn = (report, report.stat().st_mtime_ns)
        if drawn not in self._pictures:
            self._pictures = {drawn: str(shutil.copyfile(report, shown_from("report.png")))}
        return self._pictures[drawn]

    def _hear(self, name: str | None) -> str:
        with told():
            if not name:
                raise BadOption(self._said("Choose a training first."))
            sound = self._all.preview(name)
            if sound is None:
                raise BadOption(self._said("There is nothing to hear yet."))
            file = shown_from("preview.wav")
            file.write_bytes(sound)
            return str(file)


def _plot(said: Words, label: str, unit: str, id: str) -> gr.LinePlot:
    return gr.LinePlot(
        x="step", y="value", color="name", x_title=said("step"), y_title=unit, color_title=" ", label=label,
        height=330, visible=False, min_width=320, elem_id=id,
    )  # fmt: skip


def _drawn(curves: Curves) -> gr.LinePlot:
    """What shows them; nothing while there are none."""
    if not curves:
        return gr.LinePlot(visible=False)
    import pandas

    frame = pandas.DataFrame(curves, columns=["step", "name", "value"])
    return gr.LinePlot(frame, x="step", y="value", color="name", visible=True)
