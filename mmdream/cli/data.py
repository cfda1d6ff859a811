"""The commands about data sets: list them, tell about one, prepare one from its files, check one."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmdream.cli.options import Given, OutputOptions, argument, pick, takes
from mmdream.cli.terminal import print_lines, run_and_print
from mmdream.core.errors import UserError
from mmdream.settings.definition import options

if TYPE_CHECKING:
    from mmdream.datasets.card import DatasetCard

data = typer.Typer(
    help="Data sets to train on: list, show, prepare, check.", no_args_is_help=True, add_completion=False
)


def _option(metavar: str, help: str, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, show_default=False)


@data.command("list")
@takes(pick(options(OutputOptions), "json"))
def list_datasets(given: Given) -> None:
    """List the data sets that have cards."""
    from mmdream.datasets.card import dataset_names, read_dataset_card

    cards = [read_dataset_card(name) for name in dataset_names()]
    lines = (
        line
        for about in cards
        for line in (f"{about.name:20} {about.medium:8} {about.about}", f"{'':29} licence: {about.licence}")
    )
    print_lines(lines, [_card_to_dict(about) for about in cards] if "json" in given else None)


@data.command("show")
@takes(pick(options(OutputOptions), "overwrite json"))
def show_dataset(
    name: Annotated[str, argument("NAME", "A set that has a card, or a folder of classes.")],
    plot: Annotated[
        Path | None,
        _option("PICTURE", "Draw counts, a histogram of lengths or sizes, and samples of each class."),
    ] = None,
    data: Annotated[Path | None, _option("FOLDER", "Where the set is prepared; else ./NAME.")] = None,
    *,
    given: Given,
) -> None:
    """Tell all about one: classes, counts, licence, source, citation; or draw what is in it."""
    from mmdream.datasets.card import dataset_names, read_dataset_card
    from mmdream.datasets.folder import read_dataset

    about = read_dataset_card(name) if name in dataset_names() or not Path(name).is_dir() else None
    folder = data or Path(name)
    plain_values: dict[str, Any]
    if plot is not None:
        from mmdream.datasets.plot import write_dataset_plot

        if about is not None and not folder.is_dir():
            raise UserError(
                f"{folder}: no such folder; `mmdream data prepare {name}` makes it, or --data names another"
            )
        out = write_dataset_plot(read_dataset(folder), plot, "overwrite" in given)
        lines, plain_values = [f"{out}"], {"plot": f"{out}"}
    elif about is None:
        counts = read_dataset(folder).counts()
        lines = [f"{count:7} {label}" for label, count in counts.items()]
        plain_values = {"name": folder.resolve().name, "classes": counts}
    else:
        lines, plain_values = _format_card(about), _card_to_dict(about)
    print_lines(lines, plain_values if "json" in given else None)


@data.command("prepare")
@takes(pick(options(OutputOptions), "json"))
def prepare_dataset(
    name: Annotated[str, argument("NAME", "Of the set; `mmdream data list` names them.")],
    sources: Annotated[
        list[Path] | None,
        _option(
            "PATH",
            "An archive, or a folder as the publisher lays it out; may stand more than once.",
            "--from",
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch it from the publisher; size and licence are told first.")
    ] = False,
    output: Annotated[
        Path | None, _option("FOLDER", "Where the set goes; else ./NAME.", "--output", "-o")
    ] = None,
    variant: Annotated[
        str | None, _option("VARIANT", "Another choice of its files; `mmdream data show NAME` tells them.")
    ] = None,
    *,
    given: Given,
) -> None:
    """Sort a set into FOLDER/input/CLASS/*, with a table of each file's licence and source."""
    from mmdream.datasets.prepare import prepare_dataset as prepare

    run_and_print("json" in given, partial(prepare, name, sources or [], output, variant, download))


@data.command("check")
@takes(pick(options(OutputOptions), "json"))
def check_dataset(
    folder: Annotated[Path, argument("FOLDER", "A prepared set, or a folder of classes.")], given: Given
) -> None:
    """Look at every file of a set: missing, damaged, twice there; empty classes; counts."""
    from mmdream.datasets.check import check_dataset as check

    findings = run_and_print("json" in given, lambda listener: check(folder, listener))
    if findings.problems:
        raise UserError(f"{folder}: {findings.problems}; prepare the set again, or delete what is damaged")


def _card_to_dict(about: DatasetCard) -> dict[str, Any]:
    """A card as plain values; what is not verified is null."""
    told = asdict(about)
    for row in (told, *told["classes"], *told["archives"], *told["variants"]):
        row |= {
            key: row[key] or None for key in ("files", "bytes", "checksum", "seconds", "side") if key in row
        }
    return told


def _format_card(about: DatasetCard) -> list[str]:
    """A card for people, a fact a line."""
    from mmdream.datasets.card import NOT_VERIFIED

    count = f"{about.files:,}" if about.files else NOT_VERIFIED
    lines = [f"{about.name} ({about.medium}): {about.about}", f"files: {count}", "classes:"]
    for each in about.classes:
        files, only = each.files and f"{each.files} files", each.only and f"variant {each.only}"
        rest = "; ".join(str(word) for word in (files, each.words, each.label, only) if word)
        lines.append(f"  {each.name}{f' ({rest})' if rest else ''}")
    lines += [f"variant {each.name}: {each.about}" for each in about.variants]
    lines += [
        f"kept apart in training: {SPLIT_WORDS[about.split]}",
        f"licence: {about.licence}",
        f"  as stated in: {about.licence_source}",
        f"publisher: {about.publisher}",
        f"laid out as: {about.laid_out}",
        f"citation: {about.citation}",
    ]
    for archive in about.archives:
        checksum = archive.checksum or f"checksum {NOT_VERIFIED}"
        lines.append(f"download: {archive.address} ({archive.size}; {checksum})")
    if not about.archives:
        lines.append("download: none; get it from the publisher and give it with --from")
    lines.append(f"read in: {about.facts_source}")
    return lines + [f"{NOT_VERIFIED}: {each}" for each in about.not_verified]


SPLIT_WORDS = {
    "fold": "the publisher's folds",
    "speaker": "speakers",
    "source": "recordings, or where they come from",
    "publisher": "the publisher's own parts",
    "file": "single files",
}
"""What a card's split means."""
