//! Every command there is, and how to run it so that it has secrets in its hands.

use std::collections::BTreeSet;

use super::canary::Kind;
use crate::desk::Desk;

/// One run of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// With `API` and `STS` for servers, and `NEW` for a profile that is not there.
    pub(crate) arguments: &'static str,
    /// With `TOKEN` for the access token.
    pub(crate) stdin: &'static str,
    /// What is asked for, and so may be on standard output.
    pub(crate) asked_for: &'static [Kind],
    /// What it leaves with where all goes well; nothing where that depends on what is installed.
    pub(crate) code: Option<i32>,
}

const GIT: &str = "protocol=https\nhost=git.example.com\n";
const GIT_TOLD: &str = "protocol=https\nhost=git.example.com\nusername=oauth2\npassword=TOKEN\n";
/// What docker brings from elsewhere.
pub(crate) const DOCKER_SECRET: &str = "canary-docker-secret-51d0c2";
const DOCKER_TOLD: &str = "{\"ServerURL\":\"https://git.example.com\",\"Username\":\"ada\",\
     \"Secret\":\"canary-docker-secret-51d0c2\"}";

pub(crate) const fn run(arguments: &'static str) -> Run {
    Run {
        arguments,
        stdin: "",
        asked_for: &[],
        code: Some(0),
    }
}

const fn gives(arguments: &'static str, asked_for: &'static [Kind]) -> Run {
    Run {
        asked_for,
        ..run(arguments)
    }
}

/// The answer is no: an opaque token cannot be read, and somebody else's secret is not kept.
const fn refused(run: Run) -> Run {
    Run {
        code: Some(1),
        ..run
    }
}

/// The answer is that a person has to do something.
const fn asks_a_person(run: Run) -> Run {
    Run {
        code: Some(8),
        ..run
    }
}

/// It takes another program, or another account, to do it.
const fn perhaps(run: Run) -> Run {
    Run { code: None, ..run }
}

const fn told(run: Run, stdin: &'static str) -> Run {
    Run { stdin, ..run }
}

/// The runs, in the order of a session's life.
pub(crate) const RUNS: &[Run] = &[
    run("login --qr never"),
    gives("token", &[Kind::Access]),
    gives("token --force-refresh", &[Kind::Access]),
    gives("token -o json --min-ttl 5m", &[Kind::Access]),
    gives("token --id-token", &[Kind::Id]),
    run("status"),
    run("status --json --verify"),
    run("whoami --verify"),
    refused(run("inspect")),
    run("inspect --id-token --json"),
    perhaps(run("switch")),
    perhaps(run("trust HOME")),
    told(refused(run("inspect -")), "TOKEN"),
    run("curl API/items -s -v"),
    asks_a_person(run("curl --no-input API/confirmed -s -v")),
    run("stepup --max-age 1h"),
    asks_a_person(run("stepup --no-input API/confirmed")),
    run("exec --env API_TOKEN -- true"),
    run("exec --proxy API_URL=https://localhost:9 -- true"),
    run("proxy --until-stdin-ends https://localhost:9/v1"),
    gives("credential kubernetes", &[Kind::Id]),
    gives("credential kubernetes --access-token", &[Kind::Access]),
    told(gives("credential git get", &[Kind::Access]), GIT),
    told(run("credential git store"), GIT_TOLD),
    told(run("credential git erase"), GIT_TOLD),
    told(
        gives("credential docker get", &[Kind::Access]),
        "git.example.com",
    ),
    run("credential docker list"),
    told(refused(run("credential docker store")), DOCKER_TOLD),
    told(refused(run("credential docker erase")), "git.example.com"),
    gives("credential aws", &[Kind::Aws]),
    gives("credential aws --force-refresh", &[Kind::Aws]),
    run("credential install git"),
    run("credential install docker --bin-dir HOME"),
    run("credential install aws --region eu-central-1"),
    perhaps(run("credential install kubernetes")),
    run("credential uninstall git"),
    run("credential uninstall docker --bin-dir HOME"),
    run("credential uninstall aws"),
    perhaps(run("credential uninstall kubernetes")),
    run("setup okta --print --org acme"),
    run("doctor"),
    run("doctor --json --offline"),
    run("profile add NEW --issuer ISSUER --client-id other"),
    run("profile list --json"),
    run("profile show"),
    run("config show --json"),
    run("config show --origin"),
    run("config path"),
    run("profile use default"),
    run("profile rm NEW"),
    run("store migrate --to kernel-key"),
    gives("token --force-refresh -o header", &[Kind::Access]),
    run("store migrate --to file"),
    run("completion bash"),
    run("version"),
    run("logout"),
];

impl Run {
    /// Whether it has anything to do with a server or a session.
    pub(crate) fn has_secrets(&self) -> bool {
        let none = [
            "credential install",
            "credential uninstall",
            "setup",
            "profile",
            "config",
            "completion",
            "version",
        ];
        !none
            .iter()
            .any(|command| self.arguments.starts_with(command))
    }
}

/// The commands that the program says it has, by its help, which is made from the definition of the
/// flags: the whole path of each that does something.
pub(crate) fn leaves(desk: &Desk) -> BTreeSet<String> {
    let mut leaves = BTreeSet::new();
    let mut open = vec![String::new()];
    while let Some(path) = open.pop() {
        let help = desk.program(&format!("{path} --help")).run().expect_code(0);
        let list = help.stdout.split_once("Commands:\n").map(|(_, list)| list);
        let list = list.unwrap_or_default().split("\n\n").next();
        let names = list.unwrap_or_default().lines().filter_map(|line| {
            // A line that goes on stands further to the right.
            let name = line.strip_prefix("  ")?.split(' ').next()?;
            (!name.is_empty() && name != "help").then(|| format!("{path} {name}"))
        });
        let names: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
        if names.is_empty() {
            leaves.insert(path);
        } else {
            open.extend(names);
        }
    }
    leaves
}
