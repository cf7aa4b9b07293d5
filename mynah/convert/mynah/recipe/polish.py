"""Stage 4: the decoder against critics, for the crispness that averages lack."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mynah.convert.mynah.recipe.critics import Critics
from mynah.convert.mynah.recipe.decoder import DecoderRecipe
from mynah.core.recipe import Batch
from mynah.train.losses import band_limited, critic_loss, fooled_loss, matching_loss

CROP = 16_384  # samples that critics look at


class PolishRecipe(DecoderRecipe):
    """The decoder recipe with least-squares critics on all clips, and feature matching on reconstructed ones."""

    name = "polish"
    turns = ("critic", "net")

    def __init__(self, *args: Any, steps: int = 1200, critics_alone: int = 100, **kwargs: Any) -> None:
        super().__init__(*args, steps=steps, swap_from=0, **kwargs)
        self.critics, self.critics_alone = Critics(), critics_alone
        self.nets["critics"] = self.critics
        self.made: tuple[int, dict[str, Tensor]] | None = None

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.critics.parameters()) if turn == "critic" else super().parameters(turn)

    def learning_rate(self, turn: str, step: int) -> float:
        start = 5e-4 if turn == "critic" else 2e-4
        return start * min(1.0, (step + 1) / 100) * (1 - 0.9 * min(1.0, step / self.steps))

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        step = int(batch["step"])
        if turn == "critic":
            # Rendered once for both turns, so the net has to be listening although it is not its turn.
            for parameter in super().parameters("net"):
                parameter.requires_grad_(True)
            self.made = (step, self.make(batch))
        assert self.made is not None and self.made[0] == step
        made = self.made[1]
        losses = {} if turn == "critic" else self.plain_losses(made, batch)
        if turn == "net" and step < self.critics_alone:
            return losses

        dice = torch.Generator().manual_seed(int(batch["seed"]) + 2)
        start = int(torch.randint(made["ours"].shape[-1] - CROP, (), generator=dice))
        rate, count = self.decoder.config.rate, len(made["other"])

        part = slice(start, start + CROP)
        level = made["theirs"][:, part].square().mean(1, keepdim=True).sqrt() + 1e-3

        def heard(wave: Tensor) -> Tensor:
            # At the same volume, whatever the recording's.
            return band_limited(wave[:, part], batch["bandwidth"][: len(wave)], rate) / level[: len(wave)]

        with torch.autocast("cpu", torch.bfloat16):
            if turn == "critic":
                # The swapped part renders the first clips of the batch; the others are judged by their reconstruction.
                rendered = self.critics(heard(torch.cat([made["other"], made["ours"][count:]]).detach()))
                recorded = self.critics(heard(made["theirs"]))
                return {"critic": critic_loss(recorded, rendered)}
            with torch.no_grad():
                recorded = self.critics(heard(made["theirs"]))
            ours, other = self.critics(heard(made["ours"])), self.critics(heard(made["other"]))
            return losses | {
                "fooled": 0.5 * (fooled_loss(ours) + fooled_loss(other)),
                "matching": matching_loss(recorded, ours),
            }
