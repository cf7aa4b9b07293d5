"""The synthesizer's stage: what somebody whose voice was heard would say, letter by letter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.features.ge2e import GE2E, prepared
from mynah.speak.sv2tts.net import FORMAT, Synthesizer
from mynah.speak.sv2tts.published import STEP
from mynah.speak.sv2tts.text import numbers_of
from mynah.train.data import Take

PEAK = 0.9  # of every recording
SILENT = -4.0  # what a mel spectrogram is filled up with
LONGEST = 900  # frames of a recording; longer ones are left out
TOGETHER = 2  # frames that the decoder says in a step
RATES = ((1 / 32, 1e-3), (1 / 16, 5e-4), (1 / 8, 2e-4), (1 / 4, 1e-4), (1 / 2, 3e-5), (1, 1e-5))
"""Up to which share of a run is learnt at which rate."""
HELD_OUT, MEASURED = 20, 12  # one recording in so many, and at most so many
FILE = "synthesizer.safetensors"


class SynthesizerRecipe(Recipe):
    """As published: squares and absolutes before the last net, squares behind it, and cross entropy of the end.

    Args:
        takes: Recordings with texts; those without are left out.
        encoder: Hears the voices, and does not learn.
        net: To train, or to go on with.
        steps: Of the whole run.
        clips: In a batch.
        rates: Up to which share of the run is learnt at which rate.
        root: Folder of the recordings, to which `hold_out` is relative.
        hold_out: Patterns of recordings to measure on; without any, one in twenty is.
        seed: Of all that is drawn.

    Raises:
        BadData: There is no recording with a text.
        MissingExtra: A library that reads texts is not installed.
    """

    name = "synthesizer"
    clip_norm = 1.0

    def __init__(
        self,
        takes: Sequence[Take],
        encoder: GE2E,
        net: Synthesizer,
        *,
        steps: int = 640_000,
        clips: int = 12,
        rates: Sequence[tuple[float, float]] = RATES,
        root: Path | None = None,
        hold_out: Sequence[str] = (),
        seed: int = 1,
    ) -> None:
        self.steps, self.clips, self.rates, self.seed = steps, clips, rates, seed
        self.encoder = encoder.requires_grad_(False)
        self._known = _digits_of(encoder)
        read = [(take, numbers_of(take.clip.text)) for take in takes if take.clip.text.strip()]
        usable = [(take, text) for take, text in read if text and take.frames * 320 // FORMAT.hop < LONGEST]
        if not usable:
            raise BadData(
                f"none of {len(takes)} recordings has a text and is shorter than {LONGEST / 80:g} s: "
                "a manifest.csv with the columns path, speaker and text is needed"
            )
        paths = [take.clip.path.relative_to(root).as_posix() if root else "" for take, _ in usable]
        out = [
            any(fnmatch(path, pattern) for pattern in hold_out) if hold_out else place % HELD_OUT == HELD_OUT - 1
            for place, path in enumerate(paths)
        ]
        self.held_out = [one for one, held in zip(usable, out, strict=True) if held]
        self.training = [one for one, held in zip(usable, out, strict=True) if not held] or usable
        self.net = net.requires_grad_(True)
        self.net.decoder.r.fill_(TOGETHER)
        self.nets = nn.ModuleDict({"net": self.net})

    def batch(self, step: int) -> Batch:
        dice = Generator().manual_seed(self.seed * 1_000_003 + step)
        places = torch.randint(len(self.training), (self.clips,), generator=dice).tolist()
        return self.collate([self.training[place] for place in places])

    def collate(self, chosen: Sequence[tuple[Take, list[int]]]) -> Batch:
        """Letters `[clip, letter]`, voices `[clip, size]`, mel `[clip, band, frame]`, frames `[clip]`."""
        mels = [self.mel(take) for take, _ in chosen]
        most = -(-(max(mel.shape[-1] for mel in mels) + 1) // TOGETHER) * TOGETHER
        return {
            "letters": pad_sequence([torch.tensor(text) for _, text in chosen], batch_first=True),
            "voice": torch.stack([self.heard(take) for take, _ in chosen]),
            "mel": torch.stack([F.pad(mel, (0, most - mel.shape[-1]), value=SILENT) for mel in mels]),
            "frames": torch.tensor([mel.shape[-1] for mel in mels]),
        }

    def mel(self, take: Take) -> Tensor:
        """Of a recording, `[band, frame]`."""
        wave = take.wave(FORMAT.rate)
        return FORMAT(wave[None] * (PEAK / wave.abs().max().clamp(min=1e-4)))[0]

    def heard(self, take: Take) -> Tensor:
        """The voice of a recording, `[size]`; kept beside it."""
        path = take.folder / f"voice-{self._known}.f32"
        if not path.exists():
            vector = self.encoder.embed_wave(prepared(Audio(take.wave(FORMAT.rate)[None], FORMAT.rate)), step=STEP)
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
        said, mel = self.net(batch["letters"], batch["voice"], batch["mel"]), batch["mel"]
        places = torch.arange(mel.shape[-1], device=mel.device)
        ended = (places >= batch["frames"][:, None] - 1).float()
        return {
            "raw": F.mse_loss(said.raw, mel) + F.l1_loss(said.raw, mel),
            "mel": F.mse_loss(said.mel, mel),
            "end": F.binary_cross_entropy(said.ended.float(), ended),
        }

    def measures(self) -> dict[str, float]:
        """Minus the mean error of held-out recordings; and how much of the text's attention is on one letter."""
        if not self.held_out:
            return {}
        training, device = self.net.training, next(self.net.parameters()).device
        batch = {name: value.to(device) for name, value in self.collate(self.held_out[:MEASURED]).items()}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(self.seed)
            said = self.net.eval()(batch["letters"], batch["voice"], batch["mel"])
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
