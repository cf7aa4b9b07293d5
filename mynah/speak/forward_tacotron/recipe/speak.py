"""The speaker: it learns from readings of which is known when, how high and how strong every sound was said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mynah.catalog.checkpoint import load_strict
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.speak.forward_tacotron import published
from mynah.speak.forward_tacotron.net import SILENCE, Config, Net, Spoken
from mynah.speak.forward_tacotron.published import FORMAT
from mynah.speak.forward_tacotron.recipe.plan import Plan, at
from mynah.speak.forward_tacotron.recipe.prosody import Sounded
from mynah.train.checkpoint import aside
from mynah.train.transcripts import Reading, Readings
from mynah.vocode import vocoder

JUDGED = 16  # held-out readings that are measured on


class SpeakRecipe(Recipe):
    """Absolute differences of the spectrum before and after the postnet, of durations, pitch and strength.

    What differs from the original: AdamW for Adam without decay, and pitch is tracked by the house's tracker.

    Args:
        readings: Where recordings are.
        sounded: What to learn from, and what is held out.
        config: Sizes, and how texts are read.
        plan: Figures of the run.
        start: State of a model to go on from.
    """

    name = "speak"
    clip_norm = 1.0

    def __init__(
        self,
        readings: Readings,
        sounded: tuple[Sequence[Sounded], Sequence[Sounded]],
        config: Config,
        plan: Plan,
        *,
        start: dict[str, Tensor] | None = None,
    ) -> None:
        self.readings, self.plan = readings, plan
        self.sounded = {id(each.reading): each for part in sounded for each in part}
        # Only what the aligner is sure of is drawn.
        readings.training[:] = [each.reading for each in sounded[0]]
        readings.held_out[:] = [each.reading for each in sounded[1]]
        self.steps = plan.speak[-1].until
        with torch.random.fork_rng():
            torch.manual_seed(plan.seed)
            self.net = Net(config)
        if start is not None:
            load_strict(self.net, start, "the model to go on from")
        self.nets = nn.ModuleDict({"net": self.net})

    def batch(self, step: int) -> Batch:
        # Where several batches are drawn for one step, they are numbered on.
        return self._batch(self.readings.drawn(step, at(self.plan.speak, step // self.batches).clips, self.plan.seed))

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.net.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return at(self.plan.speak, step).rate

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        return {
            name: value * (1.0 if name in ("mel", "finished") else self.plan.told)
            for name, value in differences(self._taught(batch), batch).items()
        }

    def _taught(self, batch: Batch) -> Spoken:
        told = [batch["pitch"], batch["energy"]][: {"plain": 0, "pitch": 1, "energy": 2}[self.net.config.layout]]
        frames = batch["frames"]
        said: Spoken = self.net(batch["symbols"], batch["durations"], frames, batch["mel"].shape[-1], *told)
        return said

    def _batch(self, readings: Sequence[Reading]) -> Batch:
        parts = [self.sounded[id(reading)] for reading in readings]
        series = {
            name: pad_sequence([getattr(part, name) for part in parts], True)
            for name in ("durations", "pitch", "energy")
        }
        return self.readings.batch(readings, silence=SILENCE, more=1) | series

    def measures(self) -> dict[str, float]:
        """On held-out readings: minus nepers of log mel, and errors of durations in frames and of pitch."""
        batch = self._judged()
        with aside(self.nets):
            off = {name: value.item() for name, value in differences(self._taught(batch), batch).items()}
        return {"likeness": -off["finished"], **{name: off[name] for name in ("durations", "pitch") if name in off}}

    def preview(self, batch: Batch) -> Audio:
        """A held-out reading as it was, and as it is said by itself."""
        reading = self._held_out()[0]
        device = next(self.net.parameters()).device
        with aside(self.nets):
            said = self.net.speak(reading.symbols[None].to(device)).finished.cpu()
        both = torch.cat([self.readings.mel(reading)[None], said.clone()], -1)
        return Audio(vocoder("griffin_lim", FORMAT).wave(both), FORMAT.rate)

    def _held_out(self) -> list[Reading]:
        return (self.readings.held_out or self.readings.training)[:JUDGED]

    def _judged(self) -> Batch:
        batch = self._batch(self._held_out())
        return {name: values.to(next(self.net.parameters()).device) for name, values in batch.items()}

    def export(self, folder: str) -> list[str]:
        """`forward_tacotron.safetensors`, which `mynah speak --weights` and `mynah import` take."""
        path = Path(folder) / "forward_tacotron.safetensors"
        return [str(published.write(self.net.config, self.net.state_dict(), path))]


def differences(said: Spoken, batch: Batch) -> dict[str, Tensor]:
    """Mean absolute ones of everything that a net told, without what follows the ends.

    Args:
        said: By the net.
        batch: With `mel`, `frames`, `lengths`, `durations`, `pitch` and `energy`.
    """
    frames = _within(batch["frames"], batch["mel"].shape[-1])[:, None].expand_as(batch["mel"])
    symbols = _within(batch["lengths"], batch["symbols"].shape[1])
    pairs = {
        "mel": (said.mel, batch["mel"], frames),
        "finished": (said.finished, batch["mel"], frames),
        "durations": (said.durations, batch["durations"], symbols),
        "pitch": (said.pitch, batch["pitch"], symbols),
        "energy": (said.energy, batch["energy"], symbols),
    }
    return {
        name: ((ours - theirs).abs() * kept).sum() / kept.sum()
        for name, (ours, theirs, kept) in pairs.items()
        if ours is not None
    }


def _within(lengths: Tensor, longest: int) -> Tensor:
    return torch.arange(longest, device=lengths.device) < lengths[:, None]
