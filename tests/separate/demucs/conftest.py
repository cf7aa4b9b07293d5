"""Small nets of every version, made lively, and what the package itself makes of a mix."""

from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from demucs.apply import apply_model
from demucs.demucs import Demucs as Time
from demucs.hdemucs import HDemucs as Hybrid
from demucs.htdemucs import HTDemucs as Transformer
from torch import Tensor, nn

from mynah.core.types import Audio
from mynah.separate.demucs import Demucs, DemucsOptions
from mynah.separate.demucs.waveform import Waveform


class Bench:
    """What the tests of Demucs work with. Everything is at 8 kHz, so that seconds are cheap."""

    rate = 8000
    stems = ("drums", "bass", "other", "vocals")
    makers: ClassVar[dict[str, Any]] = {
        "waveform": Waveform,
        "time": Time,
        "hybrid": Hybrid,
        "transformer": Transformer,
    }
    small: ClassVar[dict[str, dict[str, Any]]] = {
        "waveform": {"channels": 4, "depth": 3, "segment": 1},
        "time": {"channels": 8, "depth": 2, "dconv_attn": 1, "dconv_lstm": 1, "norm_starts": 1, "segment": 1},
        "hybrid": {
            "channels": 8, "growth": 1, "nfft": 256, "depth": 4, "dconv_attn": 3, "dconv_lstm": 3, "norm_starts": 3,
            "dconv_comp": 2, "segment": 1,
        },
        "transformer": {
            "channels": 8, "depth": 2, "nfft": 512, "dconv_mode": 3, "bottom_channels": 8, "t_layers": 2, "t_heads": 2,
            "segment": Fraction(1, 2),
        },
    }  # fmt: skip

    def settings(self, kind: str) -> dict[str, Any]:
        return {"sources": list(self.stems), "samplerate": self.rate, **self.small[kind]}

    def net(self, kind: str, seed: int = 0, **settings: Any) -> Any:
        return self.lively(self.makers[kind](**{**self.settings(kind), **settings}), seed)

    @staticmethod
    def lively(net: Any, seed: int = 0) -> Any:
        """Random weights under which every branch is heard, also those that training begins with almost silent."""
        dice = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if name.endswith("scale"):
                    parameter.fill_(0.5)
                elif parameter.ndim > 1:
                    fan = parameter[0].numel()
                    parameter.copy_(torch.randn(parameter.shape, generator=dice) * (1.5 / fan**0.5))
        return net.eval()

    @staticmethod
    def halved(net: Any) -> Any:
        """What is left of a net once its weights were stored in half precision."""
        net.load_state_dict({name: value.half().float() for name, value in net.state_dict().items()})
        return net

    @staticmethod
    def packed(net: Any, path: Path, *, named: dict[str, Any] | None = None, **changes: Any) -> Path:
        """A file as the third and fourth version publish it."""
        args, settings = net._init_args_kwargs
        package = {
            "klass": type(net),
            "args": args,
            "kwargs": {**settings, **(named or {})},
            "state": {name: value.half() for name, value in net.state_dict().items()},
            "training_args": {},
        }
        torch.save({**package, **changes}, path)
        return path

    def noise(self, seconds: float, seed: int = 1) -> Tensor:
        return 0.3 * torch.randn(2, int(seconds * self.rate), generator=torch.Generator().manual_seed(seed))

    def ours(self, system: Demucs, mix: Tensor, **options: Any) -> Tensor:
        """`[stem, channel, time]`."""
        stems = system.separate(Audio(mix, self.rate), DemucsOptions.of(**options))
        return torch.stack([stems[name].samples for name in system.stems])

    @staticmethod
    def theirs(net: nn.Module, mix: Tensor, **options: Any) -> Tensor:
        """`[stem, channel, time]`, as the package's own `separate_tensor` does it."""
        mono = mix.mean(0)
        mean, deviation = mono.mean(), mono.std() + 1e-8
        told = apply_model(net, ((mix - mean) / deviation)[None], **{"shifts": 0, "overlap": 0.25, **options})[0]
        return told * deviation + mean


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()
