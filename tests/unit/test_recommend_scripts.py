"""What the scripts compute, against numbers worked out here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lrpilot.recommend.table import Recipe, load_recipes

SCRIPTS = Path(__file__).parents[2] / "scripts"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def recipe(**changes: Any) -> Recipe:
    first = load_recipes()[0]
    return Recipe(**{**{name: getattr(first, name) for name in Recipe.__slots__}, **changes})


def test_the_tinker_formula() -> None:
    rate = script("recommend_crossvalidate").tinker_rate
    llama = {"family": "llama3", "architecture": "decoder", "hidden_size": 4096.0}
    assert 10 ** rate(recipe(**llama, method="lora")) == pytest.approx(
        5e-4 * (2000 / 4096) ** 0.781
    )
    assert 10 ** rate(recipe(**llama, method="full")) == pytest.approx(
        5e-5 * (2000 / 4096) ** 0.781
    )
    assert np.isnan(rate(recipe(family="bert", method="full")))
    assert np.isnan(rate(recipe(**{**llama, "hidden_size": None}, method="full")))


def test_the_rivals_see_only_the_kept_recipes() -> None:
    recipes = [recipe(method="full"), recipe(method="full"), recipe(method="lora"), recipe()]
    rates = np.array([-5.0, -4.0, -3.0, 9.0])
    found = script("recommend_crossvalidate").rivals(
        recipes, rates, np.array([0, 1, 2]), np.array([3])
    )
    assert found["global median"] == [-4.0]
    assert found["median of the method"] == [-4.5]


def test_text_is_put_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("head\n<a>\nold\n</a>\ntail\n")
    write = script("recommend_crossvalidate").write_between
    write(path, ("<a>", "</a>"), "new")
    write(path, ("<a>", "</a>"), "newer")
    assert path.read_text() == "head\n<a>\nnewer\n</a>\ntail\n"


def test_a_slope_within_a_source_ignores_what_sources_differ_by() -> None:
    """Two sources a thousandfold apart; in each, ten times the size halves the rate."""
    recipes = [
        recipe(repo=source, params=10.0**k, peak_lr=base * 0.5**k)
        for source, base in (("a", 1e-2), ("b", 1e-5))
        for k in (6, 7, 8, 9)
    ]
    module = script("recommend_article")
    slope = module.within(recipes, lambda r: r.params, lambda r: (r.source,))
    assert slope.value == pytest.approx(np.log10(0.5))
    assert slope.sign == "falls"
    assert (slope.rows, slope.sources) == (8, 2)


def test_forgetting_is_averaged_by_rate(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(
        "lr,metric,value,source_repo\n"
        "2e-6,top1:ImageNet,0.70,mlfoundations/model-soups\n"
        "2e-6,top1:ImageNet,0.72,mlfoundations/model-soups\n"
        "2e-6,top1:ImageNetR,0.60,mlfoundations/model-soups\n"
        + "".join(
            f"{lr},top1:ImageNet{kind},0.5,mlfoundations/model-soups\n"
            for lr in (5e-6, 2e-5, 8e-5)
            for kind in ("", "R")
        )
        + "2e-6,top1:ImageNet,0.10,elsewhere/else\n"
    )
    text = script("recommend_article").forgetting(path)
    assert "| 1e-06 to 3e-06 | 2 | 71.0% | 60.0% |" in text


def test_a_cost_table_counts_divergence(capsys: pytest.CaptureFixture[str]) -> None:
    module = script("recommend_costs")
    module.costs({("m", 8): {1e-4: 1.10, 1e-3: 1.00, 1e-2: None}})
    out = capsys.readouterr().out
    assert "low by 0.85 to 1.1: median 10.0%, mean 10.0%; 0 of 1 diverged" in out
    assert "high by 0.85 to 1.1: -; 1 of 1 diverged" in out


def test_every_question_has_an_answer() -> None:
    module = script("recommend_questions")
    assert len(module.QUESTIONS) >= 20
    from lrpilot.facts import RunFacts
    from lrpilot.recommend import recommend

    for question, facts in module.QUESTIONS:
        text = "\n".join(module.answer(question, facts, recommend(RunFacts(**facts))))
        assert "**" in text
        assert "Nearest sources" in text
