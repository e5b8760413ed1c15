"""The calls of a training script, and what every framework's scripts share."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrpilot.diagnose.history import Plan
from lrpilot.diagnose.readers.bounded import count, positive, truth
from lrpilot.diagnose.readers.script_values import UNKNOWN, Names

Found = list[tuple[int, Plan, tuple[str, ...]]]  # (line, plan, what is unknown), one a run
MOST_PLANS = 20  # of one script; further ones are left out
_LONGEST = 60
_NEW_HEADS = ("fc", "classifier", "head", "heads", "score", "lm_head")


@dataclass(frozen=True)
class Call:
    """One call: the callee's full name, the node, its keywords."""

    name: str
    node: ast.Call
    keywords: Mapping[str, ast.expr]

    @property
    def last(self) -> str:
        """The name without its module."""
        return self.name.rsplit(".", 1)[-1]

    @property
    def open(self) -> bool:
        """Whether `**something` may set more than is seen."""
        return any(k.arg is None for k in self.node.keywords)

    def argument(self, name: str, position: int | None = None) -> ast.expr | None:
        """An argument by keyword, or else by position."""
        if name in self.keywords:
            return self.keywords[name]
        if position is not None and position < len(self.node.args):
            found = self.node.args[position]
            return None if isinstance(found, ast.Starred) else found
        return None


def call_of(node: ast.Call, name: str) -> Call:
    """A call by its full name."""
    return Call(name, node, {k.arg: k.value for k in node.keywords if k.arg is not None})


@dataclass(frozen=True)
class Script:
    """A parsed script."""

    tree: ast.Module
    names: Names
    calls: tuple[Call, ...]

    def of(self, *last: str) -> list[Call]:
        """Calls whose callee's last name is one of these."""
        return [c for c in self.calls if c.last in last]

    def value(self, node: ast.expr | None) -> Any:
        """What an expression comes to, or `UNKNOWN`."""
        return self.names.value(node)

    def known(self, node: ast.expr | None) -> Any:
        """As `value`, with None for unknown."""
        found = self.value(node)
        return None if found is UNKNOWN else found


def text_of(node: ast.AST | None) -> str:
    """An expression as it was written, shortened to one line."""
    if node is None:
        return ""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def not_constant(name: str, node: ast.expr) -> str:
    """The sentence on a setting that the text alone does not tell."""
    return f"{name} is {text_of(node)!r}, which is no constant of the script: unknown."


def shared(script: Script) -> dict[str, Any]:
    """Model and method."""
    found: dict[str, Any] = {"model": _model(script)}
    lora = next(iter(script.of("LoraConfig", "AdaLoraConfig")), None)
    if lora is not None:
        quantized = any(
            truth(script.known(c.argument("load_in_4bit"))) for c in script.calls
            if "load_in_4bit" in c.keywords
        )  # fmt: skip
        rank = script.value(lora.argument("r", 0)) if "r" in lora.keywords else 8  # PEFT's default
        found["method"] = "qlora" if quantized else "lora"
        found["lora_rank"] = None if rank is UNKNOWN else count(rank)
        alpha = script.value(lora.keywords["lora_alpha"]) if "lora_alpha" in lora.keywords else 8
        found["lora_alpha"] = None if alpha is UNKNOWN else positive(alpha)
    elif found["model"] and not _may_be_adapted(script):
        found["method"] = "full"
    if _new_head(script):
        found["new_head"] = True
    return found


def _may_be_adapted(script: Script) -> bool:
    """Whether anything is named after adapters, or freezes parameters."""
    words = [*script.names.modules.values(), *(c.name for c in script.calls)]
    if any(word in text.lower() for text in words for word in ("peft", "lora", "adapter")):
        return True
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("requires_grad", "requires_grad_")
        for node in ast.walk(script.tree)
    )


def _model(script: Script) -> str | None:
    """The first model that is loaded by name; a tokenizer's name is none."""
    for call in script.calls:
        parts = call.name.split(".")
        if len(parts) > 1 and parts[-1] == "from_pretrained" and "Token" not in parts[-2]:
            if any(word in parts[-2] for word in ("Processor", "Config", "Extractor")):
                continue
            name = script.known(call.argument("pretrained_model_name_or_path", 0))
            if isinstance(name, str) and name:
                return name
    for call in script.of("create_model"):
        name = script.known(call.argument("model_name", 0))
        if isinstance(name, str) and name:
            return name
    return None


def _new_head(script: Script) -> bool:
    """Whether a head is made anew: a number of labels is asked for, or a layer is replaced."""
    for call in script.of("from_pretrained"):
        if {"num_labels", "id2label"} & call.keywords.keys():
            return True
    for node in ast.walk(script.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = script.names.dotted(node.value.func).rsplit(".", 1)[-1]
            targets = [t.attr for t in node.targets if isinstance(t, ast.Attribute)]
            if made in ("Linear", "Sequential") and any(t in _NEW_HEADS for t in targets):
                owner = [t.value for t in node.targets if isinstance(t, ast.Attribute)]
                if not any(isinstance(o, ast.Name) and o.id == "self" for o in owner):
                    return True
    return False


def epochs_of_loop(script: Script) -> int | None:
    """N of `for epoch in range(N)`."""
    for node in ast.walk(script.tree):
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            if not node.target.id.startswith(("epoch", "ep")):
                continue
            ranges = list(_ranges(node.iter))
            if ranges:
                return count(script.known(ranges[0].args[-1])) if len(ranges[0].args) < 2 else None
    return None


def _ranges(node: ast.expr) -> Iterator[ast.Call]:
    for inner in ast.walk(node):
        if not isinstance(inner, ast.Call) or not isinstance(inner.func, ast.Name):
            continue
        if inner.func.id in ("range", "trange") and inner.args:
            yield inner
