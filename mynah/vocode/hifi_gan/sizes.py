"""Sizes of the nets: the three published ones, and how a `config.json` says them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mynah.core.errors import BadCheckpoint
from mynah.features.mel import MelFormat
from mynah.nets.nsf import DecoderConfig

_MOST = 64  # of rates, kernels and dilations
_KINDS = {"1": False, "2": True}  # of blocks: whether they are made of single convolutions
_SIZES = ("sampling_rate", "n_fft", "hop_size", "win_size", "num_mels")


def _decoder(channels: int, **named: Any) -> DecoderConfig:
    usual: dict[str, Any] = {"rate": 22_050, "rates": (8, 8, 2, 2), "up_kernels": (16, 16, 4, 4), "normed": True}
    return DecoderConfig(channels=channels, **(usual | named))


SIZES = {
    "v1": _decoder(512),
    "v2": _decoder(128),
    "v3": _decoder(
        256,
        rates=(8, 8, 4),
        up_kernels=(16, 16, 8),
        kernels=(3, 5, 7),
        dilations=((1, 2), (2, 6), (3, 12)),
        single=True,
    ),
}


@dataclass(frozen=True)
class Config:
    """What a net makes sound of, and how large it is."""

    format: MelFormat = field(default_factory=MelFormat)
    decoder: DecoderConfig = SIZES["v1"]


def described(config: Config) -> dict[str, Any]:
    """What a `config.json` says of a net."""
    decoder, format = config.decoder, config.format
    return {
        "resblock": "2" if decoder.single else "1",
        "upsample_rates": list(decoder.rates),
        "upsample_kernel_sizes": list(decoder.up_kernels),
        "upsample_initial_channel": decoder.channels,
        "resblock_kernel_sizes": list(decoder.kernels),
        "resblock_dilation_sizes": [list(row) for row in decoder.dilations],
        "num_mels": format.bands,
        "n_fft": format.n_fft,
        "hop_size": format.hop,
        "win_size": format.win,
        "sampling_rate": format.rate,
        "fmin": format.low_hz,
        "fmax": format.high_hz,
    }


def config_of(told: Mapping[str, Any], where: object) -> Config:
    """What a `config.json` means.

    Raises:
        BadCheckpoint: It is of something else, or does not hold together; names `where`.
    """
    try:
        rates, up_kernels = _numbers(told["upsample_rates"]), _numbers(told["upsample_kernel_sizes"])
        kernels = _numbers(told["resblock_kernel_sizes"])
        dilations = tuple(_numbers(row) for row in told["resblock_dilation_sizes"])
        high = told.get("fmax")
        rate, n_fft, hop, win, bands = (_number(told[name], 1 << 20) for name in _SIZES)
        format = MelFormat(
            *(rate, n_fft, hop, win, bands),
            low_hz=float(told.get("fmin") or 0),
            high_hz=None if high is None else float(high),
        )
        channels, single = _number(told["upsample_initial_channel"], 4096), _KINDS[str(told["resblock"])]
    except (KeyError, TypeError, ValueError) as error:
        raise BadCheckpoint(f"{where}: is no description of a HiFi-GAN: {error}") from None
    decoder = DecoderConfig(format.rate, channels, rates, up_kernels, kernels, dilations, normed=True, single=single)
    ups = list(zip(up_kernels, rates, strict=False))
    sound = 8000 <= format.rate <= 192_000 and format.win <= format.n_fft and format.hop <= format.n_fft // 2
    band = 0 <= format.low_hz < (format.high_hz or format.rate / 2) <= format.rate / 2 and format.bands <= 1024
    if (
        len(rates) != len(up_kernels)
        or len(kernels) != len(dilations)
        or any(kernel < rate or (kernel - rate) % 2 for kernel, rate in ups)
        or any(kernel % 2 == 0 for kernel in kernels)
        or channels % 2 ** len(rates)
        or not sound
        or not band
    ):
        raise BadCheckpoint(f"{where}: its description of a HiFi-GAN does not hold together")
    if math.prod(rates) != format.hop:
        raise BadCheckpoint(f"{where}: {math.prod(rates)} samples of a frame do not go with a hop of {format.hop}")
    return Config(format, decoder)


def _numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not 1 <= len(values) <= 8:
        raise ValueError(f"a list of numbers is wanted, not {str(values)[:40]}")
    return tuple(_number(value, _MOST) for value in values)


def _number(value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"a number from 1 to {most} is wanted, not {str(value)[:40]}")
    return int(value)
