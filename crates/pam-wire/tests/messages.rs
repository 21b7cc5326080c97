//! What holds of every message and of every stream, and which bytes are no message.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{self, Read};

use countersign_pam_wire::{
    Echo, Encoded, Incoming, Line, Login, MAX_FRAME, Message, Opened, Process, ReceiveError, Text,
    ToDaemon, ToModule, Typed, Verdict, WireError,
};
use proptest::prelude::*;

fn line() -> impl Strategy<Value = Line> {
    any::<String>().prop_map(|text| Line::clean(&text.chars().take(16).collect::<String>()))
}

fn text() -> impl Strategy<Value = Text> {
    any::<String>().prop_map(|text| Text::clean(&text))
}

fn process() -> impl Strategy<Value = Process> {
    (any::<u32>(), any::<u64>()).prop_map(|(pid, start_time)| Process { pid, start_time })
}

fn login() -> impl Strategy<Value = Login> {
    let lines = (line(), line(), line(), line(), line(), line());
    (lines, text(), process()).prop_map(
        |((service, user, ruser, rhost, tty, ssh_connection), auth_info, monitor)| Login {
            service,
            user,
            ruser,
            rhost,
            tty,
            ssh_connection,
            auth_info,
            monitor,
        },
    )
}

fn to_daemon() -> impl Strategy<Value = ToDaemon> {
    let opened = (login(), proptest::option::of(0..u32::MAX), line()).prop_map(
        |(login, audit_session, xdg_session)| Opened {
            login,
            audit_session,
            xdg_session,
        },
    );
    prop_oneof![
        login().prop_map(ToDaemon::Begin),
        any::<String>().prop_map(|text| ToDaemon::Answer(Typed::clean(&text))),
        login().prop_map(ToDaemon::Account),
        opened.prop_map(ToDaemon::Open),
        process().prop_map(|monitor| ToDaemon::Close { monitor }),
    ]
}

fn to_module() -> impl Strategy<Value = ToModule> {
    let verdict = prop_oneof![
        Just(Verdict::Success),
        Just(Verdict::Denied),
        Just(Verdict::Unavailable),
        Just(Verdict::Failed),
    ];
    let echo = prop_oneof![Just(Echo::On), Just(Echo::Off)];
    prop_oneof![
        (text(), echo).prop_map(|(text, echo)| ToModule::Prompt { text, echo }),
        text().prop_map(|text| ToModule::Info { text }),
        Just(ToModule::Working),
        (verdict, text(), line()).prop_map(|(verdict, text, reference)| ToModule::Done {
            verdict,
            text,
            reference,
        }),
    ]
}

/// All messages of a stream that comes in pieces of these sizes, over and over.
fn read_in_pieces<M: Message>(stream: &[u8], sizes: &[usize]) -> Result<Vec<M>, WireError> {
    let mut incoming = Incoming::default();
    let mut messages = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*size).min(rest.len()));
        rest = later;
        incoming.receive(piece)?;
        while let Some(message) = incoming.next_message()? {
            messages.push(message);
        }
    }
    incoming.finish().map(|()| messages)
}

fn read_one<M: Message>(frame: &[u8]) -> Result<Option<M>, WireError> {
    let mut incoming = Incoming::default();
    incoming.receive(frame)?;
    incoming.next_message()
}

/// A frame with this kind and body.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[kind], body].concat()
}

proptest! {
    #[test]
    fn what_is_written_is_read_whatever_the_pieces(
        messages in prop::collection::vec(to_daemon(), 0..4),
        sizes in prop::collection::vec(1..200_usize, 1..8),
    ) {
        let stream: Vec<u8> =
            messages.iter().flat_map(|it| it.encode().unwrap().expose().to_vec()).collect();
        prop_assert_eq!(read_in_pieces::<ToDaemon>(&stream, &sizes), Ok(messages));
    }

    #[test]
    fn the_same_from_the_daemon(
        messages in prop::collection::vec(to_module(), 0..4),
        sizes in prop::collection::vec(1..200_usize, 1..8),
    ) {
        let stream: Vec<u8> =
            messages.iter().flat_map(|it| it.encode().unwrap().expose().to_vec()).collect();
        prop_assert_eq!(read_in_pieces::<ToModule>(&stream, &sizes), Ok(messages));
    }

    /// One message has one spelling: no byte can be changed without changing what is read.
    #[test]
    fn another_byte_is_another_message(
        message in to_daemon(), at in any::<prop::sample::Index>(), flip in 1..=u8::MAX,
    ) {
        let mut bytes = message.encode().unwrap().expose().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(Some(other)) = read_one::<ToDaemon>(&bytes) {
            prop_assert_ne!(&other, &message);
            let written = other.encode().unwrap();
            prop_assert_eq!(written.expose(), &bytes[..]);
        }
    }

    /// A message that is cut is not there yet, wherever it is cut, and an end there is an error.
    #[test]
    fn a_cut_message_is_no_message(message in to_module(), at in any::<prop::sample::Index>()) {
        let bytes = message.encode().unwrap();
        let cut = &bytes.expose()[..at.index(bytes.expose().len())];
        let mut incoming = Incoming::<ToModule>::default();
        incoming.receive(cut).unwrap();
        prop_assert_eq!(incoming.next_message(), Ok(None));
        let expected = if cut.is_empty() { Ok(()) } else { Err(WireError::EndInFrame) };
        prop_assert_eq!(incoming.finish(), expected);
    }

    #[test]
    fn no_bytes_panic_and_an_error_stays(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut incoming = Incoming::<ToModule>::default();
        incoming.receive(&bytes).unwrap();
        while let Ok(Some(_)) = incoming.next_message() {}
        let after = incoming.next_message();
        incoming.receive(&bytes).unwrap();
        if after.is_err() {
            prop_assert_eq!(incoming.next_message(), after);
        }
    }
}

