"""A RefineGAN for whoever only listens, on a processor: stages on rows of samples, as `mynah.nets.rows` has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.nets.rows import Near, Steps

if TYPE_CHECKING:
    from mynah.convert.rvc.refine import Grain, Refiner


class RefineRows(nn.Module):
    """What the stages of a net give, sooner.

    Args:
        net: Whose weight norm is folded; its weights are taken as they are now.
        slope: Of its activations.
        precision: What all stages but the last count in, see `mynah.nets.rows.Rows`.
    """

    def __init__(self, net: Refiner, slope: float, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.slope, config = slope, net.config
        self.rates, self.each = config.rates, [config.hop // step for step in config.steps]
        self.entries, self.blocks = nn.ModuleList(), nn.ModuleList()
        self.strengths = nn.ParameterList()
        for stage in net.upsample_conv_blocks:
            self.entries.append(Near(stage.input_conv))  # type: ignore[arg-type]
            for before, block, behind in stage.blocks:  # type: ignore[union-attr]
                self.blocks.append(Steps(block, slope))
                self.strengths.extend([before.weight.detach(), behind.weight.detach()])
        self.post = Near(net.conv_post)
        beside = len(config.kernels)
        for layers, each in ((self.entries, 1), (self.blocks, beside), (self.strengths, 2 * beside)):
            layers[:-each].to(precision)

    def forward(self, x: Tensor, leads: list[Tensor], grain: Grain) -> Tensor:
        """Sound `[time]` of what comes to the first stage, `[frame, channel]`.

        Args:
            x: Frames.
            leads: What every stage is led by, `[time, channel]`.
            grain: What noise is taken from.
        """
        count = len(self.blocks) // len(self.rates)
        for stage, (rate, entry) in enumerate(zip(self.rates, self.entries, strict=True)):
            assert isinstance(entry, Near)
            x = x.to(entry.weight)
            x = torch.cat([_between(F.leaky_relu_(x, self.slope), rate), leads[stage].to(x)], 1)
            x = entry(x, 1.0)
            total = None
            for place in range(stage * count, (stage + 1) * count):
                given = self._grained(x, 2 * place, stage, grain)
                given = self._grained(self.blocks[place](given), 2 * place + 1, stage, grain)
                total = given if total is None else total.add_(given)
            assert total is not None
            x = total / count
        sound: Tensor = self.post(x, self.slope)[:, 0]
        return torch.tanh_(sound)

    def _grained(self, x: Tensor, place: int, stage: int, grain: Grain) -> Tensor:
        noise = grain(place, x.shape[1], self.each[stage])[0].T.to(x)
        return F.leaky_relu_(torch.addcmul(x, noise, self.strengths[place]), self.slope)


def _between(x: Tensor, rate: int) -> Tensor:
    """As `mynah.convert.rvc.refine.between`, of rows `[time, channel]`."""
    place = ((torch.arange(rate, dtype=torch.float64) + 0.5) / rate - 0.5)[:, None]
    before = torch.cat([x[:1], x[:-1]]) - x
    after = torch.cat([x[1:], x[-1:]]) - x
    back, ahead = (-place).clamp(min=0).to(x), place.clamp(min=0).to(x)
    return torch.addcmul(torch.addcmul(x[:, None], before[:, None], back), after[:, None], ahead).flatten(0, 1)
