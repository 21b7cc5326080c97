//! One token verified: by the bare signature check of the crypto library, by the validator, and by
//! the library that most APIs use. All in turn, round after round, on one thread, by the time of the
//! processor that this thread used; then on two threads, by the wall clock.
//!
//! The token is of common size: 0.9 kB of claims, 1.4 to 1.7 kB in all.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{self, ParsedPublicKey};
use countersign_jose::base64url;
use countersign_jose::crypto::aws_lc;
use countersign_jose::{Algorithm, KeySet, SigningKey};
use countersign_resource::{FetchFuture, FetchKeys, FetchedKeys, Validator};
use jsonwebtoken::{DecodingKey, Validation};
use nix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::report::{self, Row, Target, median};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "https://api.example.com";

/// The median of so many rounds counts.
const ROUNDS: usize = 9;

/// More callers than a service of some size has at a time.
const CALLERS: usize = 5_000;

/// What the validator may take for a signature check, and how much faster it is to be than the other
/// library.
const GOALS: [(Algorithm, f64, f64); 3] = [
    (Algorithm::Rs256, 1.15, 1.25),
    (Algorithm::Es256, 1.07, 1.05),
    (Algorithm::EdDsa, 1.09, 1.05),
];

pub(crate) fn measure(round: Duration) -> Result<(), Box<dyn Error>> {
    run(round).map_err(|failure| -> Box<dyn Error> { failure })
}

fn run(round: Duration) -> Result<(), Failure> {
    report::title("a token validated, in microseconds (one thread; bare is the signature alone)");
    println!(
        "  {:<8} {:>8} {:>10} {:>12} {:>14}",
        "", "bare", "validator", "remembered", "jsonwebtoken"
    );
    let mut rows = Vec::new();
    let mut rsa = None;
    for (algorithm, over_bare, over_other) in GOALS {
        let scene = Scene::new(algorithm)?;
        let figures = scene.figures(round)?;
        let [bare, ours, remembered, other] = figures;
        println!("  {algorithm:<8} {bare:>8.2} {ours:>10.2} {remembered:>12.2} {other:>14.2}");
        rows.push(Row::times(
            &format!("{algorithm} beside the bare signature check"),
            ours / bare,
            Target::AtMost(over_bare),
        ));
        rows.push(Row::times(
            &format!("{algorithm}, times faster than jsonwebtoken"),
            other / ours,
            Target::AtLeast(over_other),
        ));
        if algorithm == Algorithm::Rs256 {
            rows.push(Row::micros(
                "RS256 remembered, with a look at subject and scope",
                remembered,
                Target::AtMost(1.2),
            ));
            rows.push(Row::times(
                "RS256 remembered, times faster than verified",
                ours / remembered,
                Target::AtLeast(12.0),
            ));
            rsa = Some(scene);
        }
    }
    if let Some(scene) = rsa {
        rows.extend(scene.crowd(round)?);
    }
    report::targets(&rows);
    Ok(())
}

/// One key, and tokens that it signed.
struct Scene {
    key: SigningKey,
    algorithm: Algorithm,
    token: String,
    runtime: Runtime,
    /// Remembers nothing.
    plain: Validator,
    remembering: Validator,
}

impl Scene {
    fn new(algorithm: Algorithm) -> Result<Self, Failure> {
        let key = SigningKey::generate(algorithm, aws_lc::provider())?;
        let published = json!({ "keys": [key.public_jwk()] }).to_string();
        let builder = || {
            let keys = Published(published.clone().into_bytes());
            Validator::builder(ISSUER)
                .audience(AUDIENCE)
                .key_fetcher(keys)
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let token = key.sign("at+jwt", &claims(0)?)?;
        Ok(Self {
            plain: builder().token_cache(0).build()?,
            remembering: builder().token_cache(64 * 1024 * 1024).build()?,
            key,
            algorithm,
            token,
            runtime,
        })
    }

    /// Bare, validator, remembered and the other library: microseconds, each the median of rounds
    /// that took turns.
    fn figures(&self, round: Duration) -> Result<[f64; 4], Failure> {
        let bare = self.bare()?;
        let other = Other::new(&self.key, self.algorithm)?;
        let mut rounds: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let bare = timed(round, processor_time, || bare.check())?;
            let tokens = std::slice::from_ref(&self.token);
            let verified = self.repeat(&self.plain, tokens, round, processor_time)?;
            let remembered = self.repeat(&self.remembering, tokens, round, processor_time)?;
            let decoded = timed(round, processor_time, || other.decode(&self.token))?;
            for (figures, figure) in rounds.iter_mut().zip([bare, verified, remembered, decoded]) {
                figures.push(figure);
            }
        }
        Ok(rounds.map(median))
    }

    fn repeat(
        &self,
        validator: &Validator,
        tokens: &[String],
        round: Duration,
        clock: Clock,
    ) -> Result<f64, Failure> {
        self.runtime
            .block_on(validate(validator, tokens, round, clock))
    }