fn example() -> Login {
    Login {
        service: Line::clean("sshd"),
        user: Line::clean("ada"),
        ruser: Line::default(),
        rhost: Line::clean("192.0.2.7"),
        tty: Line::clean("ssh"),
        ssh_connection: Line::clean("192.0.2.7 50022 192.0.2.1 22"),
        auth_info: Text::clean("publickey ssh-ed25519 AAAA\n"),
        monitor: Process {
            pid: 4711,
            start_time: 8_912_345,
        },
    }
}

fn bytes_of(encoded: &Encoded) -> Vec<u8> {
    encoded.expose().to_vec()
}

/// `bytes` with the length in front made right again.
fn with_length(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(bytes.len() - 4).unwrap();
    bytes.splice(..4, length.to_be_bytes());
    bytes
}

#[test]
fn bytes_that_are_no_message_have_a_name() {
    let close = |version: u64, pid: u64| {
        let numbers = [version, pid, 1].map(u64::to_be_bytes);
        frame(5, &numbers.concat())
    };
    let begin = bytes_of(&ToDaemon::Begin(example()).encode().unwrap());
    let long_user = {
        let mut bytes = begin.clone();
        // Behind the length, the kind, the version and `sshd` stands the length of the user.
        let at = 4 + 1 + 8 + 4 + 4;
        bytes.splice(at..at + 4 + 3, 257_u32.to_be_bytes());
        with_length(bytes)
    };
    let cases: [(&[u8], WireError); 15] = [
        (&[0, 0, 0, 0], WireError::EmptyFrame),
        (&[0, 1, 0, 1], WireError::FrameTooLong),
        (b"GET / HTTP/1.1\r\n", WireError::FrameTooLong),
        (&frame(0, b""), WireError::UnknownKind(0)),
        // A message of the other direction.
        (&frame(0x84, b""), WireError::UnknownKind(0x84)),
        (&close(2, 1), WireError::UnknownVersion(2)),
        (&close(0, 1), WireError::UnknownVersion(0)),
        (&close(1, 1 << 32), WireError::BadValue { field: "pid" }),
        (
            &with_length([&close(1, 1)[..], b"x"].concat()),
            WireError::TrailingBytes,
        ),
        (
            &with_length(close(1, 1)[..28].to_vec()),
            WireError::Truncated {
                field: "start_time",
            },
        ),
        (
            &with_length(begin[..20].to_vec()),
            WireError::Truncated { field: "service" },
        ),
        (&long_user, WireError::FieldTooLong { field: "user" }),
        (
            &frame(2, b"\0\0\0\x01\xff"),
            WireError::NotText { field: "answer" },
        ),
        (
            &frame(2, b"\0\0\0\x01\n"),
            WireError::NotText { field: "answer" },
        ),
        (
            &frame(2, b"\xff\xff\xff\xff"),
            WireError::FieldTooLong { field: "answer" },
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read_one::<ToDaemon>(bytes), Err(expected), "{bytes:?}");
        assert!(!expected.code().is_empty() && !expected.to_string().contains('\n'));
    }
    let echo = [&0_u32.to_be_bytes()[..], &2_u64.to_be_bytes()].concat();
    let cases: [(&[u8], WireError); 4] = [
        (&frame(0x81, &echo), WireError::BadValue { field: "echo" }),
        (
            &frame(0x82, b"\0\0\0\x01\x1b"),
            WireError::NotText { field: "text" },
        ),
        (
            &frame(0x83, &[0; 16]),
            WireError::BadValue { field: "verdict" },
        ),
        (&frame(1, b""), WireError::UnknownKind(1)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read_one::<ToModule>(bytes), Err(expected), "{bytes:?}");
    }
}

