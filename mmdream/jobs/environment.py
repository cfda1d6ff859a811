"""What a dream's bits depend on besides its settings: the machine and the libraries."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from mmdream import __version__
from mmdream.networks.network import choose_precision, has_bfloat16
from mmdream.networks.registry import load_card
from mmdream.settings.recipe import Recipe

LIBRARIES = (
    "av",
    "imageio-ffmpeg",
    "keras",
    "librosa",
    "numpy",
    "opencv-python-headless",
    "pyloudnorm",
    "scenedetect-headless",
    "scipy",
    "soundfile",
    "tensorflow",
)
"""Those that touch a pixel or a sample."""
GPU_FOLDER = Path("/proc/driver/nvidia/gpus")


def describe_environment(recipe: Recipe) -> dict[str, str]:
    """Where a recipe is dreamed: two runs with equal values give equal bits.

    Nothing here needs TensorFlow, so that a job of another machine is refused at once.
    """
    passes = {
        f"pass {number} precision": choose_precision(recipe.precision, load_card(recipe.for_pass(stroke).net))
        for number, stroke in enumerate(recipe.passes, 1)
    }
    return {
        "precision": choose_precision(recipe.precision, load_card(recipe.net)),
        **passes,
        "processor": platform.machine(),
        "bfloat16": "yes" if has_bfloat16() else "no",
        "cores": str(count_cores()),
        "GPUs": list_gpus(),
        "mmdream": __version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _library_version(name) for name in LIBRARIES},
    }


def count_cores() -> int:
    """Processors that this process may use: TensorFlow sums in as many threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def list_gpus() -> str:
    """Models of the graphics cards that may be used, as NVIDIA's driver tells them."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "none"
    found = [
        line.partition(":")[2].strip()
        for file in sorted(GPU_FOLDER.glob("*/information"))
        for line in file.read_text(errors="replace").splitlines()
        if line.startswith("Model")
    ]
    return ", ".join(found) or "none"


def _library_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
