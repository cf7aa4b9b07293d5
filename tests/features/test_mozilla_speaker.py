import math
from pathlib import Path

import pytest
import torch

from mynah.core.errors import BadAudio, BadCheckpoint, Offline
from mynah.core.types import Audio
from mynah.features.mozilla_speaker import MozillaSpeaker, load, prepared


def sung(hz: float, seconds: float = 1.0, rate: int = 16_000) -> Audio:
    time = torch.arange(int(seconds * rate)) / rate
    return Audio(0.2 * sum(torch.sin(2 * math.pi * hz * k * time) / k for k in range(1, 11))[None], rate)


@pytest.fixture(scope="module")
def net() -> MozillaSpeaker:
    torch.manual_seed(0)
    return MozillaSpeaker(hidden=24, size=16, layers=2).eval()


def test_the_published_model_has_as_many_parameters() -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in MozillaSpeaker().parameters()) == 9_504_768


def test_volume_and_silence_around_are_not_the_voice(net: MozillaSpeaker) -> None:
    clip = sung(200, 3.0)
    quiet = Audio(0.1 * clip.samples, clip.rate)
    torch.testing.assert_close(net.embed([quiet]), net.embed([clip]), atol=1e-5, rtol=1e-4)
    silence = torch.zeros(1, 16_000)
    framed = prepared(Audio(torch.cat([silence, clip.samples, silence], 1), clip.rate))
    assert abs(len(framed) - len(prepared(clip))) < 2000
    assert framed.abs().max().item() == pytest.approx(0.95)


def test_the_mean_of_stretches_is_not_stretched(net: MozillaSpeaker) -> None:
    changing = Audio(torch.cat([sung(hz, 4.0).samples for hz in (110, 400, 180)], 1), 16_000)
    assert net.embed([sung(200, 8.0)]).norm() > net.embed([changing]).norm()
    assert net.embed([changing]).norm() < 1
    one, other = sung(150, 2.0), sung(300, 2.0)
    torch.testing.assert_close(net.embed([one, other]), net.embed([other, one]))


def test_bands_lie_between_their_limits(net: MozillaSpeaker) -> None:
    loud, silent = net.bands(torch.randn(8000)), net.bands(torch.zeros(8000))
    assert loud.shape == (32, 80) and loud.abs().max() <= 4
    assert torch.equal(silent, torch.full((32, 80), -4.0 + 8 * (-100 - 20 + 100) / 100).clamp(min=-4))


def test_files_in_the_published_layout(net: MozillaSpeaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best_model.pth.tar"
    torch.save({"model": net.state_dict(), "step": 5}, path)
    clip = sung(200, 2.0)
    assert torch.equal(load(path).embed([clip]), net.embed([clip]))
    torch.save({"model": {"weight": torch.zeros(2)}}, path)
    with pytest.raises(BadCheckpoint, match="no voice encoder"):
        load(path)
    monkeypatch.setenv("MYNAH_HOME", str(tmp_path))
    with pytest.raises(Offline, match="put it at"):
        load()


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [(torch.zeros(1, 16_000), "silent"), (torch.ones(1, 100), "shorter"), (torch.full((1, 9000), torch.nan), "NaN")],
)
def test_what_holds_no_voice_is_told(samples: torch.Tensor, complaint: str) -> None:
    with pytest.raises(BadAudio, match=complaint):
        prepared(Audio(samples, 16_000))
