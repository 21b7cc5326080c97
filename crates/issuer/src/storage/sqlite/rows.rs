//! A record of each kind, as a row.

use std::net::IpAddr;
use std::time::Duration;

use countersign_jose::{Algorithm, Timestamp};
use countersign_oauth::ScopeSet;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::core::{
    Account, Audiences, Authentication, AuthorizationCode, Class, Client, ClientAuthentication,
    Demands, Device, DeviceState, Factor, FactorKind, Grant, GrantType, Holder, PasswordHash,
    Proven, PushedRequest, Rotation, SealedSecret, SecondFactor, Session,
};

pub(super) fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get("id")?,
        username: row.get("username")?,
        name: row.get("name")?,
        email: row.get("email")?,
        groups: list(row, "groups")?,
        password: PasswordHash(row.get("password")?),
        disabled: row.get("disabled")?,
        created_at: time(row, "created_at")?,
    })
}

pub(super) fn client(row: &Row<'_>) -> rusqlite::Result<Client> {
    Ok(Client {
        id: row.get("id")?,
        name: row.get("name")?,
        authentication: match (row.get("secret")?, row.get("jwks")?) {
            (None, None) => ClientAuthentication::Public,
            (Some(digest), _) => ClientAuthentication::Secret(digest),
            (None, Some(jwks)) => ClientAuthentication::PrivateKeyJwt(jwks),
        },
        // A grant type that only another version knows is not granted.
        grant_types: list(row, "grant_types")?
            .iter()
            .filter_map(|name| GrantType::from_name(name))
            .collect(),
        audiences: match row.get("audiences")? {
            None => Audiences::Any,
            Some(List(list)) => Audiences::Listed(list),
        },
        serves: list(row, "serves")?,
        redirect_uris: list(row, "redirect_uris")?,
        post_logout_redirect_uris: list(row, "post_logout_redirect_uris")?,
        dpop_bound: row.get("dpop_bound")?,
        require_par: row.get("require_par")?,
        scopes: row.get::<_, Known<ScopeSet>>("scopes")?.0,
        signing_algorithm: row.get::<_, Known<Algorithm>>("signing_algorithm")?.0,
        created_at: time(row, "created_at")?,
    })
}

pub(super) fn device(row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        code: row.get("code")?,
        user_code: row.get("user_code")?,
        client_id: row.get("client_id")?,
        scopes: row.get::<_, Known<ScopeSet>>("scopes")?.0,
        audiences: list(row, "audiences")?,
        requested_from: row
            .get::<_, Option<Known<IpAddr>>>("requested_from")?
            .map(|Known(address)| address),
        claimed_host: row.get("claimed_host")?,
        claimed_command: row.get("claimed_command")?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        demands: Demands {
            classes: row.get::<_, Known<Vec<Class>>>("classes")?.0,
            max_age: row
                .get::<_, Option<u32>>("max_age")?
                .map(|seconds| Duration::from_secs(seconds.into())),
        },
        state: match row.get_ref("state")?.as_str()? {
            "pending" => DeviceState::Pending,
            "approved" => DeviceState::Approved {
                account_id: row.get("account_id")?,
                authentication: authentication(row)?,
            },
            "denied" => DeviceState::Denied,
            "unmet" => DeviceState::Unmet,
            // The table admits no other; redeemed is the one that gives nothing.
            _ => DeviceState::Redeemed,
        },
    })
}

pub(super) fn grant(row: &Row<'_>) -> rusqlite::Result<Grant> {
    Ok(Grant {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        client_id: row.get("client_id")?,
        scopes: row.get::<_, Known<ScopeSet>>("scopes")?.0,
        audiences: list(row, "audiences")?,
        authentication: authentication(row)?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        rotation: match row.get("generation")? {
            None => None,
            Some(generation) => Some(Rotation {
                generation,
                rotated_at: time(row, "rotated_at")?,
            }),
        },
        dpop_jkt: row.get("dpop_jkt")?,
    })
}

pub(super) fn code(row: &Row<'_>) -> rusqlite::Result<AuthorizationCode> {
    Ok(AuthorizationCode {
        code: row.get("code")?,
        client_id: row.get("client_id")?,
        redirect_uri: row.get("redirect_uri")?,
        code_challenge: row.get("code_challenge")?,
        nonce: row.get("nonce")?,
        scopes: row.get::<_, Known<ScopeSet>>("scopes")?.0,
        audiences: list(row, "audiences")?,
        account_id: row.get("account_id")?,
        authentication: authentication(row)?,
        dpop_jkt: row.get("dpop_jkt")?,
        expires_at: time(row, "expires_at")?,
        redeemed_as: row.get("redeemed_as")?,
    })
}

