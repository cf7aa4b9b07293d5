"""How VoiceCraft SVC learns: one stage, all losses at once; and what it listens with where there is no Whisper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mynah.convert.whisper_vits_svc import hear, published
from mynah.convert.whisper_vits_svc.earfiles import Choice, choice_of
from mynah.convert.whisper_vits_svc.recipe.light import fitting
from mynah.convert.whisper_vits_svc.recipe.plan import Plan
from mynah.convert.whisper_vits_svc.recipe.sing import SingRecipe
from mynah.convert.whisper_vits_svc.recipe.songs import Ear, Ears, Songs
from mynah.convert.whisper_vits_svc.sizes import DecoderConfig, NetConfig
from mynah.core.errors import BadCheckpoint
from mynah.core.recipe import Recipe
from mynah.core.types import Audio, Voice
from mynah.features import content, speaker
from mynah.train.data import prepare, scan
from mynah.train.forecast import forecast
from mynah.train.report import report

SMALL = NetConfig(
    latent=96, hidden=96, condition=96, filters=256, layers=3, posterior_layers=6, flow_layers=2,
    decoder=DecoderConfig(channels=128, kernels=(3, 7), dilations=(1, 3)),
)  # fmt: skip
"""So small that a processor can train it; features are whatever the ears have."""
SMALL_PLAN = Plan(steps=20_000, clips=4, accumulate=1, rate=2e-4)


def ears_of(ears: hear.Ears, name: str) -> Ears:
    """What a system hears with, for its recipe; `name` tells the weights apart, because what was heard is kept."""

    def frames(clip: Audio) -> Tensor:
        return torch.cat(list(ears.frames([clip.samples.mean(0)])), -1).T

    def voice(clip: Audio) -> Tensor:
        return ears.vector(Voice("", (0.0, 0.0), clips=(clip,)))

    size = ears.words + ears.sounds
    return Ears(Ear(f"content-{name}", size, frames), Ear(f"voice-{name}", ears.voice, voice), ears.sounds)


def house_ears() -> Ears:
    """The content student and the voice encoder of the house, which need no download."""
    student, encoder = content.load(), speaker.load()
    return Ears(
        Ear(f"content-{content.WEIGHTS.sha256[:8]}", student.config.size, student.frames),
        Ear(f"voice-{speaker.WEIGHTS.sha256[:8]}", encoder.config.size, lambda clip: encoder.embed([clip])),
    )


def published_ears(choice: Choice) -> Ears:
    """Whisper, soft HuBERT and an encoder of speakers, all made sure of.

    Raises:
        BadOption: There is nothing at a place that was named.
        Offline: One is not here and cannot be fetched; the message says what to bring.
        BadCheckpoint: Damaged, hostile, or of another size.
    """
    ears = hear.PublishedEars(choice=choice)
    return ears_of(ears, ears.ready())


def ears_by(told: Sequence[str], start: str = "") -> Ears:
    """What is heard with, by what was asked for; where nothing was, what `start` was trained with.

    Raises:
        BadOption: Not to be understood, or there is nothing at a place.
        Offline: As for `published_ears`.
        BadCheckpoint: As for `published_ears`, or the ears are of other sizes than those of `start`.
    """
    choice = choice_of(told)
    if not start:
        return published_ears(choice) if choice else house_ears()
    net = published.config_of(published.read(start).net, start)
    if choice is None and hear.kind_of(net, start) == "published":
        choice = hear.choice_for(net)
    ears = published_ears(choice) if choice else house_ears()
    if (ears.words, ears.sounds, ears.voice.size) != (net.words, net.sounds, net.voice):
        raise BadCheckpoint(
            f"{start} hears features of {net.words} and {net.sounds} numbers and vectors of {net.voice}, and these "
            f"ears give {ears.words}, {ears.sounds} and {ears.voice.size}: choose others with --ears"
        )
    return ears


def fitted(config: NetConfig, ears: Ears) -> NetConfig:
    """The sizes for what these ears hear."""
    return replace(config, words=ears.words, sounds=ears.sounds, voice=ears.voice.size)


def heard(
    data: Path,
    folder: Path,
    ears: Ears,
    *,
    hold_out: Sequence[str] = (),
    progress: Callable[[float], None] = lambda fraction: None,
) -> Songs:
    """Recordings as the ears hear them; kept in `folder`, with `train.csv` and `valid.csv`, the slices of both kinds.

    Raises:
        BadData: Nothing can be used, or of a singer not enough, or a recording is too long.
        NoSpace: What is kept will not fit the disk.
    """
    clips = scan(data)
    forecast(clips, folder / "prepared", each=2 * 50 * ears.content.size).check()
    prepared = prepare(clips, folder / "prepared", progress=lambda fraction: progress(fraction / 2))
    report(clips, prepared).check()
    songs = Songs(
        prepared.takes, ears, root=data, hold_out=hold_out, progress=lambda fraction: progress(0.5 + fraction / 2)
    )  # fmt: skip
    songs.write_lists(folder)
    return songs


def course(
    data: Path,
    folder: Path,
    ears: Callable[[], Ears] | None = None,
    *,
    config: NetConfig | None = None,
    plan: Plan | None = None,
    start: str = "",
    hold_out: Sequence[str] = (),
) -> dict[str, Callable[[], Recipe]]:
    """The only stage.

    Args:
        data: Folder of recordings, one folder for each singer.
        folder: Where prepared recordings are kept.
        ears: Called when the stage begins; by default those of `ears_by`.
        config: Sizes, but for those of the features, which are the ears'; `start` brings its own. By default `SMALL`
            with the house's ears, and the original's with its own.
        plan: Figures of the run; by default `SMALL_PLAN` with the house's ears, and the original's with its own.
        start: A model to go on from, in any layout that was published, or exported by a run of ours.
        hold_out: Patterns of recordings to test on.
    """

    def sing() -> Recipe:
        listening = ears() if ears else ears_by((), start)
        begun = published.read(start) if start else None
        small = not listening.sounds
        sizes = published.config_of(begun.net, start) if begun else config or (SMALL if small else NetConfig())
        songs = heard(data, folder, listening, hold_out=hold_out)
        critics = fitting(begun.critics if begun else None, light=small)
        figures = plan or (SMALL_PLAN if small else Plan())
        return SingRecipe(songs, fitted(sizes, listening), figures, start=begun, critics=critics)

    return {"sing": sing}
