"""The readers of publishers' layouts, by the name that a card calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mmdream.data import picture_layouts, sound_layouts
from mmdream.data.dog_sounds import dog_sounds
from mmdream.data.tree import Item, Tree

Reader = Callable[[Sequence[Tree]], Iterator[Item]]

READERS: dict[str, Reader] = {
    "bird_audio": sound_layouts.bird_audio,
    "dog_sounds": dog_sounds,
    "esc": sound_layouts.esc,
    "fma": sound_layouts.fma,
    "fsdkaggle2018": sound_layouts.fsdkaggle2018,
    "librispeech": sound_layouts.librispeech,
    "nsynth": sound_layouts.nsynth,
    "speech_commands": sound_layouts.speech_commands,
    "stanford_dogs": picture_layouts.stanford_dogs,
    "tiny_imagenet": picture_layouts.tiny_imagenet,
    "urbansound8k": sound_layouts.urbansound8k,
    "wordnet": picture_layouts.wordnet,
}
"""Each finds a set's files in trees, whatever folder they hang in; a class that a card does not have is left
out later."""
