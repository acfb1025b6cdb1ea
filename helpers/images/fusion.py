"""Convolutions, batch normalisations and activations of a network in one step each, for CPUs with oneDNN.

The operators are those that PyTorch's own compiler emits for a CPU; called here, they need no compiler at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_RELU6 = ("hardtanh", [0.0, 6.0], "")
_NOTHING = ("none", [], "")


def can_fuse() -> bool:
    """Tell whether this PyTorch has the operators."""
    import torch

    names = ("_convolution_pointwise", "_reorder_convolution_weight")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


def fuse_efficientnet(model: torch.nn.Module, example: torch.Tensor) -> torch.nn.Module:
    """Fuse, in place, each convolution of a network of timm with the normalisation and the ReLU6 behind it.

    Parameters
    ----------
    model : torch.nn.Module
        An EfficientNet of timm, whose normalisations carry their activations.
    example : tensor, shape (batch, 3, height, width)
        A batch of the size and of the type in which the network is to compute.

    Returns
    -------
    torch.nn.Module
        The same object; its features are the same up to rounding.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    shapes = _input_shapes(model, example)
    with torch.inference_mode():
        for parent in list(model.modules()):
            before = ""
            for name, module in list(parent.named_children()):
                if isinstance(module, torch.nn.BatchNorm2d):
                    conv = getattr(parent, before)
                    folded = fuse_conv_bn_eval(conv, module)
                    setattr(parent, before, _fused(folded, module.act, shapes[conv], example.dtype))
                    setattr(parent, name, torch.nn.Identity())
                before = name
    return model


def _input_shapes(model: torch.nn.Module, example: torch.Tensor) -> dict[torch.nn.Module, torch.Size]:
    """Find the shape of the input of each convolution."""
    import torch

    shapes: dict[torch.nn.Module, torch.Size] = {}
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    hooks = [layer.register_forward_pre_hook(lambda own, seen: shapes.update({own: seen[0].shape})) for layer in layers]
    with torch.inference_mode():
        model(example.float())
    for hook in hooks:
        hook.remove()
    return shapes


def _fused(
    conv: torch.nn.Conv2d, activation: torch.nn.Module, shape: torch.Size, dtype: torch.dtype
) -> torch.nn.Module:
    """Join a convolution with the activation after it, its weights laid out for inputs of a shape."""
    import torch
    from timm.layers import Conv2dSame, pad_same

    same = isinstance(conv, Conv2dSame)  # TensorFlow's padding, which adds more to the right and below
    if same:
        shape = pad_same(torch.empty(shape, device="meta"), conv.kernel_size, conv.stride, conv.dilation).shape
    how = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
    after = _RELU6 if isinstance(activation, torch.nn.ReLU6) else _NOTHING
    assert after is _RELU6 or isinstance(activation, torch.nn.Identity)
    weight = torch.ops.mkldnn._reorder_convolution_weight(conv.weight.to(dtype), *how, list(shape))
    bias = conv.bias.to(dtype)

    class Fused(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = pad_same(x, conv.kernel_size, conv.stride, conv.dilation) if same else x
            return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *how, *after)

    return Fused()
