"""What a server refuses, and what it never tells."""

from __future__ import annotations

import asyncio
import base64
import io
import wave
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from mynah.core.errors import BadOption
from mynah.core.registry import find, names
from mynah.core.verbs import options_of
from mynah.serve import patience
from mynah.serve.app import application
from mynah.serve.asking import House
from mynah.serve.guard import HEADERS
from mynah.serve.jobs import Jobs
from mynah.serve.settings import Settings
from mynah.serve.tickets import Tickets

TOKENS = ("the-first-token-of-all", "another-token-of-ours")
Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    """Makes a server of certain settings, without a network; gives what asks it."""
    jobs = Jobs(tmp_path / "jobs")
    tickets = Tickets("", jobs.place)

    def make(**named: Any) -> Ask:
        app = application(House(Settings(**named), jobs, tickets))

        def call(method: str, path: str, *, address: str = "127.0.0.1", **rest: Any) -> httpx.Response:
            async def once() -> httpx.Response:
                transport = httpx.ASGITransport(app=app, client=(address, 1), raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                    return await client.request(method, path, **rest)

            return asyncio.run(once())

        return call

    yield make
    tickets.close()
    jobs.close()


def test_others_need_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.2", "::", "example.org"):
        with pytest.raises(BadOption, match="MYNAH_TOKEN"):
            Settings(host=host).check()
        Settings(host=host, tokens=TOKENS).check()
    for host in ("127.0.0.1", "localhost", "::1"):
        Settings(host=host).check()
    with pytest.raises(BadOption, match="16 characters"):
        Settings(host="0.0.0.0", tokens=("short",)).check()


def test_only_a_token_opens(ask: Callable[..., Ask]) -> None:
    call = ask(host="0.0.0.0", tokens=TOKENS)
    assert call("GET", "/health").status_code == 200
    for wrong in ("", "Bearer", f"Basic {TOKENS[0]}", f"Bearer {TOKENS[0][:-1]}", f"Bearer {TOKENS[0]}x"):
        for path in ("/v1/voices", "/metrics", "/openapi.json", "/nothing"):
            answer = call("GET", path, headers={"Authorization": wrong})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    for token in TOKENS:
        assert call("GET", "/v1/voices", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        password = base64.b64encode(f"anybody:{token}".encode()).decode()  # as browsers send it
        assert call("GET", "/v1/voices", headers={"Authorization": f"Basic {password}"}).status_code == 200
    for nonsense in ("Basic", "Basic ????", f"Basic {TOKENS[0]}", "Basic " + base64.b64encode(b"a:b").decode()):
        refused = call("GET", "/v1/voices", headers={"Authorization": nonsense})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Basic realm="mynah"')


def test_jobs_of_others_do_not_exist(ask: Callable[..., Ask], song: Path) -> None:
    call = ask(tokens=TOKENS)
    mine, theirs = ({"Authorization": f"Bearer {token}"} for token in TOKENS)
    form = {"files": {"file": ("a.wav", song.read_bytes())}, "data": {"voice": "kerstin"}}
    job = call("POST", "/v1/audio/conversions", headers=mine, **form).json()
    assert call("GET", f"/v1/jobs/{job['id']}", headers=mine).status_code == 200
    for method, path in [("GET", ""), ("GET", "/result"), ("GET", "/source"), ("POST", "/cancel"), ("DELETE", "")]:
        assert call(method, f"/v1/jobs/{job['id']}{path}", headers=theirs).status_code == 404
    assert call("GET", "/v1/jobs", headers=theirs).json()["data"] == []


def test_pages_of_others_are_refused(ask: Callable[..., Ask]) -> None:
    call = ask()
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""):
        assert call("GET", "/v1/voices", headers={"Host": host}).status_code == 421
    for host in ("localhost:8765", "127.0.0.1", "[::1]:80"):
        assert call("GET", "/v1/voices", headers={"Host": host}).status_code == 200
    for strange in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert call("POST", "/v1/audio/conversions", headers=strange).status_code == 403
    own = call("GET", "/v1/voices", headers={"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 200
    assert not any(name.startswith("access-control-") for name in own.headers)


def test_every_answer_has_safe_headers(ask: Callable[..., Ask]) -> None:
    call = ask()
    for path, host in (("/v1/voices", "localhost"), ("/nothing", "localhost"), ("/v1/voices", "evil.example")):
        headers = call("GET", path, headers={"Host": host}).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS


def test_who_asks_too_often_waits(ask: Callable[..., Ask]) -> None:
    call = ask(rate=8)
    assert [call("GET", "/health").status_code for _ in range(3)] == [200, 200, 429]
    assert call("GET", "/health", address="127.0.0.2").status_code == 200
    assert call("GET", "/health").headers["retry-after"] == "1"
    neighbours = [call("GET", "/health", address=f"2001:db8::{number}").status_code for number in range(1, 4)]
    assert neighbours == [200, 200, 429]  # one network, as many addresses as one likes
    assert call("GET", "/health", address="2001:db8:0:1::1").status_code == 200


def test_a_full_queue_says_when_to_come_again(ask: Callable[..., Ask], song: Path) -> None:
    call = ask(queue_size=4)
    form = {"files": {"file": ("a.wav", song.read_bytes())}, "data": {"voice": "kerstin"}}
    answers = [call("POST", "/v1/audio/conversions", **form) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[-1].json()["error"]["code"] == "queue_full"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert call("POST", "/v1/audio/conversions", address="127.0.0.2", **form).status_code == 202


def recording(seconds: float, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(rate)
        out.writeframes(b"\x80" * round(seconds * rate))
    return file.getvalue()


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (recording(61), 400, "bad_audio"),  # longer than a minute
        (b"", 400, "bad_audio"),
        (b"<html>" * 1000, 400, "bad_audio"),
        (b"#EXTM3U\nhttp://127.0.0.1:1/secret.wav\n", 400, "bad_audio"),  # nothing is fetched
    ],
)
def test_what_is_no_fit_recording_is_refused(server: Any, file: bytes, status: int, code: str) -> None:
    before = server.folders()
    answer = server.client.post("/v1/audio/conversions", files={"file": ("song.wav", file)}, data={"voice": "kerstin"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert str(server.home) not in answer.text
    assert server.folders() == before


def test_what_grows_beyond_its_size_is_answered(ask: Callable[..., Ask]) -> None:
    async def growing() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(4):
            yield b"\0" * 10_000

    call = ask(upload_mb=0.02)
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = call("POST", "/v1/audio/conversions", content=growing(), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    long = call("POST", "/v1/audio/speech", content=b'"' * 2_000_000, headers={"Content-Type": "application/json"})
    assert long.status_code == 413


def test_sizes_are_counted_and_not_believed(server: Any) -> None:
    def endless() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(300):
            yield b"\0" * 10_000

    before = server.folders()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with suppress(httpx.TransportError):  # it may hang up while we are still sending
        assert server.client.post("/v1/audio/conversions", content=endless(), headers=headers).status_code == 413
    server.wait(lambda: server.folders() == before)


def test_no_name_becomes_a_path(server: Any, song: Path) -> None:
    form = {"files": {"file": ("../../../../evil\r\n<b>.wav", song.read_bytes())}}
    for voice in ("../../jobs", str(song), "kerstin:1,/etc/passwd:1", "~/voice", "."):
        answer = server.client.post("/v1/audio/conversions", data={"voice": voice}, **form)
        assert answer.status_code in (400, 404), voice
    answer = server.client.post("/v1/audio/conversions", data={"voice": "kerstin", "model": "loud"}, **form)
    assert set("/\\\r\n") & set(answer.json()["label"]) == set()
    assert not list(server.home.parent.glob("evil*"))
    separation = server.client.post("/v1/audio/separations", data={"model": "centre", "stems": "../vocals"}, **form)
    assert separation.status_code == 400


def test_a_token_is_never_logged(own_server: Callable[..., Any], song: Path) -> None:
    running = own_server(MYNAH_TOKEN=TOKENS[0])
    assert running.client.get("/v1/voices").status_code == 401
    running.client.headers["Authorization"] = f"Bearer {TOKENS[0]}"
    job = running.ask("conversions", song, voice="kerstin", model="loud", accident="bug")
    running.until(job["id"], "failed")
    running.stop()
    told = running.log.read_text()
    assert "secret-of-the-house" in told  # the log has what the client is not told
    assert TOKENS[0] not in told


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: a"])
@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_who_asks_for_nothing_is_hung_up_on(said: bytes, before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand such connections would keep everybody else out."""
    monkeypatch.setattr(patience, "SECONDS", 0.2)
    asked: list[str] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await asyncio.sleep(0.4)  # an answer may take its time
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def call() -> bytes:
        config = uvicorn.Config(slow, log_config=None, ws="none", timeout_keep_alive=60)
        config.load()
        server = await asyncio.get_running_loop().create_server(
            lambda: patience.Impatient(config, ServerState(), {}), "127.0.0.1", 0
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            heard = b""
            if before:
                writer.write(before)
                heard = await reader.readuntil(b"ok")
            writer.write(said)
            if said or not before:
                heard += await asyncio.wait_for(reader.read(), 5)
            writer.close()
            await writer.wait_closed()
        return heard

    heard = asyncio.run(call())
    assert heard.count(b"200 OK") == len(asked) == bool(before)


@pytest.mark.parametrize(
    "place", ["/etc/passwd", "griffin_lim=/etc/passwd", "secret", "~", "hub:a/b", "../griffin_lim"]
)
def test_no_option_names_a_file_of_the_server(server: Any, place: str) -> None:
    said = {"input": "la", "voice": "kerstin", "model": "beep", "options": {"vocoder": place}}
    answer = server.client.post("/v1/audio/speech", json=said)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "vocoder")
    for name in ("none", "griffin_lim"):
        said["options"] = {"vocoder": name}
        assert server.client.post("/v1/audio/speech", json=said).status_code == 200


def test_texts_that_can_name_a_file_say_so() -> None:
    """A new option that takes any text has to be thought of: is it a place?"""
    harmless = {"scale", "speaker", "language", "prompt", "hotwords"}
    for name in names():
        system = find(name)
        for verb in system.card.verbs:
            for option, field in options_of(system, verb).model_fields.items():
                if field.annotation is str and option not in harmless:
                    assert isinstance(field.json_schema_extra, dict), (name, option)
                    assert field.json_schema_extra.get("place"), (name, option)
