import hashlib
import http.server
import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mynah.catalog import download, weights
from mynah.catalog.home import cache, home
from mynah.core.errors import BadCheckpoint, BadOption, NoSpace, Offline
from mynah.core.system import Weights

CONTENT = bytes(range(256)) * 4000


def published(source: str, content: bytes = CONTENT) -> Weights:
    return Weights(source, hashlib.sha256(content).hexdigest(), len(content), "MIT")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Server(http.server.ThreadingHTTPServer):
    content = CONTENT
    cut = 0  # after so many bytes the line breaks; 0 for never
    knows_ranges = True

    def __init__(self) -> None:
        self.ranges: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked[6:-1]) if asked and self.server.knows_ranges else 0
        if "absent" in self.path:
            self.send_error(404)
            return
        if "elsewhere" in self.path:
            self.send_response(302)
            self.send_header("Location", "http://example.invalid/model.bin")
            self.end_headers()
            return
        rest = self.server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(self.server.content) - 1}/{len(self.server.content)}"
            )
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.cut] if self.server.cut else rest)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """What answers every https address, without the encryption."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def plain(request: urllib.request.Request) -> Any:
            path = re.sub(r"https://[^/]+", "", request.full_url)
            local = urllib.request.Request(
                f"http://127.0.0.1:{server.server_port}{path}", headers=dict(request.headers)
            )
            return urllib.request.build_opener(download._SecureRedirects).open(local, timeout=5)

        monkeypatch.setattr(download, "_open", plain)
        yield server
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_once(server: Server) -> None:
    wanted = published("https://example.org/model.bin")
    told: list[float] = []
    path = weights.fetch(wanted, told.append)
    assert path.read_bytes() == CONTENT and path == weights.place_of(wanted)
    assert told == sorted(told) and told[-1] == 1.0
    assert weights.fetch(wanted) == path and len(server.ranges) == 1
    assert sorted(file.name for file in path.parent.iterdir()) == [".lock", "model.bin"]


def test_a_broken_line_is_taken_up_where_it_broke(server: Server) -> None:
    wanted = published("https://example.org/model.bin")
    server.cut = 300_000
    with pytest.raises(Offline, match=r"model\.bin"):
        weights.fetch(wanted)
    assert not weights.place_of(wanted).exists()
    server.cut = 0
    assert weights.fetch(wanted).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_a_server_that_cannot_resume_begins_anew(server: Server) -> None:
    wanted = published("https://example.org/model.bin")
    server.cut, server.knows_ranges = 300_000, False
    with pytest.raises(Offline):
        weights.fetch(wanted)
    server.cut = 0
    assert weights.fetch(wanted).read_bytes() == CONTENT


def test_a_wrong_checksum_is_not_kept(server: Server) -> None:
    wanted = published("https://example.org/model.bin")
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(BadCheckpoint, match="sha256"):
        weights.fetch(wanted)
    assert [file.name for file in weights.place_of(wanted).parent.iterdir()] == [".lock"]


def test_where_only_first_digits_were_published_those_are_checked(server: Server) -> None:
    whole = published("https://example.com/model.bin")
    known = Weights(whole.source, whole.sha256[:8], whole.bytes, whole.license)
    assert weights.fetch(known).read_bytes() == CONTENT
    other = Weights(whole.source, "0" * 8, whole.bytes, whole.license)
    with pytest.raises(BadCheckpoint, match="sha256"):
        weights.fetch(other)


def test_more_than_was_published_is_not_kept(server: Server) -> None:
    wanted = published("https://example.org/model.bin")
    server.content = CONTENT * 3
    with pytest.raises(BadCheckpoint, match="larger"):
        weights.fetch(wanted)
    assert [file.name for file in weights.place_of(wanted).parent.iterdir()] == [".lock"]


def test_where_only_a_rounded_size_was_published_the_server_says_when_all_is_there(server: Server) -> None:
    exact = published("https://example.org/model.bin")
    rounded = Weights(exact.source, exact.sha256, exact.bytes + 70_000, exact.license)
    server.cut = 300_000
    with pytest.raises(Offline, match=f"300000 of {exact.bytes}"):
        weights.fetch(rounded)
    server.cut = 0
    assert weights.fetch(rounded).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_a_damaged_copy_is_fetched_again(server: Server) -> None:
    wanted = published("https://example.org/model.bin")
    weights.fetch(wanted).write_bytes(b"damaged")
    assert weights.fetch(wanted).read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["https://example.org/absent.bin", "https://example.org/elsewhere.bin"])
def test_refusals_and_insecure_redirections_say_what_to_do(address: str, server: Server) -> None:
    wanted = published(address)
    with pytest.raises(Offline) as error:
        weights.fetch(wanted)
    for part in (address, str(weights.place_of(wanted)), "1.0 MB"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_offline_says_where_to_get_it_and_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def unplugged(request: urllib.request.Request) -> Any:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(download, "_open", unplugged)
    wanted = published("https://example.org/model.bin")
    with pytest.raises(Offline, match="no network"):
        weights.fetch(wanted)
    place = weights.place_of(wanted)
    place.write_bytes(CONTENT)
    assert weights.fetch(wanted) == place
    place.write_bytes(b"something else")
    with pytest.raises(Offline, match="another checksum and was removed"):
        weights.fetch(wanted)
    assert not place.exists()


def test_two_at_once_fetch_once(server: Server) -> None:
    wanted = published("https://example.org/model.bin")
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(weights.fetch(wanted))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [weights.place_of(wanted)] * 4 and len(server.ranges) == 1


def test_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def give(repo: str, file: str, *, revision: str | None, local_dir: Path, tqdm_class: Any) -> str:
        asked.append((repo, file, revision))
        (local_dir / file).parent.mkdir(parents=True)
        (local_dir / file).write_bytes(CONTENT)
        bar = tqdm_class(total=100, desc=file)
        bar.update(100)
        bar.close()
        return str(local_dir / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", give)
    wanted = published("hub:owner/name/folder/model.bin@abc123")
    told: list[float] = []
    path = weights.fetch(wanted, told.append)
    assert path.read_bytes() == CONTENT and asked == [("owner/name", "folder/model.bin", "abc123")] and told == [1.0]
    assert sorted(file.name for file in path.parent.iterdir()) == [".lock", "model.bin"]


def test_an_unreachable_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def fail(*_: Any, **__: Any) -> str:
        raise LocalEntryNotFoundError("cannot reach the hub\nand more lines")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    wanted = published("hub:owner/name/model.bin")
    with pytest.raises(Offline) as error:
        weights.fetch(wanted)
    assert "https://huggingface.co/owner/name/resolve/main/model.bin" in str(error.value)
    assert str(weights.place_of(wanted)) in str(error.value) and "\n" not in str(error.value)


def test_shipped_weights_are_checked_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_SHIPPED", tmp_path)
    (tmp_path / "net.safetensors").write_bytes(CONTENT)
    assert weights.fetch(published("shipped:net.safetensors")) == tmp_path / "net.safetensors"
    (tmp_path / "net.safetensors").write_bytes(b"damaged")
    with pytest.raises(BadCheckpoint, match="damaged"):
        weights.fetch(published("shipped:net.safetensors"))
    assert (tmp_path / "net.safetensors").exists()
    for name in ("absent.safetensors", "../net.safetensors", ""):
        with pytest.raises(BadCheckpoint, match="install mynah again"):
            weights.shipped(name)


@pytest.mark.parametrize(
    "source",
    ["http://example.org/model.bin", "file:///etc/passwd", "model.bin", "hub:owner", "hub:a/../b", "https://x/"],
)
def test_other_sources_are_refused(source: str) -> None:
    with pytest.raises(BadOption):
        weights.fetch(published(source))


def test_a_full_disk_is_said_before_fetching(server: Server) -> None:
    wanted = Weights("https://example.org/huge.bin", "0" * 64, 1 << 60, "MIT")
    with pytest.raises(NoSpace, match="needs"):
        weights.fetch(wanted)
    assert not server.ranges


def test_weights_by_name_or_path(server: Server, tmp_path: Path) -> None:
    known = {"default": published("https://example.org/model.bin")}
    assert weights.locate("default", known).read_bytes() == CONTENT
    (tmp_path / "mine.pth").write_bytes(b"mine")
    assert weights.locate(str(tmp_path / "mine.pth"), known) == tmp_path / "mine.pth"
    with pytest.raises(BadOption, match="default"):
        weights.locate("absent", known)


def test_home_can_be_moved(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home() == own_home and cache().is_relative_to(own_home)
    monkeypatch.delenv("MYNAH_HOME")
    assert home().is_absolute() and not home().is_relative_to(own_home) and home() != cache()
