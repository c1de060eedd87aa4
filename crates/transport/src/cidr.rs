//! Networks that may dial in: `10.20.0.0/16`, `fd00::/8`, or one address.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A network in prefix notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CidrError(String);

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for CidrError {}

impl Cidr {
    /// Whether the network holds this address. An IPv4 address that arrived on an IPv6 socket
    /// (`::ffff:10.0.0.1`) is compared as the IPv4 address that it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(CidrError(format!("`{text}` is no network; write 10.20.0.0/16 or one address")));
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => match digits.parse::<u8>() {
                Ok(prefix) if prefix <= longest => prefix,
                _ => return Err(CidrError(format!("`/{digits}` must be a number from 0 to {longest}"))),
            },
        };
        let network = Self { address, prefix };
        if network.first_address() != address {
            let first = network.first_address();
            return Err(CidrError(format!(
                "`{text}` has bits behind its prefix; the network is {first}/{prefix}"
            )));
        }
        Ok(network)
    }
}

impl Cidr {
    fn first_address(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                std::net::Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Cidr>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        assert!(holds("10.20.0.0/16", "10.20.255.1"));
        assert!(!holds("10.20.0.0/16", "10.21.0.1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(holds("192.0.2.7", "192.0.2.7"));
        assert!(!holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("fd00::/8", "fd12::1"));
        assert!(!holds("fd00::/8", "fe80::1"));
        assert!(!holds("0.0.0.0/0", "fd12::1"));
    }

    #[test]
    fn an_ipv4_analyzer_on_an_ipv6_socket_is_judged_by_its_ipv4_address() {
        assert!(holds("10.20.0.0/16", "::ffff:10.20.0.5"));
        assert!(!holds("::/0", "::ffff:10.20.0.5"));
    }

    #[test]
    fn a_text_that_is_no_network_is_refused_with_the_remedy() {
        for (text, reason) in [
            ("lab", "is no network"),
            ("10.0.0.0/33", "0 to 32"),
            ("fd00::/129", "0 to 128"),
            ("10.0.0.0/x", "0 to 32"),
            ("10.20.0.5/16", "the network is 10.20.0.0/16"),
        ] {
            let error = text.parse::<Cidr>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
