//! A Yubikey made of nothing, for tests and demonstrations (feature `sim`).
//!
//! Not responsible for: being a key. Whoever has its secrets in a program has no second factor.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};

use super::secrets::crc16;
use super::{Otp, PublicId, Secrets, modhex};

/// The clock of a key: 8 Hz in 24 bits.
const CLOCK_MASK: u32 = 0x00ff_ffff;

/// A key that is plugged in and waits to be touched.
#[derive(Debug)]
pub struct SimulatedKey {
    id: PublicId,
    secrets: Secrets,
    counter: u16,
    session_use: u8,
    timestamp: u32,
    caps_lock: bool,
}

impl SimulatedKey {
    /// A new key, plugged in for the first time.
    pub fn new(id: PublicId, secrets: Secrets) -> Self {
        Self {
            id,
            secrets,
            counter: 1,
            session_use: 0,
            timestamp: 0,
            caps_lock: false,
        }
    }

    /// The same key at another place of its life. Bit 15 of the counter is cut off.
    #[must_use]
    pub fn at(mut self, counter: u16, session_use: u8, timestamp: u32) -> Self {
        self.counter = counter & 0x7fff;
        self.session_use = session_use;
        self.timestamp = timestamp & CLOCK_MASK;
        self
    }

    /// With Caps Lock on, which the key notes in the password (and the computer may type in
    /// capitals; that is not done here).
    #[must_use]
    pub fn with_caps_lock(mut self) -> Self {
        self.caps_lock = true;
        self
    }

    /// Whose key it is.
    pub fn public_id(&self) -> &PublicId {
        &self.id
    }

    /// Touches the key: its next password. A real key chooses `random` itself.
    ///
    /// After 256 passwords in one session it counts on, and at the end of its life it makes the
    /// last one over and over, where a real key makes none.
    pub fn press(&mut self, random: u16) -> Otp {
        let otp = self.type_now(random);
        match self.session_use.checked_add(1) {
            Some(next) => self.session_use = next,
            None => self.replug(),
        }
        self.let_pass(1);
        otp
    }

    /// Lets the key's clock run on by so many eighths of a second.
    pub fn let_pass(&mut self, eighths: u32) {
        self.timestamp = self.timestamp.wrapping_add(eighths) & CLOCK_MASK;
    }

    /// Pulls the key out and plugs it in again.
    pub fn replug(&mut self) {
        if self.counter < 0x7fff {
            self.counter += 1;
            self.session_use = 0;
        }
        self.timestamp = 0;
    }

    fn type_now(&self, random: u16) -> Otp {
        let (private_id, aes_key) = self.secrets.expose();
        let counter = self.counter | (u16::from(self.caps_lock) << 15);
        let [t0, t1, t2, _] = self.timestamp.to_le_bytes();
        let mut plain = private_id.to_vec();
        plain.extend(counter.to_le_bytes());
        plain.extend([t0, t1, t2, self.session_use]);
        plain.extend(random.to_le_bytes());
        plain.extend((!crc16(&plain)).to_le_bytes());
        let mut block = aes::Block::default();
        block
            .iter_mut()
            .zip(&plain)
            .for_each(|(to, from)| *to = *from);
        Aes128::new(&(*aes_key).into()).encrypt_block(&mut block);
        let mut text = self.id.as_str().to_owned();
        modhex::encode(&block, &mut text);
        Otp::parse(&text).expect("a public id and one block are an OTP")
    }
}
