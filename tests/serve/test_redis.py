"""Several workers around a Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mynah.core.errors import BadOption, Offline
from mynah.serve.tickets import Tickets

SERVER = shutil.which("redis-server")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    if SERVER is None:
        pytest.skip("there is no redis-server here: apt install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "not-to-be-told"]
    running = subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    address = f"redis://:not-to-be-told@127.0.0.1:{port}/0"
    end = time.monotonic() + 20
    while True:
        try:
            Tickets(address, tmp_path).close()
            break
        except Offline:
            assert time.monotonic() < end
            time.sleep(0.05)
    yield address
    running.terminate()
    running.wait()


def test_two_workers_share_the_work(redis: str, own_server: Callable[..., Any], song: Path) -> None:
    running = own_server("--workers", "1", MYNAH_QUEUE=redis)
    plugins = running.home.parent / f"{running.home.name}-plugins"
    environment = {**os.environ, "MYNAH_HOME": str(running.home), "PYTHONPATH": str(plugins), "MYNAH_QUEUE": redis}
    worker = subprocess.Popen([sys.executable, "-m", "mynah", "work", "--device", "cpu"], env=environment)
    try:
        jobs = [running.ask("conversions", song, voice="kerstin", model="loud", nap_seconds="20") for _ in range(2)]
        running.wait(lambda: [running.job(job["id"])["status"] for job in jobs] == ["in_progress"] * 2)
        for job in jobs:
            running.client.post(f"/v1/jobs/{job['id']}/cancel")
            running.until(job["id"], "cancelled")
        assert running.until(running.ask("separations", song, model="centre")["id"], "completed")
    finally:
        worker.terminate()
        assert worker.wait(30) == 0
    running.stop()
    assert "not-to-be-told" not in running.log.read_text()


def test_a_queue_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Offline, match=r"no Redis answers at 127.0.0.1:1/0: start one") as caught:
        Tickets("redis://:not-to-be-told@127.0.0.1:1/0", tmp_path)
    assert "not-to-be-told" not in str(caught.value)
    with pytest.raises(BadOption, match="redis://"):
        Tickets("amqp://localhost", tmp_path)
