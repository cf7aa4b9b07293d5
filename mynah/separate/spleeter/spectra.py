"""Spleeter's short-time spectra and what is done with them: there, masked, and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

OVERLAP = 4  # hops in a window
_EPSILON = 1e-10  # of power


def analysed(wave: Tensor, window: int) -> Tensor:
    """Spectra of windows that begin at every hop, a quarter of a window; behind the end there are zeros.

    Args:
        wave: Shape `[..., time]`.
        window: In samples.

    Returns:
        Complex, shape `[..., window // 2 + 1, frame]` with one frame for each hop that was begun.
    """
    hop = window // OVERLAP
    count = -(-wave.shape[-1] // hop)
    padded = F.pad(wave, (0, (count - 1) * hop + window - wave.shape[-1]))
    frames = padded.unfold(-1, window, hop) * torch.hann_window(window, device=wave.device)
    return torch.fft.rfft(frames).transpose(-1, -2)


def synthesised(spectrum: Tensor, window: int) -> Tensor:
    """The inverse of `analysed`, from the fourth hop on: windows are faded once more, overlapped and added.

    Example:

        >>> wave = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
        >>> again = synthesised(analysed(wave, 64), 64)
        >>> again.shape, torch.allclose(again[:, 48:1000], wave[:, 48:], atol=1e-6)
        (torch.Size([2, 1008]), True)
    """
    fade = torch.hann_window(window, device=spectrum.device) * (2 / 3)
    parts = (torch.fft.irfft(spectrum.transpose(-1, -2), window) * fade).unflatten(-1, (OVERLAP, -1))
    wave = parts[..., 0, :].clone()
    for late in range(1, OVERLAP):
        wave[..., late:, :] += parts[..., :-late, late, :]
    return wave.flatten(-2)


def blocks_of(magnitude: Tensor, length: int) -> Tensor:
    """`[channel, bin, frame]` as the nets want it, `[block, channel, frame, bin]`; the last block is filled with zeros.

    Example:

        >>> blocks_of(torch.ones(2, 64, 100), 64).shape
        torch.Size([2, 2, 64, 64])
    """
    padded = F.pad(magnitude, (0, -magnitude.shape[-1] % length))
    return padded.unflatten(-1, (-1, length)).permute(2, 0, 3, 1)


def joined(blocks: Tensor, frames: int) -> Tensor:
    """`[..., block, channel, frame, bin]` back to `[..., channel, bin, frame]`."""
    return blocks.movedim(-4, -3).movedim(-1, -3).flatten(-2)[..., :frames]


def masked(estimates: Tensor, spectrum: Tensor, above: str) -> Tensor:
    """The spectra of the stems: every bin of the mix is shared out by the estimates' powers.

    Args:
        estimates: Magnitudes of the stems, shape `[stem, channel, bin, frame]`, up to the last bin that the nets see.
        spectrum: Of the mix, complex, shape `[channel, bin, frame]`.
        above: What becomes of the bins beyond: `"zeros"` drops them, `"average"` shares them out by the mean of the
            masks below, `"rest"` gives them to the last stem.

    Returns:
        Complex, shape `[stem, channel, bin, frame]`.
    """
    power = estimates.square()
    share = (power + _EPSILON / len(power)) / (power.sum(0) + _EPSILON)
    bins = estimates.shape[-2]
    stems = spectrum.new_zeros(len(share), *spectrum.shape)
    stems[..., :bins, :] = share * spectrum[:, :bins]
    if above == "average":
        stems[..., bins:, :] = share.mean(-2, keepdim=True) * spectrum[:, bins:]
    elif above == "rest":
        stems[-1, ..., bins:, :] = spectrum[:, bins:]
    return stems
