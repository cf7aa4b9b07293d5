"""Folders of the model hub: the files of one model, fetched once and kept."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock

from mynah.catalog import download
from mynah.catalog.home import cache
from mynah.core.errors import BadCheckpoint, NoSpace, Offline

_ID = re.compile(r"(?:hub:)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def is_hub_id(spec: str) -> bool:
    """Whether this looks like `owner/name`, perhaps with `hub:` before it and `@revision` after it.

    Example:

        >>> is_hub_id("openai/whisper-small"), is_hub_id("hub:openai/whisper-small@main"), is_hub_id("../small")
        (True, True, False)
    """
    found = _ID.fullmatch(spec)
    return found is not None and not any(part.strip(".") == "" for part in spec.split("@")[0].split("/"))


def hub_folder(spec: str, wanted: Sequence[str], progress: Callable[[float], None] = lambda fraction: None) -> Path:
    """The files of one model of the hub, in a folder of this machine; fetched at the first use, whole or not at all.

    Nobody publishes checksums of whole models, so what the hub gives under that name is believed; a revision that is
    the hash of a commit pins it.

    Args:
        spec: As `is_hub_id` takes it.
        wanted: Patterns of file names at the top of the model; others are not fetched.
        progress: Told the fraction that has arrived.

    Raises:
        Offline: It is not here and cannot be fetched; the message says where to put it.
        BadCheckpoint: The hub has no such file in it.
        NoSpace: The disk has no room.
    """
    found = _ID.fullmatch(spec)
    assert found, spec
    repository, revision = found[1], found[2]
    name = repository.replace("/", "--") + (f"@{revision.replace('/', '-')}" if revision else "")
    place = cache() / "hub" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.parent / f".{name}.lock"):
        if place.is_dir():
            return place
        try:
            sizes = download.hub_files(repository, revision)
            chosen = {file: size for file, size in sizes.items() if any(fnmatch(file, kind) for kind in wanted)}
            if not chosen:
                raise BadCheckpoint(f"{repository} on the hub has none of {', '.join(wanted)}: it is no such model")
            total = sum(chosen.values())
            if shutil.disk_usage(place.parent).free < total + (64 << 20):
                raise NoSpace(f"{place.parent} has no room for the {total / 1e6:.0f} MB of {repository}")
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=".half-") as half:
                desk, done = Path(half) / "model", 0
                desk.mkdir()
                for file, size in chosen.items():
                    source = f"{repository}/{file}" + (f"@{revision}" if revision else "")
                    download.from_hub(
                        source, desk / Path(file).name,
                        lambda part, size=size, done=done: progress((done + part * size) / max(total, 1)),  # type: ignore[misc]
                    )  # fmt: skip
                    done += size
                desk.replace(place)
        except download.Unreachable as error:
            raise Offline(
                f"cannot fetch {repository} from the hub: {error}; download its files from "
                f"https://huggingface.co/{repository} where there is a network, and put them into {place}"
            ) from error
    return place
