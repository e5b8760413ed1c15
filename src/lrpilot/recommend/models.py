"""What a model's name says: its family, architecture, pretraining and size.

A name is looked up in the table of recipes first; then its beginning is compared with the lineages
below. A name that begins like none of them is unknown, and is said to be: no guess from a word in
the middle. Sizes are those of the makers' model cards, in millions of parameters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lrpilot.recommend.table import Recipe

SELF, LABELS, CHAT = "self-supervised", "supervised", "instruction-tuned"
IMAGE_TEXT, SIMILARITY = "contrastive image-text", "contrastive"


@dataclass(frozen=True, slots=True)
class Known:
    """What a name says; None where it is silent.

    Attributes:
        how: "table" (a recipe names the model), "lineage" (its beginning is known) or "unknown".
        sized: Whether the name says more than the lineage: "gpt2" is a model and any GPT-2.
    """

    model: str | None = None
    family: str | None = None
    architecture: str | None = None
    pretraining: str | None = None
    params: float | None = None
    how: str = "unknown"
    sized: bool = True


@dataclass(frozen=True, slots=True)
class _Lineage:
    start: str
    family: str
    architecture: str
    pretraining: str | None = SELF
    sizes: str = ""


# The longer beginning stands first. A decoder's pretraining is told by "instruct", "chat" or "it".
_LINEAGES = tuple(
    _Lineage(*row)
    for row in (
        ("all-minilm", "minilm", "encoder", SIMILARITY, "l6 22.7 l12 33.4"),
        ("multilingual-minilm", "minilm", "encoder", SELF, "l12 118"),
        ("minilm", "minilm", "encoder", SELF, "l6 22.7 l12 33.4"),
        ("distilbert", "distilbert", "encoder", SELF, "base 66"),
        ("distilroberta", "roberta", "encoder", SELF, "base 82"),
        ("xlm-roberta", "roberta", "encoder", SELF, "base 278 large 560"),
        ("roberta", "roberta", "encoder", SELF, "base 125 large 355"),
        ("modernbert", "modernbert", "encoder", SELF, "base 149 large 395"),
        ("deberta-v3", "deberta", "encoder", SELF, "xsmall 71 small 141 base 184 large 435"),
        ("mdeberta-v3", "deberta", "encoder", SELF, "base 278"),
        ("deberta", "deberta", "encoder", SELF, "base 140 large 400 xlarge 900 xxlarge 1500"),
        ("electra", "electra", "encoder", SELF, "small 14 base 110 large 335"),
        ("albert", "albert", "encoder", SELF, "base 12 large 18 xlarge 60 xxlarge 235"),
        ("biobert", "bert-domain", "encoder", SELF, "base 110 large 340"),
        ("scibert", "bert-domain", "encoder", SELF, "base 110"),
        ("legal-bert", "bert-domain", "encoder", SELF, "base 110 small 35"),
        ("finbert", "bert-domain", "encoder", SELF, "base 110"),
        ("bert-tiny", "bert", "encoder", SELF, "tiny 4.4"),
        ("bert", "bert", "encoder", SELF, "mini 11 small 29 medium 41 base 110 large 340"),
        ("xlnet", "xlnet", "encoder", SELF, "base 110 large 340"),
        ("mpnet", "mpnet", "encoder", SELF, "base 110"),
        ("all-mpnet", "mpnet", "encoder", SIMILARITY, "base 110"),
        ("bge", "bge", "encoder", SIMILARITY, "small 33 base 109 large 335"),
        ("codebert", "codebert", "encoder", SELF, "base 125"),
        ("longformer", "longformer", "encoder", SELF, "base 149 large 435"),
        ("biolinkbert", "linkbert", "encoder", SELF, "base 110 large 335"),
        ("linkbert", "linkbert", "encoder", SELF, "base 110 large 335"),
        ("spanbert", "spanbert", "encoder", SELF, "base 110 large 335"),
        ("bluebert", "bert-domain", "encoder", SELF, "base 110 large 340"),
        ("luke", "luke", "encoder", SELF, "base 274 large 483"),
        ("coco-lm", "coco-lm", "encoder", SELF, "base 134 large 367"),
        ("convbert", "convbert", "encoder", SELF, "small 14 base 106"),
        ("funnel", "funnel", "encoder", SELF),
        ("tapas", "tapas", "encoder", SELF, "base 110 large 340"),
        ("tinybert", "tinybert", "encoder", SELF, "tinybert 14.5"),
        ("esm2", "esm2", "encoder", SELF),
        ("dnabert", "dnabert", "encoder", SELF, "dnabert 89"),
        ("mosaic-bert", "mosaicbert", "encoder", SELF, "base 137"),
        ("mosaicbert", "mosaicbert", "encoder", SELF, "base 137"),
        ("yi", "yi", "decoder"),
        ("baichuan", "baichuan", "decoder"),
        ("minicpm-v", "minicpm-v", "multimodal", CHAT),
        ("minicpm", "minicpm", "decoder"),
        ("codegeex", "codegeex", "decoder"),
        ("codellama", "llama2", "decoder"),
        ("moss", "moss", "decoder"),
        ("hyenadna", "hyenadna", "decoder"),
        ("gpt-oss", "gpt-oss", "decoder", CHAT, ""),
        ("gpt2-xl", "gpt2", "decoder", SELF, "xl 1558"),
        ("gpt2-large", "gpt2", "decoder", SELF, "large 774"),
        ("gpt2-medium", "gpt2", "decoder", SELF, "medium 355"),
        ("gpt2", "gpt2", "decoder", SELF, "gpt2 124"),
        ("distilgpt2", "gpt2", "decoder", SELF, "distilgpt2 82"),
        ("gpt-neo", "gpt-neo", "decoder"),
        ("gpt-j", "gpt-neo", "decoder"),
        ("gpt", "gpt", "decoder"),
        ("llama-3", "llama3", "decoder"),
        ("meta-llama-3", "llama3", "decoder"),
        ("llama3", "llama3", "decoder"),
        ("llama-2", "llama2", "decoder"),
        ("llama2", "llama2", "decoder"),
        ("llama", "llama", "decoder"),
        ("vicuna", "llama1", "decoder", CHAT),
        ("tinyllama", "tinyllama", "decoder"),
        ("zephyr", "mistral", "decoder", CHAT),
        ("mistral", "mistral", "decoder"),
        ("mixtral", "mistral", "decoder"),
        ("qwen2-vl", "qwen", "multimodal", CHAT),
        ("qwen2.5-vl", "qwen", "multimodal", CHAT),
        ("qwen3-vl", "qwen", "multimodal", CHAT),
        ("qwen", "qwen", "decoder"),
        ("gemma", "gemma", "decoder"),
        ("phi", "phi", "decoder"),
        ("falcon", "falcon", "decoder"),
        ("olmo", "olmo", "decoder"),
        ("opt", "opt", "decoder"),
        ("pythia", "pythia", "decoder"),
        ("smollm", "smollm", "decoder"),
        ("starcoder", "starcoder", "decoder"),
        ("deepseek", "deepseek", "decoder"),
        ("kimi", "kimi", "decoder", CHAT),
        ("bloom", "bloom", "decoder"),
        ("chatglm", "chatglm", "decoder", CHAT),
        ("mpt", "mpt", "decoder"),
        ("dbrx", "dbrx", "decoder"),
        ("flan-t5", "t5", "encoder-decoder", CHAT, "small 77 base 248 large 783 xl 2850 xxl 11300"),
        ("t5-v1.1", "t5", "encoder-decoder", SELF, "small 77 base 248 large 783 xl 2850 xxl 11300"),
        ("mt5", "t5", "encoder-decoder", SELF, "small 300 base 580 large 1230 xl 3740 xxl 12900"),
        ("t5", "t5", "encoder-decoder", "self-supervised+multitask", "small 60 base 220 large 738"),
        ("codet5", "codet5", "encoder-decoder", SELF, "small 60 base 220 large 770"),
        ("t0", "t0", "encoder-decoder", CHAT),
        ("mbart", "mbart", "encoder-decoder", SELF, "large 610"),
        ("bart", "bart", "encoder-decoder", SELF, "base 139 large 406"),
        ("plbart", "plbart", "encoder-decoder", SELF, "base 140 large 406"),
        ("prophetnet", "prophetnet", "encoder-decoder", SELF, "large 391"),
        ("pegasus", "pegasus", "encoder-decoder", SELF, "large 568"),
        ("vit-mae", "mae", "vit", SELF, "base 86 large 304 huge 632"),
        ("mae", "mae", "vit", SELF, "b16 86 l16 304 h14 632 base 86 large 304 huge 632"),
        ("dinov2", "dinov2", "vit", SELF, "small 22 base 86 large 304 giant 1137"),
        ("dino", "dino", "vit", SELF, "vits16 22 vitb16 86"),
        ("videomae", "videomae", "vit", SELF, "small 22 base 87 large 305 huge 633"),
        ("ibot", "ibot", "vit", SELF, "vits16 22 vitb16 86"),
        ("cswin", "cswin", "vit", LABELS, "tiny 23 small 35 base 78 large 173"),
        ("mit", "mit", "vit", LABELS, "b0 3.7 b1 14 b2 25 b3 45 b4 62 b5 82"),
        ("vit", "vit-sup", "vit", LABELS, "tiny 5.7 small 22 base 86 large 304 huge 632"),
        ("deit", "deit", "vit", LABELS, "tiny 5.7 small 22 base 86 large 304 huge 632"),
        ("beit", "beit", "vit", None, "base 86 large 304"),
        ("swin", "swin", "vit", LABELS, "tiny 28 small 50 base 88 large 197"),
        ("eva", "eva", "vit", None, ""),
        ("clip", "clip", "vit", IMAGE_TEXT, "b32 151 patch32 151 b16 150 patch16 150 patch14 428"),
        ("siglip", "siglip", "vit", IMAGE_TEXT, "base 203 large 652 so400m 878"),
        ("internimage", "internimage", "cnn", LABELS, "t 30 s 50 b 97 l 223 xl 335"),
        ("convnextv2", "convnextv2", "cnn", SELF, "atto 3.7 tiny 29 base 89 large 198 huge 660"),
        ("convnext", "convnext", "cnn", LABELS, "tiny 29 small 50 base 89 large 198 xlarge 350"),
        ("resnext", "resnet", "cnn", LABELS, "50 25 101 44"),
        ("resnet18", "resnet", "cnn", LABELS, "resnet18 11.7"),
        ("resnet34", "resnet", "cnn", LABELS, "resnet34 21.8"),
        ("resnet50", "resnet", "cnn", LABELS, "resnet50 25.6"),
        ("resnet", "resnet", "cnn", LABELS, "18 11.7 34 21.8 50 25.6 101 44.5 152 60.2"),
        ("densenet", "densenet", "cnn", LABELS, "121 8 169 14 201 20"),
        ("efficientnet", "efficientnet", "cnn", LABELS, "b0 5.3 b4 19 b7 66 lite0 4.7"),
        ("mobilenet", "mobilenet", "cnn", LABELS, "v2 3.5 v3 5.4"),
        ("bit", "bit", "cnn", LABELS, ""),
        ("ssast", "ast", "speech", SELF, "base 89"),
        ("audiomae", "audiomae", "speech", SELF, "base 86"),
        ("passt", "passt", "speech", LABELS, "passt 86"),
        ("htsat", "htsat", "speech", LABELS, "base 31"),
        ("whisper", "whisper", "speech", LABELS, "tiny 39 base 74 small 244 medium 769 large 1550"),
        ("wav2vec2", "wav2vec2", "speech", SELF, "base 95 large 317"),
        ("hubert", "hubert", "speech", SELF, "base 95 large 317 xlarge 962"),
        ("wavlm", "wavlm", "speech", SELF, "base 95 large 317"),
        ("ast", "ast", "speech", LABELS, "base 87 ast 87"),
        ("clap", "clap", "speech", "contrastive"),
        ("speecht5", "speecht5", "speech", SELF, "speecht5 144"),
        ("stable-diffusion-xl", "stable-diffusion", "diffusion", SELF, "xl 2570"),
        ("sdxl", "stable-diffusion", "diffusion", SELF, "sdxl 2570"),
        ("stable-diffusion", "stable-diffusion", "diffusion", SELF, "stable 860"),
        ("sd", "stable-diffusion", "diffusion", SELF, "1.4 860 1.5 860"),
        ("flux", "flux", "diffusion", SELF, "flux 12000"),
        ("pixart", "pixart", "diffusion", SELF, "pixart 610"),
        ("vilt", "vilt", "multimodal", SELF, "b32 112"),
        ("lxmert", "lxmert", "multimodal", SELF, "base 228"),
        ("uniter", "uniter", "multimodal", SELF, "base 111 large 335"),
        ("ofa", "ofa", "multimodal", SELF, "base 182 large 472"),
        ("donut", "donut", "multimodal", SELF, "base 200"),
        ("llava", "llava", "multimodal", CHAT, ""),
        ("internvl", "internvl", "multimodal", CHAT, ""),
        ("paligemma", "paligemma", "multimodal", IMAGE_TEXT, ""),
        ("blip2", "blip", "multimodal", IMAGE_TEXT, ""),
        ("blip", "blip", "multimodal", IMAGE_TEXT, "base 224 large 446"),
        ("layoutlm", "layoutlm", "multimodal", SELF, "base 125 large 368"),
        ("trocr", "trocr", "multimodal", SELF, "small 62 base 334 large 558"),
        ("lag-llama", "lag-llama", "timeseries", SELF, "lag-llama 2.4"),
        ("timesfm", "timesfm", "timeseries", SELF),
        ("chronos", "chronos", "timeseries"),
        ("moirai", "moirai", "timeseries", SELF, "small 14 base 91 large 311"),
        ("moment", "moment", "timeseries", SELF, "small 37 base 113 large 346"),
        ("tabpfn", "tabpfn", "tabular", "synthetic priors", "tabpfn 7"),
    )
)
# Names on hubs, as the table writes them.
_ALIASES = {
    "stable-diffusion-v1-5": "sd-1.5", "stable-diffusion-1.5": "sd-1.5",
    "stable-diffusion-v1-4": "sd-1.4", "stable-diffusion-xl-base-1.0": "sdxl-base",
    "clip-vit-base-patch32": "clip-vit-b32", "clip-vit-base-patch16": "clip-vit-b16",
    "vit-mae-base": "mae-vit-b16", "vit-mae-large": "mae-vit-l16", "vit-mae-huge": "mae-vit-h14",
    "vit-base-patch16-224-in21k": "vit-b16-i21k", "vit-base-patch16-224": "vit-b16-augreg",
    "resnet-50": "r50-imagenet", "resnet50": "r50-imagenet",
}  # fmt: skip
# Casing, revisions and file formats: the same lineage, size and kind of pretraining.
_ENDINGS = re.compile(
    r"-(uncased|cased|hf|discriminator|v\d+(\.\d+)?|\d{3}|lv60|in21k|bnb|4bit|8bit|bf16|fp16)$"
)
_CHAT_WORDS = {"instruct", "chat", "it", "sft", "dpo", "rlhf", "assistant"}
_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")


def tidy_name(name: str) -> str:
    """Without the maker's prefix, in lower case, words joined by hyphens."""
    return name.strip().rstrip("/").rsplit("/", 1)[-1].lower().replace("_", "-").replace(" ", "-")


