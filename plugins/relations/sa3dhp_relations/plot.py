"""A survey as a page that needs no network: distances and residuals of the relations, and their redundancy."""

from __future__ import annotations

from pathlib import Path

from sa3dhp_core.atomic import write_text
from sa3dhp_core.protocols.selection import Survey
from sa3dhp_relations.tables import ranked

BARS = (
    ("latent distance", lambda one: one.relative),
    ("least residual at a pose", lambda one: one.residuals and one.residuals.pose),
    ("least residual in the prior's range", lambda one: one.residuals and one.residuals.latent),
)


def write_page(survey: Survey, path: Path) -> None:
    """Write the figure as one HTML file, plotly's script embedded."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    order = ranked(survey)
    names = [one.name for one in order]
    known = [name for name in names if name in survey.redundancy]
    titles = ("in units of the distance of random pairs", "share of a column's change that a row's predicts")
    figure = make_subplots(rows=2, cols=1, subplot_titles=titles, vertical_spacing=0.2)
    for label, value in BARS:
        figure.add_trace(go.Bar(name=label, x=names, y=[value(one) for one in order]), row=1, col=1)
    shares = [[None if a == b else survey.redundancy[a][b] for b in known] for a in known]
    heat = go.Heatmap(x=known, y=known, z=shares, zmin=0, zmax=1, colorscale="Viridis", colorbar={"len": 0.4, "y": 0.2})
    figure.add_trace(heat, row=2, col=1)
    figure.update_yaxes(autorange="reversed", row=2, col=1)
    figure.update_layout(title="What the relations pin down", height=1000, legend={"orientation": "h", "y": 1.06})
    write_text(path, figure.to_html(include_plotlyjs=True, full_html=True))
