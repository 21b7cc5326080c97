//! `[resource]`, and what a proxy in front says about its client: `[client_certificate]` and
//! `[aws_load_balancer]`.

use countersign_resource::CertificateForm;
use toml::Spanned;

use super::super::{AwsLoadBalancer, ClientCertificate, Issuer, Resource, file};
use super::Check;
use crate::problem::Problem;

impl Check<'_> {
    pub(super) fn resource(
        &self,
        resource: Option<Spanned<file::Resource>>,
        issuers: &[Issuer],
    ) -> Result<Option<Resource>, Problem> {
        let Some(resource) = resource else {
            return Ok(None);
        };
        let span = resource.span();
        let resource = resource.into_inner();
        // Clients ask for tokens to it, so such tokens have to be good.
        let first = issuers.first();
        if !first.is_some_and(|issuer| issuer.audiences.contains(&resource.url)) {
            return Err(self
                .at(&span, "the first issuer gives no tokens to the resource")
                .why(format!("{} is none of its audiences", resource.url))
                .hint(format!("[[issuer]] audience = \"{}\"", resource.url)));
        }
        Ok(Some(Resource {
            url: resource.url,
            name: resource.name,
            documentation: resource.documentation,
            scopes: resource.scopes,
        }))
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
