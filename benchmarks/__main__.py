"""Run the contests and print one table: `python -m benchmarks [--repetitions N] [--only NAME]`."""

import argparse
import importlib

import torch

from benchmarks.contest import run

FILES = ("sweeps", "training", "data")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3, help="timed rounds of each contest (default 3)")
    parser.add_argument("--only", choices=FILES, help="one file of contests")
    arguments = parser.parse_args()
    if arguments.repetitions < 1:
        parser.error(f"--repetitions is {arguments.repetitions}; give at least 1")
    print(
        f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.repetitions} interleaved rounds\n"
    )
    print("| what | ours | against | theirs | ratio | largest difference |")
    print("|---|---|---|---|---|---|")
    for name in [arguments.only] if arguments.only else FILES:
        for contest in importlib.import_module(f"benchmarks.{name}").contests():
            ours, other = run(contest, arguments.repetitions)
            error = f"{contest.error():.1e}" if contest.error else ""
            row = f"{contest.name} | {ours:.2f} s | {contest.against} | {other:.2f} s | {other / ours:.2f} | {error}"
            print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
