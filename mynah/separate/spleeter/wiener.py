"""The multichannel Wiener filter: stems are told apart by where they stand between left and right as well.

One step of expectation and maximisation as in norbert, which Spleeter uses (Nugraha, Liutkus, Vincent, "Multichannel
audio source separation with deep neural networks", 2016): every stem has a power in each bin of each frame, and in each
bin one covariance of its two channels for the whole song. So the song is heard twice, and nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

_EPSILON = torch.finfo(torch.float32).eps
_SCALE = 10.0  # the loudest bin is brought down to this


@dataclass(frozen=True)
class Places:
    """Where the stems of a song stand.

    Attributes:
        covariance: Of the two channels of each stem for a mean power of 1, complex, shape `[stem, bin, 2, 2]`.
        scale: What spectra are divided by before they are filtered.
    """

    covariance: Tensor
    scale: float


def placed(song: Iterable[tuple[Tensor, Tensor]]) -> Places:
    """Listen to a whole song.

    Args:
        song: In pieces, each the magnitudes of the stems `[stem, 2, bin, frame]` and the spectrum of the mix, complex,
            `[2, bin, frame]`, which may have more bins.
    """
    covariance: Tensor | None = None
    power = torch.zeros(())
    loudest = 0.0
    for estimates, spectrum in song:
        loudest = max(loudest, spectrum.abs().max().item())
        stems = _shared(estimates, spectrum)
        here = torch.einsum("scft,sdft->sfcd", stems, stems.conj()).to("cpu", torch.complex128)
        covariance = here if covariance is None else covariance + here
        power = power + stems.abs().square().mean(1).sum(-1).cpu().double()
    if covariance is None:
        raise ValueError("an empty song has no places")
    scale = max(1.0, loudest / _SCALE)
    return Places(covariance / (scale**2 * _EPSILON + power)[..., None, None], scale)


def filtered(estimates: Tensor, spectrum: Tensor, places: Places) -> Tensor:
    """The spectra of the stems of a piece of the song, complex, `[stem, 2, bin, frame]`; silent above the estimates.

    Args:
        estimates: Magnitudes of the stems, `[stem, 2, bin, frame]`.
        spectrum: Of the mix, complex, `[2, bin, frame]`.
        places: Of the stems in the whole song.
    """
    bins = estimates.shape[-2]
    covariance = places.covariance.to(spectrum.device)
    power = (_shared(estimates, spectrum) / places.scale).abs().square().mean(1).double()
    left, right = (spectrum[:, :bins] / places.scale).to(torch.complex128)
    # The mix's own covariance is a 2 by 2 matrix, which is inverted by hand.
    every = torch.einsum("sft,sfcd->cdft", power.to(torch.complex128), covariance)
    here, there, between = every[0, 0].real + _EPSILON**0.5, every[1, 1].real + _EPSILON**0.5, every[0, 1]
    size = here * there - between.abs().square()
    white = torch.stack([(there * left - between * right) / size, (here * right - between.conj() * left) / size])
    result = spectrum.new_zeros(len(estimates), *spectrum.shape)
    for stem, (own, cov) in enumerate(zip(power, covariance, strict=True)):
        result[stem, :, :bins] = own * torch.einsum("fcd,dft->cft", cov, white) * places.scale
    return result


def _shared(estimates: Tensor, spectrum: Tensor) -> Tensor:
    """A first guess at the stems: the mix, shared out by magnitude."""
    return estimates / (_EPSILON + estimates.sum(0)) * spectrum[:, : estimates.shape[-2]]
