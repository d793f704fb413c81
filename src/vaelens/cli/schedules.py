"""The options of `vaelens train` for schedules, one for each kind, as NAME=STEPS."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vaelens.errors import VaelensError

if TYPE_CHECKING:
    from vaelens.models.schedules import Schedule

_DIGITS = 18  # of a number of steps; Python reads no number of thousands
_PANEL = "Schedules of lr, or of a weight such as beta (repeatable)"

WarmUps = Annotated[
    list[str] | None,
    typer.Option("--warm-up", metavar="NAME=STEPS", rich_help_panel=_PANEL, help="Rise from 0 over that many steps."),
]
Cycles = Annotated[
    list[str] | None,
    typer.Option(
        "--cyclical",
        metavar="NAME=PERIOD",
        rich_help_panel=_PANEL,
        help="Rise from 0 over the first half of each period, and hold.",
    ),
]
CosineDecays = Annotated[
    list[str] | None,
    typer.Option("--cosine-decay", metavar="NAME=STEPS", rich_help_panel=_PANEL, help="Fall to 0 along half a cosine."),
]


def parse_schedules(
    warm_ups: Sequence[str] | None, cycles: Sequence[str] | None, cosine_decays: Sequence[str] | None
) -> list["Schedule"]:
    """Makes the schedules that the options ask for.

    Raises:
        VaelensError: if one is not of the form NAME=STEPS.
    """
    options = [
        *(("--warm-up", "WarmUp", text) for text in warm_ups or ()),
        *(("--cyclical", "Cyclical", text) for text in cycles or ()),
        *(("--cosine-decay", "CosineDecay", text) for text in cosine_decays or ()),
    ]
    return [_parse(*option) for option in options]


def _parse(option: str, kind: str, text: str) -> "Schedule":
    name, _, steps = text.partition("=")
    if not name or not steps.isdecimal() or len(steps) > _DIGITS:
        raise VaelensError(f"{option} is {text!r}; expected a name and a number of steps, such as beta=1000")
    import vaelens as vl

    return getattr(vl, kind)(name.replace("-", "_"), int(steps))
