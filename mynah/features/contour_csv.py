"""Pitch contours as tables that a person can edit: `time_seconds,pitch_hz,confidence`, one row for each frame."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import torch

from mynah.core.atomic import replacing
from mynah.core.errors import BadOption
from mynah.core.types import Contour
from mynah.features.grid import onto_grid

_COLUMNS = ("time_seconds", "pitch_hz", "confidence")
_UNVOICED = {"", "nan", "none", "-"}
_RANGE_HZ = (10.0, 8000.0)
_LONGEST_SECONDS = 24 * 3600.0
_THEIRS = re.compile(r"\s*(\d{1,4})m\s+(\d{1,2})s\s+(\d{1,3})\s*,(.*)")


def write_csv(contour: Contour, path: Path | str) -> Path:
    """Write a pitch contour; a frame without a pitch has an empty field. The file appears whole or not at all."""
    path = Path(path)
    sure = contour.confidence.tolist() if contour.confidence is not None else [None] * len(contour.values)
    with replacing(path) as half, half.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for frame, (hz, confidence) in enumerate(zip(contour.values.tolist(), sure, strict=True)):
            table.writerow(
                [
                    f"{frame * contour.hop_seconds:.6g}",
                    "" if math.isnan(hz) else f"{hz:.3f}",
                    "" if confidence is None else f"{confidence:.3f}",
                ]
            )
    return path


def read_csv(path: Path | str, *, hop_seconds: float = 0.01) -> Contour:
    """Read a pitch contour back, whatever an editor or a spreadsheet has made of it.

    Columns are found by name, in any order; others are ignored, and confidence may be missing. Commas, semicolons and
    tabs divide; with the latter two a comma may be the decimal point. Rows need not be evenly spaced: between them the
    pitch moves evenly in octaves. So deleting rows bridges them, while emptying their pitch (or 0) makes them unvoiced.

    So are the tables of so-vits-svc 5.0, which have no first line: `0m 1s  20,220`, whole Hz for every 10 ms, 0 where
    there is none.

    Returns:
        Hz, on the grid of `hop_seconds`.

    Raises:
        BadOption: Not such a table; the message names the line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise BadOption(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise BadOption(f"{path}: is no text; a pitch table is a CSV file") from error
    first = 1
    if lines and _THEIRS.fullmatch(lines[0]):
        lines, first = [",".join(_COLUMNS[:2]), *(_plain(line) for line in lines)], 0
    header = lines[0] if lines else ""
    divider = max(",;\t", key=header.count)
    names = [name.strip().strip('"').lower() for name in header.split(divider)]
    for column in _COLUMNS[:2]:
        if column not in names:
            raise BadOption(f"{path}, line 1: no column {column!r}; the first line has to be {','.join(_COLUMNS)}")
    seconds: list[float] = []
    values: list[float] = []
    sure: list[float] = []
    for number, fields in enumerate(csv.reader(lines[1:], delimiter=divider), start=first + 1):
        if not any(field.strip() for field in fields):
            continue
        where = f"{path}, line {number}"
        row = dict(zip(names, fields, strict=False))
        now = _number(row.get("time_seconds", ""), divider, where, "time")
        if not 0 <= now <= _LONGEST_SECONDS:
            raise BadOption(f"{where}: the time {now:g} s is not between 0 and a day")
        if seconds and now <= seconds[-1]:
            raise BadOption(f"{where}: the time {now:g} s does not come after the {seconds[-1]:g} s before it")
        seconds.append(now)
        values.append(_pitch(row.get("pitch_hz", ""), divider, where))
        told = row.get("confidence", "").strip()
        confidence = _number(told, divider, where, "confidence") if told else float(not math.isnan(values[-1]))
        if not 0 <= confidence <= 1:
            raise BadOption(f"{where}: the confidence {confidence:g} is not between 0 and 1")
        sure.append(confidence)
    if not seconds:
        raise BadOption(f"{path}: the table has no rows")
    count = math.floor(seconds[-1] / hop_seconds + 0.5) + 1
    frames, confidences = onto_grid(
        torch.tensor(seconds, dtype=torch.float64), torch.tensor(values), torch.tensor(sure), count, hop_seconds
    )
    return Contour(frames, hop_seconds, "Hz", confidences)


def _plain(line: str) -> str:
    """A row of so-vits-svc 5.0 in our columns; any other stays as it is.

    Example:

        >>> _plain("1m 2s  30,220")
        '62.030,220'
    """
    found = _THEIRS.fullmatch(line)
    return line if found is None else f"{60 * int(found[1]) + int(found[2])}.{int(found[3]):03},{found[4].strip()}"


def _pitch(field: str, divider: str, where: str) -> float:
    if field.strip().lower() in _UNVOICED:
        return math.nan
    hz = _number(field, divider, where, "pitch")
    if hz == 0:
        return math.nan
    if not _RANGE_HZ[0] <= hz <= _RANGE_HZ[1]:
        raise BadOption(f"{where}: a pitch of {hz:g} Hz is not between {_RANGE_HZ[0]:g} and {_RANGE_HZ[1]:g} Hz")
    return hz


def _number(field: str, divider: str, where: str, what: str) -> float:
    text = field.strip()
    try:
        number = float(text if divider == "," else text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadOption(f"{where}: the {what} {text!r} is no number")
    return number
