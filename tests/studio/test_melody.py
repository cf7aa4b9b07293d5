"""Corrections of a melody by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mynah.audio.files import write
from mynah.core.errors import BadOption
from mynah.core.types import Audio, Contour
from mynah.studio.melody import SECONDS, corrections, moved, stretch


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
