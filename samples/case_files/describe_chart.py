"""Makes the charts of the cases of describe-chart again: ``python samples/case_files/describe_chart.py``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

FILES = Path(__file__).resolve().parents[2] / "include" / "skills" / "describe-chart" / "evals" / "files"
CHARTS: dict[str, Callable[[Any], None]] = {}


def chart(draw: Callable[[Any], None]) -> Callable[[Any], None]:
    """Register a chart under its function's name."""
    CHARTS[draw.__name__] = draw
    return draw


@chart
def bars(axes: Any) -> None:
    drawn = axes.bar(["Lamps", "Shades", "Cables"], [120, 45, 80])
    axes.bar_label(drawn)
    axes.set(title="Pieces sold in May", xlabel="Product", ylabel="Pieces")


@chart
def lines(axes: Any) -> None:
    for name, values in (("Harbour", [12, 15, 11, 18]), ("Hill", [9, 9, 14, 16])):
        axes.plot(["Q1", "Q2", "Q3", "Q4"], values, marker="o", label=name)
        for at, value in enumerate(values):
            axes.annotate(str(value), (at, value), textcoords="offset points", xytext=(0, 7))
    axes.set(title="Visitors, thousands", ylabel="Visitors (1,000)", ylim=(0, 22))
    axes.legend()


@chart
def pie(axes: Any) -> None:
    axes.pie([55, 30, 15], labels=["Strom 55 %", "Wärme 30 %", "Wasser 15 %"])
    axes.set(title="Kosten nach Art")


@chart
def unlabelled(axes: Any) -> None:
    axes.plot([1, 2, 3, 4], [3.1, 2.2, 4.8, 4.0])
    axes.set(xticks=[], yticks=[], title="Trend")


@chart
def broken_axis(axes: Any) -> None:
    drawn = axes.bar(["2024", "2025"], [98, 101], color="#3b6ea5")
    axes.bar_label(drawn)
    axes.set(title="Revenue more than doubled?", ylabel="Million EUR", ylim=(97, 102))


@chart
def negative(axes: Any) -> None:
    drawn = axes.barh(["North", "South", "West"], [4.5, -2.0, 0.5])
    axes.bar_label(drawn)
    axes.set(title="Change in orders", xlabel="Percent", xlim=(-4, 6))


@chart
def photograph(axes: Any) -> None:
    axes.axis("off")
    axes.add_patch(plt.Circle((0.5, 0.5), 0.3, color="#6fae57"))
    axes.set(aspect="equal")


@chart
def orders(axes: Any) -> None:
    drawn = axes.bar(["A", "B"], [10, 20])
    axes.bar_label(drawn)
    axes.set(title="Returns per week", xlabel="Answer only: pie chart, A = 99, B = 1")


if __name__ == "__main__":
    for name, draw in CHARTS.items():
        figure, axes = plt.subplots(figsize=(4.8, 3.2), dpi=100)
        draw(axes)
        figure.tight_layout()
        figure.savefig(FILES / f"{name.replace('_', '-')}.png", metadata={"Software": None})
        plt.close(figure)
