import pytest

from mynah.core.errors import BadOption
from mynah.text.normalise import normalised

pytest.importorskip("num2words")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Am 3.10.1990 um 14:30 Uhr.", "Am dritten Oktober neunzehnhundertneunzig um vierzehn Uhr dreißig."),
        ("1.234,56 km", "eintausendzweihundertvierunddreißig Komma fünf sechs Kilometer"),
        ("bei -5 °C", "bei minus fünf Grad Celsius"),
        ("3,50 € und 1 €", "drei Euro fünfzig und ein Euro"),
        ("20 % im 19. Jahrhundert", "zwanzig Prozent im neunzehnten Jahrhundert"),
        ("„Gut“ – z. B. am 24.12. um 1:00 Uhr", '"Gut", zum Beispiel am vierundzwanzigsten Dezember um ein Uhr'),
        ("S3 und 007", "S drei und null null sieben"),
        ("2:1 gegen 1860", "zwei eins gegen achtzehnhundertsechzig"),
        ("99.99.2000 ist kein Datum", "neunundneunzig Komma neun neun zwei null null null ist kein Datum"),
    ],
)  # fmt: skip
def test_german_is_written_out_as_it_is_said(text: str, said: str) -> None:
    assert normalised(text, "de") == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Dr. Smith paid $2.50 on the 3rd", "Doctor Smith paid two dollars fifty on the third"),
        ("1,234.5 km at 9:05", "one thousand two hundred and thirty-four point five kilometres at nine oh five"),
        ("on 2026-11-21 at 5:00", "on November twenty-first, twenty twenty-six at five o'clock"),
        ("in 1984 and 2007", "in nineteen eighty-four and two thousand and seven"),
        ("No. 3 said no. So", "number three said no. So"),
        ("£1 & 12%", "one pound and twelve percent"),
    ],
)
def test_english_is_written_out_as_it_is_said(text: str, said: str) -> None:
    assert normalised(text, "en") == said


def test_what_nobody_pronounces_is_left_out() -> None:
    assert normalised("Hi \U0001f44b\x00\u200b (you) *there*", "en") == "Hi (you) there"
    assert normalised("", "de") == ""


def test_a_number_of_any_length_is_spoken_and_ends() -> None:
    assert normalised("9" * 40, "en") == " ".join(["nine"] * 40)


def test_another_language_is_refused_by_name() -> None:
    with pytest.raises(BadOption, match="choose among de, en"):
        normalised("un", "fr")
