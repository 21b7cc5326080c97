//! What a profile says about AWS, and where its STS is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::duration;
use crate::error::CliError;
use crate::output::shell_word;

/// What a profile says about AWS. Flags are called alike and win one by one.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AwsSettings {
    pub(crate) role_arn: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) sts_endpoint: Option<String>,
    pub(crate) session_name: Option<String>,
    #[serde(default, with = "duration::setting")]
    pub(crate) duration: Option<Duration>,
}

impl AwsSettings {
    /// The same, and where it says nothing, what `other` does.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            role_arn: self.role_arn.or(other.role_arn),
            region: self.region.or(other.region),
            sts_endpoint: self.sts_endpoint.or(other.sts_endpoint),
            session_name: self.session_name.or(other.session_name),
            duration: self.duration.or(other.duration),
        }
    }

    /// The role to take on.
    pub(crate) fn role(&self) -> Result<Role<'_>, CliError> {
        let Some(arn) = &self.role_arn else {
            return Err(CliError::configuration("no role is named")
                .why("STS gives credentials for a role")
                .hint("add --role-arn ARN, or role_arn under [profile.NAME.aws]"));
        };
        Role::parse(arn).ok_or_else(|| {
            CliError::configuration(format!("{} is not the ARN of a role", shell_word(arn)))
                .why("it looks like arn:aws:iam::123456789012:role/developer")
        })
    }

    /// Where STS is: the endpoint that was named, else the region's, else the global one.
    pub(crate) fn endpoint(&self, role: &Role<'_>) -> Result<Url, CliError> {
        if let Some(text) = &self.sts_endpoint {
            let url = Url::parse(text).ok().filter(Url::has_host);
            return url.ok_or_else(|| {
                CliError::configuration(format!("{} is not an address", shell_word(text)))
            });
        }
        let suffix = match role.partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            other => {
                return Err(CliError::configuration(format!(
                    "where STS is in the partition {other} is not known"
                ))
                .hint("add --sts-endpoint URL"));
            }
        };
        let host = match &self.region {
            Some(region) if is_label(region) => format!("sts.{region}.{suffix}"),
            Some(region) => {
                let what = format!("{} is not a region", shell_word(region));
                return Err(CliError::configuration(what).why("one is eu-central-1"));
            }
            None if role.partition == "aws" => format!("sts.{suffix}"),
            None => {
                return Err(CliError::configuration("no region is named")
                    .why(format!(
                        "the partition {} has no global STS",
                        role.partition
                    ))
                    .hint("add --region REGION"));
            }
        };
        Url::parse(&format!("https://{host}/"))
            .map_err(|error| CliError::configuration(error.to_string()))
    }
}

/// A role, by its ARN.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Role<'a> {
    pub(crate) arn: &'a str,
    partition: &'a str,
}

impl<'a> Role<'a> {
    fn parse(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let mut next = || parts.next();
        let (Some("arn"), partition, Some("iam"), Some(""), account, resource) =
            (next(), next()?, next(), next(), next()?, next()?)
        else {
            return None;
        };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let is_role = resource.strip_prefix("role/").is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
        });
        (is_label(partition) && is_account && is_role).then_some(Self { arn, partition })
    }
}

/// Whether a text is one piece of a host name, and no more.
fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(plain)
}

/// A name for the role's session, which the records of AWS show: of what the person is called, as much
/// as AWS takes (2 to 64 of letters, digits and `+=,.@_-`).
pub(crate) fn session_name(called: Option<&str>) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    let called = called.unwrap_or_default();
    let name: String = called
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .take(64)
        .collect();
    if name.len() < 2 {
        return "countersign".to_owned();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:iam::123456789012:role/team/developer";

    fn endpoint(arn: &str, region: Option<&str>, named: Option<&str>) -> Result<String, CliError> {
        let settings = AwsSettings {
            role_arn: Some(arn.to_owned()),
            region: region.map(str::to_owned),
            sts_endpoint: named.map(str::to_owned),
            ..AwsSettings::default()
        };
        let role = settings.role()?;
        Ok(settings.endpoint(&role)?.to_string())
    }

    #[test]
    fn sts_is_in_the_region_and_the_partition_of_the_role() {
        let china = ARN.replace("aws:", "aws-cn:");
        let at = |arn: &str, region| endpoint(arn, region, None).unwrap();
        assert_eq!(at(ARN, None), "https://sts.amazonaws.com/");
        assert_eq!(
            at(ARN, Some("eu-central-1")),
            "https://sts.eu-central-1.amazonaws.com/"
        );
        assert_eq!(
            at(&china, Some("cn-north-1")),
            "https://sts.cn-north-1.amazonaws.com.cn/"
        );
        let named = endpoint(ARN, Some("x"), Some("https://vpce.example/")).unwrap();
        assert_eq!(named, "https://vpce.example/");
    }

    #[test]
    fn what_would_lead_elsewhere_is_refused() {
        let china = ARN.replace("aws:", "aws-cn:");
        let secret = ARN.replace("aws:", "aws-iso:");
        for (arn, region, named) in [
            (ARN, Some("evil.example/"), None),
            (ARN, Some("EU"), None),
            (ARN, Some(""), None),
            (&china, None, None),
            (&secret, Some("us-iso-east-1"), None),
            (ARN, None, Some("not an address")),
            ("arn:aws:iam::123456789012:user/ada", None, None),
            ("arn:aws:iam::12345678901:role/a", None, None),
            ("arn:aws:iam:eu:123456789012:role/a", None, None),
            ("arn:aws:iam::123456789012:role/", None, None),
            ("developer", None, None),
        ] {
            let refused = endpoint(arn, region, named).unwrap_err();
            assert_eq!(
                refused.code(),
                "configuration",
                "{arn} {region:?} {named:?}"
            );
        }
    }

    #[test]
    fn a_session_is_called_like_the_person_as_far_as_aws_takes_it() {
        assert_eq!(session_name(Some("ada@example.com")), "ada@example.com");
        assert_eq!(session_name(Some("auth0|a b")), "auth0-a-b");
        assert_eq!(session_name(Some("x".repeat(80).as_str())), "x".repeat(64));
        for called in [None, Some(""), Some("a")] {
            assert_eq!(session_name(called), "countersign");
        }
    }
}
