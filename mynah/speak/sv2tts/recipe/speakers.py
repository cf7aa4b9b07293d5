"""The encoder's stage: which of many speakers said something (GE2E)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.features.ge2e import GE2E, RATE, WINDOW, prepared
from mynah.speak.sv2tts.published import EPSILON
from mynah.train.data import Take

SLOWER = 0.01  # than the rest, the scale and the offset of similarities are learnt
HELD_OUT = 10  # one recording of so many of a speaker's is
FILE = "encoder.safetensors"


class Similarity(nn.Module):
    """How alike recordings and speakers are, and the loss of it, section 2.1 of arXiv 1710.10467."""

    def __init__(self) -> None:
        super().__init__()
        self.similarity_weight = nn.Parameter(torch.tensor([10.0]))
        self.similarity_bias = nn.Parameter(torch.tensor([-5.0]))

    def forward(self, vectors: Tensor) -> Tensor:
        """Of recordings `[speaker, recording, size]` to speakers, `[speaker, recording, speaker]`.

        A speaker is the mean of the recordings, but for each of one's own recordings the mean of the others.
        """
        count = vectors.shape[1]
        everyone = _unit(vectors.mean(1))
        without = _unit((vectors.sum(1, keepdim=True) - vectors) / (count - 1))
        alike = torch.einsum("srd,td->srt", vectors, everyone)
        own = (vectors * without).sum(-1)
        itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)[:, None]
        weight, bias = (_slowed(value) for value in (self.similarity_weight, self.similarity_bias))
        return torch.where(itself, own[..., None], alike) * weight + bias

    def loss(self, vectors: Tensor) -> Tensor:
        """Cross entropy of who it was."""
        who = torch.arange(len(vectors), device=vectors.device).repeat_interleave(vectors.shape[1])
        return F.cross_entropy(self(vectors).flatten(0, 1), who)


def _slowed(value: Tensor) -> Tensor:
    """The same, with a smaller gradient."""
    return value.detach() + SLOWER * (value - value.detach())


def _unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.norm(dim=-1, keepdim=True) + EPSILON)


class EncoderRecipe(Recipe):
    """As published: 64 speakers with 10 stretches of 1.6 s each, Adam at 1e-4, gradients clipped to 3.

    Args:
        takes: Recordings with speakers. What was made of them is kept beside them.
        encoder: To train, or to go on with.
        steps: Of the whole run; published were 1.56 million.
        speakers: In a batch, as far as there are so many.
        stretches: Of each.
        learns: Learning rate.
        seed: Of all that is drawn.

    Raises:
        BadData: Fewer than two speakers with 1.6 s of speech.
    """

    name = "encoder"
    clip_norm = 3.0

    def __init__(
        self,
        takes: Sequence[Take],
        encoder: GE2E,
        *,
        steps: int = 200_000,
        speakers: int = 64,
        stretches: int = 10,
        learns: float = 1e-4,
        seed: int = 1,
    ) -> None:
        self.steps, self.stretches, self.learns, self.seed = steps, stretches, learns, seed
        found: dict[str, list[Path]] = defaultdict(list)
        for take in takes:
            if take.seconds * RATE >= WINDOW * 160:
                path = heard(take, encoder)
                if path.stat().st_size >= 4 * WINDOW * _bands(encoder):
                    found[take.clip.speaker].append(path)
        self.training, self.held_out = {}, {}
        for speaker in sorted(found):
            every = found[speaker]
            out = [place % HELD_OUT == HELD_OUT - 1 for place in range(len(every))]
            self.training[speaker] = [path for path, held in zip(every, out, strict=True) if not held]
            self.held_out[speaker] = [path for path, held in zip(every, out, strict=True) if held]
        if len(self.training) < 2:
            raise BadData(
                f"an encoder learns to tell speakers apart and needs two at least, better hundreds, and there are "
                f"{len(self.training)} with 1.6 s of speech: give each a folder, or a manifest.csv"
            )
        self.speakers = min(speakers, len(self.training))
        self.encoder, self.similarity = encoder.requires_grad_(True), Similarity()
        self.nets = nn.ModuleDict({"encoder": self.encoder, "similarity": self.similarity})

    def batch(self, step: int) -> Batch:
        dice = Generator().manual_seed(self.seed * 1_000_003 + step)
        names = list(self.training)
        chosen = torch.randperm(len(names), generator=dice)[: self.speakers].tolist()
        return {"mel": torch.stack([self._stretches(self.training[names[one]], dice) for one in chosen])}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return self.learns

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        mel = batch["mel"]
        vectors = self.encoder(mel.flatten(0, 1)).unflatten(0, mel.shape[:2])
        return {"who": self.similarity.loss(vectors)}

    def measures(self) -> dict[str, float]:
        """How often a held-out stretch is nearest to its own speaker, in per cent."""
        names = [name for name in self.training if self.held_out[name]]
        if len(names) < 2:
            return {}
        dice, device = Generator().manual_seed(self.seed), next(self.encoder.parameters()).device
        with torch.inference_mode():
            known, asked = (
                torch.stack([self._stretches(paths[name], dice) for name in names]).to(device)
                for paths in (self.training, self.held_out)
            )
            middles = F.normalize(self.encoder(known.flatten(0, 1)).unflatten(0, known.shape[:2]).mean(1), dim=-1)
            nearest = (self.encoder(asked.flatten(0, 1)) @ middles.T).argmax(-1).view(asked.shape[:2]).cpu()
        right = nearest == torch.arange(len(names))[:, None]
        return {"right speaker (%)": 100 * right.float().mean().item()}

    def export(self, folder: str) -> list[str]:
        state = {**self.encoder.state_dict(), **self.similarity.state_dict()}
        return [str(to_safetensors(state, Path(folder) / FILE))]

    def _stretches(self, paths: Sequence[Path], dice: Generator) -> Tensor:
        """`[stretch, 160, band]` of one speaker, drawn at random."""
        bands, rows = _bands(self.encoder), []
        for place in torch.randint(len(paths), (self.stretches,), generator=dice).tolist():
            frames = paths[place].stat().st_size // (4 * bands)
            first = int(torch.randint(frames - WINDOW + 1, (), generator=dice))
            rows.append(np.fromfile(paths[place], "<f4", WINDOW * bands, offset=4 * bands * first).reshape(-1, bands))
        return torch.from_numpy(np.stack(rows))


def heard(take: Take, encoder: GE2E) -> Path:
    """The file with the mel power of a recording without its pauses, made where it is not there."""
    path = take.folder / f"ge2e-{_bands(encoder)}.f32"
    if not path.exists():
        wave = prepared(Audio(take.wave(RATE)[None], RATE))
        with torch.no_grad():
            mel = encoder.mel(wave[None])[0]
        with replacing(path) as half:
            mel.numpy().astype("<f4").tofile(half)
    return path


def _bands(encoder: GE2E) -> int:
    return encoder.lstm.input_size
