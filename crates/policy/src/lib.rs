//! Rules over claims: who may pass, and why not.
//!
//! A [`Policy`] is two lists of rules. A rule holds when everything it asks for is there. One rule of
//! the deny list that holds refuses; otherwise one of the allow list that holds lets pass; nothing
//! that holds refuses. There is no order, no expression to evaluate, and no way to not come to an
//! end.
//!
//! ```
//! use countersign_policy::{Evidence, Policy};
//! use serde_json::json;
//!
//! let policy = Policy::from_toml(
//!     r#"
//!     [[allow]]
//!     name = "stock keepers"
//!     scopes = ["stock:write"]
//!     groups = ["warehouse"]
//!     max_auth_age = "15m"
//!
//!     [[deny]]
//!     name = "contractors"
//!     claims = [{ claim = "employment", equals = "contractor" }]
//!     "#,
//! )?;
//!
//! let claims = json!({ "sub": "ada", "groups": ["warehouse"], "auth_time": 1_000 });
//! let evidence = Evidence::new(claims.as_object().unwrap(), 1_500).scopes(&["stock:write"]);
//! assert!(policy.decide(&evidence).is_allowed());
//!
//! let late = Evidence::new(claims.as_object().unwrap(), 9_000).scopes(&["stock:write"]);
//! println!("{}", policy.explain(&late));
//! // refused: no rule allows it
//! //   allow "stock keepers": the sign-in is 8000 seconds old, at most 900 will do
//! //   deny "contractors": there is no claim employment
//! # assert_eq!(policy.explain(&late).to_string().lines().count(), 3);
//! # Ok::<(), countersign_policy::PolicyError>(())
//! ```
//!
//! # What cannot be decided counts against the caller
//!
//! A condition holds, fails, or cannot be decided: a claim is of another type than the rule expects,
//! an address is not verified, the source of a request is not known. In a rule that allows, that is a
//! failure; in one that denies, it is a match.
//!
//! Not responsible for whether the claims are true: they come verified, from whoever has a token,
//! a session or a certificate. This crate knows of none of these.

mod condition;
mod decision;
mod error;
mod evidence;
mod glob;
mod network;
mod policy;
mod rule;
mod shown;
pub mod suggest;

pub use decision::{Decision, Explanation, Mend, RuleReport};
pub use error::PolicyError;
pub use evidence::{Claims, Evidence, Fact};
pub use network::{InvalidNetwork, Network};
pub use policy::{MAX_POLICY_LEN, MAX_RULES, Policy, PolicyBuilder};
pub use rule::{ClaimTest, Effect, MAX_VALUES, Path, Rule, Scalar};
