//! `countersign credential install` and `uninstall`: what is written, and what is left alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use countersign_testkit::Program;

use crate::desk::Desk;

const PROFILE: &str =
    "# Mine.\n[profile.default]\nissuer = \"ISSUER\" # here\nclient_id = \"cli\"\n";

/// A desk at which nobody needs to be signed in.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.configure(PROFILE);
    desk.hide(env!("CARGO_BIN_EXE_countersign"), "COUNTERSIGN");
    desk
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn write(path: &Path, text: &str) {
    let directory = path.parent().expect("a file is in a directory");
    fs::create_dir_all(directory).expect("the home can be written");
    fs::write(path, text).expect("the home can be written");
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

fn git(desk: &Desk, arguments: &[&str]) -> String {
    let program = Program::new("git").home(&desk.home);
    program
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(arguments)
        .run()
        .stdout
}

#[test]
fn gits_configuration_is_written_and_taken_away() {
    let mut desk = desk();
    let file = desk.home.path().join(".gitconfig");
    let before = "[user]\n\tname = Ada ; me\n[credential]\n\thelper = store\n";
    write(&file, before);
    desk.run("credential install git").expect_code(2);
    desk.run("credential install git git.example.com --print")
        .expect_code(0);
    assert_eq!(read(&file), before);
    desk.run("credential install git git.example.com git.example.com:8443")
        .expect_code(0);
    desk.run("credential install git git.example.com")
        .expect_code(0);
    desk.run("credential install git").expect_code(0);
    // git itself finds ours, and for this host alone.
    let url = |url: &str| {
        git(
            &desk,
            &["config", "--get-urlmatch", "credential.helper", url],
        )
    };
    assert!(url("https://git.example.com").contains(" credential git"));
    assert!(url("https://git.example.com:8443").contains(" credential git"));
    assert_eq!(url("https://elsewhere.example").trim(), "store");
    desk.show(&read(&desk.home.config_dir().join("config.toml")));
    desk.run("credential uninstall git git.example.com")
        .expect_code(0);
    desk.run("credential uninstall git git.example.com")
        .expect_code(0);
    desk.run("credential uninstall git git.example.com:8443")
        .expect_code(0);
    assert_eq!(read(&file), before);
    desk.note("Somebody else's helper stays.");
    git(
        &desk,
        &[
            "config",
            "--global",
            "credential.https://git.example.com.helper",
            "cache",
        ],
    );
    desk.run("credential install git git.example.com")
        .expect_code(7);
    desk.run("credential uninstall git git.example.com")
        .expect_code(7);
    desk.check("install-git");
}

#[test]
fn what_was_installed_works() {
    let desk = Desk::signed_in();
    desk.program("credential install git git.example.com")
        .run()
        .expect_code(0);
    let done = Program::new("git")
        .home(&desk.home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["credential", "fill"])
        .stdin("protocol=https\nhost=git.example.com\n\n")
        .run()
        .expect_code(0);
    let token = desk.run_silently("token");
    assert!(
        done.stdout.contains(&format!("password={token}")),
        "{}",
        done.stderr
    );
    // No secret is in what was written.
    desk.no_secret_is_in(&read(&desk.home.path().join(".gitconfig")));
}

#[test]
fn hosts_that_a_company_names_stay_named() {
    let desk = desk();
    desk.configure_system(
        "a.toml",
        "[profile.default.git]\nhosts = [\"git.company.example\"]\nusername = \"token\"\n",
    );
    desk.program("credential install git git.example.com")
        .run()
        .expect_code(0);
    let shown = desk.run_silently("profile show");
    assert!(
        shown.contains("git.company.example git.example.com"),
        "{shown}"
    );
    let file = read(&desk.home.config_dir().join("config.toml"));
    assert!(file.contains("username = \"token\""), "{file}");
    assert!(file.starts_with("# Mine.\n"), "{file}");
}

/// A directory that is all of the `PATH`.
fn bin(desk: &mut Desk) -> PathBuf {
    let bin = desk.home.path().join(".local/bin");
    fs::create_dir_all(&bin).expect("the home can be written");
    desk.export("PATH", "HOME/.local/bin");
    bin
}

#[test]
fn dockers_configuration_is_written_and_taken_away() {
    let mut desk = desk();
    let bin = bin(&mut desk);
    let file = desk.home.path().join(".docker/config.json");
    let before = "{\n\t\"auths\": {\n\t\t\"old.example\": { \"auth\":  \"Y2FuYXJ5\" }\n\t},\n\t\"zoom\": 1.50\n}\n";
    write(&file, before);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    desk.run("credential install docker registry.example.com --print")
        .expect_code(0);
    assert_eq!(read(&file), before);
    desk.run("credential install docker registry.example.com localhost:5000")
        .expect_code(0);
    desk.run("credential install docker").expect_code(0);
    assert_eq!(mode(&file), 0o600);
    desk.show(&read(&file).replace("Y2FuYXJ5", "…"));
    let helper = Program::new(bin.join("docker-credential-countersign"))
        .home(&desk.home)
        .arg("list")
        .run()
        .expect_code(0);
    assert!(
        helper.stdout.contains("registry.example.com"),
        "{}",
        helper.stdout
    );
    desk.run("credential uninstall docker localhost:5000")
        .expect_code(0);
    desk.run("credential uninstall docker registry.example.com")
        .expect_code(0);
    desk.run("credential uninstall docker registry.example.com")
        .expect_code(0);
    assert_eq!(read(&file), before);
    assert_eq!(fs::read_dir(&bin).expect("it is there").count(), 0);
    desk.note("What is somebody else's stays.");
    write(
        &file,
        "{\"credHelpers\": {\"registry.example.com\": \"gcloud\"}}",
    );
    desk.run("credential install docker registry.example.com")
        .expect_code(7);
    write(&file, "{\"auths\": {}, \"auths\": {\"canary\": {}}}");
    desk.run("credential install docker registry.example.com")
        .expect_code(7);
    write(&file, "{}");
    write(&bin.join("docker-credential-countersign"), "#!/bin/sh\n");
    desk.run("credential install docker registry.example.com")
        .expect_code(7);
    desk.check("install-docker");
}

#[test]
fn the_configuration_of_aws_is_written_and_taken_away() {
    let mut desk = desk();
    let file = desk.home.path().join(".aws/config");
    let before = "# mine\n[default]\nregion = eu-west-1\n\n[profile old]\noutput = json\n";
    write(&file, before);
    desk.run("credential install aws").expect_code(7);
    let role = "--role-arn arn:aws:iam::123456789012:role/developer --region eu-central-1";
    desk.run(&format!("credential install aws {role} --print"))
        .expect_code(0);
    assert_eq!(read(&file), before);
    desk.run(&format!("credential install aws {role}"))
        .expect_code(0);
    desk.run(&format!("credential install aws {role}"))
        .expect_code(0);
    desk.show(&read(&file));
    desk.note("Another role under the same name would replace what is there.");
    let other = "--role-arn arn:aws:iam::123456789012:role/other";
    desk.run(&format!("credential install aws {other}"))
        .expect_code(7);
    desk.run(&format!("credential install aws {other} --aws-profile old"))
        .expect_code(7);
    desk.run("credential uninstall aws --aws-profile old")
        .expect_code(7);
    desk.run("credential uninstall aws").expect_code(0);
    desk.run("credential uninstall aws").expect_code(0);
    assert_eq!(read(&file), before);
    desk.run("credential install aws --aws-profile a]b --role-arn x")
        .expect_code(2);
    desk.check("install-aws");
}

#[test]
fn a_new_file_is_private() {
    let desk = desk();
    let role = "--role-arn arn:aws:iam::123456789012:role/developer";
    desk.program(&format!("credential install aws {role}"))
        .run()
        .expect_code(0);
    assert_eq!(mode(&desk.home.path().join(".aws/config")), 0o600);
}

/// A stand-in for kubectl that notes what it is asked, and knows one kubeconfig.
fn kubectl(bin: &Path, view: &str) {
    let path = bin.join("kubectl");
    let script = format!(
        "#!/bin/sh\ncase \"$2\" in\nview) /bin/cat <<'END'\n{view}\nEND\n;;\n*) printf '%s\\n' \"$@\" >> {}/asked ;;\nesac\n",
        bin.display()
    );
    write(&path, &script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn the_kubeconfig_is_kubectls_to_write() {
    let mut desk = desk();
    let bin = bin(&mut desk);
    desk.run("credential install kubernetes").expect_code(7);
    kubectl(&bin, "{\"kind\": \"Config\", \"users\": null}");
    desk.run("credential install kubernetes --print")
        .expect_code(0);
    assert!(!bin.join("asked").exists());
    desk.run("credential install kubernetes --access-token --user sso")
        .expect_code(0);
    let asked = read(&bin.join("asked"));
    let expected = format!(
        "config\nset-credentials\nsso\n--exec-api-version=client.authentication.k8s.io/v1\n\
         --exec-interactive-mode=Never\n--exec-command={}\n--exec-arg=-p\n--exec-arg=default\n\
         --exec-arg=credential\n--exec-arg=kubernetes\n--exec-arg=--access-token\n",
        env!("CARGO_BIN_EXE_countersign")
    );
    assert_eq!(asked, expected);
    let user =
        |user: &str| format!("{{\"users\": [{{\"name\": \"countersign\", \"user\": {user}}}]}}");
    let ours = format!(
        "{{\"exec\": {{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"command\": \"{}\", \
         \"args\": [\"-p\", \"default\", \"credential\", \"kubernetes\"], \"env\": null, \
         \"interactiveMode\": \"Never\", \"provideClusterInfo\": false}}}}",
        env!("CARGO_BIN_EXE_countersign")
    );
    kubectl(&bin, &user(&ours));
    desk.note("It is there.");
    desk.run("credential install kubernetes").expect_code(0);
    desk.run("credential uninstall kubernetes").expect_code(0);
    assert!(read(&bin.join("asked")).ends_with("config\ndelete-user\ncountersign\n"));
    desk.run("credential uninstall kubernetes --user other")
        .expect_code(0);
    desk.note("A user of that name is somebody else's.");
    kubectl(&bin, &user("{\"token\": \"REDACTED\"}"));
    desk.run("credential install kubernetes").expect_code(7);
    desk.run("credential uninstall kubernetes").expect_code(7);
    desk.check("install-kubernetes");
}
