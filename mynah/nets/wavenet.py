"""The gated stack of convolutions that voice models of the VITS family are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mynah.nets.normed import Conv1d


class WaveNet(nn.Module):
    """Layers that each pass a part on, and add another part to what comes out.

    Source: van den Oord et al., arXiv 1609.03499, not causal and on frames instead of samples, as in WaveGlow
    (arXiv 1811.00002) and VITS (arXiv 2106.06103), whose key layout it has.

    Args:
        channels: In and out.
        kernel: Odd.
        layers: How many.
        dilation: Of layer `n` it is this to the power `n`.
        condition: Size of what every layer is told besides, such as a vector of the voice; 0 for nothing.
        dropout: Share of the gates' results that training leaves out.

    Shape:
        `[batch, channel, frame]` in and out; mask `[batch, 1, frame]`; condition `[batch, condition, frame or 1]`.
    """

    def __init__(
        self, channels: int, kernel: int, layers: int, *, dilation: int = 1, condition: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.channels = channels
        if condition:
            self.cond_layer = Conv1d(condition, 2 * channels * layers, 1)
        self.in_layers = nn.ModuleList()
        self.res_skip_layers = nn.ModuleList()
        self.dropout = nn.Dropout(dropout)
        for layer in range(layers):
            step = dilation**layer
            self.in_layers.append(
                Conv1d(channels, 2 * channels, kernel, dilation=step, padding=step * (kernel - 1) // 2)
            )
            # Behind the last layer there is nobody to pass anything on to.
            self.res_skip_layers.append(Conv1d(channels, channels if layer == layers - 1 else 2 * channels, 1))

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        last = len(self.in_layers) - 1
        told = [None] * (last + 1) if condition is None else self.cond_layer(condition).chunk(last + 1, 1)
        out: Tensor | None = None
        for layer, (convolve, share) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            gates = convolve(x)
            if told[layer] is not None:
                gates = gates + told[layer]
            signal, gate = gates.chunk(2, 1)
            shared = share(self.dropout(torch.tanh(signal) * torch.sigmoid(gate)))
            if layer < last:
                passed, shared = shared.chunk(2, 1)
                x = (x + passed) * mask
            out = shared if out is None else out + shared
        assert out is not None
        return out * mask
