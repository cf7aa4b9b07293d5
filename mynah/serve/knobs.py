"""Options out of forms, and forms into the OpenAPI document: both made from what the systems declare."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, get_origin

from mynah.core.errors import BadOption
from mynah.core.registry import names
from mynah.core.verbs import Options
from mynah.serve.problems import Problem
from mynah.serve.uploads import Form

FORMATS = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aiff")

Group = tuple[str, type[Options], Collection[str]]
"""Options, what stands before their names in a form, and which of them are left out."""


def chosen(form: Form, options: type[Options], *, prefix: str = "", without: Collection[str] = ()) -> dict[str, Any]:
    """What a form says about the options of one system; it is taken out of the form.

    An option is a field of its own, with `prefix` before its name where one form has the options of several; or a part
    of the field `options`, which is JSON.

    Returns:
        What was given, checked; what keeps its default is left out.

    Raises:
        BadOption: One line for each value that is out of bounds.
    """
    given: dict[str, Any] = {}
    for name, field in options.model_fields.items():
        values = form.fields.get(prefix + name)
        if name in without or values is None:
            continue
        several = get_origin(field.annotation) in (list, tuple, set, frozenset)
        given[name] = form.fields.pop(prefix + name) if several else form.take(prefix + name)
    try:
        return options.of(**given).model_dump(mode="json", exclude_unset=True)
    except BadOption as error:
        raise BadOption("\n".join(prefix + line for line in str(error).splitlines())) from None


def unpacked(form: Form, prefixes: Collection[str] = ()) -> None:
    """Turn the field `options` of a form, a JSON object, into fields of their own.

    Raises:
        Problem: It is no object, or says what a field says too.
    """
    text = form.take("options")
    if not text:
        return
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Problem(400, 'options: a JSON object such as {"gain": 2}', code="invalid_value", param="options")
    for name, value in _flat(told, prefixes).items():
        if name in form.fields:
            raise Problem(400, f"{name}: given twice", code="invalid_value", param=name[:100])
        form.fields[name] = [_text(name, part) for part in (value if isinstance(value, list) else [value])]


def nothing_left(form: Form, known: Collection[str]) -> None:
    """Raises `BadOption` if a form had fields that nobody took."""
    if form.fields:
        raise BadOption(f"there is no option {min(form.fields)[:100]!r}: choose among {', '.join(sorted(known))}")


def _flat(told: Mapping[str, Any], prefixes: Collection[str]) -> dict[str, Any]:
    """`{"convert": {"tune": 1}}` as `{"convert_tune": 1}`."""
    flat: dict[str, Any] = {}
    for name, value in told.items():
        if name in prefixes and isinstance(value, dict):
            flat |= {f"{name}_{inner}": deep for inner, deep in value.items()}
        else:
            flat[name] = value
    return flat


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise Problem(400, f"{name[:100]}: a number, a word, or true or false", code="invalid_value", param="options")


def refuse_places(options: type[Options], given: Mapping[str, Any]) -> None:
    """What somebody asks of a system may name other systems, and no file of this machine.

    Raises:
        BadOption: It does.
    """
    for name, value in given.items():
        field = options.model_fields[name]
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or not extra.get("place") or value == field.default:
            continue
        if value not in {word for system in names() for word in (system, system.partition("/")[2])}:
            raise BadOption(f"{name}: no file of the server can be asked for, only one of its systems by name")


def form_schema(own: Mapping[str, Any], *groups: Group, files: bool = False) -> Any:
    """A request body of the OpenAPI document.

    Args:
        own: Schemas of the fields that are no options.
        groups: Options with their prefix and what is left out of them.
        files: Whether several files may be sent.
    """
    binary: dict[str, Any] = {"type": "string", "format": "binary", "description": "a recording"}
    properties: dict[str, Any] = {"file": {"type": "array", "items": binary} if files else binary, **own}
    for prefix, options, without in groups:
        for name, schema in _fields(options).items():
            if name not in without:
                properties[prefix + name] = schema
    if groups:
        properties["options"] = {"type": "string", "description": "the same options as one JSON object"}
    required = ["file", *(name for name, schema in own.items() if schema.get("minLength"))]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def known(*groups: Group) -> list[str]:
    """Names of all options of a form."""
    return [
        prefix + name for prefix, options, without in groups for name in options.model_fields if name not in without
    ]


@lru_cache(maxsize=64)
def _fields(options: type[Options]) -> dict[str, Any]:
    fields: dict[str, Any] = options.model_json_schema().get("properties", {})
    return fields
