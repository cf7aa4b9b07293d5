import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from mynah.core import registry
from mynah.core.errors import UnknownSystem
from mynah.core.recipe import Shares
from mynah.core.system import System
from mynah.core.verbs import VERBS, Adopts


def test_every_name_is_a_verb_and_a_file() -> None:
    for name, says in registry.names().items():
        verb, _, system = name.partition("/")
        assert verb in VERBS
        assert system.isidentifier()
        assert says


def test_listing_imports_no_system() -> None:
    listed = "import sys; from mynah.core.registry import names; print(len(names()), *sys.modules)"
    done = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True)
    count, *modules = done.stdout.split()
    assert int(count) >= 1
    assert "torch" not in modules
    assert not [module for module in modules if module.startswith(tuple(f"mynah.{verb}" for verb in VERBS))]


def test_a_wrong_name_lists_the_right_ones() -> None:
    with pytest.raises(UnknownSystem, match=r"no system 'convert/hmu'.*convert/hum"):
        registry.find("convert/hmu")


def test_a_plugin_is_found_like_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("convert/theirs", "mynah.convert.hum:Hum", "mynah.systems")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "mynah.systems" else [])
    assert "convert/theirs" in registry.names()
    assert issubclass(registry.find("convert/theirs"), System)


@pytest.mark.parametrize(("protocol", "module"), [(Adopts, "adopting"), (Shares, "share")])
def test_who_takes_in_and_hands_on_is_found_without_importing_all(protocol: type, module: str) -> None:
    found = registry.those(protocol, module)
    assert "convert/rvc" in found
    assert found == registry.those(protocol)
