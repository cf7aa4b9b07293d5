"""The table of voices: one row for each singer of the training, and whatever lies between rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VoiceTable(nn.Module):
    """Rows of unit length, by name.

    Attributes:
        names: Of the singers.
        rows: What is learnt, `[singer, size]`; read with unit length, so that voices between them are as strong.
        heard: Vectors of the house's voice encoder, `[singer, 192]`, by which a singer is known again; zero where
            nobody listened.
    """

    heard: Tensor

    def __init__(self, names: Sequence[str], size: int, heard: Tensor | None = None) -> None:
        super().__init__()
        self.names = tuple(names)
        self.rows = nn.Parameter(F.normalize(torch.randn(len(names), size), dim=-1))
        self.register_buffer("heard", torch.zeros(len(names), 192) if heard is None else heard.float())

    def forward(self, singer: Tensor) -> Tensor:
        """Rows of singers by their numbers, `[...]` to `[..., size]`."""
        return F.normalize(self.rows[singer], dim=-1)

    def row(self, name: str) -> Tensor:
        """Of one singer, `[size]`."""
        return self(torch.tensor(self.names.index(name), device=self.rows.device))

    def like(self, name: str, heard: Tensor | None) -> float:
        """Cosine between what was heard of a singer in training and a vector of the same encoder; 1 if nobody knows."""
        known = self.heard[self.names.index(name)]
        if heard is None or not known.any():
            return 1.0
        return float(F.cosine_similarity(known.cpu(), heard.float().cpu(), dim=0))


def mixed(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """A voice on the straight line between two, `share * first + (1 - share) * second`; rows `[batch, size]`."""
    return torch.lerp(second, first, share[..., None])
