import errno
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mynah.core.errors import BadCheckpoint, BadData, BadOption, MissingExtra, NoSpace
from mynah.core.recipe import Batch, Recipe
from mynah.core.types import Audio
from mynah.train.checkpoint import read, restore
from mynah.train.run import train


class Line(Recipe):
    """Learns y = 2 x with dropout, so that random generators matter, and with a critic and an average."""

    name = "line"
    turns = ("critic", "net")
    ema = 0.9

    def __init__(self, steps: int = 30, broken: Callable[[int], bool] = lambda step: False) -> None:
        torch.manual_seed(0)
        self.steps, self.broken = steps, broken
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.critic = nn.Linear(1, 1)
        self.judge = nn.Sequential(nn.Dropout(0.5)).eval()
        self.nets = nn.ModuleDict({"net": self.net, "critic": self.critic})
        self.figures = iter(range(1000))

    def batch(self, step: int) -> Batch:
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(step))
        return {"x": x / 0 if self.broken(step) else x, "y": 2 * x}

    def parameters(self, turn: str) -> list[nn.Parameter]:
        return list({"net": self.net, "critic": self.critic}[turn].parameters())

    def learning_rate(self, turn: str, step: int) -> float:
        return 1e-2

    def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
        made = self.net(batch["x"])
        if turn == "critic":
            return {"critic": (self.critic(made.detach()) - self.critic(batch["y"]) + 1).square().mean()}
        return {"error": (made - batch["y"]).square().mean(), "fooled": 1e-3 * self.critic(made).square().mean()}

    def measures(self) -> dict[str, float]:
        x = torch.randn(100, 1)
        return {"score": next(self.figures) + torch.rand(()).item(), "error": (self.net(x) - 2 * x).abs().mean().item()}

    def preview(self, batch: Batch) -> Audio | None:
        return Audio(0.1 * torch.randn(1, 4000), 8000)

    def export(self, folder: str) -> list[str]:
        return []


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], atol=0, rtol=0, msg=name)


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "line" / "log.jsonl").read_text("utf-8").splitlines()]


KILLED = """
import os, runpy, signal, sys
line = runpy.run_path(sys.argv[1])
kill = lambda step, steps, losses: os.kill(os.getpid(), signal.SIGKILL) if step == 37 else None
line["train"](line["Line"](60), sys.argv[2], save_every=10, device="cpu", progress=kill)
"""


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", KILLED, __file__, str(tmp_path / "killed")]
    assert subprocess.run(command, env=environment, capture_output=True).returncode == -signal.SIGKILL
    assert read(tmp_path / "killed" / "line" / "last.ckpt")["step"] == 30

    whole, resumed = Line(60), Line(60)
    train(resumed, tmp_path / "killed", save_every=10, device="cpu")
    torch.manual_seed(0)
    whole = Line(60)
    train(whole, tmp_path / "whole", save_every=10, device="cpu")
    assert_same(whole.nets, resumed.nets)
    events = [row["event"] for row in log(tmp_path / "killed") if "event" in row]
    assert events[0] == "resumed" and events[1].startswith("ended: all 60 steps are done") and len(events) == 2


def test_it_learns(tmp_path: Path) -> None:
    recipe = Line(300)
    train(recipe, tmp_path, save_every=1000, device="cpu")
    recipe.net.eval()
    torch.testing.assert_close(recipe.net(torch.ones(1, 1)).item(), 2.0, atol=0.2, rtol=0)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_run_that_is_asked_to_stop_saves_first(tmp_path: Path, number: int, error: type[BaseException]) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def ask(step: int, steps: int, losses: dict[str, float]) -> None:
        if step == 7:
            signal.raise_signal(number)

    recipe = Line(20)
    with pytest.raises(error):
        train(recipe, tmp_path, device="cpu", progress=ask)
    assert read(tmp_path / "line" / "last.ckpt")["step"] in (7, 8)  # it came after the check at the end of step 7
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert threading.active_count() == 1 or all("batches" not in thread.name for thread in threading.enumerate())

    resumed = Line(20)
    train(resumed, tmp_path, device="cpu")
    whole = Line(20)
    train(whole, tmp_path / "whole", device="cpu")
    assert_same(whole.nets, resumed.nets)


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    def impatient(step: int, steps: int, losses: dict[str, float]) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(Line(20), tmp_path, device="cpu", progress=impatient)
    assert read(tmp_path / "line" / "last.ckpt")["step"] == 0
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_time_can_be_limited(tmp_path: Path) -> None:
    steps = []
    last = train(Line(500), tmp_path, device="cpu", max_minutes=0, progress=lambda step, *rest: steps.append(step)).last
    assert steps == [1] and read(last)["step"] == 1


