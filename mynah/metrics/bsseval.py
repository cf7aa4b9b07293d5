"""BSSEval version 4: what a separated stem holds of itself, of the other stems, and of what nobody played.

An estimate is split into four: the reference itself; what delays and other channels of that reference explain (its
image was bent); what the other references explain (they leak in); and the rest (artefacts). Their energies, window by
window, give the four figures.

Source: E. Vincent, R. Gribonval, C. Févotte, "Performance measurement in blind audio source separation" (2006), and for
images E. Vincent et al., "The signal separation evaluation campaign (2007-2010)" (2012). Version 4, in which the delays
are fitted once to the whole song and the windows only measure: F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 signal
separation evaluation campaign" (2018). The figures are those of their library, museval 0.4, wherever it can solve its
equations. Recordings without treble (lossy files) leave them all but singular, and there its SIR and SAR are off by
tens of dB; the slight loading here keeps them where fast_bss_eval has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

TAPS = 512  # delays of a reference that still count as the reference, in samples; 12 ms at 44.1 kHz
_LOADING = 1e-11  # of the mean energy: keeps the fit solvable where two channels are the same
_PASS = 1 << 16  # samples that one pass of the correlation takes


class BssEval(NamedTuple):
    """In dB, shape `[stem, window]` each; NaN where a stem or its estimate is digital silence.

    Attributes:
        sdr: Signal to distortion: the reference against all that is wrong.
        isr: Image to spatial distortion: against what the reference's own delays and channels explain.
        sir: Signal to interference: against what the other stems explain.
        sar: Signal to artefacts: against what nothing explains.
    """

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor


def bsseval(
    references: Tensor,
    estimates: Tensor,
    *,
    window: int,
    taps: int = TAPS,
    progress: Callable[[float], None] = lambda fraction: None,
) -> BssEval:
    """Score estimates of the first stems; references beyond those are only what may leak in.

    Args:
        references: Shape `[stem, channel, time]`; together they are the mix.
        estimates: Shape `[stem or fewer, channel, time]`.
        window: Samples; windows stand side by side, and what is left at the end is not scored. Sound that is shorter
            is one window.
        taps: Length of the fitted filters.
        progress: Told the fraction that is done.

    Raises:
        ValueError: The shapes do not fit each other.
    """
    if references.shape[1:] != estimates.shape[1:] or not 0 < len(estimates) <= len(references):
        raise ValueError(f"estimates {list(estimates.shape)} of references {list(references.shape)}")
    references, estimates = references.double(), estimates.double()
    channels, time = references.shape[1:]
    flat = references.flatten(0, 1)
    gram, seen = _correlations(flat, estimates.flatten(0, 1), taps)
    everybody = _fitted(gram, seen, taps)  # [reference channel, estimated channel, tap]
    own = torch.zeros_like(everybody)
    for stem in range(len(estimates)):
        rows = slice(stem * channels, (stem + 1) * channels)
        own[rows, rows] = _fitted(gram[rows, rows], seen[rows, rows], taps)
    window = min(window, time)
    count = time // window
    figures = torch.full((4, len(estimates), count), torch.nan, dtype=torch.float64)
    size = _fast(window + taps - 1)
    filters = torch.fft.rfft(torch.stack([own, everybody]), size)
    for number in range(count):
        part = slice(number * window, (number + 1) * window)
        true, heard = references[: len(estimates), :, part], estimates[..., part]
        if references[..., part].flatten(1).any(1).all() and heard.flatten(1).any(1).all():
            spectra = torch.fft.rfft(flat[:, part], size)
            explained = torch.fft.irfft(torch.einsum("kref,rf->kef", filters, spectra), size)[..., : window + taps - 1]
            image, mixture = explained.unflatten(1, (len(estimates), channels))
            true, heard = (torch.nn.functional.pad(samples, (0, taps - 1)) for samples in (true, heard))
            figures[..., number] = _figures(true, heard, image, mixture)
        progress((number + 1) / count)
    return BssEval(*figures)


def _figures(true: Tensor, heard: Tensor, image: Tensor, mixture: Tensor) -> Tensor:
    """SDR, ISR, SIR and SAR `[figure, stem]` of one window; all arguments `[stem, channel, time]`.

    Args:
        true: The references.
        heard: The estimates.
        image: What each stem's own reference explains of its estimate.
        mixture: What all references together explain of it.
    """
    pairs = ((true, heard - true), (true, image - true), (image, mixture - image), (mixture, heard - mixture))
    return torch.stack([10 * (_energy(signal) / _energy(noise)).log10() for signal, noise in pairs])


def _correlations(references: Tensor, estimates: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """Of every reference channel with every channel, `[reference, channel, lag from 0 to taps - 1]`, in flat memory."""
    size = _fast(_PASS + taps - 1)
    others = torch.cat([references, estimates])
    total = torch.zeros(len(references), len(others), size // 2 + 1, dtype=torch.complex128)
    for start in range(0, references.shape[-1], _PASS):
        early = torch.fft.rfft(references[:, start : start + _PASS], size)
        late = torch.fft.rfft(others[:, start : start + _PASS + taps - 1], size)
        for row, spectrum in zip(total, early, strict=True):
            row.addcmul_(spectrum.conj(), late)
    lags = torch.fft.irfft(total, size)[..., :taps]
    return lags[:, : len(references)], lags[:, len(references) :]


def _fitted(gram: Tensor, seen: Tensor, taps: int) -> Tensor:
    """Filters `[reference, estimate, tap]` by which delayed references come nearest to the estimates."""
    count = len(gram)
    apart = torch.arange(taps)[:, None] - torch.arange(taps)
    # A lag before zero is a lag after it of the pair turned round.
    blocks = torch.where(apart >= 0, gram[..., apart.abs()], gram.transpose(0, 1)[..., apart.abs()])
    matrix = blocks.permute(0, 2, 1, 3).reshape(count * taps, count * taps)
    matrix.diagonal().add_(_LOADING * matrix.diagonal().mean().clamp(min=torch.finfo(torch.float64).tiny))
    solved: Tensor = torch.linalg.solve(matrix, seen.permute(0, 2, 1).reshape(count * taps, -1))
    return solved.reshape(count, taps, -1).permute(0, 2, 1)


def _energy(samples: Tensor) -> Tensor:
    return samples.square().sum((-2, -1))


def _fast(size: int) -> int:
    """The next power of two."""
    return 1 << (size - 1).bit_length()
