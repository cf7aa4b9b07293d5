"""Folders that the program keeps for itself on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "MYNAH_HOME"


def home() -> Path:
    """What must not be lost, such as voices: `$MYNAH_HOME`, else the user's data folder."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else platformdirs.user_data_path("mynah", appauthor=False)


def cache() -> Path:
    """What can be fetched again, such as weights: `$MYNAH_HOME/cache`, else the user's cache folder."""
    if os.environ.get(VARIABLE):
        return home() / "cache"
    return platformdirs.user_cache_path("mynah", appauthor=False)
