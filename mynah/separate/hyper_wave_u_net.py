"""Hyper Wave-U-Net: vocals from the samples of a song, by a net whose filters were kept from resembling each other.

The Wave-U-Net with context and mean interpolation, one channel at 22.05 kHz, whose hidden layers have no bias. What is
new is a loss: the hyperspherical energy of each layer's filters, which falls as they spread.
Paper: Perez-Lapillo, Galkin, Weyde, "Improving singing voice separation with the Wave-U-Net using Minimum
Hyperspherical Energy", ICASSP 2020, arXiv 1910.10071. Its authors published code and no parameters: bring a TensorFlow
bundle that this code made, or train.
What differs: as with the Wave-U-Net, what is separated in windows equals what would be separated at once; the arc
cosine of the angular energies keeps away from where its slope is infinite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mynah.catalog.checkpoint import load_safetensors, load_strict
from mynah.catalog.tensorflow import index_of, load_bundle
from mynah.core.errors import BadOption
from mynah.core.recipe import Batch, Recipe
from mynah.core.system import Card
from mynah.core.types import Audio, Stems, Voice
from mynah.core.verbs import Options
from mynah.nets.separator import Pieces, Separator
from mynah.nets.wave_u_net import Shape, UNet, windowed
from mynah.train.hyperspherical import Energy, hyperspherical_energy
from mynah.train.stems import StemsRecipe, as_they_are

FILE = "hyper_wave_u_net"
FRAMES = 16_384  # samples that the net gives in training
_NAMES = {
    re.compile(r"separator/down_conv_(\d{1,4})/W"): "down.{}.weight",
    re.compile(r"separator/up_conv_(\d{1,4})/W"): "up.{}.weight",
    re.compile(r"separator/conv1d/(kernel|bias)"): "out.0.{}",
}


@dataclass(frozen=True)
class Config:
    """What the net is made of.

    Attributes:
        net: Of two stems, the second of which is what the first leaves.
        rate: Of what the net hears, in Hz.
    """

    net: Shape = field(default_factory=lambda: Shape(difference=True, context=True, bias=False))
    rate: int = 22_050


class HyperWaveUNetOptions(Options):
    """What a listener may change."""

    chunk: Annotated[
        float,
        Field(
            ge=1,
            le=120,
            description="how much is given at a time: more is faster and takes more memory, the stems are the same",
            json_schema_extra={"unit": "seconds"},
        ),
    ] = 12.0


class HyperWaveUNet(Separator[Config]):
    """Separates vocals from the accompaniment; each channel of a stereo mix by itself."""

    card = Card(verbs=("separate",), paper="https://arxiv.org/abs/1910.10071", origin="upstream weights")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.rate, self.channels = config.rate, config.net.channels
        self.net = UNet(config.net)
        self.net.eval().requires_grad_(False)

    @property
    def stems(self) -> tuple[str, ...]:
        return ("accompaniment", "vocals")

    @classmethod
    def tiny(cls) -> Self:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return cls(Config(Shape(levels=3, filters=2, difference=True, context=True, bias=False)))

    @classmethod
    def load(cls, weights: str = "default", *, device: str = "cpu") -> Self:
        """Bring in weights from a file.

        Args:
            weights: The path of a TensorFlow bundle (its `.index`, its folder, or what its files have in common), or of
                what `mynah train` exported.
            device: Where the net runs, as torch calls it.

        Raises:
            BadOption: No such file.
            BadCheckpoint: Damaged, or of another net.
        """
        path = Path(weights).expanduser()
        if weights == "default" or not (path.exists() or path.with_name(f"{path.name}.index").is_file()):
            raise BadOption(
                f"no weights {weights!r}: separate/hyper_wave_u_net was published without any; make some with "
                "`mynah train separate/hyper_wave_u_net --data FOLDER`, or bring a TensorFlow checkpoint of its "
                "authors' code, and say --weights FILE"
            )
        system = cls(Config())
        state = load_safetensors(path) if path.suffix == ".safetensors" else load_bundle(index_of(path), wanted=_of_net)
        load_strict(system.net, cls.remap(state), weights)
        system.net.to(device)
        return system

    @classmethod
    def remap(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """From TensorFlow's names and its kernels `[time, in, out]`; without the training's own variables."""
        renamed = {}
        for name, tensor in state.items():
            if not _of_net(name):
                continue
            found = [(made, ours) for theirs, ours in _NAMES.items() if (made := theirs.fullmatch(name))]
            if found:
                made, ours = found[0]
                name = ours.format("weight" if made[1] == "kernel" else made[1])
                tensor = tensor.permute(2, 1, 0).contiguous() if tensor.ndim == 3 else tensor
            renamed[name] = tensor
        return renamed

    def separate(self, mix: Audio, options: HyperWaveUNetOptions | None = None) -> Stems:  # type: ignore[override]
        """Take a mix apart, see `Separator`."""
        return super().separate(mix, options)

    @torch.inference_mode()
    def apart(self, mix: Pieces, options: HyperWaveUNetOptions | None = None) -> Iterator[Tensor]:  # type: ignore[override]
        """Pieces `[stem, channel, time]`, with silence before the beginning of the song and after its end."""
        options = options or HyperWaveUNetOptions()
        yield from windowed(self.net, mix(), round(options.chunk * self.rate))

    @classmethod
    def course(
        cls,
        data: Path,
        folder: Path,
        *,
        teacher: str = "",
        hold_out: Sequence[str] = (),
        energy: Energy = "0",
        half: bool = False,
    ) -> dict[str, Callable[[], Recipe]]:
        """Training from nothing: a long stage, and a fine one of twice the batch and a tenth of the rate.

        Args:
            data: Folder of songs in stems, see `mynah.train.mixtures`.
            folder: Where stages export to, and where prepared recordings are kept.
            teacher: There is none.
            hold_out: Songs that are left out, and measured on.
            energy: Of the filters, see `hyperspherical_energy`. The authors' best were `"0"`, and `"a2"` with `half`.
            half: Filters are also kept from being opposite.
        """
        config = Config()

        def stage(kind: type[HyperRecipe], *, steps: int, clips: int, rate: float) -> Recipe:
            net = UNet(config.net)
            before = folder / f"{FILE}.safetensors"
            if kind is FineRecipe and before.exists():
                load_strict(net, load_safetensors(before), str(before))
            mixtures, judged = as_they_are(data, folder / "prepared", cls(config).stems, config.rate, 1, hold_out)
            return kind(
                net,
                mixtures,
                energy=energy,
                half=half,
                heard=config.net.giving(FRAMES)[0],
                steps=steps,
                clips=clips,
                rate=lambda step: rate,
                compare=F.mse_loss,
                judged=judged,
                file=FILE,
            )

        return {
            "long": lambda: stage(LongRecipe, steps=150_000, clips=16, rate=1e-4),
            "fine": lambda: stage(FineRecipe, steps=50_000, clips=32, rate=1e-5),
        }

    def adapt(self, voice: Voice) -> Recipe:
        """There is no such thing: a separator is not for one voice.

        Raises:
            BadOption: Always.
        """
        raise BadOption(
            "separate/hyper_wave_u_net learns from songs in stems, not for one voice: give it --data FOLDER"
        )


class HyperRecipe(StemsRecipe):
    """The Wave-U-Net's recipe, and the energy of all hidden layers, divided by how many have a scale of their own.

    Args:
        net: What is trained.
        mixtures: With its stems.
        energy: Of the filters; `None` for none, which is the paper's baseline.
        half: Filters are also kept from being opposite.
        named: As `StemsRecipe` takes it.
    """

    def __init__(self, net: UNet, mixtures: Any, *, energy: Energy | None, half: bool = False, **named: Any) -> None:
        super().__init__(net, mixtures, **named)
        self.energy, self.half = energy, half
        self.hidden = [conv.weight for conv in (*net.down, *net.up)]
        self.share = 1 / (2 * net.shape.levels)

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        losses = super().losses(turn, batch)
        if self.energy is not None:
            every = [hyperspherical_energy(weight, self.energy, half=self.half) for weight in self.hidden]
            losses["energy"] = self.share * torch.stack(every).sum()
        return losses


class LongRecipe(HyperRecipe):
    """The first stage."""

    name = "long"


class FineRecipe(HyperRecipe):
    """The second."""

    name = "fine"


def _of_net(name: str) -> bool:
    """Whether a variable is the net's and not its training's: Adam's slots and powers, the step."""
    return not name.startswith("separator_solver/") and name != "global_step"
