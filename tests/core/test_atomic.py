import errno
import os
import stat
from pathlib import Path

import pytest

from mynah.core.atomic import replacing
from mynah.core.errors import NoSpace


def test_the_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "song.wav"
    with replacing(target) as half:
        half.write_bytes(b"12")
        assert not target.exists()
        assert half.suffix == ".wav"
    assert target.read_bytes() == b"12"
    assert [child.name for child in target.parent.iterdir()] == ["song.wav"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError, OSError])
def test_an_interruption_leaves_what_was_there(tmp_path: Path, interruption: type[BaseException]) -> None:
    target = tmp_path / "song.wav"
    target.write_bytes(b"old")
    with pytest.raises(interruption), replacing(target) as half:
        half.write_bytes(b"new")
        raise interruption
    assert target.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["song.wav"]


def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match=r"song\.wav is full; nothing was written"), replacing(tmp_path / "song.wav"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_share_a_temporary_name(tmp_path: Path) -> None:
    target = tmp_path / "song.wav"
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert target.read_bytes() == b"first"  # the outer block ended last


def test_the_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    with replacing(tmp_path / "ours") as half:
        half.touch()
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)
