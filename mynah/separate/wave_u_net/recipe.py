"""How the Wave-U-Nets learn: squared error at a small rate and then a smaller one; the later net by absolute error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.core.recipe import Recipe
from mynah.nets.wave_u_net import Shape, UNet
from mynah.separate.wave_u_net.later import LaterNet, LaterShape
from mynah.separate.wave_u_net.presets import Config
from mynah.separate.wave_u_net.published import metadata
from mynah.train.mixtures import Mixtures
from mynah.train.stems import StemsRecipe, as_they_are, cosine

FILE = "wave_u_net"
FRAMES = 16_384  # samples that a net of 2018 gives in training
CYCLE = 5_000  # steps in which the later net's rate falls


class LongRecipe(StemsRecipe):
    """The first stage of 2018."""

    name = "long"


class FineRecipe(StemsRecipe):
    """The second: twice the batch, a tenth of the rate."""

    name = "fine"


class LaterRecipe(StemsRecipe):
    """The only stage of the later net."""

    name = "later"


def absolute(given: Tensor, true: Tensor) -> Tensor:
    """Each stem's mean absolute error, added, because each has a net of its own."""
    return given.shape[1] * F.l1_loss(given, true)


def course(
    data: Path, folder: Path, config: Config, *, hold_out: Sequence[str] = ()
) -> dict[str, Callable[[], Recipe]]:
    """The stages in order. A step count stands where the authors stopped after 20 epochs without progress."""
    described = metadata(config)

    @cache
    def material() -> tuple[Mixtures, Mixtures | None]:
        return as_they_are(data, folder / "prepared", config.stems, config.rate, config.net.channels, hold_out)

    def stage(kind: type[StemsRecipe], *, steps: int, clips: int, rate: float) -> Recipe:
        assert isinstance(config.net, Shape)
        net = UNet(config.net)
        before = folder / f"{FILE}.safetensors"
        if kind is FineRecipe and before.exists():
            load_strict(net, load_safetensors(before), str(before))
        mixtures, judged = material()
        return kind(
            net,
            mixtures,
            heard=config.net.giving(FRAMES)[0],
            steps=steps,
            clips=clips,
            rate=lambda step: rate,
            compare=F.mse_loss,
            judged=judged,
            file=FILE,
            described=described,
        )

    def later() -> Recipe:
        assert isinstance(config.net, LaterShape)
        mixtures, judged = material()
        return LaterRecipe(
            LaterNet(config.net),
            mixtures,
            heard=config.net.sizes[0],
            steps=400_000,
            clips=4,
            rate=cosine(1e-3, 5e-5, CYCLE),
            compare=absolute,
            judged=judged,
            file=FILE,
            described=described,
        )

    if isinstance(config.net, LaterShape):
        return {"later": later}
    return {
        "long": lambda: stage(LongRecipe, steps=150_000, clips=16, rate=1e-4),
        "fine": lambda: stage(FineRecipe, steps=50_000, clips=32, rate=1e-5),
    }
