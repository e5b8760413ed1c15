"""`recommend`: which learning rate, and why, from what is known before training.

The evidence is a table of published recipes (`data/`). Two estimators read it, the nearest recipes
and a Gaussian process, and the answer is their mean; its band is calibrated on families and sources
that they had not seen. `docs/recommend.md` says how well it does. The article's table answers where
nothing but its own row is known.
"""

from __future__ import annotations

from lrpilot.recommend.answer import recommend
from lrpilot.recommend.module import facts_from_module
from lrpilot.recommend.read import facts_from_data, facts_from_files

__all__ = ["facts_from_data", "facts_from_files", "facts_from_module", "recommend"]
