"""Bytes from the web and from the hub, resumed where they broke off."""

from __future__ import annotations

import errno
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from mynah.catalog.public import PublicHandler
from mynah.core.errors import BadCheckpoint, BadOption, NoSpace

Progress = Callable[[float], None]
_BLOCK = 1 << 18  # bytes
_PATIENCE_SECONDS = 30.0


class Unreachable(Exception):
    """The other side cannot be reached or does not give the file; the text says why."""


def from_web(address: str, half: Path, size: int, progress: Progress | None = None, *, public: bool = False) -> None:
    """Download `address` into `half`, going on where an earlier attempt stopped.

    Args:
        address: Beginning with `https://`.
        half: Kept when the line breaks, so that the next attempt can resume.
        size: Published size in bytes, or a bound on it; no more than that is ever written.
        progress: Told the fraction that has arrived, 0 to 1.
        public: Refuse what is not on the public internet, and use no proxy: for addresses that strangers wrote down.

    Raises:
        Unreachable: No connection, a refusal, or a line that broke.
        BadCheckpoint: The file is larger than published.
        NoSpace: The disk ran full.
    """
    have = half.stat().st_size if half.exists() else 0
    if have >= size:
        half.unlink()  # whole or too long, yet not accepted before: begin anew
        have = 0
    request = urllib.request.Request(address, headers={"User-Agent": "mynah"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with _open_public(request) if public else _open(request) as answer:
            resumes = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            with half.open("ab" if resumes else "wb") as file:
                _pour(answer, file, have if resumes else 0, size, address, progress)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if error.code == 416:
                half.unlink(missing_ok=True)
        raise Unreachable(str(getattr(error, "reason", None) or error)) from error
    except BadCheckpoint:
        half.unlink(missing_ok=True)
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            half.unlink(missing_ok=True)
            raise NoSpace(f"the disk that holds {half.parent} is full") from error
        raise Unreachable(str(error)) from error


def from_hub(place: str, half: Path, progress: Progress | None = None) -> None:
    """Download `owner/name/file[@revision]` from the model hub into `half`.

    Raises:
        Unreachable: No connection, no such file, or a file that asks for a login.
    """
    owner, name, file, revision = hub_parts(place)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    desk = half.parent / ".hub"
    try:
        arrived = hf_hub_download(
            f"{owner}/{name}", file, revision=revision, local_dir=desk, tqdm_class=_bar_for(progress)
        )
    except Exception as error:  # the library lets those of its transport through, whichever that is
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise NoSpace(f"the disk that holds {half.parent} is full") from error
        code = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, HfHubHTTPError) and code in (401, 403):
            raise Unreachable(f"the hub asks for a login, or for the terms to be accepted (status {code})") from error
        raise Unreachable(_first_line(error)) from error
    Path(arrived).replace(half)
    shutil.rmtree(desk, ignore_errors=True)


def hub_files(repository: str, revision: str | None = None) -> dict[str, int]:
    """Every file of `owner/name` on the model hub with its size in bytes.

    Raises:
        Unreachable: No connection, no such repository, or one that asks for a login.
    """
    from huggingface_hub import HfApi

    try:
        siblings = HfApi().model_info(repository, revision=revision, files_metadata=True).siblings or []
    except Exception as error:  # as in `from_hub`
        raise Unreachable(_first_line(error)) from error
    return {sibling.rfilename: sibling.size or 0 for sibling in siblings}


def _bar_for(progress: Progress | None) -> Any:
    """A bar that the hub library can drive and that tells `progress` instead of drawing."""
    from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

    class Told(tqdm):  # type: ignore[type-arg,misc,unused-ignore]
        def __init__(self, *args: Any, total: float | None = None, initial: float = 0, **others: Any) -> None:
            super().__init__(disable=True)
            self.goal, self.done = total, initial

        def update(self, n: float | None = 1) -> bool | None:
            self.done += n or 0
            if progress and self.goal:
                progress(min(1.0, self.done / self.goal))
            return None

    return Told


def hub_parts(place: str) -> tuple[str, str, str, str | None]:
    """Owner, name, file and revision of a hub place.

    Raises:
        BadOption: It has not the shape `owner/name/file[@revision]`.

    Example:

        >>> hub_parts("openai/whisper-tiny/model.safetensors@main")
        ('openai', 'whisper-tiny', 'model.safetensors', 'main')
    """
    where, _, revision = place.partition("@")
    parts = where.split("/", 2)
    if len(parts) != 3 or not all(parts) or ".." in where.split("/"):
        raise BadOption(f"a hub source looks like hub:owner/name/file[@revision], not like 'hub:{place}'")
    return parts[0], parts[1], parts[2], revision or None


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to another https address."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            fp.close()
            raise urllib.error.URLError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    answer: http.client.HTTPResponse = urllib.request.build_opener(_SecureRedirects).open(
        request, timeout=_PATIENCE_SECONDS
    )
    return answer


def _open_public(request: urllib.request.Request) -> http.client.HTTPResponse:
    opener = urllib.request.build_opener(_SecureRedirects, PublicHandler, urllib.request.ProxyHandler({}))
    answer: http.client.HTTPResponse = opener.open(request, timeout=_PATIENCE_SECONDS)
    return answer


def _pour(
    answer: http.client.HTTPResponse, file: IO[bytes], done: int, size: int, address: str, progress: Progress | None
) -> None:
    # Where only a rounded size was published, the other side knows better when everything has arrived.
    promised = answer.headers.get("Content-Length") or ""
    whole = min(size, done + int(promised)) if promised.isdecimal() else size
    while block := answer.read(_BLOCK):
        done += len(block)
        if done > size:
            raise BadCheckpoint(f"{address} is larger than the {size} bytes that are allowed; it was not kept")
        file.write(block)
        if progress:
            progress(done / whole)
    if done < whole:
        raise Unreachable(
            f"the line broke after {done} of {whole} bytes; what has arrived is kept for the next attempt"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
