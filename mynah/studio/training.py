"""Trainings that the page starts: each is `mynah train` in a process of its own, stopped by the signal that saves."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mynah.core.atomic import replacing
from mynah.core.errors import BadOption
from mynah.serve.settings import TOKEN
from mynah.voices.sheet import fit_name

_STOP_SECONDS = 60.0
_PAUSED = (130, 143, -signal.SIGTERM, -signal.SIGINT)
_LAST_LINES = 12


Curves = tuple[tuple[int, str, float], ...]
"""Step, name and value."""


@dataclass(frozen=True)
class Course:
    """How a training stands.

    Attributes:
        status: `"new"`, `"running"`, `"paused"`, `"done"` or `"failed"`.
        lines: The last ones that it said.
        losses: Step, name and value, of the log that was written last.
        measures: The same of how good it is, as it was measured now and then.
        report: Picture of the recordings, if it was drawn.
    """

    status: str
    lines: tuple[str, ...]
    losses: Curves
    measures: Curves
    report: Path | None


class Trainings:
    """All of them, in one folder; a server that stops lets each save first."""

    def __init__(self, place: Path, device: str) -> None:
        self.place, self._device = place, device
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        atexit.register(self.close)

    def names(self) -> list[str]:
        """What was ever begun and not thrown away."""
        return sorted(file.parent.name for file in self.place.glob("*/training.json"))

    def new(self, name: str, system: str, *, data: str = "", voice: str = "") -> str:
        """Note what is to be trained on what; returns the name.

        Raises:
            BadOption: The name cannot be one, or is taken.
        """
        name = fit_name(name)
        file = self.place / name / "training.json"
        if file.exists():
            raise BadOption(f"there is a training {name!r} already: choose another name, or go on with that one")
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as half:
            half.write_text(json.dumps({"system": system, "data": data, "voice": voice}), "utf-8")
        return name

    def uploads(self, name: str) -> Path:
        """Where recordings of a training go that were uploaded."""
        return self.place / fit_name(name) / "data"

    def prepare(self, name: str) -> None:
        """Look at the recordings and report on them; only where there are recordings."""
        about = self._about(name)
        self._start(name, ["prepare", about["data"], "--for", about["system"], "--out", str(self._out(name))])

    def go_on(self, name: str, *more: str) -> None:
        """Begin, or go on where it was."""
        about = self._about(name)
        source = ["--voice", about["voice"]] if about["voice"] else ["--data", about["data"]]
        out = ["--out", str(self._out(name)), "--device", self._device]
        self._start(name, ["train", about["system"], *source, *out, *more])

    def finish(self, name: str) -> None:
        """End here and keep what was learnt: one more step, and then what a training does at its end."""
        self.pause(name)
        self.go_on(name, "--minutes", "0.001")

    def pause(self, name: str) -> None:
        """Save and stop."""
        with self._lock:
            process = self._running.get(name)
        if process and process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def discard(self, name: str) -> None:
        """Stop, and throw everything away."""
        self._about(name)
        self.pause(name)
        shutil.rmtree(self.place / name)

    def close(self) -> None:
        """Let all of them save."""
        for name in list(self._running):
            self.pause(name)

    def course(self, name: str) -> Course:
        """How it stands."""
        self._about(name)
        folder = self.place / name
        process = self._running.get(name)
        code = process.poll() if process else None
        lines = _tail(folder / "output.log")
        logs = sorted(self._out(name).rglob("log.jsonl"), key=lambda file: file.stat().st_mtime)
        picture = self._out(name) / "report.png"
        if process and code is None:
            status = "running"
        elif process is None:
            status = "paused" if logs else "new"
        elif code in _PAUSED:
            status = "paused"
        else:
            status = "done" if code == 0 else "failed"
        losses, measures = curves(logs[-1]) if logs else ((), ())
        return Course(status, lines, losses, measures, picture if picture.exists() else None)

    def preview(self, name: str) -> bytes | None:
        """The last sound that a training wrote down, as a wave file; `None` if it has none yet."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        self._about(name)
        boards = sorted(self._out(name).rglob("events.out.tfevents.*"), key=lambda file: file.stat().st_mtime)
        for board in reversed(boards):
            events: Any = EventAccumulator(str(board), size_guidance={"audio": 1})
            events.Reload()
            if "preview" in events.Tags()["audio"]:
                sound: bytes = events.Audio("preview")[-1].encoded_audio_string
                return sound
        return None

    def _about(self, name: str) -> dict[str, str]:
        if name not in self.names():
            raise BadOption(f"there is no training {name[:64]!r}")
        about: dict[str, str] = json.loads((self.place / name / "training.json").read_text("utf-8"))
        return about

    def _out(self, name: str) -> Path:
        return self.place / name / "run"

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        with self._lock:
            process = self._running.get(name)
            if process and process.poll() is None:
                raise BadOption(f"{name} is at work already")
            environment = {key: value for key, value in os.environ.items() if key != TOKEN}
            with (self.place / name / "output.log").open("wb") as log:
                self._running[name] = subprocess.Popen(
                    [sys.executable, "-m", "mynah", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=environment,
                )  # fmt: skip


def curves(log: Path) -> tuple[Curves, Curves]:
    """Every loss, and every measure, in the log of a training."""
    losses, measures = [], []
    for line in log.read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the line that is being written
            continue
        step = entry.pop("step")
        measures += [(step, name, float(value)) for name, value in entry.pop("measures", {}).items()]
        losses += [
            (step, name, value) for name, value in entry.items() if isinstance(value, float) and name != "seconds"
        ]
    return tuple(losses), tuple(measures)


def _tail(file: Path) -> tuple[str, ...]:
    if not file.exists():
        return ()
    text = file.read_bytes()[-8000:].decode("utf-8", "replace")
    return tuple(line.rpartition("\r")[2] for line in text.splitlines()[-_LAST_LINES:])
