"""Tables and JSON Lines: what steps are, which column is which, and what is left open."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrpilot.diagnose.history import History, Series
from lrpilot.diagnose.readers import read
from lrpilot.diagnose.readers.collect import Collector
from lrpilot.diagnose.readers.names import SCORES, kind_of, score_of
from lrpilot.errors import InputError


def one(path: Path, text: str) -> History:
    path.write_text(text)
    (history,) = read(path)
    return history


def steps(series: Series | None) -> list[float]:
    assert series is not None
    return [float(s) for s in series.steps]


def values(series: Series | None) -> list[float]:
    assert series is not None
    return [float(v) for v in series.values]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_a_plain_table(tmp_path: Path, delimiter: str) -> None:
    rows = ["step,train_loss,val_loss,lr,note", "1,0.5,,1e-3,a", "2,nan,0.7,1e-3,b", "3,inf,,,"]
    run = one(tmp_path / "log.csv", "\n".join(rows).replace(",", delimiter))
    assert run.format == "csv"
    assert steps(run.train_loss) == [1, 2, 3]
    assert np.isnan(values(run.train_loss)[1])
    assert values(run.train_loss)[2] == float("inf")
    assert (steps(run.eval_loss), values(run.eval_loss)) == ([2], [0.7])
    assert steps(run.lr) == [1, 2]


def test_keras_2_and_3_call_the_rate_differently(tmp_path: Path) -> None:
    for name in ("lr", "learning_rate"):
        text = json.dumps({"loss": [1.0, 0.5], "val_loss": [1.0, 0.6], name: [1e-3, 1e-4]})
        run = one(tmp_path / "history.json", text)
        assert (run.format, values(run.lr)) == ("keras", [1e-3, 1e-4])
    table = one(tmp_path / "log.csv", "epoch,accuracy,loss,lr,val_accuracy,val_loss\n0,1,2,3,4,5\n")
    assert (table.format, steps(table.lr), table.score_name) == ("keras", [1], "val_accuracy")


def test_an_unknown_name_gets_no_direction(tmp_path: Path) -> None:
    run = one(tmp_path / "log.csv", "step,loss,eval_zorp,val_accuracy\n1,2,3,4\n2,3,4,5\n")
    assert (run.score_name, run.score_mode) == ("val_accuracy", "max")
    assert "eval_zorp" in run.others
    assert any("eval_zorp" in said and "not known" in said for said in run.unread)


def test_steps_that_start_anew_with_each_epoch(tmp_path: Path) -> None:
    body = "\n".join(f"{e},{s},{e + s}" for e in range(3) for s in range(10))
    run = one(tmp_path / "log.csv", "epoch,step,loss\n" + body)
    assert steps(run.train_loss) == list(range(30))
    assert run.resumes == ()
    assert any("10 an epoch" in said for said in run.unread)


def test_a_resumed_run_tells_its_last_story(tmp_path: Path) -> None:
    body = "\n".join(f"{s},{s}" for s in [*range(1, 11), *range(6, 13)])
    run = one(tmp_path / "log.csv", "step,loss\n" + body)
    assert steps(run.train_loss) == list(range(1, 13))
    assert run.resumes == (6,)


def test_newest_first_is_only_an_order(tmp_path: Path) -> None:
    body = "\n".join(f"{s},{s / 10}" for s in range(20, 0, -1))
    run = one(tmp_path / "log.csv", "step,loss\n" + body)
    assert steps(run.train_loss) == list(range(1, 21))
    assert run.resumes == ()


def test_wandb_export_holds_several_runs(tmp_path: Path) -> None:
    header = '"train/global_step","a - train/loss","a - train/loss__MIN","b - train/loss"'
    (tmp_path / "export.csv").write_text(f"{header}\n10,1.0,0.9,2.0\n20,0.5,0.4,\n")
    first, second = read(tmp_path / "export.csv")
    assert (steps(first.train_loss), values(first.train_loss)) == ([10, 20], [1.0, 0.5])
    assert steps(second.train_loss) == [10]
    assert "train/loss__MIN" not in first.others


def test_tensorboard_export_is_named_after_its_tag(tmp_path: Path) -> None:
    text = "Wall time,Step,Value\n1.0,1,0.5\n2.0,2,0.4\n"
    run = one(tmp_path / "run-.-tag-train_loss.csv", text)
    assert values(run.train_loss) == [0.5, 0.4]


def test_long_tables(tmp_path: Path) -> None:
    sided = one(tmp_path / "a.csv", "step,split,loss\n1,train,2\n1,valid,3\n2,train,1\n")
    assert (values(sided.train_loss), values(sided.eval_loss)) == ([2, 1], [3])
    named = one(tmp_path / "b.csv", "step,metric,value\n1,train_loss,2\n1,val_loss,3\n")
    assert (values(named.train_loss), values(named.eval_loss)) == ([2], [3])


def test_json_lines(tmp_path: Path) -> None:
    rows = [{"current_steps": 10, "total_steps": 100, "loss": 0.5, "lr": 1e-4, "epoch": 0.1},
            {"current_steps": 20, "total_steps": 100, "eval_loss": 0.7, "epoch": 0.2}]  # fmt: skip
    run = one(tmp_path / "trainer_log.jsonl", "\n".join(map(json.dumps, rows)))
    assert (run.format, run.plan.facts.steps) == ("llama-factory", 100)
    assert (steps(run.train_loss), steps(run.eval_loss)) == ([10], [20])
    nested = one(tmp_path / "n.jsonl", '{"step": 1, "train": {"loss": 2}, "val": {"loss": 3}}\n')
    assert (values(nested.train_loss), values(nested.eval_loss)) == ([2], [3])
    mode = one(tmp_path / "m.jsonl", '{"mode": "train", "iter": 1, "loss": 2}\n'
               '{"mode": "val", "iter": 1, "loss": 3}\n')  # fmt: skip
    assert (values(mode.train_loss), values(mode.eval_loss)) == ([2], [3])


def test_a_list_of_rows(tmp_path: Path) -> None:
    rows = [{"_step": s, "train/loss": 1 / s, "trainer/global_step": s - 1} for s in range(1, 9)]
    run = one(tmp_path / "export.json", json.dumps(rows, indent=1))
    assert steps(run.train_loss) == list(range(1, 9))
    text = json.dumps(rows)
    run = one(tmp_path / "cut.json", text[: text.index('"_step": 5')])
    assert steps(run.train_loss) == [1, 2, 3, 4]
    assert any("breaks off" in said for said in run.unread)


def test_wandb_rows_of_older_versions(tmp_path: Path) -> None:
    rows = '{"_step": 0, "train/loss": 2}\n{"_step": 1, "train/loss": 1}\n{"_st'
    (tmp_path / "wandb-history.jsonl").write_text(rows)
    (run,) = read(tmp_path)
    assert (run.format, values(run.train_loss)) == ("wandb", [2, 1])
    assert any("log calls" in said for said in run.unread)
    assert any("1 lines" in said for said in run.unread)


def test_what_trainers_print(tmp_path: Path) -> None:
    hf = (
        "  0%| | 0/20\r 50%|  | 10/20 {'loss': '0.5', 'learning_rate': '1e-05', 'epoch': '0.5'}\n"
        "{'loss': nan, 'grad_norm': inf, 'learning_rate': 5e-06, 'epoch': 1.0}\n"
        "{'eval_loss': 0.7, 'eval_runtime': 1.0, 'epoch': 1.0}\n"
    )
    run = one(tmp_path / "train.log", hf)
    assert run.format == "hf-printed"
    assert values(run.train_loss)[0] == 0.5
    assert np.isnan(values(run.train_loss)[1])
    assert values(run.eval_loss) == [0.7]
    assert any("rows" in said for said in run.unread)
    tune = "Step 1 | loss:2.5 lr:1e-5 tokens_per_second_per_gpu:9.0\nStep 2 | loss:2.0 lr:2e-5\n"
    run = one(tmp_path / "log_1.txt", tune)
    assert (steps(run.train_loss), values(run.lr)) == ([1, 2], [1e-5, 2e-5])
    nano = "step 0: train loss 4.0, val loss 4.1\niter 0: loss 4.2, time 9ms\niter 9: loss 3.0, t\n"
    run = one(tmp_path / "nano.txt", nano)
    assert (steps(run.train_loss), values(run.eval_loss)) == ([0, 9], [4.1])


def test_test_data_stands_in_for_validation_and_that_is_said(tmp_path: Path) -> None:
    run = one(tmp_path / "log.csv", "epoch,train_loss,test_loss\n1,2,3\n2,1,2\n")
    assert values(run.eval_loss) == [3, 2]
    assert any("test_loss" in said for said in run.unread)


def test_reinforcement_learning_has_no_loss(tmp_path: Path) -> None:
    log = [{"step": s, "loss": 0.0, "reward": s / 10, "learning_rate": 1e-6} for s in (1, 2, 3)]
    text = json.dumps({"best_metric": None, "log_history": log, "global_step": 3, "max_steps": 3})
    run = one(tmp_path / "trainer_state.json", text)
    assert run.train_loss is None
    assert "loss" in run.others
    assert any("reinforcement" in said for said in run.unread)


def test_a_table_of_several_runs_is_no_log(tmp_path: Path) -> None:
    body = "\n".join(f"{s},{s}" for _ in range(5) for s in (3, 1, 2))
    (tmp_path / "grid.csv").write_text("steps,eval_loss\n" + body)
    with pytest.raises(InputError, match="go back in 5 of 15 rows"):
        read(tmp_path / "grid.csv")


def test_a_table_of_data_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("text,label\nfine,1\n")
    with pytest.raises(InputError, match="the columns text, label"):
        read(tmp_path / "data.csv")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("train/loss", "train_loss"), ("Loss/train", "train_loss"), ("eval/loss", "eval_loss"),
        ("valid_loss", "eval_loss"), ("lr-AdamW/pg1", "lr"), ("train/learning_rate", "lr"),
        ("lr-SGD-momentum", None), ("Grad_Norm", "grad_norm"), ("eval_f1", "score"),
        ("accuracy", None), ("eval_zorp", None), ("weird", None), ("validation/epoch_loss",
        "eval_loss"), ("eval_rewards/accuracies", "score"), ("val_mIoU", "score"),
    ],
)  # fmt: skip
def test_names(name: str, kind: str | None) -> None:
    found = kind_of(name)
    assert (found[0] if found else None) == kind


def test_scores_have_the_direction_of_their_definition() -> None:
    assert {SCORES[n] for n in ("accuracy", "f1", "bleu", "matthews_correlation", "r2")} == {"max"}
    assert {SCORES[n] for n in ("wer", "mse", "perplexity", "error", "brier_score")} == {"min"}
    assert score_of("eval_wer") == "wer"


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(allow_nan=False)), min_size=1, max_size=60))
def test_a_settled_series_rises_and_keeps_the_last_word(points: list[tuple[int, float]]) -> None:
    collected = Collector()
    for step, value in points:
        collected.add("loss", step, value)
    series, resumes = collected.settle()
    found = series["loss"]
    assert (np.diff(found.steps) > 0).all()
    downwards = all(a[0] > b[0] for a, b in pairwise(points))
    if not downwards or len(points) < 3:
        assert (found.steps[-1], found.values[-1]) == points[-1]
    backs = [b[0] for a, b in pairwise(points) if b[0] < a[0]]
    assert set(resumes["loss"]) <= set(backs)
