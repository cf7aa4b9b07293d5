"""ForwardTacotron: text to a mel spectrogram in one go, with a length and a pitch for every sound, in one voice.

Sounds are read by a CBHG; small nets tell how long each lasts, how high and how strong it is; drawn out to frames, a
recurrent net and another CBHG make the spectrum of them. A vocoder makes sound of it.
No paper of its own; FastSpeech (Ren et al., arXiv 1905.09263), FastPitch (Łańcucki, arXiv 2006.06873), Tacotron (Wang
et al., arXiv 1703.10135). Reference: as-ideas/ForwardTacotron, MIT. What differs: a long text is said sentence by
sentence; letters are told by AnyASCII, see `mynah.text.keithito`; files of several speakers and FastPitch are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.core.errors import BadOption, BadText
from mynah.core.system import Card
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Options, Vocodes
from mynah.features.speaking import Pause, Speaking, Vocoder, followed, joined
from mynah.speak.forward_tacotron import published
from mynah.speak.forward_tacotron.net import Config, Net, SeriesConfig
from mynah.speak.forward_tacotron.published import FORMAT
from mynah.speak.forward_tacotron.symbols import Front
from mynah.text.sentences import sentences
from mynah.vocode import vocoder


class ForwardTacotronOptions(Options):
    """What a listener may change."""

    vocoder: Vocoder = "griffin_lim"
    speed: Annotated[
        float, Field(ge=0.25, le=4, description="how fast, 1 for as learnt", json_schema_extra={"unit": "times"})
    ] = 1.0
    liveliness: Annotated[
        float,
        Field(
            ge=-4, le=4, description="how much the melody moves, 1 for as learnt", json_schema_extra={"unit": "times"}
        ),
    ] = 1.0
    height: Annotated[
        float,
        Field(
            ge=-4, le=4, description="speak higher or lower", json_schema_extra={"unit": "standard deviations of pitch"}
        ),
    ] = 0.0
    energy: Annotated[
        float,
        Field(
            ge=-4, le=4, description="how much sounds differ in strength, where the model tells it; 1 for as learnt",
            json_schema_extra={"unit": "times"},
        ),
    ] = 1.0  # fmt: skip
    pause_seconds: Pause = 0.25
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the vocoder")] = 0


class ForwardTacotron(Speaking[Config]):
    """Says text in the voice and the language of its weights, or of whatever weights a voice brings along."""

    card = Card(verbs=("speak",), paper="https://arxiv.org/abs/1905.09263", origin="upstream weights", extra="speak")
    system, kind, example = "speak/forward_tacotron", "ForwardTacotron", "forward_step90k.pt"

    @classmethod
    def tiny(cls) -> Self:
        small = SeriesConfig(8, 4)
        sizes = Config(
            front=Front(sounds=False),  # which takes letters for sounds, so that eSpeak stays away
            size=8, series_size=4, duration=small, pitch=small, energy=small, prenet=8, prenet_kernels=2,
            prenet_highways=1, units=8, postnet=8, postnet_kernels=2, postnet_highways=1,
        )  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = Net(sizes).requires_grad_(False)
        net.dur_pred.lin.bias.fill_(2.0)
        return cls(net)

    @classmethod
    def net_of(cls, path: Path) -> Net:
        """Of `forward_step90k.pt`, `forward_46K.pt`, or our own safetensors."""
        config, state = published.read(path)
        net = Net(config)
        load_strict(net, state, str(path))
        return net.eval().requires_grad_(False)

    def speak(self, text: str, voice: Voice, options: ForwardTacotronOptions | None = None) -> Audio:
        """Say a text; whose voice it is comes with the weights, and in which language, too.

        Args:
            text: Of any length.
            voice: `own`, or one that brings weights of its own.
            options: Knobs.

        Returns:
            One channel at 22 050 Hz.

        Raises:
            BadText: There is nothing to say, or nothing in sounds that it knows.
            BadVoice: A voice that it cannot give.
            BadOption: No such vocoder, or one for other spectrograms; or the model tells no pitch or no strength.
            MissingExtra: A library is not installed.
        """
        return joined(self.utterances(text, voice, options))

    def utterances(self, text: str, voice: Voice, options: ForwardTacotronOptions | None = None) -> Iterator[Audio]:
        """As `speak`, sentence by sentence, each with the pause after it."""
        options = options or ForwardTacotronOptions()
        net: Net = self.net_for(voice)
        _require(net.config, options)
        sounding = vocoder(options.vocoder, FORMAT, device=self.device)
        said = (numbers for sentence in sentences(text) if (numbers := net.config.front.numbers_of(sentence)))
        if (first := next(said, None)) is None:
            raise BadText(
                f"there is nothing to say in this text: {text.strip()[:20]!r} is in letters unknown to {self.system}"
            )
        return self._uttered(net, sounding, chain([first], said), options)

    def _uttered(
        self, net: Net, sounding: Vocodes[Options], said: Iterable[list[int]], options: ForwardTacotronOptions
    ) -> Iterator[Audio]:
        def melody(pitch: Tensor) -> Tensor:
            return pitch * options.liveliness + options.height

        def strength(energy: Tensor) -> Tensor:
            return energy * options.energy

        for numbers, more in followed(said):
            symbols = torch.tensor([numbers], device=self.device)
            mel = net.speak(symbols, speed=options.speed, pitch=melody, energy=strength).finished
            wave = sounding.wave(mel, seed=options.seed)[0].cpu()
            pause = round(options.pause_seconds * FORMAT.rate) if more else 0
            yield Audio(F.pad(wave, (0, pause))[None], FORMAT.rate)


def _require(config: Config, options: ForwardTacotronOptions) -> None:
    """That whatever is to be changed is something that the model tells."""
    if config.layout == "plain" and (options.liveliness, options.height) != (1.0, 0.0):
        raise BadOption("these weights tell no pitch, of before October 2020: leave liveliness and height as they are")
    if config.layout != "energy" and options.energy != 1.0:
        raise BadOption("these weights tell no strength, of before May 2021: leave energy as it is")
