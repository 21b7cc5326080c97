//! The server: connection, certificate, metadata, clock and keys.

use std::time::Duration;

use countersign_client::preset::{MetadataSource, PartName, Preset, Revocation};
use countersign_client::probe::{self, Chain, Discovered, ServerClock};
use countersign_client::{Error, ExitCategory, Login, Provider};
use url::Url;

use super::finding::{Finding, Level};
use super::report::Report;
use crate::app::App;
use crate::{duration, time};

/// A clock that is off by more makes certificates and tokens look expired or not yet good.
const HARMLESS: Duration = Duration::from_secs(5 * 60);
/// Whoever renews a certificate wants to know this early.
const RENEW_WITHIN: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The way to the server.
pub(crate) struct Way<'a> {
    pub(crate) issuer: &'a Url,
    pub(crate) preset: Option<&'static Preset>,
    /// Whether a proxy is in between.
    pub(crate) proxied: bool,
    /// How long one thing may take.
    pub(crate) limit: Duration,
}

/// Asks the server about itself.
pub(crate) fn look(
    report: &mut Report,
    app: &App,
    login: &Login,
    way: &Way<'_>,
) -> Option<Provider> {
    let Way { preset, limit, .. } = *way;
    let found = match probe::discover(login, limit) {
        Ok(found) => found,
        Err(error) => {
            report.add(Finding::of_client("discovery", &error));
            return None;
        }
    };
    let chain = (!way.proxied)
        .then(|| probe::danger_look_at_chain(way.issuer, limit).ok())
        .flatten();
    if let Ok(provider) = &found.provider
        && found.published
    {
        certificate(report, provider, chain.as_ref());
    }
    if found.provider.is_ok() || found.clock != ServerClock::Unknown {
        clock(report, &found);
    }
    let provider = match found.provider {
        Ok(provider) => provider,
        Err(error) => {
            report.add(undiscovered(&error, preset, chain.as_ref()));
            return None;
        }
    };
    report.add(if found.published {
        Finding::ok(
            "discovery",
            format!(
                "The server answers, and names itself {}.",
                provider.issuer()
            ),
        )
    } else {
        let title = preset.map_or("this provider", |preset| preset.title);
        Finding::ok(
            "discovery",
            format!("{title} publishes no metadata; its endpoints are known."),
        )
    });
    keys(report, app, &provider);
    revocation(report, &provider, preset);
    Some(provider)
}

/// Why the server is of no use.
fn undiscovered(error: &Error, preset: Option<&'static Preset>, chain: Option<&Chain>) -> Finding {
    let code = error.code();
    let finding = Finding::of_client("discovery", error);
    match code {
        "issuer_mismatch" => {
            let finding = Finding::of_client("issuer_mismatch", error)
                .saying("The server is another one than the profile says.")
                .leaving_with(ExitCategory::Configuration);
            match preset {
                Some(preset) if preset.name == "entra" => finding.remedy_first(format!(
                    "give the tenant as its ID, as --{} ID",
                    PartName::Org
                )),
                Some(preset) if preset.name == "auth0" => {
                    finding.remedy_first("an issuer of Auth0 ends in a slash")
                }
                _ => finding,
            }
        }
        "tls_failed" => untrusted(error, chain),
        "metadata_not_found" | "html_response" => {
            let configured =
                preset.is_some_and(|preset| preset.quirks.metadata == MetadataSource::Configured);
            let finding = finding.leaving_with(ExitCategory::Configuration);
            if configured {
                finding.remedy_first("set the endpoints in the profile: countersign setup oauth")
            } else {
                finding
            }
        }
        _ => finding,
    }
}

