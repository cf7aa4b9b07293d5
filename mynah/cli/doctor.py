"""`mynah doctor`: what this installation consists of, and whether it is well."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from mynah.cli.screen import Screen

SCARCE_BYTES = 1_000_000_000


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """None of its own."""
    parser.epilog = "Exits with 2 if something is broken: weights that are damaged, a library that does not load."


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Look at everything; complain about what is broken and say what to do."""
    from mynah import __version__
    from mynah.catalog.home import VARIABLE, cache, home
    from mynah.cli.devices import available

    devices = available()
    needed, extras = libraries()
    weights = list(published())
    places = [
        ("voices and settings", home(), VARIABLE if os.environ.get(VARIABLE) else ""),
        ("fetched weights", cache(), ""),
        ("temporary files", Path(tempfile.gettempdir()), ""),
    ]
    spaces: list[dict[str, Any]] = [
        {"what": what, "path": path, "set_by": origin, "free_bytes": free_bytes(path)} for what, path, origin in places
    ]
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    screen.give(
        {
            "mynah": __version__,
            "python": platform.python_version(),
            "executable": sys.executable,
            "platform": system,
            "devices": devices,
            "libraries": needed,
            "extras": extras,
            "weights": weights,
            "places": spaces,
        }
    )
    screen.show(f"mynah {__version__}, Python {platform.python_version()}, {system}\n\ndevices")
    screen.table([(f"  {name}", what) for name, what in devices.items()])
    screen.show("\nlibraries")
    screen.table([(f"  {name}", found or "missing") for name, found in needed.items()])
    screen.show("\nextras")
    screen.table(
        [
            (f"  {extra}", "installed" if not lacking else f"pip install 'mynah[{extra}]' (lacks {', '.join(lacking)})")
            for extra, lacking in extras.items()
        ]
    )
    screen.show("\nweights")
    screen.table([(f"  {row['system']}", row["name"], megabytes(row["bytes"]), row["state"]) for row in weights])
    screen.show("\nplaces")
    screen.table([(f"  {row['what']}", f"{gigabytes(row['free_bytes'])} free", row["path"]) for row in spaces])

    troubles = [f"{name} is missing: pip install mynah brings it" for name, found in needed.items() if not found]
    troubles += [f"the weights {row['name']} of {row['system']}: {row['trouble']}" for row in weights if row["trouble"]]
    for row in spaces:
        if row["free_bytes"] < SCARCE_BYTES:
            screen.complaint(f"{row['path']} has only {megabytes(row['free_bytes'])} left for {row['what']}")
    for trouble in troubles:
        screen.complaint(trouble)
    screen.give({"troubles": troubles})
    screen.show("\nAll is well." if not troubles else "")
    return 2 if troubles else 0


def libraries() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Versions of what is always needed, and what each extra still lacks."""
    needed: dict[str, str] = {}
    extras: dict[str, list[str]] = {}
    for requirement in requires("mynah") or []:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is None:
            continue
        extra = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", requirement)
        if extra is None:
            needed[name[0]] = installed(name[0])
        elif extra[1] not in ("all", "dev"):
            lacking = extras.setdefault(extra[1], [])
            if not installed(name[0]):
                lacking.append(name[0])
    return needed, extras


def installed(library: str) -> str:
    """Its version, or nothing."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def published() -> list[dict[str, Any]]:
    """Every set of weights on the systems' cards: on this machine or not, and whole or damaged."""
    from mynah.catalog.weights import fetch, place_of
    from mynah.core.errors import MynahError
    from mynah.core.registry import find, names

    rows = []
    for name in names():
        for label, weights in find(name).card.weights.items():
            state, trouble = "here, checksum right", ""
            if not weights.source.startswith("shipped:") and not place_of(weights).exists():
                state = "will be fetched when needed"
            else:
                try:
                    fetch(weights)
                except MynahError as error:
                    state, trouble = "broken", str(error)
            rows.append(
                {"system": name, "name": label, "source": weights.source, "bytes": weights.bytes,
                 "license": weights.license, "state": state, "trouble": trouble}
            )  # fmt: skip
    return rows


def free_bytes(path: Path) -> int:
    """On the disk where `path` lies, or would lie."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def megabytes(count: int) -> str:
    """For people."""
    return f"{count / 1e6:.1f} MB"


def gigabytes(count: int) -> str:
    """For people."""
    return f"{count / 1e9:.1f} GB"
