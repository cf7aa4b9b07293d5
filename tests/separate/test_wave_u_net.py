"""Parity with the published nets, their files, songs of any length, and learning."""

import base64
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mynah.audio.files import write
from mynah.catalog.checkpoint import load_safetensors, load_strict, to_safetensors
from mynah.catalog.tensorflow import load_bundle
from mynah.core.errors import BadCheckpoint, BadOption
from mynah.core.types import Audio
from mynah.nets.wave_u_net import Shape, UNet
from mynah.separate.wave_u_net import WaveUNet, WaveUNetOptions
from mynah.separate.wave_u_net.later import LaterNet, LaterShape
from mynah.separate.wave_u_net.presets import PRESETS, Config
from mynah.separate.wave_u_net.published import metadata
from mynah.train.stems import StemsRecipe

# Every 21st sample of what the published code answered under TensorFlow 2.21 (`compat.v1`), with three levels of four
# filters; parameters and mix are sines that both sides can make.
TOLERANCE = 1e-5
SMALL = {"levels": 3, "filters": 4}
ANSWERS = {
    "M1": [[-0.527411, -0.431059, -0.555018], [-0.600195, -0.6759, -0.606485]],
    "M2": [[-0.527411, -0.431059, -0.555018], [1.0, -0.061839, 0.828424]],
    "M3": [[-0.337633, -0.447399, -0.542223, -0.573819], [0.06202, -0.049559, 0.128183, 0.369221]],
    "M4": [
        [-0.292093, -0.273288, -0.33039, -0.399476],
        [0.39753, 0.354468, 0.469979, 0.543118],
        [0.790239, 0.766798, 0.82615, 0.766531],
        [0.039859, 0.097913, -0.100665, -0.440053],
    ],
    "M5": [
        [-0.292359, -0.272871, -0.330597, -0.399377],
        [0.398038, 0.353358, 0.470503, 0.542729],
        [0.790506, 0.766381, 0.826358, 0.766432],
        [0.039351, 0.099023, -0.101189, -0.439665],
    ],
    "M6": [
        [-0.292093, -0.273288, -0.33039, -0.399476],
        [0.39753, 0.354468, 0.469979, 0.543118],
        [0.160158, 0.131492, 0.206773, 0.236992],
        [0.410824, 0.377926, 0.470795, 0.551985],
        [0.442571, 0.399734, 0.515341, 0.594168],
        [0.051038, 0.059076, 0.042218, 0.062656],
        [0.187511, 0.235573, 0.104037, -0.064629],
        [-0.422003, -0.339089, -0.613679, -1.0],
    ],
}
OTHERS = {
    "same padding, learned": (
        Shape(learned=True, **SMALL),
        [[-0.527417, -0.431098, -0.5543], [-0.600285, -0.675938, -0.606605]],
    ),
    "linear output": (
        Shape(context=True, tanh=False, **SMALL),
        [[-0.351418, -0.481443, -0.607299, -0.653198], [-0.847357, -0.776517, -0.684803, -0.672388]],
    ),
}
CASES = {name: (replace(PRESETS[name].net, **SMALL), answer) for name, answer in ANSWERS.items()} | OTHERS

# Every 97th of what the later net's own code answered under torch 2.13.
LATER = {
    "group norm, filter, a net for each": (
        LaterShape((8, 16, 24), 2, ("a", "b"), samples=300),
        [
            [1.0, 1.0, 1.0, 0.111273],
            [0.918506, 0.81484, 0.631165, 0.673144],
            [-0.194113, -0.366664, 0.499943, 0.281584],
            [0.206033, 0.350854, -0.087265, 0.388521],
        ],
    ),
    "batch norm, learned, one net": (
        LaterShape((8, 16, 24), 2, ("a", "b"), norm="batch", filtered=False, apart=False, samples=300),
        [
            [0.238958, -0.170151, 0.090458, 0.180255],
            [0.461026, 0.002066, 0.141982, 0.119196],
            [0.238672, 0.178077, 0.06066, -0.052456],
            [-0.090605, 0.306342, 0.04626, -0.046718],
        ],
    ),
    "no norm, filter, stride 2, one net": (
        LaterShape((8, 16, 24), 2, ("a", "b"), stride=2, norm="none", apart=False, samples=300),
        [
            [0.070332, 0.094381, 0.095446, 0.091726],
            [0.045302, 0.084434, 0.080277, 0.075215],
            [-0.018157, -0.002159, -0.007478, -0.008938],
            [0.062278, 0.039519, 0.038232, 0.0418],
        ],
    ),
}

