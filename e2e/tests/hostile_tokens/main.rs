//! Hostile tokens: some three hundred shapes of attack and of carelessness, and the good tokens that
//! resemble them, each signed by every algorithm there is.
//!
//! Nothing false may be accepted and nothing good refused. The crate `jsonwebtoken` judges the same
//! tokens in the same run; what comes out for both stands in `figures.txt`, which is compared, so that a
//! change of either is seen. Some of what is refused here (duplicate members, an `iat` in the future, a
//! token without the claims of RFC 9068) is policy and not a fault of whoever accepts it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod corpus;
mod judges;
mod signer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use corpus::{Case, corpus};
use signer::{ALGORITHMS, Signer};

/// What a judge got wrong.
#[derive(Default)]
struct Wrong {
    accepted: usize,
    refused: usize,
    accepted_names: BTreeSet<String>,
    refused_names: BTreeSet<String>,
}

impl Wrong {
    fn note(&mut self, case: &Case, passed: bool) {
        match (case.may_pass, passed) {
            (false, true) => {
                self.accepted += 1;
                self.accepted_names.insert(case.name.clone());
            }
            (true, false) => {
                self.refused += 1;
                self.refused_names.insert(case.name.clone());
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn nothing_false_is_accepted_and_nothing_good_refused() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let mut ours = Vec::new();
    let (mut documented, mut careful) = (Wrong::default(), Wrong::default());
    let (mut bad, mut good) = (0, 0);
    let mut codes = BTreeMap::new();
    for alg in ALGORITHMS {
        let other = Signer::new(if alg == "ES256" { "EdDSA" } else { "ES256" });
        let cases = corpus(&Signer::new(alg), &Signer::new(alg), &other, now);
        let names: BTreeSet<&str> = cases.iter().map(|case| &*case.name).collect();
        assert_eq!(names.len(), cases.len(), "{alg}: two cases of one name");
        for case in &cases {
            *(if case.may_pass { &mut good } else { &mut bad }) += 1;
            let verdict = judges::countersign(case).await;
            if verdict.is_ok() != case.may_pass {
                ours.push(format!("{alg}: {}: {verdict:?}", case.name));
            }
            if let Err(code) = verdict {
                *codes.entry(code).or_insert(0) += 1;
            }
            documented.note(case, judges::jsonwebtoken_as_documented(case));
            careful.note(case, judges::jsonwebtoken_with_care(case));
        }
    }
    assert!(
        ours.is_empty(),
        "{} wrong:\n{}",
        ours.len(),
        ours.join("\n")
    );

    let mut figures = format!("{bad} tokens to refuse, {good} to accept\n\n");
    for (judge, accepted, refused) in [
        ("countersign-resource", 0, 0),
        (
            "jsonwebtoken, as documented",
            documented.accepted,
            documented.refused,
        ),
        ("jsonwebtoken, with care", careful.accepted, careful.refused),
    ] {
        writeln!(
            figures,
            "{judge:<28} wrongly accepted {accepted:>4}, wrongly refused {refused:>3}"
        )
        .unwrap();
    }
    figures += "\nwhy countersign-resource refused:\n";
    for (code, count) in codes {
        writeln!(figures, "{count:>6}  {code}").unwrap();
    }
    for (judge, wrong) in [("as documented", &documented), ("with care", &careful)] {
        writeln!(
            figures,
            "\njsonwebtoken, {judge}, accepts for some algorithm:"
        )
        .unwrap();
        for name in &wrong.accepted_names {
            writeln!(figures, "  {name}").unwrap();
        }
        writeln!(figures, "and refuses for some algorithm:").unwrap();
        for name in &wrong.refused_names {
            writeln!(figures, "  {name}").unwrap();
        }
    }
    compare(&figures);
}

fn compare(figures: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile_tokens/figures.txt");
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        fs::write(&path, figures).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        figures == expected,
        "figures.txt says otherwise; UPDATE_TRANSCRIPTS=1 writes it anew. Now it is:\n{figures}"
    );
}
