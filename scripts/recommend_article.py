"""The article's claims against the published recipes: writes docs/article.md.

    python scripts/recommend_article.py [--table FILE.csv] [--no-write]

Slopes are within a source (or a source and model): each group's mean is taken out first, so that no
source's habits can make one. Intervals are 95%, from a bootstrap over sources. A verdict follows
from its interval by the rule that stands beside it.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrpilot.facts import RunFacts
from lrpilot.recommend import article, recommend
from lrpilot.recommend.table import DEFAULT_TABLE, Recipe, load_recipes
from lrpilot.recommend.vocabulary import OPTIMIZER_SCALES, TASK_GROUPS, read_optimizer

DOC = Path(__file__).parents[1] / "docs" / "article.md"
DRAWS = 2000  # assumed: enough for two digits of a 95% interval
VISION, TEXT = ("vit", "cnn"), ("encoder", "decoder", "encoder-decoder")

Test = Callable[[Recipe], bool]


@dataclass(frozen=True, slots=True)
class Slope:
    """log10 LR for each power of ten of a fact, with its interval."""

    value: float
    low: float
    high: float
    rows: int
    sources: int

    def __str__(self) -> str:
        return (
            f"{self.value:+.2f} (95% {self.low:+.2f} to {self.high:+.2f}; {self.rows} recipes,"
            f" {self.sources} sources)"
        )

    @property
    def sign(self) -> str:
        """ "rises", "falls" or "open": whether the interval leaves out zero."""
        return "rises" if self.low > 0 else ("falls" if self.high < 0 else "open")


def main() -> None:
    """Compute, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=DEFAULT_TABLE)
    parser.add_argument("--no-write", action="store_true")
    args = parser.parse_args()
    recipes = load_recipes(args.table)
    parts = [
        intro(recipes),
        usual_range(recipes),
        complexity(recipes),
        data_size(recipes),
        distance(recipes, args.table.parent / "outcomes.csv"),
        rows(recipes, args.table),
        BEHAVIOUR,
    ]
    text = "\n".join(parts)
    print(text)
    if not args.no_write:
        DOC.write_text(text, encoding="utf-8")


def adam(recipe: Recipe) -> bool:
    """Whether the optimizer is of the Adam family."""
    return read_optimizer(recipe.optimizer) == "adamw"


def full_adam(recipe: Recipe) -> bool:
    """Full fine-tuning with an Adam."""
    return recipe.method == "full" and adam(recipe)


def within(
    recipes: Sequence[Recipe],
    fact: Callable[[Recipe], float | None],
    group: Callable[[Recipe], tuple[str, ...]],
) -> Slope:
    """The slope of log10 LR on log10 of a fact, with each group's means taken out."""
    held = [recipe for recipe in recipes if fact(recipe)]
    x = np.log10([float(fact(recipe) or 1.0) for recipe in held])
    y = np.log10([recipe.peak_lr for recipe in held])
    keys = np.unique(["|".join(group(recipe)) for recipe in held], return_inverse=True)[1]
    counts = np.bincount(keys)
    x = x - (np.bincount(keys, x) / counts)[keys]
    y = y - (np.bincount(keys, y) / counts)[keys]
    moving = np.abs(x) > 1e-9
    source = np.array([recipe.source for recipe in held])[moving]
    names, index = np.unique(source, return_inverse=True)
    xy, xx = np.bincount(index, (x * y)[moving]), np.bincount(index, (x * x)[moving])
    draws = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    slopes = xy[draws].sum(1) / xx[draws].sum(1)
    low, high = np.quantile(slopes, [0.025, 0.975])
    return Slope(float(xy.sum() / xx.sum()), float(low), float(high), int(moving.sum()), len(names))


def by_source(recipe: Recipe) -> tuple[str, ...]:
    """A source, with method and kind of pretraining, which move the rate on their own."""
    return (recipe.source, recipe.method, recipe.pretraining, recipe.optimizer)


def by_model(recipe: Recipe) -> tuple[str, ...]:
    """A source and model, with method and kind of pretraining."""
    return (*by_source(recipe), recipe.model)


