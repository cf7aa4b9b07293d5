"""Sizes of the nets of both generations, and how a preset (`hparams.json`) says them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mynah.core.errors import BadCheckpoint
from mynah.features.mel import LOG10, UNIT, MelFormat
from mynah.nets.heads import Head, Mol, Normal, Raw

Kind = Literal["mol", "gaussian", "mulaw"]


def later(**named: Any) -> MelFormat:
    """Mel spectrograms of the later generation; `means` and `deviations` belong to the recordings that were learnt."""
    return MelFormat(low_hz=125.0, high_hz=7600.0, centred=True, scale=LOG10, epsilon=0.0, **named)


def earlier(rate: int = 22_050) -> MelFormat:
    """Mel spectrograms of 2018, which were made by LWS."""
    return MelFormat(rate, low_hz=125.0, high_hz=7600.0, edges="constant", scale=UNIT, epsilon=0.0, root=True)


@dataclass(frozen=True)
class Config:
    """What a net makes sound of, how large it is, and on what sound it was trained.

    Attributes:
        format: Of the mel spectrograms.
        kind: What it says of the next sample: a mixture of logistic distributions, a normal one, or 256 steps.
        early: Whether it is of the first generation, which computes otherwise.
        layers: In all.
        stacks: In each of which dilations begin at 1 again.
        residual: Channels that are passed on.
        gate: Channels before gates; half of them remain.
        skip: Channels that are collected.
        scales: By which frames are stretched to samples.
        pad: Frames on either side that a frame is heard with.
        high: Height of the kernels that stretch, in bands.
        mixture: Distributions of a mixture.
        speakers: How many it knows; 0 for one that nobody is named to.
        speaker: Size of the vector of a speaker.
        gain: By which sound was multiplied.
        emphasis: Share of the sample before that was taken off every sample.
        cut_hz: Below which nothing was heard; 0 for no such filter.
        narrowest: Logarithm of the least width that training tells apart.
    """

    format: MelFormat = field(default_factory=later)
    kind: Kind = "mol"
    early: bool = False
    layers: int = 24
    stacks: int = 4
    residual: int = 128
    gate: int = 256
    skip: int = 128
    scales: tuple[int, ...] = (4, 4, 4, 4)
    pad: int = 2
    high: int = 1
    mixture: int = 10
    speakers: int = 0
    speaker: int = 0
    gain: float = 0.55
    emphasis: float = 0.85
    cut_hz: float = 70.0
    narrowest: float = -16.0

    @property
    def head(self) -> Head:
        """How samples are written, expected and drawn."""
        if self.kind == "mulaw":
            return Raw(8)
        return (
            Normal(self.narrowest)
            if self.kind == "gaussian"
            else Mol(self.mixture, narrowest=self.narrowest, rounded=False)
        )

    @property
    def dilations(self) -> list[int]:
        """Of every layer."""
        return [2 ** (layer % (self.layers // self.stacks)) for layer in range(self.layers)]


LATER = {
    "mol": Config(),
    "gaussian": Config(kind="gaussian"),
    "mulaw256": Config(kind="mulaw", layers=30, stacks=3),
}
EARLIER = Config(
    earlier(), early=True, residual=512, gate=512, skip=256, pad=0, high=3, gain=1.0, emphasis=0.0, cut_hz=0.0,
    narrowest=math.log(1e-14),
)  # fmt: skip
_KINDS: dict[tuple[str, str], Kind] = {
    ("raw", "Logistic"): "mol",
    ("raw", "Normal"): "gaussian",
    ("mulaw-quantize", "Logistic"): "mulaw",
    ("mulaw-quantize", "Normal"): "mulaw",
}
_COUNTS = {
    "layers": "layers", "stacks": "stacks", "residual_channels": "residual", "gate_channels": "gate",
    "skip_out_channels": "skip",
}  # fmt: skip
_FORMAT = {"sample_rate": "rate", "fft_size": "n_fft", "hop_size": "hop", "num_mels": "bands"}


def config_of(told: Mapping[str, Any], where: object, *, early: bool) -> Config:
    """What a preset means.

    Args:
        told: As read.
        where: Named in messages.
        early: Whether the weights are of the first generation.

    Raises:
        BadCheckpoint: It is of something else, does not hold together, or asks for what no published net has.
    """
    usual = EARLIER if early else LATER["mol"]
    try:
        kind = _KINDS[str(told.get("input_type", "raw")), str(told.get("output_distribution", "Logistic"))]
        sizes = {ours: _count(told[theirs], 8192) for theirs, ours in _COUNTS.items()}
        format = {ours: _count(told[theirs], 1 << 20) for theirs, ours in _FORMAT.items()}
        win = told.get("win_length") or format["n_fft"]
        scales = told["upsample_scales"] if early else told["upsample_params"]["upsample_scales"]
        speaking = told.get("gin_channels", -1) > 0
        config = Config(
            MelFormat(
                *(format["rate"], format["n_fft"], format["hop"], _count(win, 1 << 20), format["bands"]),
                low_hz=float(told["fmin"]),
                high_hz=None if told["fmax"] is None else float(told["fmax"]),
                centred=not early,
                edges="constant" if early else "reflect",
                scale=UNIT if early else LOG10,
                epsilon=0.0,
                root=early,
            ),
            kind,
            early,
            **sizes,
            scales=tuple(_count(scale, 64) for scale in scales),
            pad=0 if early else _count(told.get("cin_pad", usual.pad), 64),
            high=_count(told.get("freq_axis_kernel_size", usual.high), 9),
            mixture=_count(told.get("out_channels", 30), 3 * 64) // 3 if kind == "mol" else usual.mixture,
            speakers=_count(told["n_speakers"], 10_000) if speaking else 0,
            speaker=_count(told["gin_channels"], 1024) if speaking else 0,
            gain=float(told.get("global_gain_scale") or 1.0),
            emphasis=usual.emphasis if told.get("preprocess") == "preemphasis" else 0.0,
            cut_hz=float(told.get("highpass_cutoff") or 0.0),
            narrowest=float(told.get("log_scale_min", usual.narrowest)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadCheckpoint(f"{where}: is no preset of a WaveNet: {error}") from None
    sound = config.format
    if (
        config.layers % config.stacks
        or config.layers // config.stacks > 16
        or config.gate % 2
        or told.get("kernel_size", 3) != 3
        or not told.get("upsample_conditional_features", True)
        or config.high % 2 == 0
        or not 8000 <= sound.rate <= 192_000
        or not sound.hop <= sound.n_fft // 2
        or sound.win > sound.n_fft
    ):
        raise BadCheckpoint(f"{where}: its preset does not hold together, or is of a net that nobody published")
    if math.prod(config.scales) != sound.hop:
        raise BadCheckpoint(f"{where}: {math.prod(config.scales)} samples of a frame do not fit a hop of {sound.hop}")
    return config


def _count(value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"a number from 1 to {most} is wanted, not {str(value)[:40]}")
    return int(value)
