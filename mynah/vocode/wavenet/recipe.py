"""How WaveNet learns: every sample from those before it and the mel spectrogram around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from mynah.core.errors import BadCheckpoint
from mynah.core.recipe import Batch, Recipe
from mynah.features.mel import MelFormat
from mynah.train.data import prepare, scan
from mynah.train.sounds import Sounds
from mynah.vocode.wavenet import published
from mynah.vocode.wavenet.net import WaveNetNet
from mynah.vocode.wavenet.sizes import LATER, Config
from mynah.vocode.wavenet.sound import cut_below, emphasised

EDGE = 4  # frames beyond a clip on either side, so that its spectrogram is that of the recording
JUDGED = 4  # held-out windows that are measured on
HEARD = 1000  # recordings at most that statistics are taken from


@dataclass(frozen=True)
class Plan:
    """Figures of a run, by default those of the original.

    Attributes:
        steps: Of the optimiser.
        clips: In a batch.
        frames: Of a clip.
        rate: Learning rate at the beginning.
        halved: Steps after which it is halved, again and again.
        seed: Of all that is drawn.
    """

    steps: int = 1_000_000
    clips: int = 8
    frames: int = 40
    rate: float = 1e-3
    halved: int = 200_000
    seed: int = 1


class WaveNetRecipe(Recipe):
    """Losses, rates and averages of the original.

    Args:
        sounds: What to learn from.
        config: Sizes, of the later generation, with the statistics of these sounds.
        plan: Figures of the run.
        net: To go on from; else a new one.
    """

    name = "vocode"
    clip_norm = math.inf
    ema = 0.9999

    def __init__(
        self, sounds: Sounds, config: Config, plan: Plan | None = None, *, net: WaveNetNet | None = None
    ) -> None:
        self.sounds, self.config, self.plan = sounds, config, plan or Plan()
        self.steps = self.plan.steps
        with torch.random.fork_rng():
            torch.manual_seed(self.plan.seed)
            self.net = net or WaveNetNet(config)
        self.nets = nn.ModuleDict({"net": self.net})

    @property
    def clips(self) -> int:
        """That are computed at a time."""
        return self.plan.clips

    @clips.setter
    def clips(self, count: int) -> None:
        self.plan = replace(self.plan, clips=count)

    def batch(self, step: int) -> Batch:
        dice = Generator().manual_seed(self.plan.seed * 1_000_003 + step)
        return {"wave": self.sounds.draw(dice, self.plan.clips, self._samples())}

    def parameters(self, turn: str) -> Iterable[nn.Parameter]:
        return self.net.parameters()

    def learning_rate(self, turn: str, step: int) -> float:
        return self.plan.rate * 0.5 ** (step // self.plan.halved)

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.9, 0.999), "weight_decay": 0.0}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        return {"surprise": self._surprise(batch["wave"])}

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """Minus the nats that held-out samples surprise by."""
        takes = (self.sounds.held_out or self.sounds.training)[:JUDGED]
        dice = Generator().manual_seed(self.plan.seed)
        waves = torch.stack([self.sounds.window(take, dice, self._samples()) for take in takes])
        return {"expected": -self._surprise(waves.to(next(self.net.parameters()).device)).item()}

    def export(self, folder: str) -> list[str]:
        """`wavenet.safetensors`, which `mynah.vocode.vocoder` takes."""
        return [str(published.write(self.config, self.net, Path(folder) / "wavenet.safetensors"))]

    def _samples(self) -> int:
        return (self.plan.frames + 2 * self._edge) * self.config.format.hop

    @property
    def _edge(self) -> int:
        return self.config.pad + EDGE

    def _surprise(self, wave: Tensor) -> Tensor:
        config, hop, edge, frames = self.config, self.config.format.hop, self._edge, self.plan.frames
        wave = cut_below(wave, config.cut_hz, config.format.rate) if config.cut_hz else wave
        mel = config.format(wave)[..., EDGE : EDGE + frames + 2 * config.pad]
        sound = emphasised(wave, config.gain, config.emphasis)[:, edge * hop : (edge + frames) * hop]
        samples = self.net.head.written(sound)
        said = self.net(samples, self.net.stretch(mel)).float()
        return self.net.head.surprise(said[:, :-1], samples[:, 1:]).mean()


def statistics(sounds: Sounds, format: MelFormat, cut_hz: float) -> MelFormat:
    """A format with the means and deviations of the recordings that are learnt from."""
    every = sounds.training[:: math.ceil(len(sounds.training) / HEARD)]
    count, total, squares = 0, torch.zeros(format.bands).double(), torch.zeros(format.bands).double()
    for take in every:
        wave = sounds.wave(take)[None]
        mel = format(cut_below(wave, cut_hz, format.rate) if cut_hz else wave)[0].double()
        count, total, squares = count + mel.shape[1], total + mel.sum(1), squares + mel.square().sum(1)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=1e-6).sqrt()
    return replace(format, means=tuple(mean.tolist()), deviations=tuple(deviation.tolist()))


def course(
    data: Path, folder: Path, *, start: str = "", hold_out: Sequence[str] = (), plan: Plan | None = None
) -> dict[str, Callable[[], Recipe]]:
    """The only stage; see `Wavenet.course`."""
    name = start or "mol"
    if name not in LATER and not Path(name).exists():
        raise BadCheckpoint(f"{name}: there is no such file to go on from; new nets are {', '.join(LATER)}")

    def vocode() -> Recipe:
        config, net = (LATER[name], None) if name in LATER else published.read(Path(name))
        if config.early:
            raise BadCheckpoint(f"{name}: nets of 2018 make sound here and do not learn on: begin with a new one")
        takes = prepare(scan(data), folder / "prepared").takes
        sounds = Sounds(takes, config.format.rate, root=data, hold_out=hold_out)
        if net is None:
            config = replace(config, format=statistics(sounds, config.format, config.cut_hz))
        return WaveNetRecipe(sounds, config, plan, net=net)

    return {"vocode": vocode}
