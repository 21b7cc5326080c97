//! One daemon for several services of PAM, of which each is asked for what its rules want.

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_pam_wire::{Line, Verdict};
use countersign_testkit::Endpoint;
use serde_json::json;

use crate::fixture::{Done, Fixture, Monitor, account};

/// Anybody may log in; whoever uses sudo has typed a one-time password in the last five minutes.
fn rules() -> String {
    let account = account();
    format!(
        "min_uid = 0\nallow_root = true\nqr = \"never\"\n\
         [[rule]]\nname = \"in\"\naccounts = [{account:?}]\nsub = \"ada\"\n\
         [[rule]]\nname = \"up\"\nservices = \"sudo\"\naccounts = [{account:?}]\nsub = \"ada\"\n\
         max_auth_age = \"5m\"\nrequire_acr = \"mfa\"\nclaim = [{{ claim = \"amr\", any = [\"otp\", \"hwk\"] }}]\n"
    )
}

fn sign_in(fixture: &Fixture, service: &str) -> Done {
    let monitor = Monitor::start();
    let mut login = monitor.login(&account());
    login.service = Line::clean(service);
    fixture.begin_as(login).finish()
}

#[test]
fn sudo_is_asked_for_more_than_a_login_by_the_same_daemon() {
    let fixture = Fixture::with(&rules());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let person = |age: u64, acr: &'static str, amr: &'static [&'static str]| {
        fixture.provider.edit_id_token(move |_, claims| {
            claims["auth_time"] = json!(now - age);
            claims["acr"] = json!(acr);
            claims["amr"] = json!(amr);
        });
    };
    for (age, acr, amr, service, outcome) in [
        (4000, "1", &["pwd"][..], "sshd", Ok("in")),
        (4000, "mfa", &["pwd", "otp"], "sudo", Err("seconds old")),
        (0, "1", &["pwd", "otp"], "sudo", Err("acr")),
        (0, "mfa", &["pwd", "sms"], "sudo", Err("amr")),
        (0, "mfa", &["pwd", "otp"], "sudo", Ok("up")),
        (0, "mfa", &["hwk"], "sudo", Ok("up")),
        // No rule is for it.
        (
            0,
            "mfa",
            &["pwd", "otp"],
            "su",
            Err("no rule is for the service"),
        ),
    ] {
        person(age, acr, amr);
        let done = sign_in(&fixture, service);
        let by = format!("service={service}");
        match outcome {
            Ok(rule) => {
                assert_eq!(
                    done.verdict,
                    Verdict::Success,
                    "{done:?} {:#?}",
                    fixture.log()
                );
                let rule = format!("rule={rule}");
                fixture.logged(&["login granted", &done.reference, &by, &rule]);
            }
            Err(why) => {
                assert_eq!(done.verdict, Verdict::Denied, "{done:?}");
                fixture.logged(&["login refused", &done.reference, &by, why]);
            }
        }
    }
    // What sudo wants is asked of the provider, for sudo alone; and the service that is for nobody is not
    // heard of there.
    let requests = fixture.provider.requests(Endpoint::DeviceAuthorization);
    let asked: Vec<_> = requests
        .iter()
        .map(|request| {
            (
                request.form_value("acr_values"),
                request.form_value("max_age"),
            )
        })
        .collect();
    let more = || (Some("mfa".into()), Some("300".into()));
    let mut expected = vec![(None, None)];
    expected.extend((0..5).map(|_| more()));
    assert_eq!(asked, expected);
    // Whoever is in already needs nothing that could be renewed.
    let scopes: Vec<_> = requests
        .iter()
        .map(|request| request.form_value("scope").unwrap())
        .map(|scopes| scopes.contains("offline_access"))
        .collect();
    assert_eq!(scopes, [true, false, false, false, false, false]);
}
