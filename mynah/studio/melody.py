"""What was sung, to be looked at and corrected by hand: a contour to draw over, a table, spectrograms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from mynah.audio.files import probe, stream
from mynah.catalog.weights import sha256
from mynah.core.errors import BadOption
from mynah.core.types import Audio, Contour
from mynah.features.contour_csv import read_csv, write_csv
from mynah.metrics.picture import side_by_side
from mynah.serve.work import MELODY
from mynah.studio.contour import Drawing, canvas, drawing
from mynah.studio.desk import QUIET, Desk, shown_from, told
from mynah.studio.watch import Watch
from mynah.studio.words import Words

SECONDS = 20.0  # of a picture
_HEARD = "heard.csv"  # in the folder of a job with a corrected melody: the one that was heard


class Melody:
    """A drawer below the cover that was made.

    Attributes:
        table: Corrections: from, to, semitones, a row each.
        canvas: The melody, and what was drawn over it.
    """

    def __init__(self, desk: Desk, said: Words, watch: Watch) -> None:
        self._desk, self._said = desk, said
        with gr.Accordion(said("Look at it, and correct the melody"), open=False, elem_id="melody"):
            gr.Markdown(said("Draw over the melody what is to be sung. Then make the cover again."))
            self.canvas = canvas(said)
            self.table = gr.Dataframe(
                headers=[said("from (s)"), said("to (s)"), said("semitones")], datatype="str", type="array",
                value=[["", "", ""]], row_count=1, column_count=3, label=said("Corrections"), interactive=True,
                elem_id="corrections",
            )  # fmt: skip
            gr.Markdown(said("Each row moves a stretch of the melody; semitones left empty make it a pause."))
            with gr.Row():
                start = gr.Number(0, minimum=0, label=said("Picture from (s)"))
                draw = gr.Button(said("Draw source and result"), elem_id="draw")
            self._picture = gr.Image(
                label=said("Spectrograms and pitch"),
                interactive=False,
                type="filepath",
                buttons=["download", "fullscreen"],
                elem_id="picture",
            )
        watch.ended.change(self._shown, watch.ended, [self.canvas, self.table], **QUIET)
        draw.click(self._drawn, [watch.job, start], self._picture, api_visibility="private")

    def corrected(
        self, who: gr.Request, last: str, rows: Any, drawn: Any, song: Path
    ) -> dict[str, Callable[[Path], object]]:
        """Files for a cover of a song, and what writes them: its melody as it was corrected, and as it was heard.

        Corrections stay until they are taken back; nothing comes of it where there are none.

        Raises:
            BadOption: What makes no sense, or a song whose melody was not heard yet.
        """
        changes, drawing = corrections(rows), Drawing.of(drawn)
        job = self._desk.job(who, last)
        folder = self._desk.house.jobs.folder(job.id) if job else None
        corrected = folder is not None and (folder / _HEARD).exists()
        file = folder / MELODY if folder and corrected else self._desk.file(job, "melody") if job else None
        if not folder or not file or sha256(folder / "source-0") != sha256(song):
            if changes or drawing.strokes:
                raise BadOption(self._said("Make a cover of this song first, then correct its melody."))
            return {}
        if not (changes or drawing.strokes or (corrected and not drawing.heard)):
            return {}
        heard = read_csv(folder / _HEARD if corrected else file)
        melody = drawing.over(moved(heard if drawing.heard else read_csv(file), changes))
        return {MELODY: lambda path: write_csv(melody, path), _HEARD: lambda path: write_csv(heard, path)}

    def _shown(self, id: str, who: gr.Request) -> Any:
        job = self._desk.job(who, id)
        if job is None or self._desk.file(job, "melody") is None:
            return [gr.skip(), gr.skip()]
        return [drawing(job.id), [["", "", ""]]]  # what was drawn or written is in the melody now

    def _drawn(self, id: str, start: float | None, who: gr.Request) -> Any:
        with told():
            job = self._desk.job(who, id)
            files = [self._desk.file(job, name) for name in ("vocals", "converted")] if job else []
            source, result = files or (None, None)
            if job is None or source is None or result is None:
                raise BadOption(self._said("Make a cover first."))
            begin = max(0.0, min(float(start or 0), probe(source).seconds - 1))
            return str(side_by_side(stretch(source, begin), stretch(result, begin), shown_from("cover.png")))


def corrections(rows: Any) -> list[tuple[float, float, float]]:
    """What a table asks for: from, to, semitones, NaN for a pause; rows without times are left out.

    Raises:
        BadOption: Times or semitones that make no sense.

    Example:

        >>> corrections([["1", 2.5, -12], ["", "", ""]])
        [(1.0, 2.5, -12.0)]
    """
    found = []
    for row in rows if isinstance(rows, Sequence) else []:
        start, end, semitones = (_number(cell) for cell in row)
        if math.isnan(start) and math.isnan(end):
            continue
        if not 0 <= start < end or abs(0 if math.isnan(semitones) else semitones) > 36:
            raise BadOption(
                f"a correction goes from an earlier to a later second, by at most 36 semitones, not {list(row)}"
            )
        found.append((start, end, semitones))
    return found


def moved(melody: Contour, changes: Sequence[tuple[float, float, float]]) -> Contour:
    """A melody with stretches of it moved, or silent where the semitones are NaN.

    Example:

        >>> moved(Contour(torch.tensor([100.0, 100.0, 100.0]), 1.0, "Hz"), [(1, 2, 12)]).values.tolist()
        [100.0, 200.0, 100.0]
    """
    values = melody.values.clone()
    for start, end, semitones in changes:
        frames = slice(math.ceil(start / melody.hop_seconds), math.ceil(end / melody.hop_seconds))
        values[frames] *= 2 ** (semitones / 12)
    return Contour(values, melody.hop_seconds, melody.unit, melody.confidence)


def stretch(file: Path, start: float) -> Audio:
    """`SECONDS` of a recording from `start` on."""
    held: list[torch.Tensor] = []
    rate = length = 0
    for block in stream(file, mono=True):
        rate = rate or block.rate
        skip = max(0, round(start * rate) - length)
        length += block.samples.shape[-1]
        held.append(block.samples[:, skip:])
        if length >= round((start + SECONDS) * rate):
            break
    return Audio(torch.cat(held, -1)[:, : round(SECONDS * rate)], rate)


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        if cell in (None, ""):
            return math.nan
        raise BadOption(f"{cell!r} is no number") from None
