"""The folder is the registry: `mynah/convert/rvc.py` is the system `convert/rvc`."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from mynah.core.errors import UnknownSystem
from mynah.core.system import System
from mynah.core.verbs import VERBS

_ROOT = Path(__file__).parent.parent


def names() -> dict[str, str]:
    """Every system with the first line of its docstring, importing none of them.

    Example:

        >>> names()["convert/hum"]
        'Hum: a bare sine hums the melody at the loudness of the source.'
    """
    found = {}
    for verb in VERBS:
        for module in pkgutil.iter_modules([str(_ROOT / verb)]):
            path = _ROOT / verb / module.name
            source = path / "__init__.py" if module.ispkg else path.with_suffix(".py")
            found[f"{verb}/{module.name}"] = _first_line(source)
    return found | {name: f"plugin {point.value}" for name, point in _plugins().items()}


@cache
def _first_line(source: Path) -> str:
    return (ast.get_docstring(ast.parse(source.read_text("utf-8"))) or "").partition("\n")[0]


def full(name: str, verb: str) -> str:
    """A system's name with its verb, which may be left out where only one verb is meant.

    Example:

        >>> full("hum", "convert"), full("sing/hum", "convert")
        ('convert/hum', 'sing/hum')
    """
    return name if "/" in name else f"{verb}/{name}"


def find(name: str) -> type[System[Any]]:
    """The system class behind a name such as `convert/rvc`.

    Raises:
        UnknownSystem: No such system; the message lists those there are.
    """
    if point := _plugins().get(name):
        plugin: type[System[Any]] = point.load()
        return plugin
    if name not in names():
        raise UnknownSystem(f"no system {name!r}; there are {', '.join(names())}")
    module = importlib.import_module("mynah." + name.replace("/", "."))
    [system] = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, System) and thing.__module__ == module.__name__
    ]
    return system


def those(protocol: type, module: str = "") -> dict[str, type[System[Any]]]:
    """Every system that does more than its verb, such as `Adopts`.

    Args:
        protocol: What they do.
        module: Which of their modules does it. Only systems whose folder has it are imported, and plugins; by default
            all are.
    """
    plugins = _plugins()
    asked = [name for name in names() if not module or name in plugins or (_ROOT / name / f"{module}.py").is_file()]
    found = {name: find(name) for name in asked}
    return {name: system for name, system in found.items() if issubclass(system, protocol)}


def _plugins() -> dict[str, EntryPoint]:
    """Systems of other packages: entry points of the group `mynah.systems`, named like `convert/theirs`."""
    return {point.name: point for point in entry_points(group="mynah.systems")}
