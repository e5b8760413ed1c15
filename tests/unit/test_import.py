"""A bare import is cheap, and what the package promises is there."""

from __future__ import annotations

import subprocess
import sys

import lrpilot

HEAVY = ("torch", "transformers", "plotly", "rich", "pandas", "pyarrow", "scipy")


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, lrpilot; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_recommending_needs_no_torch() -> None:
    code = (
        "import sys, lrpilot; lrpilot.recommend(lrpilot.RunFacts(model='bert', task='sentiment'));"
        "print([m for m in ('torch', 'transformers', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_promised_name_is_there() -> None:
    for name in lrpilot.__all__:
        assert getattr(lrpilot, name) is not None
        assert name in dir(lrpilot)
