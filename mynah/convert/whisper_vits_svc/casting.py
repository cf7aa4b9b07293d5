"""Who sings: for every voice the model, its vector, and the frames that it once sang, wherever these come from.

A voice may bring a whole model and its vector, a vector alone, or what was tuned for it; else the ears hear its clips.
A mixture is a vector between those of its parts, which have to share a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mynah.audio.resample import resample
from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.header import read_header
from mynah.convert.whisper_vits_svc import published, share
from mynah.convert.whisper_vits_svc.hear import Ears, OwnEars, ears_for
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.core.errors import BadOption, BadVoice
from mynah.core.types import Voice
from mynah.features.content import RATE
from mynah.nets.brought import Brought
from mynah.nets.normed import folded
from mynah.voices.library import find

_OURS = ""


@dataclass(frozen=True, eq=False)
class Cast:
    """Whoever sings.

    Attributes:
        singer: The net, folded.
        ears: What it was trained to hear with.
        vector: Of the voice, `[size]`.
        model: By which nets are told apart; empty for the one that the system was loaded with.
    """

    singer: Singer
    ears: Ears
    vector: Tensor
    model: str = _OURS


class Casting:
    """Finds out who sings, and keeps the last one.

    Args:
        singer: Of the model that the system was loaded with, if it was.
        ears: Its ears.
        device: Where models that voices bring run.
    """

    def __init__(self, singer: Singer | None, ears: Ears | None, device: str) -> None:
        self._singer, self._ears = singer, ears
        self._brought = Brought(lambda path: model_in(path, device))
        self._last: tuple[Voice, Cast] | None = None
        self._bank: tuple[Voice, list[Tensor | None]] | None = None

    def of(self, voice: Voice) -> Cast:
        """Who sings with this voice.

        Raises:
            BadVoice: It has nothing that it could be known by, or it mixes what does not go together.
            BadOption: It brings no model, and there is no other.
            BadCheckpoint: What it brings is damaged, or for a model of other sizes.
        """
        if self._last is None or self._last[0] is not voice:
            self._last = (voice, self._found(voice))
        return self._last[1]

    def _found(self, voice: Voice) -> Cast:
        if voice.weights is None:
            knows_mixtures = isinstance(self._ears, OwnEars) and voice.embedding is not None
            if voice.parts and not voice.clips and not knows_mixtures:
                return self._mixed(voice)
            singer, ears = self._ours(voice)
            return Cast(singer, ears, ears.vector(voice))
        head = read_header(voice.weights)
        model = head.metadata.get("model", str(voice.weights))
        if published.WAY_IN in head.shapes:
            singer, ears = self._brought.by(voice.weights)
            return Cast(singer, ears, _fit(load_safetensors(voice.weights).get(published.VECTOR), singer, voice), model)
        singer, ears = self._ours(voice)
        if set(head.shapes) == {published.VECTOR}:
            return Cast(singer, ears, _fit(load_safetensors(voice.weights)[published.VECTOR], singer, voice))
        singer, vector = share.tuned(singer, voice.weights)
        return Cast(singer, ears, _fit(vector, singer, voice), model)

    def _ours(self, voice: Voice) -> tuple[Singer, Ears]:
        if self._singer is None or self._ears is None:
            raise BadOption(
                f"the voice {voice.name!r} brings no model of so-vits-svc 5.0: say which is to sing with --weights FILE"
            )
        return self._singer, self._ears

    def _mixed(self, voice: Voice) -> Cast:
        """Between the parts, which the library knows."""
        casts = [(self._found(find(name)), amount) for name, amount in voice.parts]
        first = casts[0][0]
        if any(cast.model != first.model for cast, _ in casts):
            raise BadVoice(
                f"the voices in {voice.name!r} sing with different models: `mynah merge` makes one model of two, and "
                "voices of one model can be mixed"
            )
        return Cast(first.singer, first.ears, mean([(cast.vector, amount) for cast, amount in casts]), first.model)

    def frames_of(self, voice: Voice) -> list[Tensor | None]:
        """What the voice once sang, for each feature `[frame, size]`, or None; heard once for each voice.

        Raises:
            BadVoice: Its bank is of another model.
        """
        if self._bank is None or self._bank[0] is not voice:
            self._bank = (voice, self._frames(voice))
        return self._bank[1]

    def _frames(self, voice: Voice) -> list[Tensor | None]:
        ears = self.of(voice).ears
        if voice.clips:
            waves = [resample(clip, RATE).samples.mean(0) for clip in voice.clips]
            frames = torch.cat([piece for wave in waves for piece in ears.frames([wave])], -1).T
        elif voice.bank is not None and len(voice.bank):
            frames = voice.bank.float()
        else:
            return [None, None]
        match frames.shape[1]:
            case size if size == ears.words + ears.sounds:
                words, sounds = frames.split([ears.words, ears.sounds], 1)
                return [words, sounds if ears.sounds else None]
            case ears.words:
                return [frames, None]
            case ears.sounds:
                return [None, frames]
        raise BadVoice(
            f"the bank of the voice {voice.name!r} holds frames of {frames.shape[1]} numbers, and its model hears "
            f"{ears.words} and {ears.sounds}: the index belongs to another model"
        )


def model_in(path: Path, device: str) -> tuple[Singer, Ears]:
    """A model and its ears, from any file that `published.read` reads.

    Raises:
        BadCheckpoint: Damaged, hostile, or of another system; names the file.
    """
    state = published.singer_of(published.read(path).net)
    net = published.config_of(state, path)
    ears = ears_for(net, path, device)
    singer = Singer(net)
    load_strict(singer, state, str(path))
    published.refuse_other_filters(state, path)
    return folded(singer.eval().requires_grad_(False)).to(device), ears


def mean(vectors: list[tuple[Tensor, float]]) -> Tensor:
    """Of vectors by their shares, not brought back to any length: how long they are belongs to the voice."""
    return torch.stack([amount * vector for vector, amount in vectors]).sum(0)


def _fit(vector: Tensor | None, singer: Singer, voice: Voice) -> Tensor:
    if vector is None or vector.shape != (singer.config.voice,):
        raise BadVoice(
            f"the voice {voice.name!r} has no vector of {singer.config.voice} numbers, by which this model knows "
            "voices: it belongs to another model"
        )
    return vector.float()
