import sys

import pytest

from mynah.core.errors import BadOption, MissingExtra
from mynah.text import phonemes as module
from mynah.text.phonemes import phonemes


def test_the_same_letters_sound_otherwise_in_another_language() -> None:
    assert phonemes("die Hand", "de") != phonemes("die Hand", "en-us")


def test_punctuation_stays_where_it_was() -> None:
    assert phonemes("Yes, no. Why?").replace("ˈ", "") == "jɛs, noʊ. waɪ?"


def test_nothing_is_no_sound() -> None:
    assert phonemes(" \n", "de") == ""


def test_a_language_that_espeak_does_not_know_is_refused() -> None:
    with pytest.raises(BadOption, match="no language 'xx'"):
        phonemes("a", "xx")


def test_without_espeak_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    module._backend.cache_clear()
    with pytest.raises(MissingExtra, match=r"mynah\[speak\]"):
        phonemes("a")
    module._backend.cache_clear()
