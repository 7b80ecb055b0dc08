//! From rows to a table, to goals met and missed, and to `docs/performance.md`.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, ensure};

use crate::run::Row;

const BEGIN: &str = "<!-- figures: written by `make bench` -->";
const END: &str = "<!-- end of figures -->";

/// Rows as a Markdown table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines: Vec<Vec<String>> = vec![
        [
            "case",
            "viewers",
            "us per packet",
            "floor",
            "ratio",
            "cores",
            "viewers per core",
            "delivered",
            "latency p50 / p99 ms",
            "handshake p95 ms",
            "clean start p95 ms",
            "KiB per viewer",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for row in rows {
        lines.push(vec![
            row.case.name.to_owned(),
            row.case.viewers.to_string(),
            format!("{:.2}", row.cost_us),
            format!("{:.2}", row.floor_us),
            format!("{:.2}", row.ratio()),
            format!("{:.2}", row.cores),
            format!("{:.0}", row.viewers_per_core()),
            percent(row.delivered),
            format!("{:.1} / {:.1}", row.latency_p50, row.latency_p99),
            format!("{:.0}", row.handshake_p95),
            format!("{:.0}", row.clean_start_p95),
            format!("{:.1}", row.memory_kib),
        ]);
    }
    let columns = lines[0].len();
    let widths: Vec<usize> =
        (0..columns).map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if index == 0 {
            let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            let _ = writeln!(text, "| {} |", rule.join(" | "));
        }
    }
    text
}

fn percent(share: f64) -> String {
    if share >= 1.0 { "100 %".to_owned() } else { format!("{:.3} %", share * 100.0) }
}

/// One goal, what was measured, and whether that is enough.
struct Goal {
    what: &'static str,
    goal: String,
    measured: String,
    met: bool,
}

/// The goals as a Markdown table; those whose rows were not run are left out.
pub(crate) fn goals(rows: &[Row]) -> String {
    let find = |name: &str, viewers: usize| {
        rows.iter().find(|row| row.case.name == name && row.case.viewers == viewers)
    };
    let one = |viewers| find("one stream", viewers);
    let mut goals = Vec::new();
    let mut at_most = |what, value: Option<f64>, limit: f64, unit: &str| {
        if let Some(value) = value {
            let (goal, measured) = (format!("at most {limit}{unit}"), format!("{value:.2}{unit}"));
            goals.push(Goal { what, goal, measured, met: value <= limit });
        }
    };
    let pair = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
    let cost = |row: Option<&Row>| row.map(|row| row.cost_us);
    at_most("processor time per packet, 500 viewers, against the floor", one(500).map(Row::ratio), 1.3, " x");
    at_most(
        "processor time per packet, 1000 viewers on two workers, against 50 viewers",
        pair(cost(find("two workers", 1000)), cost(one(50))),
        1.0,
        " x",
    );
    at_most("latency p50, 500 viewers on one core", one(500).map(|row| row.latency_p50), 7.0, " ms");
    at_most("latency p99, 500 viewers on one core", one(500).map(|row| row.latency_p99), 75.0, " ms");
    at_most("latency p50, 50 viewers", one(50).map(|row| row.latency_p50), 1.0, " ms");
    at_most("latency p99, 50 viewers", one(50).map(|row| row.latency_p99), 8.0, " ms");
    for viewers in [50, 200] {
        at_most(
            if viewers == 50 {
                "full feedback and 2 % loss against none, 50 viewers"
            } else {
                "full feedback and 2 % loss against none, 200 viewers"
            },
            pair(cost(find("full feedback, 2 % loss", viewers)), cost(one(viewers))),
            1.4,
            " x",
        );
    }
    at_most("memory per WHEP viewer, of 1000", one(1000).map(|row| row.memory_kib), 12.0, " KiB");
    at_most(
        "memory per WebSocket viewer, of 500",
        find("WebSocket", 500).map(|row| row.memory_kib),
        24.0,
        " KiB",
    );
    let joins = find("300 joins a second", 600);
    at_most("handshake p95 at 300 joins a second", joins.map(|row| row.handshake_p95), 150.0, " ms");
    at_most(
        "loss for those already watching meanwhile",
        joins.map(|row| (1.0 - row.delivered_in_ramp) * 100.0),
        0.0,
        " %",
    );
    at_most("clean start p95, 50 viewers", one(50).map(|row| row.clean_start_p95), 150.0, " ms");
    // More than two of its keyframe intervals: every place in one is among them.
    at_most(
        "the same, 1000 viewers who join within 5 s",
        one(1000).map(|row| row.clean_start_p95),
        150.0,
        " ms",
    );
    at_most(
        "two workers against one, 500 viewers, processor time per packet",
        pair(cost(find("two workers", 500)), cost(one(500))),
        1.1,
        " x",
    );
    if let Some(row) = find("two workers", 1000).filter(|row| !row.split.is_empty()) {
        let (most, least) = (row.split.iter().max().unwrap_or(&0), row.split.iter().min().unwrap_or(&0));
        at_most(
            "packets of the busier worker against the other's",
            Some(*most as f64 / *least as f64),
            1.1,
            " x",
        );
    }
    if let Some(row) = one(1000) {
        let measured = format!("{:.0}, {} delivered", row.viewers_per_core(), percent(row.delivered));
        let met = row.viewers_per_core() >= 1_200.0 && row.delivered >= 1.0;
        let goal = "at least 1200, all delivered".to_owned();
        goals.push(Goal { what: "viewers per core, by the cost at 1000", goal, measured, met });
    }
    let mut text = String::from("| goal | wanted | measured | |\n| --- | --- | --- | --- |\n");
    for Goal { what, goal, measured, met } in &goals {
        let _ =
            writeln!(text, "| {what} | {goal} | {measured} | {} |", if *met { "met" } else { "**missed**" });
    }
    text
}

