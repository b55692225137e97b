//! Starts the key host, restarts it when it dies, and hands its socket to the front.
//!
//! It is a process of its own because the front gives up its access to the keys' directory, and so would
//! its children. It has no network, no database and hardly a protocol: one byte with a socket goes up, and one
//! byte comes down to have a key host killed that does not answer any more. When the front closes its end, the guardian waits for the key host to finish and goes.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

/// The hidden subcommand that runs [`main`].
pub const GUARDIAN_COMMAND: &str = "key-host-guardian";
/// The hidden subcommand that runs [`crate::host::main`].
pub const HOST_COMMAND: &str = "key-host";

/// A key host that dies younger than this is restarted more and more slowly.
const YOUNG: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long a key host may take to finish its work after the front is gone.
const GRACE: Duration = Duration::from_secs(10);

/// The program that runs, whatever lies at its path by now: a front that was taken over could put another
/// one there and kill the key host, and after an upgrade the two would not understand each other.
const PROGRAM: &str = "/proc/self/exe";

/// Leaves it to the front to decide when to end. Whoever stops the service signals all of its processes, and
/// the front still needs these to finish what it accepted: they end when its socket closes.
pub(crate) fn ignore_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // A handler that only notes it. If there can be none, the process ends a little early, as before.
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
}

/// Runs the guardian on the socket that is its standard input. `words` are for the key host.
pub fn main(words: &[OsString]) -> ExitCode {
    ignore_signals();
    let socket = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(fd) => UnixStream::from(fd),
        Err(_) => return ExitCode::from(2),
    };
    match guard(socket, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn guard(front: UnixStream, words: &[OsString]) -> io::Result<()> {
    let name = std::env::current_exe()?;
    let wishes = Arc::new(Wishes::default());
    let (wake, woken) = mpsc::channel();
    watch_front(front.try_clone()?, Arc::clone(&wishes), wake)?;
    let mut pause = Duration::from_millis(50);
    while !wishes.gone.load(Ordering::Acquire) {
        let started = Instant::now();
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = Command::new(PROGRAM)
            .arg0(&name)
            .arg(HOST_COMMAND)
            .args(words)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        if send_socket(&front, &ours).is_err() {
            wishes.gone.store(true, Ordering::Release);
        }
        // Only the front may hold the other end: the key host must notice when it closes.
        drop(ours);
        wait(&mut child, &wishes)?;
        pause =
            if started.elapsed() < YOUNG { (pause * 2).min(MAX_PAUSE) } else { Duration::from_millis(50) };
        if !wishes.gone.load(Ordering::Acquire) {
            // Ends early when the front goes.
            let _ = woken.recv_timeout(pause);
        }
    }
    Ok(())
}

/// What the front wants.
#[derive(Default)]
struct Wishes {
    /// It is gone: so should the key host be.
    gone: AtomicBool,
    /// The key host hangs: another one is wanted.
    kill: AtomicBool,
}

fn watch_front(mut front: UnixStream, wishes: Arc<Wishes>, wake: mpsc::Sender<()>) -> io::Result<()> {
    thread::Builder::new().stack_size(256 << 10).spawn(move || {
        let mut byte = [0];
        while matches!(front.read(&mut byte), Ok(1)) {
            wishes.kill.store(true, Ordering::Release);
        }
        wishes.gone.store(true, Ordering::Release);
        let _ = wake.send(());
    })?;
    Ok(())
}

/// Waits for the child's end; once the front is gone, no longer than [`GRACE`].
fn wait(child: &mut Child, wishes: &Wishes) -> io::Result<()> {
    let mut deadline = None;
    wishes.kill.store(false, Ordering::Release);
    loop {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        let mut kill = wishes.kill.load(Ordering::Acquire);
        if wishes.gone.load(Ordering::Acquire) {
            kill |= Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + GRACE);
        }
        if kill {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn send_socket(to: &UnixStream, socket: &UnixStream) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [socket.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(to, &[IoSlice::new(&[1])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for the next key host's socket.
///
/// # Errors
/// `UnexpectedEof` when the guardian is gone.
pub fn receive_socket(from: &UnixStream) -> io::Result<UnixStream> {
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = rustix::net::recvmsg(
            from,
            &mut [IoSliceMut::new(&mut byte)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        let received = match received {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut fds) = message
                && let Some(fd) = fds.next()
            {
                return Ok(UnixStream::from(fd));
            }
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
