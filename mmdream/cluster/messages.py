"""What a coordinator and its workers send each other: plans there, parts, seams and chunks back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from mmdream.core.events import FrameRendered


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file that the coordinator measured, as its journal has it."""

    data: bytes
    count: int
    sums: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlanBundle:
    """All that a worker needs to know of a film besides the files that it reads itself."""

    job: str
    """As JSON."""
    files: dict[str, PlanFile]
    """By their kind in the journal: scan, driven, hints."""

    @property
    def digest(self) -> str:
        """What the plan is recognised by: SHA-256 of its job and files, in hex."""
        whole = hashlib.sha256(self.job.encode())
        for kind, file in sorted(self.files.items()):
            whole.update(kind.encode() + hashlib.sha256(file.data).digest())
        return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a worker says of itself before it works."""

    environment: dict[str, str]
    """See `describe_environment`."""
    problem: str | None
    """Why it cannot work on the film; None: it can."""


@dataclass(frozen=True, slots=True)
class PartResult:
    """A finished part on its way to the coordinator."""

    plan: str
    """Digest of the plan that it belongs to."""
    number: int
    frames: int
    picture: bytes
    """The encoded frames."""
    sums: dict[str, Any]
    """Its figures, as the journal has them."""
    carry: bytes | None
    """The states behind its last frame; None: the shot ends with it."""
    digest: str
    """See `hash_bytes`."""
    timing: dict[str, float]
    """Seconds of each stage since the last result."""
    warnings: tuple[str, ...]
    newest: FrameRendered | None
    """Its last frame, where somebody wants to see it."""


@dataclass(frozen=True, slots=True)
class SeamResult:
    """The states of a seam on their way to the coordinator."""

    plan: str
    number: int
    states: bytes
    """See `pack_seam`."""
    digest: str
    timing: dict[str, float]


@dataclass(frozen=True, slots=True)
class ChunksResult:
    """Finished chunks of a sound on their way to the coordinator."""

    plan: str
    chunks: dict[int, bytes]
    """By number, as the journal keeps them."""
    digest: str
    timing: dict[str, float]


def hash_bytes(*pieces: bytes | None) -> str:
    """SHA-256 of bytes that follow one another, in hex; None counts as nothing."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece or b"")
    return digest.hexdigest()
