"""English against the cleaners of keithito/tacotron, run elsewhere with Unidecode 1.4.0 and inflect 7.6.0."""

import pytest

from mynah.text.keithito import ascii_letters, english, numbers

TOLD = {
    "Printing, in the only sense with which we are at present concerned,":
        "printing, in the only sense with which we are at present concerned,",
    "Dr. Müller paid Mr. O’Neill $3.50.": "doctor muller paid mister o'neill three dollars, fifty cents.",
    "In 1455, 1805, 1900, 2000, 2007, 2010 and 3000.":
        "in fourteen fifty-five, eighteen oh five, nineteen hundred, two thousand, two thousand seven, "
        "twenty ten and three thousand.",
    "The 1st, 22nd, 103rd and 1,000th.": "the first, twenty-second, one hundred and third and one thousandth.",
    "$0.01, $1, $1.05, $2,000,000": "one cent, one dollar, one dollar, five cents, two million dollars",
    "$0.00 is zero; $1.2.3 is odd": "zero dollars is zero; one point two.three dollars is odd",
    "St. James's Co., Ltd.": "saint james's company, limited",
    "Mrs. and Drs. Hon. Esq. at Ft. Worth": "misess and doctors honorable esquire at fort worth",
    "3.14159 or 12,345.67": "three point fourteen thousand, one hundred fifty-nine or twelve thousand, "
        "three hundred forty-five point sixty-seven",
    "Café — naïve…  “quoted”\n‘so’": "cafe -- naive... \"quoted\" 'so'",
    "007 and 1001": "seven and ten oh one",
    "Straße, Øre, Łódź, Škoda": "strasse, ore, lodz, skoda",
    "St.co.Mr. x": "saintco.mister x",
}  # fmt: skip


@pytest.mark.parametrize("text", TOLD)
def test_it_is_told_in_the_published_words(text: str) -> None:
    assert english(text) == TOLD[text]


def test_capitals_stay_where_they_are_wanted() -> None:
    assert english("Dr. Who met MRS. X", lower=False) == "doctor Who met misess X"


def test_pictures_are_left_out_and_pounds_are_pounds() -> None:
    assert ascii_letters("a\N{GRINNING FACE}b → c\N{ZERO WIDTH SPACE}d") == "ab - c d"
    assert english("£5 or £1,000") == "five pounds or one thousand pounds"


def test_a_number_beyond_words_is_told_digit_by_digit() -> None:
    assert numbers("12" * 20).split()[:4] == ["one", "two", "one", "two"]
    assert len(numbers("1" * 100_000).split()) == 100_000
    assert numbers("9" * 40 + "th").endswith("nine th")
