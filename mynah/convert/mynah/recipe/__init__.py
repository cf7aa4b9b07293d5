"""How the converter learns: content, voice encoder and ear, then the decoder, then the decoder against critics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from torch import nn

from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.weights import fetch
from mynah.convert.mynah.recipe.content import ContentRecipe
from mynah.convert.mynah.recipe.corpus import Corpus
from mynah.convert.mynah.recipe.decoder import DecoderRecipe
from mynah.convert.mynah.recipe.polish import PolishRecipe
from mynah.convert.mynah.recipe.voice import EarRecipe, VoiceRecipe
from mynah.core.recipe import Recipe
from mynah.core.system import Weights
from mynah.features import content, speaker, whisper

DECODER = "mynah_decoder"
Net = TypeVar("Net", bound=nn.Module)


def course(
    data: Path,
    folder: Path,
    shipped: Weights,
    *,
    teacher: str = "",
    hold_out: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> dict[str, Callable[[], Recipe]]:
    """The stages in order; each takes from `folder` what earlier ones exported, or else what is shipped.

    Args:
        data: Folder of recordings.
        folder: Where stages export to, and where prepared recordings are kept.
        shipped: The decoder that `polish` goes on from when none was trained in `folder`.
        teacher: A Whisper encoder, as a path or a hub id.
        hold_out: Patterns of recordings to test on.
        skip: Patterns of recordings to leave out altogether.
    """

    @cache
    def corpus() -> Corpus:
        return Corpus.open(data, folder / "prepared", hold_out=hold_out, skip=skip)

    def filled(net: Net, name: str, weights: Weights) -> Net:
        own = folder / f"{name}.safetensors"
        load_strict(net, load_safetensors(own if own.exists() else fetch(weights)), name)
        return net

    def encoder(name: str) -> speaker.VoiceEncoder:
        return filled(speaker.VoiceEncoder(), name, speaker.WEIGHTS)

    def student() -> content.ContentStudent:
        return filled(content.ContentStudent(), "content_student", content.WEIGHTS)

    def decoder() -> Recipe:
        # The judges stay as they learnt to tell singers apart; a copy of one is tuned with the decoder.
        return DecoderRecipe(corpus(), student(), encoder("voice_judge"), encoder("voice_judge"), encoder("voice_ear"))

    def learn_content() -> Recipe:
        listener = whisper.load(teacher) if teacher else whisper.load()
        return ContentRecipe(corpus(), corpus().teach(listener))

    def polish() -> Recipe:
        tuned = encoder("voice_encoder")
        recipe = PolishRecipe(corpus(), student(), tuned, encoder("voice_judge"), encoder("voice_ear"))
        filled(recipe.decoder, DECODER, shipped)
        return recipe

    return {
        "content": learn_content,
        "voice": lambda: VoiceRecipe(corpus()),
        "ear": lambda: EarRecipe(corpus(), encoder("voice_judge")),
        "decoder": decoder,
        "polish": polish,
    }
