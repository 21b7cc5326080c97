//! Sessions of people whose access ends: they are warned, and then nothing of their logins is left,
//! whatever became of the daemon meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use countersign_e2e::Issuer;
use countersign_testkit::{Ground, Release, Running, Signal, scan, show};

use crate::host::Host;
use crate::people::{issuer_with, rule, rule_for};

/// What a busy machine may add. Three of them are waited for: the issuer's command, the question to it,
/// and the sweep.
const BUSY: Duration = Duration::from_secs(10);
/// Nothing is waited for beyond this.
const LONGEST: Duration = Duration::from_secs(180);

/// How soon a withdrawal is noticed, and how long before its end a session is warned.
struct Periods {
    renewal: Duration,
    warning: Duration,
    keys: &'static str,
}

/// In full with `COUNTERSIGN_TRIALS`: then they are the shortest that the daemon chooses by itself.
fn periods() -> Periods {
    let seconds = Duration::from_secs;
    if std::env::var_os("COUNTERSIGN_TRIALS").is_some() {
        return Periods {
            renewal: seconds(60),
            warning: seconds(60),
            keys: "",
        };
    }
    Periods {
        renewal: seconds(5),
        warning: seconds(3),
        keys: "renew_every = \"5s\"\nwarning = \"3s\"\n",
    }
}

/// Two thirds of their life are the shortest time between renewals.
const SHORT_TOKENS: [&str; 2] = ["--access-token-lifetime", "90"];

/// Starts what does not end with its terminal, in all the ways there are.
const COMMAND: &str = "\
nohup sleep 301 >/dev/null 2>&1 & echo child $!; \
setsid sleep 302 </dev/null >/dev/null 2>&1 & echo child $!; \
sh -c 'sleep 303 </dev/null >/dev/null 2>&1 & echo child $!'; \
echo child $$; echo all started; \
while read -r line; do echo heard $line; done";

/// Somebody who is logged in.
struct Session {
    client: Running,
    /// Their processes on the host, by number and start.
    processes: Vec<(u32, String)>,
}

/// When a process began: what tells it from others that had its number.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let has_ended = fields.next()? == "Z";
    (!has_ended).then(|| fields.nth(18).unwrap().to_owned())
}

impl Session {
    fn start(host: &Host, issuer: &Issuer) -> Self {
        let (client, prompt) = host.client(&["RequestTTY=force"], COMMAND);
        issuer.approve(&scan(&client.stdout(), Ground::Dark), &prompt.code);
        client.tell("");
        let mut asked = 1;
        let numbers = client.wait_for_stdout(|shown| {
            // On a machine that is slow it is asked again.
            if shown.matches("press Enter").count() > asked {
                asked += 1;
                client.tell("");
            }
            shown.contains("all started").then(|| {
                let lines = shown.lines();
                let numbers = lines.filter_map(|line| line.trim().strip_prefix("child "));
                numbers
                    .map(|pid| pid.parse().unwrap())
                    .collect::<Vec<u32>>()
            })
        });
        assert_eq!(numbers.len(), 4);
        let processes = numbers.into_iter();
        let processes = processes.map(|pid| (pid, started(pid).unwrap())).collect();
        Self { client, processes }
    }

    fn left(&self) -> usize {
        let lives = |(pid, start): &&(u32, String)| started(*pid).as_ref() == Some(start);
        self.processes.iter().filter(lives).count()
    }

    /// The session goes on: what is typed arrives.
    fn goes_on(&self, word: &str) {
        assert_eq!(self.left(), 4);
        self.client.tell(word);
        let heard = format!("heard {word}");
        self.client
            .wait_for_stdout(|shown| shown.contains(&heard).then_some(()));
    }

