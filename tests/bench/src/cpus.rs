//! Who runs where: server and generator on processors of their own, so that neither is measured at the other's
//! expense.

use std::{fs, path::Path, process::Command};

use anyhow::Context;

/// A set of processors for one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement(Vec<usize>);

impl Placement {
    /// `program`, kept on these processors.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        command.arg("-c").arg(self.to_string()).arg(program);
        command
    }

    /// How many processors.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Display for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(","))
    }
}

/// The processors this process may use, dealt out.
#[derive(Clone, Debug)]
pub(crate) struct Processors(Vec<usize>);

impl Processors {
    /// Reads the inherited mask.
    ///
    /// # Errors
    /// When `/proc` does not tell.
    pub(crate) fn allowed() -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .context("the processors this process may use")?;
        parse(list.trim()).map(Self).context("a list of processors")
    }

    /// The first `count`, for a server with so many workers.
    pub(crate) fn server(&self, count: usize) -> Placement {
        Placement(self.0[..count.clamp(1, self.0.len())].to_vec())
    }

    /// All others, for the generator; the last one where the server has them all.
    pub(crate) fn generator(&self, server: &Placement) -> Placement {
        let rest: Vec<usize> = self.0.iter().copied().filter(|cpu| !server.0.contains(cpu)).collect();
        if rest.is_empty() {
            Placement(self.0.last().copied().into_iter().collect())
        } else {
            Placement(rest)
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// `0-2,5` as numbers.
fn parse(list: &str) -> Option<Vec<usize>> {
    let mut processors = Vec::new();
    for part in list.split(',') {
        match part.split_once('-') {
            Some((first, last)) => processors.extend(first.parse::<usize>().ok()?..=last.parse().ok()?),
            None => processors.push(part.parse().ok()?),
        }
    }
    (!processors.is_empty()).then_some(processors)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(parse("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse("7"), Some(vec![7]));
        assert_eq!(parse(""), None);
        assert_eq!(parse("a-b"), None);
    }

    #[test]
    fn server_and_generator_are_apart_where_they_can_be() {
        let all = Processors(vec![2, 3, 6]);
        let one = all.server(1);
        assert_eq!((one.to_string().as_str(), all.generator(&one).to_string().as_str()), ("2", "3,6"));
        let three = all.server(9);
        assert_eq!((three.count(), all.generator(&three).to_string().as_str()), (3, "6"));
    }
}
