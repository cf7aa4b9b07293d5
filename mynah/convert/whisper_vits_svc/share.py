"""Models handed on: without what only training needs, in our layout, the published one or ONNX, or two mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_safetensors, load_strict, to_safetensors
from mynah.convert.whisper_vits_svc import published
from mynah.convert.whisper_vits_svc.net import Singer
from mynah.core.atomic import replacing
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.nets.merging import between

PUBLISHED_SUFFIXES = (".pth", ".pt")
LAYOUTS = {"safetensors": ".safetensors", "original": ".pth", "onnx": ".onnx"}


def export(source: Path | str, out: Path | str) -> Path:
    """The singer of any model, without posterior encoder, classifier, critics and optimisers.

    Args:
        source: Pretrained, training or exported, published or ours.
        out: `.safetensors` in our layout; `.pth` or `.pt` as the original's export writes it, `{"model_g": ...}`, with
            which the original sings; `.onnx` as a graph, see `mynah.convert.whisper_vits_svc.graph`.

    Raises:
        BadCheckpoint: Not a model of this system, or one with a key missing, left over or of another shape.
        BadOption: `out` has another suffix.
        MissingExtra: A graph is asked for, and the package for it is not installed.
        NoSpace: The disk is full.
    """
    return _write(singer_in(source), out)


def merge(first: Path | str, second: Path | str, out: Path | str, share: float = 0.5) -> Path:
    """A singer between two, parameter by parameter; both have to come from the same pretrained model to be any good.

    Args:
        first: Any model.
        second: Another of the same sizes.
        out: As for `export`.
        share: Of the second: 0 is the first, 1 the second.

    Raises:
        BadCheckpoint: As for `export`, or their sizes differ.
        BadOption: A share beyond 0 and 1, or another suffix.
    """
    return _write(between(singer_in(first), singer_in(second), share, (first, second)), out)


def owns(source: Path | str) -> bool:
    """Whether a file is a model of this system."""
    try:
        published.config_of(published.read(source).net, source)
    except BadCheckpoint:
        return False
    return True


def singer_in(source: Path | str) -> dict[str, Tensor]:
    """What sings of a model, checked whole.

    Raises:
        BadCheckpoint: As for `export`.
    """
    state = published.singer_of(published.read(source).net)
    load_strict(Singer(published.config_of(state, source)), state, str(source))
    return state


def tuned(singer: Singer, path: Path | str) -> tuple[Singer, Tensor]:
    """A copy of a singer with what was learnt for one voice in its place, and the vector of that voice.

    Raises:
        BadCheckpoint: Not what tuning writes, or for a singer of other sizes.
    """
    own = load_safetensors(path)
    if "embedding" not in own:
        raise BadCheckpoint(f"{path} is not what `mynah train convert/whisper_vits_svc --voice` writes")
    vector = own.pop("embedding").float()
    copy = deepcopy(singer)
    load_strict(copy, singer.state_dict() | own, str(path))
    return copy, vector


def _write(state: Mapping[str, Tensor], out: Path | str) -> Path:
    out = Path(out)
    kept = {name: value.detach().cpu() for name, value in state.items()}
    if out.suffix == ".safetensors":
        return to_safetensors(kept, out, {"format": "mynah-1", "net": "whisper_vits_svc"})
    if out.suffix == LAYOUTS["onnx"]:
        from mynah.convert.whisper_vits_svc.graph import to_onnx

        singer = Singer(published.config_of(kept, out))
        load_strict(singer, kept, str(out))
        return to_onnx(singer, out)
    if out.suffix not in PUBLISHED_SUFFIXES:
        raise BadOption(f"{out}: a model ends in .safetensors, in .pth for the original's layout, or in .onnx")
    # Cloned, because torch saves the whole of what a tensor is a part of.
    with replacing(out) as half, half.open("wb") as file:
        torch.save({"model_g": {name: value.clone() for name, value in kept.items()}}, file)
    return out


@dataclass(frozen=True)
class Story:
    """Where a model comes from.

    Attributes:
        name: Of the model.
        licence: Of the model, an SPDX identifier or a name.
        steps: Of training.
        start: What it went on from; empty for nothing.
        singers: Minutes of singing, by name.
        hears: What it hears with, such as "the content student and the voice encoder of mynah".
        figures: Measured on held-out recordings, by name.
        remarks: Whatever else there is to say.
    """

    name: str
    licence: str
    steps: int
    singers: Mapping[str, float]
    hears: str
    start: str = ""
    figures: Mapping[str, float] | None = None
    remarks: Sequence[str] = ()


def model_card(story: Story) -> str:
    """A model card in Markdown, with the head that hubs read.

    Example:

        >>> print(model_card(Story("trio", "CC-BY-4.0", 300, {"ann": 12.0}, "its ears", figures={"score": 0.81234})))
        ---
        license: cc-by-4.0
        library_name: mynah
        tags: [audio-to-audio, singing-voice-conversion, whisper-vits-svc]
        ---
        # trio
        <BLANKLINE>
        A model of `convert/whisper_vits_svc`: any recording, sung by somebody of whom a few seconds are known.
        <BLANKLINE>
        - Trained: 300 steps from nothing, on 12.0 minutes of singing.
        - Hears with: its ears.
        - Licence: CC-BY-4.0.
        <BLANKLINE>
        | singer | minutes |
        |---|---|
        | ann | 12.0 |
        <BLANKLINE>
        | measured on held-out recordings | |
        |---|---|
        | score | 0.812 |
        <BLANKLINE>
        Sing with the voices of people who agreed to it, and say that it is a model that sings.
    """
    total = sum(story.singers.values())
    begun = f"on from {story.start}" if story.start else "from nothing"
    lines = [
        "---",
        f"license: {story.licence.lower()}",
        "library_name: mynah",
        "tags: [audio-to-audio, singing-voice-conversion, whisper-vits-svc]",
        "---",
        f"# {story.name}",
        "",
        "A model of `convert/whisper_vits_svc`: any recording, sung by somebody of whom a few seconds are known.",
        "",
        f"- Trained: {story.steps} steps {begun}, on {total:.1f} minutes of singing.",
        f"- Hears with: {story.hears}.",
        f"- Licence: {story.licence}.",
        *(f"- {remark}" for remark in story.remarks),
        "",
        "| singer | minutes |",
        "|---|---|",
        *(f"| {_cell(name)} | {minutes:.1f} |" for name, minutes in story.singers.items()),
        "",
    ]
    if story.figures:
        lines += ["| measured on held-out recordings | |", "|---|---|"]
        lines += [f"| {_cell(name)} | {figure:.3g} |" for name, figure in story.figures.items()]
        lines.append("")
    return "\n".join(
        [*lines, "Sing with the voices of people who agreed to it, and say that it is a model that sings."]
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