pub(super) fn pushed_request(row: &Row<'_>) -> rusqlite::Result<PushedRequest> {
    Ok(PushedRequest {
        uri: row.get("uri")?,
        client_id: row.get("client_id")?,
        parameters: row.get("parameters")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        authenticated_at: time(row, "authenticated_at")?,
        second: match second_factor(row)? {
            None => None,
            Some(factor) => Some(Proven {
                factor,
                at: time(row, "second_at")?,
            }),
        },
        is_halfway: row.get("is_halfway")?,
        expires_at: time(row, "expires_at")?,
    })
}

pub(super) fn factor(row: &Row<'_>) -> rusqlite::Result<Factor> {
    Ok(Factor {
        id: row.get("id")?,
        kind: match row.get("public_id")? {
            Some(public_id) => FactorKind::Yubikey { public_id },
            None => FactorKind::Totp,
        },
        holder: match (row.get("account_id")?, row.get("enrolled")?) {
            (Some(account_id), true) => Holder::Account(account_id),
            (Some(account_id), false) => Holder::ReservedFor(account_id),
            (None, _) => Holder::Anyone,
        },
        secret: SealedSecret(row.get("secret")?),
        position: row
            .get::<_, Option<i64>>("position")?
            .map(i64::cast_unsigned),
        since: time(row, "since")?,
        used_at: row
            .get::<_, Option<Millis>>("used_at")?
            .map(|Millis(at)| at),
    })
}

/// A device login's state, the account behind it and how that had signed in.
pub(super) fn state_columns(
    state: &DeviceState,
) -> (
    &'static str,
    Option<&str>,
    Option<Millis>,
    Option<&'static str>,
) {
    match state {
        DeviceState::Pending => ("pending", None, None, None),
        DeviceState::Approved {
            account_id,
            authentication,
        } => (
            "approved",
            Some(account_id),
            Some(Millis(authentication.at)),
            authentication.second.map(SecondFactor::name),
        ),
        DeviceState::Denied => ("denied", None, None, None),
        DeviceState::Unmet => ("unmet", None, None, None),
        DeviceState::Redeemed => ("redeemed", None, None, None),
    }
}

fn authentication(row: &Row<'_>) -> rusqlite::Result<Authentication> {
    Ok(Authentication {
        at: time(row, "auth_time")?,
        second: second_factor(row)?,
    })
}

fn second_factor(row: &Row<'_>) -> rusqlite::Result<Option<SecondFactor>> {
    let found: Option<Known<SecondFactor>> = row.get("second_factor")?;
    Ok(found.map(|Known(factor)| factor))
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get::<_, Millis>(column).map(|Millis(at)| at)
}

fn list(row: &Row<'_>, column: &str) -> rusqlite::Result<Vec<String>> {
    row.get::<_, List>(column).map(|List(list)| list)
}

/// A time as a column.
pub(super) struct Millis(pub(super) Timestamp);

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_millis().into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value
            .as_i64()
            .map(|millis| Self(Timestamp::from_millis(millis)))
    }
}

/// A list as a column.
pub(super) struct List(pub(super) Vec<String>);

impl ToSql for List {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(&self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(json.into())
    }
}

impl FromSql for List {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

/// A value that rests under its name.
struct Known<T>(T);

impl FromSql for Known<Algorithm> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Algorithm::from_name(value.as_str()?)
            .map(Self)
            .ok_or(FromSqlError::InvalidType)
    }
}

impl FromSql for Known<SecondFactor> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        SecondFactor::from_name(value.as_str()?)
            .map(Self)
            .ok_or(FromSqlError::InvalidType)
    }
}

impl FromSql for Known<Vec<Class>> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let List(names) = List::column_result(value)?;
        // One that is not known must not read as "any".
        let classes = names.iter().map(|name| Class::from_name(name));
        let classes: Option<Vec<Class>> = classes.collect();
        classes.map(Self).ok_or(FromSqlError::InvalidType)
    }
}

impl FromSql for Known<IpAddr> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value
            .as_str()?
            .parse()
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

impl FromSql for Known<ScopeSet> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        ScopeSet::parse(value.as_str()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}
