"""What every Whisper lets itself be told, whoever runs it, and how its lines become a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from mynah.core.types import Line
from mynah.core.verbs import Options

UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}
"""Languages that are written without spaces between words."""


class ListeningOptions(Options):
    """What a reader may change."""

    language: Annotated[
        str, Field(max_length=16, description="that is spoken, such as de; found out when it is left out")
    ] = ""
    words: Annotated[bool, Field(description="times for every word, not only for every line")] = False
    prompt: Annotated[
        str, Field(max_length=4000, description="text as it might stand before: names and spellings to expect")
    ] = ""
    batch: Annotated[
        int, Field(ge=1, le=64, description="windows that are heard at once; more than 1 cuts at pauses")
    ] = 1
    follow: Annotated[
        bool, Field(description="tell each window the text before it: smoother prose, and endless refrains")
    ] = False
    beam: Annotated[
        int, Field(ge=1, le=32, description="texts that are followed at once, where words are not chosen boldly")
    ] = 1
    patience: Annotated[
        float,
        Field(ge=0.1, le=10, description="how long to look for better ones", json_schema_extra={"unit": "times"}),
    ] = 1.0
    temperature: Annotated[
        float, Field(ge=0, le=1, description="how boldly words are chosen; doubtful windows are heard again with more")
    ] = 0.0
    fallback: Annotated[bool, Field(description="hear doubtful windows again, more boldly each time")] = True
    tries: Annotated[
        int, Field(ge=1, le=16, description="texts sampled where words are chosen boldly; the likeliest is kept")
    ] = 5
    compression: Annotated[
        float,
        Field(ge=1, le=10, description="a text that zlib makes smaller than this repeats itself: it is doubtful",
              json_schema_extra={"unit": "times"}),
    ] = 2.4  # fmt: skip
    log_probability: Annotated[
        float,
        Field(ge=-10, le=0, description="a text less probable than this is doubtful",
              json_schema_extra={"unit": "nats per token"}),
    ] = -1.0  # fmt: skip
    silence: Annotated[
        float, Field(ge=0, le=1, description="a doubtful window more probably silent than this has no words")
    ] = 0.6
    no_repeat: Annotated[
        int, Field(ge=0, le=64, description="never write so many tokens a second time in one window; 0 lets them")
    ] = 0
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="of bold choices")] = 0

    def ladder(self) -> tuple[float, ...]:
        """The temperatures at which a window is heard, one after another, for as long as it is doubtful.

        Example:

            >>> ListeningOptions(temperature=0.5).ladder()
            (0.5, 0.7, 0.9, 1.0)
        """
        steps = [self.temperature]
        while self.fallback and steps[-1] < 1:
            steps.append(min(1.0, round(steps[-1] + 0.2, 6)))
        return tuple(steps)


def in_one(lines: Iterable[Line], language: str) -> str:
    """All lines as one text.

    Example:

        >>> in_one([Line("Good", 0, 1), Line("morning", 1, 2)], "en")
        'Good morning'
    """
    return ("" if language in UNSPACED else " ").join(line.text for line in lines)
