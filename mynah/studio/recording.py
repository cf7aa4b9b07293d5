"""Record somebody, look at once whether the recording is good enough, and make a voice of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from mynah.audio.files import stream
from mynah.core.errors import BadAudio, BadOption
from mynah.core.types import Audio
from mynah.features.pitch import pitch
from mynah.studio.desk import QUIET, Desk, told
from mynah.studio.watch import Watch
from mynah.studio.words import Words
from mynah.voices import store
from mynah.voices.enrolment import GOOD_SECONDS, LEAST_VOICED_SECONDS
from mynah.voices.quality import FRAME_SECONDS, at_times, clipped, levels, noise_distance_db, sounding
from mynah.voices.sheet import fit_name

PROMPT = (
    "The north wind and the sun were disputing which was the stronger, when a traveller came along wrapped in a warm "
    "cloak. They agreed that the one who first made the traveller take the cloak off should be considered stronger."
)  # the text with which phoneticians have recorded every language
_HEARD_SECONDS = 90.0
_QUIET_DB, _NOISY_DB, _CLIPPED = -40.0, 15.0, 0.002


@dataclass(frozen=True)
class Check:
    """What a recording is worth at first hearing.

    Attributes:
        voiced_seconds: With a pitch.
        level_db: Of its loud parts, below full scale.
        clipped: Share of samples on flat tops.
        distance_db: How much louder the voice is than its pauses; infinite where there are none.
    """

    voiced_seconds: float
    level_db: float
    clipped: float
    distance_db: float

    def advice(self, said: Words) -> list[str]:
        """One sentence for each thing to mend, the worst first; empty when all is well."""
        found = []
        if self.voiced_seconds < LEAST_VOICED_SECONDS:
            found.append(said("Hardly a voice is heard: record at least half a minute, near the microphone."))
        elif self.voiced_seconds < GOOD_SECONDS / 2:
            found.append(said("Rather short: half a minute of voice or more sounds better."))
        if self.level_db < _QUIET_DB:
            found.append(said("Too soft: come nearer to the microphone, or turn it up."))
        if self.clipped > _CLIPPED:
            found.append(said("Distorted: move away from the microphone, or turn it down."))
        if self.distance_db < _NOISY_DB:
            found.append(said("Noisy: find a quieter room, and turn off fans and music."))
        return found


def check(recording: Path | str) -> Check:
    """Listen to the first minute and a half.

    Raises:
        BadAudio: It cannot be read, or holds nothing.
    """
    heard: list[torch.Tensor] = []
    rate, seconds = 0, 0.0
    for block in stream(recording, mono=True):
        heard.append(block.samples)
        rate, seconds = block.rate, seconds + block.seconds
        if seconds > _HEARD_SECONDS:
            break
    if not heard:
        raise BadAudio("the recording is empty: record again")
    audio = Audio(torch.cat(heard, -1), rate)
    level, melody = levels(audio), pitch(audio)
    loud = sounding(level)
    flat = clipped(audio)
    if not len(level) or not len(melody.values):
        return Check(0.0, -120.0, 0.0, math.inf)
    times = (torch.arange(len(level)) + 0.5) * FRAME_SECONDS
    voiced = melody.values.isfinite()[at_times(times, melody)]
    return Check(
        float(voiced.sum()) * FRAME_SECONDS,
        float(level.quantile(0.95)),
        float(flat.sum()) / max(1.0, float(loud.sum()) * FRAME_SECONDS * rate),
        noise_distance_db(level, voiced),
    )


class Booth:
    """The part of a page where somebody is recorded.

    Attributes:
        watch: Follows the enrolment; `watch.ended` changes when the voice is there.
        name: The box with the voice's name.
    """

    def __init__(self, desk: Desk, said: Words, name: str) -> None:
        self._desk, self._said = desk, said
        gr.Markdown(f"{said('Read this aloud, or sing anything you like, for half a minute:')}\n\n> {said(PROMPT)}")
        self.clip = gr.Audio(
            sources=["microphone", "upload"],
            type="filepath",
            buttons=["download"],
            label=said("Your voice"),
            elem_id=f"{name}-clip",
        )
        gr.HTML(f"<div class='level' role='img' aria-label='{escape(said('Level'))}'><i></i></div>")
        self.advice = gr.HTML(elem_id=f"{name}-advice")
        with gr.Row():
            self.name = gr.Textbox(label=said("Name of the voice"), max_length=64, elem_id=f"{name}-name")
            self.license = gr.Textbox(
                label=said("Licence"), info=said("Empty for a voice that stays private"), max_length=200
            )
        self.agreed = gr.Checkbox(
            label=said("This is my voice, or its owner has agreed to this."), elem_id=f"{name}-agreed"
        )
        self.go = gr.Button(said("Make this voice"), variant="primary", elem_id=f"{name}-go")
        self.watch = Watch(desk, said, name, lambda job: f"<p>{escape(_made(job.result, said))}</p>")
        self.clip.change(self._check, self.clip, self.advice, **QUIET)
        self.go.click(
            self._enrol, [self.clip, self.name, self.license, self.agreed], self.watch.outputs, **QUIET
        )  # fmt: skip

    def _check(self, clip: str | None) -> str:
        if not clip:
            return ""
        with told():
            advice = check(clip).advice(self._said)
        return listed(advice or [self._said("Loud, long and clean enough.")], good=not advice)

    def _enrol(self, clip: str | None, name: str, license: str, agreed: bool, who: gr.Request) -> Any:
        said = self._said
        with told():
            if not clip:
                raise BadAudio(said("Record something first."))
            if not agreed:
                raise BadOption(said("Say first that the owner of the voice has agreed."))
            name = fit_name(name)
            store.refuse_taken(name, replace=False)
            what = {"name": name, "license": license, "attribution": "", "replace": False}
            return self.watch.begun(self._desk.ask(who, "enrolment", what, [clip]))


def _made(result: dict[str, Any], said: Words) -> str:
    return said("The voice {name} is ready.", name=result.get("voice", ""))


def listed(lines: Iterable[str], *, good: bool) -> str:
    """Advice, a line each."""
    mark = "good" if good else "mend"
    return f"<ul class='advice {mark}' role='status'>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
