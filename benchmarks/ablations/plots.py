"""Curves as pictures, where matplotlib is installed."""

import importlib.util
from pathlib import Path
from typing import Any, Mapping, Sequence

from benchmarks.ablations.cells import Ablation, Panel

__all__ = ["NO_MATPLOTLIB", "can_draw", "draw"]

NO_MATPLOTLIB = "No pictures: the package matplotlib is not installed. Run pip install matplotlib, and this again."
PANELS_IN_A_ROW = 3


def can_draw() -> bool:
    """Whether matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(asked: Ablation, found: Mapping[str, Any], results: Path, stem: str) -> list[Path]:
    """One PNG a metric: a panel for each figure of the paper, mean with one standard deviation around it."""
    curves = {variant["label"]: variant["curves"] for variant in found["variants"]}
    metrics = list(dict.fromkeys(metric for each in curves.values() for metric in each))
    panels = [panel for panel in asked.panels if any(curves.get(label) for label in panel.labels)]
    return [_draw_metric(metric, panels, curves, found, results / f"{stem}-{metric}.png") for metric in metrics]


def _draw_metric(
    metric: str, panels: Sequence[Panel], curves: Mapping[str, Any], found: Mapping[str, Any], path: Path
) -> Path:
    from matplotlib.figure import Figure

    n_columns = min(PANELS_IN_A_ROW, len(panels))
    n_rows = -(-len(panels) // n_columns)
    figure = Figure(figsize=(5 * n_columns, 3.6 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for axis, panel in zip(axes.flat, panels):
        for label in panel.labels:
            points = curves.get(label, {}).get(metric)
            if points is None:
                continue
            (line,) = axis.plot(points["step"], points["mean"], label=f"{label} (n = {points['n']})")
            if points["std"] is not None:
                low = [mean - std for mean, std in zip(points["mean"], points["std"])]
                high = [mean + std for mean, std in zip(points["mean"], points["std"])]
                axis.fill_between(points["step"], low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        axis.set_title(panel.title)
        axis.set_xlabel("environment steps")
        axis.set_ylabel(f"test {metric}")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    for axis in list(axes.flat)[len(panels):]:
        axis.set_visible(False)
    figure.suptitle(f"{found['ablation']} on {found['key']}\nmean ± standard deviation over seeds", fontsize="medium")
    figure.savefig(path, dpi=120)
    return path
