//! Which host serves what: partitions, FIPS and dual stack.
//!
//! The rules are those of the SDK's endpoint rule sets, written out here because an EKS token
//! needs the STS host without a call, a browser needs that of SSO OIDC, and EKS is called by
//! hand. The tests compare them with the rule sets of the SDK crates.

/// A partition's regions begin with this; its hosts end in one of the suffixes.
struct Partition {
    prefix: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
}

/// From `partitions.json` of the SDKs (aws-sdk-sts 1.124); what fits none is in `aws`.
const PARTITIONS: [Partition; 7] = [
    Partition {
        prefix: "cn-",
        suffix: "amazonaws.com.cn",
        dual_stack_suffix: "api.amazonwebservices.com.cn",
    },
    Partition {
        prefix: "eusc-",
        suffix: "amazonaws.eu",
        dual_stack_suffix: "api.amazonwebservices.eu",
    },
    Partition { prefix: "us-iso-", suffix: "c2s.ic.gov", dual_stack_suffix: "api.aws.ic.gov" },
    Partition { prefix: "us-isob-", suffix: "sc2s.sgov.gov", dual_stack_suffix: "api.aws.scloud" },
    Partition {
        prefix: "eu-isoe-",
        suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "api.cloud-aws.adc-e.uk",
    },
    Partition {
        prefix: "us-isof-",
        suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "api.aws.hci.ic.gov",
    },
    Partition { prefix: "us-gov-", suffix: "amazonaws.com", dual_stack_suffix: "api.aws" },
];

const COMMERCIAL: Partition =
    Partition { prefix: "", suffix: "amazonaws.com", dual_stack_suffix: "api.aws" };

fn partition(region: &str) -> &'static Partition {
    PARTITIONS.iter().find(|known| region.starts_with(known.prefix)).unwrap_or(&COMMERCIAL)
}

