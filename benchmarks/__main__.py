"""Run all benchmarks, or the named ones; print a table, write results/ and RESULTS.md."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("models", "images", "binning", "fitting", "mcmc", "npe", "ifs", "morphology", "survey")


def main(names: list[str]) -> int:
    """Run benchmarks; return 1 if a goal is missed."""
    # one thread, set before numpy loads: figures are per core
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    harness = import_module("benchmarks.harness")
    if unknown := [name for name in names if name not in NAMES]:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
        return 2
    missed = 0
    for name in names or NAMES:
        rows = import_module(f"benchmarks.{name}").measure()
        missed += sum(not row.met for row in rows)
        print(_table(rows))
        (HERE / "results").mkdir(exist_ok=True)
        text = json.dumps([harness.as_dict(row) for row in rows], indent=1)
        (HERE / "results" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    _write_report(harness.machine())
    return int(missed > 0)


def _table(rows: list[object]) -> str:
    """Return results as a Markdown table."""
    lines = [
        "| name | value | unit | baseline | ratio | goal | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = ("yes" if row.met else "NO") if row.goal else ""
        lines.append(
            f"| {row.name} | {row.value:.4g} | {row.unit} | {row.baseline:.4g} | {row.ratio:.3g}"
            f" | {row.goal} | {met} |"
        )
    return "\n".join([*lines, ""])


def _write_report(machine: str) -> None:
    """Write the newest table of every benchmark to RESULTS.md."""
    from benchmarks.harness import Row  # noqa: PLC0415  after the thread settings

    parts = ["# Benchmarks", "", f"`make bench` on {machine}.", ""]
    for name in NAMES:
        path = HERE / "results" / f"{name}.json"
        if path.exists():
            rows = [Row(**values) for values in json.loads(path.read_text(encoding="utf-8"))]
            about = (import_module(f"benchmarks.{name}").__doc__ or "").strip()
            parts += [f"## {name}", "", about, "", _table(rows)]
    (HERE / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
