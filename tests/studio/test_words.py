"""The catalogue: whole, and nothing in it that nobody says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import mynah.studio
from mynah.core.registry import find, names
from mynah.core.verbs import options_of
from mynah.scenes.cover.options import CoverOptions
from mynah.serve.work import KINDS, default
from mynah.studio.controls import _title
from mynah.studio.engines import of
from mynah.studio.recording import PROMPT
from mynah.studio.words import LANGUAGES, Words, catalogue

SOURCES = sorted(Path(mynah.studio.__file__).parent.glob("*.py"))


def said_in(source: Path) -> set[str]:
    """Every sentence that a file says."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("said", "_said"):
                found.add(str(node.args[0].value))
    return found


def test_all_that_the_page_says_is_in_the_catalogue() -> None:
    said = set().union(*map(said_in, SOURCES)) | {PROMPT}
    assert len(said) > 100
    assert not said - catalogue().keys()


def test_so_are_the_options_of_a_cover_and_of_the_house() -> None:
    own = [(CoverOptions, ())]
    own += [(options_of(find(default(verb)), verb), ()) for verb in KINDS]
    for options, _ in own:
        for name, schema in options.model_json_schema()["properties"].items():
            assert {_title(name), schema["description"]} <= catalogue().keys()


def test_every_verb_that_somebody_does_has_a_name() -> None:
    for verb in KINDS:
        if any(of(verb, system) for system in names()):
            assert verb.capitalize() in catalogue()


def test_every_language_says_everything_and_keeps_what_is_filled_in() -> None:
    for english, others in catalogue().items():
        assert len(others) == len(LANGUAGES) - 1, english
        for other in others:
            assert other.strip(), english
            assert sorted(re.findall(r"\{\w+\}", other)) == sorted(re.findall(r"\{\w+\}", english)), other


@pytest.mark.parametrize("language", LANGUAGES)
def test_values_are_filled_in(language: str) -> None:
    assert "ann" in Words(language)("The voice {name} is ready.", name="ann")
