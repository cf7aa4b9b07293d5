"""Steps whose results are kept by the content of what they were made from, so that nothing is done twice.

A step is a pure function from files and settings to files. Its key is the hash of its name, its settings and the sha256
of every file that it reads; under that key its results lie in a folder that appears whole or not at all. So a run that
was killed goes on at the step that it was in, and whatever changes makes only what depends on it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mynah.audio.disk import typed_errors
from mynah.catalog.weights import sha256
from mynah.scenes.cover.result import Done

Fraction = Callable[[float], None]
Progress = Callable[[str, float], None]
SHEET = "step.json"


@dataclass(frozen=True)
class Step:
    """One piece of work.

    Attributes:
        name: As the user sees it.
        takes: Names of the files that it reads.
        gives: Files that it makes, such as `"vocals.wav"`; each is called by its stem.
        settings: All that the result depends on beside the files, in words of JSON.
        work: Told where its files lie, where to put what it makes, and whom to tell how far it is.
        version: To be raised when the same input gives another result.
    """

    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    settings: Mapping[str, Any]
    work: Callable[[Mapping[str, Path], Mapping[str, Path], Fraction], None]
    version: int = 1


@dataclass(frozen=True)
class File:
    """A file and what is in it."""

    path: Path
    sha256: str


@dataclass
class Run:
    """Makes the files that are asked for, and whatever they need, and nothing else.

    Attributes:
        folder: Where results are kept. Nobody else may work in it meanwhile.
        steps: Who makes what.
        given: Files that exist already: the song, and what was replaced by hand.
        same: Names that stand for other names, such as the lead for all vocals where nothing tells them apart.
        progress: Told the step and its fraction, 0 to 1.
        done: Steps so far, in the order in which they were finished.
        files: What was asked for so far, directly or by a step.
    """

    folder: Path
    steps: Sequence[Step]
    given: Mapping[str, File]
    same: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = lambda step, fraction: None
    done: list[Done] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)

    def file(self, name: str) -> File:
        """A file by its name, made now if it is not there.

        Raises:
            NoSpace: The disk is full; what was finished before stays.
        """
        if name in self.given:
            return self.given[name]
        if name in self.same:
            return self.file(self.same[name])
        if name not in self.files:
            [step] = [step for step in self.steps if name in map(called, step.gives)]
            self.files |= self._results(step)
        return self.files[name]

    def _results(self, step: Step) -> dict[str, File]:
        inputs = {name: self.file(name) for name in step.takes}
        start = time.perf_counter()
        entry = self.folder / f"{step.name}-{key_of(step, inputs)[:20]}"
        results = kept(entry)
        self.done.append(Done(step.name, 0.0, kept=results is not None))
        if results is None:
            self.progress(step.name, 0.0)
            with typed_errors(self.folder):
                self._make(step, inputs, entry)
            results = kept(entry)
            assert results is not None, f"the results of {step.name} vanished"
        os.utime(entry)  # what was used last is dropped last
        self.done[-1] = Done(step.name, time.perf_counter() - start, self.done[-1].kept)
        self.progress(step.name, 1.0)
        return results

    def _make(self, step: Step, inputs: Mapping[str, File], entry: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=self.folder))
        try:
            outs = {called(file): making / file for file in step.gives}
            step.work(
                {name: file.path for name, file in inputs.items()}, outs, lambda part: self.progress(step.name, part)
            )
            files = {}
            for path in outs.values():
                about = path.stat()
                files[path.name] = {"sha256": sha256(path), "bytes": about.st_size, "mtime_ns": about.st_mtime_ns}
            (making / SHEET).write_text(json.dumps({"step": step.name, "files": files}, indent=1), "utf-8")
            making.chmod(0o755)
            if entry.exists():  # damaged
                shutil.rmtree(entry)
            making.rename(entry)
        finally:
            shutil.rmtree(making, ignore_errors=True)


def called(file: str) -> str:
    """What a file is called by.

    Example:

        >>> called("vocals.wav")
        'vocals'
    """
    return Path(file).stem


def key_of(step: Step, inputs: Mapping[str, File]) -> str:
    """The hash of all that a step's results depend on, in hexadecimal."""
    about = {
        "step": step.name,
        "version": step.version,
        "gives": step.gives,
        "settings": step.settings,
        "inputs": {name: file.sha256 for name, file in inputs.items()},
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def kept(entry: Path) -> dict[str, File] | None:
    """The files of a finished step by name; `None` if it is not there, or not as it was left."""
    try:
        files = json.loads((entry / SHEET).read_text("utf-8"))["files"]
        found = {}
        for name, was in files.items():
            path = entry / name
            about = path.stat()
            if about.st_size != was["bytes"]:
                return None
            # Whoever edits a file changes its time; then only its content tells whether it is still the same.
            if about.st_mtime_ns != was["mtime_ns"] and sha256(path) != was["sha256"]:
                return None
            found[called(name)] = File(path, was["sha256"])
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
