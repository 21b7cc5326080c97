//! `countersign credential git`: the real git at an HTTPS server that demands the token.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_testkit::{Finished, Program};

use crate::desk::Desk;
use crate::https::{Answer, Asked, Https};

/// A server with one repository, which it gives to those who have what `expected` says.
fn server(desk: &Desk, challenge: &'static str, expected: String) -> Https {
    let repository = repository(desk);
    Https::start(desk.home.path(), move |asked: &Asked| -> Answer {
        if asked.header("authorization") != Some(expected.as_str()) {
            let fields = vec![("www-authenticate", challenge.to_owned())];
            return (401, fields, Vec::new());
        }
        let path = asked.target.split('?').next().unwrap_or_default();
        match fs::read(repository.join(path.trim_start_matches("/team.git/"))) {
            Ok(file) => (200, Vec::new(), file),
            Err(_) => (404, Vec::new(), Vec::new()),
        }
    })
}

/// A repository with one commit, as files that any web server can serve.
fn repository(desk: &Desk) -> PathBuf {
    let bare = desk.home.path().join("served.git");
    if bare.exists() {
        return bare;
    }
    let work = desk.home.path().join("work");
    let git = |directory: &Path, arguments: &[&str]| {
        Program::new("git")
            .home(&desk.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .arg("-C")
            .arg(directory)
            .args(arguments)
            .run()
            .expect_code(0)
    };
    fs::create_dir(&work).expect("the home can be written");
    git(&work, &["init", "-q"]);
    git(&work, &["commit", "-q", "--allow-empty", "-m", "one"]);
    let target = bare.to_string_lossy().into_owned();
    git(&work, &["clone", "-q", "--bare", ".", &target]);
    git(&bare, &["update-server-info"]);
    bare
}

/// Runs git with the helper for this server, called in this way.
fn git(desk: &Desk, server: &Https, helper: &str, arguments: &[&str]) -> Finished {
    let configuration = format!(
        "[credential \"https://{}\"]\n\thelper = {helper}\n[http]\n\tsslCAInfo = {}\n",
        server.host(),
        server.ca_file().display()
    );
    let file = desk.home.path().join("gitconfig");
    fs::write(&file, configuration).expect("the home can be written");
    let path = std::env::var("PATH").unwrap_or_default();
    Program::new("git")
        .home(&desk.home)
        .env("GIT_CONFIG_GLOBAL", file)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_TRACE", "1")
        .env("PATH", format!("{}:{path}", desk.home.path().display()))
        .args(arguments)
        .run()
}

fn helper() -> String {
    format!("\"!{} credential git\"", env!("CARGO_BIN_EXE_countersign"))
}

fn name(desk: &Desk, host: &str) {
    desk.configure(&format!(
        "[profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n\
         [profile.default.git]\nhosts = [\"{host}\"]\n"
    ));
}

fn has_authtype() -> bool {
    let version = Program::new("git").arg("version").run().stdout;
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty());
    let mut next = || {
        numbers
            .next()
            .and_then(|n| n.parse::<u32>().ok())
            .unwrap_or(0)
    };
    (next(), next()) >= (2, 46)
}

#[test]
fn git_gets_the_token_as_a_password() {
    let desk = Desk::signed_in();
    let token = desk.run_silently("token");
    let basic = STANDARD.encode(format!("oauth2:{}", token.trim_end()));
    let server = server(&desk, "Basic realm=\"team\"", format!("Basic {basic}"));
    name(&desk, &server.host());
    let url = format!("https://{}/team.git", server.host());
    let clone = desk
        .home
        .path()
        .join("clone")
        .to_string_lossy()
        .into_owned();
    let done = git(&desk, &server, &helper(), &["clone", &url, &clone]).expect_code(0);
    // The trace names every process that git starts, with its arguments.
    assert!(
        done.stderr.contains("credential git get"),
        "{}",
        done.stderr
    );
    desk.no_secret_is_in(&done.stderr);
    assert!(Path::new(&clone).join(".git/HEAD").exists());
}

#[test]
fn git_finds_the_helper_by_its_name_alone() {
    let desk = Desk::signed_in();
    let link = desk.home.path().join("git-credential-countersign");
    symlink(env!("CARGO_BIN_EXE_countersign"), link).unwrap();
    let token = desk.run_silently("token");
    let basic = STANDARD.encode(format!("oauth2:{}", token.trim_end()));
    let server = server(&desk, "Basic realm=\"team\"", format!("Basic {basic}"));
    name(&desk, &server.host());
    let url = format!("https://{}/team.git", server.host());
    let done = git(&desk, &server, "countersign", &["ls-remote", &url]).expect_code(0);
    assert!(done.stdout.contains("HEAD"), "{}", done.stdout);
}

