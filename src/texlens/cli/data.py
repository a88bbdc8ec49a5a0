"""`texlens data`: prepare, render, audit, preview and label data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click
from click.core import ParameterSource

from texlens.addresses import place
from texlens.cli.data_label import label
from texlens.cli.options import PATH, POSITIVE, force_option, json_option, out_option, print_result
from texlens.cli.worker_options import WorkerOptions, worker_options
from texlens.data.items import FORMATS, Format
from texlens.records import Kind

if TYPE_CHECKING:
    from texlens.data.pictures.ink import Ink

_MODULES = ("pyarrow", "cv2")


@click.group()
def data() -> None:
    """Prepare, render, audit, preview and label data sets."""
    from texlens.errors import require_extra

    require_extra("Preparing data", "data", *_MODULES)


data.add_command(label)


@data.command()
@click.argument("corpus")
@click.option(
    "--from", "copies", multiple=True, metavar="PATH|NAME=PATH",
    help="A local copy of the corpus; for a report's data, with the name of the corpus.",
)  # fmt: skip
@click.option(
    "--revision", "revisions", multiple=True, metavar="REVISION|NAME=REVISION",
    help="Of the hub's repository: a branch, a tag or a commit; for a report's data as --from.",
)  # fmt: skip
@out_option
@click.option("--captions", type=PATH, help="A file of captions, where the corpus has none.")
@click.option(
    "--subset",
    help="Which part: of unimer train, spe, cpe, sce, hwe; of mathwriting human, synthetic, symbols; "
    "of linxy-latex-ocr a folder.",
)
@click.option(
    "--kind", type=click.Choice(get_args(Kind)), default="printed",
    help="Kind of the pictures, for folder and synthetic.",
)  # fmt: skip
@click.option("--count", type=POSITIVE, help="How many synthetic pictures.")
@click.option(
    "--sizes", help="TRAIN/VALIDATION/TEST, for instance 2000/100/100: a sample, chosen first."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=42)
@click.option("--vary-ink", is_flag=True, help="Render every ink with a random pen and slant.")
@click.option("--max-tokens", type=POSITIVE, default=512, help="A longer formula is left out.")
@click.option(
    "--verify", type=click.Choice(["changed", "all", "none"]), default="changed",
    help="Which normal forms are compared with their original as pictures.",
)  # fmt: skip
@click.option("--tex", is_flag=True, help="Also leave out what TeX does not compile.")
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Write these forms too."
)
@click.option(
    "--prompt", type=click.Choice(["plain", "think_answer"]), default="plain",
    help="The prompt of --format: of the qwen-ocr report, or one with <think> as in the GRPO report.",
)  # fmt: skip
@force_option
@json_option("the content of dataset.json")
@worker_options
def prepare(
    corpus: str,
    copies: tuple[str, ...],
    revisions: tuple[str, ...],
    out: Path,
    sizes: str | None,
    seed: int,
    max_tokens: int,
    verify: Literal["changed", "all", "none"],
    tex: bool,
    work: WorkerOptions,
    force: bool,
    as_json: bool,
    formats: tuple[Format, ...],
    prompt: str,
    **options: Any,
) -> None:
    """Bring a corpus to clean, normalised, split Parquet.

    CORPUS is latex-formulas, crohme, linxy-latex-ocr, hme100k, hmer, mathwriting, unimer,
    unsloth-latex-ocr, im2latex, folder, synthetic or unseen-fonts. Exit status 1 if an item is
    missing because a check failed on it, or died: the others are written.

    \b
    Or all data of a report, into the folders that its recipes name (--out data):
      qwen-ocr   printed, handwritten, pix2tex, screen; needs --from hme100k=FOLDER
      latex-ocr  latex-ocr, for the GRPO report
    """
    from texlens.data.clean import Limits
    from texlens.data.corpora import open_corpus
    from texlens.data.prepare import Preparation, check_faults
    from texlens.data.prepare import prepare as run
    from texlens.data.reports import REPORTS, copies_of, prepare_report, revisions_of

    limits = Limits(max_tokens=max_tokens, verify=verify, tex=tex)
    if corpus in REPORTS:
        context = click.get_current_context()
        for option in ("sizes", "seed", *options):
            if context.get_parameter_source(option) is not ParameterSource.DEFAULT:
                raise click.UsageError(f"--{option.replace('_', '-')} is not for a report's data.")
        with work.connected(*_MODULES, quiet=as_json):
            documents = prepare_report(
                corpus, copies_of(corpus, copies), out, limits,
                revisions=revisions_of(corpus, revisions), formats=formats, prompt=prompt,
                workers=work.open(quiet=as_json), force=force, quiet=as_json,
            )  # fmt: skip
        tables = [f"{out / name}\n{_table(document)}" for name, document in documents.items()]
        notes = ["Where this differs from the report:", *REPORTS[corpus].departures]
        print_result(documents, "\n\n".join([*tables, "\n- ".join(notes)]), as_json=as_json)
        check_faults(*documents.values())
        return
    if len(revisions) > 1:
        raise click.UsageError("--revision can be given once, but for a report's data.")
    revision = revisions[0] if revisions else None
    opened = open_corpus(corpus, tuple(map(place, copies)), seed=seed, revision=revision, **options)
    wanted = _parse_sizes(sizes) if sizes else opened.sizes
    preparation = Preparation(opened, wanted, seed, limits, formats, prompt)
    with work.connected(*_MODULES, quiet=as_json):
        workers = work.open(quiet=as_json)
        document = run(preparation, out, workers=workers, force=force, quiet=as_json)
    print_result(document, _table(document), as_json=as_json)
    check_faults(document)


@data.command()
@click.argument("formulas", required=False, type=PATH)
@out_option
@click.option("--pictures", type=POSITIVE, help="At least so many, sampled from the sources.")
@click.option(
    "--source", "sources", multiple=True, metavar="KIND:WEIGHT[:FILE]",
    help="Sample formulas of this source; more sources are mixed by their weights.",
)  # fmt: skip
@click.option(
    "--renderers", metavar="NAME[:WEIGHT],...",
    help="Renderers, mixed by their weights. Default: pdftex where TeX is installed, else mathjax.",
)  # fmt: skip
@click.option(
    "--ink", type=PATH,
    help="By hand: a folder with CROHME's InkML files. With formulas they are composed of its "
    "symbols, without any its inks are mixed.",
)  # fmt: skip
@click.option(
    "--by-hand", is_flag=True, help="By hand, without --ink in the package's own strokes."
)
@click.option(
    "--hands", type=PATH,
    help="By hand, without --ink: a file of open hands, such as data/hand_glyphs/hands.txt.",
)  # fmt: skip
@click.option("--captions", type=PATH, help="The captions of the ink, as for `data prepare`.")
@click.option("--only", type=PATH, help="Use only the ink whose ids this Parquet file has.")
@click.option("--per-shard", type=POSITIVE, default=2000)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0)
@click.option(
    "--max-tokens", type=POSITIVE, default=220, help="A longer sampled formula is left out."
)
@click.option(
    "--curriculum-shards", type=click.IntRange(min=0), default=0,
    help="Shards over which the longest formula grows from --first-tokens to --max-tokens.",
)  # fmt: skip
@click.option("--first-tokens", type=POSITIVE, default=16)
@click.option("--force", is_flag=True, help="Remove the shards that --out holds.")
@json_option("the counts as one JSON document")
@worker_options
def render(
    formulas: Path | None,
    out: Path,
    pictures: int | None,
    sources: tuple[str, ...],
    renderers: str | None,
    ink: Path | None,
    by_hand: bool,
    hands: Path | None,
    captions: Path | None,
    only: Path | None,
    per_shard: int,
    seed: int,
    max_tokens: int,
    curriculum_shards: int,
    first_tokens: int,
    work: WorkerOptions,
    force: bool,
    as_json: bool,
) -> None:
    """Render pictures of formulas into shards, from which `texlens train` reads.

    FORMULAS is a list with one formula a line; each is rendered once. With --source, formulas are
    sampled instead. The folder can be in use: shards appear one by one. The same command resumes,
    and more --pictures add shards. dropped.jsonl has what could not be rendered and why, preview.png
    some of the pictures.

    \b
    Renderers:
      mathjax                MathJax in V8 (everywhere)
      pdftex                 pdfTeX, in two dozen fonts (needs TeX Live)
      katex, mathjax-chtml, mathjax-svg, mathml
                             Chromium (needs it, playwright, and texlens-fonts)

    \b
    Sources of printed formulas:
      list:WEIGHT:FILE       the formulas of a file, one a line
      varied:WEIGHT:FILE     the formulas of a file, symbols renamed (letters, digits, operators)
      recombine:WEIGHT:FILE  new formulas made of the parts of a file's formulas
      grammar:WEIGHT         formulas of a grammar
      NAME:WEIGHT            formulas of one kind: words, named, units, degrees, boxed, money,
                             cases, matrix, aligned, nested, roots, long, single, number, plain,
                             school, chemistry, rare
    """
    from texlens.data.pictures.shards import ShardSource, write_shards

    if (formulas is not None and sources) or not (formulas or sources or ink):
        raise click.UsageError("Give a list of formulas, or --source; or --ink alone.")
    if ink is not None and hands is not None:
        raise click.UsageError("Give --ink or --hands, not both.")
    if renderers and (ink or by_hand or hands):
        raise click.UsageError("--renderers are for print: leave them out by hand.")
    if (pictures is None) != (formulas is not None):
        raise click.UsageError("--pictures belongs to --source and --ink, and they need it.")
    if (captions or only) and ink is None:
        raise click.UsageError("--captions and --only need --ink.")
    source: ShardSource
    shards = -(-(pictures or 0) // per_shard)
    inks = _inks(ink, captions, only)
    if ink is not None and not (formulas or sources):
        from texlens.data.pictures.mixed_ink import InkShards

        source = InkShards(inks, per_shard, seed)
    else:
        from texlens.data.formulas.sources import FormulaSource
        from texlens.data.pictures.printed import ListedShards, PrintedShards

        weights = _renderers(renderers)
        printed: ListedShards | PrintedShards
        if formulas is not None:
            printed = ListedShards(formulas, per_shard, seed, weights)
            shards = printed.count()
        else:
            parsed = tuple(map(FormulaSource.parse, sources))
            printed = PrintedShards(
                parsed, per_shard, seed, curriculum_shards, first_tokens, max_tokens, weights
            )
        source = printed
        if ink is not None or by_hand or hands is not None:
            from texlens.data.pictures.hands.open_hands import read_hands
            from texlens.data.pictures.hands.shards import ComposedShards

            source = ComposedShards(printed, inks, read_hands(hands) if hands else ())
    with work.connected(*_MODULES, quiet=as_json):
        workers = work.open(quiet=as_json)
        written = write_shards(source, out, shards, workers=workers, force=force, quiet=as_json)
        reports = list(written)
    _write_preview(out)
    counts = {
        "shards": shards,
        "shards_written": len(reports),
        "pictures_written": sum(report.pictures for report in reports),
        "formulas_left_out": sum(report.left_out for report in reports),
    }
    lines = (f"{name.replace('_', ' '):<18}{n:>9}" for name, n in counts.items())
    print_result(counts, "\n".join(lines), as_json=as_json)


def _inks(folder: Path | None, captions: Path | None, only: Path | None) -> list[Ink]:
    """The inks of a folder; how many cannot be used is written to stderr."""
    from texlens.data.corpora.crohme import Crohme
    from texlens.data.items import Drop
    from texlens.data.parquet import read_examples

    if folder is None:
        return []
    ids = {example.id for example in read_examples(only)} if only else None
    broken: list[Drop] = []
    inks = Crohme(folder, captions=captions).inks(ids, broken)
    if broken:
        first = f"'{broken[0].id}' {broken[0].reason}"
        click.echo(f"{len(broken)} inks are left out; the first: {first}.", err=True)
    return inks


def _renderers(text: str | None) -> tuple[tuple[str, float], ...] | None:
    """The renderers that can be used here; the others are named on stderr."""
    from texlens.data.pictures.renderers import parse_renderers, present

    if text is None:
        return None
    here, missing = present(parse_renderers(text))
    for name, reason in missing.items():
        click.echo(f"Without {name}: {reason}.", err=True)
    return tuple(here.items())


_PREVIEWED = 80


def _write_preview(out: Path) -> None:
    """Write a contact sheet of pictures from all shards of a folder."""
    from itertools import islice

    from texlens.data.pictures.shards import read_shard
    from texlens.data.preview import contact_sheet
    from texlens.images import encode_png
    from texlens.runs import write_bytes

    paths = sorted(out.glob("shard-*.npz"))
    chosen = paths[:: max(1, len(paths) // 8)][:8]
    examples = [
        example for path in chosen for example in islice(read_shard(path).examples(), 0, None, 1)
    ]
    step = max(1, len(examples) // _PREVIEWED)
    write_bytes(out / "preview.png", encode_png(contact_sheet(examples[::step][:_PREVIEWED])))


@data.command()
@click.argument("sets", nargs=-1, required=True, type=PATH)
@out_option
@click.option("--fail-on-leak", is_flag=True, help="Exit 1 when a set shares items with another.")
@force_option
@json_option("the content of audit.json")
def audit(
    sets: tuple[Path, ...], out: Path, fail_on_leak: bool, force: bool, as_json: bool
) -> None:
    """Count, measure and compare data sets: Parquet files, or folders of prepared splits."""
    from texlens.data.audit import audit as run
    from texlens.errors import TexlensError

    document = run(sets, out, force=force)
    lines = [
        f"{one['name']}: {one['count']} items, {one['distinct_formulas']} formulas, "
        f"{one['repeated_pictures']} repeated pictures, "
        f"median {one['tokens'].get('p50', 0):.0f} tokens"
        for one in document["sets"]
    ]
    lines += [
        f"{leak['of']}: of {leak['items']} items {leak['by_formula']} by formula and "
        f"{leak['by_picture']} by picture are also in {leak['also_in']}"
        for leak in document["leaks"]
    ]
    print_result(document, "\n".join([*lines, f"Written: {out / 'index.html'}"]), as_json=as_json)
    if fail_on_leak and any(leak["by_formula"] or leak["by_picture"] for leak in document["leaks"]):
        raise TexlensError("A set shares items with another: see the leaks in audit.json.")


@data.command()
@click.argument("file", type=PATH)
@click.option("--out", required=True, type=PATH, help="The PNG to write.")
@click.option("--limit", type=POSITIVE, default=40, help="How many pictures.")
@click.option("--force", is_flag=True, help="Replace the PNG.")
def preview(file: Path, out: Path, limit: int, force: bool) -> None:
    """Write a contact sheet of the first pictures of a Parquet file."""
    from texlens.data.parquet import read_examples
    from texlens.data.preview import contact_sheet
    from texlens.images import encode_png
    from texlens.runs import check_out_file, write_bytes

    check_out_file(out, force=force)
    write_bytes(out, encode_png(contact_sheet(read_examples(file, limit))))
    click.echo(f"Written: {out}")


def _parse_sizes(text: str) -> tuple[int, int, int]:
    parts = text.split("/")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise click.BadParameter(
            f"'{text}' is not TRAIN/VALIDATION/TEST, such as 2000/100/100.", param_hint="--sizes"
        )
    return int(parts[0]), int(parts[1]), int(parts[2])


def _table(document: dict[str, Any]) -> str:
    lines = []
    for split, count in document["counts"].items():
        asked = (document["sizes"] or {}).get(split, count)
        lines.append(
            f"{split:<12}{count:>9}" + (f"  of {asked} asked for" if asked > count else "")
        )
    for step, reasons in document["dropped"].items():
        lines += [f"{'dropped':<12}{count:>9}  {step}: {why}" for why, count in reasons.items()]
    if document["not_sampled"]:
        lines.append(f"{'not sampled':<12}{document['not_sampled']:>9}")
    lines.append(f"{'verified':<12}{document['verified_by_picture']:>9}  by their glyph boxes")
    if document["not_comparable"]:
        why = "kept, but their original text cannot be rendered"
        lines.append(f"{'':<12}{document['not_comparable']:>9}  {why}")
    lines += [f"from {hub['repository']} at commit {hub['commit']}" for hub in document["hub"]]
    return "\n".join(lines)
