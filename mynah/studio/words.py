"""What the page says, in the language of whoever reads it: `words.json` has every sentence by its English one.

What a plugin says about its own options is in nobody's catalogue, and stays in English.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "zh-Hant": "繁體中文", "zh-Hans": "简体中文", "ja": "日本語", "ko": "한국어"}
_FILE = Path(__file__).with_name("words.json")


class Words:
    """Sentences in one language.

    Example:

        >>> Words("ja")("Cover"), Words("ko")("a plugin's own words")
        ('カバー', "a plugin's own words")
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._column = list(LANGUAGES).index(language) - 1  # English ones are the keys

    def __call__(self, english: str, **values: Any) -> str:
        """The sentence, with values in place of `{names}`."""
        others = catalogue().get(english)
        said = others[self._column] if others and self._column >= 0 else english
        return said.format(**values) if values else said


@cache
def catalogue() -> dict[str, list[str]]:
    """For every English sentence the others, in the order of `LANGUAGES`."""
    found: dict[str, list[str]] = json.loads(_FILE.read_text("utf-8"))
    return found


def best(accepted: str) -> str:
    """The language of ours that a browser likes best, by what it sends as `Accept-Language`.

    Example:

        >>> best("zh-TW,zh;q=0.9,en;q=0.8"), best("zh-CN"), best("fr, ja;q=0.5"), best("")
        ('zh-Hant', 'zh-Hans', 'ja', 'en')
    """
    ranked: list[tuple[float, int, str]] = []
    for part in accepted.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            ranked.append((-float(quality or 1), len(ranked), tag.lower()))
        except ValueError:
            continue
    for _, _, tag in sorted(ranked):
        if tag.startswith("zh"):
            return "zh-Hant" if any(part in tag for part in ("hant", "tw", "hk", "mo")) else "zh-Hans"
        if (language := tag.partition("-")[0]) in LANGUAGES:
            return language
    return "en"
