//! The pages that are made from the definition of the command line: `docs/reference.md` for people who
//! read, and `man` for those who type.
//!
//! A test makes them, so that no program that is shipped carries what it takes. It compares them with
//! the files there are; `cargo xtask generate` has it write them instead.
//!
//! Not responsible for a single word on these pages: they stand in `args`.

mod manual;
mod markdown;
mod notes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory as _};

use crate::args::Cli;

/// Set by whoever wants the files to be written.
const WRITE: &str = "UPDATE_GENERATED";
/// What the arguments that every command takes stand under.
const GLOBAL: &str = "Global options";

/// The whole definition, nothing in it deferred any more.
fn definition() -> Command {
    let mut definition = Cli::command();
    definition.build();
    definition
}

/// The command, and all below it, in the order in which help lists them.
fn with_all_below(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|it| is_shown(it));
    let below = below.flat_map(with_all_below);
    std::iter::once(command).chain(below).collect()
}

/// `help` is everywhere, and says nothing of its own.
fn is_shown(command: &Command) -> bool {
    command.get_name() != "help" && !command.is_hide_set()
}

/// The name as one types it.
fn name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}

/// What is shown of its arguments, whether they are its own or every command's.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let arguments = command.get_arguments();
    arguments.filter(|it| !it.is_hide_set() && it.get_id() != "help" && it.get_id() != "version")
}

fn is_global(argument: &Arg) -> bool {
    argument.get_help_heading() == Some(GLOBAL)
}

/// How it is called, in one line.
fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let words: Vec<&str> = usage.split_whitespace().skip(1).collect();
    words.join(" ")
}

/// Every page, by its path from the root of the sources.
fn pages() -> BTreeMap<PathBuf, String> {
    let definition = definition();
    let mut pages: BTreeMap<PathBuf, String> = with_all_below(&definition)
        .into_iter()
        .map(|command| {
            let file = format!("man/{}.1", name(command).replace(' ', "-"));
            (file.into(), manual::page(command))
        })
        .collect();
    let reference = markdown::page(&definition);
    pages.insert("docs/reference.md".into(), reference);
    pages
}

/// The manual pages that are there.
fn manual_pages(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("man")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names.map(|name| Path::new("man").join(name)).collect()
}

#[test]
fn the_pages_are_those_of_the_definition() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = pages();
    let stale: Vec<PathBuf> = manual_pages(&root)
        .into_iter()
        .filter(|path| !pages.contains_key(path))
        .collect();
    if std::env::var_os(WRITE).is_some() {
        fs::create_dir_all(root.join("man")).unwrap();
        for (path, text) in &pages {
            fs::write(root.join(path), text).unwrap();
        }
        for path in &stale {
            fs::remove_file(root.join(path)).unwrap();
        }
        return;
    }
    let differs = |(path, text): (&PathBuf, &String)| {
        let there = fs::read_to_string(root.join(path)).unwrap_or_default();
        (there != *text).then(|| path.clone())
    };
    let wrong: Vec<PathBuf> = pages.iter().filter_map(differs).chain(stale).collect();
    assert!(
        wrong.is_empty(),
        "these are not as the definition has them: {wrong:?}\nto write them: cargo xtask generate"
    );
}
