"""ContentVec: a HuBERT that was taught to leave the speaker out, fifty frames a second.

Papers: Qian et al., arXiv 2204.09224; Hsu et al., arXiv 2106.07447. Converters hear either the ninth layer through the
projection, or the last layer as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.audio.chunks import Chunks
from mynah.catalog.checkpoint import load_foreign
from mynah.catalog.download import Unreachable, from_hub, hub_files
from mynah.catalog.home import home
from mynah.core.errors import BadCheckpoint, Offline
from mynah.features.hubert import HOP, RATE, WINDOW, Hubert, from_state
from mynah.nets.streams import SONG, Pace

FIRST_LAYERS = 9  # that the projection listens to
PROJECTED, WHOLE = 256, 768  # sizes of a frame: behind the projection, and of the last layer
FILES = ("model.safetensors", "pytorch_model.bin")
DEFAULT = "lengyue233/content-vec-best"  # MIT
MOST_BYTES = 2 << 30
_LAYER = {
    "attention.out_proj": "self_attn.out_proj",
    "layer_norm": "norm1",
    "feed_forward.intermediate_dense": "linear1",
    "feed_forward.output_dense": "linear2",
    "final_layer_norm": "norm2",
}
_FRONT = {
    "feature_extractor.conv_layers.0.layer_norm.": "feature_extractor.norm0.",
    "feature_projection.layer_norm.": "feature_projection.norm.",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "positional_embedding.conv.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "positional_embedding.conv.weight_v",
    "encoder.pos_conv_embed.conv.": "positional_embedding.conv.",
    "encoder.layer_norm.": "norm.",
    "final_proj.": "proj.",
}


class Ears:
    """A HuBERT, listened to as converters do."""

    def __init__(self, net: Hubert) -> None:
        self.net = net

    def frames(self, wave: Iterable[Tensor], *, projected: bool) -> Iterator[Tensor]:
        """Content `[size, frame]` in pieces, one frame for every 20 ms that 16 kHz sound in pieces `[time]` has begun.

        Args:
            wave: Of any length; it is heard in stretches of 15 s that are faded into each other.
            projected: The ninth layer through the projection, not the last layer.
        """

        return self.listening(SONG, projected=projected).over(wave)

    def listening(self, pace: Pace, *, projected: bool, precision: torch.dtype = torch.float32) -> Chunks:
        """As `frames`, of sound still coming in, in windows as wide as `pace` says, counted in `precision`."""

        def heard(stretch: Tensor) -> Tensor:
            filled = F.pad(stretch, (0, -len(stretch) % HOP + WINDOW - HOP)).to(self.net.proj.weight.device)
            with torch.autocast(filled.device.type, precision, enabled=precision != torch.float32):
                if projected:
                    frames = self.net.proj(self.net.states(filled[None], FIRST_LAYERS))
                else:
                    frames = self.net.states(filled[None])
            return frames[0].T.float().cpu()

        return pace.heard.over(heard, RATE, each=HOP, ratio=Fraction(1, HOP))

    def size(self, *, projected: bool) -> int:
        """Of a frame."""
        return self.net.config.units if projected else self.net.config.size


def place() -> Path:
    """The folder in which ContentVec is looked for."""
    return home() / "contentvec"


def load(source: Path | str | None = None, *, device: str = "cpu") -> Ears:
    """ContentVec, or another HuBERT of that shape, in the layout of transformers.

    Args:
        source: A folder, one of its files, or `owner/name` on the hub; by default `place()`, which is filled from the
            hub if nothing is there.
        device: Where it runs.

    Raises:
        Offline: It is neither there nor on a hub that can be reached; the message says what to bring from where.
        BadCheckpoint: Damaged, hostile, or another net.
    """
    if source is None:
        path = _lying_in(place()) or _from_hub(DEFAULT, place())
    elif found := _lying_in(Path(source)):
        path = found
    elif isinstance(source, str) and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source):
        folder = place().with_name("contentvec-" + source.replace("/", "--"))
        path = _lying_in(folder) or _from_hub(source, folder)
    else:
        raise Offline(_missing(f"which is not in {source}", DEFAULT, Path(source)))
    _refuse_other_kinds(path.with_name("config.json"))
    held = load_foreign(path)
    net = from_state(remap({name: value for name, value in held.items() if isinstance(value, Tensor)}, path), str(path))
    if (net.config.units, net.config.size) != (PROJECTED, WHOLE):
        raise BadCheckpoint(f"{path}: is a HuBERT of another size than ContentVec")
    return Ears(net.to(device))


def _lying_in(place: Path) -> Path | None:
    candidates = [place] if place.is_file() else [place / name for name in FILES]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _from_hub(repository: str, folder: Path) -> Path:
    """The weights of a repository and their description, fetched once."""
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if found := _lying_in(folder):
            return found  # somebody else was quicker
        try:
            sizes = hub_files(repository)
            weights = next((name for name in FILES if name in sizes), None)
            if weights is None or sizes[weights] > MOST_BYTES:
                raise Unreachable(f"{repository} has no {FILES[1]} of a fitting size")
            # The weights come last: where they lie, all is there.
            for name in (*(["config.json"] if "config.json" in sizes else []), weights):
                from_hub(f"{repository}/{name}", folder / f".{name}.part")
                (folder / f".{name}.part").replace(folder / name)
        except Unreachable as error:
            raise Offline(_missing(f"which cannot be fetched ({error})", repository, folder)) from error
        return folder / weights


def _missing(why: str, repository: str, folder: Path) -> str:
    return (
        f"this converter hears with ContentVec, {why}: download {FILES[1]} and config.json (about 380 MB) from "
        f"https://huggingface.co/{repository} and put them into {folder}; without a network, carry them there by hand"
    )


def remap(state: Mapping[str, Tensor], where: object = "the checkpoint") -> dict[str, Tensor]:
    """From the names of transformers to those of `mynah.features.hubert`.

    A file without the projection can still be heard with by its last layer: it gets a projection of zeros.

    Raises:
        BadCheckpoint: It is not in that layout.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key.removeprefix("hubert.")
        if layer := re.fullmatch(r"(encoder\.layers\.\d+\.)(.*)\.(weight|bias)", name):
            renamed[f"{layer[1]}{_LAYER.get(layer[2], layer[2])}.{layer[3]}"] = value
            continue
        name = re.sub(r"^feature_extractor\.conv_layers\.(\d+)\.conv\.", r"feature_extractor.conv\1.", name)
        for old, new in _FRONT.items():
            if name.startswith(old):
                name = new + name.removeprefix(old)
                break
        renamed[name] = value
    try:
        for number in {found[1] for name in renamed if (found := re.match(r"encoder\.layers\.(\d+)\.", name))}:
            before = f"encoder.layers.{number}."
            for kind in ("weight", "bias"):
                parts = [renamed.pop(f"{before}attention.{part}_proj.{kind}") for part in "qkv"]
                renamed[f"{before}self_attn.in_proj_{kind}"] = torch.cat(parts)
        size = renamed["norm.weight"].shape[0]
    except (KeyError, IndexError, RuntimeError) as error:
        raise BadCheckpoint(f"{where}: holds no HuBERT in the layout of transformers") from error
    renamed.setdefault("proj.weight", torch.zeros(PROJECTED, size))
    renamed.setdefault("proj.bias", torch.zeros(len(renamed["proj.weight"])))
    # Of these two only training has a use.
    renamed.setdefault("masked_spec_embed", torch.zeros(size))
    renamed["label_embedding.weight"] = torch.zeros(1, len(renamed["proj.weight"]))
    return renamed


def _refuse_other_kinds(path: Path) -> None:
    """A HuBERT whose layers are in another order has the same names."""
    if not path.is_file():
        return
    try:
        config = json.loads(path.read_text("utf-8"))
        usual = not config.get("do_stable_layer_norm") and config.get("feat_extract_norm", "group") == "group"
    except (ValueError, AttributeError, OSError, RecursionError) as error:
        raise BadCheckpoint(f"{path}: cannot be read as a description of a HuBERT") from error
    if not usual:
        raise BadCheckpoint(f"{path}: is a HuBERT of another kind than ContentVec")
