//! Takes out of a text what is different in every run.

/// Words after which something varies, the texts that may end it, and what stands there instead.
const VARIES: &[(&str, &[&str], &str)] = &[
    ("good for ", &[" (", " only", ", then", ".", "\n"], "TIME"),
    ("clock is ", &[" ahead", " behind"], "TIME"),
    ("(until ", &[")"], "DATE"),
    ("try again after ", &[", in "], "DATE"),
    ("COUNTERSIGN_EXPIRES_AT=", &["\n"], "SECONDS"),
    ("\"expires_at\": \"", &["\""], "DATE"),
    ("password_expiry_utc=", &["\n"], "SECONDS"),
    ("\"expirationTimestamp\":\"", &["\""], "DATE"),
    ("\"expires_in\": ", &[",", "\n"], "SECONDS"),
    (" … ", &[" left"], "TIME"),
    ("\"auth_time\": ", &[",", "\n"], "SECONDS"),
];

/// The same for what varies in the address of a sign-in, and in the one it ends on.
const VARIES_IN_ADDRESSES: &[(&str, &[&str], &str)] = &[
    ("%3A%2F%2F127.0.0.1%3A", &["%2F", "&", "\n"], "PORT"),
    ("http://127.0.0.1:", &["/", "\n"], "PORT"),
    ("state=", &["&", "\n"], "STATE"),
    ("nonce=", &["&", "\n"], "NONCE"),
    ("code_challenge=", &["&", "\n"], "CHALLENGE"),
    ("?code=", &["&", "\n"], "CODE"),
];

/// Replaces times and dates.
pub(crate) fn scrub(text: &str) -> String {
    replace(VARIES, text)
}

/// Replaces what is random in addresses, and ports.
pub(crate) fn scrub_addresses(text: &str) -> String {
    replace(VARIES_IN_ADDRESSES, text)
}

fn replace(varies: &[(&str, &[&str], &str)], text: &str) -> String {
    let mut text = text.to_owned();
    for (before, ends, instead) in varies {
        let mut done = String::new();
        let mut rest = text.as_str();
        while let Some((head, tail)) = rest.split_once(before) {
            let ends = ends.iter().filter_map(|end| tail.find(end));
            done.extend([head, before, instead]);
            rest = &tail[ends.min().unwrap_or(tail.len())..];
        }
        done.push_str(rest);
        text = done;
    }
    text
}

#[test]
fn what_varies_is_replaced_and_the_rest_stays() {
    assert_eq!(
        scrub("{\n  \"expires_in\": 599,\n  \"x\": 1\n}"),
        "{\n  \"expires_in\": SECONDS,\n  \"x\": 1\n}"
    );
    assert_eq!(
        scrub("good for 9 min 59 s (until x"),
        "good for TIME (until DATE"
    );
    assert_eq!(
        scrub("(until 2026-11-21 09:30:00 UTC), then"),
        "(until DATE), then"
    );
}
