//! `[resource]` and `[[resource]]`, and what a proxy in front says about its client: `[client_certificate]` and
//! `[aws_load_balancer]`.

use std::ops::Range;

use countersign_console::Problem;
use countersign_resource::CertificateForm;
use toml::Spanned;
use url::Url;

use super::super::{
    AwsLoadBalancer, ClientCertificate, Issuer, Origin, Part, Resource, Route, SignIn, file,
};
use super::Check;
use crate::route::canonical;

impl Check<'_> {
    pub(super) fn resources(
        &self,
        resources: file::Resources,
        issuers: &[Issuer],
        origins: &[&Origin],
    ) -> Result<Vec<Resource>, Problem> {
        let parts = match resources {
            file::Resources::None => return Ok(Vec::new()),
            file::Resources::Whole(resource) => {
                return Ok(vec![self.whole_resource(*resource, issuers)?]);
            }
            file::Resources::Parts(parts) => parts,
        };
        let mut checked: Vec<Resource> = Vec::new();
        for resource in parts {
            let resource = resource.into_inner();
            let span = resource.url.span();
            let part = self.part(&span, resource.url.get_ref(), issuers, origins)?;
            let is_same =
                |other: &Part| other.url.origin() == part.url.origin() && other.path == part.path;
            if checked.iter().flat_map(|other| &other.part).any(is_same) {
                return Err(self.at(&span, "the resource is there twice"));
            }
            checked.push(of_file(resource, Some(part)));
        }
        Ok(checked)
    }

    fn whole_resource(
        &self,
        resource: file::Resource,
        issuers: &[Issuer],
    ) -> Result<Resource, Problem> {
        let (span, url) = (resource.url.span(), resource.url.get_ref());
        // Clients ask for tokens to it, so such tokens have to be good.
        let first = issuers.first();
        if !first.is_some_and(|issuer| issuer.audiences.contains(url)) {
            return Err(self
                .at(&span, "the first issuer gives no tokens to the resource")
                .why(format!("{url} is none of its audiences"))
                .hint(format!("[[issuer]] audience = \"{url}\"")));
        }
        Ok(of_file(resource, None))
    }

    fn part(
        &self,
        span: &Range<usize>,
        text: &str,
        issuers: &[Issuer],
        origins: &[&Origin],
    ) -> Result<Part, Problem> {
        let fits = |url: &Url| url.query().is_none() && url.fragment().is_none();
        let url = Url::parse(text).ok().filter(fits);
        let url = url.ok_or_else(|| self.at(span, format!("`{text}` is no resource")))?;
        if !origins.iter().any(|ours| ours.url.origin() == url.origin()) {
            return Err(self
                .at(span, "nobody reaches the resource here")
                .why(format!("{text} is beneath no origin of this file"))
                .hint(format!(
                    "origin = \"{}\"",
                    url.origin().ascii_serialization()
                )));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if !path.is_empty() && canonical(&path).ok().as_deref() != Some(&*path) {
            return Err(self.at(span, format!("the path of {text} can be read in two ways")));
        }
        let givers = issuers.iter().enumerate();
        let givers = givers.filter(|(_, issuer)| issuer.audiences.iter().any(|aud| aud == text));
        let givers: Vec<usize> = givers.map(|(at, _)| at).collect();
        if givers.is_empty() {
            return Err(self
                .at(span, "no issuer gives tokens to the resource")
                .why(format!("{text} is nobody's audience"))
                .hint(format!("[[issuer]] audience = \"{text}\"")));
        }
        Ok(Part {
            url,
            path,
            issuers: givers,
        })
    }

    /// Whether people who have signed in have a token for the routes that they are sent to sign in for.
    pub(super) fn people_get_in(
        &self,
        sign_in: Option<&SignIn>,
        routes: &[Route],
        resources: &[Resource],
    ) -> Result<(), Problem> {
        let Some(sign_in) = sign_in else {
            return Ok(());
        };
        for route in routes.iter().filter(|route| route.sign_in) {
            let pattern = route.pattern.to_string();
            let end = pattern.find(['{', '*']).unwrap_or(pattern.len());
            let fixed = pattern.get(..end).unwrap_or_default();
            let parts = resources
                .iter()
                .filter_map(|it| Some((it, it.part.as_ref()?)));
            let beneath = |part: &Part| part.holds(fixed.trim_end_matches('/'));
            // Of two parts that hold all of the route, the longer one has it.
            let held = parts.clone().filter(|(_, part)| beneath(part));
            let longest = held.map(|(_, part)| part.path.len()).max();
            for (resource, part) in parts {
                let holds_all = beneath(part) && longest == Some(part.path.len());
                let holds_some = end < pattern.len() && part.path.starts_with(fixed);
                let asked = [&sign_in.resource, &sign_in.audience];
                let has_token = asked.into_iter().flatten().any(|url| *url == resource.url);
                if (holds_all || holds_some) && !has_token {
                    let what = format!("people who sign in get no token for {}", resource.url);
                    return Err(self
                        .source
                        .on_line(route.line, what)
                        .hint(format!("[sign_in] resource = \"{}\"", resource.url)));
                }
            }
        }
        Ok(())
    }

    pub(super) fn client_certificate(
        &self,
        certificate: Option<Spanned<file::ClientCertificate>>,
    ) -> Result<Option<ClientCertificate>, Problem> {
        let Some(certificate) = certificate else {
            return Ok(None);
        };
        let span = certificate.span();
        let certificate = certificate.into_inner();
        let trust = certificate.trust.iter();
        let trust = trust.map(|text| self.network(&span, text));
        let trust = trust.collect::<Result<Vec<_>, _>>()?;
        if trust.is_empty() {
            return Err(self
                .at(&span, "[client_certificate] is believed from nobody")
                .hint(
                    "trust = [\"10.0.0.0/8\"]: the proxy that sets the header, and removes it else",
                ));
        }
        Ok(Some(ClientCertificate {
            header: certificate.header,
            form: match certificate.form {
                file::CertificateForm::EscapedPem => CertificateForm::EscapedPem,
                file::CertificateForm::Rfc9440 => CertificateForm::Rfc9440,
            },
            trust,
        }))
    }

    pub(super) fn aws_load_balancer(
        &self,
        balancer: Option<Spanned<file::AwsLoadBalancer>>,
    ) -> Result<Option<AwsLoadBalancer>, Problem> {
        let Some(balancer) = balancer else {
            return Ok(None);
        };
        let span = balancer.span();
        let balancer = balancer.into_inner();
        let trust = balancer.trust.iter();
        let trust = trust.map(|text| self.network(&span, text));
        let trust = trust.collect::<Result<Vec<_>, _>>()?;
        let signers = balancer.signer.into_vec();
        if signers.is_empty() || trust.is_empty() {
            return Err(self
                .at(&span, "[aws_load_balancer] is believed from nobody")
                .hint(
                    "signer = \"arn:aws:elasticloadbalancing:…\" and trust = [\"10.0.0.0/16\"]",
                ));
        }
        Ok(Some(AwsLoadBalancer {
            issuer: balancer.issuer,
            client_id: balancer.client_id,
            signers,
            trust,
        }))
    }
}

fn of_file(resource: file::Resource, part: Option<Part>) -> Resource {
    Resource {
        url: resource.url.into_inner(),
        part,
        name: resource.name,
        documentation: resource.documentation,
        scopes: resource.scopes,
    }
}
