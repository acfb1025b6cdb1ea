"""The kernel of this very interpreter: one of the name python3 that Jupyter finds may be of another Python."""

from __future__ import annotations

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default


class OwnKernels(KernelSpecManager):
    """Find the kernel of this interpreter as python3, and no others, wherever they are installed."""

    @default("kernel_dirs")
    def _no_folders(self) -> list[str]:
        return []


class OwnKernelManager(AsyncKernelManager):
    """Start the kernel of this interpreter."""

    @default("kernel_spec_manager")
    def _own_kernels(self) -> OwnKernels:
        return OwnKernels()
