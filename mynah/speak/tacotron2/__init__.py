"""Tacotron 2: English text to a mel spectrogram, frame by frame, in the one voice that its weights hold.

Letters are read by convolutions and a recurrent net; a decoder says one frame after another and looks, by attention, at
where in the text it is; a gate tells when it has ended. A vocoder makes sound of it.
Shen et al., "Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions", arXiv 1712.05884.
Reference: NVIDIA/tacotron2, BSD-3-Clause. What differs: texts are said together if wanted, each as it would be alone;
the prenet's dropout has a seed; a long text is said sentence by sentence; WaveGlow, a pickled program, is not read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from mynah.catalog.checkpoint import load_strict
from mynah.core.errors import BadText
from mynah.core.system import Card
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Options, Vocodes
from mynah.features.speaking import Pause, Speaking, Vocoder, joined
from mynah.speak.tacotron2 import published
from mynah.speak.tacotron2.net import Config, Net
from mynah.speak.tacotron2.published import FORMAT
from mynah.speak.tacotron2.symbols import numbers_of, tied
from mynah.text.sentences import sentences
from mynah.vocode import vocoder

LONGEST = 200  # characters of what is said in one go; attention loses its way in more


class RanOn(UserWarning):
    """A sentence did not come to an end by itself and was cut off."""


class Tacotron2Options(Options):
    """What a listener may change."""

    vocoder: Vocoder = "griffin_lim"
    speed: Annotated[
        float,
        Field(ge=0.25, le=4, description="how fast, by stretching what was said", json_schema_extra={"unit": "times"}),
    ] = 1.0
    gate: Annotated[
        float, Field(ge=0, le=1, description="how sure it must be that a sentence has ended; less where it runs on")
    ] = 0.5
    steps: Annotated[int, Field(ge=1, le=20_000, description="frames of a sentence at most, 86 of them a second")] = (
        1000
    )
    pause_seconds: Pause = 0.25
    batch: Annotated[int, Field(ge=1, le=64, description="sentences that are computed at a time")] = 1
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the prenet's dropout, and of the vocoder")] = 0


class Tacotron2(Speaking[Config]):
    """Says English text in the voice of its weights, or of whatever weights a voice brings along."""

    card = Card(verbs=("speak",), paper="https://arxiv.org/abs/1712.05884", origin="upstream weights", extra="speak")
    system, kind, example = "speak/tacotron2", "Tacotron 2", "tacotron2_statedict.pt"

    @classmethod
    def tiny(cls) -> Self:
        sizes = Config(
            size=8, reading_layers=1, prenet=8, attention_units=8, attention=4, location_filters=2, location_kernel=3,
            units=8, finish=8, finish_layers=2,
        )  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = Net(sizes).requires_grad_(False)
        gate = net.decoder.gate_layer.linear_layer
        gate.weight.neg_()
        gate.bias.fill_(-0.13)  # so that it has said enough after some frames, where it would never have
        return cls(net)

    @classmethod
    def net_of(cls, path: Path) -> Net:
        """Of `tacotron2_statedict.pt`, a training run's checkpoint, or our own safetensors."""
        config, state = published.read(path)
        net = Net(config)
        load_strict(net, state, str(path))
        return net.eval().requires_grad_(False)

    def speak(self, text: str, voice: Voice, options: Tacotron2Options | None = None) -> Audio:
        """Say a text; whose voice it is comes with the weights.

        Args:
            text: English, of any length; sounds of ARPAbet may stand between braces, such as `{HH AH0 L OW1}`.
            voice: `own`, or one that brings weights of its own.
            options: Knobs.

        Returns:
            One channel at 22 050 Hz.

        Raises:
            BadText: There is nothing to say, or nothing in letters that it knows.
            BadVoice: A voice that it cannot give.
            BadOption: No such vocoder, or one for other spectrograms.
            MissingExtra: A library is not installed.
        """
        return joined(self.utterances(text, voice, options))

    def utterances(self, text: str, voice: Voice, options: Tacotron2Options | None = None) -> Iterator[Audio]:
        """As `speak`, sentence by sentence, each with the pause after it."""
        options = options or Tacotron2Options()
        net, sounding = self.net_for(voice), vocoder(options.vocoder, FORMAT, device=self.device)
        said = [(sentence, numbers_of(sentence)) for sentence in sentences(tied(text), LONGEST)]
        said = [(sentence, numbers) for sentence, numbers in said if numbers]
        if not said:
            raise BadText(
                f"there is nothing to say in this text: {text.strip()[:20]!r} is in letters unknown to {self.system}"
            )
        return self._uttered(net, sounding, said, options)

    def _uttered(
        self, net: Net, sounding: Vocodes[Options], said: list[tuple[str, list[int]]], options: Tacotron2Options
    ) -> Iterator[Audio]:
        for first in range(0, len(said), options.batch):
            group = said[first : first + options.batch]
            for place, mel in enumerate(self._mels(net, group, first, options), first):
                wave = sounding.wave(mel[None], seed=options.seed)[0].cpu()
                pause = round(options.pause_seconds * FORMAT.rate) if place < len(said) - 1 else 0
                yield Audio(F.pad(wave, (0, pause))[None], FORMAT.rate)

    def _mels(
        self, net: Net, group: list[tuple[str, list[int]]], first: int, options: Tacotron2Options
    ) -> Iterator[Tensor]:
        """Of some sentences, `[band, frame]` each; `first` is the number of the first of them in the text."""
        texts = [torch.tensor(numbers, device=self.device) for _, numbers in group]
        lengths = torch.tensor([len(numbers) for numbers in texts], device=self.device)
        dice = [Generator().manual_seed(options.seed * 1_000_003 + first + place) for place in range(len(group))]
        spoken = net.speak(pad_sequence(texts, True), lengths, dice, gate=options.gate, longest=options.steps)
        for (sentence, _), mel, frames, ended in zip(
            group, spoken.finished, spoken.lengths.tolist(), spoken.ended.tolist(), strict=True
        ):
            if not ended:
                warnings.warn(
                    f"{sentence[:40]!r} did not end by itself and was cut off after {frames} frames: say it in shorter "
                    "sentences, or lower `gate`",
                    RanOn,
                    stacklevel=4,
                )
            yield _stretched(mel[:, :frames], options.speed)


def _stretched(mel: Tensor, speed: float) -> Tensor:
    """A mel spectrogram `[band, frame]` at another pace."""
    frames = max(1, round(mel.shape[-1] / speed))
    return mel if frames == mel.shape[-1] else F.interpolate(mel[None], frames, mode="linear")[0]
