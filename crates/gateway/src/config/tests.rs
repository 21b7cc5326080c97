//! What is refused, with its line and what to write instead; and what is admitted, in words.

use std::path::Path;

use super::{Config, explain};

const FILE: &str = r#"[listen]
address = "127.0.0.1:8443"
origin = "https://api.example.com"
admin = "127.0.0.1:9443"
workers = 2

[[issuer]]
url = "https://id.example.com"
audience = "https://api.example.com"

[[upstream]]
name = "stock"
address = "http://127.0.0.1:8080"

[[upstream]]
name = "pages"
address = ["https://a.internal", "https://b.internal:8443"]

[policy.keepers]
[[policy.keepers.allow]]
groups = ["warehouse"]

[[route]]
path = "/stock/**"
methods = ["GET"]
scopes = ["stock:read"]
policy = "keepers"
acr = ["mfa"]
max_age = "15m"
upstream = "stock"

[[route]]
path = "/**"
public = true
upstream = "pages"
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, "gateway.toml", Path::new("/etc/gateway"))
        .map_err(|problem| problem.to_string())
}

/// The complaint about the file with one thing changed.
fn complaint(from: &str, to: &str) -> String {
    assert!(FILE.contains(from), "{from}");
    match parse(&FILE.replacen(from, to, 1)) {
        Ok(_) => format!("nothing is wrong with {to:?}"),
        Err(complaint) => complaint,
    }
}

