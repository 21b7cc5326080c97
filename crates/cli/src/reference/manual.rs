//! A page of the manual, in the language of `man`.

use std::fmt::Write as _;

use clap::{Arg, Command};
use clap_mangen::Man;

use super::notes::{Note, notes};
use super::{arguments, is_shown, usage};

/// The page of one command.
pub(super) fn page(command: &Command) -> String {
    // In one line, as in help; otherwise every flag would stand there.
    let described = command.clone().override_usage(usage(command));
    // Neither date nor version: a page changes when what it says does.
    let man = Man::new(described)
        .source("countersign")
        .manual("Countersign");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    let mut page = String::from_utf8(page).unwrap();
    let below: Vec<&Command> = command
        .get_subcommands()
        .filter(|it| is_shown(it))
        .collect();
    if !below.is_empty() {
        page.push_str(".SH COMMANDS\n");
        for command in below {
            let about = command.get_about().map(ToString::to_string);
            let page_of_it = super::name(command).replace(' ', "-");
            let _ = writeln!(page, ".TP\n\\fB{}\\fR(1)", escaped(&page_of_it));
            let _ = writeln!(page, "{}", escaped(&about.unwrap_or_default()));
        }
    }
    let with_variable: Vec<&Arg> = arguments(command)
        .filter(|it| it.get_env().is_some())
        .collect();
    if !with_variable.is_empty() {
        page.push_str(".SH ENVIRONMENT\n");
    }
    for argument in with_variable {
        let variable = argument.get_env().unwrap_or_default().display();
        let flag = argument.get_long().unwrap_or_default();
        let _ = writeln!(page, ".TP\n\\fB{}\\fR", escaped(&variable.to_string()));
        let _ = writeln!(page, "Stands for {}", escaped(&format!("--{flag}.")));
    }
    let notes = notes(command);
    if !notes.is_empty() {
        page.push_str(".SH NOTES\n");
    }
    for note in notes {
        match note {
            Note::Text(text) => {
                let _ = writeln!(page, ".PP\n{}", escaped(&text));
            }
            Note::Example(lines) => {
                page.push_str(".PP\n.RS 4\n.nf\n");
                for line in lines {
                    let _ = writeln!(page, "{}", escaped(&line));
                }
                page.push_str(".fi\n.RE\n");
            }
        }
    }
    page
}

/// The text as itself, whatever `man` would make of it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}
