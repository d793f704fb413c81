"""Run the contests and print their tables: `python -m benchmarks [--only NAME …] [--repetitions N] [--untrained]`."""

import argparse
import importlib
from collections.abc import Iterator

from benchmarks import circuits, contest, page, peaks
from benchmarks.machine import described
from benchmarks.subject import Subject

GROUPS = {
    "sweeps": "Patching against plain PyTorch",
    "peers": "Patching against other libraries",
    "latent": "Latent sweep",
    "mediation": "Mediation",
    "memory": "Memory",
    "training": "Training",
    "data": "Data",
    "circuits": "Circuits",
}
SLOW = {"circuits"}  # which run when they are named

TURN = 1.0  # seconds that each way runs in its turn at least


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--repetitions", type=positive, default=3, help="timed rounds of each contest (default 3)")
    parser.add_argument(
        "--only",
        choices=GROUPS,
        nargs="+",
        default=[name for name in GROUPS if name not in SLOW],
        help="some groups of contests",
    )
    parser.add_argument("--untrained", action="store_true", help="take the model as it is built")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:<number>")
    parser.add_argument("--pairs", type=positive, default=Subject.pairs, help="pairs of images (default 64)")
    parser.add_argument("--images", type=positive, default=Subject.images, help="of the latent sweep (default 256)")
    parser.add_argument("--write-readme", action="store_true", help="put what is printed into the README as well")
    given = parser.parse_args()
    steps = 0 if given.untrained else Subject.steps
    subject = Subject(given.pairs, given.images, steps=steps, device=given.device)
    lines = []
    for line in report(subject, given.only, given.repetitions):
        print(line, flush=True)
        lines.append(line)
    if given.write_readme:
        page.write("\n".join(lines))


def positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def report(subject: Subject, groups: list[str], repetitions: int) -> Iterator[str]:
    """The output line by line, each as soon as it is known."""
    yield described(subject, repetitions)
    for group in groups:
        yield f"\n**{GROUPS[group]}**\n"
        if group == "memory":
            yield peaks.HEADER
            yield from peaks.rows(subject)
            continue
        if group == "circuits":
            yield from circuits.rows(subject)
            continue
        yield contest.HEADER
        notes = []
        for each in importlib.import_module(f"benchmarks.{group}").contests(subject):
            outcome = contest.run(each, repetitions, subject.device, TURN)
            yield from outcome.rows()
            if each.note is not None:
                notes.append(each.note(outcome.seconds))
        yield from (f"\n{note}" for note in notes)


if __name__ == "__main__":
    main()
