//! The load generator: one thread, keep-alive connections, requests rendered beforehand.
//!
//! It shares the machine with what it measures, so it does as little as possible: an answer is read up to its
//! status and `Content-Length`, and its body is kept only when the status is not a success.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// What to send, and for how long.
pub struct Plan<'a> {
    /// Whole HTTP/1.1 requests, sent in turn.
    pub requests: &'a [Vec<u8>],
    /// How many connections.
    pub connections: usize,
    /// When to send no more.
    pub stop: Stop,
    /// When to send.
    pub pace: Pace,
}

/// When to send no more.
#[derive(Clone, Copy)]
pub enum Stop {
    /// After this time.
    After(Duration),
    /// After so many requests.
    Count(usize),
}

/// When to send.
#[derive(Clone, Copy)]
pub enum Pace {
    /// On each connection the next request follows the answer.
    Closed,
    /// So many requests a second, whether the server keeps up or not. A request's latency counts from the
    /// time at which it was due.
    PerSecond(f64),
}

/// What came of it.
pub struct Outcome {
    /// Of each answered request, ascending.
    pub latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Answers by status, successes left out.
    pub failures: BTreeMap<u16, u64>,
    /// The first answer that was not a success.
    pub first_failure: Option<String>,
}

impl Outcome {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `share` of all requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share) as usize).copied().unwrap_or_default()
    }

    /// # Errors
    /// If any answer was not a success.
    pub fn all_good(self) -> anyhow::Result<Self> {
        let first = self.first_failure.as_deref().unwrap_or_default();
        ensure!(self.failures.is_empty(), "answers by status {:?}, the first:\n{first}", self.failures);
        ensure!(!self.latencies.is_empty(), "there was no answer");
        Ok(self)
    }
}

/// Renders a request with a JSON body.
pub fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    request_as(method, path, token, "application/json", body.as_bytes())
}

/// Renders a request with a body of this media type.
pub fn request_as(method: &str, path: &str, token: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    request_with(method, path, &format!("Authorization: Bearer {token}"), media_type, body)
}

/// Renders a request with a JSON body and the token as an API key.
pub fn request_with_key(method: &str, path: &str, token: &str, body: &[u8]) -> Vec<u8> {
    request_with(method, path, &format!("X-API-Key: {token}"), "application/json", body)
}

/// Renders a request with a body of this media type and one more header, such as that of the credentials.
pub fn request_with(method: &str, path: &str, header: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\n{header}\r\n\
         Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Sends one request on a connection of its own: status and body.
///
/// # Errors
/// If there is no whole answer.
pub fn exchange(server: SocketAddr, request: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(request)?;
    let mut buffer = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let count = stream.read(&mut piece)?;
        ensure!(count > 0, "the server closed the connection");
        buffer.extend_from_slice(&piece[..count]);
        if let Some(head) = Head::parse(&buffer)?
            && buffer.len() >= head.end
        {
            return Ok((head.status, buffer[head.body..head.end].to_vec()));
        }
    }
}

/// Runs `plan` against `server`.
///
/// # Errors
/// If a connection fails or an answer cannot be read. Answers that are not a success are counted instead.
pub fn run(server: SocketAddr, plan: &Plan<'_>) -> anyhow::Result<Outcome> {
    ensure!(!plan.requests.is_empty() && plan.connections > 0, "nothing to send");
    Generator::open(server, plan)?.run()
}

/// The place of the timer among the connections' numbers.
const TIMER: u64 = u64::MAX;

struct Generator<'a> {
    plan: &'a Plan<'a>,
    epoll: OwnedFd,
    timer: Option<OwnedFd>,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    /// When requests were due that no connection was free for.
    due: VecDeque<Instant>,
    begun: Instant,
    sent: usize,
    ticks: u64,
    outcome: Outcome,
}

