//! This computer: browser, proxy, and the ports that a browser comes back to.

use std::io::ErrorKind;

use countersign_client::preset::{Preset, RedirectPorts};
use countersign_client::probe::{self, Family};
use countersign_client::{Environment, ExitCategory, Redirect, printable};
use countersign_console::without_number;
use url::Url;

use super::finding::{Finding, Level};
use super::report::Report;
use crate::app::App;
use crate::output::shell_word;

/// Looks at what a login would meet here, whatever the profile.
pub(crate) fn look(report: &mut Report) {
    let found = Environment::detect();
    let place = found.place().text();
    report.add(match found.obstacle() {
        None => Finding::ok(
            "browser",
            format!("This is {place}; a browser can be opened."),
        ),
        Some(obstacle) => Finding::note(
            "browser",
            format!(
                "This is {place}; no browser is opened: {}.",
                obstacle.text()
            ),
        )
        .why("people then sign in with a code on any device, or paste the code")
        .remedy("set COUNTERSIGN_BROWSER to a command that opens one, if there is any"),
    });
    for family in Family::ALL {
        report.add(loopback(family));
    }
}

fn loopback(family: Family) -> Finding {
    let (code, host) = match family {
        Family::V4 => ("loopback_ipv4", family.host()),
        Family::V6 => ("loopback_ipv6", family.host()),
    };
    match (probe::bind(family, 0), family) {
        (Ok(()), _) => Finding::ok(code, format!("A browser can come back to {host}.")),
        (Err(error), Family::V4) => {
            let finding = Finding::fault(
                code,
                format!("Nothing can listen on {host}, so no browser can come back."),
            )
            .why(without_number(&error.to_string()))
            .remedy("look at the firewall and at the loopback interface of this computer")
            .remedy("or sign in with: --flow device");
            if probe::bind(Family::V6, 0).is_ok() {
                // A network of the other family alone is one in which all else works.
                return finding.at_level(Level::Warning).remedy(format!(
                    "or register http://{}/callback, and set it as `redirect_uri`",
                    Family::V6.host()
                ));
            }
            finding
        }
        (Err(error), Family::V6) => Finding::note(
            code,
            format!(
                "Nothing can listen on {host}; {} will do.",
                Family::V4.host()
            ),
        )
        .why(without_number(&error.to_string())),
    }
}

/// The ports that a browser must come back to, if it is not any.
pub(crate) fn ports(report: &mut Report, app: &App, preset: Option<&Preset>) {
    let redirect = redirect(app, preset);
    let ports = redirect.ports();
    if ports.is_empty() {
        return;
    }
    let taken: Vec<u16> = ports
        .iter()
        .copied()
        .filter(|port| {
            Family::ALL.into_iter().any(|family| {
                let bound = probe::bind(family, *port);
                bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
            })
        })
        .collect();
    let list = |ports: &[u16]| {
        ports
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let all = list(ports);
    if taken.is_empty() {
        let what = match ports {
            [port] => format!("Port {port}, the only one that is registered, is free."),
            _ => format!("The registered ports are free: {all}."),
        };
        report.add(Finding::ok("ports", what));
        return;
    }
    let command = taken
        .first()
        .map(|port| format!("ss --listening --tcp --processes 'sport = :{port}'"));
    let finding = if taken.len() == ports.len() {
        Finding::fault(
            "ports",
            format!("Every port that a browser may come back to is in use: {all}."),
        )
        .why("the server sends the browser to registered ports only")
    } else {
        Finding::warning(
            "ports",
            format!("Another program uses a registered port: {}.", list(&taken)),
        )
        .why(format!("the others will be tried: {all} are registered"))
    };
    let finding = match command {
        Some(command) => finding.remedy(format!("find the program and end it: {command}")),
        None => finding,
    };
    report.add(finding.remedy("or register another port at the server, and set it as `port`"));
}

/// Where a login lets the browser come back to.
fn redirect(app: &App, preset: Option<&Preset>) -> Redirect {
    // What is wrong with the settings was told before.
    if let Ok(Some(redirect)) = app.redirect() {
        return redirect;
    }
    let Some(usual) = preset.map(|preset| preset.quirks.redirect) else {
        return Redirect::loopback();
    };
    let redirect = Redirect::parse(&format!("http://{}{}", usual.host, usual.path));
    let ports = match usual.ports {
        RedirectPorts::Registered(ports) => ports,
        _ => &[],
    };
    redirect
        .and_then(|redirect| redirect.with_ports(ports.iter().copied()))
        .unwrap_or_default()
}

/// The redirect URI that a login would send, with the first port that will do.
pub(crate) fn redirect_uri(app: &App, preset: Option<&Preset>) -> String {
    let redirect = redirect(app, preset);
    redirect.uri(redirect.ports().first().copied().unwrap_or(6363))
}

/// The proxy that requests to the server go through.
pub(crate) fn proxy(report: &mut Report, issuer: &Url) -> bool {
    let Some(proxy) = probe::proxy(issuer) else {
        report.add(Finding::ok("proxy", "No proxy is in between."));
        return false;
    };
    let variable = proxy.variable;
    report.add(match proxy.address {
        Some(address) => Finding::note(
            "proxy",
            format!(
                "Requests go through the proxy {} ({variable}).",
                printable(&address)
            ),
        )
        .remedy(format!(
            "if it should not, name the host in NO_PROXY: {}",
            shell_word(issuer.host_str().unwrap_or_default())
        )),
        None => Finding::fault(
            "proxy",
            format!("{variable} is not the address of a proxy."),
        )
        .remedy(format!("set {variable} as http://host:port"))
        .leaving_with(ExitCategory::Configuration),
    });
    true
}

/// What has to be registered at the server.
pub(crate) fn advice(app: &App, preset: Option<&Preset>) -> Finding {
    const CODE: &str = "redirect_uri";
    let redirect = redirect(app, preset);
    if redirect.is_hosted() {
        let uri = redirect.uri(0);
        return Finding::note(CODE, format!("Registered at the server must be {uri}."))
            .why("the page there shows the code, which people paste into the terminal");
    }
    let usual = preset.map(|preset| preset.quirks.redirect.ports);
    if usual == Some(RedirectPorts::AnyUnregistered) {
        let what = "There is no redirect URI to register: any port of this computer will do.";
        return Finding::note(CODE, what);
    }
    if redirect.ports().is_empty() {
        let uri = redirect.uri(0).replacen(":0", "", 1);
        return Finding::note(CODE, format!("Registered at the server must be {uri}.")).why(
            "the browser comes back there, to any free port; the server has to leave the port out \
             of the comparison (RFC 8252, section 7.3)",
        );
    }
    let uris: Vec<String> = redirect
        .ports()
        .iter()
        .map(|port| redirect.uri(*port))
        .collect();
    Finding::note(
        CODE,
        format!("Registered at the server must be {}.", uris.join(", ")),
    )
    .why("the browser comes back there, and the server compares it letter for letter")
}
