//! Validation servers: honest ones, ones that are away, and ones that lie.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_oauth::Secret;
use countersign_otp::crypto::aws_lc;
use countersign_otp::validation::sim::SimulatedServer;
use countersign_otp::validation::{ApiKey, Status};
use countersign_otp::yubico::Secrets;
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_resource::otp::{
    MemoryDevices, Method, NewDevice, OtpLimits, OtpService, SealingKey, SealingKeys, Typed,
    ValidationServers, ValidationServersBuilder,
};
use countersign_resource::state::MemoryState;
use countersign_resource::{Clock as _, SystemClock};
use countersign_testkit::{HttpServer, Reply, Yubiserver};
use tokio::task::JoinSet;

use crate::scene::{self, ADA, secrets};

const API_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQ=";
const PUBLIC_ID: &str = "cccccccccccv";

fn api_key() -> ApiKey {
    ApiKey::from_base64(API_KEY).unwrap()
}

fn key() -> SimulatedKey {
    SimulatedKey::new(PUBLIC_ID.parse().unwrap(), secrets())
}

fn touch(key: &mut SimulatedKey) -> Typed {
    Typed::new(Method::Yubikey, Secret::new(key.press(1).expose()))
}

async fn says(service: &OtpService, typed: &Typed, nonce: &str) -> &'static str {
    scene::says(service, &SystemClock::default(), typed, nonce).await
}

/// What becomes of what an honest server says.
type Twist = Box<dyn Fn(String) -> Reply + Send>;

/// A server that knows the key, and what it is made to say.
struct Server {
    http: HttpServer,
    simulated: Arc<Mutex<SimulatedServer>>,
}

impl Server {
    /// `twist` changes what it says before it is sent.
    fn start(twist: impl Fn(String) -> Reply + Send + 'static) -> Self {
        let simulated = SimulatedServer::new("87", api_key());
        let simulated = simulated.key(PUBLIC_ID.parse().unwrap(), secrets());
        let simulated = Arc::new(Mutex::new(simulated));
        let http = HttpServer::start();
        let answering = Arc::clone(&simulated);
        http.on_fn("GET", "/wsapi/2.0/verify", move |request| {
            let query = request.query.clone();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let mut server = answering.lock().unwrap();
            twist(server.answer(&query, now, aws_lc::provider()))
        });
        Self { http, simulated }
    }

    fn honest() -> Self {
        Self::start(Self::plain)
    }

    fn plain(body: String) -> Reply {
        Reply::text(200, "text/plain", body)
    }

    fn url(&self) -> String {
        self.http.url("/wsapi/2.0/verify")
    }
}

/// A service with ADA's key, which asks these servers.
async fn service(urls: &[String], key: &str) -> OtpService {
    let servers = ValidationServers::builder("87", Secret::new(key));
    asking(servers, urls, PUBLIC_ID).await
}

async fn asking(
    mut servers: ValidationServersBuilder,
    urls: &[String],
    public_id: &str,
) -> OtpService {
    for url in urls {
        servers = servers.server(url);
    }
    let servers = servers.time_limit(Duration::from_secs(3)).build().unwrap();
    let state = Arc::new(MemoryState::new(SystemClock::default().now()));
    let keys = SealingKeys::new(SealingKey::new(&[7; 32]).unwrap());
    let service = OtpService::builder(Arc::new(MemoryDevices::new()), keys, state)
        .servers(servers)
        .limits(OtpLimits::new(100, Duration::from_secs(900)))
        .build()
        .unwrap();
    let new = NewDevice::RemoteYubikey(public_id.parse().unwrap());
    service.enrol(ADA, "remote", new, None).await.unwrap();
    service
}

