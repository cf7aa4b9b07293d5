"""Files of Wave-U-Nets: TensorFlow's bundles of 2018, the later PyTorch checkpoints, and what our training writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign
from mynah.catalog.header import read_header
from mynah.catalog.tensorflow import index_of, load_bundle
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.nets.wave_u_net import Shape, UNet
from mynah.separate.wave_u_net.later import LaterNet, LaterShape, lowpass
from mynah.separate.wave_u_net.presets import PRESETS, PUBLISHED, Config

State = dict[str, Tensor]
WHERE = (
    "separate/wave_u_net comes without weights: bring a file and say --weights FILE. M4, M6 and M5-HighSR are in "
    "models.zip at https://www.dropbox.com/s/oq0woy3cmf5s8y7/models.zip?dl=1 (name an .index file of it), the later "
    "net is in models.7z at https://www.dropbox.com/s/r374hce896g4xlj/models.7z?dl=1, and `mynah train` makes others"
)
_CONV = re.compile(r"separator/conv1d(?:_([1-9]\d{0,3}))?/(kernel|bias)")
_BETWEEN = re.compile(r"separator/interp_(\d{1,4})")
_ADAPTER = TypeAdapter(Config)


def read(weights: str) -> tuple[Config, State]:
    """What a person's choice of weights holds, in our names, and the configuration that it is for.

    Args:
        weights: A file: of a TensorFlow bundle (or its folder, or what its files have in common), of PyTorch, or
            exported by our training. Where it fits several configurations, `NAME=FILE`, such as `M3=model.index`.

    Raises:
        BadOption: No such file.
        BadCheckpoint: It cannot be read, or fits no configuration, or several.
    """
    name, _, place = weights.partition("=")
    asked = name if place and name in PRESETS else ""
    path = Path(place if asked else weights).expanduser()
    if weights != "default" and is_bundle(path):
        state = remap(load_bundle(path, wanted=lambda variable: not is_solver(variable)))
        return _of_2018(state, index_of(path), asked), state
    if not path.is_file():
        raise BadOption(f"no weights {weights!r}: {WHERE}")
    loaded = load_foreign(path)
    if own := _own(path):
        return own, loaded
    state = remap(_tensors(loaded.get("model_state_dict", loaded), path))
    if asked:
        return PRESETS[asked], state
    return (_later(state, path) if any("waveunets." in key for key in state) else _of_2018(state, path, "")), state


def metadata(config: Config) -> dict[str, str]:
    """What an exported file says about itself, so that `read` knows what it is."""
    return {"wave_u_net": _ADAPTER.dump_json(config).decode()}


def is_bundle(path: Path) -> bool:
    """Whether a path means a checkpoint of TensorFlow."""
    bundled = path.suffix in (".index", ".meta") or ".data-" in path.name
    return path.is_dir() or bundled or path.with_name(f"{path.name}.index").is_file()


def is_solver(variable: str) -> bool:
    """Whether a variable belongs to the training of 2018 and not to its net: Adam's slots and powers, the step."""
    return variable.startswith("separator_solver/") or variable == "global_step"


def remap(state: State) -> State:
    """From either published layout to ours; what is neither stays as it is, for strict loading to refuse.

    TensorFlow numbers layers as they were made: down, bottom, up, out. Its kernels are `[time, in, out]`.
    """
    layers = {int(found[1] or 0) for name in state if (found := _CONV.fullmatch(name))}
    levels = _levels(state, len(layers))
    renamed = {}
    for name, tensor in state.items():
        if found := _CONV.fullmatch(name):
            place = int(found[1] or 0)
            part, number = ("down", place)
            if place > 2 * levels:
                part, number = "out", place - 2 * levels - 1
            elif place > levels:
                part, number = "up", place - levels - 1
            kernel = found[2] == "kernel" and tensor.ndim == 3
            name = f"{part}.{number}.{'weight' if kernel else found[2]}"
            tensor = tensor.permute(2, 1, 0).contiguous() if kernel else tensor
        elif found := _BETWEEN.fullmatch(name):
            name = f"between.{found[1]}"
        else:
            name = name.removeprefix("module.")  # of DataParallel
        renamed[name] = tensor
    return renamed