/// Returns whether `region` can stand in a host name. Anything else could lead a signed request
/// to a host of somebody else's choosing.
pub(crate) fn is_region(region: &str) -> bool {
    !region.is_empty()
        && region.len() <= 40
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Returns the base URL of STS in `region`.
pub(crate) fn sts(region: &str, fips: bool, dual_stack: bool) -> String {
    regional("sts", region, fips, dual_stack)
}

/// Returns the base URL of STS that a token for a cluster names. It is not we who call it but the cluster's
/// authenticator, and only a host that it knows (aws-iam-authenticator `pkg/token/token.go`,
/// `verifySTSHostnameFormat`, with the domains of `pkg/endpoints/partitions.go`): where a form of the host
/// is none of those, the plain regional one is named, whatever our own calls use.
pub(crate) fn sts_in_token(region: &str, fips: bool, dual_stack: bool) -> String {
    let prefix = partition(region).prefix;
    // `GetSTSDualStackPartitionDomain` knows none for the isolated partitions.
    let has_dual_stack = !prefix.contains("-iso");
    // There is no such host in China, and the lists of the older authenticators leave it out
    // (`pkg/regions/api_discoverer.go`).
    let has_fips = prefix != "cn-";
    sts(region, fips && has_fips, dual_stack && has_dual_stack)
}

/// Returns the base URL of SSO OIDC in `region`.
pub(crate) fn sso_oidc(region: &str, fips: bool, dual_stack: bool) -> String {
    regional("oidc", region, fips, dual_stack)
}

/// Returns the base URL of the SSO portal in `region`.
pub(crate) fn sso(region: &str, fips: bool, dual_stack: bool) -> String {
    regional("portal.sso", region, fips, dual_stack)
}

fn regional(service: &str, region: &str, fips: bool, dual_stack: bool) -> String {
    let partition = partition(region);
    match (fips, dual_stack) {
        (true, true) => format!("https://{service}-fips.{region}.{}", partition.dual_stack_suffix),
        // GovCloud's usual host is its FIPS host.
        (true, false) if partition.prefix == "us-gov-" => {
            format!("https://{service}.{region}.{}", partition.suffix)
        }
        (true, false) => format!("https://{service}-fips.{region}.{}", partition.suffix),
        (false, true) => format!("https://{service}.{region}.{}", partition.dual_stack_suffix),
        (false, false) => format!("https://{service}.{region}.{}", partition.suffix),
    }
}

/// Returns the base URL of EKS in `region` (endpoint rules of `eks` in botocore: FIPS is
/// `fips.eks.…` where the others have `…-fips`, except with dual stack).
pub(crate) fn eks(region: &str, fips: bool, dual_stack: bool) -> String {
    let partition = partition(region);
    match (fips, dual_stack) {
        (true, false) if partition.prefix.is_empty() => {
            format!("https://fips.eks.{region}.{}", partition.suffix)
        }
        _ => regional("eks", region, fips, dual_stack),
    }
}

/// Returns the base URL of the sign-in service in `region` (endpoint rules of `signin` in botocore of
/// the AWS CLI 2.38): that of the console's own pages, which have names of their own.
pub(crate) fn signin(region: &str, fips: bool, dual_stack: bool) -> String {
    let partition = partition(region);
    let pages = match partition.prefix {
        "" => "aws.amazon.com",
        "cn-" => "amazonaws.cn",
        "us-gov-" => "amazonaws-us-gov.com",
        "us-iso-" => "c2shome.ic.gov",
        "us-isob-" => "sc2shome.sgov.gov",
        "us-isof-" => "csphome.hci.ic.gov",
        "eu-isoe-" => "csphome.adc-e.uk",
        "eusc-" => "amazonaws-eusc.eu",
        _ => partition.suffix,
    };
    match (fips, dual_stack) {
        (false, false) => format!("https://{region}.signin.{pages}"),
        // GovCloud's first region has the name without a region.
        (true, false) if region == "us-gov-west-1" => format!("https://signin-fips.{pages}"),
        (true, false) if partition.prefix == "us-gov-" => {
            format!("https://{region}.signin-fips.{pages}")
        }
        _ => regional("signin", region, fips, dual_stack),
    }
}

/// A partition's IAM: one for all of its regions.
struct Iam {
    prefix: &'static str,
    /// Signatures name this region, whatever region the caller is in.
    region: &'static str,
    /// The hosts: plain, FIPS, dual stack, both.
    hosts: [&'static str; 4],
}

/// The endpoint rules of `iam` in botocore 1.42.
#[rustfmt::skip]
const IAM: [Iam; 8] = [
    Iam { prefix: "cn-", region: "cn-north-1", hosts: [
        "https://iam.cn-north-1.amazonaws.com.cn", "https://iam-fips.amazonaws.com.cn",
        "https://iam.global.api.amazonwebservices.com.cn", "https://iam-fips.api.amazonwebservices.com.cn"] },
    Iam { prefix: "us-gov-", region: "us-gov-west-1", hosts: [
        "https://iam.us-gov.amazonaws.com", "https://iam.us-gov.amazonaws.com",
        "https://iam.us-gov.api.aws", "https://iam.us-gov.api.aws"] },
    Iam { prefix: "eusc-", region: "eusc-de-east-1", hosts: [
        "https://iam.eusc-de-east-1.amazonaws.eu", "https://iam-fips.amazonaws.eu",
        "https://iam.global.api.amazonwebservices.eu", "https://iam-fips.api.amazonwebservices.eu"] },
    Iam { prefix: "us-iso-", region: "us-iso-east-1", hosts: [
        "https://iam.us-iso-east-1.c2s.ic.gov", "https://iam-fips.us-iso-east-1.c2s.ic.gov",
        "https://iam.api.aws.ic.gov", "https://iam-fips.api.aws.ic.gov"] },
    Iam { prefix: "us-isob-", region: "us-isob-east-1", hosts: [
        "https://iam.us-isob-east-1.sc2s.sgov.gov", "https://iam-fips.us-isob-east-1.sc2s.sgov.gov",
        "https://iam.api.aws.scloud", "https://iam-fips.api.aws.scloud"] },
    Iam { prefix: "eu-isoe-", region: "eu-isoe-west-1", hosts: [
        "https://iam.eu-isoe-west-1.cloud.adc-e.uk", "https://iam-fips.cloud.adc-e.uk",
        "https://iam.api.cloud-aws.adc-e.uk", "https://iam-fips.api.cloud-aws.adc-e.uk"] },
    Iam { prefix: "us-isof-", region: "us-isof-south-1", hosts: [
        "https://iam.us-isof-south-1.csp.hci.ic.gov", "https://iam-fips.csp.hci.ic.gov",
        "https://iam.api.aws.hci.ic.gov", "https://iam-fips.api.aws.hci.ic.gov"] },
    // Last: every region begins with nothing.
    Iam { prefix: "", region: "us-east-1", hosts: [
        "https://iam.amazonaws.com", "https://iam-fips.amazonaws.com",
        "https://iam.global.api.aws", "https://iam-fips.global.api.aws"] },
];

fn iam_of(region: &str) -> &'static Iam {
    let last = &IAM[IAM.len() - 1];
    IAM.iter().find(|known| region.starts_with(known.prefix)).unwrap_or(last)
}

/// Returns the base URL of IAM in the partition of `region`.
pub(crate) fn iam(region: &str, fips: bool, dual_stack: bool) -> &'static str {
    iam_of(region).hosts[usize::from(fips) + 2 * usize::from(dual_stack)]
}