def look_up(name: str, recipes: Iterable[Recipe]) -> Known:
    """What the name says, by the table of recipes or else by its lineage."""
    model = tidy_name(name)
    rows: list[Recipe] = []
    by_model = _by_model(recipes)
    for spelling in _spellings(model):
        rows = by_model.get(spelling, [])
        if rows:
            model = spelling
            break
    if rows:
        kinds = Counter(row.pretraining for row in rows)
        first = rows[0]
        pretraining = kinds.most_common(1)[0][0]
        return Known(
            model=model,
            family=first.family,
            architecture=first.architecture,
            pretraining=pretraining,
            params=first.params,
            how="table",
            sized=not _is_bare(model),
        )
    lineage = next((row for row in _LINEAGES if _begins(model, row.start)), None)
    if lineage is None:
        return Known(model=model, params=size_in_name(model))
    found = Known(
        model=model,
        family=lineage.family,
        architecture=lineage.architecture,
        pretraining=lineage.pretraining,
        params=size_in_name(model) or _size_word(model, lineage),
        how="lineage",
        sized=not _is_bare(model),
    )
    return _with_start(found)


def size_in_name(model: str) -> float | None:
    """Parameters from "8b", "410m" or "8x7b" in a tidy name; None when it holds none."""
    found = _SIZE.search(model)
    if not found:
        return None
    experts, number, unit = found.groups()
    return int(experts or 1) * float(number) * {"m": 1e6, "b": 1e9}[unit]


