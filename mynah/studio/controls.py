"""Sliders, boxes and lists made from what a system declares as its options."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, get_origin

import gradio as gr

from mynah.core.errors import BadOption
from mynah.core.knob import branches, number_of, words
from mynah.core.verbs import Options
from mynah.studio.words import Words

_FINE = 100  # places that a slider has at least


class Controls:
    """One control for each option, in the order of their declaration.

    Attributes:
        parts: The controls, for the inputs of an event.
    """

    def __init__(self, options: type[Options], said: Words, name: str, *, without: Collection[str] = ()) -> None:
        self._options = options
        self._names = [name for name in options.model_fields if name not in without]
        schemas = options.model_json_schema().get("properties", {})
        self.parts = [_control(options, each, schemas[each], said, f"{name}-{each}") for each in self._names]

    def given(self, values: Sequence[Any]) -> dict[str, Any]:
        """What was changed, checked, in words of JSON; what keeps its default is left out.

        Raises:
            BadOption: One line for each value out of bounds.
        """
        told = {}
        for name, value in zip(self._names, values, strict=True):
            field = self._options.model_fields[name]
            if isinstance(value, str) and get_origin(field.annotation) in (list, tuple, set, frozenset):
                value = [part.strip() for part in value.split(",") if part.strip()]
            usual = field.get_default(call_default_factory=True)
            if value not in (None, "", []) and value != usual and str(value) != str(usual):
                told[name] = number_of(field.annotation, value)
        try:
            return self._options.of(**told).model_dump(mode="json", exclude_unset=True)
        except BadOption as error:
            raise BadOption("\n".join(_titled(line) for line in str(error).splitlines())) from None


def _control(options: type[Options], name: str, schema: dict[str, Any], said: Words, id: str) -> Any:
    several = branches(schema)
    usual = options.model_fields[name].get_default(call_default_factory=True)
    unit = str(schema.get("unit", ""))
    label = said(_title(name)) + (f" ({said(unit)})" if unit else "")
    about: dict[str, Any] = {
        "label": label,
        "info": said(schema.get("description", "")),
        "elem_id": id,
        "interactive": True,
    }
    if all(branch.get("type") == "boolean" for branch in several):
        return gr.Checkbox(bool(usual), **about)
    if permitted := words(several):
        return gr.Dropdown([(said(word), word) for word in permitted], value=str(usual), **about)
    if len(several) > 1:  # a number or a word
        known = [(said(word), word) for branch in several for word in words([branch])]
        return gr.Dropdown(known, value=str(usual), allow_custom_value=True, **about)
    [only] = several
    low, high = only.get("minimum"), only.get("maximum")
    if only.get("type") in ("number", "integer"):
        if low is None or high is None or usual is None:
            return gr.Number(usual, precision=0 if only["type"] == "integer" else None, **about)
        return gr.Slider(low, high, usual, step=_step(low, high, whole=only["type"] == "integer"), **about)
    shown = ", ".join(map(str, usual)) if isinstance(usual, list | tuple) else str(usual or "")
    return gr.Textbox(shown, **about)


def _step(low: float, high: float, *, whole: bool) -> float:
    """What a slider moves by: 1, a half, a tenth, ..., so that it has a hundred places or a few more.

    Example:

        >>> _step(-60, 24, whole=False), _step(0, 1, whole=False), _step(0, 400, whole=False), _step(0, 9, whole=True)
        (0.5, 0.01, 1.0, 1)
    """
    if whole:
        return 1
    return next((step for step in (1.0, 0.5, 0.1, 0.05) if (high - low) / step >= _FINE), 0.01)


def _titled(line: str) -> str:
    name, colon, rest = line.partition(":")
    return f"{_title(name)}{colon}{rest}"


def _title(name: str) -> str:
    """What an option is called, without its unit.

    Example:

        >>> _title("high_pass_hz"), _title("key")
        ('High pass', 'Key')
    """
    return re.sub("_(hz|db|seconds)$", "", name).replace("_", " ").capitalize()
