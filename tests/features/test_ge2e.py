"""The native GE2E encoder against Resemblyzer's, run once on the same made-up weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.core.errors import BadAudio, BadCheckpoint, BadOption, Offline
from mynah.core.types import Audio
from mynah.features import ge2e
from mynah.features.ge2e import GE2E


def beating(samples: int, gain: float = 0.3) -> Tensor:
    t = torch.arange(samples, dtype=torch.float64) / 16_000
    return (gain * torch.sin(2 * torch.pi * 220 * t) * (1 + 0.5 * torch.sin(2 * torch.pi * 3 * t))).float()


def clip(samples: int, gain: float = 0.3) -> Audio:
    return Audio(beating(samples, gain)[None], 16_000)


def made_up() -> dict[str, Tensor]:
    """Weights that any machine makes alike: sines along every tensor."""
    return {name: sines(value.shape, phase) for phase, (name, value) in enumerate(sorted(GE2E().state_dict().items()))}


def sines(shape: torch.Size, phase: int) -> Tensor:
    wave = torch.sin(torch.arange(shape.numel(), dtype=torch.float64) * 1.7 + phase)
    return (wave / shape[-1] ** 0.5).float().reshape(shape)


@pytest.fixture(scope="module")
def encoder() -> GE2E:
    net = GE2E()
    net.load_state_dict(made_up())
    return net.eval().requires_grad_(False)


def test_the_mel_is_librosas(encoder: GE2E) -> None:
    mel = encoder.mel(beating(40_000)[None])[0]
    # Stored from librosa 0.11: feature.melspectrogram(n_mels=40, n_fft=400, hop_length=160).
    expected = torch.tensor([1.6936287, 1.9150644e-05, 2.5952129e-06, 0.0068275193])
    torch.testing.assert_close(mel[[0, 50, 120, 10], [3, 6, 7, 0]], expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (40_000, [0.01113907, 0.00529769, 0.0, 0.0]),
        (8_000, [0.0017915, 0.0, 0.07164761, 0.07435181]),
        (60_000, [0.00955937, 0.00284855, 0.01176962, 0.00053091]),
    ],
)
def test_it_hears_what_resemblyzer_hears(encoder: GE2E, samples: int, expected: list[float]) -> None:
    vector = encoder.embed_wave(beating(samples))
    # Stored from resemblyzer 0.1.4: VoiceEncoder.embed_utterance.
    torch.testing.assert_close(vector[[0, 10, 100, 255]], torch.tensor(expected), atol=2e-6, rtol=0)


def test_the_order_of_clips_does_not_matter(encoder: GE2E) -> None:
    clips = [
        clip(40_000),
        clip(20_000),
        Audio(torch.randn(1, 30_000, generator=torch.Generator().manual_seed(0)), 16_000),
    ]
    forward, backward = encoder.embed(clips), encoder.embed(clips[::-1])
    torch.testing.assert_close(forward, backward, atol=1e-6, rtol=0)
    assert forward.shape == (256,)
    assert forward.norm().item() == pytest.approx(1, abs=1e-5)
    assert forward.min() >= 0


def test_a_quiet_recording_is_heard_like_a_loud_one(encoder: GE2E) -> None:
    very_quiet, quiet = encoder.embed([clip(40_000, 1e-4)]), encoder.embed([clip(40_000, 1e-2)])
    torch.testing.assert_close(very_quiet, quiet, atol=1e-5, rtol=0)


def test_long_pauses_go_and_short_ones_stay() -> None:
    sound = beating(16_000)
    long_pause = ge2e.shorten_pauses(torch.cat([sound, torch.zeros(32_000), sound]))
    assert 32_000 <= len(long_pause) < 32_000 + 8_000
    short_pause = torch.cat([sound, torch.zeros(2_400), sound])
    assert len(ge2e.shorten_pauses(short_pause)) == len(short_pause) // 480 * 480


def test_a_sound_without_pauses_is_left_whole() -> None:
    sound = beating(48_000)
    assert ge2e.shorten_pauses(sound).equal(sound)


@pytest.mark.parametrize("samples", [1, 479, 481, 3000])
def test_short_sounds_are_heard(encoder: GE2E, samples: int) -> None:
    vector = encoder.embed([Audio(0.1 + beating(samples)[None], 16_000)])
    assert vector.isfinite().all()


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [(torch.zeros(1, 0), "empty"), (torch.zeros(1, 9000), "silent"), (torch.full((1, 9000), torch.inf), "infinity")],
)
def test_nothing_to_hear_is_said(encoder: GE2E, samples: Tensor, complaint: str) -> None:
    with pytest.raises(BadAudio, match=complaint):
        encoder.embed([Audio(samples, 16_000)])


def test_no_clip_is_refused(encoder: GE2E) -> None:
    with pytest.raises(BadAudio, match="no recording"):
        encoder.embed([])


def test_the_installed_package_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: GE2E
) -> None:
    package = tmp_path / "resemblyzer"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('it must not be imported')")
    loss = {"similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    torch.save({"step": 1, "model_state": made_up() | loss}, package / "pretrained.pt")
    monkeypatch.syspath_prepend(tmp_path)
    assert ge2e.installed() == package / "pretrained.pt"
    assert ge2e.load().embed_wave(beating(8000)).equal(encoder.embed_wave(beating(8000)))
    assert "resemblyzer" not in sys.modules


def test_without_package_and_network_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from mynah.catalog import download

    def unreachable(*_: object) -> None:
        raise download.Unreachable("no network")

    monkeypatch.setattr(ge2e, "installed", lambda: None)
    monkeypatch.setattr(download, "from_web", unreachable)
    with pytest.raises(Offline, match="pretrained"):
        ge2e.load()


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model_state": {"linear.weight": torch.zeros(256, 256)}}, path)
    with pytest.raises(BadCheckpoint, match="missing"):
        ge2e.load(path)
    torch.save({"model_state": torch.zeros(3)}, path)
    with pytest.raises(BadCheckpoint, match="no state"):
        ge2e.load(path)
    with pytest.raises(BadOption, match="resemblyzer"):
        ge2e.load(tmp_path / "absent.pt")
