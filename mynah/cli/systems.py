"""`mynah systems`: what can do the work, and what one of them is made of."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from mynah.cli.screen import Screen


def flags(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """One optional name."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="tell about this one, such as convert/...")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """A line for each system, importing none; or the card of one."""
    from mynah.core.registry import find, names

    if args.name is None:
        listed = names()
        screen.give({"systems": [{"name": name, "about": about} for name, about in listed.items()]})
        screen.table(list(listed.items()))
        return 0

    from mynah.cli.choice import full
    from mynah.core.verbs import options_of

    name = full(args.name)
    system = find(name)
    card = system.card
    options = {verb: options_of(system, verb).model_json_schema().get("properties", {}) for verb in card.verbs}
    screen.give({"name": name, "about": names()[name], "card": asdict(card), "options": options})
    screen.show(f"{name}\n{names()[name]}\n")
    facts = [("verbs", ", ".join(card.verbs)), ("paper", card.paper or "none"), ("origin", card.origin)]
    if card.extra:
        facts.append(("install", f"pip install 'mynah[{card.extra}]'"))
    facts += [
        (f"weights {label}", f"{weights.source}, {weights.bytes / 1e6:.1f} MB, {weights.license}")
        for label, weights in card.weights.items()
    ]
    screen.table(facts)
    for verb, fields in options.items():
        screen.show(f"\noptions of {verb}")
        screen.table([(f"--{field.replace('_', '-')}", about["description"]) for field, about in fields.items()])
    return 0
