//! `make bench`: what a packet to a viewer costs, how late it is, what a viewer weighs, and how near all that is to
//! what this machine's kernel takes anyway. Server and generator are kept on processors of their own; the floor is
//! measured in the same run, right before each case.

mod cases;
mod cpus;
mod floor;
mod report;
mod run;
mod server;

use std::{io::Write, path::PathBuf, time::Duration};

use clap::Parser;

use crate::{cases::Case, cpus::Processors, run::Row};

/// Measures a built program and writes what came out into a document.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// The program.
    #[arg(long, default_value = "target/release/heliograph")]
    program: PathBuf,
    /// Seconds measured for each case.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// How often each case is measured, all of them once before any a second time. Figures are the medians; what was
    /// delivered is the worst.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=21))]
    rounds: u8,
    /// Only the cases with these numbers (0 = the first; see --list). Goals of other cases are left out.
    #[arg(long, value_delimiter = ',')]
    only: Vec<usize>,
    /// Print the cases and end.
    #[arg(long)]
    list: bool,
    /// Write the figures between the marks of this document.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    match (words.next().as_deref(), words.next()) {
        (Some(floor::SENDER), Some(seconds)) => return floor::send(seconds.parse()?),
        (Some(floor::READERS), Some(sockets)) => return floor::read(sockets.parse()?),
        _ => {}
    }
    let arguments = Arguments::parse();
    bench(&arguments)
}

fn bench(arguments: &Arguments) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let processors = Processors::allowed()?;
    let cases = cases::ALL.iter().copied().enumerate();
    if arguments.list {
        for (index, Case { name, viewers, .. }) in cases {
            writeln!(out, "{index:>3}  {name}, {viewers} viewers")?;
        }
        return Ok(());
    }
    let cases: Vec<(usize, Case)> =
        cases.filter(|(index, _)| arguments.only.is_empty() || arguments.only.contains(index)).collect();
    let mut measured: Vec<Vec<Row>> = vec![Vec::new(); cases.len()];
    for _ in 0..arguments.rounds {
        for ((index, case), rounds) in cases.iter().zip(&mut measured) {
            let row =
                run::run(&arguments.program, *case, Duration::from_secs(arguments.seconds), &processors)?;
            writeln!(
                out,
                "{index:>3}  {}, {} viewers: {:.2} us a packet, floor {:.2}, generator {:.0} % busy, dropped {} itself",
                case.name, case.viewers, row.cost_us, row.floor_us, row.generator_busy, row.generator_drops
            )?;
            for warning in &row.warnings {
                writeln!(out, "     careful: {warning}")?;
            }
            rounds.push(row);
        }
    }
    let rows: Vec<Row> = measured.iter().filter_map(|rounds| Row::median(rounds)).collect();
    let (table, goals) = (report::table(&rows), report::goals(&rows));
    let machine = run::machine(&processors);
    let (seconds, rounds) = (arguments.seconds, arguments.rounds);
    let mut options = format!("--seconds {seconds} --rounds {rounds}");
    if !arguments.only.is_empty() {
        let only: Vec<String> = arguments.only.iter().map(ToString::to_string).collect();
        options.push_str(&format!(" --only {}", only.join(",")));
    }
    let figures = format!(
        "Measured on {} with `make bench ARGS=\"{options}\"` (medians of the rounds): {machine}.\n\n{table}\n{goals}{}",
        today(),
        report::rounds(&measured),
    );
    writeln!(out, "\n{figures}")?;
    if let Some(path) = &arguments.write {
        report::write(path, &figures)?;
    }
    Ok(())
}

/// The date, UTC, as `2025-01-31`.
fn today() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(
        |_| "an unknown day".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
