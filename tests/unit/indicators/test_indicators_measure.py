"""The benchmark's figures, as the command line prints them. Their size is not tested."""

import json

from tradebus.indicators.measure import BATCHES, measure_kernels, report_lines


def test_every_kernel_has_its_figures_and_the_candle_kernel_its_floors() -> None:
    figures = measure_kernels(seconds_per_figure=0.001)
    assert all(figure["per_second"] > 0 and figure["microseconds_per_call"] > 0 for figure in figures.values())
    for size in BATCHES:
        floors = figures[f"candles, {size} ticks a call"]
        assert floors["batch"] == size
        assert floors["memcpy_per_second"] > 0
        assert floors["read_only_per_second"] > 0
    assert json.loads(json.dumps(figures)) == figures
    lines = report_lines(figures)
    assert len(lines) == len(figures)
    assert all(line.startswith(name) for line, name in zip(lines, figures, strict=True))
