"""Voices between voices: `"anna:0.7,ben:0.3"`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mynah.core.errors import BadOption, BadVoice
from mynah.core.types import Terms, Voice
from mynah.voices.enrolment import BANK_FRAMES, spread

_PRIVATE = "LicenseRef-Private"


def parts_of(spec: str) -> list[tuple[str, float]]:
    """Names and weights of a mixture; the weights add up to 1, and a name without one counts as 1 before that.

    Raises:
        BadOption: An empty name, or weights that are negative, not finite, or all zero.

    Example:

        >>> parts_of("anna:3, ben")
        [('anna', 0.75), ('ben', 0.25)]
    """
    weights: dict[str, float] = {}
    for part in spec.split(","):
        name, colon, number = part.rpartition(":")
        try:
            weight = float(number) if colon else 1.0
        except ValueError:
            raise BadOption(
                f"{part.strip()!r} is no part of a mixture: write names and weights, as in 'a:0.7,b:0.3'"
            ) from None
        name = (name if colon else number).strip()
        if not name or not math.isfinite(weight) or weight < 0:
            raise BadOption(
                f"{part.strip()!r} is no part of a mixture: each is a name with a weight above 0, as in 'a:0.7,b:0.3'"
            )
        weights[name] = weights.get(name, 0.0) + weight
    total = sum(weights.values())
    if not 0 < total < math.inf:
        raise BadOption(f"the weights of the mixture {spec!r} add up to {total:g}: at least one has to be above 0")
    return [(name, weight / total) for name, weight in weights.items() if weight]


def mix(parts: Sequence[tuple[Voice, float]]) -> Voice:
    """One voice from several.

    Vectors are averaged and brought back to unit length, ranges averaged on the scale of notes, banks joined in
    proportion, licences and attributions joined. What was trained for one voice alone has no place in a mixture and is
    left out.

    Imported voices of one system have vectors that it alone understands: there the mixture says who is in it, and the
    system does the rest.

    Args:
        parts: Voices and weights; the weights add up to 1.

    Raises:
        BadVoice: Voices without a vector, of different encoders, or of different systems; or opposites.
    """
    owners = {voice.system for voice, _ in parts if voice.embedding is None and voice.weights is not None}
    if len(owners) == 1 and all(voice.system in owners for voice, _ in parts):
        return _named(parts)
    for voice, _ in parts:
        if voice.embedding is None:
            raise BadVoice(f"the voice {voice.name!r} has no vector, so it cannot be mixed")
    encoders = sorted({voice.encoder for voice, _ in parts})
    if len(encoders) > 1:
        raise BadVoice(f"voices heard by different encoders ({', '.join(encoders)}) cannot be mixed: enrol them again")
    systems = sorted({voice.system for voice, _ in parts} - {""})
    if len(systems) > 1:
        raise BadVoice(f"voices made for different systems ({', '.join(systems)}) cannot be mixed")
    vectors = [voice.embedding for voice, _ in parts if voice.embedding is not None]
    if len({vector.shape for vector in vectors}) > 1:
        raise BadVoice("voices with vectors of different lengths cannot be mixed")
    vector = torch.stack([weight * vector for vector, (_, weight) in zip(vectors, parts, strict=True)]).sum(0)
    if float(vector.norm()) < 1e-3:
        raise BadVoice("these voices are opposites, and nothing is left between them: choose other weights")
    return replace(
        _named(parts),
        embedding=F.normalize(vector, dim=0),
        encoder=encoders[0],
        system=systems[0] if systems else "",
    )


def _named(parts: Sequence[tuple[Voice, float]]) -> Voice:
    """Who is in it, and what needs no vector."""
    low, high = (
        math.exp(sum(weight * math.log(voice.range_hz[end]) for voice, weight in parts))
        if all(voice.range_hz[0] > 0 for voice, _ in parts)
        else 0.0
        for end in (0, 1)
    )
    return Voice(
        name=",".join(f"{voice.name}:{weight:.3g}" for voice, weight in parts),
        range_hz=(low, high),
        bank=_joined(parts),
        system=parts[0][0].system,
        parts=_parts(parts),
        terms=_terms(voice for voice, _ in parts),
    )


def _parts(parts: Sequence[tuple[Voice, float]]) -> tuple[tuple[str, float], ...]:
    """Who is in it; a mixture of mixtures is one of those who are in them."""
    shares: dict[str, float] = {}
    for voice, weight in parts:
        for name, share in voice.parts or ((voice.name, 1.0),):
            shares[name] = shares.get(name, 0.0) + weight * share
    return tuple(shares.items())


def _joined(parts: Sequence[tuple[Voice, float]]) -> Tensor | None:
    banks = [(voice.bank, weight) for voice, weight in parts if voice.bank is not None]
    # Frames of one of two voices alone would pull the mixture to that side.
    if len(banks) < len(parts) or len({bank.shape[1] for bank, _ in banks}) > 1:
        return None
    total = min(BANK_FRAMES, *(int(len(bank) / weight) for bank, weight in banks))
    return torch.cat([bank[spread(len(bank), max(1, round(total * weight)))] for bank, weight in banks])


def _terms(voices: Iterable[Voice]) -> Terms:
    terms = [voice.terms for voice in voices]
    named = dict.fromkeys(part.strip() for term in terms for part in term.license.split(" AND ") if part.strip())
    if named and not all(term.license for term in terms):
        named[_PRIVATE] = None
    people = dict.fromkeys(part for term in terms for part in term.attribution.split("; ") if part)
    return Terms(" AND ".join(named), "; ".join(people))
