"""Controls from declarations, and back to options."""

from __future__ import annotations

from typing import Annotated, Literal

import gradio as gr
import pytest
from pydantic import Field

from mynah.core.errors import BadOption
from mynah.core.registry import find, names
from mynah.core.verbs import Options, options_of
from mynah.studio.controls import Controls
from mynah.studio.words import Words


class Knobs(Options):
    """One of each kind."""

    gain_db: Annotated[float, Field(ge=-60, le=24, description="louder", json_schema_extra={"unit": "dB"})] = 0.0
    soft: Annotated[bool, Field(description="softly")] = True
    way: Annotated[Literal["up", "down"], Field(description="whither")] = "up"
    move: Annotated[Literal["auto"] | Annotated[float, Field(ge=-36, le=36)], Field(description="so far")] = "auto"
    size: Annotated[Literal[8, 16], Field(description="in bits")] = 16
    most: Annotated[int | None, Field(ge=1, le=9, description="at most")] = None
    names: Annotated[tuple[str, ...], Field(description="whom")] = ()
    word: Annotated[str, Field(description="what")] = "la"


def controls(**values: object) -> list[object]:
    usual = {name: field.get_default() for name, field in Knobs.model_fields.items()}
    return list((usual | values).values())


def test_each_kind_has_its_control() -> None:
    made = Controls(Knobs, Words("en"), "knobs").parts
    kinds = [gr.Slider, gr.Checkbox, gr.Dropdown, gr.Dropdown, gr.Dropdown, gr.Number, gr.Textbox, gr.Textbox]
    assert [type(part) for part in made] == kinds
    assert (made[0].minimum, made[0].maximum, made[0].value) == (-60, 24, 0)
    assert made[0].label == "Gain (dB)"
    assert made[0].info == "louder"


def test_only_what_was_changed_is_asked_for() -> None:
    knobs = Controls(Knobs, Words("en"), "knobs")
    assert knobs.given(controls()) == {}
    given = knobs.given(controls(gain_db=3, soft=False, move="-5", size="8", most=4, names="ann, bo", word="lo"))
    assert given == {
        "gain_db": 3.0, "soft": False, "move": -5.0, "size": 8, "most": 4, "names": ["ann", "bo"], "word": "lo"
    }  # fmt: skip


def test_what_is_out_of_bounds_is_told() -> None:
    with pytest.raises(BadOption, match="Move"):
        Controls(Knobs, Words("en"), "knobs").given(controls(move="99"))


@pytest.mark.parametrize("name", sorted(names()))
def test_every_system_can_be_shown_and_its_defaults_ask_for_nothing(name: str) -> None:
    system = find(name)
    for verb in system.card.verbs:
        shown = Controls(options_of(system, verb), Words("ja"), verb)
        assert shown.given([part.value for part in shown.parts]) == {}