    /// Many callers: what each costs to remember, and how two threads get in each other's way.
    fn crowd(&self, round: Duration) -> Result<Vec<Row>, Failure> {
        let tokens = (0..CALLERS)
            .map(|number| Ok(self.key.sign("at+jwt", &claims(number)?)?))
            .collect::<Result<Vec<_>, Failure>>()?;
        let all = &self.remembering;
        self.runtime.block_on(async {
            for token in &tokens {
                all.validate(token).await.map_err(|_| "not validated")?;
            }
            Ok::<(), Failure>(())
        })?;
        let (count, bytes) = all.remembered_tokens();
        if count <= CALLERS {
            return Err("not all tokens are remembered".into());
        }
        let bare = self.bare()?;
        let mut rounds: [Vec<f64>; 7] = Default::default();
        for _ in 0..ROUNDS {
            let used = self.repeat(all, &tokens, round, processor_time)?;
            let alone = self.repeat(all, &tokens, round, wall_clock)?;
            let together = on_two_threads(all, &tokens, round)?;
            let verified = self.repeat(&self.plain, &tokens, round, wall_clock)?;
            let verified_together = on_two_threads(&self.plain, &tokens, round)?;
            let check = || bare.check();
            let checked = timed(round, wall_clock, check)?;
            let checked_together = both(
                || timed(round, wall_clock, check),
                || timed(round, wall_clock, check),
            )?;
            let figures = [
                used,
                alone,
                together,
                verified,
                verified_together,
                checked,
                checked_together,
            ];
            for (rounds, figure) in rounds.iter_mut().zip(figures) {
                rounds.push(figure);
            }
        }
        let [
            used,
            alone,
            together,
            verified,
            verified_together,
            checked,
            checked_together,
        ] = rounds.map(median);
        println!(
            "  {CALLERS} callers in turn, remembered: {alone:.2} us on one thread, {together:.2} us \
             a token on two"
        );
        println!(
            "  the bare signature check on two threads: {:.2} times one, which is what this machine \
             has to give",
            checked / checked_together
        );
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let each = bytes as f64 / count as f64;
        Ok(vec![
            Row::micros(
                "RS256 remembered among 5000 callers",
                used,
                Target::AtMost(1.2),
            ),
            Row::times(
                "two threads, remembered, times one",
                alone / together,
                Target::AtLeast(1.8),
            ),
            Row::times(
                "two threads, verified, times one",
                verified / verified_together,
                Target::AtLeast(1.8),
            ),
            Row::bytes(
                "memory for a token that is remembered, as counted",
                each,
                Target::AtMost(1536.0),
            ),
        ])
    }

    fn bare(&self) -> Result<Bare<'_>, Failure> {
        let (message, signature) = self.token.rsplit_once('.').ok_or("no token")?;
        Ok(Bare {
            key: self.bare_key()?,
            message,
            signature: base64url::decode(signature)?,
        })
    }

    fn bare_key(&self) -> Result<ParsedPublicKey, Failure> {
        let jwk = self.key.public_jwk();
        let member = |name: &str| -> Result<Vec<u8>, Failure> {
            let text = jwk.get(name).and_then(Value::as_str).ok_or("no member")?;
            Ok(base64url::decode(text)?)
        };
        let parsed = match self.algorithm {
            Algorithm::Rs256 => {
                let pair = signature::RsaKeyPair::from_pkcs8(self.key.to_pkcs8_der())
                    .map_err(|_| "the key cannot be read")?;
                let public = signature::KeyPair::public_key(&pair);
                ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public)
            }
            Algorithm::Es256 => {
                let point = [vec![4], member("x")?, member("y")?].concat();
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
            }
            _ => ParsedPublicKey::new(&signature::ED25519, member("x")?),
        };
        parsed.map_err(|_| "the key cannot be read".into())
    }
}

/// A signature, and nothing around it.
struct Bare<'t> {
    key: ParsedPublicKey,
    message: &'t str,
    signature: Vec<u8>,
}

impl Bare<'_> {
    fn check(&self) -> Result<(), Failure> {
        let (message, signature) = (self.message.as_bytes(), black_box(&self.signature));
        let verified = self.key.verify_sig(message, signature);
        verified.map_err(|_| "the signature is not good".into())
    }
}

/// Where the time comes from.
type Clock = fn() -> Result<Duration, Failure>;

/// The time of the processor that this thread has used: what other programs do does not count. To the
/// nanosecond, where `getrusage` counts in ticks that are longer than some rounds.
fn processor_time() -> Result<Duration, Failure> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

