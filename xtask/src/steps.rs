//! Runs the steps of a command: each says its name before and its time after, a failure does not
//! hide the next one, and the end says plainly what failed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Why a step failed: lines for a person.
pub(crate) type Failure = String;

#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Done>,
}

#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    failure: Option<Failure>,
}

impl Steps {
    /// Runs a step, whatever became of the ones before. Returns whether it succeeded, for a step
    /// without which the next ones make no sense.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<(), Failure>) -> bool {
        println!("\n== {name}");
        let begin = Instant::now();
        let failure = step().err();
        let took = begin.elapsed();
        match &failure {
            None => println!("== {name}: ok, {:.1} s", took.as_secs_f32()),
            Some(failure) => {
                println!("== {name}: FAILED, {:.1} s\n{failure}", took.as_secs_f32());
            }
        }
        let succeeded = failure.is_none();
        self.done.push(Done {
            name: name.to_owned(),
            took,
            failure,
        });
        succeeded
    }

    /// Prints the table of steps and, once more, each failure.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n== summary");
        for Done {
            name,
            took,
            failure,
        } in &self.done
        {
            let verdict = if failure.is_none() { "ok" } else { "FAILED" };
            println!("{:>7.1} s  {verdict:<6}  {name}", took.as_secs_f32());
        }
        let total: Duration = self.done.iter().map(|done| done.took).sum();
        println!("{:>7.1} s  in all", total.as_secs_f32());
        let mut code = ExitCode::SUCCESS;
        for Done { name, failure, .. } in &self.done {
            if let Some(failure) = failure {
                eprintln!("\nfailed: {name}\n{failure}");
                code = ExitCode::FAILURE;
            }
        }
        code
    }
}