#[test]
fn a_server_that_offers_bearer_gets_a_bearer_token() {
    let desk = Desk::signed_in();
    let token = desk.run_silently("token");
    let expected = format!("Bearer {}", token.trim_end());
    let server = server(
        &desk,
        "Bearer realm=\"team\", Basic realm=\"team\"",
        expected,
    );
    name(&desk, &server.host());
    let url = format!("https://{}/team.git", server.host());
    let done = git(&desk, &server, &helper(), &["ls-remote", &url]);
    if has_authtype() {
        assert!(done.expect_code(0).stdout.contains("HEAD"));
    } else {
        done.expect_code(128);
    }
}

#[test]
fn a_host_that_no_profile_names_gets_nothing() {
    let desk = Desk::signed_in();
    let server = server(&desk, "Basic realm=\"team\"", "nothing".to_owned());
    name(&desk, "git.example.com");
    let url = format!("https://{}/team.git", server.host());
    git(&desk, &server, &helper(), &["ls-remote", &url]).expect_code(128);
    let sent = server.asked();
    assert!(!sent.is_empty() && sent.iter().all(|asked| asked.method == "GET"));
    assert!(
        sent.iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

#[test]
fn who_is_not_signed_in_is_told_what_to_type_and_asked_for_no_password() {
    let desk = Desk::with_profile();
    let server = server(&desk, "Basic realm=\"team\"", "nothing".to_owned());
    name(&desk, &server.host());
    let url = format!("https://{}/team.git", server.host());
    let done = git(&desk, &server, &helper(), &["ls-remote", &url]).expect_code(128);
    assert!(
        done.stderr.contains("hint: countersign login\n"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("told us to quit"), "{}", done.stderr);
}

#[test]
fn a_token_that_is_not_taken_is_said_to_be_one() {
    let desk = Desk::signed_in();
    let server = server(&desk, "Basic realm=\"team\"", "nothing".to_owned());
    name(&desk, &server.host());
    let url = format!("https://{}/team.git", server.host());
    let done = git(&desk, &server, &helper(), &["ls-remote", &url]).expect_code(128);
    let said = "did not take the token";
    assert!(done.stderr.contains(said), "{}", done.stderr);
    desk.no_secret_is_in(&done.stderr);
    // The session is not ended by it.
    desk.program("token").run().expect_code(0);
}

#[test]
fn what_git_is_told() {
    let mut desk = Desk::signed_in();
    let ask = |desk: &mut Desk, arguments: &str, question: &str| desk.ask(arguments, question);
    ask(
        &mut desk,
        "credential git get",
        "protocol=https\nhost=git.example.com\n",
    )
    .expect_code(0);
    desk.note("Now there are two profiles that name hosts, and a third is in use.");
    desk.configure(
        "default_profile = \"default\"\n\
         [profile.default]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n\
         git = { hosts = [\"git.example.com\"], username = \"token\" }\n\
         [profile.work]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n\
         git = { hosts = [\"git.work.example\", \"both.example\"] }\n\
         [profile.play]\nissuer = \"ISSUER\"\nclient_id = \"cli\"\n\
         git = { hosts = [\"both.example\"] }\n",
    );
    for (question, code) in [
        ("protocol=https\nhost=git.example.com\n", 0),
        ("protocol=https\nhost=git.example.com\nusername=ada\n", 0),
        ("protocol=https\nhost=elsewhere.example\n", 0),
        ("protocol=https\nhost=git.example.com:8443\n", 0),
        ("protocol=http\nhost=git.example.com:443\n", 0),
        (
            "protocol=https\nhost=git.example.com\nwwwauth[]=Bearer\n",
            1,
        ),
        ("protocol=https\nhost=git.work.example\n", 4),
        ("protocol=https\nhost=both.example\n", 7),
        ("nonsense", 0),
    ] {
        ask(&mut desk, "credential git get", question).expect_code(code);
    }
    ask(
        &mut desk,
        "-p work credential git get",
        "protocol=https\nhost=git.example.com\n",
    )
    .expect_code(0);
    for operation in ["store", "erase", "capability"] {
        let arguments = format!("credential git {operation}");
        ask(
            &mut desk,
            &arguments,
            "protocol=https\nhost=git.example.com\npassword=x\n",
        )
        .expect_code(0);
    }
    desk.check("credential-git");
}
