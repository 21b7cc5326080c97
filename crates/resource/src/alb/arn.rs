//! The name of a load balancer, and where the keys of its region are.

/// The ARN of an application load balancer:
/// `arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadBalancerArn {
    text: String,
    region: String,
    is_gov: bool,
}

impl LoadBalancerArn {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let is_gov = match partition {
            "aws" => false,
            "aws-us-gov" => true,
            // The keys of other partitions are elsewhere, and nobody says where.
            _ => return None,
        };
        let mut words = resource.split('/');
        let sound = arn == "arn"
            && service == "elasticloadbalancing"
            && is_region(region)
            && region.starts_with("us-gov-") == is_gov
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && words.next() == Some("loadbalancer")
            && words.next() == Some("app")
            && words.next().is_some_and(is_name)
            && words.next().is_some_and(is_name)
            && words.next().is_none();
        sound.then(|| Self {
            text: text.to_owned(),
            region: region.to_owned(),
            is_gov,
        })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The address below which the keys of its region are, each under its name.
    pub(super) fn place(&self) -> String {
        let region = &self.region;
        if self.is_gov {
            format!("https://s3-{region}.amazonaws.com/aws-elb-public-keys-prod-{region}")
        } else {
            format!("https://public-keys.auth.elb.{region}.amazonaws.com")
        }
    }
}

/// It becomes part of a host name.
fn is_region(text: &str) -> bool {
    let mut words = text.split('-').rev();
    let number = words.next().unwrap_or_default();
    let lower = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && text.len() <= 32
        && text.contains('-')
        && words.all(lower)
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188";

    #[test]
    fn keys_are_in_the_region_of_the_load_balancer() {
        let place = |arn: &str| LoadBalancerArn::parse(arn).map(|arn| arn.place());
        assert_eq!(
            place(ARN).as_deref(),
            Some("https://public-keys.auth.elb.eu-west-1.amazonaws.com")
        );
        for side in ["us-gov-west-1", "us-gov-east-1"] {
            let arn = ARN.replace("arn:aws:", "arn:aws-us-gov:");
            assert_eq!(
                place(&arn.replace("eu-west-1", side)),
                Some(format!(
                    "https://s3-{side}.amazonaws.com/aws-elb-public-keys-prod-{side}"
                ))
            );
        }
    }

    #[test]
    fn nothing_else_is_the_name_of_a_load_balancer() {
        for (from, to) in [
            ("arn:", ""),
            ("arn:aws:", "arn:aws-cn:"),
            ("arn:aws:", "arn:aws-us-gov:"),
            ("elasticloadbalancing", "s3"),
            ("eu-west-1", ""),
            ("eu-west-1", "evil.example/x-1"),
            ("eu-west-1", "eu-west-1.evil.example"),
            ("eu-west-1", "us-gov-west-1"),
            ("eu-west-1", "euwest1"),
            ("123456789012", "1234"),
            ("123456789012", "12345678901x"),
            ("/app/", "/net/"),
            ("/50dc6c495c0c9188", ""),
            ("/50dc6c495c0c9188", "/50dc6c495c0c9188/x"),
            ("web", "*"),
        ] {
            let arn = ARN.replacen(from, to, 1);
            assert_eq!(LoadBalancerArn::parse(&arn), None, "{arn}");
        }
    }
}
