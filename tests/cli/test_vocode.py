"""`mynah vocode`, and the same from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import mynah
from mynah.cli.main import main
from mynah.nets.nsf import Decoder
from mynah.vocode.hifi_gan import HifiGan, published
from mynah.vocode.hifi_gan.sizes import Config
from tests.test_house import note


@pytest.fixture
def song(tmp_path: Path) -> Path:
    mynah.write(note(200, 0.4, 16_000), tmp_path / "song.wav")
    return tmp_path / "song.wav"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    config: Config = HifiGan.tiny().config
    torch.manual_seed(1)
    net: Decoder = published.net_of(config)
    return published.write(config, net, tmp_path / "weights" / "mine.safetensors")


def test_a_recording_goes_there_and_back(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vocode", str(song), "--rounds", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["system"] == "vocode/griffin_lim"
    written = mynah.read(told["vocoded"][0]["out"])
    assert (Path(told["vocoded"][0]["out"]).name, written.rate) == ("song-vocode.wav", 22_050)
    assert written.seconds == pytest.approx(0.4, abs=1e-4)
    assert torch.allclose(mynah.vocode(song, rounds=4).samples, written.samples, atol=1e-4)
    assert main(["vocode", str(song)]) == 2  # it is there


def test_weights_say_whose_they_are(song: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = song.with_name("heard.flac")
    for place in (weights, weights.parent):
        assert main(["vocode", str(song), "--weights", str(place), "--out", str(out), "--force", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["system"] == "vocode/hifi_gan"
        assert torch.allclose(mynah.vocode(song, weights=place).samples, mynah.read(out).samples, atol=1e-3)
    assert main(["vocode", str(song), "--weights", str(song)]) == 2
    assert "nothing that a vocoder here knows" in capsys.readouterr().err
    assert main(["vocode", str(song), "--weights", "nowhere"]) == 2
    assert "neither a file, a folder, nor one of vocode/griffin_lim" in capsys.readouterr().err
    assert main(["vocode", str(song), "--weights", str(weights), "--rounds", "3"]) == 2
