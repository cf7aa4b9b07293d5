"""Jobs as the page asks for them: the same table, folders and tickets that the server's own doors use."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mynah.catalog.home import home
from mynah.core.errors import BadAudio, MynahError, NoSpace
from mynah.serve.asking import House, added
from mynah.serve.jobs import Full, Job
from mynah.serve.problems import Problem
from mynah.serve.sound import accept
from mynah.serve.uploads import plain

# For events. What goes wrong is told as a message; gradio would also lay it over all that was to change, and what
# lies below could not be pressed any more.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}


@dataclass(frozen=True)
class Desk:
    """Where tabs bring their work."""

    house: House

    def ask(
        self,
        who: gr.Request,
        kind: str,
        what: Mapping[str, Any],
        files: Sequence[str | Path],
        *,
        sound: bool = True,
        beside: Mapping[str, Callable[[Path], object]] | None = None,
    ) -> Job:
        """A job, from files that were uploaded to the page.

        Args:
            who: Asks.
            kind: Of the job.
            what: The request, as the worker takes it.
            files: Copied into the job's folder.
            sound: Whether they are recordings, and are refused where they are not.
            beside: Further files by name, each written by its function.

        Raises:
            MynahError, Full: No job comes of it, and no file stays.
        """
        jobs, settings = self.house.jobs, self.house.settings
        if len(files) > settings.files:
            raise BadAudio(f"{len(files)} recordings at once: {settings.files} are the most that this server takes")
        if shutil.disk_usage(jobs.place).free < 2e6 * settings.upload_mb:
            raise NoSpace("the disk of the server is nearly full: ask whoever runs it")
        id, folder = jobs.new_folder()
        try:
            for number, file in enumerate(files):
                path = folder / f"source-{number}"
                shutil.copyfile(file, path)
                if sound:
                    accept(path, settings.minutes, whole=False)
            for name, write in (beside or {}).items():
                write(folder / name)
            label = plain(Path(files[0]).name) if files else kind
            request = dict(what) | {"sources": len(files) if sound else 0, "minutes": settings.minutes}
            return added(self.house, id, kind, request, owner=owner(who), client=client(who), label=label)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def job(self, who: gr.Request, id: str) -> Job | None:
        """A job of whoever asks; those of others do not exist for them."""
        found = self.house.jobs.get(id) if id else None
        return found if found and found.owner == owner(who) else None

    def file(self, job: Job, name: str) -> Path | None:
        """A result by its name, if there is one."""
        for file in job.result.get("files", []):
            if file["name"] == name:
                return self.house.jobs.folder(job.id) / "out" / str(file["file"])
        return None


def shown_from(name: str) -> Path:
    """A new place for a file that the page is to show; nobody guesses it, and the next start clears it away."""
    folder = home() / "studio" / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder / name


def owner(who: gr.Request) -> str:
    """Whose jobs somebody may see; the guard has noted it."""
    assert who.request is not None
    return str(who.request.state.owner)


def client(who: gr.Request) -> str:
    """For whom turns are taken."""
    assert who.request is not None
    return str(who.request.state.client)


@contextmanager
def told() -> Iterator[None]:
    """Whatever somebody can mend is told on the page, in a line."""
    try:
        yield
    except (MynahError, Full, Problem) as error:
        raise gr.Error(str(error), print_exception=False) from error
