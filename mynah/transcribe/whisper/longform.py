"""Recordings of any length: window after window, with what keeps Whisper from inventing things."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.core.types import Line, Word
from mynah.features.whisper import HOP
from mynah.transcribe.whisper.beams import searched
from mynah.transcribe.whisper.decode import Heard, Rules, decoded, language, lines
from mynah.transcribe.whisper.net import Net
from mynah.transcribe.whisper.tokens import STEP_SECONDS, Tokens
from mynah.transcribe.whisper.words import words as timed

_BLOCK = 1500  # frames whose mel spectrum is made at once
_BOLD = 0.5  # temperature above which a text is no good example for what follows
_SURE = 0.5  # how probable the best language has to be before further windows are not asked
_HUSH_SECONDS = 2.0  # shorter pauses belong to the words around them
_LEAD_SECONDS = 0.3  # heard before a sound begins
_CUT_SECONDS = 10.0  # a window that is cut off is cut within these, at its end


@dataclass(frozen=True)
class Guards:
    """What makes a text doubtful, and what is tried then; see `WhisperOptions`."""

    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    tries: int = 5
    compression: float = 2.4
    log_probability: float = -1.0
    silence: float = 0.6
    hush_db: float = -60.0
    no_repeat: int = 0
    seed: int = 0
    beam: int = 1
    patience: float = 1.0


class Listener:
    """One recording being written down.

    Args:
        net: Both nets.
        tokens: The vocabulary.
        heads: Layers and heads that look where the word is.
        mono: 16 kHz, `[time]`.
        banned: Tokens that may never be written.
        task: The token of it.
        language: That it is in; empty when it is to be found out.
        guards: Against inventions.
    """

    def __init__(
        self,
        net: Net,
        tokens: Tokens,
        heads: Sequence[tuple[int, int]],
        mono: Tensor,
        *,
        banned: Sequence[int],
        task: int,
        language: str,
        guards: Guards,
    ) -> None:
        self.net, self.tokens, self.heads, self.guards = net, tokens, heads, guards
        self.context = net.config.audio_context  # frames of 20 ms in a window
        self.rules = Rules(tokens, tuple(banned), self.context, guards.no_repeat)
        self.steps = -(-len(mono) // HOP)
        self.mel = self._mel(mono)
        self.levels = _levels(mono, self.steps)
        self.language = language or self._language()
        self.start = [tokens.start]
        if tokens.multilingual:
            self.start += [tokens.languages[self.language], task]

    def _mel(self, mono: Tensor) -> Tensor:
        """Of the whole recording and the silence after it, because the loudest moment of all is what counts."""
        encoder = self.net.encoder
        end = self.steps + self.context
        whole = F.pad(mono, (0, end * HOP - len(mono)))
        padded = F.pad(torch.cat([whole[1:201].flip(0), whole]), (0, 200))
        blocks = []
        for first in range(0, end, _BLOCK):
            piece = padded[first * HOP : min(first + _BLOCK, end) * HOP + 400]
            blocks.append(encoder.log_bands(piece[None].to(encoder.filters.device))[0].cpu())
        bands = torch.cat(blocks, 1)
        return (bands.clamp(min=float(bands.max()) - 8) + 4) / 4

    def frames(self, places: Sequence[tuple[int, int]]) -> Tensor:
        """What the encoder hears from one step to another; windows that are shorter than 30 s are filled up."""
        device = self.net.encoder.filters.device
        mels = [self.mel[:, 2 * begin : 2 * end] for begin, end in places]
        return self.net.encoder(
            torch.stack([F.pad(mel, (0, 2 * self.context - mel.shape[1])) for mel in mels]).to(device)
        )

    def _language(self) -> str:
        if not self.tokens.multilingual:
            return "en"
        odds: dict[str, float] = {}
        for place in self._sounding(3):
            [heard] = language(self.net, self.tokens, self.frames([place]))
            odds = {name: odds.get(name, 0.0) + value for name, value in heard.items()}
            if max(heard.values()) > _SURE:
                odds = heard
                break
        return max(odds, key=lambda name: odds[name])

    def _sounding(self, most: int) -> Iterator[tuple[int, int]]:
        """The first windows that are not silent; the very beginning when all are."""
        at = self.sound_after(0)
        if at is None:
            yield 0, min(self.context, self.steps)
        while at is not None and most:
            yield at, min(at + self.context, self.steps)
            at, most = self.sound_after(at + self.context), most - 1

    def sound_after(self, step: int) -> int | None:
        """Where to listen on, when nothing sounds for a while from here; None when nothing follows at all."""
        loud = np.flatnonzero(self.levels[step:] > self.guards.hush_db)
        if not len(loud):
            return None
        far = int(loud[0]) * STEP_SECONDS >= _HUSH_SECONDS
        return step + int(loud[0]) - round(_LEAD_SECONDS / STEP_SECONDS) if far else step

    def one_by_one(
        self, prompt: Sequence[int], *, follow: bool, words: bool, progress: Callable[[float], None]
    ) -> Iterator[Line]:
        """Each window begins where the last line of the one before ended.

        Args:
            prompt: Text that the first window is told came before it.
            follow: Whether each window is told the text before it.
            words: Whether words get times.
            progress: Told the fraction that is done.
        """
        told, forgotten, at = list(prompt), 0, self.sound_after(0)
        while at is not None and at < self.steps:
            place = (at, min(at + self.context, self.steps))
            frames = self.frames([place])
            start = self._started(told[forgotten:])
            heard = self._trusted(frames, start, at)
            seek = place[1] - at
            if not self._silent(heard):
                found, seek = lines(self.tokens, heard.numbers, place[1] - at)
                yield from self._lines(found, heard, place, frames, words)
                told += heard.numbers[: sum(map(len, found))]
                if not follow or heard.temperature > _BOLD:
                    forgotten = len(told)
            at = self.sound_after(at + max(seek, 1))
            progress(min(1.0, (self.steps if at is None else at) / max(1, self.steps)))

    def together(
        self, prompt: Sequence[int], batch: int, *, words: bool, progress: Callable[[float], None]
    ) -> Iterator[Line]:
        """Windows cut at quiet places, several at once; each knows nothing of the others."""
        places = list(self.pieces())
        start = self._started(prompt)
        for first in range(0, len(places), batch):
            some = places[first : first + batch]
            frames = self.frames(some)
            generator = torch.Generator().manual_seed(self.guards.seed)
            all_heard = self._decoded(frames, start.expand(len(some), -1), self.guards.temperatures[0], generator)
            for row, (place, quick) in enumerate(zip(some, all_heard, strict=True)):
                own = frames[row : row + 1]
                heard = self._trusted(own, start, place[0], quick)
                if not self._silent(heard):
                    found, _ = lines(self.tokens, heard.numbers, place[1] - place[0], last=True)
                    yield from self._lines(found, heard, place, own, words)
            progress(some[-1][1] / self.steps)

    def pieces(self) -> Iterator[tuple[int, int]]:
        """The recording in pieces of at most a window, cut where it is quietest."""
        at = self.sound_after(0)
        while at is not None and at < self.steps:
            end = min(at + self.context, self.steps)
            if end < self.steps:
                late = max(at + 1, end - round(_CUT_SECONDS / STEP_SECONDS))
                end = late + int(self.levels[late:end].argmin())
            yield at, end
            at = self.sound_after(end)

    def _started(self, before: Sequence[int]) -> Tensor:
        most = self.net.config.text_context // 2 - 1
        before = [self.tokens.before, *before[-most:]] if before else []
        return torch.tensor([[*before, *self.start]], device=self.net.encoder.filters.device)

    def _trusted(self, frames: Tensor, start: Tensor, at: int, quick: Heard | None = None) -> Heard:
        """What is heard at the first temperature that gives no doubtful text; `quick` was, at the first of all."""
        first, *others = self.guards.temperatures
        generator = torch.Generator().manual_seed(self.guards.seed + at)

        def at_temperature(temperature: float) -> Heard:
            [heard] = self._decoded(frames, start, temperature, generator)
            return heard

        heard = quick or at_temperature(first)
        for temperature in others:
            if not self._doubtful(heard):
                break
            heard = at_temperature(temperature)
        return heard

    def _decoded(self, frames: Tensor, starts: Tensor, temperature: float, generator: torch.Generator) -> list[Heard]:
        guards = self.guards
        if guards.beam > 1 and not temperature:
            return searched(self.net, self.rules, frames, starts, width=guards.beam, patience=guards.patience)
        return decoded(
            self.net, self.rules, frames, starts, temperature=temperature, tries=guards.tries, generator=generator
        )

    def _doubtful(self, heard: Heard) -> bool:
        if heard.silence > self.guards.silence and heard.log_probability < self.guards.log_probability:
            return False  # it is silence, which no other choice of words mends
        return heard.compression > self.guards.compression or heard.log_probability < self.guards.log_probability

    def _silent(self, heard: Heard) -> bool:
        return heard.silence > self.guards.silence and heard.log_probability <= self.guards.log_probability

    def _lines(
        self, found: Sequence[Sequence[int]], heard: Heard, place: tuple[int, int], frames: Tensor, words: bool
    ) -> list[Line]:
        """Lines that say something and last, with times within the recording."""
        tokens, begin = self.tokens, place[0] * STEP_SECONDS
        seconds = self.steps * STEP_SECONDS
        texts = [[number for number in line if number < tokens.end] for line in found]
        spoken: list[tuple[list[int], Word]] = []
        if words:
            flat = [number for text in texts for number in text]
            steps = place[1] - place[0]
            spoken = timed(self.net, tokens, self.heads, frames, self.start, flat, steps, self.language)
        result = []
        for line, numbers in zip(found, texts, strict=True):
            own, left = [], len(numbers)
            while spoken and left > 0:
                part, word = spoken.pop(0)
                left -= len(part)
                own.append(
                    Word(word.text.strip(), begin + word.start_seconds, begin + word.end_seconds, word.confidence)
                )
            first, last = ((line[end] - tokens.first_time) * STEP_SECONDS + begin for end in (0, -1))
            text = tokens.text(numbers).strip()
            if text and first < min(last, seconds):
                sure = float(np.exp(heard.log_probability))
                kept = tuple(word for word in own if word.text)
                result.append(Line(text, first, min(last, seconds), kept, sure, heard.silence))
        return result


def _levels(mono: Tensor, steps: int) -> np.ndarray:
    """Loudness of every step of 20 ms, in dB under full scale."""
    power = F.pad(mono, (0, steps * HOP - len(mono))).view(steps, HOP).square().mean(1)
    return (10 * power.clamp(min=1e-12).log10()).numpy()
