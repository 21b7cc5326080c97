//! One place to wait: for the end of any number of processes, for a time, and for being woken.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::Process;

/// What is waited for besides processes.
const WOKEN: u64 = 0;
const TIME: u64 = 1;
const FIRST_PROCESS: u64 = 2;
/// How many events are taken at once.
const EVENTS: usize = 64;

/// The place.
#[derive(Debug)]
pub(super) struct Waits {
    all: OwnedFd,
    woken: OwnedFd,
    /// Counts time as the table does: also while the machine is asleep, so that waking up is noticed.
    timer: OwnedFd,
    processes: Mutex<BTreeMap<u64, Process>>,
    last: AtomicU64,
}

impl Waits {
    pub(super) fn new() -> io::Result<Self> {
        let all = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let woken = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        for (descriptor, data) in [(&woken, WOKEN), (&timer, TIME)] {
            let data = epoll::EventData::new_u64(data);
            epoll::add(&all, descriptor, data, epoll::EventFlags::IN)?;
        }
        Ok(Self {
            all,
            woken,
            timer,
            processes: Mutex::default(),
            last: AtomicU64::new(FIRST_PROCESS),
        })
    }

    /// Waits for this process too, until its descriptor is closed.
    pub(super) fn add(&self, held: &OwnedFd, process: Process) -> io::Result<()> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let data = epoll::EventData::new_u64(number);
        let mut processes = self.processes();
        processes.retain(|_, known| *known != process);
        epoll::add(&self.all, held, data, epoll::EventFlags::IN)?;
        processes.insert(number, process);
        Ok(())
    }

    /// What is not held any more is not waited for any more.
    pub(super) fn forget(&self, process: Process) {
        self.processes().retain(|_, known| *known != process);
    }

    /// Ends a wait, or the next one.
    pub(super) fn wake(&self) {
        // It fails when it is full, and then the wait is ended anyway.
        let _ = rustix::io::write(&self.woken, &1_u64.to_ne_bytes());
    }

    /// Waits for as long as this, or without end; which processes have ended meanwhile.
    pub(super) fn wait(&self, time: Option<Duration>) -> Vec<Process> {
        if self.set_timer(time).is_err() {
            // Without a clock it is looked often.
            std::thread::sleep(Duration::from_millis(100));
        }
        let mut events = Vec::with_capacity(EVENTS);
        let buffer = rustix::buffer::spare_capacity(&mut events);
        if epoll::wait(&self.all, buffer, None).is_err() {
            return Vec::new();
        }
        let mut ended = Vec::new();
        for event in events {
            match event.data.u64() {
                WOKEN => drain(&self.woken),
                TIME => drain(&self.timer),
                number => ended.extend(self.processes().remove(&number)),
            }
        }
        ended
    }

    fn set_timer(&self, time: Option<Duration>) -> rustix::io::Result<()> {
        let zero = Timespec::default();
        // Zero would mean never.
        let time = time.map(|time| time.max(Duration::from_nanos(1)));
        let it_value = time
            .and_then(|time| Timespec::try_from(time).ok())
            .unwrap_or(zero);
        let time = Itimerspec {
            it_interval: zero,
            it_value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time).map(|_| ())
    }

    fn processes(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Process>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn drain(descriptor: impl AsFd) {
    let mut count = [0; 8];
    let _ = rustix::io::read(descriptor, &mut count);
}
