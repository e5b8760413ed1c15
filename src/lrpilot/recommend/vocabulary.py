"""The words of the table of recipes, and what users call the same things."""

from __future__ import annotations

from lrpilot.errors import InputError

METHODS = (
    "full", "lora", "qlora", "adapter", "prompt", "prefix", "bitfit", "linear-probe",
    "preference-full", "preference-lora",
)  # fmt: skip

_METHOD_NAMES = {
    "fine-tuning": "full", "full-fine-tuning": "full", "full-ft": "full", "fft": "full",
    "dora": "lora", "rslora": "lora", "peft-lora": "lora",
    "ia3": "adapter", "adapters": "adapter", "compacter": "adapter",
    "prompt-tuning": "prompt", "soft-prompt": "prompt", "textual-inversion": "prompt",
    "prefix-tuning": "prefix", "p-tuning": "prefix", "p-tuning-v2": "prefix",
    "bias": "bitfit", "probe": "linear-probe", "linear": "linear-probe",
    "head": "linear-probe", "feature-extraction": "linear-probe",
}  # fmt: skip

# Methods whose rates move together: all weights, a few new weights, soft prompts, a new head.
METHOD_GROUPS = {
    "full": "weights", "preference-full": "weights",
    "lora": "few", "adapter": "few", "bitfit": "few", "preference-lora": "few",
    "prompt": "prompt", "prefix": "prompt", "linear-probe": "head",
}  # fmt: skip

# "adafactor" takes its rate as it is, as Adam does (scale_parameter=False: so does transformers'
# Trainer); "adafactor-relative" multiplies it by the root mean square of each tensor
OPTIMIZERS = (
    "adamw", "sgd", "adafactor", "adafactor-relative", "lamb", "lars", "lion", "rmsprop", "zo-sgd",
)  # fmt: skip
_OPTIMIZER_NAMES = {
    "adam": "adamw", "adam-family": "adamw", "unstated": "adamw", "adamax": "adamw",
    "nadam": "adamw", "nadamw": "adamw", "radam": "adamw", "adamw8bit": "adamw",
    "paged-adamw": "adamw", "adamw-torch": "adamw", "adamw-torch-fused": "adamw",
    "adamw-hf": "adamw", "adamw-8bit": "adamw", "adamw-bnb-8bit": "adamw", "adam8bit": "adamw",
    "paged-adamw-8bit": "adamw", "paged-adamw-32bit": "adamw", "adamw-apex-fused": "adamw",
    "momentum": "sgd", "nesterov": "sgd", "sgd-momentum": "sgd", "mezo": "zo-sgd",
    "adafactor-absolute": "adafactor",
    "lion-8bit": "lion", "lion-32bit": "lion", "paged-lion-8bit": "lion", "lion8bit": "lion",
}  # fmt: skip
_SELF_TUNED = {"prodigy", "dadaptation", "dadaptadam", "dog", "ldog", "momo"}

# Optimizers whose rates share a scale; the others are on Adam's. Zeroth-order SGD is on its own:
# MeZO takes 1e-7 to 1e-6 with all weights, where SGD takes 1e-2.
OPTIMIZER_SCALES = {
    "sgd": "sgd", "lars": "sgd", "zo-sgd": "zo-sgd", "adafactor-relative": "adafactor-relative",
}  # fmt: skip

ARCHITECTURES = (
    "encoder", "decoder", "encoder-decoder", "vit", "cnn", "diffusion", "speech", "multimodal",
    "timeseries", "tabular",
)  # fmt: skip
DOMAINS = {
    "encoder": "text", "decoder": "text", "encoder-decoder": "text", "multimodal": "text",
    "vit": "vision", "cnn": "vision",
}  # fmt: skip

PRETRAININGS = (
    "self-supervised", "supervised", "contrastive", "instruction-tuned", "intermediate-task",
    "self-supervised+multitask", "contrastive image-text", "synthetic priors",
)  # fmt: skip
TUNED = {"supervised", "intermediate-task", "instruction-tuned", "contrastive"}

# TRL's training arguments (1.16) of what the table calls preference tuning.
PREFERENCE_ARGUMENTS = ("DPOConfig", "KTOConfig", "ORPOConfig", "CPOConfig", "OnlineDPOConfig")

