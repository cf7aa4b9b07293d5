"""Requests that make no sense: each is answered, by a typed error, and never by a traceback."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

HONEST = {"verb_not_available", "worker_lost", "no_space"}  # what a server may say of itself with 5xx


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_comes_is_answered(server: Any, mode: GenerationMode) -> None:
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried = 0
    for found in document.get_all_operations():
        operation = found.ok()

        @settings(max_examples=4, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def answered(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = case.call(timeout=30)
            assert "Traceback" not in answer.text
            if answer.status_code >= 400:
                error = answer.json()["error"]
                assert set(error) == {"message", "type", "param", "code"}
                assert error["message"]
                assert answer.status_code < 500 or error["code"] in HONEST, answer.text

        try:
            answered()
        except Unsatisfiable:  # such as a path without parameters, which cannot be wrong
            assert mode == GenerationMode.NEGATIVE
    assert tried >= 40


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\1\2\3",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/voices HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/voices HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_even_a_request(server: Any, sent: bytes) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        answer = connection.recv(10_000)
    assert answer == b"" or b" 4" in answer.split(b"\r\n")[0]
    assert server.client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b--\r\n",
        b"--b\r\n\r\nno name\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\ncut off',
        b'--b\r\nContent-Disposition: form-data; name="voice"\r\n\r\n\xff\xfe\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n\r\n--b--\r\n',
        b"".join(b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' for _ in range(500)) + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"a" * 100_000 + b"\r\n--b--\r\n",
    ],
)
def test_broken_forms(server: Any, body: bytes) -> None:
    before = server.folders()
    answer = server.client.post(
        "/v1/audio/conversions", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code in (400, 413), answer.text
    assert answer.json()["error"]["code"]
    assert server.folders() == before
