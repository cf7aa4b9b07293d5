"""Where nets run: the word that the user says, and what this machine has."""

from __future__ import annotations

import torch

from mynah.core.errors import BadOption


def device(name: str) -> str:
    """`auto` takes a CUDA card if there is one, else the CPU, which is fast enough for what is shipped.

    Raises:
        BadOption: No such device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    there = available()
    if name in there:
        return name
    raise BadOption(f"no device {name!r} here: choose auto or {', '.join(there)}")


def available() -> dict[str, str]:
    """Every device, by the word that `--device` takes, with what it is."""
    found = {"cpu": f"{torch.get_num_threads()} threads"}
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        found["cuda"] = cards[0]
        found |= {f"cuda:{index}": card for index, card in enumerate(cards)}
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found
