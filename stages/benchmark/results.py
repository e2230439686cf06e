"""The files of the stage benchmark: what one arm costs, under which conditions it was measured, and the whole latency grid."""

from collections.abc import Mapping, Sequence

from stages.benchmark.arms import TRAINED_AS
from stages.benchmark.figures import latency_figure
from stages.benchmark.latency import Latency
from stages.benchmark.statistics import significant
from stages.presentation.figures import save_figure
from stages.project.files import write_csv, write_json
from stages.project.paths import PLOTS, PROVENANCE, TIMING_METRICS
from stages.project.schema import BenchmarkParams

LATENCY_COLUMNS = (
    "method",
    "batch_size",
    "length",
    "median_ms",
    "p95_ms",
    "ratio_to_full",
    "ratio_low",
    "ratio_high",
    "rounds",
    "coverage",
    "precision",
)


def arm_timing(
    arm: str,
    latencies: Sequence[Latency],
    throughput: float,
    training: Mapping[str, Mapping[str, float]],
    settings: BenchmarkParams,
) -> dict[str, float]:
    """Return the numbers of metrics/timing/{arm}.json: the same flat keys for every arm, so that they are one table.

    Latency is the median in ms at the longest of `benchmark.lengths`, for the smallest and the largest of
    `benchmark.batch_sizes`, which stand in the keys. Time and memory of a training step are those of the method as which the
    arm was trained: merged LoRA is trained as LoRA. Not among them: the conditions, which are the same for all arms
    (`write_conditions`).
    """
    length = max(settings.lengths)
    at = {row.batch_size: row.median_ms for row in latencies if row.arm == arm and row.length == length}
    step = training[TRAINED_AS[arm]]
    return {
        **{f"latency_{size}_ms": significant(at[size]) for size in sorted({min(at), max(at)})},
        "throughput_per_s": significant(throughput),
        "step_ms": significant(step["step_ms"]),
        "step_awp_ms": significant(step["step_awp_ms"]),
        "peak_mib": round(step["peak_mib"], 1),
    }


def write_timing(timing: Mapping[str, Mapping[str, float]], conditions: Mapping[str, object]) -> None:
    """Write metrics/timing/{arm}.json, and metrics/provenance/benchmark.json with what holds for all of them."""
    for arm, numbers in timing.items():
        write_json(TIMING_METRICS / f"{arm}.json", numbers)
    write_json(PROVENANCE / "benchmark.json", conditions)


def write_latency(latencies: Sequence[Latency], precision: str) -> None:
    """Write the latency table, with the `precision` in which all of it was measured, and its figure."""
    rows = []
    for latency in latencies:
        ratio = latency.ratio
        numbers = (latency.median_ms, latency.p95_ms, ratio.value, ratio.low, ratio.high)
        shape = (latency.arm, latency.batch_size, latency.length)
        rows.append((*shape, *map(significant, numbers), ratio.rounds, round(ratio.coverage, 4), precision))
    write_csv(PLOTS / "latency.csv", LATENCY_COLUMNS, rows)
    save_figure(latency_figure(latencies), PLOTS / "latency.png")
