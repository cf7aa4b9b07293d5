"""A new voice: a row of the table is fitted to its clips while the net is frozen, and afterwards, if asked, the net."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from mynah.audio.resample import resample
from mynah.convert.ucd_svc.condition import condition, excited
from mynah.convert.ucd_svc.excitation import start_turns
from mynah.convert.ucd_svc.hear import Heard, hear
from mynah.convert.ucd_svc.listeners import Ear
from mynah.convert.ucd_svc.objectives import reconstruction
from mynah.convert.ucd_svc.published import Model, write_row
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT
from mynah.core.errors import BadVoice
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio, Voice
from mynah.features.pitch import pitch

FRAMES = 25  # content frames of a clip to learn from: half a second
MOST_SECONDS = 300.0  # of clips that are listened to
_STEPS, _PITCHES = UNIT // LOUDNESS_HOP, UNIT // PITCH_HOP


class AdaptRecipe(Recipe):
    """Reconstruction of the voice's own clips, spoken or sung.

    Args:
        voice: With clips, one to five minutes at best.
        model: Whose table gets a row; it stays as it is.
        ear: The acoustic model.
        row: To go on from; by default the one among the table's rows, and their middle, that fits best.
        net: Tune the net as well, in a copy.
        steps: Of the optimiser.
        clips: In a batch.
        seed: Of all that is drawn.

    Raises:
        BadVoice: No clip is long enough.
    """

    def __init__(
        self,
        voice: Voice,
        model: Model,
        ear: Ear,
        *,
        row: Tensor | None = None,
        net: bool = False,
        steps: int = 400,
        clips: int = 6,
        seed: int = 5,
    ) -> None:
        self.name = "net" if net else "row"  # type: ignore[misc]
        self.model, self.steps, self.clips, self.seed, self.tunes_net = model, steps, clips, seed, net
        self.heard: list[tuple[Tensor, Heard]] = []
        seconds = 0.0
        for clip in voice.clips:
            if clip.seconds > (FRAMES + 1) * UNIT / RATE and seconds < MOST_SECONDS:
                wave = resample(Audio(clip.samples.mean(0, keepdim=True), clip.rate), RATE).samples
                # What was made without gradients cannot be learnt from.
                with torch.no_grad():
                    parts = hear(wave[0].clone(), pitch(Audio(wave, RATE)), ear, model.config.loudness_window)
                self.heard.append((wave[0].clone(), parts))
                seconds += clip.seconds
        if not self.heard:
            raise BadVoice(f"the voice {voice.name!r} has no clip of a second or more to learn from: enrol more of it")
        self.generator = deepcopy(model.generator).requires_grad_(net)
        self.row = nn.Parameter(self._nearest() if row is None else row.detach().clone())
        self.nets = nn.ModuleDict({"generator": self.generator, "row": nn.ParameterList([self.row])})

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        lengths = torch.tensor([float(len(wave)) for wave, _ in self.heard])
        rows = []
        for number in torch.multinomial(lengths, self.clips, replacement=True, generator=dice).tolist():
            wave, heard = self.heard[number]
            first = int(torch.randint(len(wave) // UNIT - FRAMES, (), generator=dice))
            rows.append(
                {
                    "wave": wave[first * UNIT : (first + FRAMES) * UNIT],
                    "content": heard.content[:, first : first + FRAMES],
                    "loudness": heard.loudness[first * _STEPS : (first + FRAMES) * _STEPS],
                    "pitch": heard.pitch[first * _PITCHES : (first + FRAMES) * _PITCHES + 1],
                }
            )
        batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        return batch | {"seed": torch.randint(2**31, (), generator=dice)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return [self.row, *(self.generator.parameters() if self.tunes_net else [])]

    def learning_rate(self, turn: str, step: int) -> float:
        start = 2e-4 if self.tunes_net else 2e-2
        return start * (1 - 0.9 * min(1.0, step / self.steps))

    def optimizer(self, turn: str) -> dict[str, float]:
        return {"weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        dice, pitch = torch.Generator().manual_seed(int(batch["seed"])), batch["pitch"]
        turns = start_turns(pitch[:, :-1], PITCH_HOP, RATE)
        noise = torch.randn(batch["wave"].shape, generator=dice).to(pitch.device)
        config = self.model.config
        told = condition(config, batch["content"], batch["loudness"], pitch)
        voice = self.unit_row.expand(len(pitch), -1)
        sound = self.generator(excited(config, pitch, turns, noise), told, voice)[:, 0]
        convergence, magnitude = reconstruction(sound, batch["wave"])
        return {"convergence": convergence, "magnitude": magnitude}

    @property
    def unit_row(self) -> Tensor:
        """As the table would read it."""
        return nn.functional.normalize(self.row, dim=0)

    def fit(self) -> Tensor:
        """The row after all steps, without a trainer around them: a few seconds for a few dozen of them."""
        optimizer = torch.optim.Adam([self.row], betas=(0.8, 0.99))
        for step in range(self.steps):
            optimizer.param_groups[0]["lr"] = self.learning_rate("net", step)
            optimizer.zero_grad()
            torch.stack(list(self.losses("net", self.batch(step)).values())).sum().backward()
            optimizer.step()
        return self.unit_row.detach()

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """How near the clips are, on one batch that stays the same."""
        batch = {name: values.to(self.row.device) for name, values in self.batch(self.steps).items()}
        return {"score": -sum(loss.item() for loss in self.losses("net", batch).values())}

    def export(self, folder: str) -> list[str]:
        """`weights.safetensors`: the row, and the net where that was tuned."""
        path = Path(folder) / "weights.safetensors"
        row, net = self.unit_row.cpu(), self.generator.cpu() if self.tunes_net else None
        return [str(write_row(row, self.model, path, net=net))]

    def _nearest(self) -> Tensor:
        table = self.model.table
        known = table(torch.arange(len(table.names)))
        candidates = [*known, nn.functional.normalize(known.sum(0), dim=0)]
        fits = []
        for row in candidates:
            self.row = nn.Parameter(row.detach().clone())
            fits.append(self.measures()["score"])
        return candidates[fits.index(max(fits))].detach().clone()
