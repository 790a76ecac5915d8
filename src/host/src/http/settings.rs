use std::{net::IpAddr, sync::Arc, time::Duration};

use filament_kernel::limits::RateLimit;
use ipnet::IpNet;

use crate::config::Loaded;

/// What one generation's configuration says about HTTP, ready for use.
pub struct HttpSettings {
    /// The limit on all requests of one address.
    pub per_ip: Arc<RateLimit<IpAddr>>,
    /// A request that takes longer is answered 408.
    pub request_timeout: Duration,
    /// A longer body is answered 413, unless its handler takes it raw and bounds it itself.
    pub max_json_body_bytes: usize,
    /// Only these may say whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may read `/metrics`.
    pub metrics_readers: Vec<IpNet>,
    /// Whether answers are compressed for those who accept it.
    pub compression: bool,
}

impl HttpSettings {
    /// The settings of `config`; a limit that stays the same goes on counting where `old` stands.
    pub fn reusing(old: &Self, config: &Loaded) -> Self {
        let rate = config.host.http.rate_limit_requests_per_minute;
        let per_ip = if old.per_ip.rate() == rate {
            old.per_ip.clone()
        } else {
            Arc::new(per_address(rate))
        };
        Self {
            per_ip,
            ..Self::new(config)
        }
    }

    /// The settings of `config`.
    pub fn new(config: &Loaded) -> Self {
        let http = &config.host.http;
        Self {
            per_ip: Arc::new(per_address(http.rate_limit_requests_per_minute)),
            request_timeout: http.request_timeout(),
            max_json_body_bytes: http.max_json_body_bytes,
            trusted_proxies: config.host.server.trusted_proxy_cidrs.clone(),
            metrics_readers: http.metrics_allowed_cidrs.clone(),
            compression: http.compression,
        }
    }
}

fn per_address(rate: u32) -> RateLimit<IpAddr> {
    RateLimit::per_minute(rate).named("address")
}
