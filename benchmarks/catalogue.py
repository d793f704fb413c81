"""The table of all scores in the documentation: `python -m benchmarks.catalogue --write-docs`."""

import argparse

from benchmarks.metrics import PAGE
from benchmarks.page import write
from vaelens.metrics.catalogue import markdown_table


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalogue", description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/metrics.md as well")
    print(markdown_table())
    if parser.parse_args(arguments).write_docs:
        write(markdown_table(), PAGE, "catalogue")


if __name__ == "__main__":
    main()
