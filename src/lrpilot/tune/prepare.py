"""From texts, images or running text to what a Trainer takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from lrpilot.errors import InputError
from lrpilot.tune.data import Corpus, Table, load_corpus, load_table, split_corpus, split_table
from lrpilot.tune.images import ImageFolder, load_image_folder, read_images, split_images
from lrpilot.tune.settings import Settings
from lrpilot.tune.splits import Parts

Example = dict[str, Any]
_IMAGE_SIZE = 224  # assumed: what most ImageNet models were pretrained at


class Examples(Dataset[Example]):
    """Examples in memory, each a mapping of what the model takes."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        return dict(self._examples[index])


class Images(Dataset[Example]):
    """Images as bytes in memory; each is normalised when it is asked for.

    Args:
        folder: The image files and their classes.
        processor: The model's image processor.
        size: Pixels a side.
    """

    def __init__(self, folder: ImageFolder, processor: Any, size: int) -> None:
        self._pixels = read_images(folder.paths, size=size)
        self._labels = folder.labels
        self._processor = processor

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Example:
        ready = self._processor(images=self._pixels[index], return_tensors="pt")
        return {"pixel_values": ready["pixel_values"][0], "labels": int(self._labels[index])}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that one run trains with.

    Attributes:
        new_model: Makes the pretrained model with a new head, the same for the same seed.
        parts: Training, validation and, if any, test examples, as datasets.
        collate: Makes a batch of examples.
        companions: Tokenizer or image processor, saved beside the model.
        metric: Score on the test data: "accuracy", or "loss" for text generation.
        label_names: Classes, in the order of their numbers.
    """

    new_model: Callable[[], Any]
    parts: Parts[Any]
    collate: Callable[[list[Example]], dict[str, Any]] | None
    companions: tuple[Any, ...] = ()
    metric: str = "accuracy"
    label_names: tuple[str, ...] = ()


def load_user_data(settings: Settings) -> Parts[Any]:
    """The user's files as parts; validation is split off if none is given.

    Raises:
        InputError: The data cannot be used; one line says why.
    """
    assert settings.data is not None
    if settings.task == "text-generation":
        return _user_corpus(settings)
    load, split = _loaders(settings)
    train = load(settings.data, None)
    names = train.label_names
    test = load(settings.test, names) if settings.test else None
    if settings.validation:
        return Parts(train=train, validation=load(settings.validation, names), test=test)
    parts = split(train, seed=settings.seed, what=Path(settings.data).name)
    return Parts(train=parts.train, validation=parts.validation, test=test)


def _loaders(settings: Settings) -> tuple[Callable[..., Any], Callable[..., Parts[Any]]]:
    if settings.task == "image-classification":
        return lambda path, names: load_image_folder(path, label_names=names), split_images

    def load(path: str, names: tuple[str, ...] | None) -> Table:
        return load_table(
            path,
            text_column=settings.text_column,
            label_column=settings.label_column,
            label_names=names,
        )

    return load, split_table


def _user_corpus(settings: Settings) -> Parts[Corpus]:
    assert settings.data is not None
    train = load_corpus(settings.data, text_column=settings.text_column)
    test = load_corpus(settings.test, text_column=settings.text_column) if settings.test else None
    if settings.validation:
        held = load_corpus(settings.validation, text_column=settings.text_column)
        return Parts(train=train, validation=held, test=test)
    parts = split_corpus(train)
    return Parts(train=parts.train, validation=parts.validation, test=test)


def prepare(settings: Settings, model: str, parts: Parts[Any]) -> Prepared:
    """Load what turns the data into batches, and check that the model can be loaded.

    Args:
        settings: The run.
        model: Model folder or Hub id.
        parts: Tables, image folders or corpora.

    Raises:
        InputError: The model, its tokenizer or its image processor cannot be loaded.
    """
    make: dict[str, Callable[[Settings, str, Parts[Any]], Prepared]] = {
        "text-classification": _texts,
        "image-classification": _images,
        "text-generation": _language,
    }
    return make[settings.task](settings, model, parts)


def _texts(settings: Settings, model: str, parts: Parts[Table]) -> Prepared:
    from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

    tokenizer = _load_tokenizer(model)

    def encode(table: Table) -> Examples:
        encoded = tokenizer(table.texts, truncation=True, max_length=settings.max_length)
        _check_known(encoded["input_ids"], tokenizer, model)
        return Examples(
            [
                {**{key: encoded[key][i] for key in encoded}, "labels": int(label)}
                for i, label in enumerate(table.labels)
            ]
        )

    names = parts.train.label_names
    return Prepared(
        new_model=_maker(AutoModelForSequenceClassification, model, settings.seed, names),
        parts=_each(parts, encode),
        collate=DataCollatorWithPadding(tokenizer),
        companions=(tokenizer,),
        label_names=names,
    )


def _images(settings: Settings, model: str, parts: Parts[ImageFolder]) -> Prepared:
    import transformers

    auto: Any = transformers.AutoImageProcessor
    try:
        processor = auto.from_pretrained(model)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(_no_model(model, "image processor", error)) from error
    own = processor.size.get("height") or processor.size.get("shortest_edge")
    size = settings.image_size or int(own or _IMAGE_SIZE)
    processor.size = {"height": size, "width": size}
    names = parts.train.label_names
    return Prepared(
        new_model=_maker(transformers.AutoModelForImageClassification, model, settings.seed, names),
        parts=_each(parts, lambda folder: Images(folder, processor, size)),
        collate=None,
        companions=(processor,),
        label_names=names,
    )


def _language(settings: Settings, model: str, parts: Parts[Corpus]) -> Prepared:
    from transformers import AutoModelForCausalLM

    tokenizer = _load_tokenizer(model)
    length = settings.max_length

    def encode(corpus: Corpus) -> Examples:
        tokens = np.asarray(tokenizer(corpus.text, verbose=False)["input_ids"], dtype=np.int64)
        blocks = tokens[: len(tokens) // length * length].reshape(-1, length)
        if len(blocks) < 2:
            raise InputError(
                f"the text makes {len(blocks)} blocks of {length} tokens: give more text or a "
                "smaller --max-length"
            )
        return Examples([{"input_ids": block, "labels": block} for block in blocks])

    return Prepared(
        new_model=_maker(AutoModelForCausalLM, model, settings.seed, None),
        parts=_each(parts, encode),
        collate=None,
        companions=(tokenizer,),
        metric="loss",
    )


def _each(parts: Parts[Any], encode: Callable[[Any], Any]) -> Parts[Any]:
    return Parts(
        train=encode(parts.train),
        validation=encode(parts.validation),
        test=None if parts.test is None else encode(parts.test),
    )


def _load_tokenizer(model: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(_no_model(model, "tokenizer", error)) from error


def _check_known(texts: list[list[int]], tokenizer: Any, model: str) -> None:
    """Refuse a tokenizer that knows next to none of the words: it is not this model's."""
    special = set(tokenizer.all_special_ids)
    known = sum(token not in special for text in texts for token in text)
    unknown = sum(text.count(tokenizer.unk_token_id) for text in texts)
    if unknown > known:
        raise InputError(
            f"the tokenizer of {model!r} does not know {unknown} of {unknown + known} words: "
            "give a model for this language whose folder holds its vocabulary"
        )


def _maker(
    auto: Any, model: str, seed: int, label_names: tuple[str, ...] | None
) -> Callable[[], Any]:
    """A function that loads the model; it is tried out once, so that errors come early."""
    labels: dict[str, Any] = {}
    if label_names is not None:
        labels = {
            "num_labels": len(label_names),
            "id2label": dict(enumerate(label_names)),
            "label2id": {name: i for i, name in enumerate(label_names)},
            "ignore_mismatched_sizes": True,
        }

    def new_model() -> Any:
        torch.manual_seed(seed)
        try:
            return auto.from_pretrained(model, dtype=torch.float32, **labels)
        except (OSError, ValueError, ImportError) as error:
            raise InputError(_no_model(model, "model", error)) from error

    return new_model


def _no_model(model: str, what: str, error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"no {what} could be loaded from {model!r} ({first[:200]}): give a folder that "
        "`save_pretrained` wrote, or a Hub id"
    )
