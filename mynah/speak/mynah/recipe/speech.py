"""The speaking net's stage: from sounds to durations, content, melody and loudness."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.recipe import Batch, Recipe
from mynah.speak.mynah.acoustic import LEVEL_DB, Acoustic, AcousticConfig, Spoken
from mynah.speak.mynah.aligner import Aligner
from mynah.speak.mynah.recipe.align import way
from mynah.speak.mynah.recipe.readings import Reading, Readings, framed, side_by_side

EDGE = 8  # frames of silence that are kept before and after a text
LOUDNESS_DB = 20.0  # frames quieter than the mean by more than this count less: silence has no words


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt from one reading."""

    reading: Reading
    first: int  # frame of the recording
    durations: Tensor  # frames, [token]
    liveliness: float  # standard deviation of the melody in octaves
    pace: float  # log of frames for each sound


class SpeechRecipe(Recipe):
    """Regression. What a text cannot tell, how lively and how fast it was read, is told, so that means stay lively."""

    name = "speech"
    ema = 0.999
    patience = 5  # an hour of one reader is soon known by heart

    def __init__(
        self,
        readings: Readings,
        aligner: Aligner,
        *,
        config: AcousticConfig | None = None,
        steps: int = 6000,
        clips: int = 16,
        seed: int = 23,
    ) -> None:
        self.readings, self.steps, self.clips, self.seed = readings, steps, clips, seed
        readers = len(readings.readers) + 1
        self.acoustic = Acoustic(config or AcousticConfig(readers=readers))
        self.nets = nn.ModuleDict({"acoustic": self.acoustic})
        self.lessons = {reading.take.folder: lesson(aligner, readings, reading) for reading in readings.readings}
        # Standardised for every reader alone: 0 is how they mostly read.
        self.manners: list[tuple[Tensor, Tensor]] = []
        for reader in range(readers):
            own = [one for one in self.lessons.values() if readings.reader(one.reading) == reader]
            rows = torch.tensor([[one.liveliness, one.pace] for one in own]) if own else torch.zeros(1, 2)
            self.manners.append((rows.mean(0), rows.std(0, correction=0).clamp(min=0.05)))

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return self._batch(self.readings.drawn(dice, self.clips))

    def _batch(self, drawn: list[Reading]) -> Batch:
        lessons = [self.lessons[one.take.folder] for one in drawn]
        readers = [self.readings.reader(one) for one in drawn]
        rows = [self._rows(one) for one in lessons]
        style = [
            (torch.tensor([one.liveliness, one.pace]) - mean) / deviation
            for one, (mean, deviation) in zip(lessons, (self.manners[reader] for reader in readers), strict=True)
        ]
        return side_by_side(drawn) | {
            "reader": torch.tensor(readers),
            "style": torch.stack(style).clamp(-3, 3),
            "durations": nn.utils.rnn.pad_sequence([one.durations for one in lessons], batch_first=True),
            "frames": torch.tensor([row.shape[1] for row in rows]),
            "rows": framed(rows),
        }

    def _rows(self, one: Lesson) -> Tensor:
        """Content 64, voiced 2, pitch 2, level 2: `[70, frame]`."""
        take, count = one.reading.take, int(one.durations.sum())
        middle, mean_db = self.readings.middle[take.clip.speaker]
        heard = self.readings.heard(one.reading)[:, one.first : one.first + count]
        pitch = take.pitch(one.first, count).view(-1, 2).T
        voiced = pitch.isfinite()
        octaves = torch.where(voiced, (pitch / middle).log2(), torch.zeros(())).clamp(-1.5, 1.5)
        return torch.cat([heard[:64], voiced.float(), octaves, (heard[64:] - mean_db) / LEVEL_DB])

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list(self.nets.parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return 2e-3 * min(1.0, (step + 1) / 200) * (1 - 0.98 * min(1.0, step / self.steps))

    def _speak(self, batch: Batch) -> tuple[Spoken, Tensor]:
        with torch.autocast(batch["rows"].device.type, torch.bfloat16):
            names = ("symbol", "stress", "manner", "language", "reader", "style")
            x, condition, lasting = self.acoustic.sounded(*(batch[name] for name in names))
            spoken = self.acoustic.spoken(x, condition, batch["durations"])
        return spoken, lasting.float()

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        spoken, lasting = self._speak(batch)
        content, voiced, pitch, level = torch.split(batch["rows"], [64, 2, 2, 2], dim=1)
        voiced, pitch, level = (part.transpose(1, 2).flatten(1) for part in (voiced, pitch, level))
        there = (torch.arange(content.shape[2]) < batch["frames"][:, None]).float()
        loud = there * (0.2 + 0.8 * (level[:, ::2] > -LOUDNESS_DB / LEVEL_DB))
        halves = there.repeat_interleave(2, 1)
        said = (batch["durations"] > 0).float()
        short = (lasting - batch["durations"].clamp(min=1).log()).abs()

        def mean(error: Tensor, weight: Tensor) -> Tensor:
            return (error.float() * weight).sum() / weight.sum().clamp(min=1)

        return {
            "content": mean((spoken.content.float() - content).square().mean(1), loud),
            "voiced": 0.3
            * mean(F.binary_cross_entropy_with_logits(spoken.voiced.float(), voiced, reduction="none"), halves),
            "pitch": 2 * mean((spoken.pitch - pitch).abs(), halves * voiced),
            "level": mean((spoken.level - level).abs(), halves),
            "duration": 0.5 * mean(short, said),
        }

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """On held-out texts with their true durations; `length_off` with those that are predicted."""
        likeness, octaves, off = [], [], []
        for reading in (self.readings.part(True) or self.readings.part(False))[:120]:
            batch = self._batch([reading])
            batch["style"] = torch.zeros(1, 2)
            spoken, lasting = self._speak(batch)
            content, voiced, pitch, level = torch.split(batch["rows"], [64, 2, 2, 2], dim=1)
            sounds = level.mean(1) > -LOUDNESS_DB / LEVEL_DB
            likeness.append(F.cosine_similarity(spoken.content.float(), content, dim=1)[sounds].mean())
            here = voiced.transpose(1, 2).flatten(1) > 0
            if here.any():
                octaves.append((spoken.pitch - pitch.transpose(1, 2).flatten(1))[here].abs().mean())
            inner = slice(1, -1)
            true = batch["durations"][0, inner].sum()
            off.append((lasting[0, inner].exp().sum() - true).abs() / true)
        return {
            "content_likeness": torch.stack(likeness).mean().item(),
            "pitch_off_semitones": 12 * torch.stack(octaves).mean().item(),
            "length_off": torch.stack(off).mean().item(),
        }

    @torch.no_grad()
    def _pace(self) -> list[float]:
        """What predicted durations are to be multiplied by, by reader, so that texts last as long as when read."""
        found = []
        for reader in range(len(self.manners)):
            own = [one for one in self.readings.part(False) if self.readings.reader(one) == reader][:100]
            true = told = 1e-6
            for reading in own:
                batch = self._batch([reading])
                batch["style"] = torch.zeros(1, 2)
                _, lasting = self._speak(batch)
                true += batch["durations"][0, 1:-1].sum().item()
                told += lasting[0, 1:-1].exp().sum().item()
            found.append(true / told)
        return found

    def export(self, folder: str) -> list[str]:
        state = {key: value.detach().cpu() for key, value in self.acoustic.state_dict().items()}
        readings = self.readings
        names = [*readings.readers, ""]
        level = [readings.middle[name][1] if name else -30.0 for name in names]
        readers = {
            "names": names,
            "level_db": level,
            "pace": self._pace(),
            "languages": {key: names.index(name) for key, name in sorted(readings.reader_of.items())},
        }
        meta = {
            "format": "mynah-1",
            "net": "speech",
            "config": json.dumps(asdict(self.acoustic.config)),
            "readers": json.dumps(readers),
        }
        return [str(to_safetensors(state, f"{folder}/mynah_speech.safetensors", meta, dtype=torch.float16))]


def lesson(aligner: Aligner, readings: Readings, reading: Reading) -> Lesson:
    """A reading with its alignment, and with no more silence at its ends than is worth learning."""
    _, durations = way(aligner, readings, reading)
    before, after = (max(0, int(durations[end]) - EDGE) for end in (0, -1))
    durations = durations.clone()
    durations[0] -= before
    durations[-1] -= after
    pitch = reading.take.pitch()
    spread = pitch[pitch.isfinite()].log2()
    inner = durations[1:-1].float()
    return Lesson(
        reading,
        before,
        durations,
        spread.std(correction=0).item() if len(spread) else 0.0,
        inner.mean().log().item(),
    )
