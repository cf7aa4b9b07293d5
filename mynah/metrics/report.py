"""The report of an evaluation: figures with what they mean, as a table, as JSON and as a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.core.atomic import replacing
from mynah.core.errors import BadOption
from mynah.core.types import Audio, Contour

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One number, or the reason why there is none.

    Attributes:
        name: Such as `"pitch correlation"`.
        value: None where it could not be measured.
        unit: Such as `"cents"`; empty for a plain number.
        floor: What doing nothing would give.
        ceiling: The best that could be.
        share: Of the way from floor (or zero) to ceiling.
        why: Why there is no value.
    """

    name: str
    value: float | None
    unit: str = ""
    floor: float | None = None
    ceiling: float | None = None
    share: float | None = None
    why: str = ""

    @property
    def text(self) -> str:
        """Value and unit, for people.

        Example:

            >>> Figure("median pitch error", 4.72, "cents").text, Figure("peak memory", 3.1e8, "bytes").text
            ('4.7 cents', '310 MB')
        """
        if self.value is None:
            return "-"
        if self.unit == "bytes":
            return f"{self.value / 1e6:.0f} MB"
        return f"{self.value:z.1f} {self.unit}" if self.unit else f"{self.value:.4g}"


@dataclass(frozen=True)
class Measured:
    """What was measured on one source.

    Attributes:
        name: Of the source.
        seconds: Its length.
        figures: Of this source alone.
    """

    name: str
    seconds: float
    figures: tuple[Figure, ...]


@dataclass(frozen=True, eq=False)
class Example:
    """The first conversion, for the picture."""

    source: Audio
    result: Audio
    melodies: tuple[Contour, Contour]


@dataclass(frozen=True, eq=False)
class Report:
    """How good a result is.

    Attributes:
        title: What was evaluated.
        figures: Over all sources.
        sources: One by one.
        example: Kept for the picture, where there is something to draw.
    """

    title: str
    figures: tuple[Figure, ...]
    sources: tuple[Measured, ...]
    example: Example | None = None

    def figure(self, name: str) -> Figure:
        """By name.

        Raises:
            KeyError: There is none.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)

    def table(self) -> Table:
        """For a terminal: print it with `rich`."""
        from rich.table import Table
        from rich.text import Text

        seconds = sum(source.seconds for source in self.sources)
        table = Table(
            title=self.title, caption=f"{len(self.sources)} recordings, {seconds:.0f} s", title_justify="left"
        )
        table.add_column("figure")
        for column in ("value", "floor", "ceiling", "share"):
            table.add_column(column, justify="right")
        for figure in self.figures:
            share = "" if figure.share is None else f"{100 * figure.share:.0f} %"
            table.add_row(figure.name, figure.text, _bound(figure.floor), _bound(figure.ceiling), share)
        for name, why in _reasons(self.figures):
            table.add_row(Text(f"no {name}: {why}", style="dim"))  # a reason may hold brackets
        return table

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; what is not a number is None."""
        return {
            "title": self.title,
            "figures": [_plain(figure) for figure in self.figures],
            "sources": [
                {"name": source.name, "seconds": source.seconds, "figures": [_plain(one) for one in source.figures]}
                for source in self.sources
            ],
        }

    def write_json(self, path: Path | str) -> Path:
        """Write `to_dict` as a file that appears whole or not at all."""
        return write_json(self.to_dict(), path)

    def picture(self, path: Path | str, *, seconds: float = 20.0) -> Path:
        """Draw the first source and its result; see `mynah.metrics.picture.side_by_side`.

        Raises:
            MissingExtra: matplotlib is not installed.
            BadOption: There is nothing to draw.
        """
        from mynah.metrics.picture import side_by_side

        if self.example is None:
            raise BadOption(f"there is nothing to draw in the report on {self.title}")
        name = self.sources[0].name
        shown = self.example
        return side_by_side(
            shown.source, shown.result, path, melodies=shown.melodies, titles=(name, self.title), seconds=seconds
        )


def write_json(document: dict[str, Any], path: Path | str) -> Path:
    """Write plain values as a file that appears whole or not at all."""
    path = Path(path)
    with replacing(path) as half:
        half.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


def mean(name: str, figures: Sequence[Figure], unit: str = "") -> Figure:
    """One figure over several sources; those without a value are left out, unless all are."""
    values = [figure.value for figure in figures if figure.value is not None]
    if not values:
        return Figure(
            name, None, unit, why=next((figure.why for figure in figures if figure.why), "nothing was measured")
        )
    return Figure(name, sum(values) / len(values), unit)


def _plain(figure: Figure) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(figure).items()
    }


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _reasons(figures: Sequence[Figure]) -> list[tuple[str, str]]:
    """What is missing, each reason once."""
    named: dict[str, list[str]] = {}
    for figure in figures:
        if figure.value is None:
            named.setdefault(figure.why, []).append(figure.name)
    return [(", ".join(names), why) for why, names in named.items()]