#[test]
fn the_longest_of_everything_fits_and_one_byte_more_does_not() {
    let a = |length: usize| Line::clean(&"a".repeat(length));
    let longest = Opened {
        login: Login {
            service: a(64),
            user: a(256),
            ruser: a(256),
            rhost: a(256),
            tty: a(256),
            ssh_connection: a(256),
            auth_info: Text::clean(&"a".repeat(16 * 1024)),
            monitor: example().monitor,
        },
        audit_session: None,
        xdg_session: a(64),
    };
    let message = ToDaemon::Open(longest.clone());
    let bytes = message.encode().unwrap();
    assert_eq!(read_one(bytes.expose()), Ok(Some(message)));

    let mut opened = longest;
    opened.login.user = a(257);
    let error = ToDaemon::Open(opened).encode().unwrap_err();
    assert_eq!(error, WireError::FieldTooLong { field: "user" });

    for (length, fits) in [
        (32 * 1024, true),
        (32 * 1024 + 1, false),
        (MAX_FRAME, false),
    ] {
        let text = Text::clean(&"a".repeat(length));
        let echo = Echo::On;
        assert_eq!(ToModule::Prompt { text, echo }.encode().is_ok(), fits);
    }
}

#[test]
fn the_first_version_stays_as_it_is() {
    let monitor = Process {
        pid: 0x0102,
        start_time: 0x0304,
    };
    let bytes = ToDaemon::Close { monitor }.encode().unwrap();
    let expected = [
        &[0, 0, 0, 25, 5][..],
        &[0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 0, 0, 0, 0, 0, 1, 2],
        &[0, 0, 0, 0, 0, 0, 3, 4],
    ];
    assert_eq!(bytes.expose(), expected.concat());

    let done = ToModule::Done {
        verdict: Verdict::Success,
        text: Text::clean("hi"),
        reference: Line::clean("R"),
    };
    let bytes = done.encode().unwrap();
    let expected = b"\0\0\0\x14\x83\0\0\0\0\0\0\0\x01\0\0\0\x02hi\0\0\0\x01R";
    assert_eq!(bytes.expose(), expected);
}

/// A reader that gives one byte at a time, is interrupted before each, and ends or fails at the end.
struct Slow<'a> {
    bytes: &'a [u8],
    interrupt: bool,
    end: Option<io::ErrorKind>,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Some((first, rest)) = self.bytes.split_first() else {
            return self.end.map_or(Ok(0), |kind| Err(kind.into()));
        };
        self.bytes = rest;
        let [slot, ..] = buffer else { return Ok(0) };
        *slot = *first;
        Ok(1)
    }
}

#[test]
fn a_stream_is_read_to_its_next_message_its_end_or_its_failure() {
    let message = ToModule::Info {
        text: Text::clean("one\ntwo"),
    };
    let bytes = bytes_of(&message.encode().unwrap());
    let twice = [&bytes[..], &bytes].concat();
    let read = |bytes: &[u8], end| {
        let mut incoming = Incoming::<ToModule>::default();
        let mut reader = Slow {
            bytes,
            interrupt: false,
            end,
        };
        let mut count = 0;
        loop {
            match incoming.receive_from(&mut reader) {
                Ok(Some(read)) => {
                    assert_eq!(read, message);
                    count += 1;
                }
                Ok(None) => return (count, None),
                Err(error) => return (count, Some(error)),
            }
        }
    };
    assert!(matches!(read(&twice, None), (2, None)));
    assert!(matches!(
        read(&twice[..twice.len() - 1], None),
        (1, Some(ReceiveError::Wire(WireError::EndInFrame)))
    ));
    let timed_out = read(&bytes, Some(io::ErrorKind::WouldBlock));
    assert!(matches!(timed_out, (1, Some(ReceiveError::Io(_)))));
}

#[test]
fn who_sends_ahead_is_stopped() {
    let mut incoming = Incoming::<ToModule>::default();
    let working = bytes_of(&ToModule::Working.encode().unwrap());
    let flood = working.repeat(MAX_FRAME / working.len());
    assert_eq!(incoming.receive(&flood), Ok(()));
    assert_eq!(incoming.receive(&flood), Err(WireError::FrameTooLong));
    let mut count = 0;
    while let Some(ToModule::Working) = incoming.next_message().unwrap() {
        count += 1;
    }
    assert_eq!(count, MAX_FRAME / working.len());
    assert_eq!(incoming.receive(&flood), Ok(()));
}

#[test]
fn what_was_typed_is_shown_nowhere() {
    let answer = ToDaemon::Answer(Typed::clean("hunter2"));
    let encoded = answer.encode().unwrap();
    let mut incoming = Incoming::<ToDaemon>::default();
    incoming.receive(encoded.expose()).unwrap();
    let shown = format!("{answer:?} {encoded:?} {incoming:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
