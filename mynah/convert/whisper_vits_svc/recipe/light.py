"""The ten critics at a quarter of their width, for nets that a processor trains."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mynah.convert.whisper_vits_svc.critics import (
    PERIODS,
    RESOLUTIONS,
    Critics,
    PeriodCritic,
    ScaleCritic,
    SpectralCritic,
)

WIDEN = 4  # of the scale critic, which is 16 in the original


class LightCritics(Critics):
    """Key by key as the original's, but smaller: 1.3 M parameters instead of 23 M."""

    def __init__(self) -> None:
        super().__init__()
        self.MRD.discriminators = nn.ModuleList(SpectralCritic(*resolution, channels=8) for resolution in RESOLUTIONS)
        self.MPD.discriminators = nn.ModuleList(PeriodCritic(period, (16, 32, 64, 128, 256)) for period in PERIODS)
        self.MSD = ScaleCritic(WIDEN)


def fitting(state: Mapping[str, Tensor] | None, light: bool) -> Critics:
    """Critics of the size that a model was trained with, or where it has none, as asked for."""
    if state is not None and "MSD.convs.0.bias" in state:
        light = len(state["MSD.convs.0.bias"]) == WIDEN
    return LightCritics() if light else Critics()
