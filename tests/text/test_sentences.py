import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.core.errors import BadText
from mynah.text.sentences import sentences, spoken


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Er kam am 3. Mai um 5 Uhr. Er ging, z. B. heim.", ["Er kam am 3. Mai um 5 Uhr.", "Er ging, z. B. heim."]),
        ("No. 5 said no. It is art.", ["No. 5 said no.", "It is art."]),
        ("He said: “No.” She left.", ["He said: “No.”", "She left."]),
        ("Pi is 3.14. Yes", ["Pi is 3.14.", "Yes"]),
        ("a title\n\nand a line\nthat goes on", ["a title", "and a line that goes on"]),
        ("Mr. J. R. Smith vs. Dr. No.", ["Mr. J. R. Smith vs. Dr. No."]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("etwas ... und noch etwas... Ende", ["etwas ... und noch etwas...", "Ende"]),
        ("Wait... What? -- !! ?", ["Wait...", "What?"]),
    ],
)  # fmt: skip
def test_sentences_end_where_they_end(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_long_ones_are_parted_at_a_comma_else_between_words_else_anywhere() -> None:
    assert sentences("one two three, four five six", 20) == ["one two three,", "four five six"]
    assert sentences("one two three four", 10) == ["one two", "three four"]
    assert sentences("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


@pytest.mark.parametrize("text", ["", " \n\t", "?!", "\N{GRINNING FACE}\N{GRINNING FACE}", "\x00\x07", "\ud800"])
def test_nothing_to_say_is_refused(text: str) -> None:
    with pytest.raises(BadText, match="nothing to say"):
        sentences(text)


@given(st.text(max_size=200), st.integers(1, 50))
def test_every_letter_is_said_once_and_nothing_is_too_long(text: str, longest: int) -> None:
    try:
        parts = sentences(text, longest)
    except BadText:
        assert not any(map(str.isalnum, spoken(text)))
        return
    assert all(0 < len(part) <= longest and any(map(str.isalnum, part)) for part in parts)
    letters = [letter for letter in spoken(text) if letter.isalnum()]
    assert [letter for part in parts for letter in part if letter.isalnum()] == letters


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 100_000, "a. " * 33_000, "." * 99_999 + "a", "'" * 99_999 + "a", "1 " * 50_000, "a.\n\n" * 25_000),
        *("A? " + "\n" * 99_990, "\n" + " " * 99_990 + "a", ".'" * 50_000 + "a", "a," * 50_000),
    ],
    ids=lambda text: repr(text[:5]),
)
def test_a_hundred_thousand_characters_take_no_time(text: str) -> None:
    start = time.perf_counter()
    assert max(map(len, sentences(text))) <= 300
    assert time.perf_counter() - start < 5
