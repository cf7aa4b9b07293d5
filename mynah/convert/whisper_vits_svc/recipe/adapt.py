"""Tuning to one voice: its vector and the layers that listen to it, from an exported model and a little singing."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import to_safetensors
from mynah.convert.whisper_vits_svc.losses import WEIGHTS, log_mel, stft_loss
from mynah.convert.whisper_vits_svc.net import Singer, sliced
from mynah.convert.whisper_vits_svc.recipe.songs import LISTEN, Ears
from mynah.core.errors import BadVoice
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio, Voice
from mynah.features.pitch import pitch
from mynah.nets.normed import folded
from mynah.train.lora import low_rank, merged

FRAMES = 100  # of a clip, 100/s
SEGMENT = 40  # of them become sound
FORMAT = "whisper_vits_svc-adapt-1"
CHANGED = ("flow.*", "dec.*")  # what content and melody lead to expect does not depend on who sings


class AdaptRecipe(Recipe):
    """Reconstruction of the voice's own clips from content and melody, the way that singing goes.

    Only the flow's and the decoder's layers that the voice vector goes through are learnt, and the vector: what a
    minute of sound cannot teach cannot be unlearnt from it either. With `lora` the flow and the decoder as a whole are
    learnt instead, by changes of that rank, which are added to their weights at export. It needs neither a posterior
    encoder nor critics, so an exported model will do.

    Raises:
        BadOption: A rank below zero.
        BadVoice: No clip is as long as a second.
    """

    name = "adapt"

    def __init__(
        self,
        voice: Voice,
        vector: Tensor,
        singer: Singer,
        ears: Ears,
        *,
        steps: int = 400,
        clips: int = 6,
        rate: float = 2e-4,
        seed: int = 5,
        lora: int = 0,
    ) -> None:
        self.steps, self.clips, self.seed = steps, clips, seed
        # A low-rank change is a product, one factor of which begins at zero.
        self.rate = 5 * rate if lora else rate
        self.singer, self.lora = singer, lora
        self.rows = [row for clip in voice.clips if (row := _heard(clip, ears)) is not None]
        if not self.rows:
            raise BadVoice(
                f"the voice {voice.name!r} has no clip of a second or more to learn from: enrol a longer recording"
            )
        self.vector = nn.Parameter(vector.detach().clone().float())
        self.nets = nn.ModuleDict({"singer": singer, "voice": nn.ParameterList([self.vector])})
        self.tuned: dict[str, nn.Parameter] = {}
        if lora:
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.tuned = low_rank(folded(singer), CHANGED, lora)
        else:
            self.tuned = {name: value for name, value in singer.named_parameters() if _minds_the_voice(name)}

    def batch(self, step: int) -> Batch:
        dice = Generator().manual_seed(self.seed * 1_000_003 + step)
        lengths = torch.tensor([float(row["pitch"].shape[-1]) for row in self.rows])
        chosen = []
        for number in torch.multinomial(lengths, self.clips, replacement=True, generator=dice).tolist():
            row = self.rows[number]
            begin = int(torch.randint(row["pitch"].shape[-1] - FRAMES + 1, (), generator=dice))
            part = {name: values[..., begin : begin + FRAMES] for name, values in row.items() if name != "wave"}
            chosen.append(part | {"wave": row["wave"][begin * 320 : (begin + FRAMES) * 320]})
        batch = {name: torch.stack([part[name] for part in chosen]) for name in chosen[0]}
        first = torch.randint(FRAMES - SEGMENT + 1, (self.clips,), generator=dice)
        return batch | {"first": first, "seed": torch.randint(2**31, (), generator=dice)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return [*self.tuned.values(), self.vector]

    def learning_rate(self, turn: str, step: int) -> float:
        return self.rate * min(1.0, (step + 1) / 20) * (1 - 0.9 * min(1.0, step / self.steps))

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        made, wave = self._sung(batch)
        config = self.singer.config.decoder
        with torch.autocast(made.device.type, enabled=False):  # the singer may run in bfloat16, losses never do
            return {
                "mel": WEIGHTS["mel"] * F.l1_loss(log_mel(made, config), log_mel(wave, config)),
                "stft": WEIGHTS["stft"] * stft_loss(made, wave),
            }

    def _sung(self, batch: Batch) -> tuple[Tensor, Tensor]:
        dice = Generator().manual_seed(int(batch["seed"]))
        melody, first = batch["pitch"], batch["first"]
        config = self.singer.config
        hop, voice = config.decoder.hop, self.vector.expand(self.clips, -1)
        noise = torch.randn(self.clips, config.latent, FRAMES, generator=dice).to(melody.device)
        breath = torch.randn(self.clips, SEGMENT * hop, generator=dice).to(melody.device)
        mask = torch.ones_like(melody)[:, None]
        latent = self.singer.latent(batch["words"], batch.get("sounds"), melody, voice, mask, noise)
        source = self.singer.dec.m_source(sliced(melody[:, None], first, SEGMENT)[:, 0], breath)
        made: Tensor = self.singer.dec(sliced(latent, first, SEGMENT), source, voice)[:, 0]
        return made.float(), sliced(batch["wave"][:, None], first * hop, SEGMENT * hop)[:, 0]

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """How near the clips are, on one batch that stays the same."""
        device = self.vector.device
        batch = {name: values.to(device) for name, values in self.batch(self.steps).items()}
        return {"score": -sum(loss.item() for loss in self.losses("net", batch).values())}

    def export(self, folder: str) -> list[str]:
        """`weights.safetensors`: what differs from the model, and the vector as `embedding`."""
        learnt = merged(self.singer) if self.lora else {name: value.detach() for name, value in self.tuned.items()}
        state = learnt | {"embedding": self.vector.detach()}
        return [str(to_safetensors(state, Path(folder) / "weights.safetensors", {"format": FORMAT}))]


def _minds_the_voice(name: str) -> bool:
    return ".snac." in name or name.startswith("dec.adapter.")


@torch.no_grad()
def _heard(clip: Audio, ears: Ears) -> dict[str, Tensor] | None:
    """What a batch is cut from, on one grid of 100 frames/s, or nothing of a clip that is too short."""
    wave = resample(clip, 32_000).samples.mean(0)
    frames = len(wave) // 640 * 2
    if frames < FRAMES:
        return None
    heard = resample(Audio(clip.samples.mean(0, keepdim=True), clip.rate), LISTEN)
    row = {"wave": wave[: frames * 320], "pitch": _held(pitch(heard).values.nan_to_num(0.0)[None], frames)[0]}
    for name, rows in ears.apart(ears.content.hear(heard).float()).items():
        row[name] = _held(rows, frames)
    return row


def _held(values: Tensor, frames: int) -> Tensor:
    """So many frames of `[channel, frame]`; the last one is held where one is missing."""
    missing = max(0, frames - values.shape[-1])
    return torch.cat([values, values[..., -1:].expand(-1, missing)], -1)[..., :frames]
