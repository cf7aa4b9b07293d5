"""The net against its critics, on clips of singing or speech."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from mynah.catalog.checkpoint import load_strict, to_safetensors
from mynah.catalog.vectors import write_vectors
from mynah.convert.rvc import published, share
from mynah.convert.rvc.decoders import outward
from mynah.convert.rvc.net import SPREAD, Trainee
from mynah.convert.rvc.published import Published
from mynah.convert.rvc.recipe.critics import Critics
from mynah.convert.rvc.recipe.losses import kl, linear, mel_loss
from mynah.convert.rvc.recipe.plan import Plan
from mynah.convert.rvc.recipe.songs import Slice, Songs
from mynah.convert.rvc.sizes import NetConfig
from mynah.core.errors import BadCheckpoint, BadData
from mynah.core.recipe import Batch
from mynah.core.types import Audio
from mynah.train.duel import Duel
from mynah.train.losses import adversarial, critic_loss, exact

JUDGED = 4  # held-out slices that are sung whenever a checkpoint is written
BANK_ROWS = 50_000  # frames of the target that are kept for retrieval: about a quarter of an hour


class SingRecipe(Duel):
    """Everything as in the original: losses, their weights, segments, rates.

    Args:
        songs: What to learn from.
        config: Sizes; its content has to be the ear's.
        plan: Figures of the run.
        start: A model to go on from, with what only training needs.
        critics: Those to go on from, or new ones, of the width of the original's.

    Raises:
        BadCheckpoint: `start` is of other sizes, or was exported and cannot be trained further.
        BadData: More singers than the model has room for, or another rate.
    """

    name = "sing"
    plan: Plan
    net: Trainee

    def __init__(
        self,
        songs: Songs,
        config: NetConfig,
        plan: Plan | None = None,
        *,
        start: Published | None = None,
        critics: nn.Module | None = None,
    ) -> None:
        self.songs, self.config, self.plan = songs, config, plan or Plan()
        self.steps = self.plan.steps
        if len(songs.singers) > config.voices:
            raise BadData(f"there are {len(songs.singers)} singers, and the model has room for {config.voices}")
        if (songs.rate, songs.ear.size) != (config.decoder.rate, config.words):
            raise BadData(f"prepared for {songs.rate} Hz and content of {songs.ear.size}, which is not the model's")
        with torch.random.fork_rng():
            torch.manual_seed(self.plan.seed)
            self.face(Trainee(config), critics or Critics(config.version))
        if start is not None:
            if not start.complete:
                raise BadCheckpoint(
                    "this model was exported for singing and cannot learn on: take a pretrained f0G*.pth, or a "
                    "training run's G_*.pth"
                )
            load_strict(self.net, start.state, "the model to go on from")

    @property
    def epoch(self) -> float:
        return max(1.0, len(self.songs.training) / (self.plan.clips * self.batches))

    def batch(self, step: int) -> Batch:
        dice = Generator().manual_seed(self.plan.seed * 1_000_003 + step)
        batch = self.songs.draw(dice, self.plan.clips)
        room = batch["lengths"] - self.plan.segment + 1
        first = (torch.rand(len(room), generator=dice) * room).long()
        return batch | {"first": first, "seed": torch.randint(2**31, (1,), generator=dice)}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        key, hop, segment = int(batch["seed"][0]), self.config.decoder.hop, self.plan.segment
        recorded = _sliced(batch["wave"][:, None], batch["first"] * hop, segment * hop)
        if turn == "critic":
            verdicts = exact(self.critics(recorded)), exact(self.critics(self.rendered.pop(key)))
            return {"critic": len(verdicts[0]) * critic_loss(*verdicts)}
        dice = Generator().manual_seed(key)
        sound, divergence = self._learnt(batch, dice)
        # What the critics see of a recording teaches the net nothing by itself.
        with torch.no_grad():
            real = exact(self.critics(recorded))
        rendered = exact(self.critics(sound))
        self.keep(key, sound, self.batches)
        with torch.autocast(sound.device.type, enabled=False):  # nets may run in bfloat16, losses never do
            raw = {"mel": mel_loss(sound[:, 0], recorded[:, 0], self.config), "kl": divergence}
            raw |= adversarial(rendered, real)
        return {name: self.plan.weights[name] * loss for name, loss in raw.items()}

    def _learnt(self, batch: Batch, dice: Generator) -> tuple[Tensor, Tensor]:
        """Sound of the segments `[batch, 1, time]`, and how far the posterior is from what was to be expected."""
        net, device = self.net, batch["pitch"].device
        segment, first = self.plan.segment, batch["first"]
        count, frames = batch["pitch"].shape

        def white(*shape: int) -> Tensor:
            return torch.randn(shape, generator=dice).to(device)

        pitch = batch["pitch"] if self.config.pitched else None
        mask = (torch.arange(frames, device=device) < batch["lengths"][:, None])[:, None].float()
        voice = net.emb_g(batch["singer"])
        mean, spread = net.enc_p(batch["words"], pitch, mask)
        spectrum = linear(batch["wave"], self.config)
        heard = net.enc_q(spectrum, mask, voice, white(count, self.config.latent, frames))
        given = _sliced(heard.sample, first, segment)
        told = None if pitch is None else _sliced(pitch[:, None], first, segment)[:, 0]
        sound = self._rendered(given, voice, told, dice)
        taken_off = net.flow(heard.sample, mask, voice)
        with torch.autocast(device.type, enabled=False):
            return sound, kl(taken_off.float(), heard.spread.float(), mean.float(), spread.float(), mask)

    def held_out(self) -> list[Slice]:
        """What is judged; of what is learnt from, where nothing is held out."""
        parts = (self.songs.held_out or self.songs.training)[:JUDGED]
        return [replace(part, frames=min(part.frames, 200)) for part in parts]

    def sung(self, batch: Batch) -> Tensor:
        """Sound `[batch, time]` of the content and melody of a batch of `Songs`, as a listener will hear it."""
        net, dice = self.net, Generator().manual_seed(self.plan.seed)
        pitch, voice = batch["pitch"], net.emb_g(batch["singer"])
        count, frames = pitch.shape
        mask = (torch.arange(frames, device=pitch.device) < batch["lengths"][:, None])[:, None].float()
        noise = SPREAD * torch.randn(count, self.config.latent, frames, generator=dice).to(pitch.device)
        told = pitch if self.config.pitched else None
        latent = net.latent(batch["words"], told, voice, noise, mask)
        return self._rendered(latent, voice, told, dice)[:, 0]

    def _rendered(self, latent: Tensor, voice: Tensor, pitch: Tensor | None, dice: Generator) -> Tensor:
        """Sound `[batch, 1, time]` of frames, and of their melody."""
        net, device, (count, _, frames) = self.net, latent.device, latent.shape

        def white(*shape: int) -> Tensor:
            return torch.randn(shape, generator=dice).to(device)

        source = None
        if pitch is not None:
            hiss, phases = white(count, frames * self.config.decoder.hop), net.phases(dice)
            source = net.dec.m_source(pitch, hiss, phases=None if phases is None else phases.to(device))
        return net.sound(latent, voice, source, lambda _, *shape: white(count, shape[0], frames * shape[1])).float()

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """How near held-out slices are when they are sung from content and melody alone: minus nepers of log mel."""
        batch = self.there(self.songs.collate(self.held_out()))
        return {"likeness": -mel_loss(self.sung(batch), batch["wave"], self.config).item()}

    @torch.no_grad()
    def preview(self, batch: Batch) -> Audio:
        """Recordings, each followed by the same sung from content and melody."""
        batch = self.there(self.songs.collate(self.held_out()))
        pairs = torch.stack([batch["wave"], self.sung(batch)], 1)
        return Audio(pairs.reshape(1, -1).cpu(), self.config.decoder.rate)

    def export(self, folder: str) -> list[str]:
        """`voice/rvc.pth` with `voice/rvc.index`, which `mynah import` and other programs take, and both nets whole.

        The index is a flat one: exact, and found without training.
        """
        place = Path(folder)
        info = f"{self.config.version} at {self.config.decoder.rate} Hz, trained with Mynah"
        about = published.metadata_of(self.config, {"info": info})
        state = outward(self.net.state_dict(), self.config.decoder)
        whole = to_safetensors(state, place / "rvc.pretrain.safetensors", about)
        critics = to_safetensors(self.critics.state_dict(), place / "rvc.critics.safetensors", {})
        (place / "voice").mkdir(parents=True, exist_ok=True)
        voice = share.export(whole, place / "voice" / "rvc.pth")
        index = write_vectors(self.bank(), place / "voice" / "rvc.index")
        return [str(path) for path in (voice, index, whole, critics)]

    def bank(self) -> Tensor:
        """What was heard in all that was learnt from, `[frame, size]`; of too much, every so many frames."""
        rows = torch.cat([self.songs.content(part) for part in self.songs.training])
        return rows[:: math.ceil(len(rows) / BANK_ROWS)]


def _sliced(x: Tensor, first: Tensor, length: int) -> Tensor:
    """Of each `[channel, time]` of a batch `length` steps from `first[batch]`."""
    place = first[:, None, None] + torch.arange(length, device=x.device)
    return x.gather(-1, place.expand(-1, x.shape[1], -1))
