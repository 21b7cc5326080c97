//! A gRPC service over tonic, protected in ten lines, with one method that asks for a recent sign-in.
//!
//! `cargo run -p countersign-resource --example tonic`, with an issuer at <http://127.0.0.1:8910>
//! (`countersign-issuer serve`). The interface is
//!
//! ```proto
//! package warehouse;
//! service Stock {
//!   rpc Count(google.protobuf.StringValue) returns (google.protobuf.StringValue);
//!   rpc Clear(google.protobuf.StringValue) returns (google.protobuf.StringValue);
//! }
//! ```
//!
//! and with that in `stock.proto`:
//!
//! ```text
//! call() { grpcurl -plaintext -proto stock.proto -d '"bolts"' "$@" 127.0.0.1:3001 warehouse.Stock/Count; }
//! call                                               # Unauthenticated, with a challenge in the metadata
//! call -H "Authorization: Bearer $(countersign token)"
//! ```
//!
//! What a build script with `tonic-prost-build` makes of a `.proto` file is written out below, after the
//! service, so that the example needs neither.

#![allow(
    clippy::print_stdout,
    reason = "an example says where it can be reached"
)]
#![allow(
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "methods are as the traits of tonic have them"
)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _};
use countersign_resource::{Caller, Demands, Validator, ValidatorLayer};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::transport::server::{Server, TcpIncoming};
use tonic::{Request, Response, Status};
use tower_service::Service;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let issuer = std::env::var("ISSUER").unwrap_or_else(|_| "http://127.0.0.1:8910".to_owned());
    let validator = Validator::builder(issuer)
        .audience("http://127.0.0.1:3001")
        .required_scope("profile")
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:3001").await?;
    println!("http://{}", listener.local_addr()?);
    serve(listener, validator).await
}

/// The layer stands in front of every service of this server.
pub(crate) async fn serve(listener: TcpListener, validator: Validator) -> Result<(), Failure> {
    let stock = Stock {
        validator: validator.clone(),
    };
    Server::builder()
        .layer(ValidatorLayer::new(validator))
        .serve_with_incoming(stock, TcpIncoming::from(listener))
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Stock {
    validator: Validator,
}

impl Stock {
    fn count(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let caller = caller(&request)?;
        let said = format!("{} may count {}", caller.subject(), request.get_ref());
        Ok(Response::new(said))
    }

    /// Asks for a sign-in of the last five minutes: an older one gets `UNAUTHENTICATED` with a challenge
    /// (RFC 9470) in the metadata.
    fn clear(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let caller = caller(&request)?;
        let recent = Demands::builder().max_age(Duration::from_secs(300));
        let recent = recent.build().unwrap_or_default();
        self.validator.demand(caller, &recent).map_err(|refused| {
            let answer = refused.grpc_response::<()>();
            Status::from_header_map(answer.headers()).unwrap_or(Status::unauthenticated(""))
        })?;
        let said = format!("{} may clear {}", caller.subject(), request.get_ref());
        Ok(Response::new(said))
    }
}

/// Whom the layer has let in. Without one there is no layer: a mistake of this program.
fn caller<T>(request: &Request<T>) -> Result<&Caller, Status> {
    Caller::from_extensions(request.extensions()).ok_or_else(|| Status::internal("no validator"))
}

// From here on: what is generated elsewhere.

impl Service<http::Request<Body>> for Stock {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let run: Run = match request.uri().path() {
            "/warehouse.Stock/Count" => Stock::count,
            "/warehouse.Stock/Clear" => Stock::clear,
            _ => return Box::pin(ready(Ok(Status::unimplemented("").into_http()))),
        };
        let method = Method(self.clone(), run);
        Box::pin(async move { Ok(Grpc::new(StringValue).unary(method, request).await) })
    }
}

type Run = fn(&Stock, Request<String>) -> Result<Response<String>, Status>;

struct Method(Stock, Run);

impl UnaryService<String> for Method {
    type Response = String;
    type Future = Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        ready((self.1)(&self.0, request))
    }
}

/// `google.protobuf.StringValue`: field 1 is a string. One of less than 128 bytes, so that its length is
/// a byte.
#[derive(Clone, Copy)]
pub(crate) struct StringValue;

const FIELD: u8 = (1 << 3) | 2;

impl Codec for StringValue {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for StringValue {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 128);
        buffer.put_u8(FIELD);
        buffer.put_u8(length.ok_or_else(|| Status::internal("too long"))?);
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for StringValue {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        let text = match &*message {
            [] => Some(&[][..]),
            [FIELD, length, text @ ..] if usize::from(*length) == text.len() => Some(text),
            _ => None,
        };
        let text = text.and_then(|text| String::from_utf8(text.to_vec()).ok());
        let malformed = || Status::invalid_argument("not a short string");
        text.map(Some).ok_or_else(malformed)
    }
}
