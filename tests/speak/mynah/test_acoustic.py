import torch

from mynah.speak.mynah.acoustic import Acoustic, AcousticConfig, stretched, whole
from mynah.speak.mynah.tokens import SYMBOLS, pronounced, tokens

TINY = AcousticConfig(channels=8, sounds=(1, 2), frames=(1, 2))


def spoken(texts: list[str], durations: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    net = Acoustic(TINY).eval()
    said = [tokens(text, "de") for text in texts]

    def rows(name: str, fill: int) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence([getattr(one, name) for one in said], True, fill)

    parts = [rows(name, -1 if name == "symbol" else 0) for name in ("symbol", "stress", "manner", "language")]
    zeros = torch.zeros(len(texts), dtype=torch.long)
    x, condition, lasting = net.sounded(*parts, zeros, torch.zeros(len(texts), 2))
    lengths = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in durations], True)
    return net.spoken(x, condition, lengths).content, lasting


def test_a_sentence_sounds_the_same_alone_and_beside_a_longer_one() -> None:
    with torch.no_grad():
        alone, lasting = spoken(["ab"], [[1, 2, 1, 1]])
        beside, both = spoken(["ab", "abcde"], [[1, 2, 1, 1], [1, 2, 2, 2, 2, 3, 1]])
    torch.testing.assert_close(beside[:1, :, :5], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both[:1, :4], lasting, rtol=1e-4, atol=1e-5)


def test_content_is_standardised_as_the_students() -> None:
    with torch.no_grad():
        content, _ = spoken(["ab"], [[1, 2, 1, 1]])
    torch.testing.assert_close(content.mean(1), torch.zeros(1, 5), rtol=0, atol=1e-5)
    torch.testing.assert_close(content.std(1, correction=0), torch.ones(1, 5), rtol=1e-3, atol=1e-3)


def test_every_frame_knows_its_token_and_its_place_in_it() -> None:
    token, place = stretched(torch.tensor([[2, 3]]))
    assert token.tolist() == [[0, 0, 1, 1, 1]]
    torch.testing.assert_close(place[0, :, 0], torch.tensor([0.25, 0.75, 1 / 6, 0.5, 5 / 6]))


def test_rounding_keeps_the_length_of_a_sentence() -> None:
    lasting = torch.rand(200, generator=torch.Generator().manual_seed(1)) * 4 + 1
    durations = whole(lasting)
    assert durations.min() >= 1
    assert abs(int(durations.sum()) - round(lasting.sum().item())) <= 1


def test_pauses_swallow_spaces_and_what_has_no_sound_is_left_out() -> None:
    said = tokens('hˈaloː, "vɛlt" (x).', "de")
    assert "".join(SYMBOLS[number] for number in said.symbol) == "^halo,vɛlt x.$"


def test_marks_alone_are_not_pronounced() -> None:
    assert not pronounced(tokens("... !", "de"))
    assert pronounced(tokens("a", "de"))
