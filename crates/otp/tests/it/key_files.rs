//! Files of programmed keys.

use countersign_otp::Counter;
use countersign_otp::yubico::{KeyFile, Otp, Problem, Secrets};

/// The examples of Yubico's `Key_Provisioning_Format`, but for the one without a public id.
const PROVISIONING: &str = "# ykksm 1\r\n\
    4711,dlcfffckrcde,ca62baca62ba,ecde18dbe76fbd0c33330f1c354871db,be70aeca62ba,2009-01-22 00:25:11,\r\n\
    4713,dlcfffckrcdedlcf,ca62baca62ba,ecde18dbe76fbd0c33330f1c354871db,be70aeca62ba,2009-01-22 00:25:11,2009-02-13 00:05:40,0 # a comment\r\n\
    # 1,cc,broken,line\r\n\
    \r\n\
    4714,dlcfffckrcdd,ca62baca62ba,ECDE18DBE76FBD0C33330F1C354871DB,,,,4711\r\n";

/// The personalization tool's "Traditional format", with the other slots that it logs.
const TRADITIONAL: &str = "\u{feff}LOGGING START,12/11/2013 17:05\n\
    Yubico OTP,12/11/2013 11:10,1,vvgutbiedkvi,ab86c04de6a3,d26a7c0f85fdda28bd816e406342b214,,,0,0,0,0,0,0,0,0,0,0\n\
    OATH-HOTP,11.12.13 18:55,1,cccccccccccc,,916821d3a138bf855e70069605559a206ba854cd,,,0,0,0,6,0,0,0,0,0,0\n\
    Static Password: Scan Code,17.04.12 12:25,1,051212172c092728,,,,,0,0,0,0,0,0,0,0,0,0\n\
    Challenge-Response: HMAC-SHA1,3/9/2018 5:00 PM,2,,,7fb21c407f0693ab30259664680a047f8c462ccb,,,0,0,0,0,0,0,0,0,0,0\n";

