import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.audio.files import write
from mynah.catalog.checkpoint import to_safetensors
from mynah.core.errors import BadOption, BadVoice
from mynah.core.types import Terms, Voice
from mynah.voices import library, store
from mynah.voices.ears import Ears


@pytest.fixture
def parcel(ears: Ears, sounds: Any, tmp_path: Path, shelf: Path) -> Path:
    """An exported voice; the library is empty again."""
    library.enrol([sounds.sung()], "me", terms=Terms("CC0-1.0", "Me"))
    library.attach("me", to_safetensors({"scale": torch.ones(3)}, tmp_path / "tuned.safetensors"))
    file = library.export("me", tmp_path / "given")
    library.remove("me")
    return file


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repacked(parts: dict[str, bytes], file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def test_what_is_exported_comes_back(parcel: Path, ears: Ears, sounds: Any) -> None:
    assert parcel.name == "given.mynah"
    voice = library.import_(parcel)
    fresh = library.enrol([sounds.sung()], "fresh")
    assert voice.name == "me" and voice.range_hz == fresh.range_hz and voice.terms == Terms("CC0-1.0", "Me")
    assert voice.embedding is not None and fresh.embedding is not None and torch.equal(voice.embedding, fresh.embedding)
    assert len(voice.clips) == 1 and voice.weights is not None and voice.weights.parent == library.path("me")
    assert library.find("me").encoder == "fake-1" and library.describe("me").kind == "trained"


def test_export_is_the_same_every_time(parcel: Path, tmp_path: Path) -> None:
    library.import_(parcel)
    assert library.export("me", tmp_path / "again.mynah").read_bytes() == parcel.read_bytes()
    (tmp_path / "folder").mkdir()
    assert library.export("me", tmp_path / "folder") == tmp_path / "folder" / "me.mynah"


def test_names_are_kept_apart(parcel: Path) -> None:
    library.import_(parcel)
    with pytest.raises(BadVoice, match="already a voice 'me'"):
        library.import_(parcel)
    assert library.import_(parcel, name="you").name == "you" and library.find("you").name == "you"
    assert library.import_(parcel, replace=True).name == "me"
    with pytest.raises(BadOption):
        library.import_(parcel, name="../you")
    assert [voice.name for voice in library.names()] == ["me", "you"]


def test_shipped_voices_can_be_given_away(ears: Ears, tmp_path: Path) -> None:
    voice = Voice("anna", (100.0, 300.0), embedding=torch.ones(1), encoder="fake-1", terms=Terms("CC0-1.0", "Anna"))
    store.write_shipped(voice, store.sheet_for(voice, "shipped", 60.0), tmp_path / "shipped" / "anna.safetensors")
    file = library.export("anna", tmp_path / "anna")
    assert library.import_(file, name="anna 2").terms == voice.terms


def test_a_parcel_is_no_recording(parcel: Path) -> None:
    with pytest.raises(BadVoice, match="import it first"):
        library.find(str(parcel))


def _without(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda parts: {key: content for key, content in parts.items() if key != name}


def _with(name: str, content: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda parts: parts | {name: content}


def _said(**fields: Any) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda parts: parts | {"voice.json": json.dumps(json.loads(parts["voice.json"]) | fields).encode()}


@pytest.mark.parametrize(
    "change",
    [
        _without("voice.json"), _without("voice.safetensors"), _with("../../escaped", b"x"), _with("/escaped", b"x"),
        _with("clips/../../escaped", b"x"), _with("clips\\..\\escaped", b"x"), _with("run.py", b"x"),
        _with("clips/a.flac", b"x"), _with("clips/0001.flac", b"not a recording"), _with("clips/0001.flac", b""),
        _with("clips/deep/0001.flac", b"x"),
        _with("voice.safetensors", b"x"), _with("weights.safetensors", b"x"), _with("voice.json", b"{"),
        _with("voice.json", b"[" * 100_000), _with("weights.pth", b"x"), _said(name="../me"), _said(name="con"),
        _said(format=2),
        _said(range_hz=[300, 100]), _said(range_hz=[0, 100]), _said(range_hz=[float("nan"), 100]), _said(range_hz="x"),
        _said(seconds=-1), _said(license="x" * 30_000), _said(surprise=1), _said(kind="trained"), _said(name=3),
    ],
)  # fmt: skip
def test_parcels_with_anything_wrong_are_refused(
    change: Callable[[dict[str, bytes]], dict[str, bytes]], parcel: Path, tmp_path: Path, shelf: Path
) -> None:
    bad = repacked(change(members(parcel)), tmp_path / "bad.mynah")
    outside = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadVoice) as error:
        library.import_(bad)
    assert str(error.value).startswith(f"{bad}: cannot be imported") and "\n" not in str(error.value)
    assert str(shelf) not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == outside and not library.names()


def test_corrupt_zips_are_refused(parcel: Path, tmp_path: Path) -> None:
    whole = parcel.read_bytes()
    bad = tmp_path / "bad.mynah"
    for content in (b"", b"PK", b"hello", whole[:-30], whole[: len(whole) // 2], b"\0" * len(whole)):
        bad.write_bytes(content)
        with pytest.raises(BadVoice, match="cannot be imported"):
            library.import_(bad)
    hurt = bytearray(whole)
    at = whole.index(b"fLaC") + 2000
    hurt[at : at + 100] = bytes(100)
    bad.write_bytes(hurt)
    with pytest.raises(BadVoice, match="cannot be imported"):
        library.import_(bad)
    with pytest.raises(BadVoice, match="cannot be imported"):
        library.import_(tmp_path / "absent.mynah")
    assert not library.names()


def test_bombs_and_links_are_refused(parcel: Path, tmp_path: Path) -> None:
    parts = members(parcel)
    bomb = tmp_path / "bomb.mynah"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        archive.writestr("clips/0001.flac", bytes(50 << 20))
    with pytest.raises(BadVoice, match="more data"):
        library.import_(bomb)
    link = zipfile.ZipInfo("clips/0001.flac")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(repacked(parts, tmp_path / "link.mynah"), "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadVoice, match="link"):
        library.import_(tmp_path / "link.mynah")


def test_endless_and_stereo_clips_are_refused(
    parcel: Path, sounds: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = sounds.sung()
    wide = type(note)(note.samples.expand(2, -1).clone(), note.rate)
    stereo = write(wide, tmp_path / "stereo.flac").read_bytes()
    with pytest.raises(BadVoice, match="one channel"):
        library.import_(repacked(members(parcel) | {"clips/0001.flac": stereo}, tmp_path / "bad.mynah"))
    monkeypatch.setattr("mynah.voices.parcel.MOST_SECONDS", 1.0)
    with pytest.raises(BadVoice, match="longer than any"):
        library.import_(parcel)
