"""Program: ``python -m finetune.crossdb --model A B --data LIST.yaml``: models on databases."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from finetune.crossing.audit import (
    Seen,
    known_groups,
    looks_of,
    seen_images,
    seen_in_training,
)
from finetune.crossing.databases import Database, read_databases
from finetune.crossing.tables import Crossed, comma_separated, markdown, page
from finetune.data.images import LabelledImages
from finetune.data.look_alikes import Looks
from finetune.data.opening import Collection, read_collection
from finetune.data.sound.sounds import Sounds
from finetune.leakage import check_scored
from finetune.load import ModelReport, load_model
from finetune.models.affect import AffectModel
from finetune.predicting.answers import predict
from finetune.predicting.table import fingerprint, make_table
from finetune.score import DRAWN
from finetune.scoring.joined import join
from finetune.scoring.scores import score
from finetune.table import PredictionTable, TableError, write_table
from pretrain.engine.config import operational, parse_config
from pretrain.engine.launching import LaunchError, RuntimeConfig
from pretrain.engine.runtime import Runtime
from pretrain.errors import UserError, exit_code
from pretrain.files import make_folder, write_text

PROGRAM = "python -m finetune.crossdb"


@dataclass(frozen=True, kw_only=True)
class CrossdbConfig:
    """Scores models on databases, in the label spaces of each; says what they have seen of them.

    Attributes:
        model: run folders of stage two, their model/ or released files.
        data: YAML file of databases: NAME: {kind: K, root: R, split: S, mapping: M} for each, with
            the options of finetune.score's data.
        out: folder for crossdb.md, crossdb.csv, crossdb.html and the prediction tables.
        resamples: of the bootstrap; 0 leaves the intervals out.
        level: how often an interval shall cover the truth, in (0, 1).
        seed: of the resamples.
        batch_size: images at once.
        workers: loader processes; null: as many as there are cores to spare.
        runtime: device, precision, threads.
    """

    model: tuple[str, ...] = ()
    data: str = ""
    out: str = "crossdb"
    resamples: int = 1000
    level: float = 0.95
    seed: int = 0
    batch_size: int = 64
    workers: int | None = operational(None)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        """Refuses nothing to do, and numbers that cannot be."""
        if not self.model:
            raise ValueError("model (), expected run folders or released files")
        if not self.data:
            raise ValueError("data '', expected a YAML list of databases")
        if not 0 < self.level < 1:
            raise ValueError(f"level {self.level}, expected in (0, 1)")
        for name, least in (("resamples", 0), ("seed", 0), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least {least}")
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers {self.workers}, expected 0 or more")


@dataclass(frozen=True)
class _Tested:
    """A database, opened."""

    name: str
    config: Database
    collection: Collection
    images: LabelledImages
    looks: Looks | None
    sounds: Sounds | None


def crossdb(config: CrossdbConfig) -> str:
    """Predicts, scores and writes what a config names.

    Returns:
        The table in Markdown.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    databases = [_open(name, found) for name, found in _databases(config).items()]
    models = {name: load_model(path) for name, path in _names(config.model).items()}
    out = make_folder(config.out)
    runtime = Runtime(config.runtime)
    try:
        if runtime.world_size > 1:
            raise LaunchError(f"launcher: {runtime.world_size} processes, expected one")
        results = [
            result
            for (name, (model, _, report)), path in zip(models.items(), config.model, strict=True)
            for result in _cross(name, path, model, report, databases, config, runtime, out)
        ]
    finally:
        runtime.close()
    order = [database.name for database in databases]
    results.sort(key=lambda result: order.index(result.database))
    heading = f"Scores with {100 * config.level:.6g}% intervals." if config.resamples else "Scores."
    table = markdown(results, heading)
    write_text(out / "crossdb.csv", comma_separated(results))
    write_text(out / "crossdb.html", page(results, heading, date.today()))
    write_text(out / "crossdb.md", table)
    return table


def _databases(config: CrossdbConfig) -> dict[str, Database]:
    return read_databases(Path(os.path.expanduser(config.data)))


def _open(name: str, config: Database) -> _Tested:
    collection = read_collection(config)
    images = collection.open_images()
    sounds = None if collection.open_sounds is None else collection.open_sounds()
    return _Tested(name, config, collection, images, looks_of(collection, images), sounds)


def _names(paths: Sequence[str]) -> dict[str, str]:
    """Models by the shortest end of their path that tells them apart."""
    parts = [Path(os.path.expanduser(path)).absolute().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return dict(zip(names, paths, strict=True))
    raise UserError(f"model {', '.join(paths)}: the same one twice, expected every one once")


def _cross(
    name: str,
    path: str,
    model: AffectModel,
    report: ModelReport,
    databases: Sequence[_Tested],
    config: CrossdbConfig,
    runtime: Runtime,
    out: Path,
) -> list[Crossed]:
    """A model on all databases."""
    seen = seen_in_training(path, any(database.looks for database in databases))
    model.to(runtime.device)
    results = []
    for database in databases:
        print(f"{name} on {database.name}: {len(database.images):,} images", flush=True)
        try:
            table = _table(model, report, database, config, runtime)
        except UserError as error:  # of one pair; the others are worth having
            results.append(Crossed(name, database.name, len(database.images), None, (str(error),)))
            continue
        folder = make_folder(str(out / "tables" / name))
        write_table(folder / f"{database.name}.parquet", table)
        results.append(_scored(name, database, table, config, seen))
    model.cpu()
    return results


def _table(
    model: AffectModel,
    report: ModelReport,
    database: _Tested,
    config: CrossdbConfig,
    runtime: Runtime,
) -> PredictionTable:
    answers = predict(
        model,
        database.images,
        runtime=runtime,
        batch_size=config.batch_size,
        workers=runtime.spare_workers() if config.workers is None else config.workers,
        sounds=database.sounds,
        show_progress=True,
    )
    return make_table(
        answers,
        database.collection.annotations,
        model.labels,
        notes=report.notes,
        fingerprint=fingerprint(model),
        drawn=database.collection.drawn,
    )


def _scored(
    name: str, database: _Tested, table: PredictionTable, config: CrossdbConfig, seen: Seen
) -> Crossed:
    known = database.collection.annotations
    groups = known_groups(table.about, database.collection, database.config.root, seen)
    notes = list(seen_images(seen, database.looks))
    if database.collection.drawn:
        notes.insert(0, DRAWN)
    notes += check_scored(
        replace(table.about, training_groups=groups),
        known.groups,
        kind=known.grouped_by,
        other_names=known.keys,
        force=True,
    )
    scores = None
    try:
        joined = join(table, known, database.config.mapping)
        scores = score(joined, level=config.level, resamples=config.resamples, seed=config.seed)
        notes += scores.notes
    except TableError as error:
        notes.append(str(error))
    return Crossed(name, database.name, len(known), scores, tuple(notes))


def _work() -> None:
    print(crossdb(parse_config(CrossdbConfig, None, PROGRAM, lists=("model",))), end="")


def main() -> int:
    """Scores and prints the table, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
