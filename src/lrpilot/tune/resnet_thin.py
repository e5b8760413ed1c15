"""A ResNet-50 whose batch norm was folded into its convolutions, as a plain `transformers` model.

The open_nsfw network (ResNet-50-thin, pretrained on ImageNet) is shipped for inference: each
batch norm is merged into the convolution before it. Fine-tuning wants it back. Any mean and
variance will do, as long as scale and shift undo them: with the statistics of the task's own
images, scale = sqrt(variance + eps) and shift = mean + bias, the network computes what it did
before and its normalisation starts where training would hold it.

The architecture is `transformers.ResNetForImageClassification`'s in all but one point: the shipped
max-pool pads only right and below, where that of `transformers` pads on all sides. This moves the
features by two pixels of the image.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrpilot.errors import MissingExtraError

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float32]
# Source: Mahadeokar et al., open_nsfw (2016), ResNet-50-thin: half the filters of a ResNet-50.
DEPTHS, WIDTHS, STEM_WIDTH = (3, 4, 6, 3), (128, 256, 512, 1024), 64
# Source: open_nsfw's preprocessing: pixels of 0 to 255 less this mean, here as RGB.
MEAN_RGB = (123, 117, 104)


def read_folded(path: Path) -> dict[str, tuple[Array, Array]]:
    """Kernel and bias of each convolution of the shipped file, and of its last, linear layer.

    Args:
        path: `open-nsfw.onnx`.

    Returns:
        By name ("1", "stage0_block0_branch2a", ..., "fc"): kernel, shape (out, in, height, width)
        or (out, in), and bias, shape (out,).

    Raises:
        MissingExtraError: onnx is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise MissingExtraError("this demo needs onnx: pip install 'lrpilot[demo]'") from None
    graph = onnx.load(str(path)).graph
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    found: dict[str, tuple[Array, Array]] = {}
    for node in graph.node:
        if node.op_type == "Conv":
            name = node.output[0].split("/")[0].removeprefix("bn_")
            found[name] = (arrays[node.input[1]], arrays[node.input[2]])
    found["fc"] = (arrays["fc_nsfw/MatMul/ReadVariableOp:0"].T,
                   arrays["fc_nsfw/BiasAdd/ReadVariableOp:0"])  # fmt: skip
    return found


def build_resnet(folded: Mapping[str, tuple[Array, Array]]) -> Any:
    """The network with identity batch norms that only add the bias, in evaluation mode.

    Returns:
        A `transformers.ResNetForImageClassification` with open_nsfw's two classes, for RGB pixels
        of 0 to 255 less `MEAN_RGB`.
    """
    import torch

    transformers: Any = importlib.import_module("transformers")
    config = transformers.ResNetConfig(
        embedding_size=STEM_WIDTH, hidden_sizes=list(WIDTHS), depths=list(DEPTHS),
        layer_type="bottleneck", downsample_in_bottleneck=True, num_labels=2,
    )  # fmt: skip
    model = transformers.ResNetForImageClassification(config)
    with torch.no_grad():
        for name, layer in _layers(model).items():
            kernel, bias = folded[name]
            if name == "1":
                kernel = kernel[:, ::-1]  # the file expects BGR
            layer.convolution.weight.copy_(torch.from_numpy(kernel.copy()))
            norm = layer.normalization
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.fill_(1)
            norm.bias.copy_(torch.from_numpy(bias.copy()))
        head = model.classifier[-1]
        head.weight.copy_(torch.from_numpy(folded["fc"][0].copy()))
        head.bias.copy_(torch.from_numpy(folded["fc"][1].copy()))
    return model.eval()


def restore_batch_norm(model: Any, pixels: torch.Tensor, *, batch_size: int = 32) -> None:
    """Give `build_resnet`'s batch norms the statistics of some images, at no change in function.

    Args:
        model: What `build_resnet` returned; changed in place.
        pixels: Images as the network expects them, shape (images, 3, height, width).
        batch_size: Images a forward pass.
    """
    import torch

    sums: dict[str, list[Any]] = {}
    layers = _layers(model)

    def watch(name: str) -> Any:
        def add(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
            values = output.double()
            parts = [float(values.numel() / values.shape[1]), values.sum((0, 2, 3)),
                     values.square().sum((0, 2, 3))]  # fmt: skip
            old = sums.get(name)
            sums[name] = parts if old is None else [a + b for a, b in zip(old, parts, strict=True)]

        return layers[name].convolution.register_forward_hook(add)

    hooks = [watch(name) for name in layers]
    try:
        with torch.no_grad():
            for start in range(0, len(pixels), batch_size):
                model(pixels[start : start + batch_size])
            for name, (count, total, squares) in sums.items():
                _set_statistics(layers[name].normalization, total / count, squares / count)
    finally:
        for hook in hooks:
            hook.remove()


def save_backbone(model: Any, folder: Path, *, image_size: int) -> None:
    """Write the network without its two-class head, with a preprocessor for square images.

    `AutoModelForImageClassification.from_pretrained(folder, num_labels=k)` then starts a new head.
    """
    model.resnet.save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": image_size, "width": image_size},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [m / 255 for m in MEAN_RGB],
        "image_std": [1 / 255] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")


def _set_statistics(norm: Any, mean: torch.Tensor, mean_square: torch.Tensor) -> None:
    """Change mean and variance, and the scale and shift that undo them."""
    variance = (mean_square - mean.square()).clamp_min(0)
    norm.bias.add_(mean.to(norm.bias.dtype))
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)


def _layers(model: Any) -> dict[str, Any]:
    """Each pair of convolution and batch norm, by its name in the shipped file."""
    layers = {"1": model.resnet.embedder.embedder}
    for s, stage in enumerate(model.resnet.encoder.stages):
        for b, block in enumerate(stage.layers):
            if b == 0:
                layers[f"stage{s}_block{b}_proj_shortcut"] = block.shortcut
            for letter, layer in zip("abc", block.layer, strict=True):
                layers[f"stage{s}_block{b}_branch2{letter}"] = layer
    return layers
