"""`mynah separate`, with a separator that needs no weights: a half is voice, and three more are a band."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Self

import pytest
import torch
from pydantic import Field
from torch import Tensor

from mynah.audio.files import probe, read, write
from mynah.core import registry
from mynah.core.system import Card
from mynah.core.types import Audio, Stems
from mynah.core.verbs import Options
from mynah.nets.separator import Pieces, Separator

Run = Callable[..., Any]
NAME = "separate/cake"
SHARES = {"vocals": 0.5, "drums": 0.25, "bass": 0.125, "other": 0.125}


class CakeOptions(Options):
    """How sweet."""

    sugar: Annotated[float, Field(ge=0, le=4, description="More of everything.")] = 1.0


class Cake(Separator[None]):
    """Cuts."""

    card = Card(verbs=("separate",), paper="", origin="ours")
    stems = tuple(SHARES)
    rate = 8000

    @classmethod
    def tiny(cls) -> Self:
        return cls(None)

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        return cls(None)

    def separate(self, mix: Audio, options: CakeOptions | None = None) -> Stems:  # type: ignore[override]
        return super().separate(mix, options)

    def apart(self, mix: Pieces, options: CakeOptions | None = None) -> Iterator[Tensor]:  # type: ignore[override]
        sugar = (options or CakeOptions()).sugar
        for piece in mix():
            yield torch.stack([sugar * share * piece for share in SHARES.values()])


@pytest.fixture
def cake(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`mynah separate --system cake`, a plugin of the house for as long as a test lasts."""

    class Point:
        value = "cake:Cake"

        def load(self) -> type[Cake]:
            return Cake

    monkeypatch.setattr(registry, "_plugins", lambda: {NAME: Point()})
    return lambda *arguments: run("separate", *arguments, "--system", "cake")


