"""Networks on OpenVINO: converted once in a process, compiled for batches of one shape, one thread a batch.

Measured on one thread with batches of 4, ms an image: EfficientNet-Lite0 8.4 in float32 and 4.8 in bfloat16, where
PyTorch takes 18.3 as it is and 14.6 with fused normalisations; ResNet-50 76 and 37, where PyTorch takes 99.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from queue import Empty, SimpleQueue
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_TRACING = Lock()  # torch.fx patches classes while it traces, so two at once in a process spoil each other


def can_compile() -> bool:
    """Tell whether OpenVINO is installed."""
    try:
        metadata.version("openvino")
    except metadata.PackageNotFoundError:
        return False
    return True


def arithmetic(precision: str) -> str:
    """Tell the arithmetic in which layers run on this processor: bfloat16 is float32 where it is not supported."""
    if precision == "float32" or not can_compile():
        return precision
    capabilities = _import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bfloat16" if "BF16" in capabilities else "float32"


def compile_network(
    module: torch.nn.Module, example: torch.Tensor, precision: str
) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Compile a network for the CPU.

    Parameters
    ----------
    module : torch.nn.Module
        What gives the features, in evaluation mode.
    example : tensor
        A batch of the shape and type of all to come.
    precision : {'float32', 'bfloat16'}
        Arithmetic of the layers. bfloat16 is used where the processor has AVX-512, and float32 elsewhere.

    Returns
    -------
    callable or None
        From a batch to features; threads may call it at once, each with its own batch, and a forked process must not.
        The features of a batch are the same bits in each process and thread. None, with a warning, where the network
        cannot be converted.
    """
    import torch

    openvino = _import_openvino()
    try:
        with _TRACING, torch.no_grad():
            network = openvino.convert_model(module.requires_grad_(False), example_input=example, dynamo=True)
    except (MemoryError, OSError):  # of the moment, and not of the network
        raise
    except Exception as error:  # of torch.export, or of the frontend at an operator that it does not know
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(f"OpenVINO cannot convert this network ({reason}); PyTorch runs it.", stacklevel=2)
        return None
    return _Engine(openvino, network, precision)


class _Engine:
    """A compiled network, with as many requests as threads have asked at once."""

    def __init__(self, openvino: ModuleType, network: Any, precision: str) -> None:
        n_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        options = {
            # As many streams as threads, so each has one: within a stream, more threads could show in the last digits.
            "NUM_STREAMS": n_threads,
            "INFERENCE_NUM_THREADS": n_threads,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        }
        self.model = openvino.Core().compile_model(network, "CPU", options)
        self.idle_requests: SimpleQueue = SimpleQueue()

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        import torch

        try:
            request = self.idle_requests.get_nowait()
        except Empty:
            request = self.model.create_infer_request()
        features = request.infer([batch.contiguous().numpy()], share_inputs=True)[0]  # a copy, so the request is free
        self.idle_requests.put(request)
        return torch.from_numpy(features)


def _import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would otherwise send to a server what is done with it, unasked.

    OpenVINO takes a stub of its own where the package cannot be imported.
    """
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
    return openvino