#[tokio::test]
async fn a_server_says_whether_a_password_is_right_and_we_say_whether_it_was_used() {
    let server = Server::honest();
    let service = service(&[server.url()], API_KEY).await;
    let mut key = key();
    let otp = touch(&mut key);
    assert_eq!(says(&service, &otp, "1").await, "right");
    assert_eq!(says(&service, &otp, "2").await, "replayed_otp");
    let asked = server.http.requests().len();
    // A key of nobody is not asked about.
    let mut other = SimulatedKey::new("cccccccccccu".parse().unwrap(), secrets());
    assert_eq!(says(&service, &touch(&mut other), "3").await, "wrong_otp");
    assert_eq!(server.http.requests().len(), asked);
    // Its public id, and not its secrets.
    let forged = Secrets::new([1; 6], [1; 16]);
    let mut forged = SimulatedKey::new(PUBLIC_ID.parse().unwrap(), forged);
    assert_eq!(says(&service, &touch(&mut forged), "4").await, "wrong_otp");
}

/// The servers say `OK` to an old password again, in an honest answer: they were restored from a backup.
#[tokio::test]
async fn what_the_servers_have_forgotten_is_remembered_here() {
    let server = Server::honest();
    let service = service(&[server.url()], API_KEY).await;
    let otp = touch(&mut key());
    assert_eq!(says(&service, &otp, "1").await, "right");
    let fresh = SimulatedServer::new("87", api_key());
    *server.simulated.lock().unwrap() = fresh.key(PUBLIC_ID.parse().unwrap(), secrets());
    assert_eq!(says(&service, &otp, "2").await, "replayed_otp");
}

#[tokio::test]
async fn servers_that_lie_or_do_not_say_let_nobody_in() {
    let unsigned = |body: String| Server::plain(body.split_once("\r\n").unwrap().1.to_owned());
    let forged = |body: String| Server::plain(body.replace("status=BAD_OTP", "status=OK"));
    let other_otp = |body: String| Server::plain(body.replace(PUBLIC_ID, "cccccccccccu"));
    let html = |_| Reply::text(200, "text/html", "<html>sign in to the hotel network");
    let away = |_| Reply::hangup();
    let moved = |_| Reply::redirect(302, "https://example.com/");
    let twists: [(&str, Twist); 6] = [
        ("unsigned", Box::new(unsigned)),
        ("forged", Box::new(forged)),
        ("another password", Box::new(other_otp)),
        ("a page", Box::new(html)),
        ("away", Box::new(away)),
        ("moved", Box::new(moved)),
    ];
    for (name, twist) in twists {
        let server = Server::start(twist);
        if name == "forged" {
            let mut simulated = server.simulated.lock().unwrap();
            simulated.always(Some(Status::BadOtp));
        }
        let service = service(&[server.url()], API_KEY).await;
        let said = says(&service, &touch(&mut key()), "1").await;
        assert_eq!(said, "unavailable", "{name}");
    }
    let server = Server::honest();
    let service = service(&[server.url()], "FBMSERAPDg0MCwoJCAcGBQQDAgE=").await;
    let said = says(&service, &touch(&mut key()), "1").await;
    assert_eq!(said, "unavailable", "the key is another one");
}

#[tokio::test]
async fn of_several_servers_one_that_answers_is_enough() {
    let (away, broken) = (Server::start(|_| Reply::hangup()), Server::honest());
    broken
        .simulated
        .lock()
        .unwrap()
        .always(Some(Status::BackendError));
    let honest = Server::honest();
    let urls = [away.url(), broken.url(), honest.url()];
    let service = service(&urls, API_KEY).await;
    assert_eq!(says(&service, &touch(&mut key()), "1").await, "right");
}

/// It never answers; the person is told in time.
#[tokio::test]
async fn a_server_that_sleeps_is_given_up_on_in_time() {
    let server = Server::start(|_| Reply::never());
    let service = service(&[server.url()], API_KEY).await;
    let asked = std::time::Instant::now();
    assert_eq!(says(&service, &touch(&mut key()), "1").await, "unavailable");
    assert!(asked.elapsed() < Duration::from_secs(20));
}

