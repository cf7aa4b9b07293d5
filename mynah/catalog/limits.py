"""How large a checkpoint may claim to be before it is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds that every honest checkpoint keeps by far.

    Attributes:
        file_bytes: Size of the file.
        pickle_bytes: Size of the part that describes the tensors.
        steps: Instructions in that description.
        nodes: Values in the tree that it describes, each counted as often as it is reached.
        depth: Containers within containers.
        tensors: Number of tensors.
        dimensions: Of one tensor.
        members: Files in the archive.
        expansion: How much larger than the file its content may be once unpacked.
        reuse: How often, on average, tensors may share the same stored bytes.
    """

    file_bytes: int = 32 << 30
    pickle_bytes: int = 256 << 20
    steps: int = 5_000_000
    nodes: int = 2_000_000
    depth: int = 64
    tensors: int = 50_000
    dimensions: int = 8
    members: int = 100_000
    expansion: int = 50
    reuse: int = 4
