"""Transcripts as files: plain text, SubRip, WebVTT, JSON."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from mynah.core.types import Line, Transcript, Word


def text(transcript: Transcript) -> str:
    """One line of text for each line that was heard."""
    lines = [line.text for line in transcript.lines] or [transcript.text]
    return "".join(f"{line}\n" for line in lines)


def srt(transcript: Transcript) -> str:
    """SubRip.

    Example:

        >>> print(srt(Transcript("la", lines=(Line("la", 0.5, 61.25),))), end="")
        1
        00:00:00,500 --> 00:01:01,250
        la
    """
    blocks = [
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{said}\n"
        for number, (start, end, said) in enumerate(_cues(transcript.lines), 1)
    ]
    return "\n".join(blocks)


def vtt(transcript: Transcript) -> str:
    """WebVTT; where words have times, each is marked with its own, as karaoke is.

    Example:

        >>> words = (Word("la", 0.5, 0.75), Word("<li>", 1.0, 1.25))
        >>> print(vtt(Transcript("la", lines=(Line("la <li>", 0.5, 61.25, words),))), end="")
        WEBVTT
        <BLANKLINE>
        00:00:00.500 --> 00:01:01.250
        <00:00:00.500>la <00:00:01.000>&lt;li&gt;
    """
    blocks = []
    for line, (start, end, said) in zip(transcript.lines, _cues(transcript.lines), strict=True):
        body = html.escape(said, quote=False)
        if line.words:
            body = " ".join(f"<{_clock(word.start_seconds, '.')}>{_escaped(word)}" for word in line.words)
        blocks.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n{body}\n")
    return "WEBVTT\n\n" + "\n".join(blocks)


def as_json(transcript: Transcript) -> str:
    """All that is known."""
    return json.dumps(asdict(transcript), ensure_ascii=False, indent=2) + "\n"


FORMATS: dict[str, Callable[[Transcript], str]] = {"txt": text, "srt": srt, "vtt": vtt, "json": as_json}
"""By the suffix of the file."""


def _cues(lines: Sequence[Line]) -> list[tuple[float, float, str]]:
    """Beginning, end and text, in which no empty line ends a cue early and no arrow looks like another."""
    return [(line.start_seconds, line.end_seconds, " ".join(line.text.split()).replace("-->", "->")) for line in lines]


def _escaped(word: Word) -> str:
    return html.escape(" ".join(word.text.split()), quote=False)


def _clock(seconds: float, comma: str) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}{comma}{whole % 1000:03}"