def inside(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_stems_lie_in_a_folder_beside_the_song(cake: Run, song: Path) -> None:
    done = cake(song)
    assert (done.code, done.out) == (0, "")
    assert inside(song.with_name("song-stems")) == ["bass.wav", "drums.wav", "other.wav", "vocals.wav"]
    for name, share in SHARES.items():
        stem = read(song.with_name("song-stems") / f"{name}.wav")
        torch.testing.assert_close(stem.samples, share * read(song).samples, atol=1e-6, rtol=0)


def test_machines_get_json_and_nothing_else(cake: Run, song: Path) -> None:
    done = cake(song, "--stems", "vocals", "--json")
    [separated] = done.json["separated"]
    folder = song.with_name("song-stems")
    assert separated["stems"] == {"vocals": str(folder / "vocals.wav")}
    assert (separated["source"], separated["out"]) == (str(song), str(folder))
    assert separated["seconds"] == pytest.approx(0.5)
    assert separated["real_time_factor"] > 0
    assert (done.json["system"], done.json["failed"], done.err) == (NAME, [], "")


def test_two_are_the_voice_and_the_rest(cake: Run, song: Path) -> None:
    assert cake(song, "--two", "--bits", 32).code == 0
    folder = song.with_name("song-stems")
    assert inside(folder) == ["accompaniment.wav", "vocals.wav"]
    both = read(folder / "vocals.wav").samples + read(folder / "accompaniment.wav").samples
    torch.testing.assert_close(both, read(song).samples, atol=1e-7, rtol=0)
    assert cake(song, "--two", "--stems", "drums", "--force").code == 2


def test_stems_format_bits_and_options_are_what_was_asked_for(cake: Run, song: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    done = cake(song, "--out", out, "--stems", "drums, vocals", "--format", "flac", "--bits", 16, "--sugar", 0.5)
    assert done.code == 0, done.err
    assert inside(out) == ["drums.flac", "vocals.flac"]
    assert probe(out / "drums.flac").format == "flac"
    torch.testing.assert_close(read(out / "vocals.flac").samples, 0.25 * read(song).samples, atol=2e-5, rtol=0)


def test_a_folder_is_walked_and_its_tree_kept(cake: Run, tmp_path: Path, sung: Callable[..., Path]) -> None:
    for name in ("one.wav", "deep/two.flac"):
        (tmp_path / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        sung(tmp_path / "album" / name)
    assert cake(tmp_path / "album", "--stems", "vocals", "--format", "ogg").code == 0
    assert inside(tmp_path / "album-stems") == ["deep/two-stems/vocals.ogg", "one-stems/vocals.ogg"]
    assert cake(tmp_path / "album", "--stems", "bass", "--out", tmp_path / "parts").code == 0
    assert inside(tmp_path / "parts") == ["deep/two-stems/bass.wav", "one-stems/bass.wav"]


def test_one_bad_song_does_not_stop_the_others(cake: Run, song: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not a recording at all")
    done = cake(bad, tmp_path / "missing.wav", song, "--json")
    assert done.code == 2
    assert [failed["source"] for failed in done.json["failed"]] == [str(bad), str(tmp_path / "missing.wav")]
    assert [separated["source"] for separated in done.json["separated"]] == [str(song)]
    assert len(done.err.splitlines()) == 3
    assert not (tmp_path / "bad-stems").exists() and not (tmp_path / "missing-stems").exists()


def test_stems_that_exist_are_kept_unless_forced(cake: Run, song: Path) -> None:
    vocals = song.with_name("song-stems") / "vocals.wav"
    cake(song, "--stems", "vocals")
    before = vocals.read_bytes()
    refused = cake(song, "--sugar", 0.5)
    assert refused.code == 2 and "--force" in refused.err
    assert inside(vocals.parent) == ["vocals.wav"] and vocals.read_bytes() == before
    assert cake(song, "--sugar", 0.5, "--force").code == 0
    assert vocals.read_bytes() != before


def test_the_song_itself_is_never_overwritten(cake: Run, tmp_path: Path, sung: Callable[..., Path]) -> None:
    vocals = sung(tmp_path / "vocals.wav")
    before = vocals.read_bytes()
    refused = cake(vocals, "--out", tmp_path, "--force")
    assert refused.code == 2 and "the song itself" in refused.err
    assert inside(tmp_path) == ["vocals.wav"] and vocals.read_bytes() == before


def test_songs_of_one_name_are_refused_before_the_work(cake: Run, song: Path, sung: Callable[..., Path]) -> None:
    twin = sung(song.with_suffix(".flac"))
    refused = cake(song, twin)
    assert refused.code == 2 and "would both become" in refused.err
    assert inside(song.parent) == ["song.flac", "song.wav"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--stems", "guitar"),
        ("--stems", ""),
        ("--sugar", "5"),
        ("--bits", "12"),
        ("--bits", "32", "--format", "flac"),
        ("--bits", "16", "--format", "mp3"),
        ("--format", "midi"),
        ("--device", "abacus"),
        ("--out", "-"),
        ("--no-such-flag",),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(cake: Run, song: Path, wrong: tuple[str, ...]) -> None:
    done = cake(song, *wrong)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert done.err.startswith("mynah: ")
    assert inside(song.parent) == ["song.wav"] and list(song.parent.iterdir()) == [song]


def test_a_pipe_is_refused(cake: Run) -> None:
    done = cake("-")
    assert done.code == 2 and "pipe" in done.err


def test_an_unknown_system_is_named_with_those_there_are(run: Run, song: Path) -> None:
    done = run("separate", song, "--system", "no_such_system")
    assert done.code == 2 and "no system 'separate/no_such_system'" in done.err


def test_a_file_in_the_place_of_the_folder_is_a_mistake(cake: Run, song: Path) -> None:
    song.with_name("song-stems").touch()
    done = cake(song)
    assert (done.code, len(done.err.splitlines())) == (2, 1)


def test_ctrl_c_leaves_nothing(cake: Run, song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Cake, mix: Pieces, options: Any = None) -> Iterator[Tensor]:
        for number, piece in enumerate(mix()):
            if number:
                raise KeyboardInterrupt
            yield torch.stack([piece] * 4)

    write(Audio(0.1 * torch.ones(1, 20 * 8000), 8000), song)
    monkeypatch.setattr(Cake, "apart", interrupted)
    done = cake(song)
    assert (done.code, len(done.err.splitlines())) == (130, 1)
    assert list(song.parent.iterdir()) == [song]


def test_help_lists_the_flags_of_the_system(cake: Run) -> None:
    done = cake("--help")
    assert done.code == 0
    for word in ("--two", "--stems", "--sugar", "More of everything.", "who separates"):
        assert word in done.out
