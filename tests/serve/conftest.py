"""A server as a person starts it: `mynah serve`, its own worker, tiny systems, on a free port of this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import torch

from mynah.audio.files import write
from mynah.core.types import Audio

HERE = Path(__file__).parent
PATIENCE = 60.0  # seconds; a busy machine is given time


class Running:
    """A server that runs."""

    command, says = ("serve",), "mynah serves at "

    def __init__(self, home: Path, *flags: str, **variables: str) -> None:
        self.home, self.flags, self.variables = home, flags, variables
        self.start()

    def start(self) -> None:
        plugins = self.home.parent / f"{self.home.name}-plugins"
        about = plugins / "tiny_systems-1.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE / "tiny_systems.py", plugins / "tiny_systems.py")
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-systems\nVersion: 1\n")
        source = (HERE / "tiny_systems.py").read_text()
        (about / "entry_points.txt").write_text(source.partition('ENTRY_POINTS = """')[2].partition('"""')[0])
        self.log = self.home.parent / f"{self.home.name}.log"
        environment = {
            **os.environ, "MYNAH_HOME": str(self.home), "PYTHONPATH": str(plugins), "OMP_NUM_THREADS": "1",
            **self.variables,
        }  # fmt: skip
        command = [sys.executable, "-m", "mynah", *self.command, "--port", "0", "--device", "cpu", *self.flags]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert self.process.stdout
        said = self.process.stdout.readline()
        assert said.startswith(self.says), self.log.read_text()
        self.url = said.split()[-1]
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE)

    def workers(self) -> list[int]:
        """Process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for file in children for pid in file.read_text().split()]

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()

    def ask(self, what: str, file: Path, **fields: Any) -> dict[str, Any]:
        """A job."""
        with file.open("rb") as opened:
            answer = self.client.post(f"/v1/audio/{what}", files={"file": (file.name, opened)}, data=fields)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
        return answer.json()

    def job(self, id: str) -> dict[str, Any]:
        return self.client.get(f"/v1/jobs/{id}").raise_for_status().json()

    def until(self, id: str, *statuses: str) -> dict[str, Any]:
        """The job, once it is there."""
        self.wait(lambda: self.job(id)["status"] in statuses)
        return self.job(id)

    def wait(self, happened: Callable[[], bool]) -> None:
        """Until something is so."""
        end = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def folders(self) -> set[str]:
        return {folder.name for folder in (self.home / "jobs" / "files").iterdir()}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests that leave it as it was."""
    running = Running(
        tmp_path_factory.mktemp("server") / "home", "--upload-mb", "2", "--minutes", "1", "--rate", "1000000"
    )
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Makes one that may be ill-treated."""
    made: list[Running] = []

    def make(*flags: str, **variables: str) -> Running:
        made.append(Running(tmp_path / f"home-{len(made)}", *flags, **variables))
        return made[-1]

    yield make
    for running in made:
        running.stop()


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second in stereo."""
    t = torch.arange(16_000) / 16_000
    voice, band = 0.2 * torch.sin(2 * torch.pi * 220 * t), 0.1 * torch.sin(2 * torch.pi * 990 * t)
    return write(
        Audio(torch.stack([voice + band, voice - band]), 16_000), tmp_path_factory.mktemp("song") / "my song.wav"
    )


def events(running: Running, id: str, seen: list[dict[str, Any]]) -> threading.Thread:
    """Listens to a job in a thread."""

    def listen() -> None:
        with running.client.stream("GET", f"/v1/jobs/{id}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line[6:]))

    thread = threading.Thread(target=listen)
    thread.start()
    return thread
