//! A device login: begun, polled and redeemed (RFC 8628).

use std::net::IpAddr;
use std::time::Duration;

use countersign_jose::Timestamp;
use countersign_oauth::{ScopeSet, Secret, text};

use super::dpop::bound_to;
use super::limits::{Counter, Limited};
use super::pace::{self, Timing};
use super::token::Subject;
use super::{
    Authentication, Client, ClientCredentials, Core, Device, DeviceState, Digest, Failure, Grant,
    GrantType, Refusal, Rotation, Tokens, user_code,
};
use crate::storage::{StorageError, Transaction};

/// The longest claimed host or command that is kept, in characters.
const LONGEST_CLAIM: usize = 200;
/// The most scopes of a request, and the longest, in bytes.
const MOST_SCOPES: usize = 32;
const LONGEST_SCOPE: usize = 128;
/// How often a user code that is in use is drawn again. With ten thousand
/// live codes one draw in two million meets another.
const DRAWS: usize = 4;

/// A device authorization request (RFC 8628, section 3.1).
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    /// Who asks.
    pub credentials: ClientCredentials,
    /// The `scope` parameter; `openid` when it is absent.
    pub scope: Option<String>,
    /// The `resource` parameters (RFC 8707).
    pub resources: Vec<String>,
    /// The `audience` parameters, the older way to name a resource server.
    pub audiences: Vec<String>,
    /// What is asked of the sign-in.
    pub sign_in: AskedSignIn,
    /// The address the request came from.
    pub peer: IpAddr,
    /// The host name that the requester claims.
    pub claimed_host: Option<String>,
    /// The command that the requester claims to be.
    pub claimed_command: Option<String>,
}

/// What a device authorization request asks of the sign-in, by parameters of an
/// authorization request (RFC 9470, section 4).
#[derive(Clone, Debug, Default)]
pub struct AskedSignIn {
    /// The `acr_values`: the classes that will do, best first.
    pub acr_values: Option<String>,
    /// The `max_age`, in seconds.
    pub max_age: Option<String>,
    /// The `prompt`; only `login` in it means something here.
    pub prompt: Option<String>,
}

/// A device login that was begun (RFC 8628, section 3.2).
#[derive(Debug)]
pub struct StartedDevice {
    /// The `device_code`: 256 bits.
    pub device_code: Secret,
    /// The `user_code`, with its dash.
    pub user_code: String,
    /// The lifetime of both.
    pub expires_in: Duration,
    /// The time between polls.
    pub interval: Duration,
}

