"""The published Demucs models: where each file lies, and which files make a bag.

The first eight digits of each checksum are part of the file's name. The whole ones were never published by the
authors; they are those that others measured on what they fetched, and every one begins with the digits in its name.
Of the four files of `mdx_q` nobody wrote down more than these digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mynah.core.system import Weights

_ROOT = "https://dl.fbaipublicfiles.com/demucs/"
LICENSE = "MIT"


@dataclass(frozen=True)
class Bag:
    """Several nets whose answers are averaged.

    Attributes:
        files: Their names among the weights, in order.
        weights: Of each net for each stem, `[net][stem]`; alike when empty.
        segment: Seconds that each net is given at once; its own when `None`.
    """

    files: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...] = ()
    segment: float | None = None


_V3, _V4 = "mdx_final/", "hybrid_transformer/"
_FILES: Mapping[str, tuple[str, str, str, int]] = {
    "default": (_V4, "955717e8", "8726e21a993978c7ba086d3872e7608d7d5bfca646ca4aca459ffda844faa8b4", 84_141_911),
    "htdemucs_ft/f7e0c4bc": (
        *(_V4, "f7e0c4bc", "ba3fe64ae8ef66ac9a4857222ce48efbdc5eb3ad375cb79dd13debee5aaa4066", 84_141_271),
    ),
    "htdemucs_ft/d12395a8": (
        *(_V4, "d12395a8", "e57c48e6b0e38af4f7118d7bd08c49f0a0c0edf7d09143bdd902ea0d237303e6", 84_141_271),
    ),
    "htdemucs_ft/92cfc3b6": (
        *(_V4, "92cfc3b6", "ef3bcb9c8b40d14ae5d51b6db2587339cc12c6b77c0be151ce6d69002e087bf2", 84_141_271),
    ),
    "htdemucs_ft/04573f0d": (
        *(_V4, "04573f0d", "f3cf25b222c4eed7cd49dd8b2c9597d50c18bd154090f7b919cfa5f93cf22c49", 84_141_271),
    ),
    "htdemucs_6s": (_V4, "5c90dfd2", "34c22ccb381c6f9fdbf324f04e1e2fe21aaaf293f5ded163a162697ff9a02ddd", 54_996_327),
    "hdemucs_mmi": (_V4, "75fc33f5", "1941ce654b11df4132b9f4eae408556b4c83fad6fe26b4bc0dbcb36b975befb3", 167_407_275),
    "mdx/0d19c1c6": (_V3, "0d19c1c6", "0f06f20ed6ddc8058fa72ccc4845f3a88916eff7d007b623924193de217bbcf4", 178_048_329),
    "mdx/7ecf8ec1": (_V3, "7ecf8ec1", "70f50cc947d08f32e6dd8e2b687d398fa5ef9e51d1bd7600e32205d1f44be6b9", 178_048_329),
    "mdx/c511e2ab": (_V3, "c511e2ab", "fe6987756a7087d339bf63b19bb481b12cea02d3bc0de7583df7597210209649", 167_334_095),
    "mdx/7d865c68": (_V3, "7d865c68", "3d5dd56b5bc986f136dff98655ded22b2b033f465ccec7a28640a6b15fd71ed6", 167_918_783),
    "mdx_extra/e51eebcc": (
        *(_V3, "e51eebcc", "c1b80bdd6de58274abf359e66822a76f49ce2b9f086fc5dc917ac14598e6bebf", 167_399_275),
    ),
    "mdx_extra/a1d90b5c": (
        *(_V3, "a1d90b5c", "ae9d245283bf24b552913ee233a1101dcd0aeaed59b1c0a2da0e1f6eda15101b", 167_391_595),
    ),
    "mdx_extra/5d2d6c55": (
        *(_V3, "5d2d6c55", "db83574e05b2308f76e2764819da673f2d16d437b9e619f5fcb72f275fc0e24f", 167_391_595),
    ),
    "mdx_extra/cfa93e08": (
        *(_V3, "cfa93e08", "61801ae1567d606c97a9c3469e943ae306d0a873eeb60d623ae7cfc7042b3f68", 167_399_275),
    ),
    "mdx_q/6b9c2ca1": (_V3, "6b9c2ca1", "3fd82607", 59_648_321),
    "mdx_q/b72baf4e": (_V3, "b72baf4e", "8778635e", 44_368_175),
    "mdx_q/42e558d4": (_V3, "42e558d4", "196e0e1b", 58_227_087),
    "mdx_q/305bc58f": (_V3, "305bc58f", "18378783", 46_847_123),
    "mdx_extra_q/83fc094f": (
        *(_V3, "83fc094f", "4a16d450fd8c9277494e23865cadaa4a3e64141c45411d84243b8c95ea4b7cae", 50_756_993),
    ),
    "mdx_extra_q/464b36d7": (
        *(_V3, "464b36d7", "e5a9386ecbf6f30bb2bdc7ae162f471d87f3b5bffba1a8cb2cebe4403280967e", 38_893_153),
    ),
    "mdx_extra_q/14fc6a69": (
        *(_V3, "14fc6a69", "a89dd0eeb547221dcfd6c0a47baa768ce0bce548eaf86b9a404d6b1088b5d22f", 38_491_885),
    ),
    "mdx_extra_q/7fd6ef75": (
        *(_V3, "7fd6ef75", "a905dd8548f7389f1a3686c24c09d7bee61b716e3372e778e2acec88333ecdf4", 39_436_529),
    ),
}
WEIGHTS = {
    name: Weights(f"{_ROOT}{folder}{signature}-{sha256[:8]}.th", sha256, count, LICENSE)
    for name, (folder, signature, sha256, count) in _FILES.items()
}


def _bag(name: str, weights: tuple[tuple[float, ...], ...] = (), segment: float | None = 44) -> Bag:
    return Bag(tuple(file for file in WEIGHTS if file.startswith(f"{name}/")), weights, segment)


_FINE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_MIXED = ((1.0, 1.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (1.0, 0.0, 1.0, 1.0), (1.0, 0.0, 1.0, 1.0))
BAGS = {
    "htdemucs": Bag(("default",)),
    "htdemucs_6s": Bag(("htdemucs_6s",)),
    "hdemucs_mmi": Bag(("hdemucs_mmi",), segment=44),
    "htdemucs_ft": _bag("htdemucs_ft", _FINE, segment=None),
    "mdx": _bag("mdx", _MIXED),
    "mdx_extra": _bag("mdx_extra"),
    "mdx_q": _bag("mdx_q", _MIXED),
    "mdx_extra_q": _bag("mdx_extra_q"),
}

# Of the first two versions the addresses and checksums are known, but not the sizes, so that nobody could say how much
# there is to fetch: these are brought by hand.
OLDER = {
    **{
        name: f"{_ROOT}v2.0/{file}"
        for name, file in (
            *(("demucs_v1", "demucs.th.gz"), ("demucs_extra_v1", "demucs_extra.th.gz")),
            *(("light_v1", "light.th.gz"), ("light_extra_v1", "light_extra.th.gz")),
        )
    },
    **{
        name: f"{_ROOT}v3.0/{file}"
        for name, file in (
            *(("demucs_v2", "demucs-e07c671f.th"), ("demucs48_hq_v2", "demucs48_hq-28a1282c.th")),
            *(("demucs_extra_v2", "demucs_extra-3646af93.th"), ("demucs_quantized_v2", "demucs_quantized-07afea75.th")),
        )
    },
}
