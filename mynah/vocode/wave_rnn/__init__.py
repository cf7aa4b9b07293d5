"""WaveRNN: sound of mel spectrograms sample by sample, as SV2TTS and ForwardTacotron have it.

Two recurrent layers say of every sample what is to be expected, as one of 512 steps of a mu-law scale or as a mixture
of logistic distributions, and one is drawn. Slow, but pieces of half a second are made side by side.
Paper: Kalchbrenner et al., "Efficient Neural Audio Synthesis", arXiv 1802.08435; the form is fatchord/WaveRNN's (MIT).
What differs: seams between pieces do not fade the beginning and the end of a sound, and one neighbour fades in while
the other fades out, where in SV2TTS both are silent in the middle; and a sound has as many samples as its frames say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import Field
from torch import Tensor

from mynah.catalog.checkpoint import filled
from mynah.core.errors import BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio
from mynah.core.verbs import Options
from mynah.features.mel import MelFormat, deemphasised
from mynah.features.resound import resound
from mynah.vocode.wave_rnn import published
from mynah.vocode.wave_rnn.net import Config, WaveRnnNet
from mynah.vocode.wave_rnn.sampling import Pieces, sampled

FADE = 20  # hops at the end, over which the sound dies away


def _seconds() -> dict[str, str]:
    return {"unit": "s"}


class WaveRnnOptions(Options):
    """What a listener may change."""

    batched: Annotated[
        bool, Field(description="make pieces side by side and crossfade them; else one sample after another")
    ] = True
    piece: Annotated[float, Field(ge=0.05, le=60, description="length of a piece", json_schema_extra=_seconds())] = 0.5
    overlap: Annotated[
        float, Field(ge=0.01, le=5, description="that neighbouring pieces have in common", json_schema_extra=_seconds())
    ] = 0.05
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the samples that are drawn")] = 0


class WaveRnn(System[Config]):
    """Makes sound of the mel spectrograms of SV2TTS, of ForwardTacotron, or of fatchord/WaveRNN."""

    card = Card(verbs=("vocode",), paper="https://arxiv.org/abs/1802.08435", origin="upstream weights")

    def __init__(self, net: WaveRnnNet) -> None:
        super().__init__(net.config)
        self.net = net.eval().requires_grad_(False)

    @property
    def format(self) -> MelFormat:
        """That it makes sound of."""
        return self.config.format

    @classmethod
    def tiny(cls) -> Self:
        format = MelFormat(2000, 64, 16, 64, 8, 0.0, None, centred=True, preemphasis=0.9)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(WaveRnnNet(Config(format, (4, 4), 16, units=8, hidden=8, channels=8, aside=8, blocks=1)))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in a model.

        Args:
            weights: A file that SV2TTS, ForwardTacotron or fatchord/WaveRNN wrote, or one of ours; or the folder in
                which `vocoder.pt` lies.
            device: Where it runs.

        Raises:
            BadOption: There is no such file, or none was named: nobody publishes the checksum of one.
            BadCheckpoint: Damaged, hostile, or something else.
        """
        place = Path(weights).expanduser()
        if not place.exists():
            raise BadOption(
                f"no weights {weights!r}: name a file or folder, such as vocoder.pt of huggingface.co/CorentinJ/SV2TTS"
            )
        config, state = published.read(place)
        return cls(filled(lambda: WaveRnnNet(config), state, weights).to(device))

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """Whether a file, or `vocoder.pt` in a folder, holds a WaveRNN."""
        return published.recognises(place)

    def vocode(
        self,
        source: Audio,
        options: WaveRnnOptions | None = None,
        *,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Audio:
        """To a mel spectrogram and back: one channel, as long, at the rate of the model.

        Raises:
            BadAudio: The recording is empty.
        """
        chosen = options or WaveRnnOptions()
        device = next(self.net.parameters()).device

        def wave(mel: Tensor) -> Tensor:
            return self.wave(mel, seed=chosen.seed, options=chosen, progress=progress)

        return resound(source, self.format, wave, str(device))

    @torch.inference_mode()
    def wave(
        self,
        mel: Tensor,
        *,
        seed: int = 0,
        options: WaveRnnOptions | None = None,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Tensor:
        """Sound `[batch, frame * hop]` in [-1, 1] of mel spectrograms `[batch, band, frame]`.

        Args:
            mel: In this model's format.
            seed: Of the samples that are drawn.
            options: For how it is cut.
            progress: Told the fraction that is made.
        """
        chosen, format = options or WaveRnnOptions(), self.format
        pieces = Pieces(*(round(length * format.rate) for length in (chosen.piece, chosen.overlap)))
        device = next(self.net.parameters()).device
        waves = []
        for number, one in enumerate(mel.float().to(device)):

            def told(fraction: float, number: int = number) -> None:
                progress((number + fraction) / len(mel))

            cut = pieces if chosen.batched else None
            waves.append(sampled(self.net, one, seed=seed + number, pieces=cut, progress=told))
        sound = deemphasised(torch.stack(waves), format.preemphasis)
        dying = min(FADE * format.hop, sound.shape[-1])
        sound[:, sound.shape[-1] - dying :] *= torch.linspace(1, 0, dying, dtype=sound.dtype)
        return sound.clamp(-1, 1).float().to(mel.device)

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", start: str = "", hold_out: Sequence[str] = ()
    ) -> dict[str, Callable[[], Recipe]]:
        """Training on recordings, in one stage.

        Args:
            data: Folder of recordings.
            folder: Where prepared recordings are kept.
            teacher: There is none.
            start: A model to go on from, whose mel spectrograms are kept; by default a new one for those of SV2TTS.
            hold_out: Patterns of recordings to measure on; without any, one in twenty is.

        Raises:
            BadCheckpoint: `start` is damaged, or something else.
        """
        from mynah.vocode.wave_rnn.recipe import course

        return course(data, folder, start=start, hold_out=hold_out)
