"""The door: help, versions, mistakes, and what happens to a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynah.cli.main import COMMANDS

Run = Callable[..., Any]
MYNAH = [sys.executable, "-m", "mynah"]
HEAVY = ("torch", "numpy", "pydantic", "rich", "soundfile", "onnxruntime", "lightning")


def test_help_lists_every_command(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    for command in COMMANDS:
        assert command in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: mynah {command}")
    assert "--json" in done.out


@pytest.mark.parametrize("wrong", [("sing",), ("--loud",), ("systems", "--vers"), ("convert",), ("voices", "burn")])
def test_what_makes_no_sense_is_one_line(run: Run, wrong: tuple[str, ...]) -> None:
    done = run(*wrong)
    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert "--help" in done.err


def test_machines_get_mistakes_as_json(run: Run) -> None:
    done = run("systems", "convert/none", "--json")
    assert done.code == 2
    assert done.json["error"]["kind"] == "UnknownSystem"
    assert "convert/none" in done.json["error"]["message"]


def test_systems_are_listed_and_told_about(run: Run) -> None:
    assert "convert/hum" in run("systems").out
    listed = {system["name"]: system["about"] for system in run("systems", "--json").json["systems"]}
    assert listed["convert/hum"].startswith("Hum:")
    assert "--transpose" in run("systems", "hum").out
    assert run("systems", "hum", "--json").json["card"]["origin"] == "ours"


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").out.split()[0] == "mynah"
    assert run("--version", "--json").json["version"] == run("--version").out.split()[1]


# Processes


def test_help_loads_no_engine() -> None:
    code = "import sys; from mynah.cli.main import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.splitlines()[-1].split())


def test_exit_codes_reach_the_shell() -> None:
    assert subprocess.run([*MYNAH, "--version"], capture_output=True, check=False).returncode == 0
    done = subprocess.run([*MYNAH, "fly"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen([*MYNAH, "systems"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# Hum converts everything in a moment, so this one takes its time, in the middle of writing a file.
SLOW = """
import sys, time
import mynah.audio.files as files
from mynah.core.atomic import replacing
from mynah.core.types import Voice
import mynah.voices.library as library

def write(audio, path, **settings):
    with replacing(path) as half:
        half.write_bytes(b"half of a song")
        print("writing", flush=True)
        time.sleep(30)

files.write = write
library.find = lambda spec, **settings: Voice(spec, range_hz=(200.0, 400.0))
from mynah.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_leaves_no_half_written_file(song: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", SLOW, "convert", str(song), "--voice", "ann", "--system", "hum"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == "writing\n"
        assert len(list(song.parent.iterdir())) > 1
        process.send_signal(number)
        started = time.monotonic()
        errors = process.stderr.read()
    assert process.returncode == code
    assert time.monotonic() - started < 10
    assert "Traceback" not in errors
    assert list(song.parent.iterdir()) == [song]


def test_sound_flows_through_pipes(song: Path) -> None:
    piped = SLOW.replace("files.write = write", "")
    command = [sys.executable, "-c", piped, "convert", "-", "--voice", "ann", "--system", "hum"]
    done = subprocess.run(command, input=song.read_bytes(), capture_output=True, check=True)
    assert done.stdout[:4] == b"RIFF"
    assert len(done.stdout) > 4000 * 3  # half a second at 8 kHz and 24 bits
