"""Sentences that people rated from -4 (negative) to 4: four kinds of text.

Source: Hutto and Gilbert (2014), VADER, ICWSM-14; the package that `demo_sentiment` pins.
"""

from __future__ import annotations

import io
import tarfile
from functools import cache

from lrpilot.tune import demo_sentiment
from lrpilot.tune.assets import fetch_package

_FILES = {
    "movies": demo_sentiment.REVIEWS,
    "products": "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
    "tweets": "hutto_ICWSM_2014/tweets_GroundTruth.txt",
    "editorials": "hutto_ICWSM_2014/nytEditorialSnippets_GroundTruth.txt",
}
KINDS = tuple(_FILES)


@cache
def rated_sentences(kind: str) -> tuple[tuple[float, str], ...]:
    """Mean rating and text of each sentence of one of `KINDS`, in the file's order."""
    archive = fetch_package(demo_sentiment.DATA) / "ratings.tar.gz"
    with tarfile.open(archive) as files:
        member = files.extractfile(_FILES[kind])
        assert member is not None, "the archive is checked against a pinned digest"
        lines = io.TextIOWrapper(member, encoding="utf-8").read().split("\n")
    rows = [line.split("\t", 2) for line in lines if line.count("\t") >= 2]
    return tuple((float(rating), sentence.strip()) for _, rating, sentence in rows)
