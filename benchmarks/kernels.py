"""Prints the speed of the compiled kernels beside their floors: `python benchmarks/kernels.py [--json]`."""

import json
import sys

from tradebus.indicators.measure import measure_kernels, report_lines


def main() -> None:
    figures = measure_kernels()
    print("\n".join(report_lines(figures)), file=sys.stderr if "--json" in sys.argv else sys.stdout)
    if "--json" in sys.argv:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
