"""`mynah cover`, with a separator that takes half of a song for its vocals, and a converter that multiplies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import pytest
import torch
from pydantic import Field
from torch import Tensor

from mynah.audio.files import probe, read
from mynah.core import registry
from mynah.core.system import Card, System
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Options
from mynah.nets.separator import Pieces, Separator

Run = Callable[..., Any]
BARE = (
    *("--high-pass-hz", 0, "--de-ess-db", 0, "--compress-ratio", 1, "--presence-db", 0, "--air-db", 0),
    *("--reverb", 0),
)


class HalfOptions(Options):
    """None."""


class Half(Separator[None]):
    """One half is the voice."""

    card = Card(verbs=("separate",), paper="", origin="ours")
    rate, channels = 8000, 1
    remainder = "accompaniment"

    @property
    def stems(self) -> tuple[str, ...]:
        return ("vocals", "accompaniment")

    @classmethod
    def tiny(cls) -> Self:
        return cls(None)

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        return cls(None)

    def apart(self, mix: Pieces, options: Options | None) -> Iterator[Tensor]:
        return (torch.stack([piece / 2, piece / 2]) for piece in mix())

    def separate(self, mix: Any, options: HalfOptions | None = None) -> Any:
        return super().separate(mix, options)


class TimesOptions(Options):
    """One of its own, and one that the cover decides on."""

    gain: Annotated[float, Field(ge=0, le=4)] = 1.0
    flip_sign: bool = False
    transpose: Annotated[float, Field(ge=-24, le=24)] = 0.0


class Times(System[None]):
    """Multiplies."""

    card = Card(verbs=("convert",), paper="", origin="ours")

    @classmethod
    def tiny(cls) -> Self:
        return cls(None)

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        return cls(None)

    def convert(self, source: Audio, voice: Voice, options: TimesOptions | None = None) -> Audio:
        options = options or TimesOptions()
        return Audio(source.samples * (-options.gain if options.flip_sign else options.gain), source.rate)


@dataclass
class Point:
    """An entry point as the registry sees it."""

    value: str
    system: type

    def load(self) -> type:
        return self.system


SYSTEMS = ("--separator", "half", "--converter", "times")


@pytest.fixture
def cover(run: Run, loud: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with its two systems, a voice, and no effects."""
    plugins = {"separate/half": Point("half:Half", Half), "convert/times": Point("times:Times", Times)}
    monkeypatch.setattr(registry, "_plugins", lambda: plugins)

    def call(*arguments: object, voice: str = "ann") -> Any:
        return run("cover", *arguments, "--voice", voice, *SYSTEMS, *BARE)

    return call


def test_the_result_lies_beside_the_song_and_is_named_after_the_voice(cover: Run, song: Path) -> None:
    done = cover(song)
    assert (done.code, done.out) == (0, "")
    assert probe(song.with_name("song-ann.wav")).seconds == 0.5
    assert "kept from before" not in done.err


def test_machines_are_told_every_step(cover: Run, song: Path) -> None:
    done = cover(song, "--json", "--transpose", 0)
    [told] = done.json["covers"]
    assert told["out"] == str(song.with_name("song-ann.wav"))
    assert next(step["name"] for step in told["steps"]) == "separate"
    assert told["semitones"] == 0
    assert Path(told["stems"]["converted"]).exists()
    assert done.err == ""


def test_a_second_run_says_what_was_kept(cover: Run, song: Path) -> None:
    cover(song)
    again = cover(song, "--force", "--vocal-db", 2)
    assert "kept from before: separate, pitch" in again.err
    assert "mix" not in again.err.partition("kept from before")[2]


def test_a_result_that_exists_is_kept_unless_forced(cover: Run, song: Path) -> None:
    cover(song)
    before = song.with_name("song-ann.wav").read_bytes()
    refused = cover(song, "--lufs", -20)
    assert refused.code == 2
    assert "--force" in refused.err
    assert song.with_name("song-ann.wav").read_bytes() == before


def test_systems_have_flags_with_their_verb_before_them(cover: Run, song: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    cover(song, "--stems", parts, "--convert-gain", 3, "--convert-flip-sign")
    torch.testing.assert_close(
        read(parts / "converted.wav").samples, -3 * read(parts / "vocals.wav").samples, atol=1e-6, rtol=0
    )
    helped = cover("--help")
    assert "--convert-gain" in helped.out
    assert "--convert-transpose" not in helped.out
    assert "--vocal-db" in helped.out


def test_what_was_made_by_hand_is_used(cover: Run, song: Path, tmp_path: Path) -> None:
    cover(song, "--stems", tmp_path / "parts")
    done = cover(song, "--force", "--json", "--replace", f"converted={song}")
    assert "convert" not in [step["name"] for step in done.json["covers"][0]["steps"]]


def test_a_folder_is_walked_and_one_bad_song_does_not_stop_the_others(
    cover: Run, tmp_path: Path, sung: Callable[..., Path]
) -> None:
    (tmp_path / "album" / "deep").mkdir(parents=True)
    sung(tmp_path / "album" / "a.wav")
    sung(tmp_path / "album" / "deep" / "b.flac", hz=330.0)
    (tmp_path / "album" / "bad.mp3").write_bytes(b"la la la")
    done = cover(tmp_path / "album", "--format", "flac", "--stems", tmp_path / "parts")
    assert done.code == 2
    assert sorted(path.name for path in (tmp_path / "album-ann").rglob("*.*")) == ["a-ann.flac", "b-ann.flac"]
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["a-ann", "b-ann"]
    assert "bad.mp3" in done.err
    assert "1 of 3 recordings" in done.err


@pytest.mark.parametrize(
    "wrong",
    [
        ("--vocal-db", "90"),
        ("--key", "lose"),
        ("--transpose", "up"),
        ("--convert-gain", "5"),
        ("--convert-transpose", "3"),
        ("--replace", "lead"),
        ("--replace", "drums=a.wav"),
        ("--replace", "lead=nowhere.wav"),
        ("--separator", "no_such_system"),
        ("--converter", "no_such_system"),
        ("--device", "abacus"),
        ("--out", "a.flac", "--format", "wav"),
        ("--out", "-"),
        ("--no-such-flag",),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run: Run, cover: Run, song: Path, wrong: tuple[str, ...]) -> None:
    done = run("cover", song, "--voice", "ann", *SYSTEMS, *wrong)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("mynah: ")
    assert list(song.parent.glob("*ann*")) == []


def test_a_song_and_a_voice_are_needed(run: Run, cover: Run, song: Path) -> None:
    for arguments in ((song,), ("--voice", "ann")):
        done = run("cover", *arguments, *SYSTEMS)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert cover(song, voice="nobody").code == 2


def test_finished_steps_can_be_dropped(cover: Run, run: Run, song: Path, sung: Callable[..., Path]) -> None:
    other = sung(song.with_name("other.wav"), hz=330.0)
    cover(song, other)
    assert run("cover", other, "--forget", "--json", *SYSTEMS).json["freed_bytes"] > 0
    assert "kept from before: separate" in cover(song, "--force").err
    assert run("cover", "--forget", "--json", *SYSTEMS).json["freed_bytes"] > 0
    assert "kept from before" not in cover(song, "--force").err
