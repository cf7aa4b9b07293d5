"""Files of every published version, and what is built from them."""

import gzip
import hashlib
import importlib.resources
import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from demucs.apply import BagOfModels
from demucs.hf import load_safetensors_model
from safetensors.torch import save_file
from torch import Tensor, nn

from mynah.catalog import download
from mynah.core.errors import BadCheckpoint, BadOption, MissingExtra, MynahError, Offline
from mynah.separate.demucs import Config, Demucs, Net
from mynah.separate.demucs.engine import Engine
from mynah.separate.demucs.published import BAGS, OLDER, WEIGHTS
from mynah.separate.demucs.waveform import Waveform

STEMS = ["drums", "bass", "other", "vocals"]


# The nets


@pytest.mark.parametrize(
    ("kind", "settings", "count"),
    [
        ("waveform", {}, 265_679_496),
        ("waveform", {"channels": 100}, 648_548_208),
        ("time", {}, 133_753_064),
        ("hybrid", {}, 83_637_832),
        ("transformer", Net().settings, 41_984_456),
        ("transformer", {"sources": [*STEMS, "guitar", "piano"], "dconv_mode": 3}, 27_414_996),
    ],
)
def test_nets_are_as_large_as_the_published_ones(kind: str, settings: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        engine = Engine(kind, {"sources": STEMS, **settings})
    assert sum(parameter.numel() for parameter in engine.parameters()) == count


@pytest.mark.parametrize(
    ("settings", "length", "shape", "wanted"),
    [
        ({}, 3220, 3052, (-0.166987, -0.160463, 0.06341, 0.225648, -0.006953, 0.225011)),
        ({"upsample": True}, 3923, 3503, (-0.472209, 0.000189, 0.308879, 0.351809, 0.037903, 0.321895)),
        ({"resample": True}, 3114, 3030, (-0.148391, -0.151412, 0.053451, 0.230243, -0.006952, 0.224595)),
    ],
)
def test_the_first_two_versions_say_what_the_originals_said(
    settings: dict[str, Any], length: int, shape: int, wanted: tuple[float, ...]
) -> None:
    """Figures of the branches v1 and v2 of facebookresearch/demucs, with weights and a mix made of sines."""
    net = Waveform(STEMS, channels=4, depth=3, **settings)
    with torch.no_grad():
        for number, (_, parameter) in enumerate(sorted(net.named_parameters())):
            wave = 0.3 * torch.sin(0.7 * torch.arange(parameter.numel(), dtype=torch.float64) + number)
            parameter.copy_(wave.float().view_as(parameter))
    assert net.valid_length(3000) == length
    at = torch.arange(length, dtype=torch.float64)
    with torch.no_grad():
        told = net(torch.stack([torch.sin(0.05 * at), torch.cos(0.021 * at)]).float()[None])
    assert told.shape == (1, 4, 2, shape)
    places = told[0, 0, 0, 100], told[0, 1, 1, 777], told[0, 2, 0, 1500], told[0, 3, 1, 2222], told.mean(), told.std()
    torch.testing.assert_close(torch.stack(places), torch.tensor(wanted), atol=2e-6, rtol=0)


# Files


@pytest.fixture
def old_class(monkeypatch: pytest.MonkeyPatch) -> type:
    """What the first two versions pickled, under its old name."""
    module = types.ModuleType("demucs.model")
    old = type("Demucs", (), {"__module__": "demucs.model"})
    module.Demucs = old  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "demucs.model", module)
    return old


def test_the_first_version_as_published(bench: Any, tmp_path: Path, old_class: type) -> None:
    net, path = bench.net("waveform"), tmp_path / "demucs.th.gz"
    named = {"audio_channels": 2, "channels": 4, "depth": 3, "samplerate": bench.rate, "upsample": False}
    with gzip.open(path, "wb") as file:
        torch.save((old_class, (4,), named, net.state_dict()), file, _use_new_zipfile_serialization=False)
    system = Demucs.load(str(path))
    assert (system.stems, system.rate, system.channels) == (tuple(STEMS), bench.rate, 2)
    assert system.nets[0].segment() == 10 * bench.rate
    mix = bench.noise(0.4)
    torch.testing.assert_close(bench.ours(system, mix), alone(net, mix), atol=1e-5, rtol=0)


