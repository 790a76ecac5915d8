//! A client that costs next to nothing, so that a measurement shows the server and not its client: requests are bytes made once,
//! answers are read by their length, WebSocket frames are counted by their headers.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection for requests, kept alive.
pub struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n");
    if let Some(token) = token {
        text.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    if let Some(body) = body {
        text.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        ));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text.into_bytes()
}

impl Http {
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends a request and reads its answer: the status and the body.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(end) = find(&self.buffer, b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
            let status = head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(0);
            while self.buffer.len() < end + 4 + length {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            return Ok((status, self.buffer[end + 4..end + 4 + length].to_vec()));
        }
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len())
        .position(|window| window == needle)
}

/// A WebSocket, open.
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens the gateway with a token.
    pub async fn open(addr: SocketAddr, token: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /gateway/ws HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut buffer = Vec::with_capacity(1024);
        loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                if !buffer.starts_with(b"HTTP/1.1 101") {
                    return Err(io::Error::other(
                        String::from_utf8_lossy(&buffer).into_owned(),
                    ));
                }
                buffer.drain(..end + 4);
                return Ok(Self { stream, buffer });
            }
        }
    }

    /// Sends a text frame, masked with zeros.
    pub async fn send(&mut self, text: &str) -> io::Result<()> {
        let mut frame = vec![0x81];
        match text.len() {
            short @ 0..126 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 126);
                frame.extend((long as u16).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).await
    }

    /// Takes the next whole frame out of what was read.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second, ..] = self.buffer[..] else {
            return None;
        };
        let (start, length) = match second & 0x7f {
            126 => (
                4,
                u16::from_be_bytes(self.buffer.get(2..4)?.try_into().ok()?) as usize,
            ),
            127 => (
                10,
                u64::from_be_bytes(self.buffer.get(2..10)?.try_into().ok()?) as usize,
            ),
            short => (2, short as usize),
        };
        if self.buffer.len() < start + length {
            return None;
        }
        let payload = self.buffer[start..start + length].to_vec();
        self.buffer.drain(..start + length);
        Some((first & 0x0f, payload))
    }

    /// The next text frame; pings are answered.
    pub async fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            while let Some((opcode, payload)) = self.take() {
                match opcode {
                    1 => return Ok(payload),
                    9 => {
                        let mut pong = vec![0x8a, 0x80 | payload.len() as u8, 0, 0, 0, 0];
                        pong.extend(&payload);
                        self.stream.write_all(&pong).await?;
                    }
                    8 => {
                        let code = payload
                            .get(..2)
                            .map_or(0, |c| u16::from_be_bytes([c[0], c[1]]));
                        let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default())
                            .into_owned();
                        return Err(io::Error::other(format!("closed: {code} {reason}")));
                    }
                    _ => {}
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Waits for something to read and counts the whole frames in it, without looking at them.
    pub async fn count_ready(&mut self) -> io::Result<u64> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = 0;
        let mut count = 0;
        while let [first, second, ..] = self.buffer[at..] {
            let (head, length) = match second & 0x7f {
                126 => match self.buffer.get(at + 2..at + 4) {
                    Some(bytes) => (4, usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))),
                    None => break,
                },
                short => (2, usize::from(short)),
            };
            if self.buffer.len() < at + head + length {
                break;
            }
            if first & 0x0f == 8 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            count += u64::from(first & 0x0f == 1);
            at += head + length;
        }
        self.buffer.drain(..at);
        Ok(count)
    }

    /// Reads frames until one holds `mark`.
    pub async fn until(&mut self, mark: &str) -> io::Result<Vec<u8>> {
        loop {
            let frame = self.next().await?;
            if find(&frame, mark.as_bytes()).is_some() {
                return Ok(frame);
            }
        }
    }
}
