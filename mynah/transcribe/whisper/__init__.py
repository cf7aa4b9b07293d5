"""Whisper: writes down what is said or sung in a hundred languages, or translates it into English.

An encoder hears windows of 30 s; a decoder writes words and times, token by token. All published sizes run, from tiny
to large-v3 and its turbo, from files of openai/whisper and folders of Hugging Face; nothing in them is executed.
Paper: Radford, Kim, Xu, Brockman, McLeavey, Sutskever, arXiv 2212.04356. Parameters: openai/whisper, MIT.

Where it differs: pauses are not listened to; windows are not told the text before them unless asked, because refrains
then never end; words may last as long as a singer holds them; and several windows can be heard at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import Field

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_strict
from mynah.catalog.hub import hub_folder, is_hub_id
from mynah.catalog.weights import locate
from mynah.core.errors import BadAudio, BadOption
from mynah.core.system import Card, System
from mynah.core.types import Audio, Transcript
from mynah.features.whisper import RATE
from mynah.text.listening import ListeningOptions, in_one
from mynah.transcribe.whisper.longform import Guards, Listener
from mynah.transcribe.whisper.net import Config, Net
from mynah.transcribe.whisper.published import DEFAULT, FILES, WEIGHTS, Heads, read
from mynah.transcribe.whisper.tokens import Tokens, small_vocabulary

_SEED = 13  # of weights that happen to hear something in a short note


class CannotTranslate(UserWarning):
    """The weights never learnt to translate."""


class WhisperOptions(ListeningOptions):
    """What a reader may change."""

    hush_db: Annotated[
        float,
        Field(ge=-120, le=0, description="pauses of 2 s and more that are softer than this are not listened to",
              json_schema_extra={"unit": "dB"}),
    ] = -60.0  # fmt: skip


class Whisper(System[Config]):
    """Writes down what is said or sung."""

    card = Card(
        verbs=("transcribe", "translate"),
        paper="https://arxiv.org/abs/2212.04356",
        origin="upstream weights",
        weights={**WEIGHTS, "default": WEIGHTS[DEFAULT]},
    )

    def __init__(
        self, config: Config, tokens: Tokens, heads: Heads, banned: Sequence[int] | None = None, *, name: str = ""
    ) -> None:
        super().__init__(config)
        self.tokens, self.heads = tokens, heads
        own = [tokens.transcribe, tokens.translate, tokens.start, tokens.before, tokens.other_model, tokens.silence]
        self.banned = sorted({*(tokens.unsaid if banned is None else banned), *own})
        self.translates = tokens.multilingual and "turbo" not in name
        self.net = Net(config).eval().requires_grad_(False)

    @classmethod
    def tiny(cls) -> Self:
        tokens = small_vocabulary()
        config = Config(80, 64, 1, audio_context=150, vocabulary=tokens.size, text_layers=2, text_context=24)
        system = cls(config, tokens, ((1, 0),))
        generator = torch.Generator().manual_seed(_SEED)
        for weight in system.net.parameters():
            spread = 0.5 / weight.shape[-1] ** 0.5 if weight.ndim > 1 else 0.1
            weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
        return system

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Weights by name, as a file of openai/whisper, as a folder of Hugging Face, or by their id on its hub.

        Raises:
            BadOption: Neither a name, a file, a folder nor an id.
            BadCheckpoint: Damaged, hostile, or no Whisper.
            Offline: Published weights are not here and cannot be fetched.
        """
        path = Path(weights).expanduser()
        if weights in cls.card.weights or not path.is_dir():
            on_hub = weights not in cls.card.weights and not path.exists() and is_hub_id(weights)
            path = hub_folder(weights, FILES) if on_hub else locate(weights, cls.card.weights)
        package = read(path)
        system = cls(package.config, package.tokens, package.heads, package.banned, name=path.name)
        load_strict(system.net, package.state, str(path))
        system.net.to(device)
        return system

    def transcribe(
        self,
        source: Audio,
        options: WhisperOptions | None = None,
        *,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Transcript:
        """What is said or sung, in its own language.

        Raises:
            BadAudio: Empty, or not finite.
            BadOption: The weights do not know the language.
        """
        return self._written(source, options or WhisperOptions(), self.tokens.transcribe, progress)

    def translate(
        self,
        source: Audio,
        options: WhisperOptions | None = None,
        *,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> Transcript:
        """What is said or sung, in English.

        Raises:
            BadAudio: Empty, or not finite.
            BadOption: The weights do not know the language, or no other than English.
        """
        if not self.tokens.multilingual:
            raise BadOption("these weights know English alone: translate with others, such as small")
        if not self.translates:
            message = "the turbo never learnt to translate and mostly writes down what it hears: take large-v3 or small"
            warnings.warn(message, CannotTranslate, stacklevel=2)
        return self._written(source, options or WhisperOptions(), self.tokens.translate, progress)

    @torch.inference_mode()
    def _written(
        self, source: Audio, options: WhisperOptions, task: int, progress: Callable[[float], None]
    ) -> Transcript:
        language = options.language.lower()
        known = sorted(self.tokens.languages) if self.tokens.multilingual else ["en"]
        if language and language not in known:
            raise BadOption(f"language: these weights know no {language!r}: choose among {', '.join(known)}")
        mono = resample(Audio(source.samples.mean(0, keepdim=True), source.rate), RATE).samples[0]
        if not mono.numel():
            raise BadAudio("the recording is empty: there are no words in it to hear")
        if not mono.isfinite().all():
            raise BadAudio("the recording contains NaN or infinity; export it again")
        listener = Listener(
            self.net, self.tokens, self.heads, mono,
            banned=self.banned, task=task, language=language, guards=_guards(options),
        )  # fmt: skip
        prompt = self.tokens.numbers_of(" " + options.prompt.strip()) if options.prompt.strip() else []
        if options.batch > 1:
            hear = partial(listener.together, prompt, options.batch)
        else:
            hear = partial(listener.one_by_one, prompt, follow=options.follow)
        lines = tuple(hear(words=options.words, progress=progress))
        spoken = "en" if task == self.tokens.translate else listener.language
        return Transcript(in_one(lines, listener.language), spoken, source.seconds, lines)


def _guards(options: WhisperOptions) -> Guards:
    return Guards(
        options.ladder(), options.tries, options.compression, options.log_probability, options.silence, options.hush_db,
        options.no_repeat, options.seed, options.beam, options.patience,
    )  # fmt: skip
