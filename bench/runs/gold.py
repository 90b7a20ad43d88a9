"""What the data themselves say where records have their gold answers: `bench check --data-dir`."""

from __future__ import annotations

from pathlib import Path

from bench.records import typed
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.runs import replay
from bench.scoring.scores import Predictions


def gold(record: Record, data_dir: Path) -> Predictions | None:
    """The arrays that lie beside a record's predictions, of the data in the folder; None: they depend on the network.

    NoData: the folder has none of this task. RequestError: it has others, or the run cannot be resolved again.
    """
    read = typed.reads_files(checked_spec(record))  # a table lies where the record's command had it
    task = replay.spec_of(record, None if read else data_dir).task
    task.unseal()
    blank = task.goal.blank(len(task.inputs("test")))
    return None if blank is None else task.predict(blank, "test")
