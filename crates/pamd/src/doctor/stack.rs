//! The stack of a service in `/etc/pam.d`: whether the module is in it, and in the right place.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Finding, broken, good, odd};
use crate::login::begins_session;

const MODULE: &str = "pam_countersign.so";
/// Stacks include each other; nobody nests them deeper.
const DEEPEST: usize = 4;

/// Where distributions keep modules: below one of these, or below a directory for the architecture in it.
const LIBRARIES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/lib", "/lib64"];

/// Looks at the module itself.
pub(super) fn module() -> Finding {
    let roots = LIBRARIES.map(PathBuf::from);
    let below = roots
        .iter()
        .filter_map(|root| fs::read_dir(root).ok())
        .flatten();
    let below = below.flatten().map(|entry| entry.path());
    let mut places = roots.iter().cloned().chain(below);
    let found = places.find_map(|place| {
        let path = place.join("security").join(MODULE);
        fs::metadata(&path).ok().map(|metadata| (path, metadata))
    });
    let Some((path, metadata)) = found else {
        let hint = "install the package that has it, or name its full path in /etc/pam.d";
        return odd(format!("{MODULE} is not where PAM looks for modules"), hint);
    };
    let shown = path.display();
    if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        let what = format!("others than root can change {shown}");
        return broken(what, format!("chown root: {shown} && chmod 0644 {shown}"));
    }
    good(format!("{shown} is root's"))
}

/// One line of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: String,
    control: String,
    module: String,
}

/// Looks at the stack of `service` in `directory`.
pub(super) fn examine(directory: &Path, service: &str) -> Vec<Finding> {
    let mut entries = Vec::new();
    if !read(directory, service, None, 0, &mut entries) {
        let hint = format!(
            "copy the lines of the guide into {}/{service}",
            directory.display()
        );
        return vec![broken(format!("PAM has no stack for {service}"), hint)];
    }
    judge(service, &entries)
}

/// Reads a stack with those that it includes; only lines of `kind` where one is wanted.
fn read(
    directory: &Path,
    name: &str,
    kind: Option<&str>,
    depth: usize,
    entries: &mut Vec<Entry>,
) -> bool {
    let plain = !name.is_empty() && !name.contains('/') && depth < DEEPEST;
    let text = plain
        .then(|| fs::read_to_string(directory.join(name)).ok())
        .flatten();
    let Some(text) = text else { return false };
    for line in text.replace("\\\n", " ").lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        match words.next() {
            None => {}
            Some("@include") => {
                let other = words.next().unwrap_or_default();
                read(directory, other, kind, depth + 1, entries);
            }
            Some(first) => {
                let own = first.trim_start_matches('-').to_ascii_lowercase();
                if kind.is_some_and(|kind| kind != own) {
                    continue;
                }
                let (control, module) = control(&mut words);
                if matches!(control.as_str(), "include" | "substack") {
                    read(directory, &module, Some(&own), depth + 1, entries);
                } else {
                    entries.push(Entry {
                        kind: own,
                        control,
                        module,
                    });
                }
            }
        }
    }
    true
}

/// The control, which may be several words in brackets, and the module.
fn control<'l>(words: &mut impl Iterator<Item = &'l str>) -> (String, String) {
    let mut control = words.next().unwrap_or_default().to_owned();
    while control.starts_with('[') && !control.ends_with(']') {
        let Some(word) = words.next() else { break };
        control.push(' ');
        control.push_str(word);
    }
    let module = words.next().unwrap_or_default();
    let module = module.rsplit('/').next().unwrap_or_default();
    (control, module.to_owned())
}

