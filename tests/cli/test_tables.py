"""`bench list` in 80 columns: which tasks a method fits, told by families."""

from __future__ import annotations

from bench.cli.tables import _families, _listed, _times, catalogue
from bench.plugins.catalogue import catalogue as everything

GLUE = [f"glue/{name}" for name in ("cola", "mnli", "mrpc", "rte", "stsb")]
ALL = ["sts", "text/trec", "text/subj", *GLUE]


def test_tasks_are_told_by_families() -> None:
    families = _families({"methods": [{"fits": ALL[:4], "misfits": dict.fromkeys(ALL[4:], "no")}]})
    assert set(families) == {"sts", "text", "glue"}
    for value, words in (
        (ALL, "all"), (ALL[1:], "all but sts"), (["sts"], "sts"), (["sts", *GLUE[:4]], "sts, glue 4/5"),
        (["text/trec", *GLUE], "text/trec, glue"), (GLUE[:2], "glue/cola, glue/mnli"),
        (["hidden", "logits"], "hidden, logits"), ("kd", "kd"), ([], ""),
    ):  # fmt: skip
        assert _listed(value, families) == words, value


def test_no_cell_is_long() -> None:
    """Of a method that fits most families the others are named; a reason is told once, with all of its methods."""
    parts = [part for row in everything()["methods"] for part in catalogue({"methods": [row]})]
    families = _families(everything())
    assert all(len(_listed(row["fits"], families)) <= 100 for row in everything()["methods"])
    reasons = [part.split("\n")[0] for part in parts if isinstance(part, str)]
    assert len(reasons) > len(everything()["methods"]) / 2


def test_what_is_below_one_is_told_the_other_way_round() -> None:
    assert [_times("smaller", "larger", ratio) for ratio in (1.314, 0.5)] == ["1.31 times smaller", "2.00 times larger"]