impl<'a> Generator<'a> {
    fn open(server: SocketAddr, plan: &'a Plan<'a>) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for number in 0..plan.connections {
            let stream = TcpStream::connect(server).with_context(|| format!("cannot connect to {server}"))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
            connections.push(Connection::new(stream));
        }
        let outcome = Outcome {
            latencies: Vec::with_capacity(1 << 16),
            elapsed: Duration::ZERO,
            failures: BTreeMap::new(),
            first_failure: None,
        };
        Ok(Self {
            plan,
            epoll,
            timer: None,
            idle: (0..connections.len()).rev().collect(),
            connections,
            due: VecDeque::new(),
            begun: Instant::now(),
            sent: 0,
            ticks: 0,
            outcome,
        })
    }

    fn run(mut self) -> anyhow::Result<Outcome> {
        self.begun = Instant::now();
        match self.plan.pace {
            Pace::Closed => {
                for number in std::mem::take(&mut self.idle) {
                    self.send(number, Instant::now())?;
                }
            }
            Pace::PerSecond(rate) => self.start_timer(Duration::from_secs_f64(1.0 / rate))?,
        }
        let mut events = Vec::with_capacity(256);
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        while self.is_waiting() {
            events.clear();
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&patience))?;
            ensure!(!events.is_empty(), "no answer for a minute");
            for event in &events {
                match event.data.u64() {
                    TIMER => self.tick()?,
                    number => self.progress(number as usize, event.flags)?,
                }
            }
        }
        self.outcome.elapsed = self.begun.elapsed();
        self.outcome.latencies.sort_unstable();
        Ok(self.outcome)
    }

    fn is_waiting(&self) -> bool {
        self.idle.len() < self.connections.len() || (self.timer.is_some() && !self.is_over())
    }

    fn is_over(&self) -> bool {
        match self.plan.stop {
            Stop::After(time) => self.begun.elapsed() >= time,
            Stop::Count(count) => self.sent >= count,
        }
    }

    /// Sends the next request on a free connection, unless it is over.
    fn send(&mut self, number: usize, due: Instant) -> anyhow::Result<()> {
        if self.is_over() {
            self.idle.push(number);
            return Ok(());
        }
        let connection = &mut self.connections[number];
        connection.request = self.sent % self.plan.requests.len();
        connection.written = 0;
        connection.begun = due;
        self.sent += 1;
        self.write(number)
    }

    fn write(&mut self, number: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[number];
        let request = &self.plan.requests[connection.request];
        while connection.written < request.len() {
            match connection.stream.write(&request[connection.written..]) {
                Ok(count) => connection.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        let blocked = connection.written < request.len();
        if blocked != connection.blocked {
            connection.blocked = blocked;
            let flags = if blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(number as u64), flags)?;
        }
        Ok(())
    }

    fn progress(&mut self, number: usize, flags: EventFlags) -> anyhow::Result<()> {
        if flags.contains(EventFlags::OUT) {
            self.write(number)?;
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return Ok(());
        }
        let connection = &mut self.connections[number];
        let Some((status, body)) = connection.read()? else { return Ok(()) };
        if !(200..300).contains(&status) {
            *self.outcome.failures.entry(status).or_default() += 1;
            self.outcome.first_failure.get_or_insert(body);
        }
        self.outcome.latencies.push(connection.begun.elapsed());
        match self.plan.pace {
            Pace::Closed => self.send(number, Instant::now()),
            Pace::PerSecond(_) => match self.due.pop_front() {
                Some(due) => self.send(number, due),
                None => {
                    self.idle.push(number);
                    Ok(())
                }
            },
        }
    }

    fn start_timer(&mut self, period: Duration) -> anyhow::Result<()> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let period = Timespec::try_from(period)?;
        let spec = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        epoll::add(&self.epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        self.timer = Some(timer);
        Ok(())
    }

    /// Requests have become due: as many as the timer says, each at its own time.
    fn tick(&mut self) -> anyhow::Result<()> {
        let Pace::PerSecond(rate) = self.plan.pace else { bail!("a timer without a pace") };
        let Some(timer) = &self.timer else { return Ok(()) };
        let mut count = [0; 8];
        rustix::io::read(timer, &mut count)?;
        for _ in 0..u64::from_ne_bytes(count) {
            self.ticks += 1;
            self.due.push_back(self.begun + Duration::from_secs_f64(self.ticks as f64 / rate));
        }
        while !self.due.is_empty() {
            let Some(number) = self.idle.pop() else { break };
            let due = self.due.pop_front().expect("it is not empty");
            self.send(number, due)?;
            if self.is_over() {
                self.due.clear();
            }
        }
        if self.is_over() {
            self.timer = None;
        }
        Ok(())
    }
}

struct Connection {
    stream: TcpStream,
    request: usize,
    written: usize,
    blocked: bool,
    begun: Instant,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let begun = Instant::now();
        Self { stream, request: 0, written: 0, blocked: false, begun, buffer: vec![0; 16 << 10], filled: 0 }
    }

    /// Reads what came: a whole answer's status and, unless it is a success, its body.
    fn read(&mut self) -> anyhow::Result<Option<(u16, String)>> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(2 * self.filled, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(count) => self.filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("cannot read an answer"),
        }
        let Some(head) = Head::parse(&self.buffer[..self.filled])? else { return Ok(None) };
        if self.filled < head.end {
            return Ok(None);
        }
        ensure!(self.filled == head.end, "bytes after an answer");
        self.filled = 0;
        if (200..300).contains(&head.status) {
            return Ok(Some((head.status, String::new())));
        }
        let body = String::from_utf8_lossy(&self.buffer[head.body..head.end]).into_owned();
        Ok(Some((head.status, body)))
    }
}

