"""One window of sound to tokens: what may follow what, the likeliest or a sampled choice, and how sure it was."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from mynah.transcribe.whisper.net import Memory, Net
from mynah.transcribe.whisper.tokens import TIMES, Tokens

_FIRST_TIME_AT_MOST = 50  # steps of 0.02 s: a window's first line begins within its first second


@dataclass(frozen=True)
class Heard:
    """What was heard in one window.

    Attributes:
        numbers: Tokens, without those that began and the one that ended it.
        log_probability: Mean over the tokens and the end.
        silence: How probable it is that nobody says anything.
        temperature: They were chosen at.
        compression: How much smaller zlib makes the text; loops make it large.
    """

    numbers: tuple[int, ...]
    log_probability: float
    silence: float
    temperature: float
    compression: float


@dataclass(frozen=True)
class Rules:
    """What may be written.

    Attributes:
        tokens: The vocabulary.
        banned: Tokens that may never be written.
        window: Steps of 0.02 s that a window has; no time is later.
        no_repeat: No stretch of so many tokens twice; 0 for as they come.
    """

    tokens: Tokens
    banned: tuple[int, ...]
    window: int = TIMES - 1
    no_repeat: int = 0

    def hold(self, logits: Tensor, written: Sequence[Sequence[int]]) -> None:
        """Make impossible what must not follow, in place: `[batch, vocabulary]`, and what each row has so far."""
        tokens, never = self.tokens, -torch.inf
        first = tokens.first_time
        if not written[0]:
            logits[:, [tokens.numbers_of(" ")[0], tokens.end]] = never
        logits[:, [*self.banned, tokens.timeless]] = never
        logits[:, first + self.window + 1 :] = never
        for row, numbers in zip(logits, written, strict=True):
            if self.no_repeat and len(numbers) >= self.no_repeat:
                tail, size = list(numbers[len(numbers) - self.no_repeat + 1 :]), self.no_repeat
                stretches = (numbers[at : at + size] for at in range(len(numbers) - size + 1))
                row[[stretch[-1] for stretch in stretches if list(stretch[:-1]) == tail]] = never
            # Times come in pairs, as the end of a line and the beginning of the next, and never go back.
            timed = len(numbers) >= 1 and numbers[-1] >= first
            twice = len(numbers) < 2 or numbers[-2] >= first
            if timed and twice:
                row[first:] = never
            elif timed:
                row[: tokens.end] = never
            if times := [number for number in numbers if number >= first]:
                row[first : times[-1] + (0 if timed and not twice else 1)] = never
        if not written[0]:
            logits[:, :first] = never
            logits[:, first + _FIRST_TIME_AT_MOST + 1 :] = never
        # If some time is likelier than any one piece of text, it is time for a time.
        odds = logits.log_softmax(-1)
        due = odds[:, first:].logsumexp(-1) > odds[:, :first].amax(-1)
        logits[:, :first] = logits[:, :first].masked_fill(due[:, None], never)


def decoded(
    net: Net,
    rules: Rules,
    frames: Tensor,
    starts: Tensor,
    *,
    temperature: float = 0.0,
    tries: int = 1,
    generator: torch.Generator | None = None,
) -> list[Heard]:
    """Write down several windows at once, each by itself.

    Args:
        net: Both nets.
        rules: What may be written.
        frames: The encoder's, `[batch, frame, size]`.
        starts: Tokens that each begins with, `[batch, position]`.
        temperature: 0 takes the likeliest token; more makes it bolder.
        tries: At a temperature above 0, how many are sampled of which the likeliest is kept.
        generator: Chooses; wanted above 0.
    """
    tokens, several = rules.tokens, tries if temperature else 1
    frames, starts = frames.repeat_interleave(several, 0), starts.repeat_interleave(several, 0)
    memory = net.decoder.memory(frames)
    logits, _ = net.decoder(starts, memory)
    silence = silences(logits, starts, tokens)
    written: list[list[int]] = [[] for _ in starts]
    total, alive = logits.new_zeros(len(starts)), torch.ones(len(starts), dtype=torch.bool, device=frames.device)
    logits = logits[:, -1]
    for _ in range(net.config.text_context // 2):
        rules.hold(logits, written)
        chosen = _chosen(logits, temperature, generator)
        total += logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0].where(alive, 0.0)
        chosen = chosen.where(alive, tokens.end)
        alive &= chosen != tokens.end
        for row, number in zip(written, chosen.tolist(), strict=True):
            row.append(number)
        if not alive.any() or memory.length >= net.config.text_context:
            break
        logits = net.decoder(chosen[:, None], memory)[0][:, -1]
    told = [
        heard(tokens, row, float(sum_), quiet, temperature)
        for row, sum_, quiet in zip(written, total, silence, strict=True)
    ]
    return [max(told[at : at + several], key=lambda each: each.log_probability) for at in range(0, len(told), several)]


def _chosen(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    if not temperature:
        return logits.argmax(-1)
    # Drawn where the generator lives, so that a seed says the same on every device.
    odds = (logits / temperature).softmax(-1).to("cpu")
    return torch.multinomial(odds, 1, generator=generator)[:, 0].to(logits.device)


def silences(logits: Tensor, starts: Tensor, tokens: Tokens) -> list[float]:
    """How probable it is that nobody says anything: what follows the token that starts a text, of each row."""
    at = int((starts[0] == tokens.start).nonzero()[-1])
    odds: list[float] = logits[:, at].softmax(-1)[:, tokens.silence].tolist()
    return odds


def heard(tokens: Tokens, row: list[int], total: float, silence: float, temperature: float) -> Heard:
    """What a text is worth; tokens from the end on are left out."""
    numbers = tuple(row[: row.index(tokens.end)] if tokens.end in row else row)
    text = tokens.text(numbers).strip().encode()
    ratio = len(text) / len(zlib.compress(text))
    return Heard(numbers, total / (len(numbers) + 1), silence, temperature, ratio)


def language(net: Net, tokens: Tokens, frames: Tensor) -> list[dict[str, float]]:
    """How probable each language is in each window, `[batch, frame, size]`."""
    memory: Memory = net.decoder.memory(frames)
    starts = torch.full((len(frames), 1), tokens.start, device=frames.device)
    logits = net.decoder(starts, memory)[0][:, 0]
    numbers = list(tokens.languages.values())
    odds = logits[:, numbers].softmax(-1).tolist()
    return [dict(zip(tokens.languages, row, strict=True)) for row in odds]


def lines(tokens: Tokens, numbers: Sequence[int], steps: int, *, last: bool = False) -> tuple[list[list[int]], int]:
    """Cut a window's tokens into lines, each with the times around it.

    Args:
        tokens: The vocabulary.
        numbers: What was written.
        steps: How long the window is, in steps of 0.02 s.
        last: Nobody will listen to this window's end again: what follows the last pair of times is a line, too.

    Returns:
        Lines; each begins with a time, and ends with one where it was said. And at which step to listen on.

    Example:

        A line from 0 to 1 s, and another that begins there and does not end:

        >>> from mynah.transcribe.whisper.tokens import small_vocabulary
        >>> few = small_vocabulary()
        >>> now, then = few.first_time, few.first_time + 50
        >>> found, seek = lines(few, [now, 72, then, then, 105], 1500)
        >>> found == [[now, 72, then]], seek
        (True, 50)
    """
    first = tokens.first_time
    timed = [number >= first for number in numbers]
    cuts = [at for at, (left, right) in enumerate(pairwise(timed), 1) if left and right]
    ends_so = timed[-2:] == [False, True]
    if not cuts:
        begun = list(numbers) if timed[:1] == [True] else [first, *numbers]
        return [begun if len(begun) > 1 and begun[-1] >= first else [*begun, first + steps]], steps
    if ends_so or (last and cuts[-1] < len(numbers)):
        cuts.append(len(numbers))
    found = [list(numbers[left:right]) for left, right in pairwise([0, *cuts])]
    if last and found[-1][-1] < first:
        found[-1].append(first + steps)
    return found, steps if ends_so or last else numbers[cuts[-1] - 1] - first
