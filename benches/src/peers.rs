//! A cached token from us and from others, in one run: Debian's `oidc-token`, which asks an agent that
//! is already running; a Python program with Authlib; a Node program with openid-client. The last two
//! read their token from a file, as their documentation has programs do it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use countersign_e2e::{Issuer, OidcAgent};
use countersign_testkit::Provider;

use crate::process::{Cost, Program, compare};
use crate::report::{self, Row, Target};
use crate::signed_in::SignedIn;

/// Times all of them in turn.
pub(crate) fn measure(programs: &Path, rounds: usize) -> io::Result<()> {
    let countersign = programs.join("countersign");
    let home = SignedIn::at(&Provider::start(), &countersign, "file", &[]);
    let issuer = Issuer::start();
    let agent = agent_with_account(&issuer);
    let kept = tempfile::NamedTempFile::new()?;
    let token = serde_json::json!({
        "access_token": agent.token(&[]).expect_code(0).stdout.trim(),
        "token_type": "Bearer",
        "refresh_token": "not needed",
        // In the year 2100.
        "expires_at": 4_102_444_800_i64,
    });
    std::fs::write(kept.path(), token.to_string())?;
    let file = kept.path().to_string_lossy().into_owned();
    let script = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../e2e")
            .join(name);
        [
            path.to_string_lossy().into_owned(),
            file.clone(),
            issuer.issuer().to_owned(),
        ]
    };
    let programs = [
        Program::new("/bin/true", "/bin/true"),
        home.program("countersign token", "token"),
        home.program("countersign credential kubernetes", "credential kubernetes"),
        Program::new("oidc-token (oidc-agent)", find("oidc-token")?)
            .arguments(["account"])
            .environment(&agent.environment()),
        Program::new("Python with Authlib", "/usr/bin/python3")
            .arguments(script("python/cached.py")),
        Program::new("Node with openid-client", find("node")?).arguments(script("node/cached.mjs")),
    ];
    let costs = compare(&programs, rounds)?;
    report::title("a cached token, from us and from others");
    report::costs(&programs, &costs);
    if let [_, token, _, agent, python, node] = costs.as_slice() {
        report::targets(&[
            Row::times(
                "token, of oidc-token",
                ratio(token, agent),
                Target::AtMost(1.4),
            ),
            Row::times(
                "Python, of token",
                ratio(python, token),
                Target::AtLeast(50.0),
            ),
            Row::times("Node, of token", ratio(node, token), Target::AtLeast(50.0)),
        ]);
    }
    Ok(())
}

fn ratio(one: &Cost, other: &Cost) -> f64 {
    one.median.as_secs_f64() / other.median.as_secs_f64()
}

/// An agent that holds tokens of our own issuer.
fn agent_with_account(issuer: &Issuer) -> OidcAgent {
    let agent = OidcAgent::start();
    let signing = agent.sign_in(issuer.issuer(), "cli", "device", &[]);
    let address = signing.address(issuer.issuer());
    let code = signing.code();
    issuer.approve(&format!("{address}?user_code={code}"), &code);
    signing.finish().expect_code(0);
    agent
}

/// Where a program is: looked for once, and not by each run that is timed.
fn find(name: &str) -> io::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| io::Error::other(format!("{name} is not installed")))
}