/// What is read of an answer's head.
struct Head {
    status: u16,
    /// Where the body begins.
    body: usize,
    /// Where it ends.
    end: usize,
}

impl Head {
    fn parse(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            ensure!(bytes.len() < 64 << 10, "the head of an answer has no end");
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes[..end]).context("the head of an answer is not text")?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
            .context("an answer that is not HTTP/1.1")?;
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let length = match (length, status) {
            (Some(length), _) => length,
            (None, 204) => 0,
            (None, _) => bail!("an answer without Content-Length:\n{head}"),
        };
        let body = end + 4;
        Ok(Some(Self { status, body, end: body + length }))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that answers each request after `delay`; a request for `/bad` with 422.
    fn stub(delay: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                thread::spawn(move || {
                    let mut got = Vec::new();
                    let mut piece = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut piece) {
                        got.extend_from_slice(&piece[..count]);
                        if !got.ends_with(b"{}") {
                            continue;
                        }
                        thread::sleep(delay);
                        let status = if got.starts_with(b"POST /bad") { "422 No" } else { "200 OK" };
                        got.clear();
                        let answer = format!("HTTP/1.1 {status}\r\ncontent-LENGTH: 3\r\nx: y\r\n\r\nyes");
                        let (first, second) = answer.split_at(20);
                        stream.write_all(first.as_bytes()).unwrap();
                        stream.write_all(second.as_bytes()).unwrap();
                    }
                });
            }
        });
        address
    }

    fn plan(requests: &[Vec<u8>], connections: usize, stop: Stop, pace: Pace) -> Plan<'_> {
        Plan { requests, connections, stop, pace }
    }

    #[test]
    fn every_request_of_a_count_is_answered_once() {
        let server = stub(Duration::ZERO);
        let requests = [request("POST", "/good", "t", "{}")];
        let outcome = run(server, &plan(&requests, 4, Stop::Count(100), Pace::Closed)).unwrap();
        let outcome = outcome.all_good().unwrap();
        assert_eq!(outcome.latencies.len(), 100);
        let few = run(server, &plan(&requests, 4, Stop::Count(2), Pace::Closed)).unwrap();
        assert_eq!(few.latencies.len(), 2);
        assert_eq!(exchange(server, &requests[0]).unwrap(), (200, b"yes".to_vec()));
    }

    #[test]
    fn an_answer_that_is_not_a_success_is_counted_and_the_first_is_kept() {
        let requests = [request("POST", "/good", "t", "{}"), request("POST", "/bad", "t", "{}")];
        let outcome = run(stub(Duration::ZERO), &plan(&requests, 1, Stop::Count(10), Pace::Closed)).unwrap();
        assert_eq!(outcome.failures, BTreeMap::from([(422, 5)]));
        assert_eq!(outcome.first_failure.as_deref(), Some("yes"));
        assert!(outcome.all_good().is_err());
    }

    #[test]
    fn a_pace_is_kept_and_latency_counts_from_when_a_request_was_due() {
        let requests = [request("POST", "/good", "t", "{}")];
        let stop = Stop::After(Duration::from_millis(600));
        // 50 a second are due, one connection can do 20: the last ones waited long.
        let slow = stub(Duration::from_millis(50));
        let outcome =
            run(slow, &plan(&requests, 1, stop, Pace::PerSecond(50.0))).unwrap().all_good().unwrap();
        assert!(outcome.quantile(1.0) > Duration::from_millis(200), "{:?}", outcome.latencies);
        let outcome =
            run(slow, &plan(&requests, 8, stop, Pace::PerSecond(50.0))).unwrap().all_good().unwrap();
        assert!((20..=31).contains(&outcome.latencies.len()), "{}", outcome.latencies.len());
    }

    #[test]
    fn a_large_request_is_sent_in_pieces() {
        let body = format!("{}{{}}", "x".repeat(8 << 20));
        let requests = [request("POST", "/good", "t", &body)];
        let outcome = run(stub(Duration::ZERO), &plan(&requests, 2, Stop::Count(2), Pace::Closed)).unwrap();
        assert_eq!(outcome.all_good().unwrap().latencies.len(), 2);
    }
}
