"""HuBERT: what is said, 50 times a second, learnt from speech without text; soft units hide the speaker besides.

Paper: Hsu et al., arXiv 2106.07447; soft units: van Niekerk et al., "A Comparison of Discrete and Soft Speech Units for
Improved Voice Conversion", arXiv 2111.02392. Parameters: bshall/hubert, MIT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_foreign, load_strict
from mynah.catalog.weights import locate
from mynah.core.errors import BadCheckpoint
from mynah.core.system import Weights
from mynah.nets.normed import Conv1d

RATE = 16_000
HOP = 320  # samples between frames
WINDOW = 400  # samples that a frame is made of, before frames hear each other
DEFAULT = "bshall/hubert-soft"
PUBLISHED = {
    DEFAULT: Weights(
        source="https://github.com/bshall/hubert/releases/download/v0.1/hubert-soft-0d54a1f4.pt",
        sha256="0d54a1f4",
        bytes=380_000_000,  # a bound: nobody published the size
        license="MIT",
    )
}
_KERNELS, _STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


@dataclass(frozen=True)
class HubertConfig:
    """Sizes, those of the base model by default; `units` is what comes out, `labels` belongs to training."""

    channels: int = 512
    size: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    kernel: int = 128
    groups: int = 16
    units: int = 256
    labels: int = 100


class _Front(nn.Module):
    """From samples to frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for number, (kernel, stride) in enumerate(zip(_KERNELS, _STRIDES, strict=True)):
            self.add_module(f"conv{number}", nn.Conv1d(channels if number else 1, channels, kernel, stride, bias=False))
        self.norm0 = nn.GroupNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norm0(self.get_submodule("conv0")(x)))
        for number in range(1, len(_KERNELS)):
            x = F.gelu(self.get_submodule(f"conv{number}")(x))
        return x


class _Projection(nn.Module):
    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.projection = nn.Linear(channels, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.norm(x))


class _Position(nn.Module):
    """A convolution over a second says where a frame is."""

    def __init__(self, size: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.conv = Conv1d(size, size, kernel, padding=kernel // 2, groups=groups, dim=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.conv(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)


class _Attention(nn.Module):
    """In the key layout of `torch.nn.MultiheadAttention`."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * size, size))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * size))
        self.out_proj = nn.Linear(size, size)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor) -> Tensor:
        parts = F.linear(x, self.in_proj_weight, self.in_proj_bias).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        return self.out_proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class _Layer(nn.Module):
    """In the key layout of `torch.nn.TransformerEncoderLayer`."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.self_attn = _Attention(config.size, config.heads)
        self.linear1 = nn.Linear(config.size, config.hidden)
        self.linear2 = nn.Linear(config.hidden, config.size)
        self.norm1 = nn.LayerNorm(config.size)
        self.norm2 = nn.LayerNorm(config.size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.self_attn(x))
        return self.norm2(x + self.linear2(F.gelu(self.linear1(x))))


class Hubert(nn.Module):
    """The base model in the key layout of bshall/hubert.

    Shape:
        16 kHz waveforms `[batch, time]` to soft units `[batch, time // 320, units]`.
    """

    def __init__(self, config: HubertConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HubertConfig()
        self.feature_extractor = _Front(config.channels)
        self.feature_projection = _Projection(config.channels, config.size)
        self.positional_embedding = _Position(config.size, config.kernel, config.groups)
        self.norm = nn.LayerNorm(config.size)
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(_Layer(config) for _ in range(config.layers))})
        self.proj = nn.Linear(config.size, config.units)
        # Training alone had a use for these two; files have them.
        self.masked_spec_embed = nn.Parameter(torch.zeros(config.size))
        self.label_embedding = nn.Embedding(config.labels, config.units)

    def states(self, wave: Tensor, layers: int | None = None) -> Tensor:
        """Frames `[batch, (time - 400) // 320 + 1, size]` behind so many layers, or behind all."""
        x = self.feature_projection(self.feature_extractor(wave[:, None]).transpose(1, 2))
        x = self.norm(x + self.positional_embedding(x))
        for layer in list(self.encoder["layers"])[:layers]:  # type: ignore[call-overload]
            x = layer(x)
        return x

    def forward(self, wave: Tensor) -> Tensor:
        around = (WINDOW - HOP) // 2
        return self.proj(self.states(F.pad(wave, (around, around))))


def load(
    weights: str | Path = DEFAULT, *, device: str = "cpu", progress: Callable[[float], None] | None = None
) -> Hubert:
    """Soft HuBERT, ready to listen.

    Args:
        weights: A file in the layout of bshall/hubert, or the name `bshall/hubert-soft`.
        device: Where it runs.
        progress: Told the fraction that has been downloaded, 0 to 1.

    Raises:
        BadOption: Neither a file nor a name that is known.
        BadCheckpoint: Damaged, hostile, or another net.
        Offline: The published file is not here and cannot be fetched.
    """
    path = locate(str(weights), PUBLISHED, progress)
    return from_state(load_foreign(path), str(path)).to(device)


def from_state(checkpoint: Mapping[str, object], what: str = "the checkpoint") -> Hubert:
    """A net from the keys and shapes of a checkpoint, in inference mode; training on several GPUs put `module.` first.

    Raises:
        BadCheckpoint: It is not in the layout of bshall/hubert; `what` is named in the message.
    """
    state = {name.removeprefix("module."): value for name, value in checkpoint.items() if isinstance(value, Tensor)}
    try:
        size, channels = state["feature_projection.projection.weight"].shape
        grouped, kernel = state["positional_embedding.conv.weight_v"].shape[1:]
        config = HubertConfig(
            channels=channels,
            size=size,
            layers=len({name.split(".")[2] for name in state if name.startswith("encoder.layers.")}),
            heads=max(1, size // 64),
            hidden=state["encoder.layers.0.linear1.weight"].shape[0],
            kernel=kernel,
            groups=size // grouped,
            units=state["proj.weight"].shape[0],
            labels=state["label_embedding.weight"].shape[0],
        )
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise BadCheckpoint(f"{what} holds no HuBERT in the layout of bshall/hubert") from error
    net = Hubert(config)
    load_strict(net, state, what)
    return net.eval().requires_grad_(False)