# A checkpoint that TensorFlow's Saver wrote of the published net with one level of one filter, Adam's slots included,
# and what that net answered.
ONE = Shape(1, 1, difference=True, context=True)
BUNDLE = {
    "index": (
        "000IE0U81b0RRgNXKZg`VQgP>bY*Y|2@(J(2sOLcpAi5R5p!j5VRB(~Z*nhVZ*F!mWG`ZAVRHxp5(E+g2mv4nC<HZQ2Z1FK1{rH*"
        "a&Bd82muld5&{Sh5&{ST5&{STAPguxH6wrOKoAEJUokIYX<>5+0TKif0tf;iNGJ$3nlp6e69yS;WpZw1YzP4o3=#qe4-x_h0TKcT"
        "0w7Q*cr~P9u@Dgk5;8AhX<>5+0TKif0tf*h$N?w>H4HU>EE5JAYh`k7Wo!rm5)2Xo2n7-X2m=xV2mv6>0Vq5*BbeuR5e5=7FJft7"
        "a|i(v1QG%W0U(G1C<HY^11Ieh1{!N+a&Bd82muld5&{ST5&{SU5&{STAdCVi2sIyTC;<r*4qtO`Y<6XGFJfhMVKHBDZ+B&K2mulR"
        "Ad~_q1U3EZ$KMqP4l-YGZ+B&K2mulRAeaIu1U0+u`q>d05_4s6VRB(~Z*nhVZ*F!mWG`ZAVRJ7*WMORx0TKif0tf*hoB}8WHKuzJ"
        "Ix7MaUoi*)5(E+g2mv6V0w@GErh5@OA`2R8WpZw1Y%f7%VQmNj5)2Xo2oDkh2mulT2mv6Z0w_E+?w;kWEdm-}F$e(?3=#qe4-x_h"
        "0TKcT0U+Q4C_FXpp5?3nEfRBOaA9&`bZ>HBb8l>RWpXcbWpH6~VRUbDFJo_Rb}?jMF)w0iVRJ7*WMORx0TKif0tf;ioC7EbH7Ns_"
        "2Q2~;Uoi*)5(E+g2m&Ca11JbJDFc`XBnujAWpZw1Y%f7%VQmNj5)2Xo2oDkh2mulT2m&Ci11NYk4cJPCF9I50F$e(?3=#qe4-x_h"
        "0TKcT0wAOWD0npu*h+>X3lcIfVrgM>FF|BsZ3qDp1QG%W0U(?OC<Ha8dl5P<0uo;_2mulV5&{STAfN>(1U0665jrFb8f#^8Ze?sQ"
        "L1bZV2muld5&{SX5&{SV5&{STAfyE-JT>l~<*Y9P8ecI80TK)n0tf{X0tf>V0tf*h-~}i=HSV6}tRf2%GcRIkVRJ7*WMORx0TKif"
        "0tf*hoCYWaHKuzJIxPYcUoi*)5(E+g2mv6V1}FqIrh5@OBnujAWpZw1Y%f7%VQmNj5)2Xo2mulT2m%rU2mv6Z1}F$MDFc`XF9I50"
        "F$e(?3=#qe0TKcT0ullU0U)dfC<rwv1DFQ@0002*0RR93000002y;|N000000RR910KoF0umAxAbO4tJ000000RR9101)dw{G0~}"
        "sRs`L000000000000000000000000000000000000000009X5fizIbN+W"
    ),
    "data-00000-of-00001": (
        "2LJ#700000AC@w`dJ18_p^l<HH$x3R55ly*Rcb)Jy7am}ApbzUM7^}W@nsD@U4^1PZYW{Cwt|JevHOxf@I*g8j-ac)g-NKr<7|mN"
        "SyijP{fIz5yoQoKnFfZwiuzx^TH>NUAP5XTFzvLy6eT;oWc0c|utP?@ev!1khM*2U4l$xWkT+t!cngKTh-8yKZ6H2AwBxJ3#S_cD"
        ";P|*cE~v&kq{X?u&k?gdXgsby2~{(`NFkTLQk;N382W2I)B~Tsz$<AxneJ@8UEjJs(M}Y-X&AP?#_R$<^*N<JHWXOC#bSxRIdP9Z"
        "I@m})>`|${VkzUjOZ2xs;xd*zkzcyLJ}Iz0^~gRy2eA-8W@ctTcfNl=000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000"
    ),
}
ONE_ANSWER = [[-0.06926, -0.059118, 0.426638], [-0.149942, -0.147427, 0.063356]]


