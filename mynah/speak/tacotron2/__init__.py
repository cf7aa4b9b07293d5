"""Tacotron 2: English text to a mel spectrogram, frame by frame, in the one voice that its weights hold.

Letters are read by convolutions and a recurrent net; a decoder says one frame after another and looks, by attention, at
where in the text it is; a gate tells when it has ended. A vocoder makes sound of it.
Shen et al., "Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram Predictions", arXiv 1712.05884.
Reference: NVIDIA/tacotron2, BSD-3-Clause. What differs: texts are said together if wanted, each as it would be alone;
the prenet's dropout has a seed; a long text is said sentence by sentence; WaveGlow, a pickled program, is not read.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mynah.catalog.checkpoint import load_strict
from mynah.catalog.weights import locate
from mynah.core.errors import BadOption, BadText, BadVoice
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Files, Options, Vocodes
from mynah.nets.brought import Brought
from mynah.speak.tacotron2 import adopting, published
from mynah.speak.tacotron2.net import Config, Net
from mynah.speak.tacotron2.published import FORMAT
from mynah.speak.tacotron2.symbols import numbers_of, tied
from mynah.text.sentences import sentences
from mynah.vocode import vocoder

NAME = "speak/tacotron2"
LONGEST = 200  # characters of what is said in one go; attention loses its way in more


class RanOn(UserWarning):
    """A sentence did not come to an end by itself and was cut off."""


class Tacotron2Options(Options):
    """What a listener may change."""

    vocoder: Annotated[
        str,
        Field(
            description="what makes sound of the spectrogram: griffin_lim, or the weights of another",
            json_schema_extra={"place": True},
        ),
    ] = "griffin_lim"
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
    pause_seconds: Annotated[
        float, Field(ge=0, le=5, description="between sentences", json_schema_extra={"unit": "seconds"})
    ] = 0.25
    batch: Annotated[int, Field(ge=1, le=64, description="sentences that are computed at a time")] = 1
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of the prenet's dropout, and of the vocoder")] = 0


class Tacotron2(System[Config | None]):
    """Says English text in the voice of its weights, or of whatever weights a voice brings along."""

    card = Card(verbs=("speak",), paper="https://arxiv.org/abs/1712.05884", origin="upstream weights", extra="speak")

    def __init__(self, config: Config | None, *, name: str = "tacotron2", device: str = "cpu") -> None:
        super().__init__(config)
        self.name, self.device = name, device
        self.nets = nn.ModuleDict()
        if config is not None:
            self.nets["net"] = Net(config)
        self.nets.eval().requires_grad_(False).to(device)
        self._brought = Brought(lambda path: _net(path).to(device))

    @classmethod
    def tiny(cls) -> Self:
        sizes = Config(
            size=8, reading_layers=1, prenet=8, attention_units=8, attention=4, location_filters=2, location_kernel=3,
            units=8, finish=8, finish_layers=2,
        )  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(0)
            system = cls(sizes)
        net = system.nets["net"]
        assert isinstance(net, Net)
        gate = net.decoder.gate_layer.linear_layer
        gate.weight.neg_()
        gate.bias.fill_(-0.13)  # so that it has said enough after some frames, where it would never have
        return system

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in weights: `tacotron2_statedict.pt`, a training run's checkpoint, or our own safetensors.

        Args:
            weights: Path of the file; with `"default"` every voice brings its own.
            device: Where it runs.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, hostile, or of another system.
        """
        if weights == "default":
            return cls(None, device=device)
        path = locate(weights, cls.card.weights)
        net = _net(path)
        system = cls(None, name=path.stem, device=device)
        system.config, system.nets["net"] = net.config, net.to(device)
        return system

    @classmethod
    def recognises(cls, files: Files) -> bool:
        """Whether one of the files is a model of Tacotron 2."""
        return adopting.recognises(files)

    @classmethod
    def adopt(cls, files: Files, into: Path) -> Voice:
        """The voice that lies in the files.

        Raises:
            BadCheckpoint: Damaged, hostile, of an unknown layout, or several.
        """
        return adopting.adopt(files, into)

    @classmethod
    def course(
        cls,
        data: Path,
        folder: Path,
        *,
        teacher: str = "",
        hold_out: Sequence[str] = (),
        skip: Sequence[str] = (),
        start: str = "",
    ) -> dict[str, Callable[[], Recipe]]:
        """The one stage of training, from nothing or on from `start`, see `mynah.speak.tacotron2.recipe`.

        Raises:
            BadOption: A teacher, of whom there is none here.
            BadCheckpoint: What to go on from is missing, damaged or hostile.
            BadData: The recordings have no texts, or are of several speakers.
        """
        from mynah.speak.tacotron2.recipe import course

        if teacher:
            raise BadOption(f"{NAME} learns from no teacher: a model to go on from is --start FILE")
        return course(data, folder, hold_out=hold_out, skip=skip, start=start)

    @property
    def own(self) -> Voice:
        """The voice of the weights."""
        return Voice(self.name, (0.0, 0.0), system=NAME)

    def gives(self, voice: Voice) -> bool:
        """Its own voice, and whoever brings weights of Tacotron 2."""
        return voice.system == NAME and (voice.weights is not None or voice.name == self.name)

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
        pieces = [piece.samples for piece in self.utterances(text, voice, options)]
        return Audio(torch.cat(pieces, -1), FORMAT.rate)

    def utterances(self, text: str, voice: Voice, options: Tacotron2Options | None = None) -> Iterator[Audio]:
        """As `speak`, sentence by sentence, each with the pause after it."""
        options = options or Tacotron2Options()
        net, sounding = self._net(voice), vocoder(options.vocoder, FORMAT, device=self.device)
        said = [(sentence, numbers_of(sentence)) for sentence in sentences(tied(text), LONGEST)]
        said = [(sentence, numbers) for sentence, numbers in said if numbers]
        if not said:
            raise BadText(
                f"there is nothing to say in this text: {text.strip()[:20]!r} is in letters unknown to {NAME}"
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

    def _net(self, voice: Voice) -> Net:
        if not self.gives(voice):
            raise BadVoice(f"{NAME} cannot give the voice {voice.name!r} by itself: `mynah speak` converts to it")
        if voice.weights is not None:
            return self._brought.by(voice.weights)
        if "net" not in self.nets:
            raise BadVoice(
                f"{NAME} comes without weights: name a file, such as tacotron2_statedict.pt, or a voice that was "
                "imported from one"
            )
        own = self.nets["net"]
        assert isinstance(own, Net)
        return own


def _net(path: Path) -> Net:
    """Of a file, ready to speak."""
    config, state = published.read(path)
    net = Net(config)
    load_strict(net, state, str(path))
    return net.eval().requires_grad_(False)


def _stretched(mel: Tensor, speed: float) -> Tensor:
    """A mel spectrogram `[band, frame]` at another pace."""
    frames = max(1, round(mel.shape[-1] / speed))
    return mel if frames == mel.shape[-1] else F.interpolate(mel[None], frames, mode="linear")[0]
