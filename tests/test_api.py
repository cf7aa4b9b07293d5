"""What `import mynah` offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mynah
from mynah.core.errors import BadVoice, UnknownVoice

RATE = 8000


def song(hz: float = 220.0) -> mynah.Audio:
    t = torch.arange(RATE) / RATE
    return mynah.Audio(0.2 * torch.sin(2 * torch.pi * hz * t)[None], RATE)


def test_everything_that_is_offered_is_there() -> None:
    for name in mynah.__all__:
        assert getattr(mynah, name)
        assert name in dir(mynah)
    with pytest.raises(AttributeError, match="no attribute 'sing_loudly'"):
        mynah.sing_loudly  # noqa: B018


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = mynah.write(song(), tmp_path / "song.flac")
    again = mynah.read(path)
    assert (again.rate, again.seconds) == (RATE, 1.0)
    torch.testing.assert_close(again.samples, song().samples, atol=1e-5, rtol=0)


def test_the_folders_can_be_called_before_and_after_their_modules_are_imported() -> None:
    code = """
import mynah
assert callable(mynah.convert) and callable(mynah.voices)
import mynah.convert.hum, mynah.voices.library
assert callable(mynah.convert) and callable(mynah.voices)
assert isinstance(mynah.voices(), list)
from mynah import convert, voices, voice, read
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_voice_is_needed_to_convert() -> None:
    with pytest.raises(UnknownVoice, match="nobody"):
        mynah.convert(song(), "nobody", system="hum")
    with pytest.raises(UnknownVoice, match="nobody"):
        mynah.voice("nobody")


def test_converting_keeps_length_and_rate() -> None:
    result = mynah.convert(song(), mynah.Voice("anybody", range_hz=(80.0, 800.0)), system="hum", transpose=12)
    assert (result.rate, result.seconds) == (RATE, 1.0)


def test_sound_without_a_file_needs_a_name_for_its_voice() -> None:
    with pytest.raises(BadVoice, match="call"):
        mynah.enrol(song())
    with pytest.raises(BadVoice, match="call"):
        mynah.enrol(["one.wav", "two.wav"])


def test_a_voice_is_named_after_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def enrol(clips: list[object], name: str, **settings: object) -> mynah.Voice:
        asked.update(clips=clips, name=name, **settings)
        return mynah.Voice(name, range_hz=(100.0, 200.0))

    monkeypatch.setattr("mynah.voices.library.enrol", enrol)
    assert mynah.enrol("folder/me.m4a", license="CC0-1.0").name == "me"
    assert asked["clips"] == [Path("folder/me.m4a")]
    assert asked["terms"].license == "CC0-1.0"
    assert mynah.enrol([song(), "other.wav"], "both").name == "both"