def wave(name: str, size: tuple[int, ...]) -> Tensor:
    count = torch.arange(math.prod(size), dtype=torch.float64)
    return torch.sin(1.7 * count + sum(name.encode())).reshape(size)


def variables(shape: Shape) -> dict[str, Tensor]:
    """As the published code names and shapes them, made of sines."""
    width = [shape.filters * (level + 1) for level in range(shape.levels + 1)]
    kernels = list(zip([shape.kernel] * (shape.levels + 1), [shape.channels, *width[:-1]], width, strict=True))
    for level in reversed(range(shape.levels)):
        kernels.append((shape.up_kernel, width[level] + width[level + 1], width[level]))
    outs = shape.stems - shape.difference
    kernels += [(shape.out_kernel, shape.channels + width[0], shape.channels)] * outs
    sizes: dict[str, tuple[int, ...]] = {}
    for number, kernel in enumerate(kernels):
        root = f"separator/conv1d{f'_{number}' if number else ''}"
        sizes |= {f"{root}/kernel": kernel, f"{root}/bias": kernel[-1:]}
    if shape.learned:
        sizes |= {f"separator/interp_{number}": (size,) for number, size in enumerate(reversed(width[1:]))}
    return {
        name: (wave(name, size) * (math.sqrt(2 / (size[0] * size[1])) if len(size) == 3 else 0.1)).float()
        for name, size in sizes.items()
    }


def mix_for(channels: int, length: int, *, last: bool) -> Tensor:
    """`[1, channel, time]`; TensorFlow's channels are last."""
    sine = 0.5 * torch.sin(0.31 * torch.arange(channels * length, dtype=torch.float64) ** 1.1)
    return (sine.reshape(length, channels).T if last else sine.reshape(channels, length)).float()[None]


@pytest.mark.parametrize(("shape", "answer"), CASES.values(), ids=CASES.keys())
def test_parity_with_the_published_net_of_2018(shape: Shape, answer: list[list[float]]) -> None:
    net = UNet(shape).eval()
    load_strict(net, WaveUNet.remap(variables(shape)), "sines")
    with torch.no_grad():
        stems = net(mix_for(shape.channels, shape.giving(64)[0], last=True))[0]
    torch.testing.assert_close(stems.flatten(0, 1)[:, 5::21], torch.tensor(answer), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("shape", "answer"), LATER.values(), ids=LATER.keys())
def test_parity_with_the_later_net(shape: LaterShape, answer: list[list[float]]) -> None:
    net = LaterNet(shape).eval()
    state = {}
    for name, tensor in net.state_dict().items():
        if name.endswith("conv.filter") or not tensor.is_floating_point():
            state[name] = tensor
        elif tensor.ndim == 3:
            state[name] = wave(name, tensor.shape) * math.sqrt(2 / (tensor.shape[1] * tensor.shape[2]))
        else:
            around = 1 if name.endswith(("norm.weight", "running_var")) else 0
            state[name] = around + (0.2 if around else 0.1) * wave(name, tensor.shape)
    load_strict(net, state, "sines")
    with torch.no_grad():
        stems = net(mix_for(2, shape.sizes[0], last=False))[0]
    # The filter's taps are rounded elsewhere, and a norm makes more of it.
    torch.testing.assert_close(stems.flatten(0, 1)[:, 5::97], torch.tensor(answer), atol=2 * TOLERANCE, rtol=0)


