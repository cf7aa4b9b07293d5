"""The three files that the original writes: a pretrained model, a training run, and an exported singer.

All are told by what they hold. Names stay as they are; what training kept for itself is left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign
from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.convert.whisper_vits_svc.snake import kaiser_sinc
from mynah.core.errors import BadCheckpoint

SINGER = ("enc_p.", "flow.", "dec.")  # what is exported
TRAINEE = (*SINGER, "emb_g.", "enc_q.", "speaker_classifier.")
CRITICS = ("MRD.", "MPD.", "MSD.")
WAY_IN = "enc_p.pre.weight"  # is in whatever can sing by itself
VECTOR = "embedding"  # of the voice that a model was handed on with, in our own files


class Published(NamedTuple):
    """What a file holds.

    Attributes:
        net: Of the singer, or of all that learns.
        critics: Where they are there.
        steps: Of training, where that is told.
    """

    net: dict[str, Tensor]
    critics: dict[str, Tensor] | None
    steps: int | None

    @property
    def complete(self) -> bool:
        """Whether it can be trained further: the posterior encoder and the classifier are there."""
        return any(name.startswith(TRAINEE[len(SINGER) :]) for name in self.net)


def read(path: Path | str) -> Published:
    """Any of the files, and our own `.safetensors`.

    Raises:
        BadCheckpoint: Damaged, hostile, or of another system.
    """
    return parted(load_foreign(path), path)


def parted(held: Mapping[str, Any], where: object) -> Published:
    """What was read from a file, told apart.

    Raises:
        BadCheckpoint: Of another system; names `where`.
    """
    if "model_g" in held:
        net, critics, steps = held["model_g"], held.get("model_d"), held.get("step")
    else:
        critics = {name: value for name, value in held.items() if name.startswith(CRITICS)} or None
        net = {name: value for name, value in held.items() if not name.startswith(CRITICS) and name != VECTOR}
        steps = None
    for part, known in ((net, TRAINEE), (critics, CRITICS)):
        if part is None:
            continue
        if not isinstance(part, Mapping) or not part:
            raise BadCheckpoint(f"{where}: holds no model of convert/whisper_vits_svc")
        strange = [name for name in part if not str(name).startswith(known)]
        if strange or not all(isinstance(value, Tensor) for value in part.values()):
            shown = f" (it holds {str(strange[0])[:80]!r})" if strange else ""
            raise BadCheckpoint(f"{where}: holds no model of convert/whisper_vits_svc{shown}")
    return Published(dict(net), None if critics is None else dict(critics), steps if isinstance(steps, int) else None)


def singer_of(net: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is exported: without what only training needs."""
    return {name: value for name, value in net.items() if name.startswith(SINGER)}


def refuse_other_filters(net: Mapping[str, Tensor], where: object) -> None:
    """The activations' filters are written into every file, and are the same in all.

    Raises:
        BadCheckpoint: Not in this one.
    """
    usual = kaiser_sinc()
    for name, value in net.items():
        if name.endswith(".filter") and not torch.allclose(value.float(), usual, atol=1e-3):
            raise BadCheckpoint(f"{where}: {name} is not the filter that convert/whisper_vits_svc has")


def config_of(net: Mapping[str, Tensor], where: object) -> NetConfig:
    """Sizes, as far as shapes tell them; the rest is as published.

    Raises:
        BadCheckpoint: What tells them is not there.
    """
    standard = NetConfig()
    try:
        hidden, words, _ = net[WAY_IN].shape
        sounds = net["enc_p.hub.weight"].shape[1] if "enc_p.hub.weight" in net else 0
        latent, voice = net["dec.adapter.W_scale.weight"].shape
        filters = net["enc_p.enc.ffn_layers.0.conv_1.weight"].shape[0]
        heads = hidden // net["enc_p.enc.attn_layers.0.emb_rel_k"].shape[2]
        side_by_side = range(_count(net, "dec.resblocks.") // _count(net, "dec.ups."))
        decoder = replace(
            standard.decoder,
            channels=net["dec.conv_pre.weight"].shape[0],
            kernels=tuple(net[f"dec.resblocks.{number}.convs1.0.weight_v"].shape[-1] for number in side_by_side),
            dilations=standard.decoder.dilations[: _count(net, "dec.resblocks.0.convs1.")],
        )
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise BadCheckpoint(f"{where}: holds no model of convert/whisper_vits_svc (no prior and decoder)") from error
    return replace(
        standard,
        words=words,
        sounds=sounds,
        voice=voice,
        bins=net["enc_q.pre.weight"].shape[1] if "enc_q.pre.weight" in net else standard.bins,
        latent=latent,
        hidden=hidden,
        condition=net["emb_g.weight"].shape[0] if "emb_g.weight" in net else standard.condition,
        filters=filters,
        heads=heads,
        layers=_count(net, "enc_p.enc.attn_layers."),
        posterior_layers=_count(net, "enc_q.enc.in_layers.") or standard.posterior_layers,
        flow_layers=_count(net, "flow.flows.0.enc.in_layers."),
        couplings=_count(net, "flow.flows."),
        decoder=decoder,
    )


def _count(net: Mapping[str, Tensor], before: str) -> int:
    return len({name.removeprefix(before).partition(".")[0] for name in net if name.startswith(before)})
