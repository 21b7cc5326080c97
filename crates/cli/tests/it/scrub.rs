//! Takes out of a text what is different in every run.

/// Words after which something varies, up to the given character, and what stands there instead.
const VARIES: &[(&str, char, &str)] = &[
    ("good for ", ' ', "TIME"),
    ("(until ", ')', "DATE"),
    ("COUNTERSIGN_EXPIRES_AT=", '\n', "SECONDS"),
    ("\"expires_at\": \"", '"', "DATE"),
    ("\"expires_in\": ", '\n', "SECONDS"),
    ("\"auth_time\": ", '\n', "SECONDS"),
];

/// Replaces times and dates.
pub(crate) fn scrub(text: &str) -> String {
    let mut text = text.to_owned();
    for (before, end, instead) in VARIES {
        let mut done = String::new();
        let mut rest = text.as_str();
        while let Some((head, tail)) = rest.split_once(before) {
            let stop = tail.find(*end).unwrap_or(tail.len());
            let comma = if tail[..stop].ends_with(',') { "," } else { "" };
            done.push_str(&format!("{head}{before}{instead}{comma}"));
            rest = &tail[stop..];
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
        scrub("(until 2026-11-21 09:30:00 UTC), then"),
        "(until DATE), then"
    );
}