/// Returns the region that calls of IAM are signed for in the partition of `region`.
pub(crate) fn iam_region(region: &str) -> &'static str {
    iam_of(region).region
}

#[cfg(test)]
mod tests {
    use aws_sdk_sso::config::endpoint::ResolveEndpoint as _;
    use aws_sdk_ssooidc::config::endpoint::ResolveEndpoint as _;
    use aws_sdk_sts::config::endpoint::ResolveEndpoint as _;

    use super::*;

    #[tokio::test]
    async fn hosts_are_those_of_the_sdks_rules() {
        let sts_rules = aws_sdk_sts::config::endpoint::DefaultResolver::new();
        let sso_rules = aws_sdk_sso::config::endpoint::DefaultResolver::new();
        let oidc_rules = aws_sdk_ssooidc::config::endpoint::DefaultResolver::new();
        for region in [
            "us-east-1",
            "eu-central-2",
            "il-central-1",
            "mx-central-1",
            "cn-north-1",
            "cn-northwest-1",
            "us-gov-west-1",
            "us-gov-east-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "eu-isoe-west-1",
            "us-isof-south-1",
            "eusc-de-east-1",
        ] {
            for (fips, dual_stack) in [(false, false), (true, false), (false, true), (true, true)] {
                let params = aws_sdk_sts::config::endpoint::Params::builder()
                    .region(region)
                    .use_fips(fips)
                    .use_dual_stack(dual_stack)
                    .build()
                    .unwrap();
                let expected = sts_rules.resolve_endpoint(&params).await.unwrap();
                assert_eq!(sts(region, fips, dual_stack), expected.url());

                let params = aws_sdk_ssooidc::config::endpoint::Params::builder()
                    .region(region)
                    .use_fips(fips)
                    .use_dual_stack(dual_stack)
                    .build()
                    .unwrap();
                let expected = oidc_rules.resolve_endpoint(&params).await.unwrap();
                assert_eq!(sso_oidc(region, fips, dual_stack), expected.url());

                let params = aws_sdk_sso::config::endpoint::Params::builder()
                    .region(region)
                    .use_fips(fips)
                    .use_dual_stack(dual_stack)
                    .build()
                    .unwrap();
                let expected = sso_rules.resolve_endpoint(&params).await.unwrap();
                assert_eq!(sso(region, fips, dual_stack), expected.url());
            }
        }
    }

    #[test]
    fn eks_hosts() {
        for (region, fips, dual_stack, expected) in [
            ("eu-west-1", false, false, "https://eks.eu-west-1.amazonaws.com"),
            ("eu-west-1", true, false, "https://fips.eks.eu-west-1.amazonaws.com"),
            ("eu-west-1", false, true, "https://eks.eu-west-1.api.aws"),
            ("eu-west-1", true, true, "https://eks-fips.eu-west-1.api.aws"),
            ("us-gov-west-1", true, false, "https://eks.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", false, false, "https://eks.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", false, true, "https://eks.cn-north-1.api.amazonwebservices.com.cn"),
        ] {
            assert_eq!(eks(region, fips, dual_stack), expected);
        }
    }