def alone(net: Any, mix: Tensor) -> Tensor:
    """A mix shorter than a segment, through the net by hand."""
    mono = mix.mean(0)
    heard = (mix - mono.mean()) / (mono.std() + 1e-8)
    missing = net.valid_length(mix.shape[-1]) - mix.shape[-1]
    heard = torch.nn.functional.pad(heard, (missing // 2, missing - missing // 2))
    with torch.no_grad():
        told = net(heard[None])[0]
    begin = (told.shape[-1] - mix.shape[-1]) // 2
    return told[..., begin : begin + mix.shape[-1]] * (mono.std() + 1e-8) + mono.mean()


def test_the_second_version_as_published_and_as_trained(bench: Any, tmp_path: Path, old_class: type) -> None:
    net = bench.net("waveform", resample=True)
    torch.save(dict(net.state_dict()), tmp_path / "demucs-bare.th")
    bare = Demucs.load(str(tmp_path / "demucs-bare.th"))
    assert (bare.rate, bare.nets[0].segment()) == (44_100, 40 * 44_100)
    named = {"sources": STEMS, "channels": 4, "depth": 3, "samplerate": bench.rate, "segment_length": 2 * bench.rate}
    torch.save(
        {"klass": old_class, "args": (), "kwargs": named, "state": net.state_dict(), "training_args": None},
        tmp_path / "own.th",
    )
    own = Demucs.load(str(tmp_path / "own.th"))
    assert (own.rate, own.nets[0].segment()) == (bench.rate, 2 * bench.rate)
    mix = bench.noise(0.4)
    torch.testing.assert_close(bench.ours(own, mix), alone(net, mix), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["time", "hybrid", "transformer"])
def test_later_versions_as_published(bench: Any, kind: str, tmp_path: Path) -> None:
    """Half-precision weights, a class, arguments with fractions, and one argument that the package has given up."""
    net = bench.net(kind)
    system = Demucs.load(str(bench.packed(net, tmp_path / "net.th", named={"long_gone": 3})))
    assert system.stems == tuple(STEMS)
    theirs = bench.halved(net).state_dict()
    for name, value in system.nets[0].net.state_dict().items():
        assert value.dtype == torch.float32
        assert value.equal(theirs[name])
    assert not any(parameter.requires_grad for parameter in system.nets.parameters())


def test_weights_of_the_second_version_in_the_class_of_the_third(bench: Any, tmp_path: Path) -> None:
    """Its convolutions have other numbers there."""
    plain = {"dconv_mode": 0, "gelu": False, "lstm_layers": 2, "norm_starts": 9, "context": 1}
    net = bench.net("time", **plain)
    state = {}
    for name, value in net.state_dict().items():
        part, _, rest = name.partition(".")
        level, _, inner = rest.partition(".")
        renamed = inner.replace("3.", "2.") if part in ("encoder", "decoder") and inner[0] == "3" else inner
        state[name if part == "lstm" else f"{part}.{level}.{renamed}"] = value
    assert state.keys() != net.state_dict().keys()
    path = bench.packed(net, tmp_path / "net.th", state=state)
    for name, value in Demucs.load(str(path)).nets[0].net.state_dict().items():
        assert value.equal(net.state_dict()[name])


def test_what_the_package_keeps_on_the_hub(bench: Any, tmp_path: Path) -> None:
    net = bench.net("transformer")
    fraction = {"_type": "fraction", "numerator": 1, "denominator": 2}
    about = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": "[]",
        "kwargs": json.dumps(
            {"sources": STEMS, "samplerate": bench.rate, **bench.small["transformer"], "segment": fraction}
        ),
    }
    save_file(net.state_dict(), tmp_path / "net.safetensors", about)
    system, theirs = (
        Demucs.load(str(tmp_path / "net.safetensors")),
        load_safetensors_model(tmp_path / "net.safetensors"),
    )
    assert system.nets[0].segment() == bench.rate // 2
    for name, value in system.nets[0].net.state_dict().items():
        assert value.equal(theirs.state_dict()[name])


# What is refused


class Runs:
    """What a hostile file would have run."""

    def __reduce__(self) -> Any:
        return print, ("run",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"klass": nn.Linear}, "no Demucs"),
        ({"klass": "HTDemucs"}, "no Demucs"),
        ({"kwargs": {"sources": STEMS, "channels": 1 << 20}}, "channels"),
        ({"kwargs": {"sources": STEMS, "depth": 10**9}}, "depth"),
        ({"kwargs": {"sources": STEMS, "channels": 4096}}, "larger than any published"),
        ({"kwargs": {"sources": STEMS, "channels": 512}}, "does not fit"),
        ({"kwargs": {"sources": STEMS, "channels": "many"}}, "channels"),
        ({"kwargs": {}, "args": (STEMS, 2, 1 << 20)}, "channels"),
        ({"kwargs": {"sources": STEMS, "nfft": 100}}, "no net|does not fit"),
        ({"kwargs": {"sources": STEMS, "t_sparse_self_attn": True}}, "sparse"),
        ({"kwargs": {"sources": STEMS, "segment": Runs()}}, "no plain value"),
        ({"kwargs": {"sources": ["../drums"]}}, "stems"),
        ({"kwargs": {}}, "stems"),
        ({"kwargs": 3}, "no dictionary"),
        ({"args": 3}, "no list"),
        ({"state": {"weight": "heavy"}}, "no weight"),
        ({"state": {}}, "no weights"),
    ],
)
def test_what_describes_no_demucs_is_refused(
    bench: Any, change: dict[str, Any], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bench.packed(bench.net("transformer"), tmp_path / "net.th", **change)
    with pytest.raises(BadCheckpoint, match=why) as caught:
        Demucs.load(str(path))
    assert str(caught.value).startswith(str(path))
    assert not capsys.readouterr().out


def test_a_missing_and_a_surplus_weight_are_refused(bench: Any, tmp_path: Path) -> None:
    net = bench.net("hybrid")
    state = dict(net.state_dict())
    first = next(iter(state))
    for wrong in (
        {name: value for name, value in state.items() if name != first},
        {**state, "more": torch.ones(1)},
        {**state, first: torch.ones(3)},
    ):
        with pytest.raises(BadCheckpoint, match=r"missing|surplus|another shape"):
            Demucs.load(str(bench.packed(net, tmp_path / "net.th", state=wrong)))


def test_files_that_hold_no_net_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.th"
    for content in ({"w": torch.ones(1)}, ("a", "b"), {"compressed": b"no"}, {"compressed": 3}, [1, 2, 3, 4]):
        torch.save(content, path)
        with pytest.raises(BadCheckpoint, match="net"):
            Demucs.load(str(path))
    path.write_bytes(pickle.dumps(Runs()))
    with pytest.raises(BadCheckpoint):
        Demucs.load(str(path))


# Bags


def test_the_published_bags_are_those_of_the_package() -> None:
    remote = importlib.resources.files("demucs") / "remote"
    names = (remote / "files.txt").read_text("utf-8").split()
    for name, bag in BAGS.items():
        theirs = yaml.safe_load((remote / f"{name}.yaml").read_text("utf-8"))
        files = [WEIGHTS[file].source.rpartition("/")[2] for file in bag.files]
        assert [file.partition("-")[0] for file in files] == theirs["models"]
        assert set(files) <= set(names)
        assert [list(row) for row in bag.weights] == theirs.get("weights", [])
        assert bag.segment == theirs.get("segment")


def test_checksums_begin_with_the_digits_in_the_name() -> None:
    for weights in WEIGHTS.values():
        assert weights.source.endswith(f"-{weights.sha256[:8]}.th")
    assert len({weights.sha256 for weights in WEIGHTS.values()}) == len(WEIGHTS)


def bag_of(
    bench: Any, tmp_path: Path, *, weights: Any = None, segment: float | None = None
) -> tuple[Path, BagOfModels]:
    """Two nets, one of them with a checksum in its name."""
    nets = [bench.net("hybrid", 1), bench.net("time", 2)]
    bench.packed(nets[0], tmp_path / "aaaa0000.th")
    second = bench.packed(nets[1], tmp_path / "second.th")
    second.rename(tmp_path / f"bbbb0000-{hashlib.sha256(second.read_bytes()).hexdigest()[:8]}.th")
    description = {"models": ["aaaa0000", "bbbb0000"], "weights": weights, "segment": segment}
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in description.items() if value is not None}))
    return path, BagOfModels([bench.halved(net) for net in nets], weights, segment)


