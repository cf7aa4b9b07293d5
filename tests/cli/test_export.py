"""`mynah export` and `mynah merge`, with a system whose models hold one number."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mynah.core import registry

Run = Callable[..., Any]


@pytest.fixture
def models(loud: str, loud_system: type[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two models of the converter that multiplies; none but it is asked."""

    class Numbers:
        @classmethod
        def layouts(cls) -> Mapping[str, str]:
            return {"safetensors": ".safetensors", "copy": ".copy"}

        @classmethod
        def owns(cls, model: Path) -> bool:
            return model.suffix == ".safetensors" and "number" in load_file(model)

        @classmethod
        def export(cls, model: Path, out: Path) -> Path:
            return Path(shutil.copy(model, out))

        @classmethod
        def merge(cls, first: Path, second: Path, out: Path, share: float) -> Path:
            save_file({"number": torch.lerp(load_file(first)["number"], load_file(second)["number"], share)}, out)
            return out

    for name in ("layouts", "owns", "export", "merge"):
        monkeypatch.setattr(loud_system, name, getattr(Numbers, name), raising=False)
    monkeypatch.setattr(registry, "names", lambda: {f"convert/{loud}": "", "convert/hum": ""})
    monkeypatch.chdir(tmp_path)
    for name, number in (("one", 1.0), ("two", 2.0)):
        save_file({"number": torch.tensor([number])}, tmp_path / f"{name}.safetensors")
    save_file({"letter": torch.zeros(1)}, tmp_path / "other.safetensors")
    return tmp_path


def test_a_model_is_exported_by_whose_it_is(run: Run, models: Path) -> None:
    done = run("export", "one.safetensors", "--to", "copy", "--json")
    assert done.code == 0, done.err
    assert Path(done.json["file"]).name == "one-copy.copy"
    assert (models / "one-copy.copy").read_bytes() == (models / "one.safetensors").read_bytes()


def test_two_models_are_merged(run: Run, models: Path) -> None:
    done = run("merge", "one.safetensors", "two.safetensors", "--share", "0.25", "--out", "mid.safetensors")
    assert (done.code, done.out) == (0, "mid.safetensors\n"), done.err
    assert load_file(models / "mid.safetensors")["number"].item() == 1.25


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("export", "one.safetensors", "--to", "mp3"), "choose among safetensors, copy"),
        (("export", "one.safetensors", "--to", "copy", "--out", "x.safetensors"), "ends in .copy"),
        (("export", "one.safetensors", "--to", "safetensors", "--out", "one.safetensors"), "the model itself"),
        (("export", "other.safetensors", "--to", "copy"), "is no model of convert/loud"),
        (("export", "nowhere.safetensors", "--to", "copy"), "no such file"),
        (("export", "one.safetensors", "--to", "copy", "--system", "hum"), "hands on no models"),
        (("merge", "one.safetensors", "other.safetensors", "--out", "x.safetensors"), "is no model of"),
        (("merge", "one.safetensors", "two.safetensors"), "--out"),
    ],
)
def test_a_mistake_is_one_line(run: Run, models: Path, wrong: tuple[str, ...], said: str) -> None:
    done = run(*wrong)
    assert (done.code, done.out) == (2, "")
    assert said in done.err and len(done.err.splitlines()) == 1
