"""A system that learns in milliseconds, as a package of somebody else would bring it."""

from __future__ import annotations

from pathlib import Path

SYSTEM = '''"""Line: learns y = 2 x, slowly."""
import time, torch
from mynah.core.recipe import Recipe
from mynah.core.system import Card, System
from mynah.core.types import Audio

class Straight(Recipe):
    name, steps = "straight", 100_000
    def __init__(self):
        self.net = torch.nn.Linear(1, 1)
        self.nets = torch.nn.ModuleDict({"net": self.net})
    def batch(self, step):
        time.sleep(0.01)
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(step))
        return {"x": x, "y": 2 * x}
    def parameters(self, turn): return self.net.parameters()
    def learning_rate(self, turn, step): return 1e-2
    def losses(self, turn, batch): return {"error": (self.net(batch["x"]) - batch["y"]).square().mean()}
    def measures(self): return {"score": -abs(2 - float(self.net.weight))}
    def preview(self, batch): return Audio(0.1 * torch.randn(1, 4000), 8000)
    def export(self, folder):
        with open(folder + "/line.txt", "w") as file: file.write(str(float(self.net.weight)))
        return [folder + "/line.txt"]

class Line(System[None]):
    card = Card(verbs=("convert",), paper="", origin="ours")
    @classmethod
    def tiny(cls): return cls(None)
    @classmethod
    def load(cls, weights="default", *, device="cpu"): return cls(None)
    @classmethod
    def course(cls, data, folder, *, teacher=""): return {"straight": Straight}
'''


def line_system(plugins: Path) -> Path:
    """Install it in a folder; returns that folder."""
    about = plugins / "line_system-1.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (plugins / "line_system.py").write_text(SYSTEM)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: line-system\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[mynah.systems]\nconvert/line = line_system:Line\n")
    return plugins
