"""Nets made from descriptions: the first two versions are ours, the later ones are the maintained package's own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from mynah.catalog.checkpoint import load_strict
from mynah.core.errors import BadCheckpoint, BadOption, MissingExtra
from mynah.separate.demucs.package import Package, checked, stems_of
from mynah.separate.demucs.quantised import restored
from mynah.separate.demucs.waveform import Waveform, centred

_WEIGHTS = 4_000_000_000  # no published net has a fourth of that


class Engine(nn.Module):
    """One net and what has to be known to feed it.

    Args:
        kind: `"waveform"` (first and second version), `"time"`, `"hybrid"` (third) or `"transformer"` (fourth).
        settings: Of that net, by the names that its class gives them.

    Attributes:
        stems: What it tells apart, in order.
        rate: In Hz.
        channels: Of what it hears and of each stem.
        seconds: How much it is best given at once.

    Raises:
        MissingExtra: The package that the later versions come from is not installed.
        BadCheckpoint: Nothing can be built from these settings.
    """

    def __init__(self, kind: str, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.kind, self.settings = kind, dict(settings)
        maker = _class_of(kind)
        # Files of earlier releases carry settings that the package has since given up, and loads without.
        known = inspect.signature(maker).parameters
        chosen = {name: value for name, value in self.settings.items() if name in known}
        if any(chosen.get(name) for name in ("t_sparse_self_attn", "t_sparse_cross_attn")):
            raise BadCheckpoint("its net has sparse attention, whose code was never published")
        try:
            net: Any = maker(**chosen)
        except (TypeError, ValueError, AssertionError, RuntimeError, ArithmeticError, LookupError) as error:
            raise BadCheckpoint(f"no net can be built from its settings ({_line(error)})") from error
        self.net: nn.Module = net
        self.stems: tuple[str, ...] = tuple(stems_of(net.sources))
        self.rate, self.channels = int(net.samplerate), int(net.audio_channels)
        self.seconds: float | Fraction = net.segment
        transformer: Any = getattr(net, "crosstransformer", None)
        if transformer is not None:
            transformer.sin_random_shift = 0  # else every pass would give something else

    def segment(self, seconds: float | None = None) -> int:
        """Samples to give it at once, if `seconds` are asked for.

        Raises:
            BadOption: More than the net can hear.
        """
        longest = self.seconds if getattr(self.net, "use_train_segment", False) else math.inf
        if seconds is not None and seconds > longest:
            raise BadOption(f"segment: these weights hear at most {float(longest):.4g} s at once, not {seconds:g}")
        return int((self.seconds if seconds is None else seconds) * self.rate)

    def accustom(self, seconds: float) -> None:
        """Give it so much at once from now on, as its bag asks; a transformer never more than it was trained on."""
        if self.kind != "transformer" or seconds <= self.seconds:
            net: Any = self.net
            net.segment = self.seconds = seconds

    def heard(self, samples: int, segment: int) -> int:
        """How many samples have to be heard for an answer of `samples`, when `segment` is what it is given at once."""
        if self.kind == "transformer":
            return segment if getattr(self.net, "use_train_segment", False) or segment != self.segment() else samples
        net: Any = self.net
        return int(net.valid_length(samples)) if hasattr(net, "valid_length") else samples

    def forward(self, mix: Tensor) -> Tensor:
        """From `[batch, channel, time]` to `[batch, stem, channel, time]`, which may be shorter: see `answer`."""
        return self.net(mix)

    @torch.inference_mode()
    def answer(self, heard: Tensor, samples: int) -> Tensor:
        """The stems `[stem, channel, samples]` in the middle of what is heard, `[channel, time]`."""
        with _frugal_attention():
            return centred(self.net(heard[None])[0], samples)


@contextmanager
def _frugal_attention() -> Iterator[None]:
    """Without torch's short cut, which writes out every weight of self-attention: on a CPU that is the longer way."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def engine_of(package: Package, what: str) -> Engine:
    """The net that a file describes, with its weights.

    Raises:
        MissingExtra: The package that the later versions come from is not installed.
        BadCheckpoint: Nothing can be built from the description, or the weights do not fit it.
    """
    try:
        return _filled(package, what)
    except BadCheckpoint as error:
        if str(error).startswith(what):
            raise
        raise BadCheckpoint(f"{what}: {error}") from error


def _filled(package: Package, what: str) -> Engine:
    settings = package.settings
    if package.arguments:
        names = inspect.signature(_class_of(package.kind)).parameters
        settings = checked(dict(zip(names, package.arguments, strict=False)) | settings)
    if "sources" not in settings:
        raise BadCheckpoint("it does not name its stems")
    # Built without memory first: what a file claims is compared with what it holds before anything is made room for.
    with torch.device("meta"):
        engine = Engine(package.kind, settings)
    parameters = [(name, parameter.shape) for name, parameter in engine.net.named_parameters()]
    if sum(shape.numel() for _, shape in parameters) > _WEIGHTS:
        raise BadCheckpoint("it describes a net larger than any published one")
    state = restored(package.state, parameters) if "quantized" in package.state else dict(package.state)
    if package.kind == "time":
        state = renamed(state)
    if {name: value.shape for name, value in state.items()} == dict(parameters):
        engine.to_empty(device="cpu")
    load_strict(engine.net, state, what)
    return engine.eval().requires_grad_(False)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the second version under the names that the third one's class has for them.

    Example:

        >>> list(renamed({"encoder.0.0.weight": torch.ones(1), "encoder.0.2.weight": torch.ones(1)}))
        ['encoder.0.0.weight', 'encoder.0.3.weight']
    """
    named = {}
    for name, value in state.items():
        part, _, rest = name.partition(".")
        level, _, inner = rest.partition(".")
        moved = f"{part}.{level}.3.{inner[2:]}"
        old = part in ("encoder", "decoder") and inner in ("2.weight", "2.bias") and moved not in state
        named[moved if old else name] = value
    return named


def _class_of(kind: str) -> Any:
    if kind == "waveform":
        return Waveform
    try:
        if kind == "time":
            from demucs.demucs import Demucs

            return Demucs
        if kind == "hybrid":
            from demucs.hdemucs import HDemucs

            return HDemucs
        from demucs.htdemucs import HTDemucs
    except ImportError as error:
        raise MissingExtra("the package demucs", "demucs") from error
    return HTDemucs


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
