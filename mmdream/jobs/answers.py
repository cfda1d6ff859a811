"""What a network says of a file: its logits at each moment, and the figures that are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmdream.views.canvas import format_time_code

CLASSES_PER_MOMENT = 3
"""Classes that are told of each moment, to a person."""


@dataclass(frozen=True)
class Predictions:
    """What one network says of one file."""

    medium: str
    """"picture" or "sound"."""
    network: str
    classes: tuple[str, ...]
    """Their usual names, at least two."""
    seconds: np.ndarray
    """float64 [moment]: when each frame is shown, or each window begins, as a player tells time."""
    span: float | None
    """Seconds that a moment lasts; None: a frame, or a picture."""
    logits: np.ndarray
    """float32 [moment, class]."""

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax, float64 [moment, class]."""
        raised = np.exp(self.logits - self.logits.max(axis=1, keepdims=True).astype(np.float64))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    @cached_property
    def log_odds(self) -> np.ndarray:
        """ln(p / (1 - p)) in nats, float64 [moment, class], also where p is next to 1."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True).astype(np.float64)
        raised = np.exp(shifted)
        rest = raised.sum(axis=1, keepdims=True) - raised
        rows, best = np.arange(len(raised)), raised.argmax(axis=1)
        raised[rows, best] = 0.0  # The difference above would cancel there.
        rest[rows, best] = raised.sum(axis=1)
        return np.asarray(shifted - np.log(np.maximum(rest, 1e-300)))

    def top(self, count: int) -> list[int]:
        """The classes of the highest mean probability, that one first."""
        mean = self.probabilities.mean(axis=0)
        return np.argsort(-mean, kind="stable")[:count].tolist()

    def as_json(self, top: int) -> dict[str, Any]:
        """Plain values: means of the first classes over the file, and the first classes of each moment."""
        means = self.probabilities.mean(axis=0), self.log_odds.mean(axis=0)
        every = zip(self.seconds, self.probabilities, self.log_odds, strict=True)
        return {
            "network": self.network,
            "span": self.span,
            "mean": self._to_rows(self.top(top), *means),
            "moments": [
                {
                    "seconds": round(float(at), 6),
                    "classes": self._to_rows(_top_classes(chances, top), chances, odds),
                }
                for at, chances, odds in every
            ],
        }

    def lines(self, top: int) -> list[str]:
        """For people: the means, and a line a moment where there are several."""
        count = len(self.seconds)
        what = "windows" if self.medium == "sound" else "frames"
        heading = "probability  log-odds"
        told = [f"{self.medium}, {self.network}{f', mean of {count} {what}' if count > 1 else ''}"]
        told.append(f"  {heading}")
        means = self.probabilities.mean(axis=0), self.log_odds.mean(axis=0)
        for place in self.top(top):
            told.append(f"  {means[0][place]:10.1%}  {means[1][place]:+8.1f}  {self.classes[place]}")
        if count > 1:
            for at, chances in zip(self.seconds, self.probabilities, strict=True):
                best = (
                    f"{self.classes[place]} {chances[place]:.0%}"
                    for place in _top_classes(chances, min(top, CLASSES_PER_MOMENT))
                )
                told.append(f"  {format_time_code(at):>9}  {', '.join(best)}")
        return told

    def _to_rows(self, places: list[int], chances: np.ndarray, odds: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "class": self.classes[place],
                "probability": round(float(chances[place]), 6),
                "log_odds": round(float(odds[place]), 4),
            }
            for place in places
        ]


def _top_classes(chances: np.ndarray, count: int) -> list[int]:
    return np.argsort(-chances, kind="stable")[:count].tolist()


@dataclass(frozen=True)
class FilePredictions:
    """What is seen and heard in a file."""

    source: Path
    answers: tuple[Predictions, ...]
    """Of its picture and its sound, or of one of them."""
    top: int
    """Classes that are told."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"source": str(self.source), **{each.medium: each.as_json(self.top) for each in self.answers}}

    def lines(self) -> list[str]:
        """For people."""
        return [f"{self.source}", *(line for each in self.answers for line in each.lines(self.top))]
