import pytest

from mynah.core import errors


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.BadAudio, ValueError),
        (errors.BadOption, ValueError),
        (errors.UnknownVoice, LookupError),
        (errors.Offline, ConnectionError),
        (errors.NoSpace, OSError),
        (errors.MissingExtra, ImportError),
    ],
)
def test_an_error_of_ours_is_also_the_usual_one(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, errors.MynahError)
    assert issubclass(error, builtin)


def test_a_missing_extra_says_how_to_get_it() -> None:
    assert "pip install 'mynah[world]'" in str(errors.MissingExtra("pyworld", "world"))


def test_messages_are_printed_as_they_are() -> None:
    assert str(errors.UnknownVoice("no voice 'me'")) == "no voice 'me'"  # a KeyError would print it in quotes
