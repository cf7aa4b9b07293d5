"""One option of a system as a face shows it: what its schema permits, and what somebody typed as pydantic takes it."""

from __future__ import annotations

from typing import Any, get_args


def branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """What a value may be, one schema for each kind; nothing at all is left out.

    Example:

        >>> branches({"anyOf": [{"const": "auto"}, {"type": "number"}, {"type": "null"}]})
        [{'const': 'auto'}, {'type': 'number'}]
    """
    return [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]


def words(several: list[dict[str, Any]]) -> list[str]:
    """Every permitted word, if words are all that is permitted."""
    found: list[str] = []
    for branch in several:
        if "enum" not in branch and "const" not in branch:
            return []
        found += [str(word) for word in branch.get("enum", [branch.get("const")])]
    return found


def number_of(kind: Any, value: Any) -> Any:
    """Literals such as 12 arrive as text; pydantic turns text into numbers everywhere else."""
    for word in get_args(kind):
        if not isinstance(word, str | type) and str(word) == value:
            return word
    return value
