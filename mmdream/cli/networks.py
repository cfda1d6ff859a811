"""The commands about networks: what one sees and hears, which there are, and how one is retrained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmdream.cli.options import Given, OutputOptions, argument, pick, takes
from mmdream.cli.terminal import print_lines, report_to_terminal, run_and_print
from mmdream.core.errors import UserError
from mmdream.settings.definition import NETWORKS, RESULT, checked, options, setting
from mmdream.settings.recipe import Recipe
from mmdream.settings.training import DreamerSettings, GeneratorSettings, TrainingSettings

if TYPE_CHECKING:
    from mmdream.networks.card import NetworkCard
    from mmdream.networks.generator_card import GeneratorCard

NET = "NAME|FILE.keras"
MOST_FOUND = 12
"""Things that a search tells."""


@checked
@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """With what a file is looked at and heard, and what is told."""

    net: str | None = setting(
        None, "Network that sees, else dreamnet; or one that hears, for a sound.", NETWORKS, NET
    )
    sound_net: str | None = setting(None, "Network that hears, else melnet.", NETWORKS, NET)
    top: int = setting(5, "Tell so many classes.", RESULT, "N")
    plot: Path | None = setting(
        None, "Draw the classes as lines over time into this file.", RESULT, "PICTURE"
    )


@takes(
    options(ClassifyOptions), pick(options(Recipe), "weights sound-weights"),
    pick(options(OutputOptions), "overwrite json"),
)  # fmt: skip
def classify(
    source: Annotated[Path, argument("FILE", "A picture, a sound or a film.")], given: Given
) -> None:
    """Say what networks see and hear in a picture, a sound or a film, with probabilities.

    A film is looked at once a second and heard in windows of two; the means over the film come first.
    """
    from mmdream.classify.run import ClassifierChoice, classify_file
    from mmdream.views.figures import check_figure_path, write_figure
    from mmdream.views.predictions import draw_predictions

    how = given.settings(ClassifyOptions())
    weights, sound_weights = (given.values.get(name) for name in ("weights", "sound-weights"))
    choice = ClassifierChoice(how.net, how.sound_net, weights, sound_weights)
    out = None if how.plot is None else check_figure_path(how.plot, "overwrite" in given)
    seen = run_and_print("json" in given, lambda listener: classify_file(source, choice, how.top, listener))
    if out is not None:
        write_figure(draw_predictions(seen.panels()), out, "overwrite" in given)


@takes(pick(options(Recipe), "weights"), pick(options(OutputOptions), "overwrite"))
def nets(
    name: Annotated[str | None, argument("[NAME]", "One network, in detail.")] = None,
    gallery: Annotated[
        Path | None,
        typer.Option(metavar="PICTURE", help="Draw what the strongest channels of each rung of it see."),
    ] = None,
    find: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Tell which of its motifs and classes are nearest to some words."),
    ] = None,
    *,
    given: Given,
) -> None:
    """List the networks, tell all about one (its rungs, its weights, its licence), or draw what it sees."""
    weights = given.settings(Recipe()).weights
    if gallery is not None:
        if name is None:
            raise UserError("--gallery shows one network; name it: mmdream nets dreamnet --gallery out.png")
        from mmdream.sample.film import render_frames
        from mmdream.views.gallery import PHOTO_SIZE, write_gallery

        photos = render_frames(2, PHOTO_SIZE)
        with report_to_terminal(False) as listener:
            out = write_gallery(name, weights, gallery, "overwrite" in given, photos, listener)
        typer.echo(f"{out}")
        return
    if weights is not None:
        raise UserError("--weights goes with --gallery; nothing else here needs them")
    if find is not None:
        print_lines(_find(name, find))
        return
    print_lines(_list_all() if name is None else _describe(name))


def _find(name: str | None, words: str) -> Iterator[str]:
    """What of a network is nearest to some words, with its likeness."""
    from mmdream.networks.registry import load_card
    from mmdream.prompts.reading import rank_dreams

    if name is None:
        raise UserError(f'--find looks in one network; name it: mmdream nets dreamnet --find "{words}"')
    for thing, likeness in rank_dreams(words, load_card(name))[:MOST_FOUND]:
        yield f"{likeness:5.2f}  {thing}"


def _list_all() -> Iterator[str]:
    """Every network with its licence."""
    from mmdream.networks.generator_card import list_generators
    from mmdream.networks.registry import list_networks, list_variants, load_card

    for each in list_networks():
        about = load_card(each)
        yield f"{each:14} {about.medium:8} {about.about}"
        yield f"{'':23} licence: {about.licence}"
        if others := list_variants(each):
            yield f"{'':23} also: {', '.join(others)}"
    for made in list_generators():
        yield f"{made.name:14} {made.role}: {made.about}"
        yield f"{'':23} licence: {made.licence}"


def _describe(name: str) -> Iterator[str]:
    """All about one network, a fact a line."""
    from mmdream.networks.card import describe_weights
    from mmdream.networks.generator_card import list_generators
    from mmdream.networks.network import list_layers
    from mmdream.networks.registry import load_card

    for made in list_generators():
        if made.name == name:
            yield from _describe_generator(made)
            return
    about = load_card(name)
    yield f"{about.name} ({about.medium}): {about.about}"
    yield "depth  layer, from shallow to deep"
    for number, rung in enumerate(about.rungs):
        yield f"{number / max(1, len(about.rungs) - 1):5.2f}  {rung.layer}"
    every = (f"{layer} ({channels})" for layer, channels in list_layers(about).items())
    yield f"layers, with their channels: {', '.join(every)}"
    yield from about.guesses
    if about.motifs:
        yield f"motifs: {', '.join(sorted(about.motifs))}"
    if called := about.primary_names():
        yield f"classes: {', '.join(called)}"
    yield f"weights: {describe_weights(about.weights)}"
    yield from _describe_origin(about)


def _describe_generator(card: GeneratorCard) -> Iterator[str]:
    """All about one generator, a fact a line."""
    yield f"{card.name} ({card.role}): {card.about}"
    yield f"classes: {', '.join(card.classes)}"
    unit = {"picture": "px", "spectrogram": "bands", "wave": "samples"}[card.form]
    yield f"{card.form}s: {card.side} {unit}"
    yield f"weights: {card.weights}"
    yield from _describe_origin(card)


def _describe_origin(card: NetworkCard | GeneratorCard) -> Iterator[str]:
    """Where a network comes from, and what may be done with it."""
    yield f"licence: {card.licence}"
    yield f"source:  {card.source}"
    yield f"credits: {card.credits}"
    for fact, value in card.facts.items():
        yield f"{fact.replace('_', ' ')}: {value}"


train = typer.Typer(
    help="Retrain a network, teach a dreamer or train a generator: picture, sound, dreamer, generator.",
    no_args_is_help=True,
    add_completion=False,
)


@train.command()
@takes(options(TrainingSettings, frozenset({"image"})), pick(options(OutputOptions), "overwrite json"))
def picture(given: Given) -> None:
    """Retrain a picture network; `mmdream video IN --net NAME` dreams with it at once.

    The same command goes on where it was stopped.
    """
    _train(TrainingSettings("picture", Recipe().net, Path(), ""), given)


@train.command()
@takes(options(TrainingSettings, frozenset({"audio"})), pick(options(OutputOptions), "overwrite json"))
def sound(given: Given) -> None:
    """Retrain a sound network; `mmdream video IN --sound-net NAME` dreams with it at once.

    The same command goes on where it was stopped.
    """
    _train(TrainingSettings("sound", Recipe().sound_net, Path(), ""), given)


@train.command()
@takes(options(DreamerSettings), pick(options(OutputOptions), "overwrite json"))
def dreamer(given: Given) -> None:
    """Teach a dreamer, which makes a network's dreams in one pass: `mmdream video IN --engine feedforward`.

    The same command goes on where it was stopped.
    """
    _require(given, "data")
    settings = given.settings(DreamerSettings(Path()))
    from mmdream.training.dreamer import train_dreamer

    run_and_print("json" in given, lambda listener: train_dreamer(settings, "overwrite" in given, listener))


@train.command()
@takes(options(GeneratorSettings), pick(options(OutputOptions), "overwrite json"))
def generator(given: Given) -> None:
    """Train a generator of pictures or sounds of your classes: `mmdream image|audio --from generator:NAME`.

    The same command goes on where it was stopped.
    """
    _require(given, "data", "output")
    settings = given.settings(GeneratorSettings(Path(), ""))
    from mmdream.generators.train import train_generator

    run_and_print("json" in given, lambda listener: train_generator(settings, "overwrite" in given, listener))


def _require(given: Given, *names: str) -> None:
    for name in names:
        if name not in given:
            raise typer.BadParameter(f"Missing option '--{name}'.")


def _train(base: TrainingSettings, given: Given) -> None:
    _require(given, "data", "output")
    settings = given.settings(base)
    from mmdream.training.train import train_network

    run_and_print("json" in given, lambda listener: train_network(settings, "overwrite" in given, listener))