def _levels(state: State, layers: int) -> int:
    """Down, bottom and up are one more than twice the levels; the widest layer, of most filters, is the bottom."""
    widths = {}
    for place in range(layers):
        kernel = state.get(f"separator/conv1d{f'_{place}' if place else ''}/kernel")
        widths[place] = kernel.shape[-1] if isinstance(kernel, Tensor) and kernel.ndim else 0
    return max(widths, key=lambda place: widths[place], default=0)


def _of_2018(state: State, path: Path, asked: str) -> Config:
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    fitting = [name for name, config in PRESETS.items() if shapes == _shapes(config)]
    if asked:
        # Whatever does not fit is named by the strict loading that follows.
        return PRESETS[asked]
    if len(fitting) > 1:
        named = [PUBLISHED.get(part) for part in _words(path)]
        fitting = [name for name in fitting if name in named] or fitting
    if not fitting:
        raise BadCheckpoint(f"{path}: fits none of {', '.join(PRESETS)}: it is of another net, or incomplete")
    if len(fitting) > 1:
        raise BadCheckpoint(
            f"{path}: fits {' and '.join(fitting)}, which no file tells apart: say which, as in {fitting[0]}={path}"
        )
    return PRESETS[fitting[0]]


def _words(path: Path) -> Iterator[str]:
    """What the file and its folder are called, without the step (`full_44KHz-236118`)."""
    yield re.sub(r"-\d+$", "", path.name.removesuffix(".index"))
    yield path.parent.name


def misfits(config: Config, state: State) -> bool:
    """Whether parameters are not those of a configuration, by their names and shapes."""
    return _shapes(config) != {name: tuple(tensor.shape) for name, tensor in state.items()}


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Of every parameter; no memory is spent on them."""
    with torch.device("meta"):
        net = UNet(config.net) if isinstance(config.net, Shape) else LaterNet(config.net)
    return {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}


def _later(state: State, path: Path) -> Config:
    """Read off the parameters; the rate, and the stems of a net that gives all, are the published ones."""
    stems = tuple(dict.fromkeys(name.split(".")[1] for name in state if name.count(".") > 1))
    root = f"waveunets.{stems[0] if stems else ''}"
    try:
        blocks = len({name.split(".")[3] for name in state if name.startswith(f"{root}.downsampling_blocks.")})
        first = [state[f"{root}.downsampling_blocks.{i}.pre_shortcut_convs.0.filter.weight"] for i in range(blocks)]
        bottom = state[f"{root}.bottlenecks.0.filter.weight"]
        features = (*(kernel.shape[0] for kernel in first), bottom.shape[0])
        filtered = f"{root}.downsampling_blocks.0.downconv.filter" in state
        stride = _stride(state[f"{root}.downsampling_blocks.0.downconv.filter"]) if filtered else LaterShape.stride
        norm: Literal["group", "batch", "none"] = "none"
        if f"{root}.bottlenecks.0.norm.weight" in state:
            norm = "batch" if f"{root}.bottlenecks.0.norm.running_mean" in state else "group"
        alone = stems != ("ALL",)
        published = PRESETS["later-one"]
        named = stems if alone else published.stems
        net = LaterShape(features, first[0].shape[1], named, bottom.shape[2], stride, norm, filtered, alone)
        return Config(net, named, published.rate)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise BadCheckpoint(f"{path}: is no Wave-U-Net that this reader knows: {_shortly(error)}") from error


def _stride(taps: Tensor) -> int:
    """The fixed filter tells what it resamples by."""
    for stride in range(2, 17):
        if taps.ndim == 3 and taps.shape[1:] == (1, 15) and (taps[0, 0].float() - lowpass(stride)).abs().max() < 1e-4:
            return stride
    raise ValueError("its filters resample by no known stride")


def _own(path: Path) -> Config | None:
    if path.suffix != ".safetensors":
        return None
    described = read_header(path).metadata.get("wave_u_net")
    if described is None:
        return None
    try:
        return _ADAPTER.validate_json(described)
    except ValidationError as error:
        raise BadCheckpoint(f"{path}: describes a net that cannot be: {_shortly(error)}") from error


def _tensors(state: object, path: Path) -> State:
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BadCheckpoint(f"{path}: holds something that is no parameter of a net")
    return state


def _shortly(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