def test_a_bag_of_ones_own(bench: Any, tmp_path: Path) -> None:
    path, bag = bag_of(bench, tmp_path, weights=[[1.0, 0.0, 2.0, 1.0], [1.0, 1.0, 0.0, 3.0]], segment=0.5)
    mix = bench.noise(1.7)
    wanted = bench.theirs(bag, mix)
    torch.testing.assert_close(bench.ours(Demucs.load(str(path)), mix), wanted, atol=1e-4, rtol=0)
    torch.testing.assert_close(bench.ours(Demucs.load(str(tmp_path)), mix), wanted, atol=1e-4, rtol=0)
    assert wanted.std() > 0.05  # or the tolerance would mean nothing


def test_bags_that_cannot_be_are_refused(bench: Any, tmp_path: Path) -> None:
    path, _ = bag_of(bench, tmp_path)
    for text, why in (
        ("models: 3", "list of names"),
        ("models: [aaaa0000, nowhere]", "nowhere"),
        ("models: [../aaaa0000]", "no name of a file"),
        ("models: [aaaa0000]\nweights: [[1, 1]]", "weights"),
        ("models: [aaaa0000]\nweights: [[1, 1, 0, 1]]", "none of its nets answers"),
        ("models: [aaaa0000]\nweights: [[1, 1, .nan, 1]]", "numbers"),
        ("models: [aaaa0000]\nsegment: soon", "seconds"),
        ("nets: [aaaa0000]", "models"),
        ("models: [aaaa0000", "YAML"),
        ("!!python/object/apply:print [run]", "YAML"),
    ):
        path.write_text(text)
        with pytest.raises(BadCheckpoint, match=why):
            Demucs.load(str(path))
    path.unlink()
    with pytest.raises(BadOption, match="none"):
        Demucs.load(str(tmp_path))


