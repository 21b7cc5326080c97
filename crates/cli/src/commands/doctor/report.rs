//! All findings, in the order in which one thing depends on another.

use std::process::ExitCode;

use countersign_client::ExitCategory;
use serde_json::{Value, json};

use super::finding::{Finding, Level};
use crate::output::Voice;

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Adds what was found.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What is not as it should be, or good to know.
    pub(crate) fn remarkable(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.level > Level::Ok)
    }

    fn count(&self, level: Level) -> usize {
        let of_level = |finding: &&Finding| finding.level == level;
        self.findings.iter().filter(of_level).count()
    }

    /// The worst there is.
    fn worst(&self) -> Level {
        let levels = self.findings.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Ok)
    }

    /// The report for a person. `--quiet` leaves out what works.
    pub(crate) fn text(&self, voice: Voice) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            if finding.level > Level::Note || !voice.is_quiet() {
                text.push_str(&finding.text(voice.paint()));
            }
        }
        text.push_str(&self.summary());
        text
    }

    /// One line for all of it.
    pub(crate) fn summary(&self) -> String {
        let counted = |number: usize, word: &str| match number {
            1 => format!("1 {word}"),
            _ => format!("{number} {word}s"),
        };
        let (faults, warnings) = (self.count(Level::Fault), self.count(Level::Warning));
        match (faults, warnings) {
            (0, 0) => "Nothing is wrong.\n".to_owned(),
            (0, _) => format!("It works, with {}.\n", counted(warnings, "warning")),
            (_, 0) => format!("Found {}.\n", counted(faults, "fault")),
            _ => format!(
                "Found {} and {}.\n",
                counted(faults, "fault"),
                counted(warnings, "warning")
            ),
        }
    }

    /// The findings for a program, with what they are about.
    pub(crate) fn json(&self, about: &Value) -> Value {
        let findings: Vec<Value> = self.findings.iter().map(Finding::json).collect();
        json!({
            "about": about,
            "worst": self.worst().word(),
            "findings": findings,
        })
    }

    /// Whether something does not work.
    pub(crate) fn is_faulty(&self) -> bool {
        self.worst() == Level::Fault
    }

    /// What the first fault makes the command leave with: what comes after it may only follow from it.
    pub(crate) fn exit(&self) -> ExitCategory {
        let fault = |finding: &&Finding| finding.level == Level::Fault;
        let first = self.findings.iter().find(fault);
        first.map_or(ExitCategory::Failure, |finding| finding.exit)
    }

    /// The exit code of the whole.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_faulty() {
            ExitCode::from(self.exit().exit_code())
        } else {
            ExitCode::SUCCESS
        }
    }
}
