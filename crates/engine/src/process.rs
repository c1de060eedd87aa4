//! What the kernel says of this process, in the Prometheus text format, read anew for each scrape.
//!
//! Written here and not through the recorder: its counters are whole numbers, and CPU time is not.

use core::fmt::Write as _;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::metric::PROCESS_METRICS;

/// The part of `/proc/self/stat` that is shown; proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field, the name, is in parentheses and may hold anything, also spaces.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: number(14)? + number(15)?,
            start_ticks: number(22)?,
            virtual_bytes: number(23)?,
            resident_pages: number(24)?,
        })
    }
}

/// Seconds since 1970 at which the machine started.
fn booted(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "times and bytes of a process are far below 2^52")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / clock_ticks_per_second().max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "times and bytes of a process are far below 2^52")]
fn value(name: &str, stat: Option<&Stat>) -> Option<f64> {
    match name {
        "process_cpu_seconds_total" => Some(seconds(stat?.cpu_ticks)),
        "process_resident_memory_bytes" => Some((stat?.resident_pages * page_size() as u64) as f64),
        "process_virtual_memory_bytes" => Some(stat?.virtual_bytes as f64),
        "process_start_time_seconds" => {
            let booted = booted(&fs::read_to_string("/proc/stat").ok()?)?;
            Some(booted as f64 + seconds(stat?.start_ticks))
        }
        // One of them is the one that reads the directory.
        "process_open_fds" => Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64),
        "process_max_fds" => Some(getrlimit(Resource::Nofile).current? as f64),
        _ => None,
    }
}

/// The metrics of the process; one that the system does not tell is left out.
pub(crate) fn render() -> String {
    let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text));
    let mut text = String::new();
    for metric in PROCESS_METRICS {
        if let Some(value) = value(metric.name, stat.as_ref()) {
            let (name, kind) = (metric.name, metric.kind.as_str());
            // Writing to a String cannot fail.
            let _ = write!(text, "\n# HELP {name} {}\n# TYPE {name} {kind}\n{name} {value}\n", metric.help);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_shifts_no_field() {
        let text = "4711 (lab) w) ire) S 1 2 3 0 -1 4 5 6 7 8 90 10 0 0 20 0 5 0 123456 40960000 2500 1844";
        let read =
            Stat { cpu_ticks: 100, start_ticks: 123_456, virtual_bytes: 40_960_000, resident_pages: 2500 };
        assert_eq!(Stat::parse(text), Some(read));
        assert_eq!(Stat::parse("4711 (labwire) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn the_start_of_the_machine_is_found_among_the_other_lines() {
        assert_eq!(booted("cpu 1 2\nbtime 1770000000\nprocesses 4\n"), Some(1_770_000_000));
        assert_eq!(booted("cpu 1 2\n"), None);
    }

    #[test]
    fn every_metric_of_the_process_has_a_believable_value() {
        let text = render();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is missing:\n{text}")).parse::<f64>().unwrap()
        };
        let now = jiff::Timestamp::now().as_second() as f64;
        assert!((now - 86_400.0..=now + 2.0).contains(&value("process_start_time_seconds")), "{text}");
        assert!((0.0..100_000.0).contains(&value("process_cpu_seconds_total")), "{text}");
        assert!((100_000.0..1e11).contains(&value("process_resident_memory_bytes")), "{text}");
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"), "{text}");
        assert!((3.0..=value("process_max_fds")).contains(&value("process_open_fds")), "{text}");
    }
}
