"""Stage 2: the voice encoder learns to tell singers apart, whatever they say and however they were recorded."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.mynah.recipe import alter
from mynah.convert.mynah.recipe.corpus import Corpus, save
from mynah.core.recipe import Batch, Recipe
from mynah.features.speaker import SpeakerConfig, VoiceEncoder

SCALE, MARGIN = 30.0, 0.2


class VoiceRecipe(Recipe):
    """Additive angular margin softmax over the named speakers (ArcFace, Deng et al., arXiv 1801.07698).

    Colour, level, noise and room are altered and the highs sometimes cut, so that the microphone does not give the
    singer away. Pitch moves by up to a fourth: people are themselves on other notes too.
    """

    name = "voice"

    def __init__(
        self, corpus: Corpus, *, config: SpeakerConfig | None = None, steps: int = 2600, clips: int = 64, seed: int = 2
    ) -> None:
        self.corpus, self.steps, self.clips, self.seed = corpus, steps, clips, seed
        self.encoder = VoiceEncoder(config)
        self.table = nn.Embedding(len(corpus.speakers), self.encoder.config.size)
        self.nets = nn.ModuleDict({"encoder": self.encoder, "table": self.table})

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        wave, speaker = self.corpus.stretches(dice, self.clips, 110)
        return {"wave16": wave, "speaker": speaker, "seed": torch.randint(2**31, (), generator=dice)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        warm = min(1.0, (step + 1) / 100)
        return 1.5e-3 * warm * (1 - 0.97 * min(1.0, step / self.steps))

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        dice = torch.Generator().manual_seed(int(batch["seed"]))
        speaker = batch["speaker"]
        with torch.no_grad():
            power = self.altered(self.encoder.power(batch["wave16"]), dice)
        with torch.autocast("cpu", torch.bfloat16):
            vector = self.encoder.from_power(power)
        cosine = vector @ F.normalize(self.table.weight, dim=-1).T
        hit = F.one_hot(speaker, cosine.shape[1]).bool()
        harder = torch.cos(cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos() + MARGIN)
        # Past pi - margin the cosine would rise again.
        harder = torch.where(cosine > math.cos(math.pi - MARGIN), harder, cosine - MARGIN * math.sin(MARGIN))
        return {"margin": F.cross_entropy(SCALE * torch.where(hit, harder, cosine), speaker)}

    def altered(self, power: Tensor, dice: torch.Generator) -> Tensor:
        """What the encoder gets to hear of a batch of power spectra."""
        pitch = 2 ** alter.uniform(len(power), -0.4, 0.4, dice)
        power = alter.formants_and_pitch(power, torch.ones(len(power)), pitch)
        return alter.noise(alter.room(alter.colour(alter.cut_highs(power, dice), dice), dice), dice)

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """One minus the equal error rate over pairs of stretches of speakers or recordings never trained on."""
        wave, speaker = self.corpus.stretches_held_out(torch.Generator().manual_seed(0), each=12, frames=150)
        vector = self.encoder(wave)
        score = (vector @ vector.T).flatten()
        same = (speaker[:, None] == speaker).flatten()
        other = ~torch.eye(len(vector), dtype=torch.bool).flatten()
        own, foreign = score[same & other], score[~same]
        threshold = torch.linspace(-1, 1, 400)[:, None]
        miss, alarm = (own < threshold).float().mean(1), (foreign >= threshold).float().mean(1)
        place = (miss - alarm).abs().argmin()
        rate = (miss[place] + alarm[place]).item() / 2
        return {"right": 1 - rate, "own": own.mean().item(), "foreign": foreign.mean().item()}

    def export(self, folder: str) -> list[str]:
        return [save(self.encoder, folder, "voice_judge")]


class EarRecipe(VoiceRecipe):
    """Goes on from the voice encoder with nothing altered but the pitch: an ear that minds colour, room and noise.

    It is shipped nowhere; it judges the decoder beside the voice encoder, which was taught to mind nothing of the kind.
    """

    name = "ear"

    def __init__(
        self, corpus: Corpus, encoder: VoiceEncoder, *, steps: int = 900, clips: int = 48, seed: int = 4
    ) -> None:
        super().__init__(corpus, config=encoder.config, steps=steps, clips=clips, seed=seed)
        self.encoder.load_state_dict(encoder.state_dict())

    def altered(self, power: Tensor, dice: torch.Generator) -> Tensor:
        pitch = 2 ** alter.uniform(len(power), -0.4, 0.4, dice)
        return common_band(alter.formants_and_pitch(power, torch.ones(len(power)), pitch))

    def export(self, folder: str) -> list[str]:
        return [save(self.encoder, folder, "voice_ear")]


def common_band(power: Tensor) -> Tensor:
    """Nothing above 6.8 kHz, which even dull recordings reach, so that highs do not give a speaker away."""
    kept = torch.arange(power.shape[1], device=power.device) < 170
    return power * kept[:, None]