def summary(recipes: Sequence[Recipe]) -> str:
    """Median, interquartile range and counts of some recipes, in words."""
    if not recipes:
        return "no recipe"
    rates = np.array([recipe.peak_lr for recipe in recipes])
    low, middle, high = np.quantile(rates, [0.25, 0.5, 0.75])
    sources = len({recipe.source for recipe in recipes})
    return (
        f"median {middle:.1e}, middle half {low:.1e} to {high:.1e}"
        f" ({len(rates)} recipe{'s' * (len(rates) > 1)}, {sources} source{'s' * (sources > 1)})"
    )


def intro(recipes: Sequence[Recipe]) -> str:
    """The head of the document."""
    sources = len({recipe.source for recipe in recipes})
    return f"""# The article's claims, tested

lrpilot starts from an article on learning rates for fine-tuning: start lower than in the initial
training, mostly between 1e-5 and 1e-4; lower for more complex models; slightly higher for more
data, cautious with little; conservative for tasks far from the pretraining data; and a table:

| model | initial training | fine-tuning | task |
|---|---|---|---|
| BERT | 2e-5 | 1e-5 | sentiment analysis |
| ResNet | 1e-4 | 5e-5 | image classification |
| GPT | 3e-5 | 2e-5 | text generation |

Here each claim stands against {len(recipes)} published recipes of {sources} sources (authors' own
recipes and winners of searches; `src/lrpilot/recommend/data/`). Every figure is computed by
`python scripts/recommend_article.py`. A published rate is not proof of an optimum: where a claim is
about habit, recipes answer it; where it is about what is best, they are a witness.
"""


def usual_range(recipes: Sequence[Recipe]) -> str:
    """Claim 1: the usual range."""
    low, high = article.RANGE
    groups: tuple[tuple[str, Test], ...] = (
        ("full fine-tuning with Adam", full_adam),
        ("of these, encoders", lambda r: full_adam(r) and r.architecture == "encoder"),
        ("of these, decoders", lambda r: full_adam(r) and r.architecture == "decoder"),
        ("of these, vision", lambda r: full_adam(r) and r.architecture in VISION),
        ("LoRA and QLoRA", lambda r: r.method in ("lora", "qlora")),
        ("preference tuning of all weights", lambda r: r.method == "preference-full"),
        ("prompts and prefixes", lambda r: r.method in ("prompt", "prefix")),
        ("SGD and LARS", lambda r: OPTIMIZER_SCALES.get(r.optimizer) == "sgd"),
        ("all recipes", lambda r: True),
    )
    lines = ["| recipes | number | below | inside | above |", "|---|---|---|---|---|"]
    shares = {}
    for name, test in groups:
        rates = np.array([recipe.peak_lr for recipe in recipes if test(recipe)])
        if not len(rates):
            continue
        # assumed: a millionth of slack, so that 1e-4 read from a file counts as inside
        below, above = np.mean(rates < low * 0.999999), np.mean(rates > high * 1.000001)
        shares[name] = 1.0 - below - above
        lines.append(f"| {name} | {len(rates)} | {below:.0%} | {shares[name]:.0%} | {above:.0%} |")
    full, lora = shares["full fine-tuning with Adam"], shares["LoRA and QLoRA"]
    holds = "holds for full fine-tuning with Adam, and for nothing else" if (
        full > 0.5 > lora
    ) else "does not hold as stated"  # fmt: skip
    return f"""## 1. The usual range is 1e-5 to 1e-4

**Verdict: {holds}.** (Rule: more than half inside.)

{chr(10).join(lines)}
"""


def complexity(recipes: Sequence[Recipe]) -> str:
    """Claim 2: more complex models need lower rates."""
    groups: tuple[tuple[str, Test], ...] = (
        ("full, Adam", full_adam),
        ("encoders", lambda r: full_adam(r) and r.architecture == "encoder"),
        ("decoders", lambda r: full_adam(r) and r.architecture == "decoder"),
        ("vision", lambda r: full_adam(r) and r.architecture in VISION),
        ("LoRA and QLoRA", lambda r: r.method in ("lora", "qlora") and adam(r)),
    )
    lines, signs = [], {}
    for name, test in groups:
        slope = within([r for r in recipes if test(r)], lambda r: r.params, by_source)
        signs[name] = slope.sign
        lines.append(
            f"- {name}: {slope}; ten times the parameters, rate x {10**slope.value:.2f}"
            f" ({10**slope.low:.2f} to {10**slope.high:.2f})"
        )
    text_falls = signs["encoders"] == "falls" or signs["decoders"] == "falls"
    verdict = "supported for text" if text_falls else "not shown"
    if text_falls and signs["vision"] == "open":
        verdict += ", not shown for vision"
    return f"""## 2. More complex models need lower rates

**Verdict: {verdict}.** (Rule: the interval of the slope lies below
zero.)

Slope of log10 LR on log10 parameters, within a source:

{chr(10).join(lines)}
"""