    /// Waits until nothing is left of it; how long that took.
    fn ends(self, host: &Host) -> Duration {
        let begun = Instant::now();
        while self.left() > 0 {
            let took = begun.elapsed();
            assert!(took < LONGEST, "{} are left: {}", self.left(), host.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        let finished = self.client.finish();
        let took = begun.elapsed();
        assert_ne!(finished.code(), Some(0));
        assert!(
            finished.stdout.contains("countersign: access ends in"),
            "{}",
            finished.stdout
        );
        // What the person can quote is what an administrator finds.
        let (_, reference) = finished.stdout.split_once("Reference: ").unwrap();
        let reference = format!("reference={}", &reference[..6]);
        host.logged(&["session end", "reason=", &reference]);
        took
    }
}

#[test]
fn a_withdrawn_person_is_warned_and_then_every_process_of_the_login_has_ended() {
    Release::with_both(|release| {
        let Periods {
            renewal,
            warning,
            keys,
        } = periods();
        let issuer = issuer_with(&SHORT_TOKENS);
        let host = Host::start_of(release, issuer.issuer(), &format!("{keys}{}", rule()), &[]);
        let session = Session::start(&host, &issuer);
        session.goes_on("first");
        issuer.administer("user disable ada");
        let took = session.ends(&host);
        show(&format!(
            "withdrawn and ended after {took:?}; {renewal:?} and {warning:?} are allowed"
        ));
        assert!(took < renewal + warning + BUSY, "{took:?}");
        let ended = host.logged(&["session end", "every process of a login"]);
        assert!(ended.contains("why=withdrawn"), "{ended}");
        assert!(host.sshd.is_alive());
    });
}

/// What is withdrawn is a group, and the provider goes on renewing: the rule says that it is over.
#[test]
fn whoever_leaves_the_group_is_warned_and_the_login_has_ended_with_its_children() {
    let Periods {
        renewal,
        warning,
        keys,
    } = periods();
    let issuer = issuer_with(&SHORT_TOKENS);
    issuer.administer("user set ada --add-group on-call --add-group staff");
    let rule = rule_for("group = \"on-call\"");
    let keys =
        format!("{keys}scopes = [\"openid\", \"profile\", \"groups\", \"offline_access\"]\n");
    let host = Host::start(issuer.issuer(), &format!("{keys}{rule}"));
    let session = Session::start(&host, &issuer);
    // Another change is none of this rule's business.
    issuer.administer("user set ada --remove-group staff");
    let renewed = issuer.renewals("ada");
    host.wait_until("it is renewed without the other group", || {
        issuer.renewals("ada") != renewed
    });
    session.goes_on("renewed");
    issuer.administer("user set ada --remove-group on-call");
    let took = session.ends(&host);
    show(&format!("left the group, and ended after {took:?}"));
    assert!(took < renewal + warning + BUSY, "{took:?}");
    let ended = host.logged(&["session end", "every process of a login"]);
    assert!(ended.contains("why=withdrawn"), "{ended}");
    host.logged(&["access end refused", "the claim groups"]);
}

/// One of two logins of one person is revoked at the provider: the other one is nobody's business.
#[test]
fn one_revoked_login_ends_alone() {
    let Periods {
        renewal,
        warning,
        keys,
    } = periods();
    let issuer = issuer_with(&SHORT_TOKENS);
    let host = Host::start(issuer.issuer(), &format!("{keys}{}", rule()));
    let first = Session::start(&host, &issuer);
    let listed = issuer.administer("grant list ada");
    let (sid, _) = listed.split_once('\t').unwrap();
    let second = Session::start(&host, &issuer);
    assert_eq!(issuer.administer("grant list ada").lines().count(), 2);
    issuer.administer(&format!("grant revoke {sid}"));
    let took = first.ends(&host);
    assert!(took < renewal + warning + BUSY, "{took:?}");
    let renewed = issuer.renewals("ada");
    host.wait_until("the other one is renewed", || {
        issuer.renewals("ada") != renewed
    });
    second.goes_on("still here");
    assert_eq!(host.log().matches("access end").count(), 1);
    issuer.administer("grant revoke --of ada --client ssh");
    second.ends(&host);
}

#[test]
fn a_daemon_that_is_killed_or_replaced_loses_no_session_and_keeps_nobody_in() {
    let Periods {
        renewal,
        warning,
        keys,
    } = periods();
    let issuer = issuer_with(&SHORT_TOKENS);
    let mut host = Host::start(issuer.issuer(), &format!("{keys}{}", rule()));
    let session = Session::start(&host, &issuer);
    for (signal, word) in [(Signal::KILL, "killed"), (Signal::TERM, "replaced")] {
        host.end_daemon(signal);
        // Without a daemon it goes on as well.
        session.goes_on(word);
        host.start_daemon();
        host.wait_until("the session is watched again", || {
            host.countersign_pamd("sessions")
                .stdout
                .contains("Ada Lovelace")
        });
        session.goes_on("and on");
    }
    // Withdrawn while there is no daemon to notice.
    host.end_daemon(Signal::KILL);
    issuer.administer("user disable ada");
    host.start_daemon();
    let took = session.ends(&host);
    show(&format!(
        "noticed by the next daemon, and ended after {took:?}"
    ));
    assert!(took < renewal + warning + BUSY, "{took:?}");
    host.logged(&["session end", "why=withdrawn"]);
}
