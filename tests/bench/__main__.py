"""Print the figures: ``python -m tests.bench [--json] [NAME…]`` (see ``tests/bench/run``)."""

import argparse
import json
import statistics
import sys

from tests.bench.figures import GROUPS


def main() -> int:
    """Measure what was asked for. 1: something could not be measured, its keys are missing; 2: a
    name is unknown."""
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("names", nargs="*", metavar="NAME", help="keys; all of them if none")
    given = parser.parse_args()
    known = [key for keys in GROUPS.values() for key in keys]
    if wrong := set(given.names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(wrong))}; there are {', '.join(known)}")
    wanted = given.names or known
    out = sys.stderr if given.json else sys.stdout
    figures: dict[str, float] = {}
    failed = 0
    for measure, keys in GROUPS.items():
        if not set(keys) & set(wanted):
            continue
        try:
            samples = measure()
        except AssertionError as error:
            print(f"{', '.join(keys)}: {error}", file=sys.stderr, flush=True)
            failed = 1
            continue
        for key, values in samples.items():
            middle = statistics.median(values)
            shown = " ".join(f"{value:.4g}" for value in sorted(values))
            print(f"{key:42} {middle:>12.4g}   ({shown})", file=out, flush=True)
            if key in wanted:
                figures[key] = round(middle, 6)
    if given.json:
        print(json.dumps(figures), flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
