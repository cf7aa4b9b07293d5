"""WaveNet: sound of mel spectrograms, one sample after another; both generations of r9y9/wavenet_vocoder.

Dilated convolutions say of every sample what is to be expected, as a mixture of logistic distributions, a normal one,
or 256 steps of a mu-law scale, and one is drawn. Slow: a second of sound takes many.
Papers: van den Oord et al., arXiv 1609.03499; mixtures, arXiv 1701.05517; one normal distribution, arXiv 1807.07281.
What differs: the filter below 70 Hz shifts nothing, and what is drawn hangs on a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mynah.audio.mixing import as_one
from mynah.audio.resample import resample
from mynah.core.errors import BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio
from mynah.core.verbs import Options
from mynah.features.mel import MelFormat, deemphasised
from mynah.features.resound import resound
from mynah.nets.normed import folded
from mynah.vocode.wavenet import published
from mynah.vocode.wavenet.net import WaveNetNet
from mynah.vocode.wavenet.sampling import dice, sampled
from mynah.vocode.wavenet.sizes import Config
from mynah.vocode.wavenet.sound import cut_below

PEAK = 0.999  # that the first generation made every recording


class WaveNetOptions(Options):
    """What a listener may change."""

    speaker: Annotated[int, Field(ge=0, le=9999, description="number of a speaker, where it knows several")] = 0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the samples that are drawn")] = 0


class Wavenet(System[Config]):
    """Makes sound of the mel spectrograms that its weights were trained for."""

    card = Card(verbs=("vocode",), paper="https://arxiv.org/abs/1609.03499", origin="upstream weights")

    def __init__(self, config: Config, net: WaveNetNet | None = None) -> None:
        super().__init__(config)
        self.net = folded(net or WaveNetNet(config)).eval().requires_grad_(False)

    @property
    def format(self) -> MelFormat:
        """That it makes sound of."""
        return self.config.format

    @classmethod
    def tiny(cls) -> Self:
        format = MelFormat(2000, 64, 16, 64, 8, 0.0, None, centred=True)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(
                Config(format, layers=4, stacks=2, residual=8, gate=8, skip=8, scales=(4, 4), mixture=2, cut_hz=0.0)
            )

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in a net.

        Args:
            weights: A checkpoint of either generation with its preset beside it, the folder of one, or our safetensors.
            device: Only `"cpu"`, where samples are made soonest.

        Raises:
            BadOption: There is no such place, or none was named: the published ones are where no program can fetch
                them.
            BadCheckpoint: Damaged, hostile, or something else.
        """
        place = Path(weights).expanduser()
        if not place.exists():
            raise BadOption(
                f"no weights {weights!r}: name a checkpoint or its folder; github.com/r9y9/wavenet_vocoder links to "
                "the published ones"
            )
        return cls(*published.read(place))

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """Whether a file or a folder holds a WaveNet."""
        return published.recognises(place)

    def vocode(
        self,
        source: Audio,
        options: WaveNetOptions | None = None,
        *,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Audio:
        """To a mel spectrogram and back: one channel, as long, at the rate of the model.

        Raises:
            BadAudio: The recording is empty.
            BadOption: There is no such speaker.
        """
        chosen, config, format = options or WaveNetOptions(), self.config, self.format
        sound = resample(as_one(source), format.rate).samples
        if config.cut_hz:
            sound = cut_below(sound, config.cut_hz, format.rate)
        length = sound.shape[-1]
        # The first generation hears a frame later than it sounds it, and all recordings equally loud.
        lead = format.n_fft - format.hop if config.early else 0
        peak = sound.abs().max().item() / PEAK if config.early and length and sound.any() else 1.0
        padded = F.pad(sound / peak, (lead // 2, lead)) if length else sound
        made = resound(
            Audio(padded, format.rate),
            format,
            lambda mel: self.wave(mel, seed=chosen.seed, speaker=chosen.speaker, progress=progress),
        )
        return replace(made, samples=made.samples[:, lead : lead + length] * peak)

    @torch.inference_mode()
    def wave(
        self,
        mel: Tensor,
        *,
        seed: int = 0,
        speaker: int = 0,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Tensor:
        """Sound `[batch, frame * hop]` in [-1, 1] of mel spectrograms `[batch, band, frame]`.

        Args:
            mel: In this model's format.
            seed: Of the samples that are drawn.
            speaker: Its number, for a model that knows several.
            progress: Told the fraction that is made.

        Raises:
            BadOption: There is no such speaker.
        """
        config, head = self.config, self.net.head
        if speaker >= max(1, config.speakers):
            raise BadOption(f"there is no speaker {speaker}: the model knows {max(1, config.speakers)}, from 0")
        luck = dice(seed, len(mel), head.numbers)
        made = sampled(self.net, mel.float().cpu(), luck=luck, speaker=speaker, progress=progress)
        sound = deemphasised(head.read(made), config.emphasis) / config.gain
        return sound.clamp(-1, 1).float().to(mel.device)

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", start: str = "", hold_out: Sequence[str] = ()
    ) -> dict[str, Callable[[], Recipe]]:
        """Training on recordings, in one stage, of the later generation.

        Args:
            data: Folder of recordings.
            folder: Where prepared recordings are kept.
            teacher: There is none.
            start: `mol`, `gaussian` or `mulaw256` for a new one, by default `mol`; or a model to go on from.
            hold_out: Patterns of recordings to measure on; without any, one in twenty is.

        Raises:
            BadCheckpoint: The model to go on from is missing, damaged, or something else.
        """
        from mynah.vocode.wavenet.recipe import course

        return course(data, folder, start=start, hold_out=hold_out)
