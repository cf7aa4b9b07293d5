"""The recogniser: which letters are heard in the content."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.recipe import Batch, Recipe
from mynah.features.letters import ALPHABET, Letters, LettersConfig, spelling
from mynah.metrics.spelling import character_error
from mynah.speak.mynah.recipe.readings import Reading, Readings, framed


class LettersRecipe(Recipe):
    """CTC on what the frozen content student hears. Stretches of frames and of the 64 values are blotted out."""

    name = "letters"

    def __init__(
        self,
        readings: Readings,
        *,
        config: LettersConfig | None = None,
        steps: int = 3000,
        clips: int = 24,
        seed: int = 21,
    ) -> None:
        self.readings, self.steps, self.clips, self.seed = readings, steps, clips, seed
        self.letters = Letters(config)
        self.nets = nn.ModuleDict({"letters": self.letters})

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        drawn = [one for one in self.readings.drawn(dice, self.clips) if one.spelt]
        content = [self.readings.heard(one)[:64] for one in drawn]
        texts = [torch.tensor([ALPHABET.find(letter) + 1 for letter in one.spelt]) for one in drawn]
        texts = [text[text > 0] for text in texts]
        frames = torch.tensor([rows.shape[1] for rows in content])
        return {
            "content": blotted(framed(content), dice),
            "frames": frames,
            "text": nn.utils.rnn.pad_sequence(texts, batch_first=True),
            "letters": torch.tensor([len(text) for text in texts]),
        }

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return 2e-3 * min(1.0, (step + 1) / 200) * (1 - 0.98 * min(1.0, step / self.steps))

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        with torch.autocast(batch["content"].device.type, torch.bfloat16):
            scores = self.letters(batch["content"])
        loss = F.ctc_loss(
            scores.float().transpose(0, 1), batch["text"], batch["frames"], batch["letters"], zero_infinity=True
        )
        return {"ctc": loss}

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """Letters right on what is held out, all readers and each: 1 less the character error."""
        held_out = self.readings.part(True) or self.readings.part(False)[-100:]
        found = {"letters_right": 1 - self._error(held_out)}
        for reader in self.readings.readers:
            own = [reading for reading in held_out if reading.take.clip.speaker == reader]
            if own:
                found[f"letters_right_{reader}"] = 1 - self._error(own)
        return found

    def _error(self, readings: list[Reading]) -> float:
        pairs = []
        for reading in readings:
            heard = spelling(self.letters(self.readings.heard(reading)[None, :64])[0])
            pairs.append((reading.spelt, heard))
        return character_error(pairs)

    def export(self, folder: str) -> list[str]:
        state = {key: value.detach().cpu() for key, value in self.letters.state_dict().items()}
        meta = {"format": "mynah-1", "net": "letters"}
        return [str(to_safetensors(state, f"{folder}/letters.safetensors", meta, dtype=torch.float16))]


def blotted(content: Tensor, dice: torch.Generator) -> Tensor:
    """Two stretches of at most a fifth of a second and one of at most ten values become zero in every example.

    Source: SpecAugment (Park et al., arXiv 1904.08779).
    """
    content = content.clone()
    for row in content:
        for _ in range(2):
            width, at = torch.randint(11, (), generator=dice), torch.randint(row.shape[1], (), generator=dice)
            row[:, at : at + width] = 0
        width, at = torch.randint(11, (), generator=dice), torch.randint(row.shape[0], (), generator=dice)
        row[at : at + width] = 0
    return content
