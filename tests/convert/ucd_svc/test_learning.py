"""Two made-up singers are learnt in seconds, by `benchmarks/ucd_svc_learning.py` in a hurry: timbre and melody."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "ucd_svc_learning.py"


@pytest.fixture(scope="module")
def learning() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ucd_svc_learning", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recipe(learning: ModuleType) -> Any:
    """Reconstruction alone, without other singers: what those add takes minutes, and the benchmark shows it."""
    plan = replace(learning.PLAN, steps=240, swaps_from=10**9, weights=learning.DEAF, rate=1.5e-2)
    return learning.learnt(learning.Singers(learning.taught(), plan.frames), plan)


def test_the_ear_hears_vowels_and_not_who_sings_them(learning: ModuleType, recipe: Any) -> None:
    heard = recipe.songs.heard
    for anna, bert in zip(heard[True, "anna"], heard[True, "bert"], strict=True):
        assert (anna["content"].argmax(0) == bert["content"].argmax(0)).float().mean() > 0.85


def test_the_spectral_loss_on_songs_held_out_falls_by_half(learning: ModuleType, recipe: Any) -> None:
    untaught = learning.SingRecipe(recipe.songs, recipe.plan)
    assert learning.spectral_loss(recipe) < 0.5 * learning.spectral_loss(untaught)


def test_songs_sung_by_the_other_are_nearer_to_the_other(learning: ModuleType, recipe: Any) -> None:
    near = [target < source for target, source in learning.converted(recipe)]
    assert len(near) == 16
    assert sum(near) >= 0.9 * len(near)


@pytest.mark.parametrize("semitones", [0.0, 4.0, -3.0])
def test_the_melody_is_the_one_that_was_asked_for(learning: ModuleType, recipe: Any, semitones: float) -> None:
    assert max(learning.cents(recipe, semitones, 2)) < 50
