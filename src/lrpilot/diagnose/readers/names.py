"""Which series a name means, in the frameworks that write it. An unknown name means nothing.

Names are compared in lower case with "_" between words: "train/loss", "Train Loss" and
"train_loss" are one. The order within a kind is the order of preference.
"""

from __future__ import annotations

import re
from typing import Literal

from lrpilot.diagnose.history import Mode

Kind = Literal["train_loss", "eval_loss", "lr", "grad_norm", "epoch", "score"]

# HF, TRL (loss; train_loss is the mean at the end), Lightning by convention (train_loss,
# train_loss_step), Keras (loss), detectron2 and mmengine (total_loss, loss), torchtune (loss),
# accelerate's examples (train_loss), fastai's CSVLogger (train_loss), timm (train_loss).
_TRAIN = ("loss", "train_loss_step", "train_loss", "training_loss", "loss_train",
          "train_train_loss", "train_loss_epoch", "train_loss_avg", "training_loss_step",
          "loss_training", "total_loss", "train_total_loss", "batch_loss", "train_batch_loss",
          "epoch_loss", "train_epoch_loss", "loss_step", "loss_epoch",
          "training_loss_epoch")  # fmt: skip
# HF (eval_loss), Lightning and Keras (val_loss), fastai (valid_loss), detectron2
# (validation_loss), Keras in TensorBoard (validation/epoch_loss).
_EVAL = ("eval_loss", "val_loss", "valid_loss", "validation_loss", "loss_val", "loss_eval",
         "loss_valid", "loss_validation", "val_loss_epoch", "valid_loss_epoch", "eval_val_loss",
         "validation_epoch_loss", "dev_loss", "evaluation_loss", "eval_eval_loss", "val_val_loss",
         "val_total_loss", "eval_total_loss",
         "test_loss", "loss_test", "test_loss_epoch")  # fmt: skip
_LR = ("learning_rate", "lr", "train_learning_rate", "train_lr", "train_epoch_learning_rate",
       "epoch_learning_rate", "epoch_lr", "lr_0", "lr_pg0", "lr_pg1", "lr_group_0", "lr_group0",
       "learning_rate_0", "base_lr")  # fmt: skip
_GRAD = ("grad_norm", "train_grad_norm", "gradient_norm", "global_grad_norm", "total_grad_norm",
         "grad_norm_total", "grad_2_0_norm_total", "train_gradient_norm", "grad_2_norm_total",
         "grad_l2", "gnorm", "train_gnorm")  # fmt: skip
_EPOCH = ("epoch", "train_epoch", "epochs")
_OF_KIND: dict[Kind, tuple[str, ...]] = {
    "train_loss": _TRAIN, "eval_loss": _EVAL, "lr": _LR, "grad_norm": _GRAD, "epoch": _EPOCH,
}  # fmt: skip
_KINDS = {n: (kind, rank) for kind, ns in _OF_KIND.items() for rank, n in enumerate(ns)}

# evaluate, torchmetrics, scikit-learn, Keras, TRL and timm call them so.
_UP = """
    accuracy acc balanced_accuracy top1 top_1 acc1 acc_1 acc_top1 top1_acc accuracy_top1
    categorical_accuracy sparse_categorical_accuracy binary_accuracy multiclassaccuracy
    binaryaccuracy accuracy_score sparse_top_k_categorical_accuracy top_k_categorical_accuracy
    f1 f1_score f1_macro macro_f1 f1_micro micro_f1 f1_weighted weighted_f1 overall_f1
    matthews_correlation mcc auc roc_auc auroc pr_auc average_precision map map50 map50_95
    map_50 mean_average_precision exact_match em pearson pearsonr spearman spearmanr
    combined_score r2 r2_score bleu sacrebleu rouge1 rouge2 rougel rougelsum meteor chrf
    bertscore_f1 ndcg mrr recall_at_1 recall_at_10 iou miou mean_iou dice dice_score psnr ssim
    rewards_accuracies rewards_margins mean_token_accuracy reward precision recall
    overall_accuracy overall_precision overall_recall top5 top_5 acc5 acc_top5 kappa
    cohen_kappa
"""
_DOWN = """
    perplexity ppl bits_per_byte bpb bits_per_character bpc wer cer ter mse rmse mae mape
    mean_squared_error mean_absolute_error root_mean_squared_error smape error error_rate
    top1_error err brier brier_score ece nll log_loss cross_entropy fid
"""
SCORES: dict[str, Mode] = dict.fromkeys(_UP.split(), "max")
SCORES.update(dict.fromkeys(_DOWN.split(), "min"))
_SCORE_RANK = {name: rank for rank, name in enumerate(SCORES)}

_TEST = re.compile(r"^test_(.+)$|^(.+)_test$")
_SIDES = re.compile(r"^(?:eval|val|valid|validation|dev|evaluation|metrics?)_(.+)$")
_SIDE_ENDS = re.compile(r"^(.+)_(?:eval|val|valid|validation|dev)$")
_NAMED_EVAL = re.compile(r"^(?:eval|val|valid|validation)_.+_loss$")
_LR_GROUP = re.compile(r"^(?:train_)?(?:lr|learning_rate)_(?!.*(?:momentum|decay|ratio|scale)).+$")
_NOT_WORDS = re.compile(r"[^a-z0-9]+")
_CLOCKS = re.compile(
    r"runtime|per_second|per_sec|_time$|^time|^wall|timestamp|elapsed|flos$|throughput|^_step$"
    r"|global_step$|^step$|^iter|_iter$|memory|percentage|num_tokens|num_input_tokens|^eta"
    r"|jit_compilation|tokens_seen|^gpu_|^peak_|^hp_metric$|total_steps$|^remaining"
)


def plain(name: str) -> str:
    """Lower case, "_" between words."""
    return _NOT_WORDS.sub("_", name.lower()).strip("_")


def kind_of(name: str) -> tuple[Kind, int] | None:
    """What a name means and how much it is preferred (0 the most); None: nothing known."""
    word = plain(name)
    if word in _KINDS:
        return _KINDS[word]
    if _LR_GROUP.match(word):
        return "lr", len(_LR)
    score = score_of(word)
    if score is not None:
        return "score", _SCORE_RANK[score] + (1000 if _TEST.match(word) else 0)
    return None


def score_of(word: str) -> str | None:
    """The score that a plain name means on held-out data; None: no known one, or no such side."""
    match = _SIDES.match(word) or _SIDE_ENDS.match(word) or _TEST.match(word)
    if match is None:
        return None
    base = re.sub(r"^epoch_|_epoch$", "", match.group(1) or match.group(2))
    return base if base in SCORES else None


def is_train_score(name: str) -> bool:
    """Whether it is a known score, of the training data or of data that the name does not tell."""
    return re.sub(r"^(?:train_|epoch_)+|_(?:step|epoch|train)$", "", plain(name)) in SCORES


def is_named_eval_loss(name: str) -> bool:
    """Whether it is the loss on one of several validation sets ("eval_squad_loss")."""
    return plain(name) not in _KINDS and _NAMED_EVAL.match(plain(name)) is not None


def is_test(name: str) -> bool:
    """Whether it is of data called "test", which stands in for validation where none is."""
    return plain(name).startswith("test_") or "_test" in plain(name)


def is_clock(name: str) -> bool:
    """Whether it counts time, tokens or steps: nothing to diagnose, and nothing to say."""
    return _CLOCKS.search(plain(name)) is not None