def data_size(recipes: Sequence[Recipe]) -> str:
    """Claim 3: larger data sets allow slightly higher rates."""
    slope = within([r for r in recipes if adam(r)], lambda r: r.train_examples, by_model)
    batch = within([r for r in recipes if adam(r)], lambda r: r.batch_size, by_model)
    verdict = {
        "open": "not supported: no slope can be told from zero",
        "rises": "supported",
        "falls": "contradicted",
    }[slope.sign]
    return f"""## 3. Larger data sets allow slightly higher rates

**Verdict: {verdict}.** (Rule: the interval of the slope lies
above zero.)

Slope of log10 LR within a source and model:

- on log10 training examples: {slope}; ten times the data, rate x {10**slope.value:.2f}
  ({10**slope.low:.2f} to {10**slope.high:.2f})
- on log10 batch size, which often grows with the data: {batch}
"""


def distance(recipes: Sequence[Recipe], outcomes: Path) -> str:
    """Claim 4: tasks far from the pretraining want lower rates."""
    pairs = []
    for architecture in VISION:
        chosen = [r for r in recipes if full_adam(r) and r.architecture == architecture]
        for family in sorted({r.family for r in chosen}):
            for source in sorted({r.source for r in chosen if r.family == family}):
                here = [r for r in chosen if r.family == family and r.source == source]
                far = [r.peak_lr for r in here if r.pretraining == "self-supervised"]
                near = [r.peak_lr for r in here if r.pretraining == "supervised"]
                if far and near:
                    pairs.append((family, source, float(np.median(far) / np.median(near))))
    higher = sum(ratio > 1.0 for _, _, ratio in pairs)
    lines = [f"- {family} ({source}): x {ratio:.3g}" for family, source, ratio in pairs]
    against = pairs and higher > 0.75 * len(pairs)
    verdict = (
        "contradicted for the target score, where recipes can tell; supported for keeping old"
        " skills"
        if against
        else "open"
    )
    return f"""## 4. Tasks far from the pretraining want lower rates

**Verdict: {verdict}.** (Rule: three pairs in four.)

The recipes do not state a distance. The nearest that they have is the same vision family, fully
fine-tuned by the same source, from a self-supervised start (far from any label) and from a start
that was already tuned on labels (near). The far start takes more in {higher} of {len(pairs)}
(layer-wise decay differs too); far over near:

{chr(10).join(lines)}

{forgetting(outcomes)}
"""


def forgetting(outcomes: Path) -> str:
    """What CLIP keeps and gains by rate: 71 published runs of one random search."""
    scores: dict[str, dict[int, list[float]]] = {"top1:ImageNet": {}, "top1:ImageNetR": {}}
    edges = np.array([1e-6, 3e-6, 1e-5, 3e-5, 1.1e-4])
    with outcomes.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["source_repo"] == "mlfoundations/model-soups" and row["metric"] in scores:
                place = int(np.searchsorted(edges, float(row["lr"]), side="right")) - 1
                place = min(max(place, 0), len(edges) - 2)
                scores[row["metric"]].setdefault(place, []).append(float(row["value"]))
    lines = [
        "| rate | runs | ImageNet, the target | ImageNet-R, an old skill |",
        "|---|---|---|---|",
    ]
    for place in range(len(edges) - 1):
        target, kept = (scores[name].get(place, []) for name in scores)
        lines.append(
            f"| {edges[place]:.0e} to {edges[place + 1]:.0e} | {len(target)} |"
            f" {np.mean(target):.1%} | {np.mean(kept):.1%} |"
        )
    return (
        "For old skills the article is right. CLIP ViT-B/32 fine-tuned on ImageNet (random search"
        " of\nmlfoundations/model-soups) gains little from a higher rate, and forgets with it:\n\n"
        + "\n".join(lines)
    )


