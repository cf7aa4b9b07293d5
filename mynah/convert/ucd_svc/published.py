"""Files: models of our own, and generators of Parallel WaveGAN to begin with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, load_safetensors, load_strict, to_safetensors
from mynah.catalog.header import read_header
from mynah.convert.ucd_svc.generator import Generator
from mynah.convert.ucd_svc.sizes import Config, GeneratorConfig
from mynah.convert.ucd_svc.table import VoiceTable
from mynah.core.errors import BadCheckpoint

FORMAT, ROW_FORMAT = "ucd_svc-1", "ucd_svc-row-1"
_OWN_LAYERS = ("upsample_net.", ".conv1x1_aux.", ".conv1x1_voice.")  # shaped by what a model is told


@dataclass(frozen=True, eq=False)
class Model:
    """What is exported.

    Attributes:
        config: Sizes and features.
        generator: The net.
        table: Of voices.
        ear: Name and version of the acoustic model that it was trained with.
        step: At which it was taken.
    """

    config: Config
    generator: Generator
    table: VoiceTable
    ear: str
    step: int = 0

    @property
    def fingerprint(self) -> str:
        """By which a row that was fitted to this model knows it again."""
        rows = self.table.rows.detach().float().cpu()
        return hashlib.sha256(rows.numpy().tobytes()).hexdigest()[:16]


def write(model: Model, path: Path, dtype: torch.dtype | None = None) -> Path:
    """One file with the net, the table, names, sizes and features; its numbers as they are, or all of one kind."""
    state = {f"generator.{name}": value for name, value in model.generator.state_dict().items()}
    state |= {f"table.{name}": value for name, value in model.table.state_dict().items()}
    about = {
        "format": FORMAT,
        "config": json.dumps(asdict(model.config), sort_keys=True),
        "voices": json.dumps(list(model.table.names), ensure_ascii=False),
        "ear": model.ear,
        "step": str(model.step),
    }
    return to_safetensors(state, path, about, dtype=dtype)


def read(path: Path) -> Model:
    """What `write` wrote; the weight norm is still there.

    Raises:
        BadCheckpoint: Damaged, or no such file.
    """
    about = read_header(path).metadata
    if about.get("format") != FORMAT:
        raise BadCheckpoint(f"{path} is no model of convert/ucd_svc: `mynah train convert/ucd_svc` writes one")
    try:
        config = TypeAdapter(Config).validate_json(about["config"])
        names = TypeAdapter(list[str]).validate_json(about["voices"])
        step = int(about["step"])
    except (KeyError, ValidationError, ValueError) as error:
        raise BadCheckpoint(f"{path} does not say what it holds, or says it wrongly: {_line(error)}") from error
    generator, table = Generator(config.generator), VoiceTable(names, config.generator.voice)
    state = load_safetensors(path)
    load_strict(generator, _part(state, "generator."), str(path))
    load_strict(table, _part(state, "table."), str(path))
    return Model(config, generator, table, about.get("ear", ""), step)


def write_row(row: Tensor, model: Model, path: Path, *, net: Generator | None = None) -> Path:
    """A voice of its own: its row, and the net where that was tuned, too."""
    state = {"row": row.detach()}
    if net is not None:
        state |= {f"generator.{name}": value for name, value in net.state_dict().items()}
    return to_safetensors(state, path, {"format": ROW_FORMAT, "model": model.fingerprint})


def read_row(path: Path, model: Model) -> tuple[Tensor, dict[str, Tensor]]:
    """The row, and parameters of the net or nothing.

    Raises:
        BadCheckpoint: No such file, or fitted to another model.
    """
    about = read_header(path).metadata
    if about.get("format") != ROW_FORMAT:
        raise BadCheckpoint(f"{path} is not what `mynah train convert/ucd_svc --voice` writes")
    if about.get("model") != model.fingerprint:
        raise BadCheckpoint(f"{path} was fitted to another model of convert/ucd_svc: train the voice again")
    state = load_safetensors(path)
    row = state.get("row")
    if row is None or row.shape != (model.config.generator.voice,) or not row.isfinite().all():
        raise BadCheckpoint(f"{path} holds no row of {model.config.generator.voice} numbers")
    return row.float(), _part(state, "generator.")


def vocoder(path: Path | str) -> Generator:
    """A published generator of Parallel WaveGAN, strictly: all of its parameters and nothing else.

    Args:
        path: A checkpoint of its trainer, or a generator's state alone.

    Raises:
        BadCheckpoint: Something else, or of a kind that has other layers.
    """
    tree: Any = load_foreign(path)
    tree = tree.get("model", tree)
    tree = tree.get("generator", tree) if isinstance(tree, Mapping) else {}
    state = {name: value for name, value in tree.items() if isinstance(value, Tensor)}
    generator = Generator(sizes_of(state, path))
    load_strict(generator, state, str(path))
    return generator


def sizes_of(state: Mapping[str, Tensor], path: Path | str) -> GeneratorConfig:
    """Sizes of a published generator, told by shapes; of the dilations it tells nothing, and three stacks are usual.

    Raises:
        BadCheckpoint: It is none.
    """
    try:
        conv, aux = state["conv_layers.0.conv.weight_v"], state["conv_layers.0.conv1x1_aux.weight_v"]
        smooth = sorted(
            (int(name.split(".")[3]), value.shape[-1])
            for name, value in state.items()
            if name.startswith("upsample_net.upsample.up_layers.") and name.endswith("weight_v")
        )
        layers = len({name.split(".")[1] for name in state if name.startswith("conv_layers.")})
        return GeneratorConfig(
            condition=aux.shape[1],
            voice=0,
            layers=layers,
            stacks=3 if layers % 3 == 0 else 1,
            kernel=conv.shape[2],
            residual=conv.shape[1],
            gates=conv.shape[0],
            skip=state["conv_layers.0.conv1x1_skip.weight_v"].shape[0],
            scales=tuple((size - 1) // 2 for _, size in smooth),
            context=(state["upsample_net.conv_in.weight_v"].shape[-1] - 1) // 2,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise BadCheckpoint(
            f"{path} holds no generator of Parallel WaveGAN with weight norm ({_line(error)})"
        ) from error


def begun_with(generator: Generator, start: Generator) -> None:
    """Take over whatever of a vocoder does not depend on what a net is told.

    Raises:
        BadCheckpoint: Its layers are of other sizes.
    """
    state = start.state_dict()
    kept = {name: value for name, value in generator.state_dict().items() if any(part in name for part in _OWN_LAYERS)}
    taken = {name: value for name, value in state.items() if not any(part in name for part in _OWN_LAYERS)}
    load_strict(generator, kept | taken, "the vocoder to start from")


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