def test_the_published_later_net_has_its_names_and_sizes() -> None:
    with torch.device("meta"):
        state = LaterNet(LaterShape()).state_dict()
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == (384, 70_148_232)
    assert LaterShape().sizes == (97_961, 88_409)
    sizes = {
        "waveunets.vocals.downsampling_blocks.0.downconv.filter": (64, 1, 15),
        "waveunets.bass.bottlenecks.0.filter.weight": (1024, 1024, 5),
        "waveunets.drums.output_conv.weight": (2, 32, 1),
    }
    assert {name: tuple(state[name].shape) for name in sizes} == sizes


# Files


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """All presets with one level of one filter, or as little."""
    for name, config in PRESETS.items():
        little = {"features": (8, 16)} if isinstance(config.net, LaterShape) else {"levels": 1, "filters": 1}
        if name == "M7":
            little = {"levels": 1, "filters": 2}
        monkeypatch.setitem(PRESETS, name, replace(config, net=replace(config.net, **little)))


def bundle(folder: Path, stem: str = "model-7") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in BUNDLE.items():
        (folder / f"{stem}.{suffix}").write_bytes(base64.b85decode(text))
    return folder


@pytest.mark.usefixtures("small")
def test_a_checkpoint_of_tensorflow_is_separated_with(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "model")
    assert "separator_solver/beta1_power" in load_bundle(folder)
    for name in ("model", "model/model-7", "model/model-7.index", "model/model-7.data-00000-of-00001"):
        system = WaveUNet.load(f"M3={tmp_path / name}")
        assert (system.config.net, system.rate, system.stems) == (ONE, 22_050, ("accompaniment", "vocals"))
    heard = mix_for(1, ONE.giving(64)[0], last=True)
    torch.testing.assert_close(system.net(heard)[0, :, 0, 5::21], torch.tensor(ONE_ANSWER), atol=TOLERANCE, rtol=0)


@pytest.mark.usefixtures("small")
def test_what_shapes_leave_open_the_folder_tells_or_the_person(tmp_path: Path) -> None:
    nameless = bundle(tmp_path / "mine")
    with pytest.raises(BadCheckpoint, match=r"fits M2 and M3, which no file tells apart: say which, as in M2=.*mine"):
        WaveUNet.load(str(nameless))
    assert WaveUNet.load(f"M2={nameless}").config == PRESETS["M2"]
    assert WaveUNet.load(str(bundle(tmp_path / "baseline_context"))).config == PRESETS["M3"]
    assert WaveUNet.load(str(bundle(tmp_path / "any", "baseline_diff-134067"))).config == PRESETS["M2"]


@pytest.mark.usefixtures("small")
def test_what_is_of_another_net_is_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "baseline_context")
    with pytest.raises(BadCheckpoint, match="does not fit UNet"):
        WaveUNet.load(f"M4={folder}")
    state = load_bundle(folder)
    kept = {name: tensor for name, tensor in state.items() if name != "separator/conv1d_1/bias"}
    with pytest.raises(BadCheckpoint, match=r"1 missing \(down\.1\.bias\)"):
        load_strict(UNet(ONE), WaveUNet.remap(kept), "it")
    with pytest.raises(BadCheckpoint, match=r"1 surplus \(separator/extra\)"):
        load_strict(UNet(ONE), WaveUNet.remap(state | {"separator/extra": torch.zeros(1)}), "it")
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(BadCheckpoint, match="fits none of M1, M2"):
        WaveUNet.load(str(tmp_path / "other.pt"))
    torch.save({"waveunets.vocals.conv.weight": torch.zeros(3)}, tmp_path / "broken.pt")
    with pytest.raises(BadCheckpoint, match="no Wave-U-Net"):
        WaveUNet.load(str(tmp_path / "broken.pt"))


def test_without_a_file_it_says_where_there_are_some() -> None:
    for name in ("default", "no-such-weights"):
        with pytest.raises(BadOption, match=rf"{name}.*--weights FILE.*models\.zip"):
            WaveUNet.load(name)


