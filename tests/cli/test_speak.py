"""`mynah speak`, with a speaker and a listener that understand each other."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynah.audio.files import read
from mynah.core.types import Voice
from tests.speak import made_up

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made_up.install(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mynah.voices.library.find", lambda spec, **named: Voice(spec, (200.0, 400.0)))


def test_a_text_becomes_a_file(run: Run) -> None:
    done = run("speak", "Good", "morning.", "--system", "morse", "--json")
    assert done.code == 0, done.err
    assert (done.json["system"], done.json["voice"], done.json["out"]) == ("speak/morse", "morse", "speech.wav")
    assert made_up.understood(read("speech.wav")) == "good morning."
    again = run("speak", "Good morning.", "--system", "morse")
    assert (again.code, again.err) == (2, "mynah: speech.wav exists: add --force to replace it\n")
    assert run("speak", "No.", "--system", "morse", "--force", "-o", "speech.wav").code == 0
    assert made_up.understood(read("speech.wav")) == "no."


def test_another_voice_is_spoken_and_converted(run: Run) -> None:
    done = run("speak", "Yes.", "--voice", "ann", "--system", "morse", "--converter", "loud", "--convert-gain", "2")
    assert done.code == 0, done.err
    assert "speech-ann.wav" in done.err and "spoken as morse and converted" in done.err
    loud = read("speech-ann.wav").samples.abs().max()
    assert loud == pytest.approx(0.6, abs=0.01)


def test_a_text_comes_from_a_file_or_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("letter.txt").write_text("\ufeffGood morning.\nYes.", "utf-8")
    assert run("speak", "--file", "letter.txt", "--system", "morse", "--format", "flac").code == 0
    assert made_up.understood(read("letter.flac")) == "good morning. yes."
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Good night.")))
    assert run("speak", "--file", "-", "--system", "morse", "-o", "night.wav").code == 0
    assert made_up.understood(read("night.wav")) == "good night."
    Path("letter.txt").write_bytes(b"\xff\xfe\x00G")
    assert "is no text in UTF-8" in run("speak", "--file", "letter.txt", "--system", "morse").err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "say what to say"),
        (["Yes.", "--file", "letter.txt"], "say what to say"),
        (["..."], "nothing to say"),
        (["Yes.", "-o", "a.wav", "--format", "mp3"], "contradict each other"),
        (["Yes.", "-o", "a.xyz"], "must end in one of"),
        (["Yes.", "--tries", "0"], "from 1 to 20"),
        (["Yes.", "--stumbles", "12"], "--stumbles is a whole number from 0 to 9, not '12'"),
        (["Yes.", "-o", "-", "--json"], "cannot share standard output"),
        (["Yes.", "--verify", "--listener", "ear", "--listener-weights", "far-away"], "nobody can listen"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: list[str], complaint: str) -> None:
    done = run("speak", *arguments, "--system", "morse")
    assert done.code == 2
    assert complaint in done.err and done.err.count("\n") == 1
    assert not list(Path.cwd().iterdir())


def test_what_is_said_is_said_back(run: Run) -> None:
    flags = ("--system", "morse", "--verify", "--listener", "ear", "--json")
    done = run("speak", "Good morning. Yes.", *flags, "--stumbles", "2")
    assert done.code == 0, done.err
    assert done.json["lost"] == []
    done = run("speak", "Good morning. Yes, sir.", *flags, "--stumbles", "9", "--tries", "2", "--force")
    assert [each["words"] for each in done.json["lost"]] == [["morning"], ["yes"]]
    assert "after 2 tries morning cannot be heard in: Good morning." in done.err
