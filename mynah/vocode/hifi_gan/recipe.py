"""How HiFi-GAN learns: recordings to mel spectrograms and back, against its critics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mynah.catalog.checkpoint import to_safetensors
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.nets.nsf import Decoder
from mynah.train.data import prepare, scan
from mynah.train.duel import Duel
from mynah.train.losses import adversarial, critic_loss, exact
from mynah.train.sounds import Sounds
from mynah.vocode.hifi_gan import published
from mynah.vocode.hifi_gan.critics import Critics, critics_of
from mynah.vocode.hifi_gan.sizes import SIZES, Config

PEAK = 0.95  # of every recording
JUDGED, JUDGED_SECONDS = 4, 4.0  # held-out recordings that are sounded whenever a checkpoint is written


@dataclass(frozen=True)
class Plan:
    """Figures of a run, by default those of the original, which went on for 2.5 million steps.

    Attributes:
        steps: Of the optimiser.
        clips: In a batch.
        segment: Samples of a clip.
        rate: Learning rate at the beginning.
        decay: What it is multiplied with whenever as many clips were drawn as there are recordings.
        weights: Of the losses, by name; without one of `feature` and `score`, critics stay out of it.
        part: New critics are narrower by so much, for nets that a processor trains.
        seed: Of all that is drawn.
    """

    steps: int = 500_000
    clips: int = 16
    segment: int = 8192
    rate: float = 2e-4
    decay: float = 0.999
    weights: dict[str, float] = field(default_factory=lambda: {"mel": 45.0, "feature": 2.0, "score": 1.0})
    part: int = 1
    seed: int = 1234


class VocodeRecipe(Duel):
    """Losses, their weights, segments and rates of the original.

    Args:
        sounds: What to learn from.
        config: Sizes.
        plan: Figures of the run.
        net: A generator of these sizes to go on from; else a new one.
        critics: To go on from, else new ones.
    """

    name = "vocode"
    plan: Plan
    net: Decoder

    def __init__(
        self,
        sounds: Sounds,
        config: Config,
        plan: Plan | None = None,
        *,
        net: Decoder | None = None,
        critics: Critics | None = None,
    ) -> None:
        self.sounds, self.config, self.plan = sounds, config, plan or Plan()
        self.steps = self.plan.steps
        # What is compared reaches further up than what the net is told.
        self.judged = replace(config.format, high_hz=None)
        with torch.random.fork_rng():
            torch.manual_seed(self.plan.seed)
            self.face(net or published.net_of(config), critics or Critics(self.plan.part))

    @property
    def epoch(self) -> float:
        return max(1.0, len(self.sounds.training) / (self.plan.clips * self.batches))

    def batch(self, step: int) -> Batch:
        dice = Generator().manual_seed(self.plan.seed * 1_000_003 + step)
        wave = self.sounds.draw(dice, self.plan.clips, self.plan.segment)
        return {"wave": wave, "number": torch.tensor([step])}

    def optimizer(self, turn: str) -> dict[str, Any]:
        return {"betas": (0.8, 0.99), "weight_decay": 0.01}

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        weights, recorded, key = self.plan.weights, batch["wave"][:, None], int(batch["number"][0])
        against = "score" in weights or "feature" in weights
        if turn == "critic":
            made = self.rendered.pop(key)
            if not against:
                return {}
            verdicts = exact(self.critics(recorded)), exact(self.critics(made))
            return {"critic": len(verdicts[0]) * critic_loss(*verdicts)}
        sound = self.net(self.config.format(batch["wave"])).float()
        self.keep(key, sound, self.batches)
        with torch.autocast(sound.device.type, enabled=False):  # nets may run in bfloat16, losses never do
            raw = {"mel": self.far(sound[:, 0], batch["wave"])}
        if against:
            # What the critics see of a recording teaches the net nothing by itself.
            with torch.no_grad():
                real = exact(self.critics(recorded))
            raw |= adversarial(exact(self.critics(sound)), real)
        return {name: weight * raw[name] for name, weight in weights.items()}

    def far(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Mean difference of log mel magnitudes up to half the rate, in nepers, of sounds `[batch, time]`."""
        return F.l1_loss(self.judged(ours), self.judged(theirs))

    @torch.no_grad()
    def measures(self) -> dict[str, float]:
        """How near held-out recordings come: minus nepers of log mel."""
        pairs = self._sounded()
        return {"likeness": -sum(self.far(made, wave).item() for wave, made in pairs) / len(pairs)}

    @torch.no_grad()
    def preview(self, batch: Batch) -> Audio:
        """Recordings, each followed by what became of it."""
        whole = torch.cat([torch.cat(pair, -1) for pair in self._sounded()], -1)
        return Audio(whole.cpu(), self.config.format.rate)

    def _sounded(self) -> list[tuple[Tensor, Tensor]]:
        format, device = self.config.format, next(self.net.parameters()).device
        most = int(JUDGED_SECONDS * format.rate) // format.hop * format.hop
        pairs = []
        for take in (self.sounds.held_out or self.sounds.training)[:JUDGED]:
            wave = self.sounds.wave(take, 0, most)
            wave = F.pad(wave, (0, max(format.n_fft, len(wave)) - len(wave)))
            wave = wave[None, : len(wave) // format.hop * format.hop].to(device)
            pairs.append((wave, self.net(format(wave))[:, 0].float()))
        return pairs

    def export(self, folder: str) -> list[str]:
        """`hifi_gan.safetensors`, which `mynah.vocode.vocoder` takes, and the critics to go on with."""
        place = Path(folder)
        whole = published.write(self.config, self.net, place / "hifi_gan.safetensors")
        critics = to_safetensors(self.critics.state_dict(), place / "hifi_gan.critics.safetensors")
        return [str(whole), str(critics)]


def course(
    data: Path, folder: Path, *, start: str = "", hold_out: Sequence[str] = (), plan: Plan | None = None
) -> dict[str, Callable[[], Recipe]]:
    """The only stage; see `HifiGan.course`."""
    names = [name.strip() for name in start.split(",")] if start else ["v1"]
    if len(names) > 2 or not all(names):
        raise BadOption(
            f"--start takes v1, v2 or v3, or a generator, or both files with a comma between, not {start!r}"
        )
    new = len(names) == 1 and names[0] in SIZES
    for name in names:
        if not new and not Path(name).exists():
            raise BadCheckpoint(f"{name}: there is no such file to go on from; new nets are {', '.join(SIZES)}")

    def vocode() -> Recipe:
        config, net = (replace(Config(), decoder=SIZES[names[0]]), None) if new else published.read(Path(names[0]))
        critics = critics_of(names[1]) if len(names) == 2 else None
        takes = prepare(scan(data), folder / "prepared").takes
        sounds = Sounds(takes, config.format.rate, peak=PEAK, root=data, hold_out=hold_out)
        return VocodeRecipe(sounds, config, plan, net=net, critics=critics)

    return {"vocode": vocode}
