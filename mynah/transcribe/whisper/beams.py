"""Beam search: several texts are followed at once, and the likeliest for its length is kept.

As openai/whisper does it (`whisper/decoding.py`): whichever texts have ended are set aside until there are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mynah.transcribe.whisper.decode import Heard, Rules, heard, silences
from mynah.transcribe.whisper.net import Memory, Net, Seen


@dataclass
class Beam:
    """What is followed in one window.

    Attributes:
        rows: Tokens of each text so far.
        totals: Their log probabilities.
        ended: Texts that have come to an end, with theirs.
    """

    rows: list[list[int]]
    totals: Tensor
    ended: dict[tuple[int, ...], float] = field(default_factory=dict)

    def grow(self, odds: Tensor, end: int, most: int) -> list[int]:
        """One token more for each text.

        Args:
            odds: Log probabilities of what may follow each, `[text, vocabulary]`.
            end: The token that ends a text.
            most: Texts that are set aside at most.

        Returns:
            Which text each of those that are now followed was.
        """
        width = len(self.rows)
        best = odds.topk(width + 1)
        totals = (self.totals[:, None].to(odds.device) + best.values).tolist()
        scores: dict[tuple[int, ...], tuple[float, int]] = {}
        for source, numbers in enumerate(best.indices.tolist()):
            for number, total in zip(numbers, totals[source], strict=True):
                scores[(*self.rows[source], number)] = (total, source)
        kept, ended = [], []
        for text in sorted(scores, key=lambda text: scores[text][0], reverse=True):
            if text[-1] == end:
                ended.append(text)
                continue
            kept.append(text)
            if len(kept) == width:
                break
        for text in ended[: most - len(self.ended)]:
            self.ended[text[:-1]] = scores[text][0]
        self.rows = [list(text) for text in kept]
        self.totals = torch.tensor([scores[text][0] for text in kept])
        return [scores[text][1] for text in kept]

    def best(self) -> tuple[list[int], float]:
        """The text that is likeliest for its length, and its log probability."""
        found = dict(self.ended)
        for at in self.totals.argsort(descending=True, stable=True).tolist():
            if len(found) >= len(self.rows):
                break
            found.setdefault(tuple(self.rows[at]), float(self.totals[at]))
        text = max(found, key=lambda text: found[text] / max(len(text), 1))
        return list(text), found[text]


def searched(
    net: Net, rules: Rules, frames: Tensor, starts: Tensor, *, width: int, patience: float = 1.0
) -> list[Heard]:
    """Write down several windows at once, each by a beam of its own.

    Args:
        net: Both nets.
        rules: What may be written.
        frames: The encoder's, `[batch, frame, size]`.
        starts: Tokens that each begins with, `[batch, position]`.
        width: Texts that are followed in each.
        patience: Times `width`, how many have to end before the search does.
    """
    tokens, most = rules.tokens, max(1, round(width * patience))
    memory = net.decoder.memory(frames)
    memory.sound = [_of_rows(seen, [row for row in range(len(frames)) for _ in range(width)]) for seen in memory.sound]
    logits, _ = net.decoder(starts.repeat_interleave(width, 0), memory)
    quiet = silences(logits, starts, tokens)[::width]
    beams = [Beam([[] for _ in range(width)], torch.zeros(width)) for _ in frames]
    logits = logits[:, -1]
    for _ in range(net.config.text_context // 2):
        rules.hold(logits, [row for beam in beams for row in beam.rows])
        odds = logits.log_softmax(-1).split(width)
        sources = [
            place * width + source
            for place, beam in enumerate(beams)
            for source in beam.grow(odds[place], tokens.end, most)
        ]
        if all(len(beam.ended) >= most for beam in beams) or memory.length >= net.config.text_context:
            break
        _follow(memory, sources)
        last = torch.tensor([[row[-1]] for beam in beams for row in beam.rows], device=frames.device)
        logits = net.decoder(last, memory)[0][:, -1]
    return [heard(tokens, *beam.best(), silence, 0.0) for beam, silence in zip(beams, quiet, strict=True)]


def _follow(memory: Memory, sources: Sequence[int]) -> None:
    memory.written = [None if seen is None else _of_rows(seen, sources) for seen in memory.written]


def _of_rows(seen: Seen, rows: Sequence[int]) -> Seen:
    chosen = torch.tensor(rows, device=seen[0].device)
    return seen[0][chosen], seen[1][chosen]
