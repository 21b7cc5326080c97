//! The reference, one page for all commands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use super::notes::{Note, notes};
use super::{arguments, is_global, name, usage, with_all_below};

const BEGIN: &str = "\
# Command reference

<!-- Made by `cargo xtask generate` from the definition of the command line. Change that instead. -->

Every command, flag and variable. `countersign COMMAND --help` says the same, and so do the manual pages in
[`man`](../man). What can stand in a file instead is in [configuration.md](configuration.md).

";

/// The whole page.
pub(super) fn page(definition: &Command) -> String {
    let all = with_all_below(definition);
    let mut page = BEGIN.to_owned();
    page.push_str("## Commands\n\n| command | what it does |\n|---|---|\n");
    for command in all.iter().skip(1) {
        let name = name(command);
        let anchor = name.replace(' ', "-");
        let _ = writeln!(page, "| [`{name}`](#{anchor}) | {} |", about(command));
    }
    let _ = write!(
        page,
        "\n## Global options\n\nThese stand before the name of a command, or after it{}.\n\n",
        exceptions(&all)
    );
    for argument in arguments(definition).filter(|it| is_global(it)) {
        page.push_str(&item(argument));
    }
    page.push_str("\n## Variables\n\n| variable | stands for |\n|---|---|\n");
    for (variable, flags) in variables(&all) {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let _ = writeln!(page, "| `{variable}` | {} |", flags.join(", "));
    }
    page.push_str(
        "\nA flag wins over its variable. Those that stand for no flag are in \
         [configuration.md](configuration.md#keys).\n",
    );
    let (codes, others) = exit_codes(definition);
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in codes {
        let _ = writeln!(page, "| {code} | {meaning} |");
    }
    for note in others {
        let _ = write!(page, "\n{}", paragraph(&note));
    }
    for command in all.iter().skip(1) {
        page.push_str(&section(command));
    }
    page
}

/// The commands that do not take what all others do, as the end of a sentence.
fn exceptions(all: &[&Command]) -> String {
    let lacks =
        |command: &&&Command| !command.has_subcommands() && !arguments(command).any(is_global);
    let names = all
        .iter()
        .filter(lacks)
        .map(|it| format!("`{}`", it.get_name()));
    match names.collect::<Vec<String>>().join(" and ") {
        none if none.is_empty() => none,
        names => format!(" (not after {names})"),
    }
}

/// What a command takes beside what every command does.
fn section(command: &Command) -> String {
    let mut text = format!("\n## `{}`\n\n{}.\n", name(command), about(command));
    let _ = write!(text, "\n```text\n{}\n```\n", usage(command));
    let aliases: Vec<String> = command
        .get_visible_aliases()
        .map(|alias| format!("`{alias}`"))
        .collect();
    if !aliases.is_empty() {
        let _ = writeln!(text, "\nAlso: {}.", aliases.join(", "));
    }
    let mut groups: Vec<(&str, Vec<&Arg>)> = Vec::new();
    for argument in arguments(command).filter(|it| !is_global(it)) {
        let heading = match argument.get_help_heading() {
            Some(heading) => heading,
            None if argument.is_positional() => "Arguments",
            None => "Options",
        };
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, arguments)) => arguments.push(argument),
            None => groups.push((heading, vec![argument])),
        }
    }
    // What nearly every call has comes first, then what is special.
    groups.sort_by_key(|(heading, _)| match *heading {
        "Arguments" => 0,
        "Options" => 1,
        _ => 2,
    });
    for (heading, arguments) in groups {
        let _ = write!(text, "\n**{heading}**\n\n");
        text.extend(arguments.into_iter().map(item));
    }
    for note in notes(command) {
        let _ = write!(text, "\n{}", paragraph(&note));
    }
    text
}