fn wall_clock() -> Result<Duration, Failure> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// Validates the tokens in turn for a round; microseconds for one.
async fn validate(
    validator: &Validator,
    tokens: &[String],
    round: Duration,
    clock: Clock,
) -> Result<f64, Failure> {
    let began = clock()?;
    let mut count = 0_u32;
    let mut tokens = tokens.iter().cycle();
    loop {
        // The clock is asked now and then, so that it does not count.
        for token in tokens.by_ref().take(64) {
            let caller = validator.validate(black_box(token)).await;
            let caller = caller.map_err(|rejection| rejection.code())?;
            if caller.subject().is_empty() || !caller.has_scope("stock:read") {
                return Err("the wrong caller".into());
            }
        }
        count += 64;
        let took = clock()?.saturating_sub(began);
        if took >= round {
            return Ok(took.as_secs_f64() * 1e6 / f64::from(count));
        }
    }
}

/// The same on two threads at once: microseconds of the wall clock for one token.
fn on_two_threads(
    validator: &Validator,
    tokens: &[String],
    round: Duration,
) -> Result<f64, Failure> {
    let (first, second) = tokens.split_at(tokens.len() / 2);
    let run = |tokens: &[String]| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(validate(validator, tokens, round, wall_clock))
    };
    both(|| run(first), || run(second))
}

/// Two rounds on two threads at once: microseconds for one call, when each says how many for its own.
fn both(
    one: impl FnOnce() -> Result<f64, Failure>,
    other: impl FnOnce() -> Result<f64, Failure> + Send,
) -> Result<f64, Failure> {
    let [one, other] = std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        let other = other.join().map_err(|_| "a thread failed")?;
        Ok::<_, Failure>([one?, other?])
    })?;
    // Each thread does one in its time; together they do the sum of both rates.
    Ok(1.0 / (1.0 / one + 1.0 / other))
}

/// Microseconds for one call.
fn timed(
    round: Duration,
    clock: Clock,
    mut call: impl FnMut() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let began = clock()?;
    let mut count = 0_u32;
    loop {
        for _ in 0..16 {
            call()?;
        }
        count += 16;
        let took = clock()?.saturating_sub(began);
        if took >= round {
            return Ok(took.as_secs_f64() * 1e6 / f64::from(count));
        }
    }
}

/// The claims of a token of common size, a little different for each caller.
pub(crate) fn claims(number: usize) -> Result<Value, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(json!({
        "iss": ISSUER,
        "aud": [AUDIENCE, "https://id.example.com/userinfo"],
        "sub": format!("00u1a2b3c4d5e6f7g8h9-{number:06}"),
        "client_id": "inventory-cli-0oa1b2c3d4e5f6g7h8",
        "jti": format!("AT.7f3a9c1e-5b2d-4e8f-a6c0-{number:012}"),
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "auth_time": now - 120,
        "acr": "urn:example:acr:mfa",
        "amr": ["pwd", "otp", "hwk"],
        "scope": "openid profile email stock:read stock:write orders:read orders:write",
        "groups": [
            "engineering", "engineering-platform", "warehouse-north", "warehouse-south",
            "on-call-primary", "release-managers",
        ],
        "name": "Ada King, Countess of Lovelace",
        "preferred_username": "ada.lovelace@example.com",
        "email": "ada.lovelace@example.com",
        "email_verified": true,
        "tenant": "6f1b5a70-3c1e-4d38-9a56-0d4c9f5e2b11",
        "sid": "a3f0c2d4-77be-4f1b-8f57-9d3f4a1f6c2e",
        "department": "Warehouse and logistics, northern region",
        "zoneinfo": "Europe/London",
        "locale": "en-GB",
        "employee": 4711,
    }))
}

/// Keys that need no fetching.
struct Published(Vec<u8>);

impl FetchKeys for Published {
    fn fetch(&self) -> FetchFuture<'_> {
        Box::pin(async {
            let keys = KeySet::from_json(&self.0, aws_lc::provider());
            Ok(FetchedKeys {
                keys: keys.map_err(countersign_oauth::Error::Keys)?,
                json: self.0.clone(),
                max_age: None,
                etag: None,
            })
        })
    }
}

/// The library that most APIs use, as its documentation says.
struct Other {
    key: DecodingKey,
    validation: Validation,
}

/// What an API reads of a token.
#[derive(Deserialize)]
struct OtherClaims {
    sub: String,
    scope: String,
}

impl Other {
    fn new(key: &SigningKey, algorithm: Algorithm) -> Result<Self, Failure> {
        let jwk = serde_json::from_value(key.public_jwk())?;
        let algorithm = algorithm.name().parse()?;
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        Ok(Self {
            key: DecodingKey::from_jwk(&jwk)?,
            validation,
        })
    }

    fn decode(&self, token: &str) -> Result<(), Failure> {
        let decoded =
            jsonwebtoken::decode::<OtherClaims>(black_box(token), &self.key, &self.validation)?;
        let OtherClaims { sub, scope } = decoded.claims;
        if sub.is_empty() || !scope.split(' ').any(|scope| scope == "stock:read") {
            return Err("the wrong caller".into());
        }
        Ok(())
    }
}