    /// A partition as the authenticator knows it: its name, its domain, its dual-stack domain
    /// (`pkg/endpoints/partitions.go`), and regions of it.
    type Known = (&'static str, &'static str, Option<&'static str>, &'static [&'static str]);

    const AUTHENTICATOR: [Known; 8] = [
        (
            "aws",
            "amazonaws.com",
            Some("api.aws"),
            &["us-east-1", "eu-west-1", "il-central-1", "mx-central-1", "ap-southeast-7"],
        ),
        (
            "aws-cn",
            "amazonaws.com.cn",
            Some("api.amazonwebservices.com.cn"),
            &["cn-north-1", "cn-northwest-1"],
        ),
        ("aws-us-gov", "amazonaws.com", Some("api.aws"), &["us-gov-west-1", "us-gov-east-1"]),
        ("aws-eusc", "amazonaws.eu", Some("api.amazonwebservices.eu"), &["eusc-de-east-1"]),
        ("aws-iso", "c2s.ic.gov", None, &["us-iso-east-1", "us-iso-west-1"]),
        ("aws-iso-b", "sc2s.sgov.gov", None, &["us-isob-east-1"]),
        ("aws-iso-e", "cloud.adc-e.uk", None, &["eu-isoe-west-1"]),
        ("aws-iso-f", "csp.hci.ic.gov", None, &["us-isof-south-1"]),
    ];

    /// What the authenticator of a cluster in this partition says of a host, after
    /// `verifySTSHostnameFormat`: the second label is the region; the host must be one that the SDK's
    /// rules give for that region, with or without FIPS and dual stack; its domain must be the
    /// partition's. The global host is for `aws` alone.
    async fn authenticator_takes(known: &Known, host: &str) -> bool {
        let (name, domain, dual_stack_domain, _) = known;
        if host == "sts.amazonaws.com" {
            return *name == "aws";
        }
        let labels: Vec<&str> = host.split('.').collect();
        let Some(region) = labels.get(1) else { return false };
        let rules = aws_sdk_sts::config::endpoint::DefaultResolver::new();
        let mut resolved = Vec::new();
        for (fips, dual_stack) in [(false, false), (true, false), (false, true), (true, true)] {
            let params = aws_sdk_sts::config::endpoint::Params::builder()
                .region(*region)
                .use_fips(fips)
                .use_dual_stack(dual_stack)
                .build();
            if let Ok(endpoint) = rules.resolve_endpoint(&params.unwrap()).await {
                resolved.push(endpoint.url().to_owned());
            }
        }
        let of = labels[2..].join(".");
        resolved.contains(&format!("https://{host}"))
            && (of == *domain || Some(of.as_str()) == *dual_stack_domain)
    }

    #[tokio::test]
    async fn tokens_name_hosts_that_the_authenticator_takes() {
        for known in &AUTHENTICATOR {
            for region in known.3 {
                for (fips, dual_stack) in
                    [(false, false), (true, false), (false, true), (true, true)]
                {
                    let url = sts_in_token(region, fips, dual_stack);
                    let host = url.strip_prefix("https://").unwrap();
                    assert!(authenticator_takes(known, host).await, "{} {host}", known.0);
                }
            }
        }
    }

    #[tokio::test]
    async fn what_the_authenticator_would_refuse_is_not_named() {
        let known = |name: &str| AUTHENTICATOR.iter().find(|known| known.0 == name).unwrap();
        let takes = async |name: &str, host: &str| authenticator_takes(known(name), host).await;
        // The rules of the test do refuse something.
        assert!(takes("aws", "sts.amazonaws.com").await);
        assert!(!takes("aws-us-gov", "sts.amazonaws.com").await);
        assert!(!takes("aws-cn", "sts.eu-west-1.amazonaws.com").await);
        assert!(!takes("aws", "sts.eu-west-1.example.com").await);
        let dual_stack = sts("us-iso-east-1", false, true);
        assert!(!takes("aws-iso", dual_stack.strip_prefix("https://").unwrap()).await);
        for (region, fips, dual_stack, expected) in [
            ("us-iso-east-1", false, true, "https://sts.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", true, true, "https://sts-fips.us-isob-east-1.sc2s.sgov.gov"),
            ("cn-north-1", true, false, "https://sts.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", true, true, "https://sts.cn-north-1.api.amazonwebservices.com.cn"),
            ("eu-west-1", true, true, "https://sts-fips.eu-west-1.api.aws"),
            ("us-gov-west-1", true, false, "https://sts.us-gov-west-1.amazonaws.com"),
            (
                "eusc-de-east-1",
                true,
                true,
                "https://sts-fips.eusc-de-east-1.api.amazonwebservices.eu",
            ),
        ] {
            assert_eq!(sts_in_token(region, fips, dual_stack), expected);
        }
    }

    /// As the botocore of the AWS CLI 2.38.5 resolves them.
    #[test]
    #[rustfmt::skip]
    fn signin_hosts() {
        for (region, fips, dual_stack, expected) in [
            ("us-east-1", false, false, "https://us-east-1.signin.aws.amazon.com"),
            ("us-east-1", false, true, "https://signin.us-east-1.api.aws"),
            ("us-east-1", true, false, "https://signin-fips.us-east-1.amazonaws.com"),
            ("us-east-1", true, true, "https://signin-fips.us-east-1.api.aws"),
            ("cn-north-1", false, false, "https://cn-north-1.signin.amazonaws.cn"),
            ("cn-north-1", false, true, "https://signin.cn-north-1.api.amazonwebservices.com.cn"),
            ("cn-north-1", true, false, "https://signin-fips.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", true, true, "https://signin-fips.cn-north-1.api.amazonwebservices.com.cn"),
            ("us-gov-west-1", false, false, "https://us-gov-west-1.signin.amazonaws-us-gov.com"),
            ("us-gov-west-1", false, true, "https://signin.us-gov-west-1.api.aws"),
            ("us-gov-west-1", true, false, "https://signin-fips.amazonaws-us-gov.com"),
            ("us-gov-west-1", true, true, "https://signin-fips.us-gov-west-1.api.aws"),
            ("us-gov-east-1", false, false, "https://us-gov-east-1.signin.amazonaws-us-gov.com"),
            ("us-gov-east-1", true, false, "https://us-gov-east-1.signin-fips.amazonaws-us-gov.com"),
            ("us-iso-east-1", false, false, "https://us-iso-east-1.signin.c2shome.ic.gov"),
            ("us-iso-east-1", false, true, "https://signin.us-iso-east-1.api.aws.ic.gov"),
            ("us-iso-east-1", true, false, "https://signin-fips.us-iso-east-1.c2s.ic.gov"),
            ("us-iso-east-1", true, true, "https://signin-fips.us-iso-east-1.api.aws.ic.gov"),
            ("us-isob-east-1", false, false, "https://us-isob-east-1.signin.sc2shome.sgov.gov"),
            ("us-isob-east-1", true, false, "https://signin-fips.us-isob-east-1.sc2s.sgov.gov"),
            ("eu-isoe-west-1", false, false, "https://eu-isoe-west-1.signin.csphome.adc-e.uk"),
            ("eu-isoe-west-1", true, false, "https://signin-fips.eu-isoe-west-1.cloud.adc-e.uk"),
            ("us-isof-south-1", false, false, "https://us-isof-south-1.signin.csphome.hci.ic.gov"),
            ("us-isof-south-1", true, false, "https://signin-fips.us-isof-south-1.csp.hci.ic.gov"),
            ("eusc-de-east-1", false, false, "https://eusc-de-east-1.signin.amazonaws-eusc.eu"),
            ("eusc-de-east-1", false, true, "https://signin.eusc-de-east-1.api.amazonwebservices.eu"),
            ("eusc-de-east-1", true, false, "https://signin-fips.eusc-de-east-1.amazonaws.eu"),
            ("eusc-de-east-1", true, true, "https://signin-fips.eusc-de-east-1.api.amazonwebservices.eu"),
        ] {
            assert_eq!(signin(region, fips, dual_stack), expected);
        }
    }

    /// As botocore 1.42 of the AWS CLI 1.44.8 resolves them.
    #[test]
    fn iam_is_one_for_a_partition() {
        for (region, fips, dual_stack, host, signed_for) in [
            ("us-east-1", false, false, "iam.amazonaws.com", "us-east-1"),
            ("eu-central-2", false, false, "iam.amazonaws.com", "us-east-1"),
            ("eu-central-2", true, false, "iam-fips.amazonaws.com", "us-east-1"),
            ("eu-central-2", false, true, "iam.global.api.aws", "us-east-1"),
            ("eu-central-2", true, true, "iam-fips.global.api.aws", "us-east-1"),
            ("cn-northwest-1", false, false, "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("us-gov-east-1", false, false, "iam.us-gov.amazonaws.com", "us-gov-west-1"),
            ("us-gov-east-1", true, true, "iam.us-gov.api.aws", "us-gov-west-1"),
            ("us-iso-west-1", false, false, "iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
            ("us-isob-east-1", false, true, "iam.api.aws.scloud", "us-isob-east-1"),
            ("eusc-de-east-1", true, false, "iam-fips.amazonaws.eu", "eusc-de-east-1"),
        ] {
            assert_eq!(iam(region, fips, dual_stack), format!("https://{host}"), "{region}");
            assert_eq!(iam_region(region), signed_for);
        }
    }

    #[test]
    fn a_region_cannot_lead_elsewhere() {
        for bad in ["", "evil.example/", "eu-west-1.evil.example", "EU-WEST-1", "a b", "a@b"] {
            assert!(!is_region(bad), "{bad}");
        }
        assert!(is_region("ap-southeast-7"));
    }
}
