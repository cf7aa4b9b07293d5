"""Whisper's encoder: what an English listener makes of a recording, 50 times a second.

The teacher of our own content net, and the judge of whether a conversion kept its words. Only the encoder is built;
what a checkpoint holds of the decoder is left aside.
Paper: Radford, Kim, Xu, Brockman, McLeavey, Sutskever, arXiv 2212.04356. Parameters: openai/whisper, MIT.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_foreign, load_strict
from mynah.catalog.weights import locate
from mynah.core.errors import BadAudio, BadCheckpoint
from mynah.core.system import Weights
from mynah.core.types import Audio
from mynah.features.mel import mel_filters

RATE = 16_000
HOP = 320  # samples between frames that come out: 50 frames/s
HEAD = 64  # channels of one attention head, in every size that was published
DEFAULT = "openai/whisper-tiny.en"
PUBLISHED = {
    DEFAULT: Weights(
        source="https://openaipublic.azureedge.net/main/whisper/models/"
        "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03/tiny.en.pt",
        sha256="d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
        bytes=75_571_315,
        license="MIT",
    )
}


@dataclass(frozen=True)
class WhisperConfig:
    """Sizes, of `tiny` by default. `context` is how many frames fit into one window: 30 s."""

    bands: int = 80
    size: int = 384
    layers: int = 4
    context: int = 1500


class Attention(nn.Module):
    """Every frame looks at every other."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.heads = size // HEAD
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size, bias=False)
        self.value = nn.Linear(size, size)
        self.out = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part(x).unflatten(-1, (self.heads, HEAD)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Attention, then a frame by itself."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.attn = Attention(size)
        self.attn_ln = nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.mlp_ln = nn.LayerNorm(size)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.attn_ln(x))
        out: Tensor = x + self.mlp(self.mlp_ln(x))
        return out