/// Whoever enrols a key that is elsewhere shows a password of it, which is used up there and here.
#[tokio::test]
async fn a_remote_key_is_proved_when_it_is_enrolled() {
    let server = Server::honest();
    let service = service(&[server.url()], API_KEY).await;
    let device = service.devices_of(ADA).await.unwrap().remove(0);
    assert!(service.remove(&device.id).await.unwrap());
    let otp = touch(&mut key());
    let new = NewDevice::RemoteYubikey(PUBLIC_ID.parse().unwrap());
    let secret = Secret::new(key().press(1).expose());
    service
        .enrol(ADA, "again", new, Some(&secret))
        .await
        .unwrap();
    assert_eq!(says(&service, &otp, "1").await, "replayed_otp");
}

/// A server that somebody else wrote, which knows us by this key.
fn yubiserver(key: &str) -> ValidationServersBuilder {
    ValidationServers::builder(Yubiserver::CLIENT, Secret::new(key))
}

fn yubiservers_key() -> SimulatedKey {
    let secrets = Secrets::new(Yubiserver::PRIVATE_ID, Yubiserver::AES_KEY);
    SimulatedKey::new(Yubiserver::PUBLIC_ID.parse().unwrap(), secrets)
}

/// It signs no counters: that its passwords count once is up to it. Beside it are a server that is away and one that never answers.
#[tokio::test]
async fn yubiserver_is_believed_over_http_while_others_are_away() {
    let stranger = Yubiserver::start();
    let (away, asleep) = (
        Server::start(|_| Reply::hangup()),
        Server::start(|_| Reply::never()),
    );
    let urls = [away.url(), asleep.url(), stranger.url()];
    let servers = yubiserver(&Yubiserver::api_key()).danger_without_counters();
    let service = asking(servers, &urls, Yubiserver::PUBLIC_ID).await;
    let mut key = yubiservers_key();

    let (first, second) = (touch(&mut key), touch(&mut key));
    assert_eq!(says(&service, &second, "1").await, "right");
    assert_eq!(says(&service, &second, "2").await, "replayed_otp");
    assert_eq!(says(&service, &first, "3").await, "replayed_otp");
    let forged = Secrets::new(Yubiserver::PRIVATE_ID, [1; 16]);
    let mut forged = SimulatedKey::new(key.public_id().clone(), forged);
    assert_eq!(says(&service, &touch(&mut forged), "4").await, "wrong_otp");
    assert!(!away.http.requests().is_empty() && !asleep.http.requests().is_empty());
}

/// The servers say `OK` however often they are asked, and no counters.
#[tokio::test]
async fn without_counters_what_passes_twice_there_passes_once_here() {
    let http = HttpServer::start();
    http.on_fn("GET", "/wsapi/2.0/verify", |request| {
        let forgetful = SimulatedServer::new("87", api_key());
        let mut forgetful = forgetful.key(PUBLIC_ID.parse().unwrap(), secrets());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Server::plain(forgetful.answer(&request.query, now, aws_lc::provider()))
    });
    let servers = ValidationServers::builder("87", Secret::new(API_KEY)).danger_without_counters();
    let service = asking(servers, &[http.url("/wsapi/2.0/verify")], PUBLIC_ID).await;
    let otp = touch(&mut key());
    let mut asked = JoinSet::new();
    for number in 0..8 {
        let (service, otp) = (service.clone(), otp.clone());
        asked.spawn(async move { says(&service, &otp, &number.to_string()).await });
    }
    let mut said = asked.join_all().await;
    said.sort_unstable();
    assert_eq!(said[..7], ["replayed_otp"; 7]);
    assert_eq!(said[7], "right");
}

/// "The signature is always over the entire set": what it says beside that may be anybody's.
#[tokio::test]
async fn yubiserver_is_not_believed_where_it_signs_nothing_or_for_somebody_else() {
    let stranger = Yubiserver::start();
    let urls = [stranger.url()];
    let counting = asking(
        yubiserver(&Yubiserver::api_key()),
        &urls,
        Yubiserver::PUBLIC_ID,
    );
    let servers = yubiserver(API_KEY).danger_without_counters();
    let other_key = asking(servers, &urls, Yubiserver::PUBLIC_ID);
    let mut key = yubiservers_key();
    for service in [counting.await, other_key.await] {
        let said = says(&service, &touch(&mut key), "1").await;
        assert_eq!(said, "unavailable");
    }
}
