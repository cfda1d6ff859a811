"""Where a network's weights come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ShippedWeights:
    """Weights inside the package."""

    file: str
    sha256: str

    def tell(self) -> str:
        """Where the weights come from, for a person."""
        return f"shipped with the package ({self.file})"


@dataclass(frozen=True)
class TrainedWeights:
    """Weights beside the card of a network that the user has trained."""

    file: str
    sha256: str

    def tell(self) -> str:
        """Where the weights come from, for a person."""
        return f"trained here ({self.file}, beside its card)"


@dataclass(frozen=True)
class SnapshotWeights:
    """Weights as many raw float32 files below one address, each pinned in a manifest."""

    address: str
    manifest: str

    def tell(self) -> str:
        """Where the weights come from, for a person."""
        return f"fetched once from {self.address} and checked; or --weights FILE"


@dataclass(frozen=True)
class KerasWeights:
    """One HDF5 file of Keras's applications, kept in Keras's own cache."""

    address: str
    file: str
    md5: str
    """Keras's own checksum of it; empty where Keras states none."""
    most_bytes: int = 200_000_000
    """A download stops here."""

    def tell(self) -> str:
        """Where the weights come from, for a person."""
        checked = "" if self.md5 else ", its checksum not verified"
        return f"{self.file}, fetched once from {self.address} by Keras{checked}; or --weights FILE"


@dataclass(frozen=True)
class NoWeights:
    """No weights that may be read: a form to be trained, or filled from a file of the user's."""

    why: str

    def tell(self) -> str:
        """Where the weights come from, for a person."""
        return f"none at hand, {self.why}; train them, or give --weights FILE or --weights random"


@dataclass(frozen=True)
class ModelFileWeights:
    """Weights in one file with the graph: a Keras file of the user's own."""

    path: Path
    fixed: frozenset[str] = frozenset()
    """Layers that inputs of one size only suit."""

    def tell(self) -> str:
        """Where the weights come from, for a person."""
        return f"inside {self.path}"


WeightSource = ShippedWeights | TrainedWeights | SnapshotWeights | KerasWeights | NoWeights | ModelFileWeights

WEIGHT_SOURCES: dict[
    str,
    type[ShippedWeights]
    | type[TrainedWeights]
    | type[SnapshotWeights]
    | type[KerasWeights]
    | type[NoWeights],
] = {
    "shipped": ShippedWeights,
    "trained": TrainedWeights,
    "snapshot": SnapshotWeights,
    "keras": KerasWeights,
    "none": NoWeights,
}
"""What a card calls them."""
