import os
from pathlib import Path

from mynah.nets.brought import Brought


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    ann, bo = tmp_path / "ann", tmp_path / "bo"
    ann.write_text("one")
    bo.write_text("two")
    read: list[str] = []

    def reading(path: Path) -> str:
        read.append(path.name)
        return path.read_text()

    brought = Brought(reading)
    assert [brought.by(ann), brought.by(ann), brought.by(bo)] == ["one", "one", "two"]
    bo.write_text("three")
    os.utime(bo, ns=(1, 1))
    assert brought.by(bo) == "three"
    assert read == ["ann", "bo", "bo"]