class WhisperEncoder(nn.Module):
    """The encoder in the key layout of openai/whisper, without the prefix `encoder.`.

    Shape:
        Log-mel windows `[batch, bands, 2 * frame]` to `[batch, frame, size]`, at most `context` frames.
    """

    positional_embedding: Tensor
    filters: Tensor
    window: Tensor

    def __init__(self, config: WhisperConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or WhisperConfig()
        self.conv1 = nn.Conv1d(config.bands, config.size, 3, padding=1)
        self.conv2 = nn.Conv1d(config.size, config.size, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", torch.zeros(config.context, config.size))
        self.blocks = nn.ModuleList(Block(config.size) for _ in range(config.layers))
        self.ln_post = nn.LayerNorm(config.size)
        self.register_buffer("filters", mel_filters(RATE, 400, config.bands), persistent=False)
        self.register_buffer("window", torch.hann_window(400), persistent=False)

    def log_mel(self, wave: Tensor) -> Tensor:
        """Whisper's front end for 16 kHz waveforms with 200 samples of surroundings on either side.

        Shape:
            `[batch, 200 + time + 200]` to `[batch, bands, time // 160]`.
        """
        mel = self.log_bands(wave)
        return (torch.maximum(mel, mel.amax(dim=(1, 2), keepdim=True) - 8) + 4) / 4

    def log_bands(self, wave: Tensor) -> Tensor:
        """As `log_mel`, before what lies 80 dB under the loudest is lifted to that: logarithms to base 10 of power."""
        spectrum = torch.stft(wave, 400, 160, window=self.window, center=False, return_complex=True)
        power = spectrum[..., : (wave.shape[-1] - 400) // 160].abs().square()
        return torch.matmul(self.filters, power).clamp(min=1e-10).log10()

    def forward(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        # A short window is not filled up with 30 s of silence: it just uses the first positions.
        x = x + self.positional_embedding[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.ln_post(x)
        return out

    @torch.inference_mode()
    def encode(self, audio: Audio, progress: Callable[[float], None] | None = None) -> Tensor:
        """Frames of a recording of any length, rate and number of channels, in windows of 30 s.

        Frame `i` begins at `i * 20` ms. The last one may be filled up with silence.

        Args:
            audio: Channels are averaged.
            progress: Told the fraction done, 0 to 1.

        Returns:
            Shape `[frame, size]`, on the CPU.

        Raises:
            BadAudio: Empty, or not finite.
        """
        mono = resample(Audio(audio.samples.mean(0, keepdim=True), audio.rate), RATE).samples[0]
        if not mono.numel():
            raise BadAudio("the recording is empty: there are no words in it to hear")
        if not mono.isfinite().all():
            raise BadAudio("the recording contains NaN or infinity; export it again")
        frames = []
        for wave, fraction in self._windows(mono):
            frames.append(self(self.log_mel(wave[None].to(self.filters.device)))[0].cpu())
            if progress:
                progress(fraction)
        return torch.cat(frames)

    def _windows(self, mono: Tensor) -> Iterator[tuple[Tensor, float]]:
        count = -(-len(mono) // HOP)
        whole = F.pad(mono, (0, count * HOP - len(mono)))
        # The published front end mirrors the start of a recording; what follows its end is silence there as well.
        padded = F.pad(torch.cat([whole[1:201].flip(0), whole]), (0, 200))
        for first in range(0, count, self.config.context):
            last = min(first + self.config.context, count)
            yield padded[first * HOP : last * HOP + 400], last / count


def load(
    weights: str | Path = DEFAULT, *, device: str = "cpu", progress: Callable[[float], None] | None = None
) -> WhisperEncoder:
    """An encoder of any published size, ready to `encode`.

    Args:
        weights: A file in the layout of openai/whisper or of Hugging Face, or the name `openai/whisper-tiny.en`.
        device: Where it runs.
        progress: Told the fraction that has been downloaded, 0 to 1.

    Raises:
        BadOption: Neither a file nor a name that is known.
        BadCheckpoint: Damaged, hostile, or no Whisper encoder.
        Offline: The published file is not here and cannot be fetched.
    """
    path = locate(str(weights), PUBLISHED, progress)
    return from_state(load_foreign(path), str(path)).to(device)


def from_state(checkpoint: Mapping[str, Any], what: str = "the checkpoint") -> WhisperEncoder:
    """An encoder from the keys and shapes of a checkpoint, in inference mode.

    Raises:
        BadCheckpoint: It is not a Whisper encoder; `what` is named in the message.
    """
    nested = checkpoint.get("model_state_dict", checkpoint)
    state = remap({name: value for name, value in nested.items() if isinstance(value, Tensor)})
    try:
        config = WhisperConfig(
            bands=state["conv1.weight"].shape[1],
            size=state["conv1.weight"].shape[0],
            layers=len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
            context=state["positional_embedding"].shape[0],
        )
    except (KeyError, IndexError) as error:
        raise BadCheckpoint(f"{what} holds no Whisper encoder (no conv1 and positional_embedding)") from error
    if config.size < HEAD or config.size % HEAD or not config.bands:
        raise BadCheckpoint(f"{what} is no Whisper encoder: {config.size} channels are no multiple of {HEAD}")
    encoder = WhisperEncoder(config)
    load_strict(encoder, state, what)
    return encoder.eval().requires_grad_(False)


HUGGING_FACE = {
    "embed_positions.weight": "positional_embedding",
    "layer_norm.": "ln_post.",
    "self_attn_layer_norm.": "attn_ln.",
    "final_layer_norm.": "mlp_ln.",
    "self_attn.q_proj.": "attn.query.",
    "self_attn.k_proj.": "attn.key.",
    "self_attn.v_proj.": "attn.value.",
    "self_attn.out_proj.": "attn.out.",
    "fc1.": "mlp.0.",
    "fc2.": "mlp.2.",
}


def remap(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's part of a checkpoint in openai/whisper's names or Hugging Face's, in ours.

    Example:

        >>> theirs = {"model.encoder.layers.3.self_attn.q_proj.bias": torch.zeros(1), "decoder.ln.bias": torch.zeros(1)}
        >>> list(remap(theirs))
        ['blocks.3.attn.query.bias']
    """
    ours = {}
    for name, tensor in state.items():
        short = name.removeprefix("model.")
        if not short.startswith("encoder."):
            continue
        short = short.removeprefix("encoder.")
        layer, rest = re.fullmatch(r"((?:layers|blocks)\.\d+\.)?(.*)", short).groups(default="")  # type: ignore[union-attr]
        for theirs, here in HUGGING_FACE.items():
            if rest.startswith(theirs):
                rest = here + rest.removeprefix(theirs)
                break
        ours[layer.replace("layers.", "blocks.") + rest] = tensor
    return ours
