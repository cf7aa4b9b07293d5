"""Where files of a voice come from: archives, folders, addresses, the hub."""

import io
import json
import socket
import urllib.request
import urllib.response
import zipfile
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mynah.catalog import download, public
from mynah.catalog.sources import gathered, outlined
from mynah.core.errors import BadCheckpoint, BadOption, Offline

HELD = {"weight": {"a": torch.ones(2, 3)}, "info": "x"}


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def checkpoint() -> bytes:
    buffer = io.BytesIO()
    torch.save(HELD, buffer)
    return buffer.getvalue()


def names(source: Path | str, desk: Path) -> list[str]:
    desk.mkdir(exist_ok=True)
    return sorted(path.name for path in gathered(str(source), desk))


def test_an_outline_has_shapes_and_no_data(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(checkpoint())
    (tmp_path / "config.json").write_text('{"sampling_rate": 44100}')
    (tmp_path / "a.index").write_bytes(b"anything")
    held = outlined(gathered(str(tmp_path), tmp_path / "desk"))
    tree = held[tmp_path / "a.pth"]
    assert tree["weight"]["a"].shape == (2, 3)
    assert tree["weight"]["a"].device.type == "meta"
    assert tree["info"] == "x"
    assert held[tmp_path / "config.json"] == {"sampling_rate": 44100}
    assert held[tmp_path / "a.index"] is None


def test_an_archive_gives_what_is_known_and_leaves_what_a_mac_adds(tmp_path: Path) -> None:
    archive = zipped(
        tmp_path / "a.zip", {"voice/a.pth": checkpoint(), "read.txt": b"hello", "__MACOSX/._a.pth": b"rubbish"}
    )
    before = archive.read_bytes()
    assert names(archive, tmp_path / "desk") == ["a.pth"]
    assert archive.read_bytes() == before


def test_a_checkpoint_is_no_archive_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("a.pth", "a.zip"):
        (tmp_path / name).write_bytes(checkpoint())
        assert names(tmp_path / name, tmp_path / "desk") == [name]


def test_what_only_one_person_could_have_typed_is_an_option(tmp_path: Path) -> None:
    for source in ("no-such-file.zip", "http://example.org/a.zip", "https://me@example.org/a.zip", "a/../b"):
        with pytest.raises(BadOption):
            gathered(source, tmp_path)


@pytest.mark.parametrize(
    "number", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fe80::1"]
)  # fmt: skip
def test_no_name_leads_into_the_house(number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", ("1.1.1.1", port)), (0, 0, 0, "", (number, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("connected"))
    with pytest.raises(Offline, match=f"is {number}, which is not on the public internet"):
        gathered("https://friendly.example/a.zip", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("place", "why"), [("https://127.0.0.1/a.zip", "not on the public internet"), ("http://example.org/", "not https")]
)
def test_a_redirection_is_checked_as_well(
    place: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = public.PublicHandler.https_open

    def first(self: public.PublicHandler, request: urllib.request.Request) -> Any:
        if request.host != "friendly.example":
            return real(self, request)
        headers = Message()
        headers["Location"] = place
        answer = urllib.response.addinfourl(io.BytesIO(), headers, request.full_url, 302)
        answer.msg = "Found"  # type: ignore[attr-defined]
        return answer

    monkeypatch.setattr(public.PublicHandler, "https_open", first)
    with pytest.raises(Offline, match=why):
        gathered("https://friendly.example/a.zip", tmp_path)


def test_a_download_is_bounded_told_about_and_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = zipped(tmp_path / "served.zip", {"a.pth": checkpoint()}).read_bytes()
    asked: list[str] = []

    class Answer(io.BytesIO):
        status = 200

        def __init__(self) -> None:
            super().__init__(content)
            self.headers = Message()
            self.headers["Content-Length"] = str(len(content))

    def opened(request: urllib.request.Request) -> Answer:
        asked.append(request.full_url)
        return Answer()

    monkeypatch.setattr(download, "_open_public", opened)
    desk = tmp_path / "desk"
    desk.mkdir()
    told: list[float] = []
    [path] = gathered("https://huggingface.co/owner/name/blob/main/singer%201.zip", desk, told.append)
    assert asked == ["https://huggingface.co/owner/name/resolve/main/singer%201.zip"]
    assert (path.name, path.read_bytes(), told[-1]) == ("a.pth", checkpoint(), 1.0)
    monkeypatch.setattr("mynah.catalog.sources.MOST_BYTES", 100)
    with pytest.raises(BadCheckpoint, match="larger than"):
        gathered("https://friendly.example/b.zip", desk)
    assert not (desk / "b.zip").exists()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """A hub whose repositories all hold the given files."""

    def stocked(held: dict[str, bytes]) -> list[str]:
        asked: list[str] = []

        def info(self: Any, repository: str, **_: Any) -> Any:
            return SimpleNamespace(
                siblings=[SimpleNamespace(rfilename=name, size=len(content)) for name, content in held.items()]
            )

        def give(repository: str, file: str, *, revision: str | None, local_dir: Path, tqdm_class: Any) -> str:
            asked.append(f"{repository}/{file}@{revision}")
            place = Path(local_dir) / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(held[file])
            return str(place)

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", info)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", give)
        return asked

    return stocked


def test_a_repository_of_one_voice_is_taken_whole(hub: Callable[..., list[str]], tmp_path: Path) -> None:
    asked = hub({"a.pth": checkpoint(), "logs/a.index": b"x", "README.md": b"hello"})
    assert names("owner/name", tmp_path / "desk") == ["a.index", "a.pth"]
    assert asked == ["owner/name/a.pth@None", "owner/name/logs/a.index@None"]


def test_one_file_of_a_repository_can_be_named(hub: Callable[..., list[str]], tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {"deep/b.pth": checkpoint()}).read_bytes()
    asked = hub({"v/a.zip": archive, "c.zip": archive})
    assert names("owner/name/v/a.zip@v2", tmp_path / "desk") == ["b.pth"]
    assert asked == ["owner/name/v/a.zip@v2"]
    with pytest.raises(BadOption, match="several"):
        gathered("owner/name", tmp_path / "desk")
    with pytest.raises(BadOption, match="it has"):
        gathered("owner/name/d.zip", tmp_path / "desk")


def test_without_a_hub_it_is_said_how_to_do_it_by_hand(tmp_path: Path) -> None:
    with pytest.raises(Offline, match=r"https://huggingface\.co/owner/name by hand"):
        gathered("owner/name", tmp_path)


def test_calls_for_harm_are_told(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return eval, (f"open({str(tmp_path / 'mark')!r}, 'w')",)

    torch.save({"weight": {}, "more": [{"deep": (Bomb(),)}]}, tmp_path / "a.pth")
    with pytest.raises(BadCheckpoint, match=r"hostile.*builtins\.eval"):
        outlined([tmp_path / "a.pth"])
    assert not (tmp_path / "mark").exists()


def test_deep_texts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"a": 1}) + "x")
    with pytest.raises(BadCheckpoint, match="JSON"):
        outlined([tmp_path / "config.json"])
