"""HiFi-GAN: sound of mel spectrograms in one go, as most speakers want it; V1, V2, V3.

A mel spectrogram is stretched to samples in stages, and each stage looks at it through several kernels at once; critics
of periods and of scales tell it from recordings while it learns. Every published folder loads as it is.
Paper: Kong, Kim, Bae, "HiFi-GAN", arXiv 2010.05646; the key layout is that of jik876/hifi-gan (MIT).
What differs: training begins a step with the generator and ends it with the critics, on the same sound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from mynah.audio.chunks import map_chunks
from mynah.core.errors import BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio
from mynah.core.verbs import Options
from mynah.features.mel import MelFormat
from mynah.features.resound import resound
from mynah.nets.normed import folded
from mynah.nets.nsf import Decoder, DecoderConfig
from mynah.vocode.hifi_gan import published
from mynah.vocode.hifi_gan.sizes import Config

FRAMES = 1024  # at a time, so that an hour takes no more memory than a minute


class HifiGanOptions(Options):
    """There is nothing to change: the same spectrogram is the same sound."""


class HifiGan(System[Config]):
    """Makes sound of the mel spectrograms that its weights were trained for."""

    card = Card(verbs=("vocode",), paper="https://arxiv.org/abs/2010.05646", origin="upstream weights")

    def __init__(self, config: Config, net: Decoder | None = None) -> None:
        super().__init__(config)
        self.net = folded(net or published.net_of(config)).eval().requires_grad_(False)

    @property
    def format(self) -> MelFormat:
        """That it makes sound of."""
        return self.config.format

    @classmethod
    def tiny(cls) -> Self:
        decoder = DecoderConfig(8000, 8, (4, 4), (8, 8), (3, 5), ((1, 2), (1, 3)), normed=True)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(Config(MelFormat(8000, 64, 16, 64, 8, 0.0, None), decoder))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in a generator.

        Args:
            weights: A folder with `config.json` and `g_00000000`, as published; a file of such a folder; or our
                safetensors.
            device: Where it runs.

        Raises:
            BadOption: There is no such place, or none was named: the published ones are where no program can fetch
                them.
            BadCheckpoint: Damaged, hostile, or something else.
        """
        place = Path(weights).expanduser()
        if not place.exists():
            raise BadOption(
                f"no weights {weights!r}: name a folder with config.json and g_02500000; github.com/jik876/hifi-gan "
                "links to the published ones, such as UNIVERSAL_V1"
            )
        system = cls(*published.read(place))
        system.net.to(device)
        return system

    @classmethod
    def recognises(cls, place: Path) -> bool:
        """Whether a file or a folder holds a generator of HiFi-GAN."""
        return published.recognises(place)

    def vocode(self, source: Audio, options: HifiGanOptions | None = None) -> Audio:
        """To a mel spectrogram and back: one channel, as long, at the rate of the model."""
        return resound(source, self.format, self.wave)

    @torch.inference_mode()
    def wave(self, mel: Tensor, *, seed: int = 0) -> Tensor:
        """Sound `[batch, frame * hop]` in [-1, 1] of mel spectrograms `[batch, band, frame]`; nothing is random."""
        device, around = next(self.net.parameters()).device, self.net.reach()

        def sounded(part: Tensor) -> Tensor:
            return self.net(part)[:, 0]

        pieces = mel.float().to(device).split(FRAMES, -1)
        parts = map_chunks(sounded, pieces, chunk=FRAMES, left=around, right=around, ratio=self.format.hop)
        return torch.cat(list(parts), -1).to(mel.device)

    @classmethod
    def course(
        cls, data: Path, folder: Path, *, teacher: str = "", start: str = "", hold_out: Sequence[str] = ()
    ) -> dict[str, Callable[[], Recipe]]:
        """Training on recordings, in one stage.

        Args:
            data: Folder of recordings.
            folder: Where prepared recordings are kept.
            teacher: There is none.
            start: `v1`, `v2` or `v3` for a new one of that size, by default `v1`; or a generator to go on from, and
                behind a comma its critics: `g_02500000,do_02500000`. Without the latter they begin anew.
            hold_out: Patterns of recordings to measure on; without any, one in twenty is.

        Raises:
            BadOption: More than two files to go on from.
            BadCheckpoint: One of them is missing, damaged, or something else.
        """
        from mynah.vocode.hifi_gan.recipe import course

        return course(data, folder, start=start, hold_out=hold_out)
