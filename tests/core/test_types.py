import dataclasses

import pytest
import torch

from mynah.core.types import Audio, Contour, Terms, Voice


def test_seconds_are_samples_over_rate() -> None:
    assert Audio(torch.zeros(2, 24_000), rate=16_000).seconds == 1.5


@pytest.mark.parametrize(
    "thing",
    [
        Audio(torch.zeros(1, 4), rate=4),
        Contour(torch.zeros(4), hop_seconds=0.01, unit="Hz"),
        Voice("anybody", range_hz=(80.0, 800.0)),
        Terms("CC0-1.0", "nobody"),
    ],
)
def test_what_flows_cannot_be_changed(thing: object) -> None:
    first, *_ = dataclasses.fields(thing)  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(thing, first.name, None)


def test_sounds_and_voices_can_be_keys() -> None:
    sound = Audio(torch.zeros(1, 4), rate=4)
    assert sound in {sound}
    assert sound != Audio(torch.zeros(1, 4), rate=4)  # identity: comparing tensors would give a tensor
