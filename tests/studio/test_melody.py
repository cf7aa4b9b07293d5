"""Corrections of a melody by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mynah.audio.files import write
from mynah.core.errors import BadOption
from mynah.core.types import Audio, Contour
from mynah.features.contour_csv import read_csv, write_csv
from mynah.serve.work import MELODY
from mynah.studio.contour import Drawing
from mynah.studio.melody import SECONDS, Melody, corrections, moved, stretch
from mynah.studio.words import Words


def test_stretches_move_or_fall_silent() -> None:
    melody = Contour(torch.full((400,), 200.0), 0.01, "Hz")
    after = moved(melody, corrections([[1, 2, 12], ["2.5", "3", ""], ["", "", ""]])).values
    assert after[:100].eq(200).all()
    assert after[100:200].eq(400).all()
    assert after[250:300].isnan().all()
    assert after[300:].eq(200).all()
    assert melody.values.eq(200).all()


@pytest.mark.parametrize("row", [[2, 1, 3], [1, 2, 99], [1, "", 2], ["x", 2, 2], [-1, 2, 2]])
def test_nonsense_is_refused(row: list[object]) -> None:
    with pytest.raises(BadOption):
        corrections([row])


def test_a_stretch_is_cut_where_it_was_asked_for(tmp_path: Path) -> None:
    wave = torch.linspace(-0.5, 0.5, 8000 * 45)
    file = write(Audio(wave[None], 8000), tmp_path / "long.wav", bits=32, peak_db=None)
    for start in (0.0, 12.5, 40.0):
        cut = stretch(file, start).samples[0]
        begin = round(start * 8000)
        assert cut.equal(wave[begin : begin + round(SECONDS * 8000)])


def test_what_is_drawn_is_sung_and_the_rest_stays() -> None:
    melody = Contour(torch.full((400,), 200.0), 0.01, "Hz")
    drawing = Drawing.of('{"job": "x", "strokes": [[[2, 400], [1, 100]], [[3, 0], [3.5, 0]], [[3.9, 300], [9, 300]]]}')
    after = drawing.over(melody).values
    assert after[:100].eq(200).all()
    assert after[100] == 100
    assert after[150] == pytest.approx(200, rel=1e-3)  # evenly in octaves
    assert after[200] == 400
    assert after[201:300].eq(200).all()
    assert after[300:351].isnan().all()
    assert after[390:].eq(300).all()
    assert len(after) == 400
    assert melody.values.eq(200).all()
    assert Drawing.of("").over(melody).values.equal(melody.values)


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "{", '{"strokes": 1}', '{"strokes": [[[1]]]}', '{"strokes": [[["a", 2]]]}', '{"strokes": [[[1, 5]]]}'),
        *('{"strokes": [[[-1, 100]]]}', '{"strokes": [[[NaN, 100]]]}', '{"strokes": [[[1, Infinity]]]}'),
    ],
)
def test_a_drawing_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadOption):
        Drawing.of(text)


class Page:
    """A job whose melody was heard, or corrected."""

    def __init__(self, folder: Path, song: Path) -> None:
        self.house: Any = SimpleNamespace(jobs=SimpleNamespace(folder=lambda id: folder))
        (folder / "source-0").write_bytes(song.read_bytes())
        self.out = folder / "out.csv"

    def job(self, who: Any, id: str) -> Any:
        return SimpleNamespace(id=id) if id else None

    def file(self, job: Any, name: str) -> Path:
        return self.out


def test_corrections_stay_until_they_are_taken_back(tmp_path: Path) -> None:
    song, folder = tmp_path / "song.wav", tmp_path / "job"
    song.write_bytes(b"la la")
    folder.mkdir()
    page: Any = Page(folder, song)
    write_csv(Contour(torch.full((300,), 200.0), 0.01, "Hz"), page.out)
    melody = Melody.__new__(Melody)
    melody._desk, melody._said = page, Words("en")
    who: Any = None

    def asked(rows: list[list[str]], drawn: str = "", last: str = "1") -> list[float]:
        """The melody that a cover gets; its files lie in the job's folder then."""
        for name, write_ in melody.corrected(who, last, rows, drawn, song).items():
            write_(folder / name)
        return read_csv(folder / MELODY).values[:250:100].tolist() if (folder / MELODY).exists() else []

    assert asked([["", "", ""]]) == []
    assert asked([["1", "2", "12"]]) == [200, 400, 200]
    assert asked([]) == [200, 400, 200]  # a slider was moved, nothing else
    assert asked([], '{"strokes": [[[0, 100], [0.5, 100]]]}') == [100, 400, 200]
    assert asked([["2", "3", "-12"]], '{"heard": true, "strokes": []}') == [200, 200, 100]
    assert melody.corrected(who, "1", [], '{"heard": true}', song) == {}
    song.write_bytes(b"another song")
    assert melody.corrected(who, "1", [], "", song) == {}
    with pytest.raises(BadOption, match="first"):
        melody.corrected(who, "1", [["1", "2", "12"]], "", song)
