"""What the benchmark measures, the floors that the project sets itself, and whether they are met."""

import numpy as np
import pandas as pd

from fmnist_lib.press.language import number
from fmnist_lib.study import stats

QUANTITIES = {  # in the order of the table: unit, floor on a CPU, floor on CUDA
    "fp32 product peak": ("GFLOP/s", "", ""),
    "bf16 product peak": ("GFLOP/s", "", ""),
    "fp32 tutorial loop": ("images/s", "", ""),
    "fp32 engine": ("images/s", "", ""),
    "bf16 engine": ("images/s", "", ""),
    "fp32 engine / tutorial loop": ("×", "≥ 3.3", ""),
    "bf16 engine / tutorial loop": ("×", "≥ 6.5", "≥ 50"),
    "fp32 engine / product peak": ("%", "", ""),
    "bf16 engine / product peak": ("%", "≥ 60", ""),
    "compiled / PyTorch's layers": ("×", "", ""),
    "compiled / PyTorch's layers, CNN5-128-0.25": ("×", "≥ 1.15", ""),
    "a step: first layer": ("ms", "", ""),
    "a step: second convolution": ("ms", "", ""),
    "a step: its products at the peak": ("ms", "", ""),
    "a step: dense layers": ("ms", "", ""),
    "a step: their products at the peak": ("ms", "", ""),
    "a step: the rest": ("ms", "", ""),
    "twice the epochs": ("× time", "≤ 2.2", "≤ 2.2"),
    "twice the images": ("× time", "≤ 2.2", "≤ 2.2"),
    "twice the seeds": ("× time", "≤ 2.2", "≤ 2.2"),
    "listing 1,000 runs": ("s", "≤ 2", "≤ 2"),
    "memory of a process after 20 runs": ("MB", "", ""),
    "memory after 20 runs / after 2": ("×", "≤ 1.05", "≤ 1.05"),
    "a run on a cluster, beyond its training": ("ms", "≤ 50", ""),
    "a cluster's memory after all tiny runs / after a tenth": ("×", "≤ 1.05", ""),
    "two workers / one": ("×", "≥ 1.8", ""),
    "accuracy in bf16 − in fp32": ("points", "± 0.3", "± 0.3"),
    "fp32 Table I": ("s", "", "≤ 75"),
    "bf16 Table I": ("s", "", "≤ 30"),
    "device memory": ("GB", "", ""),
}


def summary(measured: dict[str, list[float]], device: str) -> pd.DataFrame:
    """Return a row a quantity: median (mean of differences), unit, n (0: not measured), floor, whether it is met."""
    rows = []
    for quantity, (unit, *floors) in QUANTITIES.items():
        samples, floor = measured.get(quantity, []), floors[device == "cuda"]
        value = (np.mean if floor.startswith("±") else np.median)(samples) if samples else np.nan
        rows.append((quantity, value, unit, len(samples), floor, met(samples, floor) if floor and samples else ""))
    return pd.DataFrame(rows, columns=["quantity", "value", "unit", "n", "floor", "met"])


def met(samples: list[float], floor: str) -> str:
    """Say whether the median keeps to a floor such as "≥ 4" or "≤ 2", or the mean is equivalent to 0 within "± 0.3"."""
    sign, bound = floor[0], float(floor[2:])
    ok = {"≥": np.median(samples) >= bound, "≤": np.median(samples) <= bound}
    return "yes" if (ok | {"±": stats.equivalent(samples, bound)})[sign] else "no"


def readme_table(frame: pd.DataFrame) -> str:
    """Return benchmark.csv, as it was read, as a Markdown table of what was measured, the machine in its head."""
    rows = [f"| {frame['machine'][0]} | median | floor |", "|---|---|---|"]
    for row in frame[frame["n"] > 0].fillna("").itertuples():
        digits = 2 if abs(row.value) < 10 else 1 if abs(row.value) < 100 else 0
        floor = f"{row.floor} ({'met' if row.met == 'yes' else 'not met'})" if row.floor else ""
        rows.append(f"| {row.quantity} | {number(row.value, digits)} {row.unit} | {floor} |")
    return "\n".join(rows) + "\n"
