"""Stage 3: the decoder learns to give a voice its own words back, then to give it another's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.convert.mynah.colour import bands
from mynah.convert.mynah.recipe import alter
from mynah.convert.mynah.recipe.corpus import Corpus, coloured, save
from mynah.convert.mynah.recipe.voice import common_band
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.features.content import ContentStudent
from mynah.features.loudness import Loudness
from mynah.features.mel import PowerSpectrum
from mynah.features.speaker import VoiceEncoder
from mynah.nets.source_filter.decoder import Decoder, DecoderConfig
from mynah.train.losses import mel_loss, spectral_losses


class DecoderRecipe(Recipe):
    """Reconstruction, and from `swap_from` on a part of the batch sung with another's voice at that one's pitch.

    For the swapped part nobody knows the right answer, but two frozen voice encoders, one that minds tone colour and
    one that does not, say whether the voice is the other's, and the content student whether the words are still there.
    """

    name = "decoder"
    ema = 0.999

    def __init__(
        self,
        corpus: Corpus,
        student: ContentStudent,
        encoder: VoiceEncoder,
        judge: VoiceEncoder,
        ear: VoiceEncoder,
        *,
        config: DecoderConfig | None = None,
        steps: int = 4000,
        clips: int = 14,
        swapped: int = 10,
        swap_from: int = 1200,
        voice_weight: float = 2.0,
        seed: int = 3,
    ) -> None:
        self.corpus, self.steps, self.clips, self.seed = corpus, steps, clips, seed
        self.swapped, self.swap_from = swapped, swap_from
        self.student = student.eval().requires_grad_(False)
        self.judge, self.ear = judge.eval().requires_grad_(False), ear.eval().requires_grad_(False)
        self.decoder, self.encoder = Decoder(config), encoder
        self.nets = nn.ModuleDict({"decoder": self.decoder, "encoder": encoder})
        self.loudness = Loudness()
        self.bands, self.voice_weight = bands(16_000, 400), voice_weight
        self.power32 = PowerSpectrum(800, 320)  # the bins of the 16 kHz front end, and as many above them

    def batch(self, step: int) -> Batch:
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        batch = self.corpus.pairs(dice, self.clips, frames=50, reference=125)
        return batch | {"step": torch.tensor(step), "seed": torch.randint(2**31, (), generator=dice)}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        # The trunk of the voice encoder stays as it learnt to tell singers apart; what it listens to and passes on
        # is tuned.
        return [*self.decoder.parameters(), *self.encoder.attention.parameters(), *self.encoder.out.parameters()]

    def learning_rate(self, turn: str, step: int) -> float:
        warm = min(1.0, (step + 1) / 200)
        return 1e-3 * warm * (1 - 0.95 * min(1.0, step / self.steps))

    def listen(self, wave32: Tensor) -> Tensor:
        """Power spectrum of the 16 kHz front end from 32 kHz sound."""
        return self.power32(wave32)[:, :201] / 4

    def render(self, content: Tensor, pitch: Tensor, loudness: Tensor, voice: Tensor, dice: torch.Generator) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out = self.decoder(content, pitch, loudness, voice)
        harmonics = self.decoder.excite(pitch, torch.rand(len(pitch), generator=dice))
        noise = torch.randn(harmonics.shape, generator=dice)
        return self.decoder.sing(out, harmonics, noise)

    def make(self, batch: Batch, swapped: int | None = None) -> dict[str, Tensor]:
        """Everything that losses and critics look at: `ours` for the batch itself, `other` for the swapped part."""
        if swapped is None:
            swapped = self.swapped if int(batch["step"]) >= self.swap_from else 0
        dice = torch.Generator().manual_seed(int(batch["seed"]))
        count = len(batch["wave32"])
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            gain = 10 ** (alter.uniform(count, -18, 3, dice) / 20)[:, None]
            wave32 = batch["wave32"] * gain / batch["wave32"].abs().amax(1, keepdim=True).mul(gain).clamp(min=1.0)
            power = self.listen(wave32)
            loudness = self.loudness(power)
            formants = 2 ** alter.uniform(count, -0.25, 0.25, dice)
            altered = alter.formants_and_pitch(power, formants, torch.ones(count))
            altered = torch.where((torch.rand(count, generator=dice) < 0.7)[:, None, None], altered, power)
            content = self.student.from_power(altered).float()
        voice = self.encoder.from_power(self.encoder.power(batch["reference"]))
        noisy = content + 0.1 * torch.randn(content.shape, generator=dice)
        pitch = batch["pitch"]

        if swapped:
            place = torch.arange(swapped)
            from_whom = (place + count // 2) % count
            semitones = 12 * torch.log2(batch["median"][from_whom] / batch["median"][place])
            semitones = (semitones + alter.uniform(swapped, -4, 4, dice)).round()
            moved = pitch[place] * 2 ** (semitones / 12)[:, None]
            noisy = torch.cat([noisy, content[place]])
            pitch = torch.cat([pitch, moved])
            loudness = torch.cat([loudness, loudness[place]])
            voice = torch.cat([voice, voice[from_whom]])
        made = self.render(noisy, pitch, loudness, voice, dice)
        result = {"theirs": wave32, "ours": made[:count], "content": content}
        if swapped:
            result |= {
                "other": made[count:],
                "wanted": batch["reference"][from_whom],
                "shift": batch["colour"][from_whom] - batch["colour"][place],
                "limit": torch.minimum(batch["bandwidth"][from_whom], batch["bandwidth"][place]),
            }
        return result

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        return self.plain_losses(self.make(batch), batch)

    def plain_losses(self, made: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        losses = reconstruction(made["ours"], made["theirs"], self.decoder.config.rate, batch["bandwidth"])
        if "other" in made:
            dice = torch.Generator().manual_seed(int(batch["seed"]) + 1)
            power = self.listen(made["other"])
            with torch.no_grad():
                reference = self.encoder.power(made["wanted"])
                wanted = self.judge.from_power(reference), self.ear.from_power(common_band(reference))
            with torch.autocast("cpu", torch.bfloat16):
                # Altered, so that the judge is not fooled by something that no ear would hear.
                heard = self.judge.from_power(alter.colour(power, dice)), self.ear.from_power(common_band(power))
                words = self.student.from_power(power).float()
            likeness = [(ours * theirs).sum(-1).mean() for ours, theirs in zip(heard, wanted, strict=True)]
            losses["voice"] = self.voice_weight * (1 - likeness[0])
            losses["ear"] = self.voice_weight * (1 - likeness[1])
            losses["colour"] = 0.3 * self._colour_loss(made, power)
            # As strong as the judges, for whom slurring is the easiest way to somebody else's voice.
            losses["words"] = 4.0 * (1 - F.cosine_similarity(words, made["content"][: len(words)], dim=1).mean())
        return losses

    def _colour_loss(self, made: dict[str, Tensor], power: Tensor) -> Tensor:
        """A swapped clip should differ from what it was made of as the new voice differs from the old one."""
        with torch.no_grad():
            before = coloured(self.listen(made["theirs"][: len(power)]), self.loudness, self.bands)
        after = coloured(power, self.loudness, self.bands)
        hz = self.bands @ torch.linspace(0, 8000, self.bands.shape[1])
        kept = (hz < made["limit"][:, None]).float()
        return ((after - before - made["shift"]).abs() * kept).sum() / kept.sum().clamp(min=1)

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """On held-out clips: reconstruction, and the likeness to the wanted voice of swapped ones."""
        batch = self.corpus.pairs(torch.Generator().manual_seed(0), 24, frames=100, reference=150, held_out=True)
        batch |= {"step": torch.tensor(self.swap_from), "seed": torch.tensor(0)}
        losses = self.plain_losses(self.make(batch, swapped=24), batch)
        return {"score": -torch.stack(list(losses.values())).sum().item()} | {
            name: loss.item() for name, loss in losses.items()
        }

    @torch.no_grad()
    def preview(self, batch: Batch) -> Audio:
        made = self.make(batch)
        return Audio(torch.cat([made["theirs"][:4], made["ours"][:4]], 1).reshape(1, -1), self.decoder.config.rate)

    def export(self, folder: str) -> list[str]:
        return [save(self.decoder, folder, "mynah_decoder"), save(self.encoder, folder, "voice_encoder")]


def reconstruction(ours: Tensor, theirs: Tensor, rate: int, bandwidth: Tensor) -> dict[str, Tensor]:
    """How far a rendering is from the recording, below the recording's own bandwidth `[batch]` in Hz."""
    magnitude, convergence = spectral_losses(ours, theirs, rate, bandwidth_hz=bandwidth)
    mel = mel_loss(ours, theirs, rate, bandwidth_hz=bandwidth)
    return {"magnitude": magnitude, "convergence": 0.5 * convergence, "mel": mel}
