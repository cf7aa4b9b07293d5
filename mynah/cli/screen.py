"""What the user sees: results on standard output, everything else on standard error."""

from __future__ import annotations

import json as json_format
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

Progress = Callable[[float], None]


class Screen:
    """Lines for people, or one JSON document for machines.

    Attributes:
        json: A machine is reading: standard output carries JSON alone.
        quiet: No progress and no remarks; results and errors only.
        debug: Tracebacks of mistakes too.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, debug: bool = False) -> None:
        self.json, self.quiet, self.debug = json, quiet, debug
        self._given: dict[str, Any] = {}

    def show(self, text: str) -> None:
        """A result, for people: standard output."""
        if not self.json:
            print(text)

    def note(self, text: str) -> None:
        """A remark, for people: standard error."""
        if not (self.json or self.quiet):
            print(text, file=sys.stderr)

    def give(self, figures: dict[str, Any]) -> None:
        """Results, for machines; printed as one document at the end."""
        self._given |= figures

    def error(self, message: str, *, kind: str) -> None:
        """Something went wrong: red on a terminal, and part of the document for machines."""
        for line in message.splitlines() or [kind]:
            print(_coloured(f"mynah: {line}", 31, sys.stderr), file=sys.stderr)
        self.give({"error": {"kind": kind, "message": message}})
        self.flush()

    def complaint(self, message: str) -> None:
        """One of several things went wrong and the others go on."""
        print(_coloured(f"mynah: {message}", 31, sys.stderr), file=sys.stderr)

    def warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Ours become one line; those of libraries are for developers."""
        if category.__module__.partition(".")[0] == "mynah":
            print(_coloured(f"mynah: {message}", 33, sys.stderr), file=sys.stderr)
        elif self.debug:
            print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=sys.stderr)

    def flush(self) -> None:
        """Print the document for machines, if there is one. A second call prints nothing more."""
        if self.json and self._given:
            print(json_format.dumps(_plain(self._given), indent=2, ensure_ascii=False))
        self._given = {}
        sys.stdout.flush()

    def table(self, rows: Sequence[Sequence[object]], *, head: Sequence[str] = ()) -> None:
        """Columns on standard output, each as wide as its widest cell; easy to cut and to grep."""
        cells = [[str(cell) for cell in row] for row in ([head] if head else []) + list(rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            self.show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    @contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """A bar on standard error while the block runs, if somebody sits there; gives what to call with 0 to 1."""
        if self.json or self.quiet or not sys.stderr.isatty():
            yield lambda fraction: None
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
        with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(escape(label), total=1.0)
            yield lambda fraction: bar.update(task, completed=fraction)

    @contextmanager
    def steps(self, label: str) -> Iterator[Callable[[str, float], None]]:
        """A bar for work of several steps; gives what to call with the step's name and its fraction, 0 to 1."""
        if self.json or self.quiet or not sys.stderr.isatty():
            yield lambda step, fraction: None
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        tasks: dict[str, Any] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
        with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:

            def told(step: str, fraction: float) -> None:
                if step not in tasks:
                    tasks[step] = bar.add_task(escape(f"{label}: {step}"), total=1.0)
                bar.update(tasks[step], completed=fraction)

            yield told

    @contextmanager
    def training(self, label: str) -> Iterator[Callable[[int, int, dict[str, float]], None]]:
        """A bar with the losses beside it, or a line now and then where nobody sits; gives what a trainer calls."""
        tenth = -1

        def line(done: int, total: int, losses: dict[str, float]) -> None:
            nonlocal tenth
            if 10 * done // total != tenth:
                tenth = 10 * done // total
                self.note(f"{label}: {done} of {total} steps  {_figures(losses)}")

        if self.json or self.quiet or not sys.stderr.isatty():
            yield line
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, TextColumn("{task.fields[losses]}"), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(escape(label), total=None, losses="")
            yield lambda done, total, losses: bar.update(
                task, completed=done, total=total, losses=escape(_figures(losses))
            )

    def trace(self, error: BaseException) -> None:
        """The traceback of a mistake, with --debug."""
        if self.debug:
            traceback.print_exception(error)


def _figures(named: dict[str, float]) -> str:
    return "  ".join(f"{name} {figure:.4g}" for name, figure in named.items())


def _coloured(text: str, colour: int, stream: TextIO) -> str:
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def _plain(thing: Any) -> Any:
    """What JSON can say: paths as text, and null for figures that do not exist."""
    if isinstance(thing, dict):
        return {str(key): _plain(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_plain(value) for value in thing]
    if isinstance(thing, float) and thing != thing:
        return None
    if isinstance(thing, str | int | float | bool) or thing is None:
        return thing
    return str(thing)