/// A certificate that is not believed, and who issued it.
fn untrusted(error: &Error, chain: Option<&Chain>) -> Finding {
    let finding = Finding::of_client("tls_untrusted", error)
        .saying("The server's certificate is not trusted.")
        .leaving_with(ExitCategory::Configuration);
    let Some((own, chain)) = chain.and_then(|chain| Some((chain.certificates.first()?, chain)))
    else {
        // Through a proxy nobody looks at the chain.
        return finding.remedy_first(crate::error::ADD_CERTIFICATE);
    };
    let by = own.issuer.as_deref().unwrap_or("somebody without a name");
    let sent = match chain.certificates.len() {
        1 => "it is the only one that the server sent".to_owned(),
        many => format!("the server sent {many} certificates"),
    };
    let finding = match own.not_after {
        Some(until) => finding.why(format!(
            "it was issued by {by}, and is good until {}; {sent}",
            time::text(until)
        )),
        None => finding.why(format!("it was issued by {by}; {sent}")),
    };
    let now = time::now();
    let in_time = own.not_before.is_none_or(|from| from <= now)
        && own.not_after.is_none_or(|until| now < until);
    if in_time {
        finding
            .remedy_first(format!(
                "if you trust {by}, add its certificate: --ca-cert FILE, or `ca_cert` in the profile"
            ))
            .remedy("if the name is that of a company's inspection, ask the company for its root certificate")
    } else {
        finding.remedy_first("have the server's certificate renewed, or set this computer's clock")
    }
}

/// Who vouches for the server, and how long.
fn certificate(report: &mut Report, provider: &Provider, chain: Option<&Chain>) {
    const CODE: &str = "tls";
    if provider.issuer().starts_with("http:") {
        report.add(Finding::ok(
            CODE,
            "The server is on this computer; there is no TLS.",
        ));
        return;
    }
    let Some((own, chain)) = chain.and_then(|chain| Some((chain.certificates.first()?, chain)))
    else {
        report.add(Finding::ok(CODE, "The server's certificate is trusted."));
        return;
    };
    let by = own.issuer.as_deref().unwrap_or("somebody without a name");
    let protocol = chain.protocol.unwrap_or("TLS");
    let Some(until) = own.not_after else {
        report.add(Finding::ok(
            CODE,
            format!("{protocol}; the certificate was issued by {by}."),
        ));
        return;
    };
    let left = until.since(time::now());
    report.add(if left < RENEW_WITHIN {
        Finding::warning(
            "tls_expiring",
            format!(
                "The server's certificate is good for {} more.",
                duration::text(left)
            ),
        )
        .remedy("remind the administrator of the server")
    } else {
        let day = time::text(until);
        Finding::ok(
            CODE,
            format!("{protocol}; the certificate was issued by {by}, good until {day}."),
        )
    });
}

fn clock(report: &mut Report, found: &Discovered) {
    let (by, ahead) = match found.clock {
        ServerClock::Differs { by, ahead } => (by, ahead),
        ServerClock::Agrees => {
            let agrees = "This computer's clock agrees with the server's.";
            return report.add(Finding::ok("clock", agrees));
        }
        ServerClock::Unknown => {
            let silent = "The server does not say what time it is.";
            return report.add(Finding::note("clock", silent));
        }
    };
    let direction = if ahead { "ahead of" } else { "behind" };
    let off = duration::text(by);
    let level = if by > HARMLESS {
        Level::Fault
    } else {
        Level::Warning
    };
    report.add(
        Finding::fault(
            "clock_off",
            format!("This computer's clock is {off} {direction} the server's."),
        )
        .at_level(level)
        .why("tokens and certificates are good between two points in time")
        .remedy("set the clock: timedatectl set-ntp true")
        .remedy("or have the administrator of the server set the server's"),
    );
}

fn keys(report: &mut Report, app: &App, provider: &Provider) {
    if provider.metadata().jwks_uri.is_none() {
        report.add(
            Finding::note("keys", "The server publishes no keys.")
                .why("nobody can check its tokens offline, and there are no ID tokens"),
        );
        return;
    }
    let keys = app.context().map(|context| provider.keys(&context));
    report.add(match keys {
        Ok(Ok(_)) => Finding::ok("keys", "The server's keys can be fetched and used."),
        Ok(Err(error)) => Finding::of_client("keys", &error),
        Err(error) => Finding::of_error("keys", &error),
    });
}

fn revocation(report: &mut Report, provider: &Provider, preset: Option<&Preset>) {
    let by_person = preset.and_then(|preset| match preset.quirks.revocation {
        Revocation::ByPerson(sentence) => Some(sentence),
        _ => None,
    });
    let named = provider.metadata().revocation_endpoint.is_some();
    match (by_person, named) {
        (Some(sentence), _) => report.add(Finding::note("revocation", sentence)),
        (None, true) => {}
        (None, false) => report.add(
            Finding::note(
                "revocation",
                "The server does not say how tokens are ended (RFC 7009).",
            )
            .why("`countersign logout` deletes them here; they stay good until they run out"),
        ),
    }
}
