"""The singer as an ONNX graph, which sings wherever there is a runtime for such graphs.

Layers whose fast forms here reckon with the length of a song while they run are spelt out in plain operations, so that
the graph takes any length. What is random is given from outside, so that the graph gives the same as the net.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.whisper_vits_svc.decoder import SpeakerAdapter
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.snake import TAPS, Snake, kaiser_sinc
from mynah.convert.whisper_vits_svc.source import HARMONICS
from mynah.core.atomic import replacing
from mynah.core.errors import MissingExtra
from mynah.nets.normed import folded
from mynah.nets.relative import RelativeAttention

OPSET = 17
FRAMES = 32  # of the example that the graph is drawn from


class _Snake(nn.Module):
    """`Snake` as two depthwise convolutions, each with its edges held."""

    def __init__(self, snake: Snake) -> None:
        super().__init__()
        self.channels = len(snake.act["alpha"])
        self.alpha = nn.Parameter(snake.act["alpha"].detach().exp()[:, None])
        self.share = nn.Parameter(1 / (snake.act["beta"].detach().exp()[:, None] + 1e-9))
        self.register_buffer("filter", kaiser_sinc().expand(self.channels, 1, TAPS).clone())

    def forward(self, x: Tensor) -> Tensor:
        taps = self.get_buffer("filter")
        side = TAPS // 2 - 1
        held = F.pad(x, (side, side), mode="replicate")
        fast = F.conv_transpose1d(held, 2 * taps, stride=2, groups=self.channels)[..., 3 * side : -3 * side]
        fast = fast + (fast * self.alpha).sin().square() * self.share
        return F.conv1d(F.pad(fast, (side, side + 1), mode="replicate"), taps, stride=2, groups=self.channels)


class _Attention(nn.Module):
    """`RelativeAttention` of one song, with a table of distances."""

    def __init__(self, attention: RelativeAttention) -> None:
        super().__init__()
        self.inner, self.heads, self.window = attention, attention.heads, attention.window

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inner, size = self.inner, self.inner.conv_q.out_channels // self.heads
        query, key, value = (
            part(x).reshape(1, self.heads, size, -1).transpose(2, 3)
            for part in (inner.conv_q, inner.conv_k, inner.conv_v)
        )
        query = query / size**0.5
        place = torch.cumsum(torch.ones_like(x[0, 0]), 0).long()
        distance = place[None] - place[:, None] + self.window
        near = ((distance >= 0) & (distance <= 2 * self.window)).float()
        which = distance.clamp(0, 2 * self.window)
        told = query @ inner.emb_rel_k.transpose(1, 2)
        scores = query @ key.transpose(2, 3) + near * told.gather(3, which.expand(1, self.heads, -1, -1))
        shares = scores.masked_fill(mask[:, None] == 0, -1e4).softmax(-1)
        heard = shares @ value
        for number in range(2 * self.window + 1):
            share = (shares * (distance == number).float()).sum(-1, keepdim=True)
            heard = heard + share * inner.emb_rel_v[:, number, None]
        return inner.conv_o(heard.transpose(2, 3).reshape(1, self.heads * size, -1))


class _Adapter(nn.Module):
    """`SpeakerAdapter`, whose number of channels is a constant."""

    def __init__(self, adapter: SpeakerAdapter) -> None:
        super().__init__()
        self.inner = adapter

    def forward(self, x: Tensor, voice: Tensor) -> Tensor:
        even = F.layer_norm(x.transpose(1, 2), (self.inner.W_scale.out_features,))
        return (even * self.inner.W_scale(voice)[:, None] + self.inner.W_bias(voice)[:, None]).transpose(1, 2)


class Graph(nn.Module):
    """What becomes a graph.

    Shape:
        `words` `[1, size, frame]`, and `sounds` where the net hears a second feature, 100 frames a second; `pitch`
        (Hz, 0 where unvoiced) `[1, frame]`; `voice` `[1, size]`; `noise` `[1, latent, frame]` and `hiss`
        `[1, frame * hop]`, white of variance one; `phases` (turns by which the harmonics start) `[1, 11]`; to `sound`
        `[1, 1, frame * hop]`.
    """

    def __init__(self, singer: Singer) -> None:
        super().__init__()
        self.singer = folded(deepcopy(singer).cpu().float())
        for parent in list(self.singer.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, Snake):
                    setattr(parent, name, _Snake(child))
                elif isinstance(child, RelativeAttention):
                    setattr(parent, name, _Attention(child))
                elif isinstance(child, SpeakerAdapter):
                    setattr(parent, name, _Adapter(child))
        self.eval().requires_grad_(False)

    def example(self, frames: int = FRAMES, seed: int = 0) -> dict[str, Tensor]:
        """Something to sing, by name and in order."""
        config, dice = self.singer.config, torch.Generator().manual_seed(seed)

        def white(*shape: int) -> Tensor:
            return torch.randn(shape, generator=dice)

        given = {"words": white(1, config.words, frames)}
        if config.sounds:
            given["sounds"] = white(1, config.sounds, frames)
        pitch = 200 * 2 ** (white(1, frames) / 3) * (white(1, frames) > -1)
        given |= {"pitch": pitch, "voice": white(1, config.voice), "noise": white(1, config.latent, frames)}
        return given | {"hiss": white(1, frames * config.decoder.hop), "phases": white(1, HARMONICS)}

    def forward(self, *given: Tensor) -> Tensor:
        words, *sounds, pitch, voice, noise, hiss, phases = given
        singer = self.singer
        mask = torch.ones_like(pitch)[:, None]
        latent = singer.latent(words, sounds[0] if sounds else None, pitch, voice, mask, noise)
        source = singer.dec.m_source(pitch, hiss, phases=phases)
        # The decoder of a net that could still learn does everything at once.
        return singer.dec(latent, source, voice)


def to_onnx(singer: Singer, out: Path) -> Path:
    """Write what sings as one file, for any number of frames.

    Raises:
        MissingExtra: The package `onnx` is not installed.
        NoSpace: The disk is full.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtra("onnx", "onnx") from error
    graph = Graph(singer)
    given = graph.example()
    long = {
        name: {len(value.shape) - 1: "sample" if name == "hiss" else "frame"}
        for name, value in given.items()
        if name not in ("voice", "phases")
    }
    with replacing(out) as half, torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's older exporter about itself; the newer one wants a package more
        torch.onnx.export(
            graph,
            tuple(given.values()),
            half,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(given),
            output_names=["sound"],
            dynamic_axes=long | {"sound": {2: "sample"}},
        )
    return out
