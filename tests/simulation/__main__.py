"""Simulation on demand: one run again, with its history, or as many as fit into a time.

python -m tests.simulation --seed 17
python -m tests.simulation --strike 7 LATE --strike 12 CRASH_AFTER --lands 180
python -m tests.simulation --for 10m
python -m tests.simulation --all-pairs
"""

# ruff: noqa: T201  # what it prints is what it is for

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

from rotator.durations import parse
from tests.simulation.engine import Sim
from tests.simulation.outcomes import Outcome
from tests.simulation.runs import Strike, landings, pairs, singles, struck
from tests.simulation.seeds import run

Found = tuple[str, str, int, list[str]]  # what it was, the arguments that replay it, lines, broken rules
_EVERY = 10.0  # seconds between two lines of progress


def main() -> int:
    """0 where every rule held."""
    asked = _asked()
    if asked.all_pairs:
        return _every_pair(asked.jobs)
    if asked.span is not None:
        return _soak(parse(asked.span), asked.first, asked.jobs)
    if asked.seed is not None:
        return _shown(*run(asked.seed))
    strikes = {int(nth): Outcome[name] for nth, name in asked.strike}
    return _shown(*struck(strikes, timedelta(seconds=asked.lands), contain=asked.contain))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int, help="show the run of this seed")
    parser.add_argument("--strike", nargs=2, action="append", default=[], metavar=("NTH", "FAULT"))
    parser.add_argument("--lands", type=float, default=180, help="seconds until what is late lands")
    parser.add_argument("--contain", action="store_true", help="the old key dies before a new one is issued")
    parser.add_argument("--for", dest="span", help="run seeds and pairs of faults for so long: 10m")
    parser.add_argument("--all-pairs", action="store_true", help="run every pair of faults, once")
    parser.add_argument("--first", type=int, default=None, help="of the seeds; drawn where not given")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


def _shown(sim: Sim, broken: list[str]) -> int:
    print(sim.history.told())
    print("\n".join(broken) or "every rule held")
    return bool(broken)


# --- for as long as told -----------------------------------------------------------------------------------


def _soak(span: timedelta, first: int | None, jobs: int) -> int:
    """Seeds and pairs on all cores; prints what was run, and each run that broke a rule."""
    first = Random().randrange(1, 10**9) if first is None else first
    print(f"seeds from {first}, and pairs of faults, for {span} on {jobs} cores", flush=True)
    ends = time.time() + span.total_seconds()
    return _on_cores(_work, jobs, ends, first)


def _every_pair(jobs: int) -> int:
    """Each pair of faults once, on all cores, with one landing of what is late."""
    print(f"every pair of faults on {jobs} cores", flush=True)
    return _on_cores(_share_of_pairs, jobs)


def _on_cores(work: Any, jobs: int, *more: Any) -> int:
    """Have each core do its share, and tell what comes of it; 0 where every rule held."""
    results: multiprocessing.Queue[Found | None] = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=work, args=(results, each, jobs, *more)) for each in range(jobs)
    ]
    for worker in workers:
        worker.start()
    failed = _watched(results, jobs)
    for worker in workers:
        worker.join()
    return bool(failed)


def _watched(results: Any, working: int) -> int:
    """Count what comes in until every worker has ended; how many runs broke a rule."""
    began, told, counts, lines, failed = time.time(), time.time(), {"seed": 0, "pair": 0}, 0, 0
    while working:
        found: Found | None = results.get()
        if found is None:
            working -= 1
            continue
        kind, replay, length, broken = found
        counts[kind] += 1
        lines += length
        if broken:
            failed += 1
            print(f"BROKEN {broken[0]}\n    python -m tests.simulation {replay}", flush=True)
        if time.time() - told > _EVERY:
            told = time.time()
            _figures(told - began, counts, lines, failed)
    _figures(time.time() - began, counts, lines, failed)
    return failed


def _figures(after: float, counts: dict[str, int], lines: int, failed: int) -> None:
    what = f"{counts['seed']} seeds, {counts['pair']} pairs, {lines} lines of history"
    print(f"{after:6.0f} s: {what}, {failed} broke a rule", flush=True)


def _share_of_pairs(results: Any, each: int, jobs: int) -> None:
    """One core's share: all pairs of every so many-th first fault."""
    rng = Random(each)
    try:
        for first in list(singles())[each::jobs]:
            for pair in pairs(first):
                lands = rng.choice(landings(*pair))
                results.put(_tried("pair", _told(pair, lands), lambda p=pair, at=lands: struck(dict(p), at)))
    finally:
        results.put(None)


def _work(results: Any, each: int, jobs: int, ends: float, first: int) -> None:
    """One core's share: by turns a seed, and some pairs."""
    seeds, coming = iter(range(first + each, sys.maxsize, jobs)), _all_pairs(first + each)
    try:
        while time.time() < ends:
            seed = next(seeds)
            results.put(_tried("seed", f"--seed {seed}", lambda seed=seed: run(seed)))
            for _ in range(10):
                replay, strikes, lands = next(coming)
                results.put(_tried("pair", replay, lambda s=strikes, at=lands: struck(s, at)))
    finally:
        results.put(None)


def _tried(kind: str, replay: str, act: Any) -> Found:
    try:
        sim, broken = act()
    except BaseException as fault:  # noqa: BLE001  # told, and the next one is tried
        return kind, replay, 0, [f"{type(fault).__name__}: {fault}"]
    return kind, replay, len(sim.history), broken


def _all_pairs(seed: int) -> Iterator[tuple[str, dict[int, Outcome], timedelta]]:
    """All pairs, again and again, in an order drawn from a number."""
    rng = Random(seed)
    while True:
        firsts: list[Strike] = list(singles())
        rng.shuffle(firsts)
        for first in firsts:
            for pair in pairs(first):
                lands = rng.choice(landings(*pair))
                yield _told(pair, lands), dict(pair), lands


def _told(pair: tuple[Strike, Strike], lands: timedelta) -> str:
    """The arguments that replay a pair."""
    told = " ".join(f"--strike {nth} {outcome.name}" for nth, outcome in pair)
    return f"{told} --lands {lands.total_seconds():.0f}"


if __name__ == "__main__":
    sys.exit(main())
