"""The name under which the notebooks know `study.stats`."""

from fmnist_lib.study.rule import VERDICTS
from fmnist_lib.study.stats import mean_interval, wilson, with_intervals

__all__ = ["VERDICTS", "mean_interval", "wilson", "with_intervals"]