def test_a_file_that_is_not_what_its_name_says_is_refused(bench: Any, tmp_path: Path) -> None:
    path = bench.packed(bench.net("hybrid"), tmp_path / "net-00000000.th")
    with pytest.raises(BadCheckpoint, match="damaged"):
        Demucs.load(str(path))


def test_nets_of_a_bag_have_to_agree(bench: Any) -> None:
    one, other = (Net("waveform", {"sources": stems, **bench.small["waveform"]}) for stems in (["a", "b"], ["a", "c"]))
    with pytest.raises(BadCheckpoint, match="agree"):
        Demucs(Config((one, other)))


def test_without_the_package_the_first_versions_work_and_the_later_ones_say_what_to_install(
    bench: Any, tmp_path: Path, old_class: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.packed(bench.net("hybrid"), tmp_path / "net.th")
    named = {"sources": STEMS, "samplerate": bench.rate, "channels": 4, "depth": 3}
    state = bench.net("waveform", resample=True).state_dict()
    torch.save({"klass": old_class, "args": (), "kwargs": named, "state": state}, tmp_path / "old.th")
    for module in ("demucs.hdemucs", "demucs.htdemucs", "demucs.demucs", "yaml"):
        monkeypatch.setitem(sys.modules, module, None)
    assert Demucs.load(str(tmp_path / "old.th")).stems == tuple(STEMS)
    (tmp_path / "bag.yaml").write_text("models: [net]")
    for weights in (path, tmp_path / "bag.yaml"):
        with pytest.raises(MissingExtra, match=r"mynah\[demucs\]"):
            Demucs.load(str(weights))


# Fetching


@pytest.fixture
def unplugged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def unreachable(address: str, *_: object) -> None:
        asked.append(address)
        raise download.Unreachable("no route to host")

    monkeypatch.setattr(download, "from_web", unreachable)
    return asked


def test_without_a_network_it_says_what_to_bring_by_hand(unplugged: list[str]) -> None:
    with pytest.raises(Offline) as caught:
        Demucs.load("htdemucs_ft")
    said = str(caught.value)
    for name in BAGS["htdemucs_ft"].files:
        assert WEIGHTS[name].source in said
    assert said.count("84.1 MB") == 4
    assert said.count("weights") == 4  # a place for each
    for name, signature in (("default", "955717e8"), ("mdx_q", "6b9c2ca1"), ("04573f0d", "04573f0d")):
        with pytest.raises(Offline, match=signature):
            Demucs.load(name)
    assert len(unplugged) == 4


def test_the_first_versions_are_brought_by_hand() -> None:
    for name, address in OLDER.items():
        with pytest.raises(Offline, match=address):
            Demucs.load(name)


def test_unknown_weights_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="htdemucs_6s") as caught:
        Demucs.load(str(tmp_path / "nowhere.th"))
    assert isinstance(caught.value, MynahError)
