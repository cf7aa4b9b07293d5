"""What every system that separates shares: rates, channels and lengths around a net that works at one rate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from mynah.audio.mixing import match_channels
from mynah.audio.resample import Resampler
from mynah.core.errors import BadAudio
from mynah.core.system import System
from mynah.core.types import Audio, Stems
from mynah.core.verbs import Blocks, Options

C = TypeVar("C")
Pieces = Callable[[], Iterator[Tensor]]
"""A recording that can be opened as often as needed: pieces `[channel, time]` of any length."""


class Separator(System[C]):
    """A system that takes a mix apart. A subclass says at what rate and with how many channels, and does `apart`.

    Attributes:
        rate: Of what the net hears, in Hz.
        channels: Of what the net hears: 2; or 1, and then every channel of a stereo mix goes through by itself.
        remainder: The stem that is the mix minus all others, so that the stems add up to the mix; empty when none is.
    """

    rate: int
    channels: int = 2
    remainder: ClassVar[str] = ""

    @property
    @abstractmethod
    def stems(self) -> tuple[str, ...]:
        """Names of the parts, in the order in which `apart` gives them."""

    @abstractmethod
    def apart(self, mix: Pieces, options: Options | None) -> Iterator[Tensor]:
        """Take a mix apart at the net's own rate and channels.

        Args:
            mix: Opens the mix, `[channel, time]` in pieces. To be opened once more by whoever needs to know the whole
                beforehand, such as its mean.
            options: Of this system; `None` for the defaults.

        Returns:
            Pieces `[stem, channel, time]`, together as long as the mix. The remainder's samples are not looked at.
        """

    def separate(self, mix: Audio, options: Options | None = None) -> Stems:
        """Take a mix apart.

        Args:
            mix: Any rate; of more than two channels the stereo downmix is separated.
            options: Knobs.

        Returns:
            Every stem with the rate and number of samples of the mix, and one channel for one, two for more.

        Raises:
            BadAudio: The mix is empty or holds something that is not a number.
        """
        parts = list(self.stream(lambda: iter((mix,)), options))
        return Stems(
            {name: Audio(torch.cat([part[name].samples for part in parts], -1), mix.rate) for name in parts[0]}
        )

    @torch.inference_mode()
    def stream(self, mix: Blocks, options: Options | None = None) -> Iterator[Stems]:
        """As `separate`, piece by piece: memory does not grow with the length of the mix.

        Args:
            mix: Opens the mix; its blocks have one rate and one number of channels.
            options: Knobs.

        Raises:
            BadAudio: The mix is empty or holds something that is not a number.
        """
        first = next((block for block in mix() if block.samples.shape[-1]), None)
        if first is None:
            raise BadAudio("the recording is empty: there is nothing to separate")
        rate, channels = first.rate, min(2, first.samples.shape[0])

        def blocks() -> Iterator[Tensor]:
            for block in mix():
                if not block.samples.isfinite().all():
                    raise BadAudio("the recording holds samples that are not numbers (NaN or infinite)")
                yield match_channels(block, channels).samples

        def heard() -> Iterator[Tensor]:
            resampler = Resampler(rate, self.rate)
            for block in blocks():
                yield resampler.push(Audio(block, rate)).samples
            yield resampler.flush().samples

        def answered() -> Iterator[Tensor]:
            back = Resampler(self.rate, rate)
            for part in self._fitted(heard, channels, options):
                yield back.push(Audio(part.flatten(0, 1), self.rate)).samples
            yield back.flush().samples

        # Resampling there and back may end a sample early or late: the mix itself says how long the stems are.
        own = blocks()
        mixed = next(own)
        for part in chain(answered(), repeat(torch.zeros(len(self.stems) * channels, rate))):
            while mixed.shape[-1] < part.shape[-1] and (more := next(own, None)) is not None:
                mixed = torch.cat([mixed, more], -1)
            length = min(part.shape[-1], mixed.shape[-1])
            if length:
                yield self._named(part[:, :length], mixed[:, :length], rate)
            mixed = mixed[:, length:]
            if length < part.shape[-1]:
                break

    def _fitted(self, mix: Pieces, channels: int, options: Options | None) -> Iterator[Tensor]:
        """`[stem, channel, time]` with as many channels as the mix, whatever the net wants."""
        if channels == self.channels:
            yield from self.apart(mix, options)
        elif channels == 1:
            for part in self.apart(lambda: (piece.expand(self.channels, -1) for piece in mix()), options):
                yield part.mean(1, keepdim=True)
        else:
            sides = [self.apart(partial(_side, mix, channel), options) for channel in range(channels)]
            for parts in zip(*sides, strict=True):
                yield torch.cat(parts, 1)

    def _named(self, part: Tensor, mixed: Tensor, rate: int) -> Stems:
        stems = dict(zip(self.stems, part.unflatten(0, (len(self.stems), -1)), strict=True))
        if self.remainder:
            stems[self.remainder] = mixed - sum(stem for name, stem in stems.items() if name != self.remainder)
        return Stems({name: Audio(stem.contiguous(), rate) for name, stem in stems.items()})


def _side(mix: Pieces, channel: int) -> Iterator[Tensor]:
    return (piece[channel : channel + 1] for piece in mix())
