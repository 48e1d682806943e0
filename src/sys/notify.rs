//! Tells the service manager how the program stands: systemd's `sd_notify`, over the socket that it names.

use std::io;

/// Sends one message, such as `READY=1`.
///
/// Errors: nobody listens at the socket, or the system has no such sockets.
#[cfg(target_os = "linux")]
pub fn send(socket: &str, message: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    // A name that begins with `@` is none of a file.
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None if socket.starts_with('/') => SocketAddr::from_pathname(socket)?,
        None => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
    };
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.send_to_addr(message.as_bytes(), &address).map(drop)
}

/// Other systems have no such manager.
#[cfg(not(target_os = "linux"))]
pub fn send(_: &str, _: &str) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
