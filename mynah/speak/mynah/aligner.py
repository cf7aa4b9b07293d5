"""The aligner: which sound is heard when, found out from recordings and their texts alone."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.speak.mynah.tokens import LANGUAGES, SYMBOLS

SIZE = 96
HEARD = 66  # content and two levels, without which a pause would go to a sound


class Aligner(nn.Module):
    """How near each content frame is to each sound of the text.

    Source: Badlani et al., "One TTS Alignment To Rule Them All", arXiv 2108.10447: frames and sounds are brought into
    one space, every monotonic way through their distances counts in the loss, the best one is taken in the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.symbol = nn.Embedding(len(SYMBOLS), SIZE)
        self.stress = nn.Embedding(3, SIZE)
        self.manner = nn.Embedding(8, SIZE)
        self.language = nn.Embedding(len(LANGUAGES), SIZE)
        self.key = nn.Sequential(nn.Conv1d(SIZE, 2 * SIZE, 3, padding=1), nn.ReLU(), nn.Conv1d(2 * SIZE, SIZE, 1))
        self.query = nn.Sequential(nn.Conv1d(HEARD, 2 * SIZE, 3, padding=1), nn.ReLU(), nn.Conv1d(2 * SIZE, SIZE, 1))

    def forward(self, symbol: Tensor, stress: Tensor, manner: Tensor, language: Tensor, heard: Tensor) -> Tensor:
        """Log probability of each token at each frame, `[batch, frame, token]`; tokens beyond the text have none.

        Args:
            symbol: As the next three `[batch, token]`; filled up with -1.
            heard: Content, and two levels of about -1 to 1: `[batch, 66, frame]`.
        """
        x = self.symbol(symbol.clamp(min=0)) + self.stress(stress) + self.manner(manner) + self.language(language)
        key, query = self.key(x.transpose(1, 2)), self.query(heard)
        near = -torch.cdist(
            query.transpose(1, 2), key.transpose(1, 2), compute_mode="donot_use_mm_for_euclid_dist"
        ).square()
        return F.log_softmax((0.05 * near).masked_fill((symbol < 0)[:, None], -1e4), -1)


def diagonal(frames: int, tokens: int, *, width: float = 1.0) -> Tensor:
    """Log of the prior `[frame, token]`: texts are read at about an even pace (beta-binomial)."""
    place = torch.arange(1, frames + 1, dtype=torch.float64)[:, None]
    token = torch.arange(tokens, dtype=torch.float64)
    alpha, beta, count = width * place, width * (frames + 1 - place), tokens - 1

    def lbeta(a: Tensor, b: Tensor) -> Tensor:
        return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

    many = torch.tensor(float(count))
    choose = torch.lgamma(many + 1) - torch.lgamma(token + 1) - torch.lgamma(many - token + 1)
    return (choose + lbeta(token + alpha, count - token + beta) - lbeta(alpha, beta)).float()


def every_way(near: Tensor, frames: Tensor, tokens: Tensor, *, nothing: float = -1.0) -> Tensor:
    """Minus log of the sum over all monotonic ways, per frame: CTC whose alphabet is the text itself.

    Args:
        near: Log probabilities `[batch, frame, token]`.
        frames: Of each example.
        tokens: Of each example.
        nothing: Score of a frame that belongs to no token, before all are standardised.
    """
    scores = F.log_softmax(F.pad(near, (1, 0), value=nothing), -1).transpose(0, 1)
    text = torch.arange(1, near.shape[2] + 1).expand(len(near), -1)
    return F.ctc_loss(scores, text, frames, tokens, zero_infinity=True)


def best_way(near: Tensor) -> Tensor:
    """Frames that each token lasts on the best monotonic way, at least one each: `[frame, token]` to `[token]`.

    Example:

        >>> best_way(torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]).log())
        tensor([2, 1])
    """
    scores = near.double().numpy()
    frames, tokens = scores.shape
    best = np.full(tokens, -np.inf)
    best[0] = scores[0, 0]
    moved = np.zeros((frames, tokens), dtype=bool)
    for frame in range(1, frames):
        before = np.concatenate([[-np.inf], best[:-1]])
        moved[frame] = before > best
        best = np.maximum(before, best) + scores[frame]
    durations, token = np.zeros(tokens, dtype=np.int64), tokens - 1
    for frame in range(frames - 1, -1, -1):
        durations[token] += 1
        token -= moved[frame, token]
    return torch.from_numpy(durations)