#[test]
fn unknown_keys_are_refused_with_their_line_and_the_key_that_was_meant() {
    for (from, to, line, meant) in [
        ("workers = 2", "worker = 2", 5, "workers"),
        ("audience =", "audiance =", 9, "audience"),
        (
            "[[upstream]]\nname = \"stock\"\naddress",
            "[[upstream]]\nname = \"stock\"\nadress",
            13,
            "address",
        ),
        ("scopes =", "scope =", 26, "scopes"),
        ("public = true", "pubic = true", 34, "public"),
        ("groups =", "group =", 21, "groups"),
        ("[listen]", "[listn]", 1, "listen"),
    ] {
        let complaint = complaint(from, to);
        assert!(
            complaint.contains(&format!("gateway.toml, line {line}: ")),
            "{complaint}"
        );
        assert!(
            complaint.contains(&format!("hint: did you mean `{meant}`?")),
            "{complaint}"
        );
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_line() {
    for (from, to, said) in [
        (
            "\"127.0.0.1:8443\"",
            "\"localhost\"",
            "line 2: `localhost` is no address with a port",
        ),
        (
            "127.0.0.1:8443\"\norigin = \"https://api.example.com\"",
            "0.0.0.0:8443\"",
            "has no name",
        ),
        (
            "\"https://api.example.com\"\nadmin",
            "\"https://api.example.com/v1\"\nadmin",
            "line 3: `https://api.example.com/v1` is no origin",
        ),
        (
            "workers = 2",
            "workers = 0",
            "line 5: workers is from 1 to 256",
        ),
        (
            "https://id.example.com",
            "http://id.example.com",
            "line 7: `http://id.example.com` cannot be an issuer",
        ),
        (
            "audience = \"https://api.example.com\"",
            "audience = []",
            "line 7: the issuer https://id.example.com has no audience",
        ),
        (
            "audience = \"https://api.example.com\"",
            "audience = \"a\"\nprofile = \"google\"",
            "line 7: there is no token profile `google`",
        ),
        (
            "name = \"pages\"",
            "name = \"stock\"",
            "line 15: the upstream `stock` stands here twice",
        ),
        (
            "http://127.0.0.1:8080",
            "127.0.0.1:8080",
            "line 11: `127.0.0.1:8080` is no address of an upstream",
        ),
        (
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/base",
            "is no address of an upstream",
        ),
        (
            "https://b.internal:8443",
            "http://b.internal",
            "line 15: the addresses of `pages` are to be all http or all https",
        ),
        (
            "\"/stock/**\"",
            "\"/stock/**/x\"",
            "line 23: `/stock/**/x` is no path",
        ),
        ("\"/stock/**\"", "\"/%73tock\"", "hint: path = \"/stock\""),
        (
            "[\"GET\"]",
            "[\"get\"]",
            "hint: methods are written in capitals: GET",
        ),
        ("[\"GET\"]", "[]", "line 23: the list of methods is empty"),
        (
            "[\"stock:read\"]",
            "[\"stock read\"]",
            "line 23: `stock read` is no scope",
        ),
        (
            "policy = \"keepers\"",
            "policy = \"keeper\"",
            "line 23: there is no policy `keeper`",
        ),
        (
            "acr = [\"mfa\"]",
            "acr = []",
            "line 23: a list of what is wanted is empty",
        ),
        (
            "max_age = \"15m\"",
            "max_age = \"15\"",
            "line 29: the configuration cannot be used",
        ),
        (
            "max_age = \"15m\"",
            "issuers = [\"https://other\"]",
            "line 23: there is no issuer https://other",
        ),
        (
            "upstream = \"stock\"",
            "upstream = \"stok\"",
            "line 23: there is no upstream `stok`",
        ),
        (
            "public = true",
            "public = true\nscopes = [\"x\"]",
            "line 32: the route is public and asks for something",
        ),
        (
            "public = true",
            "public = true\nidentity = [\"headers\"]",
            "line 32: the route is public, so there is no identity",
        ),
        (
            "\"/**\"",
            "\"/stock/**\"\nmethods = [\"GET\"]",
            "line 32: the route for /stock/** is the one of line 23 again",
        ),
        (
            "public = true",
            "name = \"GET /stock/**\"\npublic = true",
            "line 32: the name `GET /stock/**` is taken",
        ),
        (
            "public = true\nupstream",
            "public = true\nwebsocket = true\nupstream",
            "line 32: WebSocket needs HTTP/1.1 to `pages`",
        ),
        (
            "groups = [\"warehouse\"]",
            "",
            "the policy `keepers` cannot be used",
        ),
        (
            "[[issuer]]",
            "[forwarded]\ntrust = [\"10.0.0.1/8\"]\n[[issuer]]",
            "line 8: `10.0.0.1/8` cannot be trusted",
        ),
        (
            "[[issuer]]",
            "[audit]\nquery = true\n[[issuer]]",
            "[audit] goes to one place",
        ),
        (
            "[[issuer]]",
            "[identity]\nlifetime = \"2m\"\n[[issuer]]",
            "an assertion lasts from 5 to 60 seconds",
        ),
        (
            "[[issuer]]",
            "[identity]\nprefix = \"\"\n[[issuer]]",
            "`` is no prefix for headers",
        ),
        (
            "[[issuer]]",
            "[limits]\nbody = \"1MB\"\n[[issuer]]",
            "line 8: the configuration cannot be used",
        ),
        (
            "[[issuer]]",
            "[challenge]\nresource_metadata = \"x\"\n[[issuer]]",
            "[challenge] cannot be used",
        ),
    ] {
        let complaint = complaint(from, to);
        assert!(complaint.contains(said), "{said:?} is not in\n{complaint}");
        assert!(complaint.starts_with("error: gateway.toml"), "{complaint}");
    }
    let complaint = parse(&FILE[..FILE.find("[[issuer]]").unwrap()]).unwrap();
    assert_eq!(
        complaint.warnings(),
        ["there is no route, so every request is refused"]
    );
}

#[test]
fn the_whole_file_is_told_in_words() {
    let config = parse(FILE).unwrap();
    let text = explain(&config);
    for sentence in [
        "listens on 127.0.0.1:8443 without TLS",
        "is called api.example.com",
        "trusts https://id.example.com for tokens to https://api.example.com",
        "believes nobody's X-Forwarded-For",
        "writes no audit log",
        "/stock/** (GET, HEAD), line 23\n  whoever has a token with the scope stock:read, acr mfa, \
         a sign-in at most 15 min ago, the consent of the policy keepers\n  to stock, with a signed \
         assertion; bodies up to 10 MiB\n",
        "/** (any method), line 32\n  PUBLIC: anybody, without a token\n  to pages, with nothing \
         about the caller",
        "everything else: refused\n",
    ] {
        assert!(text.contains(sentence), "{sentence:?} is not in\n{text}");
    }
    assert_eq!(
        config.warnings(),
        [
            "line 32: /** is public: anybody gets to `pages`",
            "line 23: requests with other methods for /stock/** are refused there and do not fall \
             through to /** of line 32",
        ]
    );
}

#[test]
fn what_may_not_be_meant_is_warned_of() {
    for (from, to, warning) in [
        (
            "public = true\nupstream = \"pages\"",
            "upstream = \"stock\"",
            "no route leads to the upstream `pages`",
        ),
        (
            "[[issuer]]",
            "[forwarded]\ntrust = [\"0.0.0.0/0\"]\n[[issuer]]",
            "[forwarded] trusts every address, so callers choose their own",
        ),
        (
            "\"/**\"",
            "\"/{any}/x\"",
            "lines 23 and 32: some paths are of both /stock/** and /{any}/x; the one with a literal further left wins",
        ),
    ] {
        let config = parse(&FILE.replacen(from, to, 1)).unwrap();
        assert!(
            config.warnings().iter().any(|found| found == warning),
            "{:?}",
            config.warnings()
        );
    }
}

/// A file for a proxy that asks; the rest of the usual one follows.
fn asked(table: &str) -> String {
    format!("[[forward_auth]]\n{table}\n\n{FILE}").replace("upstream = \"pages\"\n", "")
}

#[test]
fn who_asks_is_told_in_words_and_what_makes_that_dangerous() {
    for (table, sentence, warning) in [
        (
            "preset = \"nginx\"\naddress = \"unix:nginx.sock\"",
            "answers nginx on unix:/etc/gateway/nginx.sock, for api.example.com\n  believes whoever may connect \
             to that socket (mode 0660)\n  about x-original-method, x-original-uri, x-original-host, \
             x-forwarded-for\n",
            "",
        ),
        (
            "preset = \"nginx\"\naddress = \"unix:nginx.sock\"\nmode = \"0666\"",
            "(mode 0666)",
            "line 1: every user of this machine may connect to /etc/gateway/nginx.sock, and is believed",
        ),
        (
            "preset = \"traefik\"\naddress = \"127.0.0.1:1\"\nuri_header = \"X-Uri\"",
            "answers Traefik on 127.0.0.1:1, for api.example.com\n  believes nobody\n  about x-forwarded-method, \
             x-uri, x-forwarded-host, x-forwarded-for\n",
            "line 1: [[forward_auth]] trusts nobody, so every request is refused",
        ),
        (
            "preset = \"caddy\"\naddress = \"127.0.0.1:1\"\ntrust = [\"0.0.0.0/0\"]\norigin = \"https://a.example\"",
            "answers Caddy on 127.0.0.1:1, for a.example\n  believes who comes from 0.0.0.0/0\n",
            "line 1: [[forward_auth]] trusts every address, so whoever reaches 127.0.0.1:1 says what is asked about",
        ),
        (
            "preset = \"envoy-grpc\"\naddress = \"10.0.0.1:1\"\ntrust = [\"10.0.0.0/8\", \"::1\"]",
            "answers Envoy (gRPC) on 10.0.0.1:1, for api.example.com\n  believes who comes from 10.0.0.0/8 or \
             ::1/128\n  about method, path and host of the request\n",
            "line 1: tokens come to 10.0.0.1:1 without TLS, for everybody on the way to read",
        ),
        (
            "preset = \"envoy\"\naddress = \"10.0.0.1:1\"\ntls = { certificates = \"c\", key = \"k\", client_ca = \"ca\" }",
            "believes who shows a certificate by /etc/gateway/ca\n",
            "",
        ),
    ] {
        let config = parse(&asked(table)).unwrap_or_else(|complaint| panic!("{complaint}"));
        let text = explain(&config);
        assert!(text.contains(sentence), "{sentence:?} is not in\n{text}");
        let elsewhere =
            "  passed on by the proxy that asks (forward-auth), with nothing about the caller\n";
        assert!(text.contains(elsewhere), "{text}");
        let found: Vec<_> = config
            .warnings()
            .iter()
            .filter(|found| found.starts_with("line 1: "))
            .collect();
        let wanted: Vec<_> = Some(warning)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect();
        assert_eq!(found, wanted, "{table}");
    }
}

#[test]
fn a_proxy_that_cannot_ask_so_is_refused() {
    let nginx = "preset = \"nginx\"\naddress = ";
    for (table, said) in [
        (
            "preset = \"apache\"\naddress = \"127.0.0.1:1\"".to_owned(),
            "unknown variant `apache`",
        ),
        (
            format!("{nginx}\"localhost\""),
            "`localhost` is no address with a port",
        ),
        (format!("{nginx}\"unix:\""), "the unix socket has no path"),
        (
            format!("{nginx}\"unix:x\"\nmode = \"rw\""),
            "`rw` is no mode",
        ),
        (
            format!("{nginx}\"127.0.0.1:1\"\nmode = \"0660\""),
            "mode is of unix sockets",
        ),
        (
            format!("{nginx}\"unix:x\"\ntrust = [\"::1\"]"),
            "nobody has an address",
        ),
        (
            format!("{nginx}\"127.0.0.1:1\"\ntrust = [\"10.0.0.1/8\"]"),
            "`10.0.0.1/8` cannot be trusted",
        ),
        (
            format!("{nginx}\"127.0.0.1:1\"\norigin = []"),
            "the proxy that asks has no name",
        ),
        (
            format!("{nginx}\"127.0.0.1:1\"\nuri_header = \"X_Uri\""),
            "`X_Uri` is no name of a header here",
        ),
        (
            format!("{nginx}\"127.0.0.1:1\"\nuri_header = \"X-Original-Host\""),
            "one header cannot say two things",
        ),
        (
            "preset = \"envoy\"\naddress = \"127.0.0.1:1\"\nuri_header = \"X-Uri\"".to_owned(),
            "Envoy says what it asks about in no header",
        ),
        (
            format!("{nginx}\"127.0.0.1:1\"\n[[forward_auth]]\n{nginx}\"127.0.0.1:1\""),
            "listens on 127.0.0.1:1 already",
        ),
    ] {
        let complaint = parse(&asked(&table)).unwrap_err();
        assert!(complaint.contains(said), "{said:?} is not in\n{complaint}");
    }
    let text = asked("preset = \"nginx\"\naddress = \"unix:x\"") + "max_body = \"1MiB\"\n";
    let limited = parse(&text).unwrap_err();
    assert!(limited.contains("has its bodies and its time"), "{limited}");
    // Without one, a route has to lead somewhere, and the gateway has to listen.
    let complaint = complaint("upstream = \"pages\"\n", "");
    assert!(
        complaint.contains("the route has no upstream"),
        "{complaint}"
    );
    let complaint = parse("").unwrap_err();
    assert!(
        complaint.contains("there is no address to listen on"),
        "{complaint}"
    );
}

#[test]
fn the_example_of_the_guide_is_one() {
    let guide = include_str!("../../../../docs/gateway.md");
    let example = guide.split("```toml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let text = explain(&parse(example).unwrap());
    for line in text
        .lines()
        .filter(|line| line.contains("(GET, HEAD)") || line.contains("PUBLIC"))
    {
        assert!(guide.contains(line), "{line}");
    }
}

#[test]
fn the_examples_for_other_proxies_can_be_used_as_they_stand() {
    for guide in [
        include_str!("../../../../docs/gateway/nginx.md"),
        include_str!("../../../../docs/gateway/traefik.md"),
        include_str!("../../../../docs/gateway/caddy.md"),
        include_str!("../../../../docs/gateway/envoy.md"),
    ] {
        let example = guide.split("```toml\n").nth(1).unwrap();
        let config = parse(example.split("```").next().unwrap())
            .unwrap_or_else(|complaint| panic!("{complaint}"));
        let text = explain(&config);
        assert!(text.starts_with("takes no requests itself"), "{text}");
        for warning in config.warnings() {
            assert!(warning.contains("/health is public"), "{warning}");
        }
    }
}
