"""A melody that is drawn over by hand: the part of a page that does it, and what comes of the strokes."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from mynah.core.errors import BadOption
from mynah.core.types import Contour
from mynah.studio.words import Words

_SCRIPT = Path(__file__).with_name("contour.js")
_STROKES, _POINTS = 2000, 20_000
_LOW_HZ, _HIGH_HZ = 20.0, 8000.0

Stroke = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Drawing:
    """What was drawn.

    Attributes:
        strokes: Second and Hz of each place, in order of time; 0 Hz in a pause.
        heard: Whether earlier corrections are to be forgotten.
    """

    strokes: tuple[Stroke, ...] = ()
    heard: bool = False

    @classmethod
    def of(cls, text: Any) -> Drawing:
        """From what a page sends.

        Raises:
            BadOption: It makes no sense.

        Example:

            >>> Drawing.of('{"job": "1", "strokes": [[[2, 110], [1, 220]]]}').strokes
            (((1.0, 220.0), (2.0, 110.0)),)
        """
        try:
            told = json.loads(text or "{}")
            lines = [sorted((float(at), float(hz)) for at, hz in stroke) for stroke in told.get("strokes", [])]
            heard = bool(told.get("heard"))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise BadOption("the drawn melody makes no sense: open the page again") from error
        places = [place for line in lines for place in line]
        if len(lines) > _STROKES or len(places) > _POINTS:
            raise BadOption("too much was drawn at once: make the cover, then draw on")
        if not all(0 <= at < math.inf and (hz == 0 or _LOW_HZ <= hz <= _HIGH_HZ) for at, hz in places):
            raise BadOption(f"a melody is drawn from {_LOW_HZ:g} to {_HIGH_HZ:g} Hz")
        return cls(tuple(tuple(line) for line in lines if line), heard)

    def over(self, melody: Contour) -> Contour:
        """A melody with the strokes instead of what was there; between places it moves evenly in octaves.

        Example:

            >>> import torch
            >>> line = Drawing((((1.0, 100.0), (3.0, 400.0)),))
            >>> line.over(Contour(torch.full((5,), 50.0), 1.0, "Hz")).values.round().tolist()
            [50.0, 100.0, 200.0, 400.0, 50.0]
        """
        values, hop = melody.values.clone(), melody.hop_seconds
        for stroke in self.strokes:
            first, last = math.ceil(stroke[0][0] / hop - 1e-6), math.floor(stroke[-1][0] / hop + 1e-6)
            for frame in range(first, min(last + 1, len(values))):
                values[frame] = _at(stroke, frame * hop)
        return Contour(values, hop, melody.unit, melody.confidence)


def _at(stroke: Stroke, seconds: float) -> float:
    """Hz of a stroke at a time within it; NaN in a pause."""
    later = next((number for number, (at, _) in enumerate(stroke) if at >= seconds), len(stroke) - 1)
    (start, one), (end, other) = stroke[max(0, later - 1)], stroke[later]
    if one == 0 or other == 0:
        return math.nan
    share = (seconds - start) / (end - start) if end > start else 1.0
    return one * math.pow(other / one, min(1.0, max(0.0, share)))


def canvas(said: Words) -> gr.HTML:
    """Where one draws; its value is what `Drawing.of` reads, and says whose melody it shows."""
    deeds = {
        "draw": said("Draw"),
        "pause": said("Make a pause"),
        "undo": said("Undo"),
        "heard": said("As it was heard"),
    }
    pressed = {"draw": " aria-pressed='true'", "pause": " aria-pressed='false'"}
    buttons = "".join(
        f"<button type='button' data-deed='{deed}'{pressed.get(deed, '')}>{escape(name)}</button>"
        for deed, name in deeds.items()
    )
    zoom = "".join(
        f"<button type='button' data-deed='{deed}' aria-label='{escape(name)}' title='{escape(name)}'>{sign}</button>"
        for deed, sign, name in (("closer", "+", said("Closer")), ("farther", "−", said("Farther")))
    )
    template = (
        f"<div class='deeds' role='toolbar'>{buttons}{zoom}"
        f"<span role='status' data-heard='{escape(said('Earlier corrections are forgotten with the next cover.'))}'>"
        f"</span></div><canvas role='img' aria-label='{escape(said('Melody of the song'))}'></canvas>"
        f"<input type='range' min='0' max='0' step='0.1' value='0' aria-label='{escape(said('seconds'))}'>"
    )
    return gr.HTML(
        drawing(""), html_template=template, js_on_load=_SCRIPT.read_text("utf-8"), elem_id="contour"
    )  # fmt: skip


def drawing(job: str) -> str:
    """The value for a melody of which nothing is drawn over."""
    return json.dumps({"job": job, "strokes": [], "heard": False})
