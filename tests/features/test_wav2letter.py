"""wav2letter against torchaudio's net, run once on the same made-up weights, and files that are not one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mynah.core.errors import BadCheckpoint
from mynah.features.wav2letter import Wav2Letter, Wav2LetterConfig, from_state, load

TINY = Wav2LetterConfig(8, 12, 5, (250, 48, 7, 7, 32, 1, 1))


def sines(net: Wav2Letter) -> dict[str, Tensor]:
    """Weights that any machine makes alike."""
    made = {}
    for number, (name, value) in enumerate(sorted(net.state_dict().items())):
        turns = 0.7 * (torch.arange(value.numel(), dtype=torch.float64) % 10007) + number
        wave = torch.sin(turns).view(value.shape).float()
        made[name] = 0.1 * wave if name.endswith("bias") else wave * (3 / value[0].numel()) ** 0.5
    return made


@torch.no_grad()
def test_it_answers_what_torchaudio_answers() -> None:
    net = from_state(sines(Wav2Letter()))
    time = torch.arange(8000.0)
    wave = (0.3 * torch.sin(0.02 * time) + 0.1 * torch.sin(0.31 * time))[None]
    letters, frames = net(wave)[0], net.frames(wave)[0]
    assert letters.shape == (40, 26)
    assert frames.shape == (250, 25)
    # Stored from torchaudio.models.Wav2Letter(40, "waveform").
    wanted = [-3.5653, -4.316623, -4.317453, -4.31753, -2.948073]
    assert letters[[0, 7, 20, 39, 5], [0, 3, 10, 24, 25]].tolist() == pytest.approx(wanted, abs=1e-4)
    assert frames[[0, 17, 200, 249], [0, 3, 10, 24]].tolist() == pytest.approx(
        [0.040697, 0.09444, 0.015042, 0.042509], abs=1e-5
    )


@torch.no_grad()
def test_a_frame_depends_on_no_more_than_it_says() -> None:
    net = from_state(sines(Wav2Letter(TINY)))
    wave = 0.1 * torch.randn(1, 80 * 320, generator=torch.Generator().manual_seed(0))
    whole, around = net.frames(wave)[0], net.around
    part = net.frames(wave[:, (40 - around) * 320 : (41 + around) * 320])[0]
    assert part[:, around].allclose(whole[:, 40], atol=1e-6)


def test_files_are_loaded_strictly(tmp_path: Path) -> None:
    state = sines(Wav2Letter(TINY))
    torch.save({"model": state}, tmp_path / "w.pt")  # as trainers wrap it
    assert load(tmp_path / "w.pt").config == TINY
    with pytest.raises(BadCheckpoint):
        from_state(state | {"acoustic_model.1.99.bias": torch.zeros(1)})
    with pytest.raises(BadCheckpoint):
        from_state({name: value for name, value in state.items() if name != "acoustic_model.1.4.bias"})
    with pytest.raises(BadCheckpoint, match="spectra"):
        from_state({"acoustic_model.0.weight": torch.zeros(250, 80, 48)})
    with pytest.raises(BadCheckpoint, match="no wav2letter"):
        from_state({"weight": torch.zeros(1)})
