"""Flags made from declarations."""

from __future__ import annotations

import argparse
from typing import Annotated, Literal

import pytest
from pydantic import Field

from mynah.cli.flags import add, chosen
from mynah.core.errors import BadOption
from mynah.core.registry import find, names
from mynah.core.verbs import Options, options_of


class Knobs(Options):
    """One of every kind."""

    gain: Annotated[float, Field(ge=-60, le=12, description="Louder.", json_schema_extra={"unit": "dB"})] = 0.0
    steps: Annotated[int, Field(ge=1, le=8, description="How often, 50 % at least.")] = 2
    dry: Annotated[bool, Field(description="No room.")] = True
    taste: Annotated[Literal["sweet", "sour"], Field(description="Of it.")] = "sweet"
    size: Annotated[Literal[256, 512], Field(description="Of windows.")] = 256
    shift: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=-24, le=24)],
        Field(description="Move.", json_schema_extra={"unit": "semitones"}),
    ] = "auto"
    notes: Annotated[tuple[int, ...], Field(description="Of the scale.")] = ()
    name: Annotated[str | None, Field(description="Of it all.")] = None


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="x", allow_abbrev=False, exit_on_error=False)
    add(made, Knobs, "a mixer")
    return made


def given(*arguments: str) -> Options:
    return chosen(Knobs, parser().parse_args(arguments))


def test_nothing_given_gives_the_defaults() -> None:
    assert given() == Knobs()


def test_every_kind_arrives_as_what_it_is() -> None:
    flags = "--gain -3.5 --steps 4 --no-dry --taste sour --size 512 --shift -12 --notes 0 4 7 --name me"
    assert given(*flags.split()) == Knobs(
        gain=-3.5, steps=4, dry=False, taste="sour", size=512, shift=-12.0, notes=(0, 4, 7), name="me"
    )


def test_a_word_or_a_number_may_be_given_where_both_are_allowed() -> None:
    assert given("--shift", "auto").shift == "auto"
    assert given("--shift", "7").shift == 7.0


@pytest.mark.parametrize("wrong", ["--gain 13", "--gain loud", "--steps 2.5", "--shift 25", "--shift up", "--notes a"])
def test_bounds_are_those_that_were_declared(wrong: str) -> None:
    with pytest.raises(BadOption, match=f"^{wrong.split()[0]} is .*, not .*"):
        given(*wrong.split())


def test_help_tells_description_bounds_unit_and_default() -> None:
    text = " ".join(parser().format_help().split())
    for words in (
        "Louder. [-60 to 12 dB, default 0]",
        "How often, 50 % at least. [1 to 8, default 2]",
        "--dry, --no-dry No room. [default yes]",
        "{sweet,sour}",
        "{256,512}",
        "auto|SEMITONES",
        "Move. [-24 to 24 semitones, default auto]",
    ):
        assert words in text


@pytest.mark.parametrize("name", sorted(names()))
def test_every_system_can_be_asked_for_everything_that_it_declares(name: str) -> None:
    system = find(name)
    for verb in system.card.verbs:
        options = options_of(system, verb)
        made = argparse.ArgumentParser()
        add(made, options, name)
        assert chosen(options, made.parse_args([])) == options()
        for field in options.model_fields:
            assert f"--{field.replace('_', '-')}" in made.format_help()
