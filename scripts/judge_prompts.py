"""Whether a paraphrase dreams the class that it describes, as other networks see it.

    python scripts/judge_prompts.py [--seeds 4] [--judges squeezenet googlenet] [--weights NET=FILE ...]

Ten classes of Tiny ImageNet are dreamed from noise, by `--target` and by a prompt that describes the class
without a word of its name. Each judge ranks the 200 classes; told is how often the class comes first and
among the first five, in per cent, see judge_dreams.py, and what mmdream took each prompt for.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from judge_dreams import ROOT, SIDE, card_judge, hit_rates

from mmdream import Recipe, Schedule
from mmdream.core.events import EventSink
from mmdream.image.spectrum import make_noise_image
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.prompts.resolve import resolve_prompts
from mmdream.render.image import render_image
from mmdream.settings.recipe import AscentOptions
from mmdream.settings.targets import Targets, parse_target

PARAPHRASES = {
    "beacon": "a tower with a light that warns ships",
    "school bus": "vehicle that takes children to class",
    "king penguin": "flightless bird of the antarctic ice",
    "monarch": "insect with large colorful wings",
    "brown bear": "large furry forest animal that eats honey and salmon",
    "teapot": "pot for brewing a hot drink of leaves",
    "banana": "long yellow tropical fruit",
    "jellyfish": "transparent sea creature with stinging tentacles",
    "suspension bridge": "a road hanging from cables across a river",
    "lion": "big cat with a mane that roars",
}


def main() -> None:
    """Dream, judge, and print one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    data = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
    options.add_argument("--data", type=Path, default=data)
    options.add_argument("--weights", nargs="*", default=[], metavar="NET=FILE")
    options.add_argument("--judges", nargs="+", default=["squeezenet", "googlenet"])
    options.add_argument("--seeds", type=int, default=4)
    chosen = options.parse_args()
    given = dict(pair.split("=", 1) for pair in chosen.weights)
    wnids = (chosen.data / "wnids.txt").read_text().split()
    judges = {
        name: card_judge(load_network(load_card(name), given.get(name)), wnids) for name in chosen.judges
    }
    card, told = load_card("dreamnet"), list[str]()
    places = [
        next(at for at, wnid in enumerate(wnids) if card.find_class(wnid) == card.find_class(name))
        for name in PARAPHRASES
    ]
    figures: dict[str, object] = {}
    for way in ("target", "prompt"):
        dreams, wanted = [], []
        for place, (name, text) in zip(places, PARAPHRASES.items(), strict=True):
            recipe = Recipe(wishes=Targets((parse_target(name),)), manner=AscentOptions(natural=True))
            if way == "prompt":
                asked = Recipe(schedule=Schedule(prompt=text), manner=AscentOptions(natural=True))
                recipe = resolve_prompts(asked, told.append, sound=False)
            for seed in range(chosen.seeds):
                noise = make_noise_image(SIDE, SIDE, 1000 * seed + place)
                dreams.append(render_image(noise, recipe, EventSink())[0])
                wanted.append(place)
        figures[way] = hit_rates(judges, dreams, wanted)
        print(way, figures[way], flush=True)
    print(json.dumps({**figures, "took": told}, indent=1))


if __name__ == "__main__":
    main()
