"""What docs/server.md shows does what it says."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mynah.cli.main import main

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "server.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8765"


def test_the_examples_of_the_client(
    server: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    # The speaker that ships would take its time; that of the test's server does not.
    for example in (first, second.replace('model="default"', 'model="beep"')):
        exec(compile(example.replace(ADDRESS, server.url), "server.md", "exec"), names)
    names["client"].close()
    assert "separate/centre" in capsys.readouterr().out
    assert (tmp_path / "morgen.pcm").stat().st_size > 48_000


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_commands(server: Any, song: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    shutil.copyfile(song, tmp_path / "examples" / "song.ogg")
    shutil.copyfile(ROOT / "examples" / "voice.ogg", tmp_path / "examples" / "voice.ogg")
    [block] = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    # The systems that ship would take their time; those of the test's server do not.
    quick = "-F voice=kerstin -F separator=centre -F converter=loud -F transpose=0"
    commands = [line.replace(ADDRESS, server.url).replace("-F voice=kerstin", quick) for line in block.splitlines()]
    for command in commands:
        job = server.client.get("/v1/jobs?limit=1").json()["data"]
        script = f"ID={job[0]['id'] if job else ''}; {command} -sS --fail-with-body".replace("  # ", " -sS #")
        done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert list(tmp_path.glob("*.mp3"))


def test_every_door_is_told_of(server: Any) -> None:
    doors = server.client.get("/openapi.json").json()["paths"]
    for door in doors:
        last = door.removeprefix("/v1/jobs/{id}").split("{")[0].rstrip("/").rpartition("/")[2]
        assert last in TEXT, door


def test_every_flag_exists() -> None:
    told = set(re.findall(r"--[a-z][a-z-]+", TEXT)) - {"--help"}
    assert told
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        assert main(["serve", "--help"]) == 0
    assert told <= set(re.findall(r"--[a-z][a-z-]+", heard.getvalue()))
