"""Convolutions with weight norm, in the names that published voice models keep theirs under, and how to fold them.

A weight is a length `weight_g` times the direction of `weight_v` (Salimans and Kingma, arXiv 1602.07868). It helps
training; whoever only listens folds it, because the product is the same every time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)


class _Normed(nn.Module):
    """What the layers below have in common: the two parameters, and the weight that they stand for."""

    weight_g: nn.Parameter
    weight_v: nn.Parameter

    def _split(self, dim: int) -> None:
        weight = self._parameters.pop("weight")
        assert weight is not None
        self.dim = dim
        self.weight_g = nn.Parameter(torch.norm_except_dim(weight.detach(), 2, dim))
        self.weight_v = nn.Parameter(weight.detach())

    def kernel(self) -> Tensor:
        """The weight as a plain layer would have it."""
        return torch._weight_norm(self.weight_v, self.weight_g, self.dim)

    def plain(self) -> nn.Module:
        """A layer without weight norm that does the same."""
        kinds = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
        [kind] = [base for base in type(self).__mro__ if base in kinds]
        settings: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        }
        layer = kind(**settings, bias=False, device="meta")
        layer.weight = nn.Parameter(self.kernel().detach().clone(), requires_grad=self.weight_v.requires_grad)
        layer.bias = self._parameters["bias"]
        return layer.train(self.training)


class Conv1d(_Normed, nn.Conv1d):
    """`torch.nn.Conv1d` with weight norm; `dim` is the dimension that has a length of its own at every place."""

    def __init__(self, *arguments: Any, dim: int = 0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._split(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.kernel(), self.bias)


class Conv2d(_Normed, nn.Conv2d):
    """`torch.nn.Conv2d` with weight norm."""

    def __init__(self, *arguments: Any, dim: int = 0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._split(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.kernel(), self.bias)


class ConvTranspose1d(_Normed, nn.ConvTranspose1d):
    """`torch.nn.ConvTranspose1d` with weight norm, whose lengths go by channels that come in."""

    def __init__(self, *arguments: Any, dim: int = 0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._split(dim)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        padding = self.padding
        assert not isinstance(padding, str)
        return F.conv_transpose1d(
            x, self.kernel(), self.bias, self.stride, padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose2d(_Normed, nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` with weight norm, whose lengths go by channels that come in."""

    def __init__(self, *arguments: Any, dim: int = 0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._split(dim)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        padding = self.padding
        assert not isinstance(padding, str)
        return F.conv_transpose2d(
            x, self.kernel(), self.bias, self.stride, padding, self.output_padding, self.groups, self.dilation
        )


def folded(net: N) -> N:
    """The same net, changed in place: every weight norm in it has become a plain weight under the name `weight`.

    Example:

        >>> net = nn.Sequential(Conv1d(1, 1, 3))
        >>> sorted(net.state_dict()), sorted(folded(net).state_dict())
        (['0.bias', '0.weight_g', '0.weight_v'], ['0.bias', '0.weight'])
    """
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _Normed):
                setattr(parent, name, child.plain())
    return net


def old_names(name: str) -> str:
    """Weight norm as newer versions of torch call it, in the names that published models have.

    Example:

        >>> old_names("ups.0.parametrizations.weight.original0"), old_names("ups.0.bias")
        ('ups.0.weight_g', 'ups.0.bias')
    """
    return name.replace(".parametrizations.weight.original0", ".weight_g").replace(
        ".parametrizations.weight.original1", ".weight_v"
    )


def split(state: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """A state in which weights that somebody folded are lengths and directions again, where a net wants them so.

    Example:

        >>> parts = split({"0.weight": torch.tensor([[[3.0, 4.0]]])}, ("0.weight_g", "0.weight_v"))
        >>> parts["0.weight_g"].item(), parts["0.weight_v"].tolist()
        (5.0, [[[3.0, 4.0]]])
    """
    parted: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(".weight") and name not in wanted and f"{name}_g" in wanted and value.ndim > 1:
            parted[f"{name}_g"], parted[f"{name}_v"] = torch.norm_except_dim(value.float(), 2, 0), value
        else:
            parted[name] = value
    return parted
