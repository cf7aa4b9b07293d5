import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mynah.nets.wave_u_net import Shape, UNet, windowed

SMALL = Shape(levels=3, filters=3, kernel=7, up_kernel=3)
SHAPES = {
    "same": SMALL,
    "same, learned, linear": replace(SMALL, learned=True, tanh=False),
    "context": replace(SMALL, context=True),
    "context, difference": replace(SMALL, context=True, difference=True, channels=2, stems=3),
    "context, learned": replace(SMALL, context=True, learned=True, bias=False),
    "wide output": replace(SMALL, context=True, out_kernel=5),
    "wide output, same": replace(SMALL, out_kernel=5, learned=True),
}


def net(shape: Shape) -> UNet:
    torch.manual_seed(0)
    return UNet(shape).eval().requires_grad_(False)


def noise(*size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        (Shape(), 10_263_028),
        (Shape(difference=True), 10_263_002),
        (Shape(difference=True, channels=2), 10_263_390),
        (Shape(difference=True, channels=2, learned=True), 10_265_550),
        (Shape(difference=True, channels=2, stems=4), 10_263_498),
        (Shape(difference=True, bias=False), 10_258_946),
    ],
)
def test_nets_have_as_many_parameters_as_the_published_ones(shape: Shape, count: int) -> None:
    with torch.device("meta"):
        assert sum(weight.numel() for weight in UNet(shape).parameters()) == count


def test_sizes_of_the_paper() -> None:
    assert Shape(context=True).giving(16_384) == (147_443, 16_389)
    assert Shape().giving(16_384) == (16_384, 16_384)
    assert Shape(levels=14, kernel=5, up_kernel=1, context=True).giving(16_384) == (147_453, 16_385)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_what_is_asked_for_comes_out_and_no_more_is_heard_than_needed(shape: Shape) -> None:
    for wanted in (1, 8, 9, 100):
        heard, given = shape.giving(wanted)
        assert given >= wanted
        assert given - shape.step < wanted or heard == shape.sizes(2)[0]
        assert net(shape)(noise(2, shape.channels, heard)).shape == (2, shape.stems, shape.channels, given)


def test_other_lengths_are_refused() -> None:
    shape = SHAPES["context"]
    heard, _ = shape.giving(50)
    for length in (heard - 1, heard + 1, shape.sizes(1)[0]):
        with pytest.raises(ValueError, match="cannot have"):
            net(shape)(noise(1, 1, length))


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        Shape(kernel=4)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("length", [1, 7, 100, 333])
def test_windows_joined_are_the_whole(shape: Shape, length: int) -> None:
    """The whole: the net once over all of the mix, which is silent before it begins and after it ends."""
    own, mix = net(shape), noise(shape.channels, length)
    around = shape.around if shape.context else 0
    heard, _ = shape.giving(length)
    whole = own(torch.nn.functional.pad(mix, (around, heard - around - length))[None])[0, ..., :length]
    for samples, cut in ((1, 5), (16, 64), (50, 1000)):
        joined = torch.cat(list(windowed(own, iter(mix.split(cut, -1)), samples)), -1)
        torch.testing.assert_close(joined, whole, atol=2e-6, rtol=0)


def test_nothing_comes_of_nothing() -> None:
    assert not list(windowed(net(SHAPES["context"]), iter([]), 16))


def test_a_difference_makes_the_stems_add_up_while_training() -> None:
    shape = SHAPES["context, difference"]
    own, mix = net(shape).train(), 3 * noise(1, 2, shape.giving(60)[0])
    stems = own(mix)
    around = shape.around
    torch.testing.assert_close(stems.sum(1), mix[..., around:-around], atol=1e-6, rtol=0)
    # What is listened to never exceeds full scale, even where the mix does.
    assert stems[:, -1].abs().max() > 1
    assert own.eval()(mix).abs().max() <= 1


def test_between_two_samples_lies_their_mean_or_what_was_learnt() -> None:
    x = torch.tensor([[[1.0, 2.0, 4.0]]])
    doubled = net(Shape(levels=1, filters=1, context=True))._doubled(x, 0)
    assert doubled.tolist() == [[[1, 1.5, 2, 3, 4]]]
    assert net(Shape(levels=1, filters=1))._doubled(x, 0).tolist() == [[[1, 1.5, 2, 3, 4, 4]]]
    learned = net(Shape(levels=1, filters=1, learned=True))
    learned.between[0].fill_(math.log(3))  # a share of three quarters
    torch.testing.assert_close(learned._doubled(x[:, [0, 0]], 0)[0, 0], torch.tensor([1, 1.25, 2, 2.5, 4, 3]))


def test_a_silent_song_without_biases_stays_silent() -> None:
    shape = replace(SMALL, context=True, bias=False)
    own = net(shape)
    assert own(torch.zeros(1, 1, shape.giving(40)[0])).abs().max() == 0
