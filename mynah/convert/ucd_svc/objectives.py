"""The objectives of the paper, each by itself; those of the critics (least squares) are `mynah.train.losses`.

A recording sung by its own singer is compared with itself. Sung by another, or by a virtual singer between two, nobody
knows the right waveform: the frozen nets that hear words and melody say whether these are still there, the critics
whether it sounds recorded, and there is no term of reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

SIZES = (2048, 1024, 512, 256, 128, 64)
_FLOOR = 1e-7  # of power, before its logarithm
_SILENT = 1e-3  # least norm of a recording's magnitudes that a miss is measured by


def reconstruction(made: Tensor, recorded: Tensor, sizes: Sequence[int] = SIZES) -> tuple[Tensor, Tensor]:
    """Multi-scale spectral reconstruction: spectral convergence, and the mean distance of log magnitudes in nepers.

    The first minds the peaks, the second what is nearly silent. Hann windows overlap by three quarters; both are means
    over sizes. Norms are taken over the batch as a whole, so that a pause has no say in what a peak is.

    Args:
        made: `[batch, time]`.
        recorded: The same sound as it should be.
        sizes: Of the transforms, in samples.
    """
    convergence, distance = [], []
    for size in sizes:
        ours, theirs = magnitudes(made, size), magnitudes(recorded, size)
        convergence.append((theirs - ours).norm() / theirs.norm().clamp(min=_SILENT))
        distance.append((ours.log() - theirs.log()).abs().mean())
    return torch.stack(convergence).mean(), torch.stack(distance).mean()


def magnitudes(wave: Tensor, size: int) -> Tensor:
    """Of short-time spectra, `[batch, time]` to `[batch, size // 2 + 1, frame]`."""
    window = torch.hann_window(size, device=wave.device)
    spectrum = torch.stft(wave.float(), size, size // 4, window=window, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=_FLOOR).sqrt()


def perceptual(made: Sequence[Tensor], heard: Sequence[Tensor], counts: Tensor | None = None) -> Tensor:
    """Mean distance of activations, in units of their size on the recording; gradients reach what was made only.

    Args:
        made: Activations of every layer on what was made, `[row, ...]`.
        heard: The same on the recording.
        counts: Which rows count, `[row]`; all where it is None.
    """
    terms = []
    for ours, theirs in zip(made, heard, strict=True):
        theirs = theirs.detach()
        apart = (ours - theirs).abs().flatten(1).mean(1)
        scale = theirs.abs().mean() + 1e-6
        if counts is None:
            terms.append(apart.mean() / scale)
        else:
            terms.append((apart * counts).sum() / counts.sum().clamp(min=1) / scale)
    return torch.stack(terms).mean()


def generator_objective(
    made: Mapping[str, Tensor],
    recorded: Tensor,
    heard: Mapping[str, tuple[Sequence[Tensor], Sequence[Tensor], Tensor | None]],
    weights: Mapping[str, float],
) -> dict[str, Tensor]:
    """What a generator minds besides critics, by name and weighted.

    Args:
        made: Sound by kind of pass: `"own"` (reconstructed) and whatever else was rendered from the same recordings.
        recorded: What `"own"` should be.
        heard: By the name of a perceptual loss: activations on all that was made, on the recordings, and which rows
            count.
        weights: Of `"convergence"`, `"magnitude"` and the perceptual losses; 0 leaves one out.
    """
    losses = {}
    if "own" in made:
        convergence, magnitude = reconstruction(made["own"], recorded)
        losses = {
            "convergence": weights["convergence"] * convergence,
            "magnitude": weights["magnitude"] * magnitude,
        }
    for name, (ours, theirs, counts) in heard.items():
        losses[name] = weights[name] * perceptual(ours, theirs, counts)
    return losses
