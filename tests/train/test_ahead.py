import threading
import time

import pytest

from mynah.train.ahead import ahead


def test_everything_comes_in_order() -> None:
    assert list(ahead(str, 5, 30)) == [str(step) for step in range(5, 30)]


def test_no_more_is_made_than_was_allowed() -> None:
    made: list[int] = []
    reader = ahead(made.append, 0, 100, depth=2)
    next(reader)
    time.sleep(0.1)
    assert made == [0, 1, 2]
    reader.close()


def test_the_next_is_made_while_the_reader_is_busy() -> None:
    second = threading.Event()
    reader = ahead(lambda step: second.set() if step == 1 else None, 0, 3)
    next(reader)
    assert second.wait(5)
    reader.close()


def test_a_reader_that_leaves_takes_the_thread_along() -> None:
    reader = ahead(lambda step: time.sleep(0.05), 0, 1000)
    next(reader)
    start = time.monotonic()
    reader.close()
    assert time.monotonic() - start < 1
    assert all("batches" not in thread.name for thread in threading.enumerate())


def test_what_goes_wrong_there_is_raised_here() -> None:
    reader = ahead(lambda step: 1 // (2 - step), 0, 10)
    assert [next(reader), next(reader)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(reader)
