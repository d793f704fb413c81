"""The plot of faithfulness over the size of circuits."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from vaelens.report import palette
from vaelens.report.figures import Figure, styled
from vaelens.report.style import literal

_COLUMNS = 3
_HEIGHT = 190  # pixels of a row of plots
_LINES = {  # name in the legend, colour, dash
    "curve": ("units by score", palette.DISTINCT[0], "solid"),
    "curve_chance": ("units in random order", palette.MUTED, "dot"),
}


def faithfulness_curves(circuits: xr.Dataset) -> Figure:
    """Plots for each factor what the units of highest score carry over how many there are, beside a random order.

    A diamond is the circuit itself, which pruning makes smaller than as many units by score.

    Args:
        circuits: as `circuit_table` returns it.
    """
    factors = circuits["factor"].values.astype(str).tolist()
    columns = min(_COLUMNS, len(factors))
    rows = -(-len(factors) // columns)
    plot = make_subplots(
        rows,
        columns,
        subplot_titles=[literal(name) for name in factors],
        vertical_spacing=0.35 / rows if rows > 1 else 0,
        horizontal_spacing=0.06,
    )
    percent = 100 * circuits["share"].values
    for k, name in enumerate(factors):
        row, column = k // columns + 1, k % columns + 1
        held = circuits.sel(factor=name, hold="source")
        band = np.concatenate([held["curve_high"].values, held["curve_low"].values[::-1]])
        plot.add_trace(
            go.Scatter(
                x=np.concatenate([percent, percent[::-1]]),
                y=band,
                fill="toself",
                fillcolor=palette.ACTIVE,
                opacity=0.3,
                line={"width": 0},
                name="95 % interval",
                legendgroup="interval",
                showlegend=k == 0,
                hoverinfo="skip",
            ),
            row=row,
            col=column,
        )
        for variable, (label, colour, dash) in _LINES.items():
            line = go.Scatter(
                x=percent,
                y=held[variable].values,
                mode="lines+markers",
                marker={"size": 4},
                line={"color": colour, "dash": dash, "width": 1.6},
                name=label,
                legendgroup=variable,
                showlegend=k == 0,
                text=circuits["units"].values,
                hovertemplate="%{text} units (%{x:.3g} %): %{y:.3g}<extra></extra>",
            )
            plot.add_trace(line, row=row, col=column)
        members = int(held["member"].sum())
        circuit = go.Scatter(
            x=[100 * members / circuits.sizes["unit"]],
            y=[float(held["faithfulness"])],
            mode="markers",
            marker={"symbol": "diamond", "size": 9, "color": palette.DISTINCT[5]},
            name="the circuit",
            legendgroup="circuit",
            showlegend=k == 0,
            hovertemplate=f"the circuit, {members} units: %{{y:.3g}}<extra></extra>",
        )
        plot.add_trace(circuit, row=row, col=column)
    plot.update_xaxes(type="log", tickvals=[0.1, 1, 10, 100], range=[-1.05, 2.05])
    plot.update_xaxes(title_text="% of all units", row=rows)
    plot.update_yaxes(nticks=5, zeroline=True, zerolinecolor=palette.RULE)
    plot.update_yaxes(title_text="faithfulness", col=1)
    return styled(plot, _HEIGHT * rows + 100, max(420, 260 * columns), left=58, top=64)
