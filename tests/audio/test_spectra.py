import pytest
import torch

from mynah.audio.spectra import reshaped


def noise(time: int, channels: int = 2) -> torch.Tensor:
    return torch.randn(channels, time, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("time", [1, 255, 256, 257, 20_000])
@pytest.mark.parametrize("cut", [100, 7001])
def test_unchanged_spectra_give_the_sound_back(time: int, cut: int) -> None:
    pieces = list(reshaped(noise(time).split(cut, -1), lambda spectra: spectra, size=256))
    torch.testing.assert_close(torch.cat(pieces, -1), noise(time), atol=1e-5, rtol=0)


def test_no_sound_gives_none() -> None:
    assert not list(reshaped([], lambda spectra: spectra, size=256))
    assert sum(piece.shape[-1] for piece in reshaped([noise(0)], lambda spectra: spectra, size=256)) == 0


def test_every_frame_comes_once_and_in_its_place() -> None:
    click = torch.zeros(1, 30_000)
    click[0, 12_800] = 1.0
    seen: list[torch.Tensor] = []

    def watched(spectra: torch.Tensor) -> torch.Tensor:
        seen.append(spectra.abs().square().sum((0, 1)))
        return spectra

    list(reshaped(click.split(999, -1), watched, size=256))
    frames = torch.cat(seen)
    assert frames.argmax() * 64 - 128 == 12_800
    assert (frames > 1e-6).sum() == 4 - 1  # the window is 0 at its first sample


def test_a_change_may_lessen_the_channels() -> None:
    [middle] = reshaped([noise(900)], lambda spectra: spectra.mean(0, keepdim=True), size=64)
    torch.testing.assert_close(middle, noise(900).mean(0, keepdim=True), atol=1e-5, rtol=0)
