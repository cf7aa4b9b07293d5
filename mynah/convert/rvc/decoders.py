"""Which decoders the files of RVC and Applio bring, under which names, and of which sizes.

RVC knows HiFi-GAN alone. Applio also has "MRF HiFi-GAN", which is the same net under other names, with nine sines and
weight norm at both ends, and "RefineGAN", of which its releases have had two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from mynah.convert.rvc.refine import RefineConfig
from mynah.convert.rvc.sizes import FRAMES_PER_SECOND, PUBLISHED, DecoderConfig
from mynah.core.errors import BadCheckpoint

HIFI, MRF, REFINE = "HiFi-GAN", "MRF HiFi-GAN", "RefineGAN"
_SINES = 9  # of the second
_SAID = {"": HIFI, "default": HIFI, "hifigan": HIFI, "mrfhifigan": MRF, "refinegan": REFINE}
# What has weight norm, in our names.
_BLOCKS = r"dec\.(?:ups|resblocks)\..*"
NORMED = {
    HIFI: re.compile(rf"{_BLOCKS}\.weight"),
    MRF: re.compile(rf"(?:{_BLOCKS}|dec\.conv_(?:pre|post))\.weight"),
    REFINE: re.compile(
        r"dec\.(?:pre_conv|mel_conv|conv_post|downsample_blocks\.\d+|upsample_conv_blocks\.\d+\.blocks\.\d+\.1\..*)\.weight"
    ),
}
_UP = re.compile(r"dec\.(?:upsamples|ups)\.(\d{1,3})(\..*)")
_BLOCK = re.compile(r"dec\.mrfs\.(\d{1,3})\.(\d{1,3})\.layers\.(\d{1,3})\.conv([12])(\..*)")
_OURS = re.compile(r"dec\.resblocks\.(\d+)\.convs([12])\.(\d+)(\..*)")
_SINE = ("dec.m_source.merge.0.weight", "dec.m_source.l_linear.weight")
# Of the list that describes a model in a shared file.
_ITEMS, _DILATIONS, _RATES, _UP_KERNELS, _KERNELS, _KIND_OF_BLOCK, _RATE = 18, 11, 12, 14, 10, 9, 17


def kind_of(decoder: DecoderConfig) -> str:
    """What Applio calls it.

    Example:

        >>> kind_of(DecoderConfig()), kind_of(RefineConfig())
        ('HiFi-GAN', 'RefineGAN')
    """
    if isinstance(decoder, RefineConfig):
        return REFINE
    return MRF if decoder.normed else HIFI


def told(state: Mapping[str, Tensor], said: str | None, where: object) -> str:
    """The kind by the names of the parts, which has to be the one that the file says, if it says any.

    Raises:
        BadCheckpoint: It is not, or the kind is not known here.
    """
    if any(name.startswith(("dec.source_conv.", "dec.filters.")) for name in state):
        refuse(where, f"its {REFINE} is of a state between two releases of Applio; those of 3.2.9 and later can sing")
    kind = HIFI
    if any(name.startswith(("dec.mrfs.", "dec.upsamples.")) for name in state):
        kind = MRF
    elif any(name.startswith("dec.upsample_conv_blocks.") for name in state):
        kind = REFINE
    if said is not None:
        known = _SAID.get(re.sub(r"[-_ ]", "", said.lower()))
        if known is None:
            able = f"only {HIFI}, {MRF} and {REFINE} can be sung with here"
            refuse(where, f"its decoder is of the kind {said[:40]!r}; {able}")
        if known != kind:
            refuse(where, f"says that its decoder is {known}, and holds a {kind}")
    return kind


def inward(state: Mapping[str, Tensor], where: object) -> dict[str, Tensor]:
    """In our names, of which some differ from those of the files.

    Raises:
        BadCheckpoint: Two parts would have the same.
    """
    blocks = [found for found in map(_BLOCK.fullmatch, state) if found]
    beside = 1 + max((int(found[2]) for found in blocks), default=0)
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        if found := _BLOCK.fullmatch(name):
            new = f"dec.resblocks.{beside * int(found[1]) + int(found[2])}.convs{found[4]}.{found[3]}{found[5]}"
        elif found := _UP.fullmatch(name):
            new = f"dec.ups.{found[1]}{found[2]}"
        else:
            new = _SINE[1] if name == _SINE[0] else name
        if new in ours:
            refuse(where, f"holds {name[:80]} twice, under two names")
        ours[new] = value
    return ours


def outward(state: Mapping[str, Tensor], decoder: DecoderConfig) -> dict[str, Tensor]:
    """In the names of the files."""
    kind, beside = kind_of(decoder), len(decoder.kernels)

    def theirs(name: str) -> str:
        if kind == REFINE and name == _SINE[1]:
            return _SINE[0]
        if kind == MRF and (found := _OURS.fullmatch(name)):
            stage, number = divmod(int(found[1]), beside)
            return f"dec.mrfs.{stage}.{number}.layers.{found[3]}.conv{found[2]}{found[4]}"
        if kind == MRF and (found := _UP.fullmatch(name)):
            return f"dec.upsamples.{found[1]}{found[2]}"
        return name

    return {theirs(name): value for name, value in state.items()}


def decoder_of(state: Mapping[str, Tensor], claimed: Any, kind: str, where: object) -> DecoderConfig:
    """Sizes: rates as the file describes them; a training run does not, and is found among those that are known.

    Args:
        state: In our names, with weight norm.
        claimed: The list by which a shared file describes its model, or None.
        kind: Of the decoder.
        where: Named in messages.

    Raises:
        BadCheckpoint: What is described does not hold together, or not with the state.
    """
    try:
        first = "dec.mel_conv.weight_v" if kind == REFINE else f"dec.conv_pre.weight{'_v' * (kind == MRF)}"
        channels = state[first].shape[0] * (1 + (kind == REFINE))
        up_kernels = tuple(state[f"dec.ups.{stage}.weight_v"].shape[2] for stage in range(count(state, "dec.ups.")))
    except (KeyError, IndexError):
        refuse(where, "holds no model of RVC (no decoder)")
    if claimed is None:
        return _known(state, channels, up_kernels, kind, where)
    if not isinstance(claimed, Sequence) or isinstance(claimed, str) or len(claimed) != _ITEMS:
        refuse(where, f"its description is not the list of {_ITEMS} that RVC writes")
    if str(claimed[_KIND_OF_BLOCK]) != "1":
        refuse(where, "its decoder is made of blocks that no published RVC has")
    rate = claimed[_RATE]
    if isinstance(rate, str) and re.fullmatch(r"\d{1,3}k", rate):
        rate = 1000 * int(rate[:-1])
    rates, kernels = _numbers(claimed[_RATES], where), _numbers(claimed[_KERNELS], where)
    said, rows = _numbers(claimed[_UP_KERNELS], where), claimed[_DILATIONS]
    if not isinstance(rows, list | tuple) or len(rows) != len(kernels):
        refuse(where, "its description does not hold together")
    dilations = tuple(_numbers(row, where) for row in rows)
    plain = DecoderConfig(rate, channels, rates, said, kernels, dilations)
    odd = any(kernel < rate or (kernel - rate) % 2 for kernel, rate in zip(up_kernels, rates, strict=False))
    if len(rates) != len(said) or (kind != REFINE and (said != up_kernels or odd)):
        refuse(where, "its decoder is another one than its description says")
    if any(kernel % 2 == 0 for kernel in kernels) or channels % 2 ** len(rates):
        refuse(where, "its description does not hold together")
    if rate != FRAMES_PER_SECOND * plain.hop or not 8_000 <= rate <= 192_000:
        refuse(where, f"a rate of {str(rate)[:20]} Hz does not go with {plain.hop} samples for each 10 ms")
    return _of_kind(plain, state, kind, where)


def _of_kind(plain: DecoderConfig, state: Mapping[str, Tensor], kind: str, where: object) -> DecoderConfig:
    if kind == MRF:
        return replace(plain, normed=True, sines=_SINES)
    if kind == HIFI:
        return plain
    entry = state.get("dec.pre_conv.weight_v")
    if plain.hop % 2 or plain.channels % 2 ** (len(plain.rates) + 1) or entry is None:
        refuse(where, "its description does not hold together")
    # Its blocks are always the same, whatever the description says.
    strided = entry.shape[:1] == (plain.channels // 2,)
    return RefineConfig(plain.rate, plain.channels, plain.rates, plain.up_kernels, strided=strided)


def _known(
    state: Mapping[str, Tensor], channels: int, up_kernels: tuple[int, ...], kind: str, where: object
) -> DecoderConfig:
    bins = state.get("enc_q.pre.weight")
    fitting = {
        _of_kind(plain, state, kind, where)
        for (version, _), (known_bins, plain) in PUBLISHED.items()
        if plain.channels == channels
        and (kind == HIFI or version == "v2")
        and (bins is None or bins.shape[1:2] == (known_bins,))
        and all(_steps_fit(plain, state))
        and (kind == REFINE or plain.up_kernels == up_kernels)
    }
    if len(fitting) > 1 and (said := re.search(r"(\d\d)k", Path(str(where)).name)):
        fitting = {decoder for decoder in fitting if decoder.rate == 1000 * int(said[1])}
    if len(fitting) != 1:
        name = "; or name it as the published ones are, as in f0G32k.pth" if kind == REFINE else ""
        refuse(where, f"does not say of which rate it is: export it from RVC as a voice and bring that{name}")
    return fitting.pop()


def _steps_fit(decoder: DecoderConfig, state: Mapping[str, Tensor]) -> Iterator[bool]:
    """Whether the source comes down to the first stage as it should; RefineGAN of 3.3.0 does not tell."""
    step = decoder.hop // decoder.rates[0]
    for name in ("dec.noise_convs.0.weight", "dec.downsample_blocks.0.weight_v"):
        if name in state and state[name].shape[1:2] == (1,):
            yield state[name].shape[2:] == (2 * step,)


def _numbers(values: Any, where: object) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not 1 <= len(values) <= 8:
        refuse(where, "its description does not hold together")
    if not all(type(value) is int and 1 <= value <= 64 for value in values):
        refuse(where, "its description holds numbers that no decoder has")
    return tuple(values)


def count(state: Mapping[str, Tensor], before: str) -> int:
    """How many parts there are under a name."""
    return len({name.removeprefix(before).partition(".")[0] for name in state if name.startswith(before)})


def refuse(where: object, why: str) -> NoReturn:
    """Raises: BadCheckpoint: Always."""
    raise BadCheckpoint(f"{where}: {why}")
