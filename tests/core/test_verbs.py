from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from mynah.core.errors import BadOption, MynahError
from mynah.core.types import Audio, Voice
from mynah.core.verbs import Converts, Options, options_of


class Knobs(Options):
    gain_db: Annotated[float, Field(ge=-60, le=20)] = 0.0
    scale: Literal["major", "minor"] = "major"


class Turns:
    def convert(self, source: Audio, voice: Voice, options: Knobs | None = None) -> Audio:
        return source

    def speak(self, text: str, options: Knobs) -> str:
        return text

    def separate(self, mix: Audio) -> Audio:
        return mix


@given(st.floats(-60, 20))
def test_what_is_within_bounds_is_taken(gain: float) -> None:
    assert Knobs.of(gain_db=gain) == Knobs(gain_db=gain)


def test_what_is_not_named_keeps_its_default() -> None:
    assert Knobs.of() == Knobs(gain_db=0.0, scale="major")


def test_every_problem_has_one_line_that_says_what_to_do() -> None:
    with pytest.raises(BadOption) as caught:
        Knobs.of(gain_db=99, scale="dorian", gian_db=1)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "gain_db" in lines[0] and "20" in lines[0] and "99" in lines[0]
    assert "'major' or 'minor'" in lines[1]
    assert "'gian_db'" in lines[2] and "gain_db, scale" in lines[2]
    assert isinstance(caught.value, MynahError)


def test_options_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Knobs().gain_db = 3.0  # type: ignore[misc]


def test_a_system_says_which_options_it_takes() -> None:
    assert options_of(Turns, "convert") is Knobs
    assert options_of(Turns, "speak") is Knobs


@pytest.mark.parametrize("verb", ["separate", "sing"])
def test_a_method_without_options_is_told_so(verb: str) -> None:
    with pytest.raises(TypeError, match=f"Turns.{verb}"):
        options_of(Turns, verb)


def test_a_verb_is_held_by_shape_alone() -> None:
    assert isinstance(Turns(), Converts)
    assert not isinstance(object(), Converts)