def _by_model(recipes: Iterable[Recipe]) -> dict[str, list[Recipe]]:
    found: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        found.setdefault(recipe.model, []).append(recipe)
    return found


def _spellings(model: str) -> list[str]:
    """The name, and as the table may write it: an alias, or without an ending of no account."""
    found = [model, _ALIASES.get(model, model)]
    short = model.removeprefix("meta-")
    while short not in found[2:]:
        found.append(short)
        short = _ENDINGS.sub("", short)
    return found


def _is_bare(model: str) -> bool:
    return any(model == row.start for row in _LINEAGES)


def _begins(model: str, start: str) -> bool:
    """Whether the name begins with the lineage's, up to the end of a word or a version."""
    rest = model.removeprefix(start)
    ends = not rest or not rest[0].isalpha() or re.match(r"v\d", rest) is not None
    return rest != model and ends


def _size_word(model: str, lineage: _Lineage) -> float | None:
    pairs = lineage.sizes.split()
    words = re.split(r"[-.]", model) + model.split("-") + [model]
    for word, millions in zip(pairs[::2], pairs[1::2], strict=True):
        if word in words or (word == lineage.start and len(pairs) == 2):
            return float(millions) * 1e6
    return None


def _with_start(found: Known) -> Known:
    """The start that words of the name tell: tuned on instructions, on labels, by contrast."""
    words = set(re.split(r"[-.]", found.model or ""))
    if found.architecture == "decoder" and words & _CHAT_WORDS:
        return replace(found, pretraining=CHAT)
    if found.architecture == "encoder" and words & {"mnli", "sst2", "squad2", "nli"}:
        return replace(found, pretraining="intermediate-task")
    if found.family in ("beit", "eva", "convnextv2") and words & {"ft", "ft22k", "ft1k", "22k"}:
        return replace(found, pretraining=LABELS)
    if found.architecture in ("vit", "cnn") and words & {"mae", "dino", "simmim", "mim", "fcmae"}:
        return replace(found, pretraining=SELF)
    if found.architecture in ("vit", "cnn") and words & {"clip", "laion2b", "openai"}:
        return replace(found, pretraining=IMAGE_TEXT)
    return found
