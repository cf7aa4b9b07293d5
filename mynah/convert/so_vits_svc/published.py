"""Files of so-vits-svc: `G_*.pth`, whole or released, with `config.json` beside it; and our own safetensors.

They are told by what they hold, and read without running anything. Widths are taken from the tensors themselves, so
that a description cannot claim more memory than its file brings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from mynah.catalog.checkpoint import load_foreign, require_fit, to_safetensors
from mynah.catalog.header import read_header
from mynah.convert.so_vits_svc import sizes
from mynah.convert.so_vits_svc.net import Singer, Trainee
from mynah.convert.so_vits_svc.sizes import HEARD, NetConfig
from mynah.core.errors import BadCheckpoint
from mynah.nets.normed import old_names, split
from mynah.nets.nsf import DecoderConfig

SIGNS = ("pre.weight", "emb_uv.weight", "enc_p.f0_emb.weight", "emb_g.weight")
DESCRIPTION = "config.json"
_ONLY_TRAINING = "enc_q."
_FORMAT = "mynah convert/so_vits_svc"
_FIRST_LISTENER = "vec256l9"  # version 4.0 knew no other, and said nothing
_OTHER_NETS = {  # parts of version 4.1 that hardly anybody trains with
    "use_transformer_flow": "a flow of transformers",
    "use_depthwise_conv": "depth-wise convolutions",
    "flow_share_parameter": "a flow whose parts share their weights",
    "speaker_embedding": "vectors of a speaker encoder in place of a table",
}
_MODES = {"left": False, "nearest": False, "linear": True}  # of stretching content: whether it moves evenly


@dataclass(frozen=True)
class Published:
    """What a file and its description hold.

    Attributes:
        config: Sizes.
        state: In our names, as stored; with what only training needs, where that is there.
        speakers: Place in the table of voices, by name.
        about: The part of the description that matters here.
    """

    config: NetConfig
    state: dict[str, Tensor]
    speakers: dict[str, int]
    about: dict[str, Any]

    @property
    def singer(self) -> dict[str, Tensor]:
        """What sings: without what only training needs."""
        return {name: value for name, value in self.state.items() if not name.startswith(_ONLY_TRAINING)}


def state_in(held: Any) -> Mapping[str, Any] | None:
    """The weights of a model of this system in what a file holds; None where there is none."""
    if not isinstance(held, Mapping):
        return None
    for state in (held.get("model"), held):
        if isinstance(state, Mapping):
            names = {str(key).removeprefix("module.") for key in state}
            if all(sign in names for sign in SIGNS):
                return state
    return None


def read(path: Path | str, description: Mapping[str, Any] | None = None) -> Published:
    """A model and its description.

    Args:
        path: The model.
        description: What `config.json` says; by default it is read from beside the model.

    Raises:
        BadCheckpoint: Damaged, hostile, of another system or of a kind that is not sung with here; or its description
            is not there.
    """
    path = Path(path)
    held = load_foreign(path)
    metadata = _metadata(path)
    if metadata.get("format") == _FORMAT:
        description = _parsed(metadata.get("config", ""), path)
    if state_in(held) is None:
        _refuse(path, _what_else(held))
    given = parted(held, described(path) if description is None else description, path)
    # Whether every part is there is told before memory is spent on a net that the file may not fill.
    with torch.device("meta"):
        net = Trainee(given.config) if len(given.singer) < len(given.state) else Singer(given.config)
    require_fit(net, given.state, str(path))
    return given


def described(path: Path) -> Mapping[str, Any]:
    """The description that lies beside a model.

    Raises:
        BadCheckpoint: It is not there, or damaged.
    """
    for place in (path.with_name(DESCRIPTION), path.parent / "configs" / DESCRIPTION):
        if place.is_file():
            try:
                return _parsed(place.read_text("utf-8"), place)
            except (OSError, UnicodeDecodeError):
                _refuse(place, "cannot be read")
    _refuse(path, f"has no {DESCRIPTION} beside it, which says what it hears with: put that one into the same folder")


def parted(held: Any, description: Mapping[str, Any], where: object) -> Published:
    """What was read, told apart and checked.

    Raises:
        BadCheckpoint: Of another system, or of a kind that is not sung with here; names `where`.
    """
    found = state_in(held)
    if found is None:
        _refuse(where, _what_else(held))
    about = {part: _part(description, part, where) for part in ("model", "data", "spk")}
    state: dict[str, Tensor] = {}
    for key, value in found.items():
        if not (isinstance(value, Tensor) and value.is_floating_point() and value.isfinite().all()):
            _refuse(where, f"{str(key)[:80]} holds values that are not numbers")
        state[old_names(str(key).removeprefix("module."))] = value
    _refuse_other_nets(about["model"], where)
    config = _config(state, about, where)
    with torch.device("meta"):
        state = split(state, Trainee(config).state_dict())
    speakers = {
        name: place for name, place in about["spk"].items() if type(place) is int and 0 <= place < config.voices
    }
    if len(speakers) < len(about["spk"]):
        _refuse(where, "its table of speakers does not fit the model")
    return Published(config, state, speakers, about)


def converted(
    path: Path | str, out: Path | str, description: Mapping[str, Any] | None = None, *, training: bool = True
) -> Path:
    """Write a model as safetensors with its description; the original is left alone.

    Args:
        path: The model.
        out: Where to.
        description: As for `read`.
        training: Keep what only training needs, where it is there.

    Returns:
        `out`; the same files give the same bytes.

    Raises:
        BadCheckpoint: As `read`.
    """
    given = read(path, description)
    return written(given.state if training else given.singer, given.about, out)


def written(state: Mapping[str, Tensor], about: Mapping[str, Any], out: Path | str) -> Path:
    """Our safetensors, with the description in them."""
    return to_safetensors(state, out, {"format": _FORMAT, "config": json.dumps(about)})


def _what_else(held: Any) -> str:
    names = [str(key) for state in (held, held.get("model")) if isinstance(state, Mapping) for key in state]
    if any("denoise_fn" in name for name in names):
        return "is a diffusion model, which is not sung with here: take the file that begins with G"
    if any(name.startswith("discriminators.") for name in names):
        return "these are the critics of a training run: take the file that begins with G"
    return "holds no model of so-vits-svc"


def _refuse_other_nets(model: Mapping[str, Any], where: object) -> None:
    for name, words in _OTHER_NETS.items():
        if model.get(name):
            _refuse(where, f"is made with {words} ({name}), which is not sung with here")
    vocoder = str(model.get("vocoder_name", "nsf-hifigan"))
    if vocoder != "nsf-hifigan":
        _refuse(where, f"its decoder is of the kind {vocoder[:40]!r}; only 'nsf-hifigan' can be sung with here")
    listener = str(model.get("speech_encoder", _FIRST_LISTENER))
    if listener not in HEARD:
        _refuse(where, f"it hears with {listener[:40]!r}; only {' and '.join(HEARD)} can be sung with here")


def _config(state: Mapping[str, Tensor], about: Mapping[str, Mapping[str, Any]], where: object) -> NetConfig:
    model, data = about["model"], about["data"]
    listener = str(model.get("speech_encoder", _FIRST_LISTENER))
    mode = str(data.get("unit_interpolate_mode", "left"))
    if mode not in _MODES:
        _refuse(where, f"stretches content in a way that is not known here ({mode[:40]!r})")
    decoder = _decoder(state, model, data, where)
    try:
        hidden, words = state["pre.weight"].shape[:2]
        voices, condition = state["emb_g.weight"].shape
        config = NetConfig(
            words=words,
            even=_MODES[mode],
            loud="emb_vol.weight" in state,
            guesses="f0_decoder.proj.weight" in state,
            bins=state["enc_q.pre.weight"].shape[1] if "enc_q.pre.weight" in state else NetConfig().bins,
            latent=state["enc_p.proj.weight"].shape[0] // 2,
            hidden=hidden,
            filters=state["enc_p.enc_.ffn_layers.0.conv_1.weight"].shape[0],
            heads=hidden // state["enc_p.enc_.attn_layers.0.emb_rel_k"].shape[2],
            layers=len({name.split(".")[3] for name in state if name.startswith("enc_p.enc_.attn_layers.")}),
            voices=voices,
            condition=condition,
            decoder=decoder,
        )
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        _refuse(where, "holds no model of so-vits-svc (a part is missing, or of another shape)")
    if words != HEARD[listener]:
        _refuse(where, f"hears content of size {words}, and its description says {listener!r}: they do not go together")
    bounds = {"latent": 1024, "hidden": 1024, "filters": 4096, "heads": 64, "layers": 24, "voices": 10_000}
    wrong = [name for name, most in bounds.items() if not 1 <= getattr(config, name) <= most]
    if wrong or config.hidden % config.heads or config.latent % 2:
        _refuse(where, f"sizes out of bounds ({', '.join(wrong) or 'heads'})")
    return config


def _decoder(
    state: Mapping[str, Tensor], model: Mapping[str, Any], data: Mapping[str, Any], where: object
) -> DecoderConfig:
    usual = sizes.decoder()
    rate = data.get("sampling_rate", usual.rate)
    rows = model.get("resblock_dilation_sizes", usual.dilations)
    channels = _kernel(state, "dec.conv_pre", where).shape[0]
    rates = _numbers(model.get("upsample_rates", usual.rates), where)
    up_kernels = tuple(_kernel(state, f"dec.ups.{stage}", where).shape[2] for stage in range(len(rates)))
    kernels = _numbers(model.get("resblock_kernel_sizes", usual.kernels), where)
    if not isinstance(rows, list | tuple) or len(rows) != len(kernels) or str(model.get("resblock", "1")) != "1":
        _refuse(where, "its description does not hold together (blocks)")
    decoder = sizes.decoder(rate, channels, rates, up_kernels, kernels, tuple(_numbers(row, where) for row in rows))
    odd = any(kernel < step or (kernel - step) % 2 for kernel, step in zip(up_kernels, rates, strict=True))
    if odd or any(kernel % 2 == 0 for kernel in kernels) or not 1 <= channels <= 2048 or channels % 2 ** len(rates):
        _refuse(where, "its decoder is another one than its description says")
    if type(rate) is not int or not 8_000 <= rate <= 192_000 or data.get("hop_length", decoder.hop) != decoder.hop:
        _refuse(
            where, f"a rate of {str(rate)[:20]} Hz and a hop of {str(data.get('hop_length'))[:20]} do not go with it"
        )
    return decoder


def _kernel(state: Mapping[str, Tensor], name: str, where: object) -> Tensor:
    kernel = state.get(f"{name}.weight_v", state.get(f"{name}.weight"))
    if kernel is None or kernel.ndim != 3:
        _refuse(where, f"holds no model of so-vits-svc ({name} is missing, or of another shape)")
    return kernel


def _numbers(values: Any, where: object) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not 1 <= len(values) <= 8:
        _refuse(where, "its description does not hold together")
    if not all(type(value) is int and 1 <= value <= 64 for value in values):
        _refuse(where, "its description holds numbers that no decoder has")
    return tuple(values)


def _part(description: Any, name: str, where: object) -> Mapping[str, Any]:
    part = description.get(name) if isinstance(description, Mapping) else None
    if not isinstance(part, Mapping):
        _refuse(where, f"its description has no {name!r}: it is not the {DESCRIPTION} of so-vits-svc")
    return part


def _metadata(path: Path) -> dict[str, str]:
    try:
        return read_header(path).metadata
    except BadCheckpoint:
        return {}  # a torch file


def _parsed(text: str, where: object) -> Mapping[str, Any]:
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        _refuse(where, "is no JSON that can be read")
    if not isinstance(description, Mapping):
        _refuse(where, f"is not the {DESCRIPTION} of so-vits-svc")
    return description


def _refuse(where: object, why: str) -> NoReturn:
    raise BadCheckpoint(f"{where}: {why}")
