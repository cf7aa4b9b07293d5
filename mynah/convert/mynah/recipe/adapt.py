"""Fine-tuning for one voice: the decoder's ear for voices, its filters, and the vector of the voice itself."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from mynah.audio.resample import resample
from mynah.convert.mynah.hear import on_grid
from mynah.convert.mynah.recipe import alter
from mynah.convert.mynah.recipe.decoder import reconstruction
from mynah.core.errors import BadVoice
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio, Voice
from mynah.features.content import ContentStudent
from mynah.features.loudness import Loudness
from mynah.features.mel import PowerSpectrum
from mynah.features.pitch import pitch
from mynah.nets.convnext import ConvNeXt
from mynah.nets.source_filter.decoder import Decoder
from mynah.train.bandwidth import bandwidth

FRAMES = 100  # of a training clip: one second


class AdaptRecipe(Recipe):
    """Reconstruction of the voice's own clips, from contents whose formants were shifted.

    The trunk's convolutions stay, so that words cannot be unlearnt from a minute of sound.
    """

    name = "adapt"

    def __init__(
        self,
        voice: Voice,
        vector: Tensor,
        decoder: Decoder,
        student: ContentStudent,
        *,
        steps: int = 600,
        clips: int = 12,
        seed: int = 5,
    ) -> None:
        self.steps, self.clips, self.seed = steps, clips, seed
        self.decoder, self.student, self.loudness = decoder, student.eval().requires_grad_(False), Loudness()
        self.power32 = PowerSpectrum(800, 320)
        rate = decoder.config.rate
        self.waves, self.pitches, self.bandwidths = [], [], []
        for clip in voice.clips:
            wave = resample(clip, rate).samples.mean(0)
            wave = wave[: len(wave) // 640 * 640]
            if len(wave) >= FRAMES * 320:
                self.waves.append(wave)
                self.pitches.append(on_grid(pitch(clip), len(wave) // 320).nan_to_num(0.0))
                self.bandwidths.append(bandwidth(wave, rate))
        if not self.waves:
            raise BadVoice(
                f"the voice {voice.name!r} has no clip of a second or more to train on: enrol a longer recording"
            )
        decoder.requires_grad_(False)
        self.vector = nn.Parameter(vector.clone())
        self.nets = nn.ModuleDict({"decoder": decoder, "voice": nn.ParameterList([self.vector])})
        blocks = [block for block in decoder.blocks if isinstance(block, ConvNeXt)]
        films = [block.film for block in blocks if block.film is not None]
        scales = [block.scale for block in blocks]
        self.tuned: list[nn.Parameter] = [
            *(
                parameter
                for module in (*films, decoder.voice, decoder.norm, decoder.out)
                for parameter in module.parameters()
            ),
            *scales,
        ]

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        lengths = torch.tensor([float(len(wave)) for wave in self.waves])
        waves, pitches, bandwidths = [], [], []
        for number in torch.multinomial(lengths, self.clips, replacement=True, generator=dice).tolist():
            frames = len(self.pitches[number])
            first = 2 * int(torch.randint((frames - FRAMES) // 2 + 1, (), generator=dice))
            waves.append(self.waves[number][first * 320 : (first + FRAMES) * 320])
            pitches.append(self.pitches[number][first : first + FRAMES])
            bandwidths.append(self.bandwidths[number])
        return {
            "wave32": torch.stack(waves),
            "pitch": torch.stack(pitches),
            "bandwidth": torch.tensor(bandwidths),
            "seed": torch.randint(2**31, (), generator=dice),
        }

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return [*self.tuned, self.vector]

    def learning_rate(self, turn: str, step: int) -> float:
        return 3e-4 * min(1.0, (step + 1) / 20) * (1 - 0.9 * min(1.0, step / self.steps))

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        dice = torch.Generator().manual_seed(int(batch["seed"]))
        wave, melody = batch["wave32"], batch["pitch"]
        with torch.no_grad():
            power = self.power32(wave)[:, :201] / 4
            loudness = self.loudness(power)
            formants = 2 ** alter.uniform(len(wave), -0.25, 0.25, dice)
            content = self.student.from_power(alter.formants_and_pitch(power, formants, torch.ones(len(wave))))
        vector = nn.functional.normalize(self.vector, dim=0).expand(len(wave), -1)
        with torch.autocast("cpu", torch.bfloat16):
            out = self.decoder(content, melody, loudness, vector)
        harmonics = self.decoder.excite(melody, torch.rand(len(wave), generator=dice))
        made = self.decoder.sing(out, harmonics, torch.randn(harmonics.shape, generator=dice))
        return reconstruction(made, wave, self.decoder.config.rate, batch["bandwidth"])

    def preview(self, batch: Batch) -> Audio:
        return Audio(batch["wave32"][:4].reshape(1, -1), self.decoder.config.rate)

    def export(self, folder: str) -> list[str]:
        """`weights.safetensors`: what differs from the decoder, and the vector as `embedding`."""
        from mynah.catalog.checkpoint import to_safetensors

        chosen = {id(parameter) for parameter in self.tuned}
        state = {name: value.detach().half() for name, value in self.decoder.named_parameters() if id(value) in chosen}
        state["embedding"] = nn.functional.normalize(self.vector.detach(), dim=0)
        path = Path(folder) / "weights.safetensors"
        to_safetensors(state, path, {"format": "mynah-adapt-1"})
        return [str(path)]
