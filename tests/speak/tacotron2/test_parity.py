"""Tacotron 2 against NVIDIA/tacotron2, run elsewhere in float32 from the same state, and its text against its ids."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from mynah.speak.tacotron2.net import Config, Net
from mynah.speak.tacotron2.published import FORMAT
from mynah.speak.tacotron2.symbols import SYMBOLS, numbers_of

NEAR = 1e-5
SMALL = Config(
    symbols=148, size=12, prenet=6, attention_units=10, attention=7, location_filters=4, location_kernel=5, units=9,
    bands=8, finish=11,
)  # fmt: skip
# Of mel, finished, gate and attention: the sum, and every so many values.
TAUGHT = (
    (11.254831030964851, [-0.241472, -0.010612, 0.0, 0.385999]),
    (24.892039105296135, [0.1833, -0.202473, 0.0, -0.298925]),
    (5981.6733258366585, [-0.567985]),
    (40.00000011920929, [0.093302, 0.093946, 0.090994, 0.148521, 0.142828]),
)
LOSS = 3.654484987258911
SPOKEN = (
    (9.533993296325207, [-0.233028, 0.001411, -0.026503, -0.063943, -0.007548, 0.379294]),
    (21.71816735714674, [0.191747, 0.483147, 0.254074, -0.197636, -0.19639, -0.303063]),
    (-15.983676373958588, [-0.547289]),
    (29.99999951571226, [0.145956, 0.14376, 0.1428, 0.185454, 0.114384, 0.140323]),
)
MEL = (-3.130862632017026, [-3.055258274078369, -2.3306005001068115, -2.728592872619629, -2.941868305206299])
IDS, LENGTHS = (torch.arange(22).reshape(2, 11) * 7) % 148, torch.tensor([11, 7])
FRAMES = torch.tensor([20, 14])
# From text.text_to_sequence with english_cleaners, Unidecode and inflect.
TEXTS = {
    "Dr. Who paid $3.50; in 1999?": "41 52 40 57 52 55 11 60 45 52 11 53 38 46 41 11 57 45 55 42 42 11 41 52 49 49 38 "
    "55 56 6 11 43 46 43 57 62 11 40 42 51 57 56 9 11 46 51 11 51 46 51 42 57 42 42 51 11 51 46 51 42 57 62 1 51 46 51 "
    "42 10",
    "Turn left on {HH AW1 S S T AH0 N} Street.": "57 58 55 51 11 49 42 43 57 11 52 51 11 106 82 131 131 133 73 119 11 "
    "56 57 55 42 42 57 7",
    "{HH AH0 L OW1}": "106 73 117 123",
}


def filled(net: nn.Module) -> nn.Module:
    """A state that depends on names and shapes alone."""
    dice = Generator().manual_seed(0)

    def values(name: str, old: Tensor) -> Tensor:
        if not old.is_floating_point():
            return old
        drawn = torch.rand(old.shape, generator=dice)
        return drawn + 0.5 if "running_var" in name else 0.8 * drawn - 0.4

    net.load_state_dict({name: values(name, old) for name, old in sorted(net.state_dict().items())})
    return net.eval()


@pytest.fixture(scope="module")
def net() -> Net:
    made = filled(Net(SMALL))
    assert isinstance(made, Net)
    return made


def recorded() -> Tensor:
    mel = torch.sin(torch.arange(2 * 8 * 20).reshape(2, 8, 20) * 0.3) - 1
    mel[1, :, 14:] = 0
    return mel


def probed(parts: tuple[Tensor, ...], wanted: tuple[tuple[float, list[float]], ...], every: int) -> None:
    for part, (total, places) in zip(parts, wanted, strict=True):
        assert part.flatten()[::every][: len(places)].tolist() == pytest.approx(places, abs=NEAR)
        assert part.double().sum().item() == pytest.approx(total, abs=NEAR * 10)


def test_the_published_sizes_have_as_many_parameters() -> None:
    with torch.device("meta"):
        whole = Net()
    assert sum(weight.numel() for weight in whole.parameters()) == 28_193_153
    assert len(whole.state_dict()) == 84


@torch.inference_mode()
def test_what_it_is_taught_it_says_as_the_original(net: Net) -> None:
    said = net(IDS, LENGTHS, recorded(), FRAMES, prenet_dropout=0.0)
    probed(said[:4], TAUGHT, 97)
    ended = (torch.arange(20) >= FRAMES[:, None] - 1).float()
    mel = recorded()
    loss = F.mse_loss(said.mel, mel) + F.mse_loss(said.finished, mel)
    assert (loss + F.binary_cross_entropy_with_logits(said.gate, ended)).item() == pytest.approx(LOSS, rel=1e-6)


def test_what_it_says_by_itself_is_what_the_original_says(net: Net) -> None:
    said = net.speak(IDS[1:, :7], LENGTHS[1:], [Generator()], gate=1.0, longest=30, prenet_dropout=0.0)
    probed(said[:4], SPOKEN, 37)
    assert not said.ended.any()


def test_texts_said_together_are_said_as_each_alone(net: Net) -> None:
    def dice() -> list[Generator]:
        return [Generator().manual_seed(number) for number in (1, 2)]

    gate = 0.3655  # lies where the two arrive at different frames
    both = net.speak(IDS, LENGTHS, dice(), gate=gate, longest=30)
    first = net.speak(IDS[:1], LENGTHS[:1], dice()[:1], gate=gate, longest=30)
    second = net.speak(IDS[1:, :7], LENGTHS[1:], dice()[1:], gate=gate, longest=30)
    assert both.lengths.tolist() == [first.lengths.item(), second.lengths.item()]
    assert both.lengths[0] != both.lengths[1]
    for place, alone in enumerate((first, second)):
        together = both.finished[place, :, : int(alone.lengths)]
        torch.testing.assert_close(together, alone.finished[0], atol=NEAR, rtol=0)
        assert not both.finished[place, :, int(alone.lengths) :].any()
    assert not both.attention[1, :, 7:].any()


@pytest.mark.parametrize("text", TEXTS)
def test_texts_have_their_published_numbers(text: str) -> None:
    assert numbers_of(text) == [int(number) for number in TEXTS[text].split()]


def test_symbols_are_in_their_published_places() -> None:
    assert len(SYMBOLS) == 148
    assert [SYMBOLS.index(symbol) for symbol in ("_", "-", " ", "A", "a", "@AA", "@AA0", "@B", "@ZH")] == [
        *(0, 1, 11, 12, 38, 64, 65, 88, 147)
    ]


def test_mel_spectrograms_are_those_it_was_trained_on() -> None:
    mel = FORMAT(0.2 * (torch.rand(1, 22_050, generator=Generator().manual_seed(0)) - 0.5))
    assert mel.shape == (1, 80, 87)
    assert mel.double().mean().item() == pytest.approx(MEL[0], abs=1e-4)
    assert mel[0, ::20, 40].tolist() == pytest.approx(MEL[1], abs=1e-4)