/// What the noise of this machine is: goals that are ratios, round by round. Empty where there was one round only.
pub(crate) fn rounds(rows: &[Vec<Row>]) -> String {
    let find = |name: &str, viewers: usize| {
        rows.iter()
            .find(|rounds| rounds.iter().any(|row| row.case.name == name && row.case.viewers == viewers))
            .filter(|rounds| rounds.len() > 1)
    };
    let list =
        |values: Vec<f64>| values.iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(", ");
    let Some(one) = find("one stream", 500) else { return String::new() };
    let ratios = list(one.iter().map(Row::ratio).collect());
    let floors = list(one.iter().map(|row| row.floor_us).collect());
    let mut text =
        format!("\nRound by round, 500 viewers took {ratios} times the floor (which was {floors} us itself)");
    if let Some(two) = find("two workers", 500) {
        let times = two.iter().zip(one).map(|(two, one)| two.cost_us / one.cost_us).collect();
        let _ = write!(text, ", and two workers {} times what one takes", list(times));
    }
    text.push_str(". The table's ratios are those of its medians.\n");
    text
}

/// Puts `figures` between the two marks of the document at `path`.
///
/// # Errors
/// When the file cannot be read or written, or has no such marks.
pub(crate) fn write(path: &Path, figures: &str) -> anyhow::Result<()> {
    let document = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let changed = replace(&document, figures).with_context(|| path.display().to_string())?;
    fs::write(path, changed).with_context(|| path.display().to_string())
}

fn replace(document: &str, figures: &str) -> anyhow::Result<String> {
    let (before, rest) = document.split_once(BEGIN).context("the mark where figures begin")?;
    let (_, after) = rest.split_once(END).context("the mark where figures end")?;
    ensure!(!figures.contains(END), "figures hold the end mark");
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", figures.trim()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::cases;

    fn row(index: usize, cost_us: f64) -> Row {
        Row {
            case: cases::ALL[index],
            cost_us,
            floor_us: 1.0,
            cores: 0.25,
            delivered: 1.0,
            delivered_in_ramp: 1.0,
            latency_p50: 1.5,
            latency_p99: 7.0,
            handshake_p95: 20.0,
            clean_start_p95: 60.0,
            memory_kib: 10.0,
            generator_drops: 0.0,
            generator_busy: 10.0,
            split: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn figures_are_replaced_and_the_rest_stays() {
        let document = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let once = replace(&document, "new").unwrap();
        assert_eq!(once, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(replace(&once, "new").unwrap(), once);
        assert!(replace("no marks", "new").is_err());
    }

    #[test]
    fn rounds_give_medians_and_the_worst_delivery() {
        let mut rounds: Vec<Row> = [1.5, 9.0, 1.2].map(|cost| row(2, cost)).into();
        rounds[0].delivered = 0.99;
        let row = Row::median(&rounds).unwrap();
        assert_eq!((row.cost_us, row.delivered), (1.5, 0.99));
        assert!(Row::median(&[]).is_none());
    }

    #[test]
    fn a_missed_goal_is_called_so() {
        let text = goals(&[row(0, 1.2), row(2, 1.29)]);
        assert!(text.contains("500 viewers, against the floor | at most 1.3 x | 1.29 x | met |"), "{text}");
        assert!(text.contains("latency p50, 50 viewers | at most 1 ms | 1.50 ms | **missed** |"), "{text}");
        let text = goals(&[row(2, 1.31)]);
        assert!(text.contains("at most 1.3 x | 1.31 x | **missed** |"), "{text}");
        assert!(!text.contains("50 viewers |"), "rows that were not run are no goals: {text}");
    }

    #[test]
    fn rounds_are_told_one_by_one() {
        let text = rounds(&[vec![row(2, 1.2), row(2, 1.35)], vec![row(6, 1.5), row(6, 1.35)]]);
        assert!(
            text.contains("500 viewers took 1.20, 1.35 times the floor (which was 1.00, 1.00 us"),
            "{text}"
        );
        assert!(text.contains("two workers 1.25, 1.00 times"), "{text}");
        assert_eq!(rounds(&[vec![row(2, 1.2)]]), "", "one round says it all");
    }

    #[test]
    fn every_row_has_every_column() {
        let text = table(&[row(0, 1.0), row(5, 2.0)]);
        let columns: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [13; 4]);
    }
}
