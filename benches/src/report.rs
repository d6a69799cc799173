//! Medians of a run, and their ratios.

use std::future::Future;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use tokio::runtime::Runtime;

/// A group of benchmarks, each compared with the first one.
///
/// Every sample of the others is taken right after one of the first, and the ratio printed is the median of
/// the samples' ratios: what else the machine does slows both down alike.
#[expect(missing_debug_implementations, reason = "criterion's groups have no Debug")]
pub struct Comparison<'c> {
    group: BenchmarkGroup<'c, WallTime>,
    name: String,
    base: (&'static str, Box<dyn FnMut(u64) -> Duration + 'c>),
    lines: Vec<String>,
}

impl<'c> Comparison<'c> {
    /// A group that compares with `base`, which it measures at once.
    pub fn new(
        criterion: &'c mut Criterion,
        name: impl Into<String>,
        base_name: &'static str,
        base: impl FnMut(u64) -> Duration + 'c,
    ) -> Self {
        let name = name.into();
        let mut group = criterion.benchmark_group(&name);
        group.warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        group.sample_size(50);
        let base: (_, Box<dyn FnMut(u64) -> Duration>) = (base_name, Box::new(base));
        let mut comparison = Self { group, name, base, lines: Vec::new() };
        let mut samples = Vec::new();
        let run = &mut comparison.base.1;
        comparison.group.bench_function(base_name, |bencher| {
            bencher.iter_custom(|times| {
                let elapsed = run(times);
                samples.push(micros(elapsed, times));
                elapsed
            });
        });
        if let Some(unit) = median(samples) {
            let name = &comparison.name;
            comparison.lines.push(format!("{name}: {base_name} {unit:.2} µs"));
        }
        comparison
    }

    /// Measures another one.
    pub fn measure(&mut self, name: &'static str, mut run: impl FnMut(u64) -> Duration) {
        let mut samples = Vec::new();
        let mut ratios = Vec::new();
        let (base_name, base) = &mut self.base;
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let unit = base(times);
                let elapsed = run(times);
                samples.push(micros(elapsed, times));
                ratios.push(elapsed.as_secs_f64() / unit.as_secs_f64());
                elapsed
            });
        });
        // A filter on the command line may have left this one out.
        if let (Some(time), Some(ratio)) = (median(samples), median(ratios)) {
            let group = &self.name;
            self.lines
                .push(format!("{group}: {name} {time:.2} µs, {name}/{base_name} = {ratio:.2}"));
        }
    }

    /// Prints the medians and ratios.
    #[expect(clippy::print_stdout, reason = "what a benchmark is for")]
    pub fn finish(self) {
        self.group.finish();
        for line in self.lines {
            println!("{line}");
        }
    }
}

/// The time that so many rounds of a computation take.
pub fn computed<T>(mut work: impl FnMut() -> T) -> impl FnMut(u64) -> Duration {
    move |times| {
        let start = Instant::now();
        for _ in 0..times {
            black_box(work());
        }
        start.elapsed()
    }
}

/// The time that so many rounds of a computation that waits take.
pub fn awaited<F: Future>(
    runtime: &Runtime,
    mut work: impl FnMut() -> F,
) -> impl FnMut(u64) -> Duration {
    move |times| {
        runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..times {
                black_box(work().await);
            }
            start.elapsed()
        })
    }
}

fn micros(elapsed: Duration, times: u64) -> f64 {
    elapsed.as_secs_f64() * 1e6 / times as f64
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The time that `part` of all took at most: 0.5 is the median, 1 the longest. Zero of none.
pub fn quantile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times.get((last as f64 * part) as usize).copied().unwrap_or_default()
}