def rows(recipes: Sequence[Recipe], table: Path) -> str:
    """Claim 5: the three rows of the article's table."""
    sentiment = {name for name, group in TASK_GROUPS.items() if group == "text-classification"}
    cells: tuple[tuple[str, str, float, list[Recipe]], ...] = (
        ("BERT and DistilBERT, text classification", "full, Adam", 1e-5,
         [r for r in recipes if full_adam(r) and r.family in ("bert", "distilbert")
          and r.task in sentiment]),
        ("BERT and DistilBERT, any task", "full, Adam", 1e-5,
         [r for r in recipes if full_adam(r) and r.family in ("bert", "distilbert")]),
        ("any encoder, sentiment", "full, Adam", 1e-5,
         [r for r in recipes if full_adam(r) and r.architecture == "encoder"
          and r.task == "sentiment"]),
        ("CNNs trained on labels, images", "full, Adam", 5e-5,
         [r for r in recipes if full_adam(r) and r.architecture == "cnn"
          and r.pretraining == "supervised"]),
        ("CNNs trained on labels, images", "full, SGD", 5e-5,
         [r for r in recipes if r.method == "full" and r.architecture == "cnn"
          and OPTIMIZER_SCALES.get(r.optimizer) == "sgd" and r.pretraining == "supervised"]),
        ("decoders", "full, Adam", 2e-5,
         [r for r in recipes if full_adam(r) and r.architecture == "decoder"]),
        ("decoders of 6 to 9 billion", "full, Adam", 2e-5,
         [r for r in recipes if full_adam(r) and r.architecture == "decoder"
          and 6e9 <= (r.params or 0) <= 9e9]),
        ("decoders under 1 billion", "full, Adam", 2e-5,
         [r for r in recipes if full_adam(r) and r.architecture == "decoder"
          and (r.params or 1e12) < 1e9]),
        ("decoders", "LoRA and QLoRA", 2e-5,
         [r for r in recipes if r.method in ("lora", "qlora") and r.architecture == "decoder"]),
    )  # fmt: skip
    lines = ["| recipes | method | published | over the article's row |", "|---|---|---|---|"]
    for name, method, rate, held in cells:
        ratio = np.median([r.peak_lr for r in held]) / rate if held else float("nan")
        lines.append(f"| {name} | {method} | {summary(held)} | x {ratio:.2g} |")
    asked = []
    for row in article.ROWS:
        found = recommend(RunFacts(model=row.kind, task=sorted(row.tasks)[0]), table=table)
        beside = next(r for r in found.reasons if r.rule == "evidence-beside")
        asked.append(
            f"- {row.label}, {row.task}: the article's {row.fine_tuning_lr:g}, and the estimator's"
            f" {row.fine_tuning_lr * beside.factor:.2g} for the same two facts"
        )
    return f"""## 5. The three rows

**Verdict: BERT's row is low for BERT and right for larger encoders; ResNet's is near what the
published families of CNNs take with Adam, and far too low for SGD; GPT's is right for full
fine-tuning of models of about 7 billion parameters.** (Rule: the published median lies within a
factor of 2 of the row.)

{chr(10).join(lines)}

{chr(10).join(asked)}

That a fine-tuning should start below its initial training, be raised while validation is stable
and be cut on overfitting cannot be told from recipes: nobody publishes runs of such a policy.
"""


BEHAVIOUR = """## What lrpilot does about it

- Where only a kind of model (bert, resnet, gpt) and its task are known, the article's row is the
  answer, with the recipes' own number beside it.
- As soon as anything else is known, recipes lead: optimizer, method, kind of pretraining and size
  move the rate as far as they do in the recipes.
- The number of examples and the distance of the task move nothing; the reasons say so. To keep old
  skills, take the band's low end.
- Where the rate of the initial training is known, a full fine-tuning starts below it, as the
  article asks: no recipe speaks against it. A planned rate that is not lower brings a warning.
- Short runs of small models (ours: 12 to 225 steps, 0.3 to 135 million parameters) want more than
  any recipe says; the correction and its spread stand in `docs/recommend.md`.
"""

if __name__ == "__main__":
    main()
