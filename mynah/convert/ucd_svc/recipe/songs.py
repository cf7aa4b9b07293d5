"""The recordings to learn from: what was heard of them, kept once, and clips drawn by a generator alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from mynah.convert.ucd_svc.hear import content_of, loudness_of
from mynah.convert.ucd_svc.listeners import Ear
from mynah.convert.ucd_svc.sizes import LOUDNESS_HOP, PITCH_HOP, RATE, UNIT, Config
from mynah.core.atomic import replacing
from mynah.core.errors import BadData
from mynah.core.recipe import Batch
from mynah.core.types import Audio
from mynah.features.speaker import VoiceEncoder
from mynah.train.data import Take

_STEPS, _PITCHES = UNIT // LOUDNESS_HOP, UNIT // PITCH_HOP
_LISTEN_SECONDS = 60.0  # of a singer, to know them again by


class Songs:
    """Takes with their words and loudness.

    Args:
        takes: From `mynah.train.data.prepare`; a speaker's recordings are of one voice, spoken or sung.
        ear: The acoustic model.
        config: Of the model.
        frames: Of a clip.
        root: Folder of the recordings, to which `hold_out` is relative.
        hold_out: Patterns of recordings that are only measured on. Without any, one take in thirty is, if there are
            thirty.
        progress: Told the fraction heard.

    Raises:
        BadData: Nothing to learn from is left.
    """

    def __init__(
        self,
        takes: Sequence[Take],
        ear: Ear,
        config: Config,
        frames: int,
        *,
        root: Path | None = None,
        hold_out: Sequence[str] = (),
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> None:
        self.ear, self.config, self.frames = ear, config, frames
        long = [take for take in takes if take.frames > frames]
        if root and hold_out:
            paths = [take.clip.path.relative_to(root).as_posix() for take in long]
            held = [any(fnmatch(path, pattern) for pattern in hold_out) for path in paths]
        else:
            held = [len(long) >= 30 and place % 30 == 15 for place in range(len(long))]
        self.held_out = [take for take, out in zip(long, held, strict=True) if out]
        self.training = [take for take, out in zip(long, held, strict=True) if not out]
        if not self.training:
            raise BadData(f"none of {len(takes)} recordings is longer than {frames / 50:.1f} s: nothing to learn from")
        self.singers = sorted({take.clip.speaker for take in self.training})
        for done, take in enumerate(long):
            self._heard_once(take)
            progress((done + 1) / len(long))
        seconds: dict[str, float] = defaultdict(float)
        for take in self.training:
            seconds[take.clip.speaker] += take.seconds
        # Singers alike, recordings of one by their length.
        self._share = torch.tensor([take.seconds / seconds[take.clip.speaker] for take in self.training])

    def draw(self, dice: Generator, count: int, places: int, *, held_out: bool = False) -> Batch:
        """Clips.

        Returns:
            wave `[batch, time]`; content `[batch, size, frame]`; loudness `[batch, 5 * frame]`; pitch (Hz, 0 where
            unvoiced) `[batch, 2 * frame + 1]`; singer `[batch]`; places (samples amid notes) and sure (whether they
            are) `[batch, place]`.
        """
        takes = self.held_out if held_out and self.held_out else self.training
        share = torch.ones(len(takes)) if takes is not self.training else self._share
        rows = []
        for number in torch.multinomial(share, count, replacement=True, generator=dice).tolist():
            take = takes[number]
            first = int(torch.randint(take.frames - self.frames, (), generator=dice))
            rows.append(self._row(take, first, places, dice))
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _row(self, take: Take, first: int, places: int, dice: Generator) -> dict[str, Tensor]:
        frames, size = self.frames, self.ear.size
        # One more than there are, because the last frame glides to it.
        pitch = take.pitch(first, frames + 1).nan_to_num(0.0)[: _PITCHES * frames + 1]
        voiced = (pitch[:-1] > 0).float()
        chosen = torch.multinomial(voiced + 1e-6, places, replacement=True, generator=dice)
        return {
            "wave": take.wave(RATE, first, frames),
            "content": self._part(take, "content", size, first, frames).T,
            "loudness": self._part(take, "loudness", _STEPS, first, frames).flatten(),
            "pitch": pitch,
            "singer": torch.tensor(self.singers.index(take.clip.speaker) if take.clip.speaker in self.singers else 0),
            "places": chosen * PITCH_HOP,
            "sure": voiced[chosen],
        }

    def heard_of(self, encoder: VoiceEncoder) -> Tensor:
        """What the voice encoder of the house hears of every singer, about a minute of each: `[singer, 192]`."""
        vectors = []
        for singer in self.singers:
            clips: list[Audio] = []
            for take in self.training:
                if take.clip.speaker == singer and sum(clip.seconds for clip in clips) < _LISTEN_SECONDS:
                    clips.append(Audio(take.wave(RATE)[None], RATE))
            vectors.append(encoder.embed(clips))
        return torch.stack(vectors)

    def _part(self, take: Take, name: str, each: int, first: int, frames: int) -> Tensor:
        path, offset = self._path(take, name), first * each * 2
        return torch.from_numpy(np.fromfile(path, "<f2", frames * each, offset=offset).astype(np.float32)).view(
            -1, each
        )

    def _path(self, take: Take, name: str) -> Path:
        version = self.ear.name if name == "content" else str(self.config.loudness_window)
        return take.folder / f"ucd-{name}-{version}.f16"

    def _heard_once(self, take: Take) -> None:
        wave = take.wave(RATE)
        for name in ("content", "loudness"):
            path = self._path(take, name)
            if not path.exists():
                with torch.no_grad():
                    heard = (
                        content_of(wave, self.ear).T
                        if name == "content"
                        else loudness_of(wave, self.config.loudness_window)
                    )
                with replacing(path) as half:
                    heard.cpu().numpy().astype("<f2").tofile(half)


def others(singer: Tensor, count: int, dice: Generator) -> Tensor:
    """For each singer another one of `count`, `[batch]`."""
    return (singer + 1 + torch.randint(max(1, count - 1), singer.shape, generator=dice)) % count
