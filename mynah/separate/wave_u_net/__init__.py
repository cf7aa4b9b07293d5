"""Wave-U-Net: stems from the samples of a song themselves, without spectra, by the nets of 2018 and by the later one.

A U-Net of one-dimensional convolutions halves the rate level by level, doubles it again, and hears at every level what
it had found there on the way down; so it sees six seconds around every sample.
Paper: Stoller, Ewert, Dixon, ISMIR 2018, arXiv 1806.03185. Parameters are the authors' own (MIT): TensorFlow bundles
of M4, M6 and M5-HighSR in one archive, the later net in another; no checksum of either was ever published, so they are
not fetched but brought, as a file. M5-HighSR reaches a median SDR of 4.95 dB for vocals and 11.16 dB for the
accompaniment on MUSDB18, as its authors tell.
What differs: windows move by whole samples of the lowest level, which makes what is separated in windows equal what
would be separated at once; nets without context are given true neighbours instead of silence at the edges of windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mynah.catalog.checkpoint import load_strict
from mynah.core.errors import BadOption
from mynah.core.recipe import Recipe
from mynah.core.system import Card
from mynah.core.types import Audio, Stems, Voice
from mynah.core.verbs import Options
from mynah.nets.separator import Pieces, Separator
from mynah.nets.wave_u_net import Shape, UNet, centred, windowed
from mynah.separate.wave_u_net import published
from mynah.separate.wave_u_net.later import LaterNet
from mynah.separate.wave_u_net.presets import PRESETS, Config


class WaveUNetOptions(Options):
    """What a listener may change."""

    chunk: Annotated[
        float,
        Field(
            ge=1,
            le=120,
            description="how much a net of 2018 gives at a time: more is faster and takes more memory, the stems are "
            "the same; the later net has one length of its own",
            json_schema_extra={"unit": "seconds"},
        ),
    ] = 12.0


class WaveUNet(Separator[Config]):
    """Separates vocals from the accompaniment, or a song into four stems."""

    card = Card(verbs=("separate",), paper="https://arxiv.org/abs/1806.03185", origin="upstream weights")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.rate, self.channels = config.rate, config.net.channels
        self.net = net_of(config)
        self.net.eval().requires_grad_(False)

    @property
    def stems(self) -> tuple[str, ...]:
        return self.config.stems

    @classmethod
    def tiny(cls) -> Self:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(Config(Shape(levels=3, filters=2, difference=True, context=True, learned=True)))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in weights from a file.

        Args:
            weights: The path of a TensorFlow bundle (its `.index`, its folder, or what its files have in common), of a
                checkpoint of the later net, or of what `mynah train` exported. The configuration is told by the shapes
                of the parameters and the name of the folder; where that leaves a choice, say `M3=PATH`.
            device: Where the net runs, as torch calls it.

        Raises:
            BadOption: No such file; the message tells where there are some.
            BadCheckpoint: Damaged, of another net, or one that fits several configurations.
        """
        config, state = published.read(weights)
        if published.misfits(config, state):
            with torch.device("meta"):  # what is refused costs no memory
                load_strict(net_of(config), state, weights)
        system = cls(config)
        load_strict(system.net, state, weights)
        system.net.to(device)
        return system

    @classmethod
    def remap(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """From TensorFlow's names and layouts, see `published.remap`; those of the later net are ours."""
        return published.remap({name: tensor for name, tensor in state.items() if not published.is_solver(name)})

    def separate(self, mix: Audio, options: WaveUNetOptions | None = None) -> Stems:  # type: ignore[override]
        """Take a mix apart, see `Separator`."""
        return super().separate(mix, options)

    @torch.inference_mode()
    def apart(self, mix: Pieces, options: WaveUNetOptions | None = None) -> Iterator[Tensor]:  # type: ignore[override]
        """Pieces `[stem, channel, time]`, with silence before the beginning of the song and after its end."""
        options = options or WaveUNetOptions()
        if isinstance(self.net, UNet):
            yield from windowed(self.net, mix(), round(options.chunk * self.rate))
            return
        net = self.net
        heard, given = net.shape.sizes
        device = next(net.parameters()).device

        def separated(window: Tensor) -> Tensor:
            whole = F.pad(window, (0, heard - window.shape[-1])).to(device)
            return net(whole[None])[0].cpu()

        yield from centred(separated, mix(), around=(heard - given) // 2, chunk=given, right=heard - given)

    @classmethod
    def course(
        cls,
        data: Path,
        folder: Path,
        *,
        teacher: str = "",
        hold_out: Sequence[str] = (),
        config: Config = PRESETS["M4"],
    ) -> dict[str, Callable[[], Recipe]]:
        """Training from nothing: for a net of 2018 a long stage and a fine one, for the later net one.

        Args:
            data: Folder of songs in stems, see `mynah.train.mixtures`.
            folder: Where stages export to, and where prepared recordings are kept.
            teacher: There is none.
            hold_out: Songs that are left out, and measured on.
            config: What to train.
        """
        from mynah.separate.wave_u_net.recipe import course

        return course(data, folder, config, hold_out=hold_out)

    def adapt(self, voice: Voice) -> Recipe:
        """There is no such thing: a separator is not for one voice.

        Raises:
            BadOption: Always.
        """
        raise BadOption(
            "separate/wave_u_net learns from songs in stems, not for one voice: train it with --data FOLDER"
        )


def net_of(config: Config) -> UNet | LaterNet:
    """An untrained net."""
    return UNet(config.net) if isinstance(config.net, Shape) else LaterNet(config.net)
