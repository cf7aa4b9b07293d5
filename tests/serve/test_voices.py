"""Voices over HTTP: made, listed, exported and taken in again, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mynah.audio.files import write
from mynah.core.types import Audio
from mynah.voices import library


@pytest.fixture
def reading(tmp_path: Path) -> Path:
    t = torch.arange(6 * 16_000) / 16_000
    wave = sum((torch.sin(2 * torch.pi * 150 * k * t) / k for k in range(2, 11)), torch.sin(2 * torch.pi * 150 * t))
    return write(Audio(0.2 * wave[None], 16_000), tmp_path / "reading.wav")


def test_a_voice_from_a_recording_to_a_file_and_back(
    server: Any, reading: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = server.client.post(
        "/v1/voices", files=[("file", ("a", reading.read_bytes()))] * 2, data={"name": "Me 2", "license": "CC0-1.0"}
    )
    assert answer.status_code == 201, answer.text
    assert (answer.json()["id"], answer.json()["license"]) == ("Me 2", "CC0-1.0")
    assert answer.json()["range_hz"][0] == pytest.approx(150, rel=0.05)
    assert "Me 2" in [voice["id"] for voice in server.client.get("/v1/voices").json()["data"]]
    again = server.client.post("/v1/voices", files={"file": ("a", reading.read_bytes())}, data={"name": "me 2"})
    assert again.status_code == 400
    assert "already a voice" in again.json()["error"]["message"]
    monkeypatch.setenv("MYNAH_HOME", str(server.home))
    parcel = library.export("Me 2", tmp_path / "me")
    assert server.client.delete("/v1/voices/Me 2").json() == {"id": "Me 2", "object": "voice", "deleted": True}
    assert server.client.get("/v1/voices/Me 2").status_code == 404
    taken = server.client.post("/v1/voices/imports", files={"file": ("a", parcel.read_bytes())}, data={"name": "Again"})
    assert taken.status_code == 201, taken.text
    assert server.client.delete("/v1/voices/Again").status_code == 200
    assert server.client.delete("/v1/voices/kerstin").status_code == 400  # it came with the package


def test_a_hostile_voice_is_not_run(server: Any, tmp_path: Path) -> None:
    flag = tmp_path / "was run"
    bad = b"cos\nsystem\n(S'touch " + str(flag).encode() + b"'\ntR."
    answer = server.client.post("/v1/voices/imports", files={"file": ("voice.pth", bad)}, data={"name": "Eve"})
    assert answer.status_code == 400, answer.text
    assert str(server.home) not in answer.text
    assert not flag.exists()
