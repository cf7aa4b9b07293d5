"""A job on the page: how far each step is, what can be heard already, and what came of it.

The page remembers the job's id, so a reload, or a restart of the server, goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import quote

import gradio as gr

from mynah.serve.jobs import ACTIVE, Job
from mynah.studio.desk import AT_ONCE, Desk, told
from mynah.studio.words import Words

_LOOK_SECONDS = 0.7
_SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aiff")

Html = Callable[[Job], str]


class Watch:
    """The parts of a tab that follow a job.

    Attributes:
        job: Id of the job that is followed; kept by the browser. While a page is open the server knows better
            (`_followed`): a look that was on its way when a new job began brings the id of the old one.
        ended: Id of a job that was completed while it was followed, or found completed by a reload.
        outputs: What an event that starts a job updates; `begun` gives the values.
    """

    def __init__(self, desk: Desk, said: Words, name: str, result: Html | None = None) -> None:
        self._desk, self._said, self._name = desk, said, name
        self._result = result or (lambda job: files(job, said))
        self.job = gr.BrowserState("", storage_key=f"mynah-{name}", secret="mynah")  # an id is no secret of its owner
        self.ended = gr.Textbox("", visible="hidden")  # not a State, whose changes only the queue tells of
        self._followed = gr.State("")
        self._shown = gr.State("")
        self.steps = gr.HTML(elem_id=f"{name}-steps", elem_classes="steps")
        self.cancel = gr.Button(said("Cancel"), visible=False, size="sm", elem_id=f"{name}-cancel")
        self.result = gr.HTML(elem_id=f"{name}-result", elem_classes="result")
        self._timer = gr.Timer(_LOOK_SECONDS, active=False)
        seen = [self.ended, self._shown, self.steps, self.cancel, self.result, self._timer]
        self.outputs = [self.job, self._followed, *seen]
        told_by_page = [self.job, self._followed, self.ended, self._shown]
        self._looking: dict[str, Any] = {"fn": self._look, "inputs": told_by_page, "outputs": seen, **AT_ONCE}
        self._timer.tick(**self._looking)
        self.cancel.click(self._cancel, [self.job, self._followed], self.cancel, **AT_ONCE)

    def resume(self, page: gr.Blocks) -> None:
        """Go on with the job that the browser remembers, when the page is opened."""
        page.load(**self._looking)

    def begun(self, job: Job) -> list[Any]:
        """Updates of `outputs` that follow this job from now on."""
        return [job.id, job.id, *self._updates(job, "", "")]

    def _look(self, id: str, followed: str, ended: str, shown: str, who: gr.Request) -> list[Any]:
        job = self._desk.job(who, followed or id)
        if job is None:
            return [gr.skip(), gr.skip(), "", gr.Button(visible=False), gr.skip(), gr.Timer(active=False)]
        return self._updates(job, ended, shown)

    def _updates(self, job: Job, ended: str, shown: str) -> list[Any]:
        now = f"{job.id} {job.status} {job.preview}"
        done = job.status == "completed"
        active = job.status in ACTIVE
        result: Any = gr.skip()
        if now != shown:  # only then, or what is being listened to would begin anew
            result = self._result(job) if done else preview(job, self._said) if job.preview else ""
        return [
            job.id if done and ended != job.id else gr.skip(),
            now,
            steps(job, self._said),
            gr.Button(visible=active, interactive=not job.cancelling),
            result,
            # A look that crosses with the beginning of the next job must not be the last one.
            gr.Timer(active=active or now != shown),
        ]

    def _cancel(self, id: str, followed: str, who: gr.Request) -> Any:
        with told():
            if job := self._desk.job(who, followed or id):
                self._desk.house.jobs.cancel(job.id)
        return gr.Button(interactive=False)


def steps(job: Job, said: Words) -> str:
    """A line for each step with its bar, and how it stands as a whole."""
    rows = [
        f"<li><span>{escape(said(name))}</span><progress max='1' value='{part}'></progress>"
        f"<b>{round(100 * part)} %</b></li>"
        for name, part in job.steps.items()
    ]
    state = {
        "queued": said("Waiting for its turn"),
        "in_progress": said("Working"),
        "completed": said("Done"),
        "cancelled": said("Cancelled"),
        "failed": job.error.get("message", ""),
    }[job.status]
    kept = [said(step) for step in job.result.get("kept", [])]
    notes = [said("Kept from before: {steps}", steps=", ".join(kept))] if kept else []
    notes += job.result.get("remarks", [])
    below = "".join(f"<p class='remark'>{escape(note)}</p>" for note in notes)
    head = f"<p class='state'>{escape(state)}</p>"
    all_steps = f"<ol>{''.join(rows)}</ol>"
    if job.status == "completed":
        head, all_steps = "", f"<details><summary class='state'>{escape(state)}</summary>{all_steps}</details>"
        below = below or "<p class='remark'></p>"
    return f"<div role='status' class='{job.status}' data-job='{job.id}'>{head}{all_steps}{below}</div>"


def preview(job: Job, said: Words) -> str:
    """The first seconds, long before the rest."""
    return f"<h3>{escape(said('The first seconds'))}</h3>" + player(f"/v1/jobs/{job.id}/preview", autoplay=True)


def files(job: Job, said: Words) -> str:
    """Every result, to be heard and taken home; and words, where those came of it."""
    rows = [row(job, file["name"], file["file"], said) for file in job.result.get("files", [])]
    words = job.result.get("transcript")
    return (transcript(words) if words else "") + (f"<ul class='files'>{''.join(rows)}</ul>" if rows else "")


def row(job: Job, name: str, file: str, said: Words) -> str:
    """One result."""
    address = address_of(job, name)
    heard = player(address) if file.endswith(_SOUNDS) else ""
    title = escape(said(name.replace("_", " ").capitalize()))
    return (
        f"<li><span>{title}</span>{heard}"
        f"<a href='{address}' download data-file='{escape(name)}'>{escape(said('Download'))}</a></li>"
    )


def address_of(job: Job, name: str) -> str:
    """Where the server gives a result."""
    return f"/v1/jobs/{job.id}/result?name={quote(name)}"


def player(address: str, *, autoplay: bool = False, more: str = "") -> str:
    """The browser's own, which keyboards and readers know."""
    return f"<audio controls preload='none' {'autoplay' if autoplay else ''} {more} src='{address}'></audio>"


def transcript(words: dict[str, Any]) -> str:
    """What was said, and when."""
    lines = "".join(
        f"<tr><td>{line['start_seconds']:.1f} s</td><td>{escape(line['text'])}</td></tr>" for line in words["lines"]
    )
    return f"<p class='words'>{escape(words['text'])}</p>" + (f"<table>{lines}</table>" if lines else "")