#[test]
fn the_provisioning_format_is_read() {
    let file = KeyFile::parse(PROVISIONING).unwrap();
    let found: Vec<_> = file
        .records()
        .iter()
        .map(|it| {
            (
                it.line,
                it.serial,
                it.public_id.as_str(),
                it.created.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (2, Some(4711), "dlcfffckrcde", Some("2009-01-22 00:25:11")),
            (
                3,
                Some(4713),
                "dlcfffckrcdedlcf",
                Some("2009-01-22 00:25:11")
            ),
            (6, Some(4714), "dlcfffckrcdd", None),
        ]
    );
    let secrets = Secrets::from_hex("ca62baca62ba", "ecde18dbe76fbd0c33330f1c354871db").unwrap();
    assert!(file.records().iter().all(|it| it.secrets == secrets));
    assert!(file.skipped().is_empty());
    assert!(!format!("{file:?}").contains("222"), "a secret is shown");
}

/// As `ykman otp yubiotp --config-output` writes it: no first line, and an empty last field.
#[test]
fn the_first_line_may_be_missing() {
    let line =
        "12345,vvccccccbchv,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,2026-11-26T02:22:26,\n";
    let file = KeyFile::parse(line).unwrap();
    assert_eq!(file.records().len(), 1);
}

#[test]
fn the_traditional_format_is_read_and_other_slots_are_named() {
    let file = KeyFile::parse(TRADITIONAL).unwrap();
    let [record] = file.records() else {
        panic!("{file:?}")
    };
    assert_eq!((record.line, record.serial), (2, None));
    assert_eq!(record.public_id.as_str(), "vvgutbiedkvi");
    let skipped: Vec<_> = file.skipped().iter().map(|it| (it.line, it.what)).collect();
    assert_eq!(
        skipped,
        [
            (1, "LOGGING START"),
            (3, "OATH-HOTP"),
            (4, "Static Password"),
            (5, "Challenge-Response"),
        ]
    );
}

#[test]
fn a_time_with_a_comma_is_no_other_field() {
    let text = TRADITIONAL.replace("12/11/2013 11:10", "11/12/13, 11:10 AM");
    let file = KeyFile::parse(&text).unwrap();
    let record = &file.records()[0];
    assert_eq!(record.public_id.as_str(), "vvgutbiedkvi");
    assert_eq!(record.created.as_deref(), Some("11/12/13, 11:10 AM"));
}

/// As the personalization tool writes them: HMAC, OATH with and without an id, a static password.
#[test]
fn other_slots_in_the_provisioning_format_are_named() {
    for line in [
        "508326,,0,69cfb9202438ca68964ec3244bfa4843d073a43b,000000000000,2013-12-12T08:41:07,",
        "508326,ubhe00508326,17,69cfb9202438ca68964ec3244bfa4843d073a43b,,2013-12-12T08:41:07,",
        "508326,,,69cfb9202438ca68964ec3244bfa4843d073a43b,,2013-12-12T08:41:07,",
        "508326,,,0e8e37b0e38b314a56748c030f58d21d,000000000000,2013-12-12T08:41:07,",
    ] {
        let file = KeyFile::parse(&format!("{line}\n{PROVISIONING}")).unwrap();
        assert_eq!(file.records().len(), 3);
        assert_eq!(file.skipped()[0].line, 1, "{line}");
    }
}

#[test]
fn a_key_that_was_imported_is_the_one_that_types() {
    let text = "1,dteffuje,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,,\n";
    let record = KeyFile::parse(text).unwrap().into_records().remove(0);
    let otp = Otp::parse("dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh").unwrap();
    assert_eq!(&record.public_id, otp.public_id());
    let unspent = record.secrets.decrypt(&otp).unwrap();
    assert_eq!(unspent.settle(Counter::Moved).unwrap().counter(), 19);
}

#[test]
fn every_line_that_is_not_understood_is_named() {
    let good = "1,dteffuje,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,,";
    for (line, problem) in [
        ("# ykksm 2", Problem::Version),
        ("hello", Problem::Fields),
        ("1,dteffuje,8792ebfe26cc", Problem::Fields),
        ("1,a,b,c,d,e,f,g,h", Problem::Fields),
        (
            "Yubico OTP,x,1,dteffuje,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db",
            Problem::Fields,
        ),
        (
            "-1,dtefff,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,,",
            Problem::Serial,
        ),
        (
            "99999999999999999999,dtefff,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,,",
            Problem::Serial,
        ),
        (
            "1,hello!,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,,",
            Problem::PublicId,
        ),
        (
            "1,,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,,",
            Problem::NoPublicId,
        ),
        (
            "1,dteffuje,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,,,",
            Problem::Twice,
        ),
        (
            "1,dtefff,8792ebfe26,ecde18dbe76fbd0c33330f1c354871db,,,",
            Problem::PrivateId,
        ),
        ("1,dtefff,8792ebfe26cc,ecde18,,,", Problem::AesKey),
        (
            "1,dtefff,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871dg,,,",
            Problem::AesKey,
        ),
        (
            "1,dtefff,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871dbecde18dbe76fbd0c33330f1c354871db,,,",
            Problem::KeyLength,
        ),
        (
            "1,dtefff,8792ebfe26cc,ecde18dbe76fbd0c33330f1c354871db,123,,",
            Problem::LockCode,
        ),
    ] {
        let error = KeyFile::parse(&format!("{good}\n\n{line}\n")).unwrap_err();
        let [found] = error.problems() else {
            panic!("{error}")
        };
        assert_eq!((found.line, found.problem), (3, problem), "{line}");
        assert!(error.to_string().starts_with("line 3: "), "{error}");
        assert!(!error.to_string().contains("ecde18"), "{error}");
    }
}

#[test]
fn a_file_is_imported_as_a_whole_or_not_at_all() {
    let text = format!("{PROVISIONING}nonsense\nmore nonsense\n");
    let error = KeyFile::parse(&text).unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(|it| it.line).collect();
    assert_eq!(lines, [7, 8]);
    for empty in ["", "# ykksm 1\n", "LOGGING START,12/11/2013 17:05\n"] {
        let error = KeyFile::parse(empty).unwrap_err();
        assert_eq!(error.problems()[0].problem, Problem::NoKeys);
    }
    let many = KeyFile::parse(&"x\n".repeat(100)).unwrap_err().to_string();
    assert!(many.ends_with("and 80 more") && many.lines().count() == 21);
}
