"""`vaelens models` lists the objectives a model can be trained by, with formulas, hyperparameters and sources."""

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from vaelens.models.catalogue import CATALOGUE, Objective


def models() -> None:
    """List the models that can be trained, with formulas, sources and hyperparameters."""
    table = Table(
        "model",
        "what it minimises; source; hyperparameters: default, meaning, range",
        box=box.SIMPLE_HEAD,
        show_lines=True,
        pad_edge=False,
    )
    table.columns[0].no_wrap = True
    for objective in CATALOGUE.values():
        table.add_row(Text(objective.name, style="bold"), _entry(objective))
    console = Console()
    console.print(table)
    console.print(
        "R: negative log-likelihood of the reconstruction. KL: of the posterior from the prior. TC: total correlation "
        "of the latents. MI: mutual information of image and code. In nats an image.\n"
        "vaelens train --model NAME takes each hyperparameter as an option, with - for _.",
        highlight=False,
    )


def _entry(objective: Objective) -> Group:
    latents = "codes of {} dimensions" if objective.quantised else "{} latents"
    facts = f"{objective.source}; {latents.format(objective.latent_dim)} unless said otherwise"
    lines: list[Text | Table] = [Text(objective.formula), Text(facts, style="dim")]
    if objective.hyperparameters:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column()
        for hyperparameter in objective.hyperparameters:
            default = hyperparameter.default
            shown = default if isinstance(default, str) else f"{default:.10g}"
            name = Text(hyperparameter.name, style="cyan")
            grid.add_row(name, shown, f"{hyperparameter.meaning}; {hyperparameter.range}")
        lines.append(grid)
    return Group(*lines)
