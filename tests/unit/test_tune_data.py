"""Reading the user's own data, and holding parts of it out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrpilot.errors import InputError
from lrpilot.tune.data import (
    Corpus,
    Table,
    choose_columns,
    load_corpus,
    load_table,
    split_corpus,
    split_table,
)
from lrpilot.tune.splits import check_size, split_indices, validation_size

pytest.importorskip("pyarrow")

ROWS = [("good, very good", "pos"), ("bad", "neg"), ('said "no"', "neg"), ("line\nend", "pos")]


def write_table(folder: Path, suffix: str) -> Path:
    """The four rows in one of the formats, with a third column that nobody asked for."""
    path = folder / f"data{suffix}"
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts, labels = zip(*ROWS, strict=True)
        pq.write_table(
            pa.table({"id": [1, 2, 3, 4], "text": list(texts), "label": list(labels)}), path
        )
    elif suffix == ".jsonl":
        lines = [json.dumps({"id": i, "text": t, "label": k}) for i, (t, k) in enumerate(ROWS)]
        path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    else:
        mark = "\t" if suffix == ".tsv" else ","
        quoted = [(i, t.replace('"', '""'), k) for i, (t, k) in enumerate(ROWS)]
        body = "".join(f'{i}{mark}"{t}"{mark}{k}\n' for i, t, k in quoted)
        path.write_text(f"id{mark}text{mark}label\n{body}", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_table(tmp_path: Path, suffix: str) -> None:
    table = load_table(write_table(tmp_path, suffix))
    assert table.texts == [text for text, _ in ROWS]
    assert table.label_names == ("neg", "pos")
    assert table.labels.tolist() == [1, 0, 0, 1]
    assert table.labels.dtype == np.int64


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "bom.csv"
    path.write_bytes("\ufefftext,label\na,0\nb,1\n".encode())
    assert load_table(path).texts == ["a", "b"]


def test_numeric_classes_keep_numeric_order_and_validation_keeps_training_classes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("text,stars\na,10\nb,2\nc,2.0\n", encoding="utf-8")
    table = load_table(path, text_column="text", label_column="stars")
    assert table.label_names == ("2", "10")
    assert table.labels.tolist() == [1, 0, 0]
    assert load_table(path, label_names=("1", "2", "10")).labels.tolist() == [2, 1, 1]


@pytest.mark.parametrize(
    ("columns", "text", "label", "expected"),
    [
        (("sentence", "label"), None, None, ("sentence", "label")),
        (("Review", "Sentiment", "id"), None, None, ("Review", "Sentiment")),
        (("a", "b"), "a", None, ("a", "b")),
        (("a", "b"), None, "a", ("b", "a")),
        (("a", "label"), None, None, ("a", "label")),
        (("text", "stars"), None, None, ("text", "stars")),
        (("x", "y", "z"), "z", "x", ("z", "x")),
    ],
)
def test_columns_are_guessed_where_one_choice_is_sensible(
    columns: tuple[str, ...], text: str | None, label: str | None, expected: tuple[str, str]
) -> None:
    assert choose_columns(columns, text=text, label=label, where="data.csv") == expected


@pytest.mark.parametrize(
    ("columns", "text", "label", "words"),
    [
        (("a", "b"), None, None, "guess for --text-column and --label-column: give two of a, b"),
        (
            ("text", "review", "label"),
            None,
            None,
            "guess for --text-column: give one of text, review, label",
        ),
        (("text", "label"), "body", None, "no column 'body': it has text, label"),
        (("text", "label"), "text", "text", "both text and label"),
    ],
)
def test_a_doubtful_or_missing_column_is_refused_with_those_that_exist(
    columns: tuple[str, ...], text: str | None, label: str | None, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        choose_columns(columns, text=text, label=label, where="data.csv")
    assert words in str(caught.value)
    assert columns[0] in str(caught.value)


BAD_FILES = {
    "empty.csv": (b"", "is empty"),
    "header.csv": (b"text,label\n", "holds no examples"),
    "ragged.csv": (b"text,label\na,0\nb,1,2\n", "row 3 has 3 columns where the header has 2"),
    "latin.csv": ("text,label\ncaf\xe9,0\nb,1\n".encode("latin-1"), "not UTF-8"),
    "blank.csv": (b"text,label\na,0\n  ,1\n", "1 of 2 texts in column 'text' are empty"),
    "nolabel.csv": (b"text,label\na,0\nb,\n", "(first: example 2)"),
    "twice.csv": (b"text,text\na,0\n", "different names"),
    "broken.jsonl": (b'{"text": "a", "label": 0}\n{"text": "b"\n', "line 2 is not a JSON object"),
    "list.jsonl": (b'[{"text": "a"}]\n', "line 1 holds a list"),
    "missing.jsonl": (b'{"text": "a", "label": 0}\n{"text": "b"}\n', "object 2 has no 'label'"),
    "fake.parquet": (b"not parquet", "cannot be read"),
    "data.xlsx": (b"x", "is not a table that can be read"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_line_that_says_where(tmp_path: Path, name: str) -> None:
    content, words = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_table(tmp_path / name)
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv does not exist"):
        load_table("nowhere.csv")


def test_labels_on_a_scale_are_refused_as_regression(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("text,label\n" + "".join(f"t{i},{i / 7}\n" for i in range(40)))
    with pytest.raises(InputError, match="looks like regression"):
        load_table(path)


def test_a_few_fractional_classes_are_classes(tmp_path: Path) -> None:
    path = tmp_path / "halves.csv"
    path.write_text("text,label\na,0.5\nb,1.5\nc,0.5\n")
    assert load_table(path).label_names == ("0.5", "1.5")


def test_a_class_unknown_in_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    path.write_text("text,label\na,new\n")
    with pytest.raises(InputError, match="'new' does not occur in the training data"):
        load_table(path, label_names=("neg", "pos"))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1] * 7, "at least 16"),
        ([0] * 20, "one class only ('neg')"),
        ([0] * 20 + [1], "1 of 2 classes have a single example ('pos')"),
    ],
)
def test_too_little_data_is_refused(labels: list[int], words: str) -> None:
    with pytest.raises(InputError) as caught:
        check_size(np.array(labels), ("neg", "pos"), what="data.csv")
    assert words in str(caught.value)


def test_split_counts_by_hand() -> None:
    labels = np.array([0] * 60 + [1] * 40)
    validation, test, train = split_indices(labels, sizes=(20, 10), seed=3)
    assert np.bincount(labels[validation]).tolist() == [12, 8]
    assert np.bincount(labels[test]).tolist() == [6, 4]
    assert np.bincount(labels[train]).tolist() == [42, 28]
    assert sorted([*validation, *test, *train]) == list(range(100))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 25)), min_size=20, max_size=120),
    st.integers(0, 5),
)
def test_parts_are_a_partition_that_no_group_crosses(
    items: list[tuple[int, int]], seed: int
) -> None:
    labels = np.array([label for label, _ in items])
    groups = [group for _, group in items]
    parts = split_indices(labels, sizes=(4, 3), seed=seed, groups=groups)
    assert sorted(i for part in parts for i in part) == list(range(len(items)))
    keys = [{groups[i] for i in part} for part in parts]
    assert sum(map(len, keys)) == len(set.union(*keys))
    again = split_indices(labels, sizes=(4, 3), seed=seed, groups=groups)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


def test_another_seed_draws_other_examples() -> None:
    labels = np.array([0, 1] * 100)
    first, second = (split_indices(labels, sizes=(40,), seed=s)[0] for s in (0, 1))
    assert not np.array_equal(first, second)


def test_holding_out_everything_is_refused() -> None:
    with pytest.raises(InputError, match="cannot hold out 20 of 20"):
        split_indices(np.array([0, 1] * 10), sizes=(20,), seed=0)


def test_equal_texts_stay_on_one_side_whatever_their_case_and_spaces() -> None:
    texts = [form for i in range(30) for form in (f"Text {i}", f"text  {i} ", f"TEXT {i}")]
    table = Table(texts, np.array([i // 3 % 2 for i in range(90)]), ("neg", "pos"))
    parts = split_table(table, seed=0, what="data", validation=18, test=6)
    assert parts.test is not None
    sides = [{" ".join(t.lower().split()) for t in p.texts}
             for p in (parts.train, parts.validation, parts.test)]  # fmt: skip
    assert [len(side) for side in sides] == [22, 6, 2]
    assert len(set.union(*sides)) == 30


@pytest.mark.parametrize(
    ("examples", "held"), [(16, 3), (1000, 200), (10_000, 2000), (50_000, 2000)]
)
def test_a_fifth_is_held_out_up_to_two_thousand(examples: int, held: int) -> None:
    assert validation_size(examples) == held


def test_corpus_from_a_file_a_folder_and_a_table(tmp_path: Path) -> None:
    half = "word " * 1500
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name + half, encoding="utf-8")
    assert load_corpus(tmp_path).text == "a.txt" + half + "\n" + "b.txt" + half
    (tmp_path / "one.txt").write_text(half * 2, encoding="utf-8")
    assert len(load_corpus(tmp_path / "one.txt")) == 15_000
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"text": half}) for _ in "ab"))
    assert load_corpus(tmp_path / "t.jsonl").text == half + "\n" + half


def test_short_or_absent_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(InputError, match="holds 9 characters: give at least 10000"):
        load_corpus(tmp_path / "short.txt")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"holds no \.txt file"):
        load_corpus(tmp_path / "none")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        load_corpus(tmp_path / "latin.txt")


def test_corpus_is_cut_between_lines_and_nothing_is_lost() -> None:
    lines = [f"line {i} of the text" for i in range(1000)]
    parts = split_corpus(Corpus("\n".join(lines)), validation_frac=0.1)
    train, held = parts.train.text.splitlines(), parts.validation.text.splitlines()
    assert train + held == lines
    assert 95 <= len(held) <= 105
