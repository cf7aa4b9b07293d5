"""ForwardTacotron against the nets of November 2020 and of 2021 to 2023, run elsewhere from the same state."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor, nn

from mynah.speak.forward_tacotron.aligner import Aligner, AlignerConfig
from mynah.speak.forward_tacotron.durations import cheapest, durations
from mynah.speak.forward_tacotron.net import Config, Net, SeriesConfig
from mynah.speak.forward_tacotron.symbols import EARLIER, LATER, PAUSES, Front

NEAR = 1e-5
COMMON = {
    "symbols": 20, "size": 6, "prenet": 6, "prenet_kernels": 3, "prenet_highways": 2, "units": 7, "postnet": 5,
    "postnet_kernels": 3, "postnet_highways": 2, "bands": 4, "duration": SeriesConfig(5, 3),
    "pitch": SeriesConfig(5, 4), "energy": SeriesConfig(5, 3),
}  # fmt: skip
LAYOUTS = {
    "pitch": Config(layout="pitch", prenet_bridge=False, prenet_dropout=0, pitch_size=3, **COMMON),  # type: ignore[arg-type]
    "energy": Config(series_size=3, pitch_strength=0.7, energy_strength=1.3, **COMMON),  # type: ignore[arg-type]
}
IDS = torch.tensor([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 0, 0]])
LASTING = torch.tensor([[2.0, 0, 3, 1, 4, 2], [1, 2, 2, 3, 0, 0]])
FRAMES = torch.tensor([12, 8])
# Of mel, finished, durations, pitch and energy: the sum, and every eleventh value.
TAUGHT = {
    "pitch": (
        (-86.42708905786276, [0.493369, 0.366011, -0.367235, 0.070032, 0.051981, 0.52572]),
        (-110.53944911062717, [-0.340883, -0.24962, -0.377716, 0.019234, -0.009212, -0.405726]),
        (-2.821945697069168, [-0.251274, -0.260891]),
        (-1.1126118823885918, [-0.088986, -0.108807]),
    ),
    "energy": (
        (-122.16858673840761, [0.242665, 0.388666, -0.364575, -0.358378, -0.249949, 0.339381]),
        (-88.38908466883004, [0.042934, 0.014483, -0.068403, 0.131144, 0.054348, 0.088015]),
        (3.7561401426792145, [0.270919, 0.360487]),
        (0.035062335431575775, [0.026935, -0.009517]),
        (2.7940713763237, [0.233326, 0.153292]),
    ),
}
# By the layout, the bias of durations and the speed: frames, and the sum of the spectrum.
SPOKEN = {
    ("pitch", 2.5, 0.8): (19, -15.26884), ("pitch", 2.5, 1.0): (15, -11.8108), ("pitch", 2.5, 1.2): (13, -10.08331),
    ("pitch", 0.6, 0.8): (5, -3.23996), ("pitch", 0.6, 1.2): (3, -1.6575),
    ("energy", 2.5, 0.8): (18, 2.83343), ("energy", 2.5, 1.0): (13, 2.03446), ("energy", 2.5, 1.2): (12, 1.87334),
    ("energy", 0.6, 1.0): (12, 1.87334), ("energy", -0.3, 1.0): (12, 1.87334), ("energy", -9.0, 1.0): (12, 1.87334),
}  # fmt: skip
# By frames for one step: of mel, finished and attention, the sum and every 211th value.
ALIGNED = {
    1: (
        (-4.83883791603148, [-0.009974, 0.028289, 0.071499, -0.094474, 0.163051, -0.104936]),
        (5.066124114005561, [-0.006278, 0.017657, -0.027325, -0.017843, 0.024319, 0.007787]),
        (23.999999791383743, [0.172552]),
    ),
    3: (
        (-3.0309866219758987, [-0.009974, -0.088548, -0.031105, -0.063201, 0.039734, -0.050799]),
        (5.105821149290705, [-0.006199, 0.015717, -0.027326, -0.017087, 0.02413, 0.008113]),
        (7.999999955296516, [0.172552]),
    ),
}


def filled(net: nn.Module, shrunk: float = 1.0) -> None:
    """A state that depends on names and shapes alone."""
    dice = Generator().manual_seed(0)

    def values(name: str, old: Tensor) -> Tensor:
        if not old.is_floating_point():
            return old
        drawn = torch.rand(old.shape, generator=dice)
        return (drawn + 0.5 if "running_var" in name else 0.8 * drawn - 0.4) * shrunk

    net.load_state_dict({name: values(name, old) for name, old in sorted(net.state_dict().items())})
    net.eval().requires_grad_(False)


def speaker(layout: str) -> Net:
    net = Net(LAYOUTS[layout])
    filled(net)
    return net


def probed(part: Tensor | None, wanted: tuple[float, list[float]], every: int) -> None:
    assert part is not None
    assert part.flatten()[::every][:6].tolist() == pytest.approx(wanted[1], abs=NEAR)
    assert part.double().sum().item() == pytest.approx(wanted[0], abs=NEAR * 10)


def test_the_published_sizes_have_as_many_parameters() -> None:
    def count(net: nn.Module) -> int:
        return sum(weight.numel() for weight in net.parameters())

    with torch.device("meta"):
        earlier = Net(Config(layout="pitch", symbols=127, prenet_bridge=False))
        assert (count(earlier), len(earlier.state_dict())) == (24_302_962, 288)
        assert count(Net(Config(symbols=127, prenet_bridge=False))) == 24_440_115
        assert count(Aligner(AlignerConfig(symbols=127))) == 11_083_104


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_it_is_taught_it_says_as_the_original(layout: str) -> None:
    pitch, energy = torch.sin(torch.arange(12.0).reshape(2, 6)), torch.cos(torch.arange(12.0).reshape(2, 6))
    said = speaker(layout)(IDS, LASTING, FRAMES, 13, pitch, energy if layout == "energy" else None)
    for part, wanted in zip(said, TAUGHT[layout], strict=False):
        probed(part, wanted, 11)


@pytest.mark.parametrize(("layout", "bias", "speed"), SPOKEN)
def test_what_it_says_by_itself_is_what_the_original_says(layout: str, bias: float, speed: float) -> None:
    net = speaker(layout)
    net.dur_pred.lin.bias.fill_(bias)
    said = net.speak(IDS[:1], speed=speed, pitch=lambda values: values * 0.5, energy=lambda values: values + 1)
    frames, total = SPOKEN[layout, bias, speed]
    assert said.finished.shape == (1, 4, frames)
    assert said.finished.double().sum().item() == pytest.approx(total, abs=NEAR * 5)


def test_the_first_files_knew_no_pitch() -> None:
    net = Net(Config(layout="plain", prenet_bridge=False, **COMMON))  # type: ignore[arg-type]
    filled(net)
    net.dur_pred.lin.bias.fill_(2.0)
    said = net.speak(IDS[:1])
    assert said.pitch is None and said.energy is None and said.finished.isfinite().all()
    assert not any(name.startswith(("pitch", "energy")) for name in net.state_dict())


@pytest.mark.parametrize("each", ALIGNED)
def test_the_aligner_looks_where_the_original_looks(each: int) -> None:
    net = Aligner(AlignerConfig(symbols=20, reading_kernels=3, units=9, finish=8, finish_kernels=3, highways=2))
    filled(net, 0.3)
    mel = torch.sin(torch.arange(2 * 80 * 12.0).reshape(2, 80, 12) * 0.1) - 3
    for part, wanted in zip(net(IDS, mel, each=each), ALIGNED[each], strict=True):
        probed(part, wanted, 211)


def looked(frames: int, symbols: int, dice: Generator) -> Tensor:
    weights = torch.rand(frames, symbols, generator=dice) * 3
    far = -((torch.arange(frames)[:, None] / frames * symbols - torch.arange(symbols)) ** 2) / 4
    return (weights + far).softmax(1)


def test_durations_are_those_of_the_original() -> None:
    dice = Generator().manual_seed(3)
    attention = looked(60, 15, dice)
    assert durations(attention)[0].tolist() == [2, 3, 1, 13, 2, 3, 6, 3, 3, 5, 4, 1, 10, 1, 3]
    silent = torch.where(torch.rand(60, generator=dice) < 0.3, -11.4, -5.0)[None].expand(80, 60)
    symbols = torch.randint(0, 20, (15,), generator=dice)
    counts, quality = durations(attention, silent, symbols <= 10)
    assert counts.tolist() == [2, 3, 1, 13, 2, 7, 2, 4, 2, 5, 6, 1, 8, 1, 3]
    assert quality.sharp == pytest.approx(0.34015446034786495)


@pytest.mark.parametrize("seed", range(5))
def test_the_way_is_the_cheapest_of_all(seed: int) -> None:
    costs = torch.rand(5, 4, generator=Generator().manual_seed(seed)).double()

    def ways(row: int, column: int) -> list[float]:
        if (row, column) == (4, 3):
            return [0.0]
        steps = [(row + 1, column), (row, column + 1), (row + 1, column + 1)]
        return [costs[r, c].item() + rest for r, c in steps if r < 5 and c < 4 for rest in ways(r, c)]

    rows, columns = cheapest(costs.numpy())
    assert (rows[0], columns[0], rows[-1], columns[-1]) == (0, 0, 4, 3)
    assert costs[rows, columns][1:].sum().item() == pytest.approx(min(ways(0, 0)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 7), (400, 60)])
def test_durations_add_up_to_the_frames(shape: tuple[int, int]) -> None:
    counts, _ = durations(looked(*shape, Generator().manual_seed(1)))
    assert len(counts) == shape[1] and counts.sum() == shape[0]


def test_symbols_are_in_their_published_places() -> None:
    assert (len(EARLIER), len(LATER)) == (127, 135)
    assert EARLIER.startswith(" !'(),-.:;?_abc") and EARLIER.endswith("βθχᵻⱱ")
    assert [LATER.index(symbol) for symbol in "_! -iˈɫgɝ"] == [0, 1, 10, 11, 12, 110, 126, 127, 128]
    assert [place for place, symbol in enumerate(LATER) if symbol in PAUSES] == list(range(11))


# By the published cleaners, with espeak-ng 1.52 through phonemizer.
WRITTEN = {
    ("later", "Hello, 2 well-known worlds!"): "həloʊ, tuː wɛlnoʊn wɜːldz!",
    ("earlier", "Hello, 2 well-known worlds!"): "həloʊ, tuː wɛl-noʊn wɜːldz!",
    ("later", "Dr. Smith (1999) said: it's $3.50; isn't it?"):
        "dɑːktɚ smɪθ (naɪntiːn naɪntinaɪn) sɛd: ɪts θɹiː dɑːlɚz, fɪfti sɛnts; ɪzənt ɪt?",
    ("earlier", "Mr. O'Neill -- the 22nd of May -- left... \"Why?\" he asked."):
        "mɪstɚɹ oʊniːl -- ðə twɛnti-sɛkənd ʌv meɪ -- lɛft... waɪ? hiː æskt.",
}  # fmt: skip


@pytest.mark.parametrize(("symbols", "text"), WRITTEN)
def test_texts_are_read_as_published(symbols: str, text: str) -> None:
    front = Front(symbols=symbols)  # type: ignore[arg-type]
    assert front.written(text) == WRITTEN[symbols, text]
    assert [front.alphabet[number] for number in front.numbers_of(text)] == list(WRITTEN[symbols, text])
