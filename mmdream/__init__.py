"""mmdream turns a film into a dream film: picture and sound dreamed under one schedule.

The public names load on first use, so that ``import mmdream`` costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# OpenCV reads these once, when it is loaded. Larger pictures it then refuses by their header alone; what is
# wrong with a file it does not print by itself.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

if TYPE_CHECKING:
    from mmdream.api import dream_audio, dream_image, dream_video, plan_video, resume_video, walk_video
    from mmdream.core.errors import UserError
    from mmdream.settings.added_sound import with_added_sound
    from mmdream.settings.execution import Execution
    from mmdream.settings.passes import Mask, Pass, Span, Style
    from mmdream.settings.recipe import Recipe
    from mmdream.settings.schedule import Drive, Schedule
    from mmdream.settings.walk import WalkSettings

__all__ = [
    "Drive",
    "Execution",
    "Mask",
    "Pass",
    "Recipe",
    "Schedule",
    "Span",
    "Style",
    "UserError",
    "WalkSettings",
]
__all__ += [
    "dream_audio",
    "dream_image",
    "dream_video",
    "plan_video",
    "resume_video",
    "walk_video",
    "with_added_sound",
]

_NAMES = {
    "settings.schedule": ("Drive", "Schedule"),
    "settings.passes": ("Mask", "Pass", "Span", "Style"),
    "settings.recipe": ("Recipe",),
    "settings.added_sound": ("with_added_sound",),
    "settings.execution": ("Execution",),
    "core.errors": ("UserError",),
    "api": ("dream_audio", "dream_image", "dream_video", "plan_video", "resume_video", "walk_video"),
    "settings.walk": ("WalkSettings",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mmdream' has no attribute {name!r}")
    return getattr(import_module(f"mmdream.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
