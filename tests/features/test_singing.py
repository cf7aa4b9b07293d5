"""What nets of singers count in."""

import pytest
import torch

from mynah.features.singing import counted


def test_nets_count_in_what_is_said() -> None:
    assert counted("float32", "cpu") == torch.float32
    assert counted("bfloat16", "cpu") == torch.bfloat16


@pytest.mark.parametrize(("able", "wanted"), [({"avx512_bf16": True}, torch.bfloat16), ({}, torch.float32)])
def test_what_the_processor_can_do_decides(
    able: dict[str, bool], wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert counted("auto", "cpu") == wanted
    assert counted("auto", "cuda:0") == torch.float32
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert counted("auto", "cpu") == torch.float32
