"""Who can do a verb, as a list to choose from; and the controls of whoever was chosen."""

from __future__ import annotations

from collections.abc import Collection

import gradio as gr

from mynah.core.registry import find, full, names
from mynah.core.verbs import Options, options_of
from mynah.serve.asking import system_for
from mynah.studio.controls import Controls
from mynah.studio.words import Words

DEFAULT = "default"


def chooser(verb: str, said: Words, *, label: str, name: str) -> gr.Dropdown:
    """A list of the systems of a verb."""
    usual = short(system_for(verb, DEFAULT))
    able = [(f"{short(system)} · {about}", short(system)) for system, about in names().items() if of(verb, system)]
    return gr.Dropdown(
        [(said("The house's own ({name})", name=usual), DEFAULT), *able], label=label, elem_id=name, interactive=True
    )


def of(verb: str, system: str) -> bool:
    """Whether a system does that."""
    return system.startswith(f"{verb}/")


def short(system: str) -> str:
    """A system's name without its verb."""
    return system.partition("/")[2]


def options_for(verb: str, model: str) -> type[Options]:
    """What the chosen system lets itself be told."""
    return options_of(find(full(system_for(verb, model), verb)), verb)


def adjusted(verb: str, model: str, said: Words, name: str, *, without: Collection[str] = ()) -> Controls | None:
    """A drawer with the controls of the chosen system; none for one that has no options."""
    options = options_for(verb, model)
    if not set(options.model_fields) - set(without):
        return None
    with gr.Accordion(f"{said(verb.capitalize())}: {short(system_for(verb, model))}", open=False):
        return Controls(options, said, name, without=without)
