"""Conversion while training, and what the ears say of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mynah.audio.resample import resample
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.convert.whisper_vits_svc.recipe.songs import LISTEN, Ears
from mynah.core.recipe import Batch
from mynah.core.types import Audio
from mynah.features.pitch import pitch

CENTS = 50.0


def sung(net: Singer, batch: Batch, voice: Tensor, seed: int) -> Tensor:
    """Sound `[batch, time]` of the content and melody of a batch of `Songs`; voice `[size]` or `[batch, size]`."""
    melody = batch["pitch"]
    count, frames = melody.shape
    voice = voice.expand(count, -1)
    dice = Generator().manual_seed(seed)
    mask = (torch.arange(frames, device=melody.device) < batch["lengths"][:, None])[:, None].float()
    noise = torch.randn(count, net.config.latent, frames, generator=dice).to(melody.device)
    breath = torch.randn(count, frames * net.config.decoder.hop, generator=dice).to(melody.device)
    latent = net.latent(batch["words"], batch.get("sounds"), melody, voice, mask, noise)
    sound: Tensor = net.dec(latent, net.dec.m_source(melody, breath), voice)[:, 0]
    return sound.float()


def judged(made: Audio, batch: Batch, voice: Tensor, ears: Ears) -> dict[str, float]:
    """Figures of one clip, each 1 at best.

    Args:
        made: `[1, time]`.
        batch: Of one slice, what was asked for.
        voice: Who should have sung, `[size]`.
        ears: Those of the recipe.
    """
    heard = resample(made, LISTEN)
    words = ears.content.hear(heard)[:, : ears.words].float()
    wanted = batch["words"][0, :, ::2].T.cpu()
    count = min(len(words), len(wanted))
    melody, asked = pitch(heard).values, batch["pitch"][0].cpu()
    frames = min(len(melody), len(asked))
    cents = 1200 * (melody[:frames] / asked[:frames]).log2().abs()
    notes = asked[:frames] > 0
    on_pitch = (cents[notes] <= CENTS).float().mean() if notes.any() else torch.ones(())
    return {
        "voice": F.cosine_similarity(ears.voice.hear(heard).float().cpu(), voice.cpu(), dim=0).item(),
        "words": F.cosine_similarity(words[:count].cpu(), wanted[:count], dim=1).mean().item(),
        "melody": on_pitch.item(),
    }