fn judge(service: &str, entries: &[Entry]) -> Vec<Finding> {
    let at = |kind: &str, module: &str| {
        let mut same = entries.iter().filter(|entry| entry.kind == kind);
        same.position(|entry| entry.module == module)
    };
    let ours = |kind: &str| {
        let mut lines = entries.iter();
        lines.find(|entry| entry.kind == kind && entry.module == MODULE)
    };
    let mut findings = Vec::new();
    match ours("auth") {
        None => findings.push(broken(
            format!("{service}: {MODULE} is not in its auth lines"),
            format!("auth [success=done default=die] {MODULE} in /etc/pam.d/{service}, before all others"),
        )),
        Some(entry) if may_go_on(&entry.control) => findings.push(odd(
            format!(
                "{service}: after a refusal of {MODULE} ({}) the next auth line may let in",
                entry.control
            ),
            format!("auth [success=done default=die] {MODULE}"),
        )),
        Some(_) => findings.push(good(format!("{service}: {MODULE} decides about sign-ins"))),
    }
    // The guide leaves the account and the session of these to others.
    if !begins_session(service) || service == "login" {
        return findings;
    }
    for kind in ["account", "session"] {
        findings.push(match ours(kind) {
            Some(entry) if entry.control == "required" || entry.control == "requisite" => good(
                format!("{service}: {MODULE} is required in its {kind} lines"),
            ),
            Some(entry) => odd(
                format!(
                    "{service}: {MODULE} is {} in its {kind} lines",
                    entry.control
                ),
                format!("{kind} required {MODULE}"),
            ),
            None => broken(
                format!("{service}: {MODULE} is not in its {kind} lines"),
                format!("{kind} required {MODULE} in /etc/pam.d/{service}"),
            ),
        });
    }
    let (loginuid, session) = (at("session", "pam_loginuid.so"), at("session", MODULE));
    if session.is_some() && loginuid.is_none_or(|place| Some(place) > session) {
        findings.push(odd(
            format!(
                "{service}: pam_loginuid.so does not come before {MODULE} in the session lines"
            ),
            "session required pam_loginuid.so, above it: by it the processes of a login are known",
        ));
    }
    findings
}

/// Whether the stack goes on after a refusal and may still end well.
fn may_go_on(control: &str) -> bool {
    let dies = matches!(control, "requisite" | "required")
        || (control.starts_with('[')
            && (control.contains("default=die") || control.contains("default=bad")));
    !dies
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# sign-in\nauth [success=done default=die] pam_countersign.so\n\
                        @include common-account\n\
                        session required pam_loginuid.so\n\
                        session required pam_countersign.so\n";

    fn words(stack: &str) -> String {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("sshd"), stack).unwrap();
        fs::write(
            home.path().join("common-account"),
            "account required /lib/security/pam_countersign.so\n@include common-account\n",
        )
        .unwrap();
        format!("{:?}", examine(home.path(), "sshd"))
    }

    #[test]
    fn the_module_has_to_be_in_its_places() {
        let said = words(GOOD);
        assert!(!said.contains("Broken") && !said.contains("Odd"), "{said}");
        for (from, to, says) in [
            (
                "auth [success=done default=die] pam_countersign.so\n",
                "",
                "not in its auth lines",
            ),
            ("[success=done default=die]", "sufficient", "may let in"),
            (
                "[success=done default=die]",
                "[success=done default=ignore]",
                "may let in",
            ),
            ("@include common-account", "", "not in its account lines"),
            (
                "session required pam_countersign.so",
                "session optional pam_countersign.so",
                "is optional",
            ),
            (
                "session required pam_loginuid.so\n",
                "",
                "pam_loginuid.so does not come before",
            ),
        ] {
            let said = words(&GOOD.replace(from, to));
            assert!(said.contains(says), "{from} -> {to}: {said}");
        }
        let home = tempfile::tempdir().unwrap();
        let auth = "auth [success=done default=die] pam_countersign.so\n";
        for service in ["sudo", "other"] {
            fs::write(home.path().join(service), auth).unwrap();
        }
        let said = |service| format!("{:?}", examine(home.path(), service));
        assert!(!said("sudo").contains("Broken"), "{}", said("sudo"));
        assert!(said("other").contains("not in its account lines"));
        assert!(matches!(
            &examine(home.path(), "sshd")[0],
            Finding::Broken(..)
        ));
        assert!(matches!(
            &examine(home.path(), "../x")[0],
            Finding::Broken(..)
        ));
    }
}
