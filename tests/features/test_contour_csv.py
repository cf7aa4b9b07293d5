from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mynah.core.errors import BadOption
from mynah.core.types import Contour
from mynah.features.pitch import read_csv, write_csv

NAN = float("nan")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "song.csv"


def test_what_is_written_is_read(path: Path) -> None:
    before = Contour(torch.tensor([NAN, 220.0, 246.942, NAN]), 0.01, "Hz", torch.tensor([0.1, 0.9, 1.0, 0.2]))
    assert write_csv(before, path) == path
    after = read_csv(path)
    torch.testing.assert_close(after.values, before.values, atol=1e-3, rtol=0, equal_nan=True)
    torch.testing.assert_close(after.confidence, before.confidence, atol=1e-3, rtol=0)
    assert path.read_text().splitlines()[:2] == ["time_seconds,pitch_hz,confidence", "0,,0.100"]


def test_a_long_contour_keeps_its_times(path: Path) -> None:
    values = torch.linspace(100, 400, 40_000)
    write_csv(Contour(values, 0.01, "Hz"), path)
    torch.testing.assert_close(read_csv(path).values, values, atol=2e-3, rtol=0)


def test_another_hop_is_interpolated(path: Path) -> None:
    write_csv(Contour(torch.tensor([200.0, 220.5, NAN, NAN]), 0.02, "Hz"), path)
    values = read_csv(path).values
    torch.testing.assert_close(values[:3], torch.tensor([200.0, 210.0, 220.5]), atol=1e-3, rtol=0)
    assert values[4:].isnan().all()
    assert len(read_csv(path, hop_seconds=0.005).values) == 13


@pytest.mark.parametrize(
    "text",
    [
        "time_seconds,pitch_hz,confidence\n0,200,1\n\n0.02,210,1\n",
        "time_seconds,pitch_hz\n0,200\n0.02,210\n",
        "\ufeffpitch_hz,Time_Seconds,remark\n200.0,0.00,low\n210.0,0.02,\n",
        "time_seconds;pitch_hz;confidence\n0;200,0;1\n0,02;210,0;0,5\n",
        "time_seconds\tpitch_hz\n0\t200\n0.02\t2.1e2\n",
        '"time_seconds","pitch_hz"\r\n"0","200"\r\n"0.02","210"\r\n',
    ],
)
def test_editors_and_spreadsheets_are_understood(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    torch.testing.assert_close(read_csv(path).values, torch.tensor([200.0, 204.939, 210.0]), atol=1e-2, rtol=0)


@pytest.mark.parametrize("nothing", ["", "nan", "NaN", "0", "0.0", "-"])
def test_there_are_many_ways_to_say_unvoiced(path: Path, nothing: str) -> None:
    path.write_text(f"time_seconds,pitch_hz\n0,200\n0.01,{nothing}\n0.02,200\n")
    assert read_csv(path).values.isnan().tolist() == [False, True, False]


def test_deleted_rows_are_bridged(path: Path) -> None:
    path.write_text("time_seconds,pitch_hz\n0,200\n1,200\n")
    torch.testing.assert_close(read_csv(path).values, torch.full((101,), 200.0))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: no column 'time_seconds'"),
        ("time,pitch\n0,1\n", "line 1: no column 'time_seconds'"),
        ("time_seconds,confidence\n0,1\n", "line 1: no column 'pitch_hz'"),
        ("time_seconds,pitch_hz\n", "no rows"),
        ("time_seconds,pitch_hz\n0,200\n0.01,high\n", "line 3: the pitch 'high' is no number"),
        ("time_seconds,pitch_hz\nnow,200\n", "line 2: the time 'now' is no number"),
        ("time_seconds,pitch_hz\n,200\n", "line 2: the time '' is no number"),
        ("time_seconds,pitch_hz\n-1,200\n", "line 2: the time -1 s is not"),
        ("time_seconds,pitch_hz\n1e12,200\n", "line 2: the time 1e.12 s is not"),
        ("time_seconds,pitch_hz\n0.1,200\n\n0.1,200\n", "line 4: the time 0.1 s does not come after"),
        ("time_seconds,pitch_hz\n0,inf\n", "line 2: the pitch 'inf' is no number"),
        ("time_seconds,pitch_hz\n0,3\n", "line 2: a pitch of 3 Hz"),
        ("time_seconds,pitch_hz,confidence\n0,300,7\n", "line 2: the confidence 7"),
    ],
)
def test_bad_rows_are_named_by_line(path: Path, text: str, complaint: str) -> None:
    path.write_text(text)
    with pytest.raises(BadOption, match=complaint):
        read_csv(path)


def test_no_file_and_no_text(path: Path) -> None:
    with pytest.raises(BadOption, match="cannot be read"):
        read_csv(path)
    path.write_bytes(b"\xff\xfe\x00\x01RIFF")
    with pytest.raises(BadOption, match="no text"):
        read_csv(path)


def test_a_table_of_so_vits_svc_is_read(path: Path) -> None:
    path.write_text("".join(f"{t // 6000}m {t // 100 % 60}s {t % 100 * 10:3d},{200 + t % 7}\n" for t in range(6102)))
    values = read_csv(path).values
    assert len(values) == 6102 and values[0] == 200
    torch.testing.assert_close(values, torch.tensor([200.0 + t % 7 for t in range(6102)]))
    path.write_text("0m 0s   0,220\n0m 0s  10,0\n0m 0s  20,230\n\n")
    assert read_csv(path).values.nan_to_num(0).tolist() == [220.0, 0.0, 230.0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0m 0s  10,high", "'high' is no number"),
        ("0m 0s   0,220", "does not come after"),
        ("one,220", "'one' is no number"),
    ],
)
def test_a_bad_line_in_a_table_of_so_vits_svc_is_named(path: Path, line: str, why: str) -> None:
    path.write_text(f"0m 0s   0,220\n{line}\n")
    with pytest.raises(BadOption, match=f"line 2: .*{why}"):
        read_csv(path)
