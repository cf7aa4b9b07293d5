import errno
import io
from pathlib import Path

import pytest

from mynah.audio.disk import Disk, spooled, typed_errors
from mynah.core.errors import BadOption, NoSpace


class Slow(io.BytesIO):
    """Takes three bytes at a time, as an unbuffered file may."""

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        return super().write(data[:3])


class Full(io.BytesIO):
    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "full")


def test_a_file_that_takes_little_at_a_time_gets_all() -> None:
    file = Slow()
    assert Disk(file).write(b"a long sentence") == 15
    assert file.getvalue() == b"a long sentence"


def test_the_first_error_is_kept_and_nothing_more_is_written() -> None:
    disk = Disk(Full())
    assert disk.write(b"x") == 0
    first = disk.error
    assert first is not None and first.errno == errno.ENOSPC
    assert disk.write(b"y") == 0 and disk.error is first


def test_a_place_before_the_start_is_not_gone_to() -> None:
    disk = Disk(io.BytesIO(b"hello"))
    disk.seek(3)
    assert disk.seek(-10) == 3 and disk.error is None


def test_a_pipe_can_be_read_twice() -> None:
    with spooled(io.BytesIO(b"sound")) as file:
        assert file.read() == b"sound"
        file.seek(0)
        assert file.read() == b"sound"


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EROFS, BadOption), (errno.EIO, OSError)],
)
def test_errors_of_the_system_get_types(number: int, error: type[OSError]) -> None:
    with pytest.raises(error) as caught, typed_errors(Path("song.wav")):
        raise OSError(number, "?")
    assert type(caught.value) is error
