"""SV2TTS against Real-Time Voice Cloning, run once on the same made-up weights, with dropout taken out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mynah.features.ge2e import GE2E
from mynah.speak.sv2tts.net import FORMAT, Config, Synthesizer, trimmed
from mynah.speak.sv2tts.published import EPSILON, STEP
from mynah.speak.sv2tts.recipe.speakers import SLOWER, Similarity
from mynah.speak.sv2tts.text import SYMBOLS, numbers_of

SMALL = Config(letter=16, reading=16, attention=8, units=20, finish=24, voice=10, bands=12)
LETTERS = torch.tensor([[30, 31, 45, 40, 65, 12, 1], [33, 50, 1, 0, 0, 0, 0]])


def sines(shape: torch.Size, phase: int) -> Tensor:
    wave = torch.sin(torch.arange(max(1, shape.numel()), dtype=torch.float64) * 1.7 + phase)
    return (wave / (shape[-1] if shape else 1) ** 0.5).float().reshape(shape)


def made_up(net: nn.Module) -> dict[str, Tensor]:
    """Weights that any machine makes alike."""
    state = dict(net.state_dict())
    for phase, name in enumerate(sorted(state)):
        if state[name].is_floating_point() and not name.endswith("stop_threshold"):
            state[name] = sines(state[name].shape, phase)
            if name.endswith("running_var"):
                state[name] = 1 + 0.5 * state[name].abs() * state[name].shape[-1] ** 0.5
    return state


def close(found: Tensor, expected: list[float], tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), atol=tolerance, rtol=0)


@pytest.fixture(scope="module")
def net() -> Synthesizer:
    net = Synthesizer(SMALL).eval().requires_grad_(False)
    net.load_state_dict(made_up(net))
    net.decoder.r.fill_(2)
    return net


@pytest.fixture(scope="module")
def voices() -> Tensor:
    return F.normalize(torch.sin(torch.arange(20, dtype=torch.float64) * 0.9).float().reshape(2, 10), dim=1)


@pytest.fixture(scope="module")
def encoder() -> GE2E:
    encoder = GE2E(epsilon=EPSILON)
    encoder.load_state_dict(made_up(encoder))
    return encoder.eval().requires_grad_(False)


def test_teacher_forced_it_says_what_the_original_says(net: Synthesizer, voices: Tensor) -> None:
    mel = 3 * torch.sin(torch.arange(2 * 12 * 12, dtype=torch.float64) * 0.23).float().reshape(2, 12, 12)
    said = net(LETTERS, voices, mel, drop=False)
    close(said.raw[1, 3, :4], [-0.60746658, 0.41761851, -0.59354770, 0.41993478])
    close(said.mel[0, 5, -3:], [-0.14515507, -0.11008085, -0.09789175])
    close(said.shares[1, 5, :3], [0.13509688, 0.13428937, 0.13345461])
    close(said.ended[0, [1, 11]], [0.52299303, 0.52683759])
    assert said.raw.double().abs().sum().item() == pytest.approx(107.27913, abs=1e-4)
    assert said.mel.double().abs().sum().item() == pytest.approx(44.308505, abs=1e-4)


def test_by_itself_it_says_what_the_original_says(net: Synthesizer, voices: Tensor) -> None:
    said = net.speak(LETTERS[:1], voices[:1], longest=20, drop=False)
    assert said.raw.shape == (1, 12, 14)  # it stops there
    close(said.raw[0, 2, -4:], [-0.02080092, -0.30767024, -0.02065849, -0.30739591])
    close(said.mel[0, 7, -4:], [-0.11689699, -0.11086329, -0.07295872, -0.06247231])
    close(said.shares[0, 5, :3], [0.14384019, 0.14296573, 0.14206436])
    assert said.mel.double().abs().sum().item() == pytest.approx(28.887374, abs=1e-4)


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        net = Synthesizer(Config())
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert (sum(value.numel() for value in net.parameters()), len(shapes)) == (30_870_177, 170)
    assert shapes["encoder_proj.weight"] == (128, 512)
    assert shapes["decoder.mel_proj.weight"] == (1600, 1024)
    assert shapes["decoder.stop_proj.weight"] == (1, 1536)
    assert shapes["postnet.pre_highway.weight"] == (512, 80)
    assert "encoder.cbhg.pre_highway.weight" not in shapes


def test_the_encoder_hears_what_the_original_hears(encoder: GE2E) -> None:
    power = torch.sin(torch.arange(3 * 160 * 40, dtype=torch.float64) * 0.05).float().abs().reshape(3, 160, 40)
    heard = encoder(power)
    close(heard[1, [7, 100, 255, 3]], [0.0, 0.07115053, 0.07210576, 0.0])
    assert heard.double().sum().item() == pytest.approx(28.565951, abs=1e-4)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (40_000, [0.00963893, 0.00235458, 0.0, 0.0]),
        (60_000, [0.00984933, 0.00140145, 0.02112138, 0.01676222]),
        (8_000, [0.00179152, 0.0, 0.07164759, 0.0743518]),
    ],
)
def test_a_recording_is_heard_as_the_original_hears_it(encoder: GE2E, samples: int, expected: list[float]) -> None:
    t = torch.arange(samples, dtype=torch.float64) / 16_000
    beating = 0.3 * torch.sin(2 * torch.pi * 220 * t) * (1 + 0.5 * torch.sin(2 * torch.pi * 3 * t))
    close(encoder.embed_wave(beating.float(), step=STEP)[[0, 10, 100, 255]], expected, 2e-6)


def test_the_loss_of_the_encoder_and_its_gradient() -> None:
    raw = torch.sin(torch.arange(4 * 5 * 256, dtype=torch.float64) * 0.37).float().reshape(4, 5, 256).abs()
    vectors, similarity = F.normalize(raw, dim=2).requires_grad_(), Similarity()
    loss = similarity.loss(vectors)
    loss.backward()
    assert loss.item() == pytest.approx(1.68936944, abs=1e-6)
    assert vectors.grad is not None and similarity.similarity_weight.grad is not None
    close(vectors.grad[1, 2, [0, 50, 200]], [-0.00591277, -0.00549413, -0.00394399])
    assert vectors.grad.double().abs().sum().item() == pytest.approx(41.932003, abs=1e-4)
    close(similarity.similarity_weight.grad, [SLOWER * 0.04054779], 1e-8)


def test_texts_become_the_symbols_of_the_original() -> None:
    assert len(SYMBOLS) == 66
    # Stored from text_to_sequence of the original.
    stored = {
        "Dr. Smith owes me $3.50; OK?": [
            31,
            42,
            30,
            47,
            42,
            45,
            65,
            46,
            40,
            36,
            47,
            35,
            65,
            42,
            50,
            32,
            46,
            65,
            40,
            32,
            65,
            47,
            35,
            45,
            32,
            32,
            65,
            31,
            42,
            39,
            39,
            28,
            45,
            46,
            59,
            65,
            33,
            36,
            33,
            47,
            52,
            65,
            30,
            32,
            41,
            47,
            46,
            63,
            65,
            42,
            38,
            64,
            1,
        ],
        'It\'s 1999, (the 2nd) "time" - no: 12,000!': [
            36,
            47,
            55,
            46,
            65,
            41,
            36,
            41,
            32,
            47,
            32,
            32,
            41,
            65,
            41,
            36,
            41,
            32,
            47,
            52,
            60,
            41,
            36,
            41,
            32,
            59,
            65,
            57,
            47,
            35,
            32,
            65,
            46,
            32,
            30,
            42,
            41,
            31,
            58,
            65,
            56,
            47,
            36,
            40,
            32,
            56,
            65,
            60,
            65,
            41,
            42,
            62,
            65,
            47,
            50,
            32,
            39,
            49,
            32,
            65,
            47,
            35,
            42,
            48,
            46,
            28,
            41,
            31,
            54,
            1,
        ],
        " Été\t\n_~ & more ": [32, 47, 32, 65, 65, 65, 40, 42, 45, 32, 1],
    }
    for text, numbers in stored.items():
        assert numbers_of(text) == numbers


def test_spectrograms_are_those_of_the_original() -> None:
    t = torch.arange(9000, dtype=torch.float64) / FORMAT.rate
    beating = 0.4 * torch.sin(2 * torch.pi * 220 * t) * (1 + 0.5 * torch.sin(2 * torch.pi * 3 * t))
    mel = FORMAT((beating + 0.05 * torch.sin(2 * torch.pi * 2500 * t)).float()[None])[0]
    assert mel.shape == (80, 46)
    close(mel[[3, 50, 10], [0, 20, 8]], [1.06974911, 1.20140428, -4.0], 1e-3)


def test_silence_at_the_end_is_cut() -> None:
    mel = torch.full((80, 9), -4.0)
    mel[3, 2] = mel[7, 5] = 0
    assert trimmed(mel).shape == (80, 6)
    assert trimmed(torch.full((80, 9), -4.0)).shape == (80, 1)