impl Core {
    /// Begins a device login. A client that may not use the grant is told
    /// here, not after a person has approved.
    pub async fn start_device(
        &self,
        request: DeviceRequest,
        now: Timestamp,
    ) -> Result<StartedDevice, Failure> {
        let client = self.authenticated(&request.credentials, now).await?;
        client.may_use(GrantType::DeviceCode)?;
        let scopes = scopes_of_request(request.scope.as_deref(), &client)?;
        let audiences = client.audiences_of_request(&request.resources, &request.audiences)?;
        let asked = &request.sign_in;
        let prompt = asked.prompt.as_deref().unwrap_or_default();
        let demands = self.demands(
            asked.acr_values.as_deref(),
            asked.max_age.as_deref(),
            prompt
                .split_ascii_whitespace()
                .any(|value| value == "login"),
        )?;
        let counters = [
            Counter::StartsFrom(request.peer),
            Counter::StartsOf(client.id.clone()),
        ];
        self.limiter
            .take(counters, now)
            .map_err(|Limited { retry_after }| Refusal::Busy { retry_after })?;

        let device_code = self.random_secret()?;
        let mut device = Device {
            code: self.digest(device_code.expose()),
            user_code: String::new(),
            client_id: client.id,
            scopes,
            audiences,
            requested_from: Some(request.peer),
            claimed_host: claim(request.claimed_host),
            claimed_command: claim(request.claimed_command),
            created_at: now,
            expires_at: now + self.lifetimes.device_code,
            demands,
            state: DeviceState::Pending,
        };
        for _ in 0..DRAWS {
            device.user_code = user_code::generate(self.provider)?;
            let drawn = device.clone();
            match self
                .store
                .write(move |records| records.add_device(&drawn))
                .await
            {
                Ok(()) => {
                    return Ok(StartedDevice {
                        device_code,
                        user_code: user_code::display(&device.user_code),
                        expires_in: self.lifetimes.device_code,
                        interval: pace::INTERVAL,
                    });
                }
                Err(StorageError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::Busy {
            retry_after: pace::INTERVAL,
        }
        .into())
    }

    /// Answers a poll: the tokens, once, when the login was approved
    /// (RFC 8628, sections 3.4 and 3.5).
    pub async fn redeem_device(
        &self,
        credentials: &ClientCredentials,
        device_code: &str,
        resources: &[String],
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let code = self.digest(device_code);
        let client = self.authenticated(credentials, now).await?;
        client.may_use(GrantType::DeviceCode)?;
        let proof = self.proven_key(&client, credentials, now)?;
        let device = self.store.read(|records| records.device(&code))?;
        let device = of_client(device, &client)?;
        let key = self.use_key(proof, now)?;
        match redeemable(&device, now) {
            Err(Refusal::AuthorizationPending) => Err(self.pending(&device, now).into()),
            Err(refusal) => Err(refusal.into()),
            Ok(_) => self.redeem(client, key, code, resources, now).await,
        }
    }

    fn pending(&self, device: &Device, now: Timestamp) -> Refusal {
        match self.pace.poll(&device.code, device.expires_at, now) {
            Timing::InTime => Refusal::AuthorizationPending,
            Timing::TooEarly => Refusal::SlowDown,
        }
    }

    /// Redeems an approved login. Looks at everything again, because only what
    /// the transaction sees is true for it alone.
    async fn redeem(
        &self,
        client: Client,
        key: Option<String>,
        code: Digest,
        resources: &[String],
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        self.can_sign_for(&client)?;
        let mut grant_id = [0_u8; 16];
        self.provider.fill_random(&mut grant_id)?;
        let lifetimes = self.lifetimes.clone();
        let resources = resources.to_vec();
        let redeemed = self.store.write(move |records| {
            let device = match of_client(records.device(&code)?, &client) {
                Ok(device) => device,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (account_id, authentication) = match redeemable(&device, now) {
                Ok(approval) => approval,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let Some(account) = records
                .account(account_id)?
                .filter(|account| !account.disabled)
            else {
                return deny(records, &code);
            };
            let Some(audiences) = narrowed(&device.audiences, &resources) else {
                return Ok(Err(Refusal::InvalidTarget));
            };
            records.set_device_state(&code, &DeviceState::Redeemed)?;
            let renewable = device.scopes.contains("offline_access");
            let grant = Grant {
                id: grant_id,
                account_id: account.id.clone(),
                client_id: client.id.clone(),
                scopes: device.scopes.clone(),
                audiences: device.audiences.clone(),
                authentication,
                created_at: now,
                expires_at: now
                    + if renewable {
                        lifetimes.login_idle
                    } else {
                        lifetimes.access_token
                    },
                rotation: renewable.then_some(Rotation {
                    generation: 0,
                    rotated_at: now,
                }),
                dpop_jkt: bound_to(&client, key.as_ref()),
            };
            records.add_grant(&grant)?;
            let scopes = grant.scopes.clone();
            Ok(Ok(Subject {
                grant,
                account,
                client,
                scopes,
                audiences,
                nonce: None,
                key,
            }))
        });
        let subject = redeemed.await??;
        self.pace.forget(&code);
        Ok(self.issue(&subject, now)?)
    }
}

/// An account that may no longer sign in gets nothing, also when the approval
/// came before; the device hears what it hears after a denial.
fn deny<T>(
    records: &mut dyn Transaction,
    code: &Digest,
) -> Result<Result<T, Refusal>, StorageError> {
    records.set_device_state(code, &DeviceState::Denied)?;
    Ok(Err(Refusal::AccessDenied))
}

/// The login, if it was begun by this client.
fn of_client(device: Option<Device>, client: &Client) -> Result<Device, Refusal> {
    device
        .filter(|device| device.client_id == client.id)
        .ok_or(Refusal::InvalidGrant("this device code is unknown"))
}

/// Who approved a login and how that person had signed in, if it can be
/// redeemed.
fn redeemable(device: &Device, now: Timestamp) -> Result<(&str, Authentication), Refusal> {
    match &device.state {
        DeviceState::Denied => Err(Refusal::AccessDenied),
        DeviceState::Unmet => Err(Refusal::UnmetAuthenticationRequirements),
        DeviceState::Redeemed => Err(Refusal::InvalidGrant("this device code was used before")),
        _ if now >= device.expires_at => Err(Refusal::ExpiredToken),
        DeviceState::Pending => Err(Refusal::AuthorizationPending),
        DeviceState::Approved {
            account_id,
            authentication,
        } => Ok((account_id, *authentication)),
    }
}

/// The audiences of one answer: those asked for now, if all of them were
/// granted, else all that were granted (RFC 8707, section 2.2).
pub(super) fn narrowed(granted: &[String], asked: &[String]) -> Option<Vec<String>> {
    if asked.is_empty() {
        return Some(granted.to_vec());
    }
    asked
        .iter()
        .all(|resource| granted.contains(resource))
        .then(|| asked.to_vec())
}

/// The scopes of a request, without those that can mean nothing to the client.
pub(super) fn scopes_of_request(scope: Option<&str>, client: &Client) -> Result<ScopeSet, Refusal> {
    let scopes = ScopeSet::parse(scope.unwrap_or("openid")).map_err(|_| Refusal::InvalidScope)?;
    let bounded =
        scopes.len() <= MOST_SCOPES && scopes.iter().all(|scope| scope.len() <= LONGEST_SCOPE);
    if !bounded {
        return Err(Refusal::InvalidScope);
    }
    // RFC 6749, section 3.3: the answer's `scope` says what became of it.
    if client.may_use(GrantType::RefreshToken).is_err() {
        let offline = ScopeSet::parse("offline_access").map_err(|_| Refusal::InvalidScope)?;
        return Ok(scopes.difference(&offline));
    }
    Ok(scopes)
}

/// What a requester says about itself, made fit for a page.
fn claim(claimed: Option<String>) -> Option<String> {
    let printable = text::printable(&claimed?);
    let short: String = printable.trim().chars().take(LONGEST_CLAIM).collect();
    (!short.is_empty()).then_some(short)
}
