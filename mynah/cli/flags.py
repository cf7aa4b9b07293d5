"""Flags made from what a system declares: one for each field of its `Options`."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any, TypeVar, get_origin

from mynah.core.errors import BadOption
from mynah.core.knob import branches, number_of, words
from mynah.core.verbs import Options

AnyOptions = TypeVar("AnyOptions", bound=Options)

_MARK = "option"  # with a blank after it, which no flag of ours has in its name, so the two kinds cannot meet


def add(
    parser: argparse.ArgumentParser,
    options: type[Options],
    title: str,
    *,
    prefix: str = "",
    without: Collection[str] = (),
) -> None:
    """One flag for each field, with its description, unit, bounds and default as help.

    Where one command takes the options of several, a prefix such as `"convert"` turns `--gain` into `--convert-gain`,
    and fields that the command itself decides on are left out.

    Example:

        >>> class Knobs(Options):
        ...     gain: float = 1.0
        ...     soft_knee: bool = True
        >>> parser = argparse.ArgumentParser()
        >>> add(parser, Knobs, "a mixer")
        >>> chosen(Knobs, parser.parse_args(["--gain", "2", "--no-soft-knee"]))
        Knobs(gain=2.0, soft_knee=False)
    """
    group = parser.add_argument_group(f"options of {title}")
    schemas = options.model_json_schema().get("properties", {})
    for name, field in options.model_fields.items():
        if name in without:
            continue
        schema = schemas[name]
        flag = _flag(name, prefix)
        settings: dict[str, Any] = {
            "dest": f"{_MARK} {prefix} {name}",
            "default": argparse.SUPPRESS,
            "help": _explanation(field.description or "", schema, field.get_default(call_default_factory=True)),
        }
        several = branches(schema)
        if all(branch.get("type") == "boolean" for branch in several):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **settings)
        elif permitted := words(several):
            group.add_argument(flag, choices=permitted, **settings)
        elif get_origin(field.annotation) in (list, tuple, set, frozenset):
            group.add_argument(flag, nargs="+", metavar=_metavar(name, schema, several), **settings)
        else:
            group.add_argument(flag, metavar=_metavar(name, schema, several), **settings)


def chosen(options: type[AnyOptions], args: argparse.Namespace, *, prefix: str = "") -> AnyOptions:
    """The options that were given as flags, with the prefix that they were added with.

    Raises:
        BadOption: One line for each value out of bounds.
    """
    mark = f"{_MARK} {prefix} "
    given = {name.removeprefix(mark): value for name, value in vars(args).items() if name.startswith(mark)}
    kinds = {name: field.annotation for name, field in options.model_fields.items()}
    try:
        return options.of(**{name: number_of(kinds[name], value) for name, value in given.items()})
    except BadOption as error:
        schemas = options.model_json_schema().get("properties", {})
        lines = {}
        for line in str(error).splitlines():
            name = line.partition(":")[0]
            lines[name] = (
                f"{_flag(name, prefix)} is {_wanted(schemas[name])}, not {given[name]!r}" if name in given else line
            )
        raise BadOption("\n".join(lines.values())) from None


def _flag(name: str, prefix: str) -> str:
    return "--" + "-".join(filter(None, (prefix, name.replace("_", "-"))))


def _wanted(schema: dict[str, Any]) -> str:
    """What a value has to be, in words."""
    wanted = []
    for branch in branches(schema):
        kind = {"number": "a number", "integer": "a whole number", "array": "several values"}.get(
            branch.get("type", "")
        )
        if permitted := words([branch]):
            wanted.append(" or ".join(permitted))
        elif kind and "minimum" in branch and "maximum" in branch:
            unit = f" {schema['unit']}" if "unit" in schema else ""
            wanted.append(f"{kind} from {_said(branch['minimum'])} to {_said(branch['maximum'])}{unit}")
        else:
            wanted.append(kind or "a short text")
    return " or ".join(wanted)


def _metavar(name: str, schema: dict[str, Any], several: list[dict[str, Any]]) -> str:
    names = []
    for branch in several:
        if "const" in branch or "enum" in branch:
            names += [str(word) for word in branch.get("enum", [branch.get("const")])]
        elif branch.get("type") in ("number", "integer"):
            names.append(str(schema.get("unit", "number")).replace(" ", "-").upper())
        else:
            names.append(name.upper())
    return "|".join(dict.fromkeys(names))


def _explanation(description: str, schema: dict[str, Any], default: Any) -> str:
    facts = []
    for branch in branches(schema):
        low = branch.get("minimum", branch.get("exclusiveMinimum"))
        high = branch.get("maximum", branch.get("exclusiveMaximum"))
        if low is not None and high is not None:
            facts.append(f"{_said(low)} to {_said(high)}" + (f" {schema['unit']}" if "unit" in schema else ""))
        elif "unit" in schema and branch.get("type") in ("number", "integer"):
            facts.append(str(schema["unit"]))
    if default not in (None, ""):
        facts.append(f"default {_said(default)}")
    return (f"{description} [{', '.join(facts)}]" if facts else description).replace("%", "%%")


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