def test_a_step_that_is_not_finite_is_skipped_and_told(tmp_path: Path) -> None:
    recipe = Line(30, broken=lambda step: step in (10, 11, 20))
    train(recipe, tmp_path, device="cpu", save_every=10, log_every=10)
    assert all(value.isfinite().all() for value in recipe.nets.state_dict().values())
    rows = log(tmp_path)
    assert [row["step"] for row in rows if "skipped" in row.get("event", "")] == [11, 12, 21]
    assert all(math.isfinite(row["error"]) for row in rows if "error" in row)


def test_many_such_steps_bring_back_the_last_weights_at_half_the_learning_rate(tmp_path: Path) -> None:
    recipe = Line(40, broken=lambda step: 15 <= step < 26)
    last = train(recipe, tmp_path, device="cpu", save_every=10).last
    assert read(last)["slower"] == 0.5
    [row] = [row for row in log(tmp_path) if "in a row" in row.get("event", "")]
    assert row["step"] == 25 and "step 10, learning rate x 0.5" in row["event"]


def test_a_recipe_that_never_gives_a_number_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="line does not train: no finite loss in 50 steps"):
        train(Line(500, broken=lambda step: True), tmp_path, device="cpu")


def test_every_turn_moves_its_own_parameters_only(tmp_path: Path) -> None:
    seen: dict[str, set[str]] = {}

    class Watched(Line):
        def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
            seen[turn] = {name.partition(".")[0] for name, value in self.nets.named_parameters() if value.requires_grad}
            assert self.net.training and not self.judge.training
            return super().losses(turn, batch)

    recipe = Watched(3)
    train(recipe, tmp_path, device="cpu")
    assert seen == {"critic": {"critic"}, "net": {"net"}}
    assert all(value.requires_grad and value.grad is None for value in recipe.nets.parameters())


def test_a_batch_in_parts_teaches_as_much_as_the_whole(tmp_path: Path) -> None:
    class Parted(Line):
        def parts(self, batch: Batch) -> list[Batch]:
            return [{name: values[begin : begin + 4] for name, values in batch.items()} for begin in range(0, 16, 4)]

    ends = []
    for place, kind in enumerate((Line, Parted)):
        recipe = kind(10)
        recipe.net[1] = nn.Identity()  # what is dropped depends on how much comes at a time
        train(recipe, tmp_path / str(place), device="cpu", log_every=10)
        shown = next(line["error"] for line in log(tmp_path / str(place)) if "error" in line)
        ends.append((recipe.net.state_dict(), shown))
    (whole, error), (parted, error_in_parts) = ends
    for name, value in whole.items():
        torch.testing.assert_close(value, parted[name], atol=1e-5, rtol=1e-4)
    assert error == pytest.approx(error_in_parts, rel=1e-3)


def test_a_turn_without_losses_waits(tmp_path: Path) -> None:
    class Waiting(Line):
        def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
            return {} if turn == "critic" else super().losses(turn, batch)

    recipe, fresh = Waiting(5), Line()
    train(recipe, tmp_path, device="cpu")
    assert_same(recipe.critic, fresh.critic)
    with pytest.raises(AssertionError):
        assert_same(recipe.net, fresh.net)


def test_the_average_lies_between_where_the_net_was_and_where_it_is(tmp_path: Path) -> None:
    recipe = Line(20)
    last = train(recipe, tmp_path, device="cpu").last
    state, start = read(last), Line().nets.state_dict()
    assert set(state["averages"]) == {name for name in start if name.startswith("net.")}
    way = [(state["averages"][name] - start[name]).norm() for name in state["averages"]]
    whole = [(state["nets"][name] - start[name]).norm() for name in state["averages"]]
    assert 0.1 < sum(way) / sum(whole) < 0.95
    again = Line()
    assert restore(again, last) == 20
    assert_same(again.nets, recipe.nets)


def test_a_recipe_without_an_average_ends_with_its_last_weights(tmp_path: Path) -> None:
    class Plain(Line):
        ema = None

    recipe = Plain(5)
    last = train(recipe, tmp_path, device="cpu").last
    for name, value in read(last)["nets"].items():
        assert torch.equal(value, recipe.nets.state_dict()[name])


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    class Aging(Line):
        def measures(self) -> dict[str, float]:
            return {"score": (float("nan"), 5.0, 7.0, 6.0)[next(self.figures)]}

    train(Aging(40), tmp_path, device="cpu", save_every=10)
    best = read(tmp_path / "line" / "best.ckpt")
    assert best["step"] == 30 and best["measures"] == {"score": 7.0}
    assert restore(Line(), tmp_path / "line" / "best.ckpt") == 30


@pytest.mark.parametrize("wrong", [{"accumulate": 0}, {"devices": 0}, {"patience": 0}, {"clips": 4}])
def test_what_cannot_be_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadOption):
        train(Line(1), tmp_path, device="cpu", **wrong)


