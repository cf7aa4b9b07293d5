"""The synthesizer's stage: what somebody whose voice was heard would say, letter by letter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.atomic import replacing
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.features.ge2e import GE2E, RATE, prepared
from mynah.speak.sv2tts.net import Synthesizer
from mynah.speak.sv2tts.published import STEP
from mynah.train.data import Take
from mynah.train.transcripts import Reading, Readings

PEAK = 0.9  # of every recording
LONGEST = 900  # frames of a recording; longer ones are left out
SILENT = -4.0  # what a mel spectrogram is filled up with
TOGETHER = 2  # frames that the decoder says in a step
RATES = ((1 / 32, 1e-3), (1 / 16, 5e-4), (1 / 8, 2e-4), (1 / 4, 1e-4), (1 / 2, 3e-5), (1, 1e-5))
"""Up to which share of a run is learnt at which rate."""
MEASURED = 12  # held-out readings, at most
FILE = "synthesizer.safetensors"


class SynthesizerRecipe(Recipe):
    """As published: squares and absolutes before the last net, squares behind it, and cross entropy of the end.

    Args:
        readings: What to learn from.
        encoder: Hears the voices, and does not learn.
        net: To train, or to go on with.
        steps: Of the whole run.
        clips: In a batch.
        rates: Up to which share of the run is learnt at which rate.
        seed: Of all that is drawn.
    """

    name = "synthesizer"
    clip_norm = 1.0

    def __init__(
        self,
        readings: Readings,
        encoder: GE2E,
        net: Synthesizer,
        *,
        steps: int = 640_000,
        clips: int = 12,
        rates: Sequence[tuple[float, float]] = RATES,
        seed: int = 1,
    ) -> None:
        self.readings, self.steps, self.clips, self.rates, self.seed = readings, steps, clips, rates, seed
        self.encoder, self.net = encoder.requires_grad_(False), net.requires_grad_(True)
        self._known = _digits_of(encoder)
        self.net.decoder.r.fill_(TOGETHER)
        self.nets = nn.ModuleDict({"net": self.net})

    def batch(self, step: int) -> Batch:
        return self.collate(self.readings.drawn(step, self.clips, self.seed))

    def collate(self, chosen: Sequence[Reading]) -> Batch:
        """As `Readings.batch`, a multiple of the decoder's step long; and voices, `[clip, size]`."""
        longest = max(reading.frames for reading in chosen)
        batch = self.readings.batch(chosen, silence=SILENT, more=TOGETHER - longest % TOGETHER)
        return batch | {"voice": torch.stack([self.heard(reading.take) for reading in chosen])}

    def heard(self, take: Take) -> Tensor:
        """The voice of a recording, `[size]`; kept beside it."""
        path = take.folder / f"voice-{self._known}.f32"
        if not path.exists():
            vector = self.encoder.embed_wave(prepared(Audio(take.wave(RATE)[None], RATE)), step=STEP)
            with replacing(path) as half:
                vector.numpy().astype("<f4").tofile(half)
        return torch.from_numpy(np.fromfile(path, "<f4"))

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return next((rate for until, rate in self.rates if step < until * self.steps), self.rates[-1][1])

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        said, mel = self.net(batch["symbols"], batch["voice"], batch["mel"]), batch["mel"]
        places = torch.arange(mel.shape[-1], device=mel.device)
        ended = (places >= batch["frames"][:, None] - 1).float()
        return {
            "raw": F.mse_loss(said.raw, mel) + F.l1_loss(said.raw, mel),
            "mel": F.mse_loss(said.mel, mel),
            "end": F.binary_cross_entropy(said.ended.float(), ended),
        }

    def measures(self) -> dict[str, float]:
        """Minus the mean error of held-out recordings; and how much of the text's attention is on one letter."""
        if not self.readings.held_out:
            return {}
        training, device = self.net.training, next(self.net.parameters()).device
        batch = {name: value.to(device) for name, value in self.collate(self.readings.held_out[:MEASURED]).items()}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(self.seed)
            said = self.net.eval()(batch["symbols"], batch["voice"], batch["mel"])
        self.net.train(training)
        return {
            "mel (of 8)": -F.l1_loss(said.mel, batch["mel"]).item(),
            "attention": said.shares.amax(-1).mean().item(),
        }

    def export(self, folder: str) -> list[str]:
        return [str(to_safetensors(self.net.state_dict(), Path(folder) / FILE))]


def _digits_of(encoder: GE2E) -> str:
    """Some digits that tell an encoder from another one."""
    digest = hashlib.sha256()
    for _, value in sorted(encoder.state_dict().items()):
        digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
