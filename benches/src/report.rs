//! Medians of a run, and their ratios.

use std::future::Future;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use tokio::runtime::Runtime;

/// A group of benchmarks that print, when all have run, how each compares to one of them.
pub struct Comparison<'c> {
    group: BenchmarkGroup<'c, WallTime>,
    name: &'static str,
    medians: Vec<(&'static str, Duration)>,
}

impl<'c> Comparison<'c> {
    /// A new group.
    pub fn new(criterion: &'c mut Criterion, name: &'static str) -> Self {
        let mut group = criterion.benchmark_group(name);
        group.warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(3));
        Self { group, name, medians: Vec::new() }
    }

    /// Measures a computation.
    pub fn measure<T>(&mut self, name: &'static str, mut work: impl FnMut() -> T) {
        let mut samples = Vec::new();
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let start = Instant::now();
                for _ in 0..times {
                    std::hint::black_box(work());
                }
                sampled(&mut samples, start, times)
            });
        });
        self.keep(name, samples);
    }

    /// Measures a computation that waits.
    pub fn measure_async<F: Future>(
        &mut self,
        name: &'static str,
        runtime: &Runtime,
        mut work: impl FnMut() -> F,
    ) {
        let mut samples = Vec::new();
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for _ in 0..times {
                        std::hint::black_box(work().await);
                    }
                    sampled(&mut samples, start, times)
                })
            });
        });
        self.keep(name, samples);
    }

    fn keep(&mut self, name: &'static str, mut samples: Vec<Duration>) {
        samples.sort();
        // A filter on the command line may have left this one out.
        if let Some(median) = samples.get(samples.len() / 2) {
            self.medians.push((name, *median));
        }
    }

    /// Prints the medians, and their ratios to the median of `base`.
    #[expect(clippy::print_stdout, reason = "what a benchmark is for")]
    pub fn finish(self, base: &str) {
        self.group.finish();
        let base = self.medians.iter().find(|(name, _)| *name == base);
        for (name, median) in &self.medians {
            let micros = median.as_secs_f64() * 1e6;
            match base {
                Some((base, unit)) if base != name => {
                    let ratio = micros / (unit.as_secs_f64() * 1e6);
                    println!("{}: {name} {micros:.2} µs, {name}/{base} = {ratio:.2}", self.name);
                }
                _ => println!("{}: {name} {micros:.2} µs", self.name),
            }
        }
    }
}

/// The time of all rounds, after noting that of one.
fn sampled(samples: &mut Vec<Duration>, start: Instant, times: u64) -> Duration {
    let elapsed = start.elapsed();
    samples.push(elapsed.div_f64(times as f64));
    elapsed
}
