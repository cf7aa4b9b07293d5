"""The one stage: recordings sung by their own singers, by others, and by virtual ones between two."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.convert.ucd_svc.condition import condition, excited
from mynah.convert.ucd_svc.critics import Critics
from mynah.convert.ucd_svc.excitation import start_turns
from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.listeners import Activations, windows
from mynah.convert.ucd_svc.objectives import generator_objective, reconstruction
from mynah.convert.ucd_svc.published import Model, begun_with, write
from mynah.convert.ucd_svc.recipe.plan import Plan
from mynah.convert.ucd_svc.recipe.songs import Songs, others
from mynah.convert.ucd_svc.sizes import PITCH_HOP, RATE
from mynah.convert.ucd_svc.table import VoiceTable, mixed
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.train.losses import critic_loss, fooled_loss

MODEL = "ucd_svc"  # what is exported
MEASURED = 8  # clips


class SingRecipe(Recipe):
    """Generator, table and critics.

    With one singer it is the single-singer objective of the paper; with more, other and virtual singers sing as well.

    Args:
        songs: What to learn from.
        plan: Figures of the run.
        melody: CREPE's activations; needed unless the plan gives them no weight.
        heard: Of every singer, by the house's voice encoder.
        start: A vocoder to begin with.
    """

    name = "sing"
    turns = ("net", "critic")

    def __init__(
        self,
        songs: Songs,
        plan: Plan,
        melody: Activations | None = None,
        *,
        heard: Tensor | None = None,
        start: Generator | None = None,
    ) -> None:
        if melody is None and plan.weights["melody"]:
            raise ValueError("CREPE has a weight in the losses but is not there")
        self.songs, self.plan, self.config = songs, plan, songs.config
        self.steps, self.ema, self.autocast = plan.steps, plan.ema, plan.bf16
        with torch.random.fork_rng():
            torch.manual_seed(plan.seed)
            self.generator = Generator(self.config.generator)
            self.table = VoiceTable(songs.singers, self.config.generator.voice, heard)
            self.critics = Critics(plan.critics)
        if start is not None:
            begun_with(self.generator, start)
        self.nets = nn.ModuleDict({"generator": self.generator, "table": self.table, "critics": self.critics})
        self.judges: dict[str, Activations] = {}
        if plan.weights["words"]:
            self.judges["words"] = songs.ear.activations
        if melody is not None and plan.weights["melody"]:
            self.judges["melody"] = melody
        self.beside = nn.ModuleList(judge.net for judge in self.judges.values())  # so that they move to the device
        self.rendered: tuple[int, Tensor] | None = None

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + step)
        batch = self.songs.draw(dice, self.plan.clips, self.plan.places)
        return batch | {"step": torch.tensor(step), "seed": torch.randint(2**31, (), generator=dice)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        if turn == "critic":
            return list(self.critics.parameters())
        return [*self.generator.parameters(), *self.table.parameters()]

    def learning_rate(self, turn: str, step: int) -> float:
        rate, first = (self.plan.critic_rate, self.plan.critics_from) if turn == "critic" else (self.plan.rate, 0)
        # Who begins late begins with the whole rate: critics whose rate had nearly run out learnt nothing.
        done, all_of_it = max(0, step - first), max(1, self.steps - first)
        return rate * min(1.0, (done + 1) / 50) * (1 - 0.95 * min(1.0, done / all_of_it))

    def passes(self, batch: Batch, dice: torch.Generator) -> dict[str, tuple[Tensor, Tensor]]:
        """By kind: which clips of the batch are sung, and in what voice `[clip, voice]`."""
        singer = batch["singer"].cpu()
        sung = {"own": (torch.arange(len(singer)), self._rows(singer))}
        count = len(self.songs.singers)
        if count == 1 or int(batch["step"]) < self.plan.swaps_from:
            return sung
        if self.plan.swapped:
            place = torch.arange(self.plan.swapped) % len(singer)
            sung["swapped"] = (place, self._rows(others(singer[place], count, dice)))
        if self.plan.mixed:
            place = torch.arange(self.plan.swapped, self.plan.swapped + self.plan.mixed) % len(singer)
            first = torch.randint(count, place.shape, generator=dice)
            second = others(first, count, dice)
            share = torch.rand(place.shape, generator=dice).to(self.table.rows.device)
            sung["virtual"] = (place, mixed(self._rows(first), self._rows(second), share))
        return sung

    def render(self, batch: Batch, place: Tensor, voice: Tensor, dice: torch.Generator) -> Tensor:
        """Clips of the batch in voices, `[clip, time]`; the phase begins anywhere."""
        device = batch["wave"].device
        pitch = batch["pitch"][place.to(device)]
        begin = torch.rand(len(place), 1, generator=dice, dtype=torch.float64).to(device)
        turns = start_turns(pitch[:, :-1], PITCH_HOP, RATE) + begin
        noise = torch.randn(len(place), batch["wave"].shape[-1], generator=dice).to(device)
        content, loudness = (batch[name][place.to(device)] for name in ("content", "loudness"))
        told = condition(self.config, content, loudness, pitch)
        sound: Tensor = self.generator(excited(self.config, pitch, turns, noise), told, voice)
        return sound[:, 0].float()

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        step, weight = int(batch["step"]), self.plan.weights["fooled"]
        criticised = bool(weight) and step >= self.plan.critics_from
        if turn == "critic":
            if not criticised:
                return {}
            assert self.rendered is not None and self.rendered[0] == step
            return {"critic": critic_loss(self._exact(batch["wave"]), self._exact(self.rendered[1]))}
        dice = torch.Generator().manual_seed(int(batch["seed"]))
        sung = self.passes(batch, dice)
        place = torch.cat([clips for clips, _ in sung.values()])
        sound = self.render(batch, place, torch.cat([voice for _, voice in sung.values()]), dice)
        made = dict(zip(sung, sound.split([len(clips) for clips, _ in sung.values()]), strict=True))
        losses = generator_objective(made, batch["wave"], self._heard(sound, batch, place), self.plan.weights)
        if criticised:
            losses["fooled"] = weight * fooled_loss(self._exact(sound))
            self.rendered = (step, sound.detach())
        return losses

    def _heard(
        self, sound: Tensor, batch: Batch, place: Tensor
    ) -> dict[str, tuple[list[Tensor], list[Tensor], Tensor | None]]:
        heard: dict[str, tuple[list[Tensor], list[Tensor], Tensor | None]] = {}
        place = place.to(sound.device)
        for name, judge in self.judges.items():
            counts = batch["sure"][place].flatten() if name == "melody" else None

            def listened(wave: Tensor, centres: Tensor, name: str = name, judge: Activations = judge) -> list[Tensor]:
                return judge(windows(wave, centres) if name == "melody" else wave)

            ours = listened(sound, batch["places"][place])
            with torch.no_grad():
                theirs = listened(batch["wave"], batch["places"])
            # What was sung several times was recorded once.
            rows = [layer.unflatten(0, (len(batch["wave"]), -1))[place].flatten(0, 1) for layer in theirs]
            heard[name] = (ours, rows, counts)
        return heard

    def _exact(self, wave: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        return [(verdict.float(), seen) for verdict, seen in self.critics(wave)]

    def _rows(self, singer: Tensor) -> Tensor:
        rows: Tensor = self.table(singer.to(self.table.rows.device))
        return rows

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """On clips held out, as their own singers: minus the spectral loss, and its two parts."""
        device = self.table.rows.device
        drawn = self.songs.draw(torch.Generator().manual_seed(0), MEASURED, 1, held_out=True)
        batch = {name: values.to(device) for name, values in drawn.items()}
        dice, place = torch.Generator().manual_seed(0), torch.arange(MEASURED)
        sound = self.render(batch, place, self._rows(batch["singer"]), dice)
        convergence, magnitude = (part.item() for part in reconstruction(sound, batch["wave"]))
        return {"score": -convergence - magnitude, "convergence": convergence, "magnitude": magnitude}

    @torch.no_grad()
    def preview(self, batch: Batch) -> Audio:
        """A recording, as its own singer has it, and as the next singer would."""
        place, dice = torch.zeros(2, dtype=torch.long), torch.Generator().manual_seed(0)
        own = batch["singer"][:1].cpu()
        voices = self._rows(torch.cat([own, (own + 1) % len(self.songs.singers)]))
        sound = self.render(batch, place, voices, dice)
        return Audio(torch.cat([batch["wave"][0], *sound])[None].cpu(), RATE)

    def model(self) -> Model:
        """What is exported."""
        generator = Generator(self.config.generator)
        generator.load_state_dict(self.generator.state_dict())
        return Model(self.config, generator.cpu(), self.table.cpu(), self.songs.ear.name, self.steps)

    def export(self, folder: str) -> list[str]:
        """The model, and beside it the critics, for whoever wants to go on."""
        files = [write(self.model(), Path(folder) / f"{MODEL}.safetensors", torch.float16)]
        critics = {name: value.detach() for name, value in self.critics.state_dict().items()}
        files.append(to_safetensors(critics, Path(folder) / f"{MODEL}_critics.safetensors"))
        return [str(file) for file in files]
