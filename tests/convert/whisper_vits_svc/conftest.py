"""The original's three ears as small random files, and a small model that hears with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.features.hubert import Hubert, HubertConfig
from mynah.features.mozilla_speaker import MozillaSpeaker
from mynah.features.whisper import WhisperConfig, WhisperEncoder

NET = NetConfig(
    words=384, sounds=256, voice=256, bins=9, latent=4, hidden=8, condition=4, filters=8, layers=1, posterior_layers=1,
    flow_layers=1, couplings=1, decoder=DecoderConfig(channels=32, kernels=(3,), dilations=(1,)),
)  # fmt: skip


def whisper_state(size: int = 384, layers: int = 4, seed: int = 0) -> dict[str, Tensor]:
    """As OpenAI names it, with something of a decoder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = WhisperEncoder(WhisperConfig(size=size, layers=layers, context=750))
        net.positional_embedding.normal_(std=0.1)
    return {f"encoder.{name}": value for name, value in net.state_dict().items()} | {"decoder.ln.bias": torch.zeros(3)}


def hubert_state(units: int = 256) -> dict[str, Tensor]:
    """As bshall/hubert names it."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        sizes = HubertConfig(
            channels=8, size=64, layers=2, heads=1, hidden=16, kernel=16, groups=4, units=units, labels=3
        )
        return dict(Hubert(sizes).state_dict())


def speaker_state(size: int = 256) -> dict[str, Tensor]:
    """As Mozilla's TTS names it."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return dict(MozillaSpeaker(hidden=8, size=size, layers=1).state_dict())


def bring(path: Path, held: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(held, path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, to which nothing can be fetched."""
    place = tmp_path / "home"
    monkeypatch.setenv("MYNAH_HOME", str(place))
    monkeypatch.setattr("mynah.voices.store._SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr("mynah.catalog.download.from_web", _offline)
    return place


def _offline(*_: object, **__: object) -> None:
    from mynah.catalog.download import Unreachable

    raise Unreachable("no network")


@pytest.fixture
def ears(home: Path) -> Path:
    """All three files where somebody has brought them; the smallest published Whisper, by its size."""
    dims = {"n_audio_state": 384}
    bring(home / "ears" / "whisper-tiny.pt", {"dims": dims, "model_state_dict": whisper_state(layers=1)})
    bring(home / "ears" / "hubert-soft.pt", {f"module.{name}": value for name, value in hubert_state().items()})
    bring(home / "cache" / "weights" / "mozilla-tts" / "best_model.pth.tar", {"model": speaker_state(), "step": 3})
    return home / "ears"


def singer_state(seed: int = 0, net: NetConfig = NET) -> dict[str, Tensor]:
    """Of a model as the original exports it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return dict(Singer(net).state_dict())
