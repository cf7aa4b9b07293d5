"""ContentVec from a hub that is none: small random weights in the published layout, and what is said without any."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save

from mynah.core.errors import BadCheckpoint, Offline
from mynah.features import contentvec

KERNELS = (10, 3, 3, 3, 3, 2, 2)


def weights(size: int = 768) -> bytes:
    """One layer, narrow but for what converters rely on."""
    shapes: dict[str, tuple[int, ...]] = {
        "masked_spec_embed": (size,),
        "feature_extractor.conv_layers.0.layer_norm.weight": (8,),
        "feature_projection.layer_norm.weight": (8,),
        "feature_projection.projection.weight": (size, 8),
        "encoder.pos_conv_embed.conv.weight_g": (1, 1, 16),
        "encoder.pos_conv_embed.conv.weight_v": (size, 48, 16),
        "encoder.layer_norm.weight": (size,),
        "final_proj.weight": (256, size),
        **{f"encoder.layers.0.attention.{part}_proj.weight": (size, size) for part in ("k", "v", "q", "out")},
        "encoder.layers.0.layer_norm.weight": (size,),
        "encoder.layers.0.feed_forward.intermediate_dense.weight": (8, size),
        "encoder.layers.0.feed_forward.output_dense.weight": (size, 8),
        "encoder.layers.0.final_layer_norm.weight": (size,),
    }
    shapes |= {f"{name.removesuffix('.weight')}.bias": shape[:1] for name, shape in shapes.items() if ".weight" in name}
    shapes["encoder.pos_conv_embed.conv.bias"] = (size,)
    for odd in ("encoder.pos_conv_embed.conv.weight_g.bias", "encoder.pos_conv_embed.conv.weight_v.bias"):
        shapes.pop(odd, None)
    for number, kernel in enumerate(KERNELS):
        shapes[f"feature_extractor.conv_layers.{number}.conv.weight"] = (8, 8 if number else 1, kernel)
    dice = torch.Generator().manual_seed(0)
    return save({name: torch.randn(shape, generator=dice) / shape[-1] ** 0.5 for name, shape in shapes.items()})


Stocked = Callable[[dict[str, bytes]], list[str]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Stocked:
    def stocked(held: dict[str, bytes]) -> list[str]:
        asked: list[str] = []

        def info(self: Any, repository: str, **_: Any) -> Any:
            files = [SimpleNamespace(rfilename=name, size=len(content)) for name, content in held.items()]
            return SimpleNamespace(siblings=files)

        def give(repository: str, file: str, *, local_dir: Path, **_: Any) -> str:
            asked.append(f"{repository}/{file}")
            Path(local_dir).mkdir(parents=True, exist_ok=True)
            (Path(local_dir) / file).write_bytes(held[file])
            return str(Path(local_dir) / file)

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", info)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", give)
        return asked

    return stocked


def test_it_is_fetched_once_and_heard_with(hub: Stocked) -> None:
    asked = hub({"config.json": b"{}", "model.safetensors": weights(), "README.md": b""})
    wave = torch.randn(3200, generator=torch.Generator().manual_seed(0))
    first = torch.cat(list(contentvec.load().frames([wave], projected=True)), -1)
    assert first.shape == (256, 10)
    assert first.isfinite().all()
    assert asked == ["lengyue233/content-vec-best/config.json", "lengyue233/content-vec-best/model.safetensors"]
    again = torch.cat(list(contentvec.load().frames([wave], projected=True)), -1)
    assert again.equal(first)
    assert len(asked) == 2


def test_another_one_can_be_named(hub: Stocked) -> None:
    asked = hub({"model.safetensors": weights()})
    assert contentvec.load("owner/name").size(projected=False) == 768
    assert asked == ["owner/name/model.safetensors"]
    assert not (contentvec.place() / "model.safetensors").exists()


def test_a_repository_of_something_else_is_refused(hub: Stocked) -> None:
    hub({"readme.md": b"hello"})
    with pytest.raises(Offline, match=r"has no pytorch_model\.bin"):
        contentvec.load()
    hub({"model.safetensors": b"hello, I am a net"})
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors"):
        contentvec.load("owner/name")


def test_without_a_network_it_is_said_what_to_carry_where() -> None:
    with pytest.raises(Offline) as caught:
        contentvec.load()
    said = str(caught.value)
    for part in ("pytorch_model.bin and config.json", "380 MB", "lengyue233/content-vec-best", "by hand"):
        assert part in said
    assert str(contentvec.place()) in said
    assert "\n" not in said