_TASK_GROUPS = {
    "chat": "sft-chat sft-instruction sft instruction chat math code-generation "
    "visual-instruction instruction-tuning",
    "preference": "dpo simpo orpo kto ipo apo simpo/dpo reward-model preference",
    "text-classification": "sentiment sentiment-analysis text-classification acceptability "
    "glue-classification nlu-classification few-shot-classification classification glue "
    "genomics-classification superglue prompted-nlu reranking clone-detection topic spam intent "
    "tabular-classification relation-extraction protein-classification spam-classification "
    "defect-detection",
    "text-pair": "nli paraphrase similarity code-search visual-entailment sts",
    "question-answering": "qa-extractive multiple-choice coreference qa question-answering squad "
    "table-qa commonsense",
    "token-classification": "ner srl document-ner token-classification pos",
    "generation": "summarization data-to-text text-generation translation seq2seq text "
    "code-summarization language-modeling causal-lm text2text-generation code-translation "
    "code-refinement code-completion",
    "embedding": "sentence-embedding retrieval embedding sentence-similarity",
    "image-classification": "image-classification image",
    "dense-vision": "detection segmentation ocr object-detection semantic-segmentation "
    "pose-estimation",
    "video": "video-classification video",
    "asr": "asr-ctc asr-seq2seq asr tts speech-translation automatic-speech-recognition "
    "speech-recognition text-to-speech",
    "audio": "audio-classification audio keyword-spotting spoken-language-understanding",
    "vision-language": "visual-qa captioning visual-reasoning visual-grounding vqa "
    "image-captioning visual-question-answering image-text-retrieval",
    "image-generation": "dreambooth text-to-image controlnet dreambooth+text-encoder control "
    "textual-inversion custom-diffusion image-generation image-editing text-to-video",
    "forecasting": "forecasting time-series-forecasting",
}
TASK_GROUPS = {name: group for group, names in _TASK_GROUPS.items() for name in names.split()}
_TASK_DOMAINS = {
    "chat": "text", "preference": "text", "text-classification": "text", "text-pair": "text",
    "question-answering": "text", "token-classification": "text", "generation": "text",
    "embedding": "text", "image-classification": "vision", "dense-vision": "vision",
    "video": "vision", "asr": "speech", "audio": "speech", "vision-language": "text",
    "image-generation": "diffusion", "forecasting": "timeseries",
}  # fmt: skip


def tidy(word: str) -> str:
    """Lower case, one kind of separator: "Text_Classification" is "text-classification"."""
    return "-".join(word.strip().lower().replace("_", "-").split())


def read_method(word: str) -> str:
    """The table's name of a method.

    Raises:
        InputError: It is none that the table knows.
    """
    name = tidy(word)
    name = _METHOD_NAMES.get(name, name)
    if name not in METHODS:
        raise InputError(f"method is {word!r}: give one of {', '.join(METHODS)}")
    return name


def read_optimizer(word: str) -> str:
    """The table's name of an optimizer; every Adam is "adamw".

    Raises:
        InputError: No published rate of it is known, or it sets its own rate.
    """
    name = tidy(word)
    name = _OPTIMIZER_NAMES.get(name, name)
    if name.replace("-", "") in _SELF_TUNED:
        raise InputError(
            f"optimizer is {word!r}: it sets its own rate, leave its lr at 1.0; or give one of"
            f" {', '.join(OPTIMIZERS)}"
        )
    if name not in OPTIMIZERS:
        raise InputError(
            f"optimizer is {word!r}, and rates of one optimizer do not carry over to another:"
            f" give one of {', '.join(OPTIMIZERS)}"
        )
    return name


def read_task(word: str) -> tuple[str, str | None, str | None]:
    """(task, its group, its domain); the last two are None for a task that no recipe names."""
    name = tidy(word)
    group = TASK_GROUPS.get(name)
    if name == "tabular-classification":
        return name, group, "tabular"
    if name in ("classification", "embedding", "retrieval", "reranking", "few-shot-classification"):
        return name, group, None  # any modality
    return name, group, _TASK_DOMAINS.get(group or "")


def is_preference(task: str | None) -> bool:
    """Whether a task is preference tuning (DPO and its kin), whose rates are far lower."""
    return bool(task) and read_task(str(task))[1] == "preference"


def read_architecture(word: str) -> str:
    """The table's name of an architecture.

    Raises:
        InputError: It is none that the table knows.
    """
    name = tidy(word)
    if name not in ARCHITECTURES:
        raise InputError(f"architecture is {word!r}: give one of {', '.join(ARCHITECTURES)}")
    return name


def read_pretraining(word: str) -> str:
    """The table's name of a kind of pretraining.

    Raises:
        InputError: It is none that the table knows.
    """
    name = word.strip().lower()
    if name not in PRETRAININGS:
        raise InputError(f"pretraining is {word!r}: give one of {', '.join(PRETRAININGS)}")
    return name
