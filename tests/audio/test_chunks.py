from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mynah.audio.chunks import crossfade, map_chunks, regroup

LEFT, RIGHT = 7, 4


def fir(x: Tensor) -> Tensor:
    """Looks `LEFT` steps back and `RIGHT` ahead, with silence around. Whole numbers, so that sums are exact."""
    kernel = torch.arange(1.0, 2.0 + LEFT + RIGHT).view(1, 1, -1).expand(x.shape[0], 1, -1)
    return F.conv1d(F.pad(x, (LEFT, RIGHT)), kernel, groups=x.shape[0])


def numbers(time: int, channels: int = 2) -> Tensor:
    return torch.randint(-100, 100, (channels, time), generator=torch.Generator().manual_seed(time)).float()


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 50), st.integers(0, 9), st.integers(0, 9))
def test_windows_that_cover_the_context_equal_the_whole(
    lengths: list[int], chunk: int, more_left: int, more_right: int
) -> None:
    x = numbers(sum(lengths))
    chunks = list(map_chunks(fir, x.split(lengths, -1), chunk=chunk, left=LEFT + more_left, right=RIGHT + more_right))
    if not x.numel():
        assert chunks == []
    else:
        assert torch.equal(torch.cat(chunks, -1), fir(x))
        assert {part.shape[-1] for part in chunks[:-1]} <= {chunk}


def test_too_little_context_shows() -> None:
    x = numbers(200)
    chunks = list(map_chunks(fir, [x], chunk=20, left=LEFT, right=RIGHT - 1))
    assert not torch.equal(torch.cat(chunks, -1), fir(x))


@given(st.integers(1, 300), st.integers(1, 40))
def test_frames_become_samples(time: int, chunk: int) -> None:
    def decoder(frames: Tensor) -> Tensor:
        return F.interpolate(fir(frames)[None], scale_factor=5, mode="nearest")[0]

    x = numbers(time)
    chunks = list(map_chunks(decoder, x.split(13, -1), chunk=chunk, left=LEFT, right=RIGHT, ratio=5))
    assert torch.equal(torch.cat(chunks, -1), decoder(x))


@given(st.integers(5, 300), st.integers(1, 8))
def test_samples_become_frames(time: int, frames: int) -> None:
    def analysis(samples: Tensor) -> Tensor:  # a frame is centred at its fifth sample and looks at all around it
        return fir(samples)[:, 4::5] if samples.shape[-1] >= 5 else samples[:, :0]

    x = numbers(time)
    pieces = map_chunks(analysis, x.split(17, -1), chunk=5 * frames, left=10, right=5, ratio=Fraction(1, 5))
    assert torch.equal(torch.cat(list(pieces), -1), analysis(x))


def test_the_leading_dimensions_are_the_functions_own() -> None:
    x = numbers(100)
    chunks = map_chunks(lambda part: torch.stack([part, -part]), [x], chunk=30)
    assert torch.cat(list(chunks), -1).shape == (2, 2, 100)


def test_windows_never_grow_and_the_sequence_is_taken_as_it_is_needed() -> None:
    taken, met = 0, []

    def endless() -> Iterator[Tensor]:
        nonlocal taken
        while True:
            taken += 1
            yield torch.zeros(1, 10)

    def function(window: Tensor) -> Tensor:
        met.append(window.shape[-1])
        return window

    results = map_chunks(function, endless(), chunk=20, left=8, right=6)
    for index in range(1, 100):
        assert next(results).shape[-1] == 20
        assert 10 * taken <= 20 * index + 6 + 40
    assert max(met) == 34


@given(st.integers(1, 400), st.integers(2, 60), st.data())
def test_a_crossfade_of_what_agrees_changes_nothing(time: int, chunk: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, chunk // 2))
    x = torch.randn(2, time, generator=torch.Generator().manual_seed(time))
    faded = crossfade(lambda part: part, x.split(11, -1), chunk=chunk, overlap=overlap)
    assert torch.equal(torch.cat(list(faded), -1), x)
    raised = crossfade(lambda part: part.repeat_interleave(3, -1), [x], chunk=chunk, overlap=overlap, ratio=3)
    assert torch.equal(torch.cat(list(raised), -1), x.repeat_interleave(3, -1))


def test_a_crossfade_goes_smoothly_from_one_answer_to_the_next() -> None:
    answers = iter([torch.zeros(1, 100), torch.ones(1, 100)])
    faded = torch.cat(list(crossfade(lambda _: next(answers), [torch.zeros(1, 180)], chunk=100, overlap=20)), -1)[
        0, :180
    ]
    steps = faded.diff()
    assert (steps >= 0).all() and steps.max() <= 0.051
    assert faded[79] == 0 and faded[101] == 1 and faded[80:100].mean() == pytest.approx(0.5)


@given(st.integers(1, 300), st.integers(1, 50), st.integers(0, 20))
def test_no_window_of_a_crossfade_is_shorter_than_its_overlap(time: int, step: int, overlap: int) -> None:
    chunk = step + 2 * overlap
    met: list[int] = []

    def function(window: Tensor) -> Tensor:
        met.append(window.shape[-1])
        return window

    list(crossfade(function, [torch.zeros(1, time)], chunk=chunk, overlap=overlap))
    assert all(length == chunk for length in met[:-1]) and min(time, overlap + 1) <= met[-1] <= chunk


def test_chunks_that_would_not_meet_are_refused() -> None:
    x = torch.zeros(1, 100)
    for arguments in (
        {"chunk": 7, "ratio": Fraction(1, 5)},
        {"chunk": 10, "left": 3, "ratio": Fraction(1, 5)},
        {"chunk": 0},
        {"chunk": 5, "left": -1},
    ):
        with pytest.raises(ValueError, match=r"whole number|at least"):
            list(map_chunks(fir, [x], **arguments))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="half the chunk"):
        list(crossfade(fir, [x], chunk=10, overlap=6))


def test_regrouping_keeps_order_and_number() -> None:
    pieces = list(regroup(numbers(103).split([3, 50, 0, 50], -1), 10))
    assert [piece.shape[-1] for piece in pieces] == [10] * 10 + [3]
    assert torch.equal(torch.cat(pieces, -1), numbers(103))
    assert list(regroup([], 10)) == []
