"""The native Whisper encoder against openai/whisper's, run once on the same made-up weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.core.errors import BadAudio, BadCheckpoint, BadOption, Offline
from mynah.core.types import Audio
from mynah.features import whisper
from mynah.features.mel import mel_filters
from mynah.features.whisper import WhisperConfig, WhisperEncoder

SMALL = WhisperConfig(bands=80, size=64, layers=1, context=10)


def tone(samples: int, hz: float = 220.0) -> Audio:
    t = torch.arange(samples, dtype=torch.float64) / 16_000
    return Audio((0.3 * torch.sin(2 * torch.pi * hz * t)).float()[None], 16_000)


def made_up(config: WhisperConfig = SMALL) -> dict[str, Tensor]:
    """Weights that any machine makes alike: sines along every tensor."""
    state = sorted(WhisperEncoder(config).state_dict().items())
    return {name: sines(value.shape, phase) for phase, (name, value) in enumerate(state)}


def sines(shape: torch.Size, phase: int) -> Tensor:
    wave = torch.sin(torch.arange(shape.numel(), dtype=torch.float64) * 1.7 + phase)
    return (wave * 0.5 / shape[-1] ** 0.5).float().reshape(shape)


def theirs(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"encoder." + name: value for name, value in state.items()}


@pytest.fixture(scope="module")
def encoder() -> WhisperEncoder:
    return whisper.from_state(theirs(made_up()))


def test_it_hears_what_the_original_hears(encoder: WhisperEncoder) -> None:
    heard = encoder.encode(tone(3200))
    assert heard.shape == (10, 64)
    # Stored from whisper.model.AudioEncoder and whisper.audio.log_mel_spectrogram, 20250625.
    expected = torch.tensor([-0.0896480, 0.0288441, 0.0060878, -0.0026959])
    torch.testing.assert_close(heard[[0, 0, 4, 9], [0, 5, 33, 63]], expected, atol=2e-6, rtol=0)


def test_the_filter_bank_is_the_published_one() -> None:
    bank = mel_filters(16_000, 400, 80)
    # Stored from mel_filters.npz of openai/whisper.
    places, expected = ([0, 3, 20, 40, 79], [1, 4, 20, 52, 195]), [0.0248626, 0.0188901, 0.0138904, 0.0, 0.0022438]
    torch.testing.assert_close(bank[places], torch.tensor(expected), atol=1e-6, rtol=0)
    assert bank.sum().item() == pytest.approx(1.9990242, abs=1e-5)


def test_a_layout_of_hugging_face_loads_the_same(encoder: WhisperEncoder) -> None:
    turned = {ours: hub for hub, ours in whisper.HUGGING_FACE.items()}
    renamed = {}
    for name, value in made_up().items():
        for ours, hub in turned.items():
            name = name.replace("blocks.", "layers.").replace(ours, hub)
        renamed["model.encoder." + name] = value
    assert "model.encoder.layers.0.self_attn.k_proj.weight" in renamed
    hub_net = whisper.from_state(
        renamed | {"model.decoder.layer_norm.bias": torch.zeros(64), "proj_out": torch.zeros(1)}
    )
    assert hub_net.encode(tone(3200)).equal(encoder.encode(tone(3200)))


def test_a_checkpoint_file_of_the_original_loads(tmp_path: Path, encoder: WhisperEncoder) -> None:
    path = tmp_path / "small.pt"
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": theirs(made_up())}, path)
    assert whisper.load(path).encode(tone(3200)).equal(encoder.encode(tone(3200)))


@pytest.mark.parametrize("config", [SMALL, WhisperConfig(bands=128, size=192, layers=2, context=7)])
def test_sizes_are_read_from_the_shapes(config: WhisperConfig) -> None:
    assert whisper.from_state(theirs(made_up(config))).config == config


def test_long_recordings_go_window_by_window(encoder: WhisperEncoder) -> None:
    fractions: list[float] = []
    noise = Audio(0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)), 16_000)
    heard = encoder.encode(noise, fractions.append)
    assert heard.shape == (25, 64)
    assert fractions == pytest.approx([0.4, 0.8, 1.0])
    # Every window sees the sound beyond its edges, so only the loudest point of a window is its own affair.
    alone = encoder.encode(Audio(noise.samples[:, 3200:6400], 16_000))
    assert torch.cosine_similarity(heard[12:18], alone[2:8], dim=-1).min() > 0.99


def test_rate_and_channels_do_not_matter(encoder: WhisperEncoder) -> None:
    t = torch.arange(44_100 // 5) / 44_100
    stereo = Audio((0.3 * torch.sin(2 * torch.pi * 220 * t)).expand(2, -1), 44_100)
    middle = slice(2, 8)  # resampling smears the hard edges of a tone
    near = torch.cosine_similarity(encoder.encode(stereo)[middle], encoder.encode(tone(3200))[middle], dim=-1)
    assert near.min() > 0.99


@pytest.mark.parametrize("samples", [1, 100, 399, 400, 401])
def test_short_sounds_are_heard(encoder: WhisperEncoder, samples: int) -> None:
    heard = encoder.encode(tone(samples))
    assert heard.shape == (-(-samples // 320), 64)
    assert heard.isfinite().all()


def test_nothing_and_nan_are_refused(encoder: WhisperEncoder) -> None:
    with pytest.raises(BadAudio, match="empty"):
        encoder.encode(Audio(torch.zeros(1, 0), 16_000))
    with pytest.raises(BadAudio, match="NaN"):
        encoder.encode(Audio(torch.full((1, 800), torch.nan), 16_000))


def test_other_checkpoints_are_refused() -> None:
    with pytest.raises(BadCheckpoint, match="holds no Whisper encoder"):
        whisper.from_state({"layer.weight": torch.zeros(3, 3)})
    with pytest.raises(BadCheckpoint, match=r"1 missing \(ln_post.bias"):
        whisper.from_state(theirs({k: v for k, v in made_up().items() if k != "ln_post.bias"}))
    with pytest.raises(BadCheckpoint, match="surplus"):
        whisper.from_state(theirs(made_up() | {"blocks.0.cross_attn.out.bias": torch.zeros(64)}))


def test_unknown_names_and_a_missing_network_are_said() -> None:
    with pytest.raises(BadOption, match=r"openai/whisper-tiny\.en"):
        whisper.load("openai/whisper-gigantic")


def test_offline_says_where_to_put_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.catalog import download

    def unreachable(*_: object) -> None:
        raise download.Unreachable("no network")

    monkeypatch.setattr(download, "from_web", unreachable)
    with pytest.raises(Offline, match=r"tiny\.en\.pt"):
        whisper.load()