@pytest.mark.parametrize(
    "shape",
    [
        LaterShape((8, 16, 24)),
        LaterShape((8, 16), 1, ("vocals", "rest"), kernel=3, stride=3),
        LaterShape((8, 8, 16), norm="batch", filtered=False, apart=False),
        LaterShape((3, 5), norm="none", apart=False),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_of_the_later_net_tells_what_it_is(tmp_path: Path, shape: LaterShape, prefix: str) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in LaterNet(shape).state_dict().items()}
    torch.save({"model_state_dict": state, "optimizer_state_dict": {"state": {}}, "state": {"step": 3}}, tmp_path / "m")
    system = WaveUNet.load(str(tmp_path / "m"))
    assert system.config == Config(shape, shape.stems, 44_100)
    for name, tensor in system.net.state_dict().items():
        assert tensor.equal(state[prefix + name])


@pytest.mark.parametrize("name", PRESETS)
def test_an_exported_file_tells_what_it_is(tmp_path: Path, name: str) -> None:
    little: dict[str, Any] = {"features": (8, 16)} if name.startswith("later") else {"levels": 2, "filters": 2}
    config = replace(PRESETS[name], net=replace(PRESETS[name].net, **little), rate=16_000)
    before = WaveUNet(config)
    to_safetensors(before.net.state_dict(), tmp_path / "own.safetensors", metadata(config))
    after = WaveUNet.load(str(tmp_path / "own.safetensors"))
    assert after.config == config
    assert all(weight.equal(before.net.state_dict()[key]) for key, weight in after.net.state_dict().items())


@pytest.mark.parametrize("lie", ['{"net": {"levels": 99}}', "nonsense", '{"net": {"kernel": 4}}', '{"rate": 0}'])
def test_an_exported_file_that_lies_is_refused(tmp_path: Path, lie: str) -> None:
    to_safetensors({"down.0.weight": torch.zeros(1)}, tmp_path / "own.safetensors", {"wave_u_net": lie})
    with pytest.raises(BadCheckpoint, match="describes a net that cannot be"):
        WaveUNet.load(str(tmp_path / "own.safetensors"))
    to_safetensors({"down.0.weight": torch.zeros(1)}, tmp_path / "own.safetensors", metadata(Config()))
    with pytest.raises(BadCheckpoint, match="does not fit UNet"):
        WaveUNet.load(str(tmp_path / "own.safetensors"))


# Songs


def noise(channels: int, samples: int, rate: int) -> Audio:
    return Audio(torch.rand(channels, samples, generator=torch.Generator().manual_seed(0)) - 0.5, rate)


SYSTEMS = {
    "2018": Config(Shape(3, 2, difference=True, context=True, channels=2), rate=8000),
    "2018, same padding, four stems": Config(Shape(3, 2, stems=4), PRESETS["M6"].stems, 8000),
    "later": Config(LaterShape((8, 16), stems=("a", "b"), samples=3000), ("a", "b"), 8000),
}


@pytest.mark.parametrize("config", SYSTEMS.values(), ids=SYSTEMS.keys())
@pytest.mark.parametrize(("channels", "rate", "samples"), [(1, 8000, 1), (2, 8000, 20_000), (2, 11_025, 11_000)])
def test_stems_are_as_long_as_the_song_and_do_not_depend_on_how_it_is_cut(
    config: Config, channels: int, rate: int, samples: int
) -> None:
    torch.manual_seed(0)
    system, mix = WaveUNet(config), noise(channels, samples, rate)
    whole = system.separate(mix)
    assert tuple(whole) == system.stems
    blocks = [Audio(part, rate) for part in mix.samples.split(3777, -1)]
    pieces = list(system.stream(lambda: iter(blocks), WaveUNetOptions(chunk=1)))
    for name, stem in whole.items():
        assert stem.samples.shape == mix.samples.shape
        joined = torch.cat([piece[name].samples for piece in pieces], -1)
        torch.testing.assert_close(joined, stem.samples, atol=2e-6, rtol=0)


# Learning


class Bursts:
    """Mixtures of notes with overtones and bursts of noise: what `Mixtures` gives, made on the spot."""

    rate = 8000

    def batch(self, step: int, clips: int, samples: int) -> dict[str, Tensor]:
        dice = torch.Generator().manual_seed(step)
        time = torch.arange(samples) / self.rate
        hz = 110 * 2 ** (2 * torch.rand(clips, 1, generator=dice))
        notes = sum(
            torch.sin(2 * torch.pi * k * hz * time + 6 * torch.rand(clips, 1, generator=dice)) / k for k in (1, 2, 3)
        )
        bursts = torch.randn(clips, samples, generator=dice)
        beat = 0.05 + (torch.rand(clips, 1, generator=dice) + 8 * time) % 1 < 0.4
        # High-passed by a difference, as a cymbal is.
        bursts = beat * torch.diff(bursts, dim=-1, prepend=bursts[:, :1])
        stems = torch.stack([0.3 * bursts, 0.15 * notes], 1)[:, :, None]
        return {"mix": stems.sum(1), "stems": stems}


def test_it_learns() -> None:
    """Notes and bursts of noise that it has not heard are at least 5 dB clearer than in the mix after 150 steps."""
    torch.manual_seed(0)
    shape = Shape(4, 8, difference=True, context=True)
    recipe = StemsRecipe(
        UNet(shape), Bursts(), heard=shape.giving(600)[0], steps=150, clips=4,  # type: ignore[arg-type]
        rate=lambda step: 2e-3, compare=torch.nn.functional.mse_loss, judged=Bursts(),  # type: ignore[arg-type]
    )  # fmt: skip
    descent = torch.optim.AdamW(recipe.parameters("net"), 2e-3, **recipe.optimizer("net"))
    for step in range(recipe.steps):
        descent.zero_grad()
        losses = recipe.losses("net", recipe.batch(1000 + step))
        losses["error"].backward()
        descent.step()
    assert recipe.measures()["gain_db"] > 5
    batch = recipe.batch(5000)
    with torch.no_grad():
        stems = recipe.net(batch["mix"])
    around = shape.around
    torch.testing.assert_close(stems.sum(1), batch["mix"][..., around:-around], atol=1e-6, rtol=0)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    for number in range(2):
        for name, hz in (("vocals", 220), ("accompaniment", 330)):
            time = torch.arange(16_000) / 8000
            song = 0.3 * torch.sin(2 * torch.pi * (hz + 50 * number) * time)[None]
            write(Audio(song.expand(2, -1), 8000), tmp_path / "songs" / f"song{number}" / f"{name}.wav")
    return tmp_path / "songs"


@pytest.mark.parametrize("kind", ["2018", "later"])
def test_a_course_trains_and_exports(songs: Path, tmp_path: Path, kind: str) -> None:
    later = LaterShape((8, 16), 1, ("accompaniment", "vocals"), samples=500)
    config = Config(later if kind == "later" else Shape(2, 2, difference=True, context=True), rate=8000)
    stages = WaveUNet.course(songs, tmp_path, hold_out=["song1"], config=config)
    assert list(stages) == (["later"] if kind == "later" else ["long", "fine"])
    for name, stage in stages.items():
        torch.manual_seed(1)
        recipe = stage()
        assert recipe.name == name
        recipe.clips, recipe.heard = 2, later.sizes[0] if kind == "later" else config.net.giving(300)[0]
        batch, again = recipe.batch(3), recipe.batch(3)
        assert all(batch[key].equal(again[key]) for key in batch)
        torch.testing.assert_close(batch["stems"].sum(1), batch["mix"])
        before = [weight.detach().clone() for weight in recipe.parameters("net")]
        if name == "fine":
            exported = load_safetensors(tmp_path / "wave_u_net.safetensors")
            assert all(tensor.equal(recipe.net.state_dict()[key]) for key, tensor in exported.items())
        descent = torch.optim.AdamW(recipe.parameters("net"), recipe.learning_rate("net", 0), **recipe.optimizer("net"))
        recipe.losses("net", batch)["error"].backward()
        descent.step()
        assert any(not weight.equal(old) for weight, old in zip(recipe.parameters("net"), before, strict=True))
        assert math.isfinite(recipe.measures()["gain_db"])
        [file] = recipe.export(str(tmp_path))
    assert WaveUNet.load(file).config == config


def test_a_voice_is_not_what_it_learns_from() -> None:
    with pytest.raises(BadOption, match="stems"):
        WaveUNet.tiny().adapt(None)  # type: ignore[arg-type]