def test_measuring_more_often_changes_nothing(tmp_path: Path) -> None:
    often, seldom = Line(20), Line(20)
    torch.manual_seed(1)
    train(often, tmp_path / "often", device="cpu", save_every=3)
    torch.manual_seed(1)
    train(seldom, tmp_path / "seldom", device="cpu", save_every=100)
    assert_same(often.nets, seldom.nets)


def test_the_log_is_plain_and_the_board_has_sound_and_pictures(tmp_path: Path) -> None:
    shown: list[dict[str, float]] = []
    train(Line(25), tmp_path, device="cpu", log_every=10, progress=lambda step, steps, losses: shown.append(losses))
    rows = [row for row in log(tmp_path) if "error" in row]
    assert [row["step"] for row in rows] == [10, 20, 25]
    assert set(rows[0]) == {"step", "seconds", "critic", "error", "fooled"}
    assert shown[0] == {} and shown[-1]["error"] == pytest.approx(rows[1]["error"], rel=1e-4)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "line" / "tensorboard")).Reload()
    tags = board.Tags()
    assert {"loss/error", "measure/score", "learning_rate/net"} <= set(tags["scalars"])
    assert tags["audio"] == tags["images"] == ["preview"]


def test_nothing_is_printed_and_nothing_left_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train(Line(3), "runs", device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert {path.name for path in (tmp_path / "runs" / "line").iterdir()} == {
        "last.ckpt", "best.ckpt", "log.jsonl", "tensorboard",
    }  # fmt: skip
    assert capfd.readouterr() == ("", "")


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    done, again = Line(5), Line(5)
    last = train(done, tmp_path, device="cpu").last
    before = last.read_bytes()
    assert train(again, tmp_path, device="cpu").last == last
    assert last.read_bytes() == before
    assert_same(done.nets, again.nets)
    train(again, tmp_path, device="cpu", resume=False)
    assert read(last)["step"] == 5 and last.read_bytes() != before


def test_losses_can_be_computed_in_bfloat16(tmp_path: Path) -> None:
    class Half(Line):
        autocast = True

        def losses(self, turn: str, batch: Batch) -> dict[str, Tensor]:
            assert self.net(batch["x"]).dtype == torch.bfloat16
            return super().losses(turn, batch)

    recipe = Half(3)
    train(recipe, tmp_path, device="cpu")
    assert recipe.net[0].weight.dtype == torch.float32
    with pytest.raises(AssertionError):
        train(Half(3), tmp_path / "32", device="cpu", precision="32")


def test_what_a_recipe_raises_is_raised(tmp_path: Path) -> None:
    class Faulty(Line):
        def batch(self, step: int) -> Batch:
            if step == 4:
                raise BadData("clip 4 is no clip")
            return super().batch(step)

    with pytest.raises(BadData, match="clip 4"):
        train(Faulty(10), tmp_path, device="cpu")
    assert all("batches" not in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_told(tmp_path: Path, device: str) -> None:
    with pytest.raises(BadOption, match="choose auto"):
        train(Line(1), tmp_path, device=device)


def test_a_missing_lightning_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(MissingExtra, match=r"mynah\[train\]"):
        train(Line(1), tmp_path)
    assert not any(tmp_path.iterdir())


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


def test_a_bad_checkpoint_is_refused_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    last = tmp_path / "line" / "last.ckpt"
    last.parent.mkdir()
    torch.save({"nets": Evil(), "format": 1}, last)
    with pytest.raises(BadCheckpoint, match="remove it"):
        train(Line(1), tmp_path)
    assert not Path("ran").exists()
    for bytes_ in (b"", b"PK\3\4 half a zip", b"nonsense"):
        last.write_bytes(bytes_)
        with pytest.raises(BadCheckpoint, match="remove it"):
            train(Line(1), tmp_path)
    torch.save({"step": 3}, last)
    with pytest.raises(BadCheckpoint, match="another program or version"):
        train(Line(1), tmp_path)


class FullDisk(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = train(Line(2), tmp_path, device="cpu").last
    before, opened = last.read_bytes(), Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **more: FullDisk() if mode == "wb" else opened(path, mode, **more)
    )
    with pytest.raises(NoSpace, match="full"):
        train(Line(5), tmp_path, device="cpu")
    assert last.read_bytes() == before
    assert {path.suffix for path in last.parent.iterdir()} == {".ckpt", ".jsonl", ""}


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    train(Line(1), tmp_path, device="cpu")
    other = Line(5)
    other.nets["net"] = other.net = nn.Sequential(nn.Linear(1, 9), nn.Dropout(0.2), nn.Linear(9, 1))
    with pytest.raises(BadCheckpoint, match="another configuration"):
        train(other, tmp_path, device="cpu")


def test_it_trains_in_a_thread_too(tmp_path: Path) -> None:
    done: list[Path] = []
    thread = threading.Thread(target=lambda: done.append(train(Line(5), tmp_path, device="cpu").last))
    thread.start()
    thread.join()
    assert read(done[0])["step"] == 5
