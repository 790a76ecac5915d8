//! SHIM
use std::{net::IpAddr, sync::Arc, time::Duration};
use arc_swap::ArcSwap;
use filament_kernel::{ApiError, Caller, gateway::{Audience, Command}, log::{Stream, Topic}, id::*};
pub struct Settings { pub ingress_events_per_window: u32, pub ingress_window: Duration, pub max_frame_bytes: usize, pub outbound_queue_events: usize, pub ping_interval: Duration, pub pong_timeout: Duration, pub write_timeout: Duration, pub offline_grace: Duration, pub query_token: bool, pub max_sockets_per_user: usize, pub max_sockets_per_ip: usize, pub public_origins: Vec<String> }
pub enum Lookup { Run(Arc<dyn Command>), Disabled{module:&'static str}, Unavailable{module:&'static str}, Unknown }
pub trait Table: Send + Sync { fn command(&self, name: &str) -> Lookup; fn audiences(&self) -> Vec<(&'static str, Arc<dyn Audience>)>; fn generation(&self) -> u64; }
pub trait CurrentTable: Send + Sync + 'static { fn table(&self) -> Arc<dyn Table>; }
pub struct Delivery { pub topic: Topic, pub name: &'static str, pub data: Arc<str>, pub admits: Option<UserId>, pub expels: Option<UserId> }
pub struct Hub;
impl Hub { pub fn new(_: Arc<ArcSwap<Settings>>) -> Arc<Self> { Arc::new(Hub) }
 pub fn connect_table(&self, _: Arc<dyn CurrentTable>) {}
 pub fn deliver(&self, _: &[Delivery]) {}
 pub fn modules_changed(self: &Arc<Self>, _: &[&'static str], _: &[&'static str], _: u64) {}
 pub async fn close_all(&self, _: filament_protocol::CloseCode, _: &str, _: Duration) {}
 pub fn access_token(&self, _: &poem::Request) -> Option<String> { None }
}
pub fn upgrade(_: &Arc<Hub>, _: &poem::Request, _: Caller, _: IpAddr) -> Result<poem::Response, ApiError> { Err(ApiError::not_found()) }
impl filament_kernel::gateway::Gateway for Hub {
 fn publish(&self, _: Topic, _: &'static str, _: &str, _: Option<UserId>) {}
 fn send_to_user(&self, _: UserId, _: &'static str, _: &str) {}
 fn followers(&self, _: Stream, _: usize) -> Vec<UserId> { vec![] }
 fn is_online(&self, _: UserId) -> bool { false }
 fn end_session(&self, _: SessionId, _: &str) {}
}
