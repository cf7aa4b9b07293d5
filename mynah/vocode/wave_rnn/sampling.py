"""From sample to sample: the only part of WaveRNN that takes time.

All that does not depend on the sample before is computed for many samples at once, so that four matrices less wait in
line; and the sound can be cut into pieces that overlap, which are made side by side and crossfaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mynah.vocode.wave_rnn.net import WaveRnnNet

AHEAD = 64  # samples whose conditions are computed together
ABREAST = 64  # pieces that are made side by side; more are no faster, and take memory


@dataclass(frozen=True)
class Pieces:
    """How sound is cut.

    Attributes:
        body: Samples of a piece that are its own.
        overlap: That it has in common with the one before, and with the one behind.
    """

    body: int
    overlap: int

    def cut(self, x: Tensor) -> Tensor:
        """`[time, channel]` into `[piece, body + 2 * overlap, channel]`; the last is filled up with zeros."""
        step = self.body + self.overlap
        count = max(1, -(-(len(x) - self.overlap) // step))
        padded = F.pad(x, (0, 0, 0, count * step + self.overlap - len(x)))
        return padded.unfold(0, step + self.overlap, step).transpose(1, 2)

    def joined(self, pieces: Tensor) -> Tensor:
        """`[piece, body + 2 * overlap]` to `[time]`.

        A piece begins with nothing before it, and what it says first is not heard: for half of the overlap there is the
        piece before alone, and then a crossfade of equal power.
        """
        count, overlap = len(pieces), self.overlap
        fade = overlap - overlap // 2
        rising = F.pad((0.5 * (1 + torch.linspace(-1, 1, fade, dtype=pieces.dtype))).sqrt(), (overlap // 2, 0))
        falling = (1 - rising.square()).sqrt()
        step = self.body + overlap
        sound = pieces.new_zeros(count * step + overlap)
        for number, piece in enumerate(pieces):
            gain = torch.ones_like(piece)
            if number:
                gain[:overlap] = rising
            if number < count - 1:
                gain[-overlap:] = falling
            sound[number * step : number * step + len(piece)] += gain * piece
        return sound


@torch.inference_mode()
def sampled(
    net: WaveRnnNet,
    mel: Tensor,
    *,
    seed: int = 0,
    pieces: Pieces | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Tensor:
    """Sound of one mel spectrogram, before the emphasis is taken off.

    Args:
        net: In `eval` mode.
        mel: `[band, frame]`.
        seed: Of what is drawn; every piece has random numbers of its own.
        pieces: How it is cut; None makes one sample after another.
        progress: Told the fraction that is made.

    Returns:
        `[frame * hop]`, float64, on the CPU.
    """
    pad, length = net.config.pad, mel.shape[-1] * net.config.format.hop
    smooth, aside = (each[0] for each in net.upsample(F.pad(mel[None], (pad, pad))))
    if pieces is None or length <= pieces.body + 2 * pieces.overlap:
        parts = smooth[None], aside[None]
    else:
        parts = pieces.cut(smooth), pieces.cut(aside)
    runner, made = _Runner(net), []
    for first in range(0, len(parts[0]), ABREAST):
        near, far = (part[first : first + ABREAST] for part in parts)

        def told(fraction: float, first: int = first, count: int = len(near)) -> None:
            progress((first + count * fraction) / len(parts[0]))

        luck = torch.stack([_luck(net, seed, first + number, near.shape[1]) for number in range(len(near))])
        made.append(runner.run(near, far, luck.to(mel.device), told))
    sound = net.config.head.read(torch.cat(made).double().cpu())
    return (sound[0] if len(sound) == 1 else pieces.joined(sound) if pieces else sound.flatten())[:length]


def _luck(net: WaveRnnNet, seed: int, piece: int, length: int) -> Tensor:
    dice = Generator().manual_seed((seed * 1_000_003 + piece) % 2**63)
    return torch.rand(length, net.config.head.numbers, generator=dice)


class _Runner:
    """The net's parts, as the walk from sample to sample wants them."""

    def __init__(self, net: WaveRnnNet) -> None:
        self.net, self.head, self.named = net, net.config.head, dict(net.named_parameters())
        named, units, hidden = self.named, net.config.units, net.config.hidden
        self.sample = named["I.weight"][:, 0]
        self.turned = named["rnn1.weight_ih_l0"] @ self.sample  # what a sample does to the first recurrent layer
        self.again1, self.bias1 = named["rnn1.weight_hh_l0"].T.contiguous(), named["rnn1.bias_hh_l0"]
        self.into2 = named["rnn2.weight_ih_l0"][:, :units].T.contiguous()
        self.again2, self.bias2 = named["rnn2.weight_hh_l0"].T.contiguous(), named["rnn2.bias_hh_l0"]
        self.fc1 = named["fc1.weight"][:, :units].T.contiguous()
        self.fc2 = named["fc2.weight"][:, :hidden].T.contiguous()
        self.fc3, self.bias3 = named["fc3.weight"].T.contiguous(), named["fc3.bias"]

    def run(self, smooth: Tensor, aside: Tensor, luck: Tensor, progress: Callable[[float], None]) -> Tensor:
        """Samples `[piece, time]` on the head's grid."""
        count, length, _ = smooth.shape
        state1, state2 = (smooth.new_zeros(count, self.net.config.units) for _ in range(2))
        sample = smooth.new_zeros(count)
        made = smooth.new_empty(length, count)
        for number, (conditions, numbers) in enumerate(self._conditions(smooth, aside, luck)):
            base, gates1, gates2, third, fourth = conditions
            last = sample[:, None]
            x = torch.addcmul(base, last, self.sample)
            state1 = _gated(
                torch.addcmul(gates1, last, self.turned), torch.addmm(self.bias1, state1, self.again1), state1
            )
            x = x + state1
            gates2 = torch.addmm(gates2, x, self.into2)
            state2 = _gated(gates2, torch.addmm(self.bias2, state2, self.again2), state2)
            x = x + state2
            x = torch.addmm(third, x, self.fc1).relu_()
            x = torch.addmm(fourth, x, self.fc2).relu_()
            sample = self.head.drawn(torch.addmm(self.bias3, x, self.fc3), numbers)
            made[number] = sample
            if number % 1000 == 0:
                progress(number / length)
        progress(1.0)
        return made.T

    def _conditions(self, smooth: Tensor, aside: Tensor, luck: Tensor) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """For every sample what is added at each place, and its random numbers."""
        named, units, hidden = self.named, self.net.config.units, self.net.config.hidden
        for begin in range(0, smooth.shape[1], AHEAD):
            now = slice(begin, begin + AHEAD)
            first, second, third, fourth = aside[:, now].transpose(0, 1).chunk(4, -1)
            frames = torch.cat([smooth[:, now].transpose(0, 1), first], -1)
            base = F.linear(frames, named["I.weight"][:, 1:], named["I.bias"])
            together = (
                base,
                F.linear(base, named["rnn1.weight_ih_l0"], named["rnn1.bias_ih_l0"]),
                F.linear(second, named["rnn2.weight_ih_l0"][:, units:], named["rnn2.bias_ih_l0"]),
                F.linear(third, named["fc1.weight"][:, units:], named["fc1.bias"]),
                F.linear(fourth, named["fc2.weight"][:, hidden:], named["fc2.bias"]),
            )
            yield from zip(zip(*together, strict=True), luck[:, now].transpose(0, 1), strict=True)


def _gated(heard: Tensor, remembered: Tensor, state: Tensor) -> Tensor:
    """One step of a GRU, from what its gates hear and remember, `[batch, 3 * unit]` both."""
    units = state.shape[-1]
    reset, keep = torch.sigmoid(heard[:, : 2 * units] + remembered[:, : 2 * units]).chunk(2, -1)
    fresh = torch.addcmul(heard[:, 2 * units :], reset, remembered[:, 2 * units :]).tanh_()
    return torch.lerp(fresh, state, keep)
