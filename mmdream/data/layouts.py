"""The readers of publishers' layouts, by the name that a card calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mmdream.data import picture_layouts, sound_layouts
from mmdream.data.dog_sounds import read_dog_sounds
from mmdream.data.tree import FileTree, SourceFile

LayoutReader = Callable[[Sequence[FileTree]], Iterator[SourceFile]]

LAYOUT_READERS: dict[str, LayoutReader] = {
    "bird_audio": sound_layouts.read_bird_audio,
    "dog_sounds": read_dog_sounds,
    "esc": sound_layouts.read_esc,
    "fma": sound_layouts.read_fma,
    "fsdkaggle2018": sound_layouts.read_fsdkaggle2018,
    "librispeech": sound_layouts.read_librispeech,
    "nsynth": sound_layouts.read_nsynth,
    "speech_commands": sound_layouts.read_speech_commands,
    "stanford_dogs": picture_layouts.read_stanford_dogs,
    "tiny_imagenet": picture_layouts.read_tiny_imagenet,
    "urbansound8k": sound_layouts.read_urbansound8k,
    "wordnet": picture_layouts.read_wordnet,
}
"""Each finds a set's files in trees, whatever folder they hang in; a class that a card does not have is left
out later."""
