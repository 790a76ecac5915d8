use poem::{EndpointExt, Route, Server, endpoint::make, listener::TcpAcceptor};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::*;

const REQUEST: &str = "GET /gateway/ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A poem server with the gateway and nothing else; it runs as long as what is answered lives.
async fn serve(hub: Arc<Hub>) -> (JoinSet<()>, std::net::SocketAddr) {
    let endpoint = make(move |request: poem::Request| {
        let hub = hub.clone();
        async move {
            super::super::upgrade(
                &hub,
                &request,
                World::caller(user(1)),
                [192, 0, 2, 1].into(),
            )
            .map_err(poem::Error::from)
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let acceptor = TcpAcceptor::from_tokio(listener).expect("an acceptor");
    let app = Route::new().at("/gateway/ws", endpoint.map_to_response());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let _ = Server::new_with_acceptor(acceptor).run(app).await;
    });
    (server, address)
}

/// Sends a request; answers the connection and the head of the response.
async fn ask(address: std::net::SocketAddr, headers: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream
        .write_all(format!("{REQUEST}{headers}\r\n").as_bytes())
        .await
        .expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    (
        stream,
        String::from_utf8(head).expect("text").to_lowercase(),
    )
}

#[tokio::test]
async fn a_request_becomes_a_socket() {
    let world = World::new(|_| {});
    let (_server, address) = serve(world.hub.clone()).await;
    let (stream, head) = ask(address, "sec-websocket-version: 13\r\n").await;
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    let mut client = Client(stream);
    assert_eq!(client.event().await.0, "ready");
    client.send_frame(0x88, b"").await;
    assert_eq!(client.hear().await, Heard::Close(None, String::new()));
    assert_eq!(client.hear().await, Heard::End);
    world.until_empty().await;
}

#[tokio::test]
async fn another_version_is_told_ours() {
    let world = World::new(|_| {});
    let (_server, address) = serve(world.hub.clone()).await;
    let (_, head) = ask(address, "sec-websocket-version: 8\r\n").await;
    assert!(head.starts_with("http/1.1 426"), "{head}");
    assert!(head.contains("sec-websocket-version: 13"), "{head}");
    let (_, head) = ask(
        address,
        "sec-websocket-version: 13\r\norigin: https://evil.test\r\n",
    )
    .await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert_eq!(world.hub.open_sockets(), 0);
}
