"""Models on the public sets: `dev`, HumanEval-Infilling, SantaCoder; what it takes and what it costs.

    python benchmarks/scores.py DATA FOLDER [--model FILE.gguf] [--quantize int8] [--concurrent 16] [--sets dev single]
    python benchmarks/scores.py --sum FOLDER   # benchmarks/results/scores.json of all records there

DATA is the folder with the sets as published. FOLDER gets a record with every completion for each set and model,
as soon as that set is done; the model is loaded once. A record of `unmask eval` in FOLDER counts as well. On a GPU
several cases share the passes; `dev`, whose times are shown, is filled one after the other all the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from records import RESULTS

from coder_model.evaluation.cases import read_cases
from coder_model.evaluation.run import contest, run, summary, write

SETS: dict[str, tuple[str, int | None]] = {
    "dev": ("dev_infill.jsonl.gz", None),
    "single": ("HumanEval-SingleLineInfilling.jsonl.gz", None),
    "multi": ("HumanEval-MultiLineInfilling.jsonl.gz", 500),
    "span": ("HumanEval-RandomSpanInfilling.jsonl.gz", 500),
    "santa": ("santacoder_fim.jsonl.gz", None),
}
"""The file of each set, and of how many of its cases."""
BY = ["copyable", "mode", "lang"]
ABOUT = ("date", "commit", "torch", "concurrent", "peak_mb", "gpu_peak_mb")
"""What is kept of a record beside its figures."""


def measure(arguments: argparse.Namespace) -> None:
    """Runs a model on the sets; writes a record for each."""
    chosen = contest(arguments.model, arguments.quantize, {}, only_model=True)
    (decide,) = chosen.deciders.values()
    for name in arguments.sets:
        file, most = SETS[name]
        concurrent = 1 if name == "dev" else min(arguments.concurrent, chosen.max_concurrent)
        cases = read_cases(arguments.data / file, arguments.limit or most)
        outcomes = run(cases, decide, concurrent=concurrent)
        model = Path(arguments.model).stem or chosen.model
        record = chosen.facts(arguments.data / file, concurrent)
        write(arguments.folder / f"{model}-{name}.json", {"model": outcomes}, BY, record)
        print(name, {key: round(figure, 1) for key, figure in summary(outcomes).items()}, flush=True)


def summed(folder: Path) -> list[dict[str, Any]]:
    """Returns a row for each model and place in the records of a folder, smallest first, with the figures of each set.

    Raises:
        ValueError: when two records are of the same model, place and set.
    """
    names = {file: name for name, (file, _) in SETS.items()}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for file in sorted(folder.glob("*.json")):
        record = json.loads(file.read_text("utf-8"))
        place = record["processor"] if record["device"] == "cpu" else record["device"]
        about = {"model": record["model"], "place": place, "parameters": record["parameters"], "sets": {}}
        sets = rows.setdefault((record["model"], place), about)["sets"]
        if (name := names[record["data"]]) in sets:
            raise ValueError(f"{folder} must hold one record of {record['model']} on {place} for {name}, found two")
        sets[name] = {key: record.get(key) for key in ABOUT} | record["figures"]["model"]
    return sorted(rows.values(), key=lambda row: (row["parameters"], row["place"]))


def main() -> None:
    """Measures a model, or sums up what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--model", default="", help="as for `unmask eval`")
    parser.add_argument("--quantize", default="auto", help="as for `unmask eval`")
    parser.add_argument("--concurrent", type=int, default=1, help="cases filled at a time, but for dev")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--limit", type=int, help="cases of each set")
    parser.add_argument("--sum", type=Path, metavar="FOLDER", help="measure nothing")
    arguments = parser.parse_args()
    if not arguments.sum:
        if not arguments.folder:
            parser.error("DATA and FOLDER must be given, or --sum FOLDER")
        measure(arguments)
        return
    out = RESULTS / "scores.json"
    out.write_text(json.dumps({"rows": summed(arguments.sum)}, indent=1) + "\n", "utf-8")
    print(f"written to {out}")


if __name__ == "__main__":
    main()
