"""The commands about data sets: list them, tell about one, prepare one from its publisher's files, check one.

Work modules are imported inside the commands, so that ``--help`` never meets numpy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmdream.cli.options import Given, OutputOptions, pick, takes
from mmdream.cli.terminal import print_report, report_to_terminal
from mmdream.core.errors import UserError
from mmdream.core.errors import to_one_line as plain
from mmdream.settings.definition import options

if TYPE_CHECKING:
    from mmdream.datasets.card import DatasetCard

app = typer.Typer(
    help="Data sets to train on: list, show, prepare, check.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Of the set; `mmdream data list` names them.", show_default=False),
]


@app.command("list")
@takes(pick(options(OutputOptions), "json"))
def list_datasets(given: Given) -> None:
    """List the data sets that have cards."""
    import json

    from mmdream.datasets.card import dataset_names, read_dataset_card

    cards = [read_dataset_card(name) for name in dataset_names()]
    if "json" in given:
        typer.echo(json.dumps([_card_to_dict(about) for about in cards]))
        return
    for about in cards:
        typer.echo(f"{about.name:20} {about.medium:8} {about.about}")
        typer.echo(f"{'':29} licence: {about.licence}")


@app.command("show")
@takes(pick(options(OutputOptions), "overwrite json"))
def show_dataset(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A set that has a card, or a folder of classes.", show_default=False
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE",
            help="Draw counts, a histogram of lengths or sizes, and samples of each class.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the set is prepared; else ./NAME.", show_default=False),
    ] = None,
    *,
    given: Given,
) -> None:
    """Tell all about one: classes, counts, licence, source, citation; or draw what is in it."""
    import json

    from mmdream.datasets.card import dataset_names, read_dataset_card
    from mmdream.datasets.folder import read_dataset

    about = read_dataset_card(name) if name in dataset_names() or not Path(name).is_dir() else None
    folder = data or Path(name)
    if plot is not None:
        from mmdream.datasets.plot import write_dataset_plot

        if about is not None and not folder.is_dir():
            raise UserError(
                f"{folder}: no such folder; `mmdream data prepare {name}` makes it, or --data names another"
            )
        out = write_dataset_plot(read_dataset(folder), plot, "overwrite" in given)
        typer.echo(json.dumps({"plot": str(out)}) if "json" in given else f"{out}")
        return
    if about is None:
        counts = read_dataset(folder).counts()
        if "json" in given:
            typer.echo(json.dumps({"name": folder.resolve().name, "classes": counts}))
        for line in [] if "json" in given else [f"{count:7} {label}" for label, count in counts.items()]:
            typer.echo(plain(line))
        return
    if "json" in given:
        typer.echo(json.dumps(_card_to_dict(about)))
    for line in [] if "json" in given else _format_card(about):
        typer.echo(line)


@app.command("prepare")
@takes(pick(options(OutputOptions), "json"))
def prepare_dataset(
    name: NameArgument,
    sources: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="An archive, or a folder as the publisher lays it out; may stand more than once.",
            show_default=False,
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch it from the publisher; size and licence are told first.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where the set goes; else ./NAME.", show_default=False
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="VARIANT",
            help="Another choice of its files; `mmdream data show NAME` tells them.",
            show_default=False,
        ),
    ] = None,
    *,
    given: Given,
) -> None:
    """Sort a set into FOLDER/input/CLASS/*, with a table of each file's licence and source."""
    from mmdream.datasets.prepare import prepare_dataset as prepared

    with report_to_terminal("json" in given) as listener:
        report = prepared(name, sources or [], output, variant, download, listener)
    print_report(report, "json" in given)


@app.command("check")
@takes(pick(options(OutputOptions), "json"))
def check_dataset(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="A prepared set, or a folder of classes.", show_default=False),
    ],
    *,
    given: Given,
) -> None:
    """Look at every file of a set: missing, damaged, twice there; empty classes; counts."""
    from mmdream.datasets.check import check_dataset as checked

    with report_to_terminal("json" in given) as listener:
        findings = checked(folder, listener)
    print_report(findings, "json" in given)
    if findings.problems:
        raise UserError(f"{folder}: {findings.problems}; prepare the set again, or delete what is damaged")


def _card_to_dict(about: DatasetCard) -> dict[str, object]:
    """A card as plain values; what is not verified is null."""
    from dataclasses import asdict

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
        more = [f"{each.files} files" if each.files else "", each.words, each.label]
        only = f"variant {each.only}" if each.only else ""
        rest = "; ".join(word for word in (*more, only) if word)
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
