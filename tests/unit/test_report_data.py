"""What a report computes from a record, against numbers worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrpilot.diagnose.finding import Advice
from lrpilot.facts import Reason, Recommendation
from lrpilot.record import RunRecord
from lrpilot.report.data import report_data
from lrpilot.report.formats import duration, listed, number, rate, shown, with_error
from lrpilot.report.series import Series, finite, smooth, thin
from lrpilot.report.values import Span
from lrpilot.report.words import caveats, chart_summary, headline, verdict

RECOMMENDATION = Recommendation(
    peak_lr=1e-5, low=5e-6, high=4e-5, reasons=(Reason(rule="user", text="you asked"),)
)


def record(*events, **header):
    """A record from events given as (kind, step, fields)."""
    head = {
        "kind": "run",
        "version": 1,
        "policy": "validation",
        "title": "a run",
        "recommendation": RECOMMENDATION.to_json(),
        "budget": {"steps": 10},
        "metric": {"name": "validation loss", "unit": "nats", "mode": "min"},
    }
    story = ({"kind": kind, "step": step, **fields} for kind, step, fields in events)
    return RunRecord({**head, **header}, tuple(story))


def step(n, loss=1.0, lr=1e-5):
    return "step", n, {"loss": loss, "lr": lr, "grad_norm": None, "wall_s": float(n)}


def evaluation(n, mean, error=0.02, examples=200):
    return "evaluation", n, {"mean": mean, "standard_error": error, "n": examples}


def decision(n, action, lr, rule="stable"):
    fields = {"action": action, "rule": rule, "lr": lr, "lr_scale": 1.0, "reason": f"why {n}"}
    return "decision", n, fields


def score(name, value, error):
    fields = {"name": name, "split": "test", "metric": "accuracy", "unit": "", "value": value}
    return "score", 10, {**fields, "standard_error": error, "n": 1900, "steps": 10}


def finding(n, severity="warning", rule="lr-too-high", **more):
    fields = {"rule": rule, "severity": severity, "summary": f"seen at {n}", "first_step": 2,
              "last_step": n, "remedy": "lower the rate", "source": "", "figures": {},
              "advice": None}  # fmt: skip
    return "finding", n, {**fields, **more}


WHOLE = (
    evaluation(0, 0.9),
    decision(0, "hold", 1e-5, "start"),
    step(1),
    step(2),
    evaluation(2, 0.8),
    decision(2, "raise", 4e-5),
    step(3, lr=4e-5),
    step(4, lr=4e-5),
    evaluation(4, 1.2),
    decision(4, "rollback", 1e-5, "too-high"),
    step(5),
    step(6),
    evaluation(6, 1.1),
    decision(6, "rollback", 2.5e-6, "too-high"),
    step(7, lr=2.5e-6),
    evaluation(7, 0.5),
    step(8, lr=2.5e-6),
    evaluation(8, 0.7),
    decision(8, "cut", 1.25e-6, "overfitting"),
    step(9, lr=1.25e-6),
    step(10, lr=1.25e-6),
    evaluation(10, 0.6),
    decision(10, "rollback", 0.0, "keep-best"),
    ("end", 10, {"status": "finished", "cause": "all 10 steps were taken"}),
    score("autopilot", 0.8012, 0.0091),
    score("constant 1e-05", 0.5621, 0.0114),
)


def test_the_whole_story_in_figures():
    data = report_data(record(*WHOLE))
    assert (data.lr_start, data.lr_peak, data.lr_peak_step) == (1e-5, 4e-5, 3)
    assert (data.best.step, data.best.mean) == (7, 0.5)
    assert (data.count("raise"), data.count("cut"), data.count("rollback")) == (1, 1, 2)
    assert [(d.step, d.lr_before, d.lr_after) for d in data.decisions] == [
        (0, None, 1e-5),
        (2, 1e-5, 4e-5),
        (4, 4e-5, 1e-5),
        (6, 1e-5, 2.5e-6),
        (8, 2.5e-6, 1.25e-6),
        (10, 1.25e-6, 0.0),
    ]


def test_findings_come_with_their_place_and_the_rate_to_try():
    advice = {"lr": 2e-5, "low": 1e-5, "high": 4e-5, "because": "recipes"}
    data = report_data(record(finding(8, "error", advice=advice), finding(9, first_step=None)))
    first, second = data.findings
    assert (first.step, first.severity, first.rule) == (8, "error", "lr-too-high")
    assert (first.summary, first.remedy) == ("seen at 8", "lower the rate")
    assert (first.first_step, first.last_step) == (2, 8)
    assert first.advice == Advice(lr=2e-5, low=1e-5, high=4e-5, because="recipes")
    assert (second.step, second.first_step, second.advice) == (9, None, None)


@pytest.mark.parametrize("advice", [7, {}, {"lr": "x", "low": 1e-5, "high": 1e-4}, {"lr": 1e-5}])
def test_damaged_advice_costs_the_rate_alone(advice):
    (found,) = report_data(record(finding(8, advice=advice), ("finding", "x", {}))).findings
    assert (found.summary, found.advice) == ("seen at 8", None)


def test_the_summary_of_the_chart_counts_findings_only_where_there_are_any():
    assert "doctor" not in chart_summary(report_data(record(step(1))))
    said = chart_summary(report_data(record(step(1), finding(1))))
    assert "0 decisions and one finding of the doctor" in said


def test_rollbacks_undo_each_step_once_and_the_last_return_undoes_none():
    data = report_data(record(*WHOLE))
    # the first goes back to step 2; the second does too, but steps 3 and 4 were undone already
    assert data.undone == (Span(start=2, end=4), Span(start=4, end=6))


def test_a_validation_of_stretched_weights_is_none_of_a_step():
    name, at, fields = evaluation(8, 0.1)
    story = (*WHOLE[:16], (name, at, {**fields, "cause": "stretch"}))
    plain, data = report_data(record(*WHOLE[:16])), report_data(record(*story))
    assert (data.validations, data.best) == (plain.validations, plain.best)


def test_a_trial_is_no_roll_back_and_its_rate_is_not_the_highest():
    back = ("decision", 4, {"action": "rollback", "rule": "trial", "lr": 1e-4, "lr_scale": 1.0,
                            "reason": "back", "back_to": 3})  # fmt: skip
    rates = {1: 1e-4, 2: 1e-4, 3: 1e-4, 4: 3e-4, 5: 1.1e-4, 6: 5e-5}
    events = [step(n, lr=lr) for n, lr in rates.items()]
    data = report_data(record(*events[:4], back, *events[4:]))
    assert data.undone == (Span(start=3, end=4),)
    assert (data.lr_peak, data.lr_peak_step) == (1.1e-4, 5)
    assert (data.count("trial"), data.count("rollback")) == (1, 0)
    assert "One trial of a higher rate at step 4 (one step undone)." in verdict(data)


def test_the_verdict_says_it_in_plain_words():
    data = report_data(record(*WHOLE))
    assert headline(data) == "Finished 10 steps."
    assert verdict(data) == (
        "The rate went from 1e-05 up to 4e-05 at step 3 in one raise.",
        "2 roll-backs at steps 4 and 6; one cut at step 8 for overfitting.",
        "Best validation loss 0.500 ± 0.020 at step 7, and that state was kept.",
        "Test accuracy 0.801 ± 0.009 against 0.562 ± 0.011 for constant 1e-05.",
    )


def test_the_verdict_says_that_a_roll_back_was_for_overfitting():
    back = ("decision", 2, {"action": "rollback", "rule": "overfitting", "lr": 1e-5,
                            "lr_scale": 0.3, "reason": "by heart", "back_to": 1})  # fmt: skip
    data = report_data(record(step(1), step(2), back, step(3)))
    assert "One roll-back at step 2 for overfitting (one step undone)." in verdict(data)


def test_a_score_metric_is_better_when_higher():
    metric = {"name": "accuracy", "unit": "", "mode": "max"}
    data = report_data(record(evaluation(0, 0.5), step(1), evaluation(1, 0.7), metric=metric))
    assert data.best.step == 1
    assert not data.metric.beside_training


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ({"status": "interrupted"}, "Interrupted after one step of 10."),
        ({"status": "diverged"}, "Diverged: stopped after one step of 10."),
        ({"status": "finished"}, "Finished one step of 10."),
        (None, "Unfinished: one step of 10 recorded so far."),
    ],
)
def test_the_headline_of_runs_that_did_not_take_all_steps(end, words):
    events = [step(1)] if end is None else [step(1), ("end", 1, end)]
    assert headline(report_data(record(*events))) == words


def test_the_verdict_says_why_fewer_steps_were_taken():
    end = {"status": "finished", "cause": "1 of 10 steps were taken in the time given"}
    said = verdict(report_data(record(step(1), ("end", 1, end))))
    assert said[0] == "Why: 1 of 10 steps were taken in the time given."


def test_a_run_resumed_after_its_end_is_unfinished():
    events = (step(1), ("end", 1, {"status": "interrupted"}), ("resume", 1, {}), step(2))
    assert report_data(record(*events)).end.status == "unfinished"


def test_losses_that_are_not_finite_are_counted_and_left_out():
    events = [step(1, 2.0), step(2, math.nan), step(3, math.inf), step(4, 4.0), step(5, None)]
    data = report_data(record(*events))
    assert data.not_finite == (2, 3)
    assert data.train_loss == Series((1, 4), (2.0, 4.0))
    assert any("NaN or infinite at 2 steps (first at step 2)" in text for text in caveats(data))


def test_what_cannot_be_judged_is_said():
    nothing = " ".join(caveats(report_data(record())))
    assert "no validation" in nothing
    assert "has no end" in nothing
    assert "No step was recorded" in nothing
    few = " ".join(caveats(report_data(record(step(1), evaluation(1, 1.0, examples=64)))))
    assert "only 64 examples" in few
    assert "no score on test data" in few
    bare = " ".join(caveats(report_data(record(evaluation(0, 1.0, error=None, examples=1)))))
    assert "bare means" in bare
    assert "only" not in " ".join(caveats(report_data(record(*WHOLE))))


def test_no_validation_beats_the_untouched_model():
    data = report_data(record(evaluation(0, 0.5), step(1), evaluation(1, 0.9)))
    assert "No validation loss was better than the untouched model's 0.500 ± 0.020." in verdict(
        data
    )


def test_a_validation_that_is_not_finite_is_never_the_best():
    data = report_data(record(evaluation(0, math.nan, None), step(1), evaluation(1, 0.9)))
    assert data.best.step == 1
    assert any("gave no finite value (first at step 0)" in text for text in caveats(data))


def test_events_without_their_numbers_do_not_stop_the_report():
    events = [("step", "x", {}), ("step", None, {"loss": "<b>"}), ("decision", 1, {}),
              ("evaluation", 1, {"mean": "high"}), ("score", 1, {})]  # fmt: skip
    data = report_data(record(*events, budget=None, facts="none", recommendation={"a": 1}))
    assert data.steps == 0
    assert data.recommendation is None
    assert math.isnan(data.validations[0].mean)


def test_a_flat_loss_has_a_linear_axis_and_a_blown_up_one_a_log_axis():
    calm = [step(n, 0.5 + 0.1 * (n % 2)) for n in range(1, 9)]
    assert report_data(record(*calm)).loss_axis == "linear"
    assert report_data(record(*calm, step(9, 1e4))).loss_axis == "log"
    assert report_data(record(*calm, step(9, 1e4), step(10, 0.0))).loss_axis == "linear"


# -- series ---------------------------------------------------------------------------------


def test_smoothing_by_hand():
    # span 3 keeps a half: (1), (0.5 * 1 + 4) / 1.5, (0.25 * 1 + 0.5 * 4 + 7) / 1.75
    result = smooth(Series((1, 2, 3), (1.0, 4.0, 7.0)), span=3)
    assert result.values == pytest.approx((1.0, 3.0, 9.25 / 1.75))


def test_smoothing_starts_anew_after_a_rollback():
    result = smooth(Series((1, 2, 3, 4), (9.0, 9.0, 1.0, 1.0)), span=3, restarts=[2])
    assert result.values == (9.0, 9.0, 1.0, 1.0)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(min_value=1, max_value=20)
)
def test_thinning_keeps_both_extremes_both_ends_and_the_order(values, buckets):
    series = Series(tuple(range(len(values))), tuple(values))
    result = thin(series, buckets=buckets)
    assert len(result) <= 2 * buckets + 2
    assert set(zip(result.steps, result.values, strict=True)) <= set(enumerate(values))
    assert list(result.steps) == sorted(set(result.steps))
    assert {result.steps[0], result.steps[-1]} == {0, len(values) - 1}
    assert (min(result.values), max(result.values)) == (min(values), max(values))


def test_thinning_keeps_a_spike_of_one_step_in_a_long_run():
    values = [0.5] * 100_000
    values[61_803] = 40.0
    result = thin(Series(tuple(range(100_000)), tuple(values)), buckets=1000)
    assert len(result) <= 2002
    assert (61_803, 40.0) in set(zip(result.steps, result.values, strict=True))


def test_finite_drops_nan_and_infinity():
    assert finite([1, 2, 3], [math.nan, 2.0, -math.inf]) == Series((2,), (2.0,))


# -- formats --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-5, "1e-05"), (2.63e-4, "2.6e-04"), (3.04e-5, "3e-05"), (0.0, "0"), (1e-10, "1e-10")],
)
def test_rates(value, text):
    assert rate(value) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.43123, 0.0211, "0.431 ± 0.021"),
        (0.80123, 0.0091, "0.801 ± 0.009"),
        (0.8012, 0.36, "0.8 ± 0.4"),
        (1234.5, 35.0, "1234 ± 35"),
        (1234.5, 480.0, "1234 ± 480"),
        (0.5, None, "0.5"),
        (0.5, math.nan, "0.5"),
        (math.nan, 0.1, "nan"),
        (0.5, 0.0, "0.5 ± 0"),
    ],
)
def test_values_are_rounded_to_their_error(value, error, text):
    assert with_error(value, error) == text


def test_other_formats():
    assert number(22713986.0) == "22,713,986"
    assert duration(3.21) == "3.2 s"
    assert duration(183) == "3 min 3 s"
    assert duration(4200) == "1 h 10 min"
    assert listed([1, 2, 3]) == "1, 2 and 3"
    assert listed([1, 2, 3, 4, 5, 6]) == "1, 2, 3, 4 and 2 more"
    assert shown({"cpu": [1, True, None]}) == "cpu 1, yes, \N{EN DASH}"
