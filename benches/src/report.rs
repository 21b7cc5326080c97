//! What the benchmarks print: figures, and targets beside them.

use std::time::Duration;

use crate::load::Throughput;
use crate::process::{Cost, Program};

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// One figure beside its target.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    target: Target,
}

impl Row {
    pub(crate) fn millis(name: &str, value: Duration, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            value: value.as_secs_f64() * 1e3,
            unit: "ms",
            target,
        }
    }

    pub(crate) fn mebibytes(name: &str, kibibytes: u64, target: Target) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "memory sizes fit")]
        let value = kibibytes as f64 / 1024.0;
        Self {
            name: name.to_owned(),
            value,
            unit: "MiB",
            target,
        }
    }

    pub(crate) fn micros(name: &str, value: f64, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: "us",
            target,
        }
    }

    pub(crate) fn bytes(name: &str, value: f64, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: "B",
            target,
        }
    }

    /// How many times another figure this one is.
    pub(crate) fn times(name: &str, value: f64, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: "times",
            target,
        }
    }

    pub(crate) fn percent(name: &str, value: f64, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: "%",
            target,
        }
    }

    pub(crate) fn connections(name: &str, value: f64, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: "connections",
            target,
        }
    }

    pub(crate) fn per_second(name: &str, value: f64, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: "/s",
            target,
        }
    }
}

pub(crate) fn title(text: &str) {
    println!("\n{text}");
}

pub(crate) fn costs(programs: &[Program], costs: &[Cost]) {
    println!(
        "  {:<36} {:>9} {:>9} {:>9} {:>10}",
        "", "min ms", "median", "p90", "peak MiB"
    );
    for (program, cost) in programs.iter().zip(costs) {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        #[expect(clippy::cast_precision_loss, reason = "memory sizes fit")]
        let peak = cost.peak_kib as f64 / 1024.0;
        println!(
            "  {:<36} {:>9.3} {:>9.3} {:>9.3} {peak:>10.1}",
            program.name,
            millis(cost.minimum),
            millis(cost.median),
            millis(cost.p90),
        );
    }
}

pub(crate) fn throughput(name: &str, load: Throughput) {
    println!(
        "  {name:<36} {:>9.0}/s   p50 {:.2} ms   p99 {:.2} ms",
        load.per_second,
        load.p50.as_secs_f64() * 1e3,
        load.p99.as_secs_f64() * 1e3,
    );
}

pub(crate) fn targets(rows: &[Row]) {
    for row in rows {
        let (met, words) = match row.target {
            Target::AtMost(limit) => (row.value <= limit, format!("at most {limit}")),
            Target::AtLeast(limit) => (row.value >= limit, format!("at least {limit}")),
        };
        let mark = if met { "met " } else { "MISS" };
        println!(
            "  {mark} {}: {:.2} {} (target: {words} {})",
            row.name, row.value, row.unit, row.unit
        );
    }
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
