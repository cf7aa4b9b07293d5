"""The net against its critics, on slices of singing."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from mynah.catalog.checkpoint import load_strict, to_safetensors
from mynah.convert.whisper_vits_svc.critics import Critics
from mynah.convert.whisper_vits_svc.losses import WEIGHTS, critic_loss, linear, net_losses
from mynah.convert.whisper_vits_svc.net import Learnt, Noise, Trainee, sliced
from mynah.convert.whisper_vits_svc.published import Published, singer_of
from mynah.convert.whisper_vits_svc.recipe.listen import judged, sung
from mynah.convert.whisper_vits_svc.recipe.plan import Plan
from mynah.convert.whisper_vits_svc.recipe.songs import Slice, Songs
from mynah.convert.whisper_vits_svc.sizes import NetConfig
from mynah.convert.whisper_vits_svc.source import HARMONICS
from mynah.core.errors import BadCheckpoint
from mynah.core.recipe import Batch
from mynah.core.types import Audio
from mynah.train.duel import Duel
from mynah.train.losses import exact

MODEL = "whisper_vits_svc"  # what is exported
JUDGED = 4  # held-out slices that are sung by somebody else whenever a checkpoint is written
MEASURES = ("score", "voice", "words", "melody")


class SingRecipe(Duel):
    """Everything as in the original: losses, noise on the features, segments, rates.

    Args:
        songs: What to learn from.
        config: Sizes; those of the features have to be the ears'.
        plan: Figures of the run.
        start: A model to go on from, with what only training needs; its critics are new where it has none.
        critics: Others than the original's ten.

    Raises:
        BadCheckpoint: `start` is of other sizes, or was exported and cannot be trained further.
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
        self.steps, self.ema = self.plan.steps, self.plan.ema
        self.autocast, self.patience = self.plan.bf16, self.plan.patience
        with torch.random.fork_rng():
            torch.manual_seed(self.plan.seed)
            self.face(Trainee(config), critics or Critics())
        if start is not None:
            if not start.complete:
                raise BadCheckpoint("this model was exported for singing and cannot learn on: take one with enc_q")
            load_strict(self.net, start.net, "the model to go on from")
            if start.critics is not None:
                load_strict(self.critics, start.critics, "the critics to go on from")

    @property
    def epoch(self) -> float:
        """Steps until as much was drawn as there is."""
        drawn = self.plan.clips * self.plan.accumulate * self.batches
        return max(1.0, len(self.songs.training) / drawn)

    def batch(self, step: int) -> Batch:
        dice = Generator().manual_seed(self.plan.seed * 1_000_003 + step)
        batch = self.songs.draw(dice, self.plan.clips * self.plan.accumulate)
        count = len(batch["lengths"])
        room = batch["lengths"] - self.plan.segment + 1
        first = (torch.rand(count, generator=dice) * room).long()
        return batch | {"first": first, "seed": torch.randint(2**31, (count,), generator=dice)}

    def parts(self, batch: Batch) -> list[Batch]:
        columns = {name: values.split(self.plan.clips) for name, values in batch.items()}
        return [{name: column[part] for name, column in columns.items()} for part in range(self.plan.accumulate)]

    def learning_rate(self, turn: str, step: int) -> float:
        rate = super().learning_rate(turn, step)
        return rate / self.plan.accumulate if turn == "critic" else rate

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        key = int(batch["seed"][0])
        hop = self.config.decoder.hop
        recorded = sliced(batch["wave"][:, None], batch["first"] * hop, self.plan.segment * hop)
        if turn == "critic":
            sound = self.rendered.pop(key)
            verdicts = exact(self.critics(sound)), exact(self.critics(recorded))
            return {"critic": critic_loss(*verdicts)}
        mask = self._mask(batch)
        learnt = self._learnt(batch, mask)
        sound = learnt.sound.float()
        # What the critics see of a recording teaches the net nothing by itself.
        with torch.no_grad():
            real = self.critics(recorded)
        rendered = self.critics(sound)
        self.keep(key, sound, self.plan.accumulate * self.batches)
        learnt = learnt._replace(guess=learnt.guess.float())
        with torch.autocast(sound.device.type, enabled=False):  # nets may run in bfloat16, losses never do
            losses = net_losses(
                learnt, recorded, batch["voice"], mask, exact(rendered), exact(real), self.config.decoder
            )  # fmt: skip
        return {name: self.plan.weights[name] / WEIGHTS[name] * loss for name, loss in losses.items()}

    def _mask(self, batch: Batch) -> Tensor:
        frames = torch.arange(batch["pitch"].shape[-1], device=batch["pitch"].device)
        return (frames < batch["lengths"][:, None])[:, None].float()

    def _learnt(self, batch: Batch, mask: Tensor) -> Learnt:
        words, sounds, pitch = batch["words"], batch.get("sounds"), batch["pitch"]
        dice = Generator().manual_seed(int(batch["seed"][0]))
        count, frames = pitch.shape
        latent, segment, hop = self.config.latent, self.plan.segment, self.config.decoder.hop

        def white(*shape: int) -> Tensor:
            return torch.randn(shape, generator=dice).to(pitch.device)

        phases = torch.rand(count, HARMONICS, generator=dice)
        phases[:, 0] = 0
        noise = Noise(
            words=white(*words.shape),
            sounds=None if sounds is None else white(*sounds.shape),
            prior=white(count, latent, frames),
            posterior=white(count, latent, frames),
            decoder=white(count, latent, segment),
            source=white(count, segment * hop),
            phases=phases.to(pitch.device),
        )
        spectrum = linear(batch["wave"], hop)
        learnt: Learnt = self.net(words, sounds, pitch, spectrum, batch["voice"], mask, batch["first"], noise)
        return learnt

    def held_out(self) -> list[Slice]:
        """What is judged; of what is learnt from, where nothing is held out."""
        return (self.songs.held_out or self.songs.training)[:JUDGED]

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """By ear: held-out slices sung by the next singer, or by their own where there is one only.

        Each figure is 1 at best: `voice`, how much it sounds like that singer; `words`, how many are still there;
        `melody`, the share of notes within 50 cents; `score` is their mean.
        """
        voices = {singer: self.songs.voice_of(singer) for singer in self.songs.singers}
        rows = []
        for part in self.held_out():
            singers = self.songs.singers
            own = singers.index(part.take.clip.speaker) if part.take.clip.speaker in singers else 0
            voice = voices[singers[(own + 1) % len(singers)]]
            batch = self.there(self.songs.collate([part]))
            made = sung(self.net, batch, voice.to(batch["pitch"].device), self.plan.seed)
            rows.append(judged(Audio(made.cpu(), self.config.decoder.rate), batch, voice, self.songs.ears))
        figures = {name: sum(row[name] for row in rows) / len(rows) for name in MEASURES[1:]}
        return {"score": sum(figures.values()) / len(figures)} | figures

    @torch.no_grad()
    def preview(self, batch: Batch) -> Audio:
        """Recordings, each followed by the same sung from content, melody and the singer's own voice."""
        batch = self.there(self.songs.collate(self.held_out()))
        made = sung(self.net, batch, batch["voice"], self.plan.seed)
        pairs = torch.stack([batch["wave"], made], 1)
        return Audio(pairs.reshape(1, -1).cpu(), self.config.decoder.rate)

    def export(self, folder: str) -> list[str]:
        """The singer alone, and everything for whoever wants to go on from it."""
        place, state = Path(folder), self.net.state_dict()
        critics = self.critics.state_dict()
        about = {"format": "mynah-1", "net": MODEL}
        return [
            str(to_safetensors(singer_of(state), place / f"{MODEL}.safetensors", about)),
            str(to_safetensors({**state, **critics}, place / f"{MODEL}.pretrain.safetensors", about)),
        ]
