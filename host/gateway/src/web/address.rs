//! Which addresses a stage may not reach: everything that is not on the public internet.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is if it is not public, for a person.
pub(super) fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => forbidden_v4(address),
        IpAddr::V6(address) => forbidden_v6(address),
    }
}

/// The registry of special addresses of version 4 (RFC 6890 and what came after it).
fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0, ..) => Some("this network"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Some("private"),
        (100, 64..=127, _) => Some("shared by a provider's customers"),
        (127, ..) => Some("this machine"),
        // Where clouds answer questions about the machine, keys included.
        (169, 254, _) => Some("link-local"),
        (192, 0, 0) => Some("reserved for protocols"),
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Some("reserved for documents"),
        (192, 88, 99) => Some("a relay"),
        (192, 31, 196) | (192, 52, 193) | (192, 175, 48) => Some("reserved for protocols"),
        (198, 18..=19, _) => Some("reserved for benchmarks"),
        (224..=239, ..) => Some("multicast"),
        // One cloud answers questions about the machine at this public-looking address.
        (168, 63, 129) => Some("of a cloud's platform"),
        (240..=255, ..) => Some("reserved"),
        _ => None,
    }
}

/// Only what lies in the part that is given out to the public internet (2000::/3) is public, special blocks in it
/// excepted. An address that carries one of version 4 is as public as that.
fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(carried) = carried_v4(address) {
        return forbidden_v4(carried);
    }
    let segments = address.segments();
    match (segments[0], segments[1]) {
        // Local to a provider's translator (RFC 8215): what it carries is not at a fixed place.
        (0x64, 0xff9b) => Some("of a translator"),
        (0xfe80..=0xfebf, _) => Some("link-local"),
        (0xfc00..=0xfdff, _) => Some("private"),
        (0xff00..=0xffff, _) => Some("multicast"),
        _ if address.is_loopback() => Some("this machine"),
        (0x2001, 0x0db8) | (0x3fff, 0x0000..=0x0fff) => Some("reserved for documents"),
        // Teredo, benchmarks, overlays and others (2001::/23).
        (0x2001, 0x0000..=0x01ff) => Some("reserved for protocols"),
        (0x2000..=0x3fff, _) => None,
        _ => Some("reserved"),
    }
}

/// The address of version 4 that reaching this one would reach.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b, c, d, e, f) {
        // ::ffff:0:0/96 and ::ffff:0:0:0/96, mapped and translated.
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) => Some(v4(high, low)),
        // ::/96, compatible; `::` and `::1` are none of these.
        (0, 0, 0, 0, 0, 0) if high != 0 => Some(v4(high, low)),
        // 64:ff9b::/96, the well-known prefix of NAT64.
        (0x64, 0xff9b, 0, 0, 0, 0) => Some(v4(high, low)),
        // 2002::/16, 6to4.
        (0x2002, ..) => Some(v4(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "64:ff9b::1.1.1.1",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(forbidden(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.170",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "2001:db8::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "4000::1",
        ] {
            assert!(forbidden(address.parse().unwrap()).is_some(), "{address}");
        }
    }
}
