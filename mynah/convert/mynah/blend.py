"""Breaths and voiceless consonants of the source, put through as they are."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.core.types import Audio
from mynah.nets.source_filter.decoder import Decoder


class Consonants:
    """Crossfades, where nothing is voiced, from the rendered spectrum to that of the source.

    Reads the source as it goes, so that memory holds a few seconds of it.

    Args:
        own: The source at the decoder's rate, mono, in blocks.
        pitch: Hz, NaN where unvoiced, shape `[frame]`.
        decoder: Whose frames are meant.
        amount: 0 to 1.
    """

    def __init__(self, own: Iterable[Audio], pitch: Tensor, decoder: Decoder, amount: float) -> None:
        self.blocks, self.decoder = iter(own), decoder
        self.hop, self.half = decoder.config.hop, decoder.config.n_fft // 2
        unvoiced = pitch.isnan().float()[None, None]
        # A frame whose window reaches into a note holds some of the singer's voice: only the middle of a gap is let
        # through.
        inner = -F.max_pool1d(-F.pad(unvoiced, (2, 2), value=1.0), 5, stride=1)
        self.share = amount * F.avg_pool1d(F.pad(inner, (1, 1), value=1.0), 3, stride=1)[0, 0]
        # Silence before the start, so that frame 0 is centred on sample 0.
        self.held, self.first = torch.zeros(self.half), -self.half

    def __call__(self, spectrum: Tensor, first: int) -> Tensor:
        """Blend `[1, bin, frame]` that begins at frame `first`; calls go forward in time."""
        frames = spectrum.shape[-1]
        wave = self._samples(first * self.hop - self.half, (frames - 1) * self.hop + 2 * self.half)
        own = torch.stft(
            wave.to(spectrum.device)[None],
            2 * self.half,
            self.hop,
            window=self.decoder.window,
            center=False,
            return_complex=True,
        )
        share = self.share[first : first + frames].to(spectrum.device)
        return spectrum * (1 - share) + own * share

    def _samples(self, start: int, count: int) -> Tensor:
        self.held, self.first = self.held[start - self.first :], start
        pieces, have = [self.held], len(self.held)
        while have < count:
            block = next(self.blocks, None)
            if block is None:
                pieces.append(torch.zeros(count - have))
                break
            pieces.append(block.samples.mean(0))
            have += len(pieces[-1])
        self.held = torch.cat(pieces)
        return self.held[:count]