/// One argument, as an item of a list.
fn item(argument: &Arg) -> String {
    let mut text = format!("- {}: {}", spelled(argument), plain(&help(argument)));
    let mut more = Vec::new();
    let values: Vec<_> = argument.get_possible_values();
    let shown: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    let explained = shown.iter().any(|value| value.get_help().is_some());
    let takes = argument.get_action().takes_values() && !argument.is_hide_possible_values_set();
    if takes && !explained && !shown.is_empty() {
        let words: Vec<String> = shown
            .iter()
            .map(|it| format!("`{}`", it.get_name()))
            .collect();
        more.push(format!("one of {}", words.join(", ")));
    }
    if argument.get_action().takes_values() {
        for default in argument.get_default_values() {
            more.push(format!("`{}` if not given", default.display()));
        }
    }
    if let Some(variable) = argument.get_env() {
        more.push(format!("variable `{}`", variable.display()));
    }
    if !more.is_empty() {
        let _ = write!(text, " ({})", more.join("; "));
    }
    text.push('\n');
    if takes && explained {
        for value in shown {
            let about = value.get_help().map(ToString::to_string);
            let about = plain(&about.unwrap_or_default());
            let _ = writeln!(text, "  - `{}`: {about}", value.get_name());
        }
    }
    text
}

/// How an argument is written, with the names of its values.
fn spelled(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let values: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
    let values = if argument.get_action().takes_values() {
        values.join(" ")
    } else {
        String::new()
    };
    if argument.is_positional() {
        return format!("**`{values}`**");
    }
    let many = if matches!(argument.get_action(), ArgAction::Count) {
        "..."
    } else {
        ""
    };
    let counted = argument.get_num_args();
    let value = match counted.map(|range| range.min_values()) {
        _ if values.is_empty() => String::new(),
        Some(0) => format!("[={values}]"),
        _ => format!(" {values}"),
    };
    let short = argument.get_short().map(|short| format!("`-{short}`"));
    let long = argument
        .get_long()
        .map(|long| format!("`--{long}{value}{many}`"));
    let ways: Vec<String> = short.into_iter().chain(long).collect();
    format!("**{}**", ways.join(", "))
}

/// Which flags a variable stands for.
fn variables(all: &[&Command]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for argument in all.iter().flat_map(|command| arguments(command)) {
        if let (Some(variable), Some(flag)) = (argument.get_env(), argument.get_long()) {
            let flags = found.entry(variable.display().to_string()).or_default();
            flags.insert(format!("`--{flag}`"));
        }
    }
    found
}

/// The paragraph about exit codes as rows, and the other paragraphs of the whole program.
fn exit_codes(definition: &Command) -> (Vec<(String, String)>, Vec<Note>) {
    let mut codes = Vec::new();
    let mut others = Vec::new();
    for note in notes(definition) {
        match &note {
            Note::Text(text) if text.starts_with("Exit codes: ") => {
                let list = text
                    .trim_start_matches("Exit codes: ")
                    .trim_end_matches('.');
                let pairs = list.split(", ").filter_map(|entry| entry.split_once(' '));
                codes.extend(pairs.map(|(code, meaning)| (code.to_owned(), meaning.to_owned())));
            }
            _ => others.push(note),
        }
    }
    assert!(!codes.is_empty(), "the program's help lists no exit codes");
    (codes, others)
}

fn paragraph(note: &Note) -> String {
    match note {
        Note::Text(text) => format!("{}\n", plain(text)),
        Note::Example(lines) => format!("```text\n{}\n```\n", lines.join("\n")),
    }
}

fn about(command: &Command) -> String {
    plain(
        &command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default(),
    )
}

fn help(argument: &Arg) -> String {
    argument
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The text as itself, whatever Markdown would make of it. What stands between backticks is left alone.
fn plain(text: &str) -> String {
    let mut parts = text.split('`');
    let mut plain = String::new();
    while let Some(outside) = parts.next() {
        plain.push_str(
            &outside
                .replace('*', "\\*")
                .replace('<', "\\<")
                .replace('|', "\\|"),
        );
        if let Some(inside) = parts.next() {
            let _ = write!(plain, "`{inside}`");
        }
    }
    plain
}
