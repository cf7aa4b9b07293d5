"""How RVC learns: one stage, from a published pretrained pair or from nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mynah.convert.rvc import published
from mynah.convert.rvc.recipe.critics import Critics, critics_of
from mynah.convert.rvc.recipe.plan import SEGMENTS, Plan
from mynah.convert.rvc.recipe.sing import SingRecipe
from mynah.convert.rvc.recipe.songs import Ear, Songs
from mynah.convert.rvc.refine import RefineConfig
from mynah.convert.rvc.sizes import NetConfig
from mynah.convert.rvc.sizes import published as sizes_of
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.recipe import Recipe
from mynah.features import contentvec
from mynah.train.data import prepare, scan

FROM_NOTHING = ("v2", 40_000)


def contentvec_ear(version: str) -> Ear:
    """ContentVec as a version of RVC hears it.

    Raises:
        Offline: It is not on this machine and cannot be fetched.
    """
    ears, projected = contentvec.load(), version == "v1"

    def hear(wave: Tensor) -> Tensor:
        return torch.cat(list(ears.frames([wave], projected=projected)), -1).T

    return Ear(f"contentvec-{version}", ears.size(projected=projected), hear)


def course(
    data: Path,
    folder: Path,
    *,
    ear: Callable[[str], Ear] = contentvec_ear,
    config: NetConfig | None = None,
    plan: Plan | None = None,
    start: str = "",
    hold_out: Sequence[str] = (),
    narrow: int = 1,
) -> dict[str, Callable[[], Recipe]]:
    """The only stage.

    Args:
        data: Folder of recordings, one folder for each singer; most models are of one.
        folder: Where prepared recordings are kept.
        ear: What listens, by version; called when the stage begins.
        config: Sizes where there is no `start`; by default those of version 2 at 40 kHz.
        plan: Figures of the run, by default the original's.
        start: A model to go on from, and behind a comma its critics: `f0G48k.pth,f0D48k.pth`. Without the latter they
            begin anew.
        hold_out: Patterns of recordings to measure on.
        narrow: New critics are narrower by so much, for nets that a processor trains.

    Raises:
        BadOption: More than two files to go on from.
        BadCheckpoint: One of them is missing, damaged, hostile, or of another kind.
    """
    names = [name.strip() for name in start.split(",")] if start else []
    if len(names) > 2 or not all(names):
        raise BadOption(f"--start takes a model, or a model and its critics with a comma between, not {start!r}")
    for name in names:
        if not Path(name).is_file():
            raise BadCheckpoint(f"{name}: there is no such file to go on from")
    begun = published.read(names[0]) if names else None
    if begun and not begun.complete:
        raise BadCheckpoint(
            f"{names[0]}: was exported for singing and cannot learn on: take a pretrained f0G*.pth or a G_*.pth"
        )
    sizes = begun.config if begun else config or sizes_of(*FROM_NOTHING)
    if isinstance(sizes.decoder, RefineConfig):
        raise BadCheckpoint(
            f"{start}: sounds through RefineGAN, which learns from other critics and another loss than RVC's; here it "
            "can be sung with, and not trained: take a pair with HiFi-GAN"
        )

    def sing() -> Recipe:
        usual = Plan()
        figures = plan or replace(usual, segment=SEGMENTS.get((sizes.version, sizes.decoder.rate), usual.segment))
        with torch.random.fork_rng():
            torch.manual_seed(figures.seed)
            critics = critics_of(names[1], sizes.version) if len(names) == 2 else Critics(sizes.version, narrow)
        takes = prepare(scan(data), folder / "prepared").takes
        songs = Songs(takes, ear(sizes.version), sizes.decoder.rate, root=data, hold_out=hold_out)
        return SingRecipe(songs, sizes, figures, start=begun, critics=critics)

    return {"sing": sing}
