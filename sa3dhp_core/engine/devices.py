"""The devices that a recipe asks for, against those that are there: asked before anything is written or started."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec

import attrs
import torch

from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RecipeError

KINDS = ("auto", "cpu", "cuda", "gpu", "mps", "tpu")
"""What `engine.device` may be: the kinds of Lightning Fabric; ``gpu`` is whichever of CUDA and MPS there is."""


def present() -> dict[str, int]:
    """Kinds of devices that compute here, and how many of each; a CPU carries any number of processes."""
    found = {"cpu": os.cpu_count() or 1}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.device_count()
    if torch.backends.mps.is_available():
        found["mps"] = 1
    if find_spec("torch_xla") is not None:
        found["tpu"] = 1
    return found


def accelerator() -> torch.device | None:
    """The device that ``auto`` means, if it is not the CPU."""
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None


def need(config: EngineConfig, there: Mapping[str, int] | None = None) -> None:
    """Refuse a device that is not there, or more devices than there are.

    Args:
        config: the keys of ``[engine]``.
        there: as `present` tells; asked if None.

    Raises:
        RecipeError: names the key, what is there and what to say instead.
    """
    there = present() if there is None else there
    kind, _, number = config.device.partition(":")
    if kind not in KINDS:
        raise RecipeError(
            "no kind of device has this name",
            where="engine.device",
            found=config.device,
            expected=f"one of {', '.join(KINDS)}",
            hint="--set engine.device=auto, or `sa3dhp doctor` for what this machine has",
        )
    if number:
        choice = f"CUDA_VISIBLE_DEVICES={number} sa3dhp …" if kind == "cuda" else f"--set engine.device={kind}"
        raise RecipeError(
            "a recipe names a kind of device, and not one of them",
            where="engine.device",
            found=config.device,
            expected=f"{kind!r}, and in engine.devices how many",
            hint=choice,
        )
    accelerators = {name: count for name, count in there.items() if name != "cpu"}
    wanted = next(iter(accelerators), "cpu" if kind == "auto" else "gpu") if kind in ("auto", "gpu") else kind
    if wanted not in there:
        raise RecipeError(
            "this machine has no such device",
            where="engine.device",
            found=config.device + (f" ({_why_no_cuda()})" if wanted in ("cuda", "gpu") else ""),
            expected=f"one of {', '.join(sorted({'auto', *there}))}",
            hint="--set engine.device=auto, or `sa3dhp doctor` for what this machine has",
        )
    if wanted != "cpu" and wanted != "tpu" and config.devices > there[wanted]:
        raise RecipeError(
            "this machine has fewer such devices",
            where="engine.devices",
            found=f"{config.devices} of {wanted}",
            expected=f"at most {there[wanted]}",
            hint=f"--set engine.devices={there[wanted]}, or engine.nodes for more machines",
        )


def alone(config: EngineConfig, there: Mapping[str, int] | None = None) -> EngineConfig:
    """The same for one process, on a device of the kind that is asked for if there is one, else on what there is.

    So a finished run is read where it could not be trained; with its device goes the precision that suited it.

    Args:
        config: the keys of ``[engine]``.
        there: as `present` tells; asked if None.
    """
    there = present() if there is None else there
    one = attrs.evolve(config, devices=1, nodes=1, strategy="auto")
    if config.device in ("auto", *there) or config.device == "gpu" and len(there) > 1:
        return one
    return attrs.evolve(one, device="auto", precision="32-true")


def _why_no_cuda() -> str:
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} is built without CUDA"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    return f"PyTorch is built for CUDA {torch.version.cuda}, but finds no GPU or no driver"
