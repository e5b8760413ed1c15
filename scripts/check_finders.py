"""Compare the bench's range-test rules with the packages' own source, on random curves.

fastai and Lightning are too large to install for this: pinned wheels are downloaded, the one
function is cut out of its file and called. torch-lr-finder's rule is one line of its `plot`.

    python scripts/check_finders.py
"""

from __future__ import annotations

import ast
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from lrpilot.bench.policies.finders import (
    steepest_index,
    steepest_linear,
    steepest_log,
    tenth_of_minimum,
    valley,
)
from lrpilot.tune.assets import Package, fetch_package

CURVES, POINTS = 1000, 85
FASTAI = Package(
    name="fastai",
    version="2.8.12",
    filename="fastai-2.8.12-py3-none-any.whl",
    sha256="50474575768679ba7352bebd0fdf8e7d2c4ddc10242455bec79a19c964f03fd0",
    megabytes=1,
    members={"fastai/callback/schedule.py": "schedule.py"},
)
LIGHTNING = Package(
    name="lightning",
    version="2.6.6",
    filename="lightning-2.6.6-py3-none-any.whl",
    sha256="2bcbd6ee840071cd076c7dc9953d7ac1040df92f1c5fa76583aae644f037ab85",
    megabytes=1,
    members={"lightning/pytorch/tuner/lr_finder.py": "lr_finder.py"},
)
TORCH_LR_FINDER = Package(
    name="torch-lr-finder",
    version="0.2.2",
    filename="torch_lr_finder-0.2.2-py3-none-any.whl",
    sha256="926f451a213a6f593902c6ed2a1fa1603fb2fbdd8fb2a427d2eac8f46086ad3b",
    megabytes=1,
    members={"torch_lr_finder/lr_finder.py": "lr_finder.py"},
)


def cut_out(path: Path, name: str, **known: Any) -> Any:
    """The function of that name in a file, without the rest of the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name)
    found.decorator_list, found.returns = [], None
    for argument in found.args.args:
        argument.annotation = None
    space = {"torch": torch, "np": np, "log": logging.getLogger(), **known}
    exec(compile(ast.Module([found], []), str(path), "exec"), space)
    return space[name]


def curves() -> Any:
    """Rates and noisy losses: a fall, a minimum and a divergence at random places."""
    generator = np.random.default_rng(0)
    rates = np.geomspace(1e-6, 1.0, POINTS)
    for _ in range(CURVES):
        fall, rise = generator.uniform(-4.5, -1.0), generator.uniform(-1.5, 0.5)
        x = np.log10(rates)
        losses = 2.0 - 1.0 / (1 + np.exp(-3 * (x - fall))) + np.exp(4 * (x - rise))
        yield rates, losses + generator.normal(0.0, generator.choice([0.0, 0.003, 0.03]), POINTS)


def main() -> None:
    schedule = fetch_package(FASTAI) / "schedule.py"
    theirs = {
        "fastai valley": (valley, cut_out(schedule, "valley")),
        "fastai steep": (steepest_log, cut_out(schedule, "steep")),
        "fastai minimum": (tenth_of_minimum, cut_out(schedule, "minimum")),
    }
    suggestion = cut_out(fetch_package(LIGHTNING) / "lr_finder.py", "suggestion")
    source = (fetch_package(TORCH_LR_FINDER) / "lr_finder.py").read_text(encoding="utf-8")
    assert "min_grad_idx = (np.gradient(np.array(losses))).argmin()" in source
    equal = dict.fromkeys([*theirs, "lightning"], 0)
    for rates, losses in curves():
        lrs, values = torch.tensor(rates), torch.tensor(losses)
        for name, (ours, function) in theirs.items():
            equal[name] += bool(np.isclose(ours(rates, losses), function(lrs, values, 100)[0]))
        padded = {
            "lr": [0.0] * 10 + rates.tolist() + [1.0], "loss": [9.0] * 10 + losses.tolist() + [9.0]
        }  # fmt: skip
        peak = suggestion(SimpleNamespace(results=padded))
        equal["lightning"] += bool(np.isclose(peak, steepest_linear(rates, losses)))
        index = int(np.gradient(losses).argmin())
        assert steepest_index(rates, losses) == rates[index]
    for name, count in equal.items():
        print(f"{name}: {count} of {CURVES} curves equal")
    print("torch-lr-finder: the rule is the package's own line")


if __name__ == "__main__":
    main()
