//! Networks that may connect, as `10.20.0.0/16` or a single address.

use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use labwire_schema::Mistake;

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of the first `prefix` bits of an address; the other bits are cleared.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(bits(address));
        Self { address: masked(address, prefix), prefix }
    }

    /// Its first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address lies in it. An IPv4 address that arrived on an IPv6 socket counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(u32::from(32_u8.saturating_sub(prefix))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(u32::from(128_u8.saturating_sub(prefix))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let (address_text, prefix_text) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address_text.parse().map_err(|_| {
            Mistake::new(format!("`{address_text}` is not an IP address"))
                .at(0..address_text.len())
                .help("write a network such as \"10.20.0.0/16\" or an address such as \"10.20.0.5\"")
        })?;
        let most = bits(address);
        let Some(prefix_text) = prefix_text else { return Ok(Self::new(address, most)) };
        let at = address_text.len() + 1..text.len();
        let prefix = prefix_text.parse::<u8>().ok().filter(|prefix| *prefix <= most).ok_or_else(|| {
            Mistake::new(format!("`/{prefix_text}` is not a prefix length"))
                .at(at)
                .help(format!("write a number from 0 to {most}: how many leading bits of the address count"))
        })?;
        let network = Self::new(address, prefix);
        if network.address != address {
            return Err(Mistake::new(format!("`{text}` has bits set behind the first {prefix}")).help(
                format!("write \"{network}\" for the network, or \"{address}\" for this address alone"),
            ));
        }
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_lies_in_its_network_and_in_no_other() {
        let lab = network("10.20.0.0/16");
        assert!(lab.contains("10.20.0.5".parse().unwrap()));
        assert!(lab.contains("10.20.255.255".parse().unwrap()));
        assert!(!lab.contains("10.21.0.0".parse().unwrap()));
        assert!(!lab.contains("::1".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("203.0.113.9".parse().unwrap()));
        assert!(network("2001:db8::/32").contains("2001:db8:1::5".parse().unwrap()));
        assert!(!network("2001:db8::/32").contains("2001:db9::".parse().unwrap()));
    }

    #[test]
    fn a_single_address_is_a_network_of_one() {
        let one = network("10.0.0.7");
        assert_eq!(one.to_string(), "10.0.0.7/32");
        assert!(one.contains("10.0.0.7".parse().unwrap()));
        assert!(!one.contains("10.0.0.8".parse().unwrap()));
    }

    #[test]
    fn an_analyzer_that_arrives_over_a_dual_stack_socket_is_known_by_its_ipv4_address() {
        assert!(network("10.0.0.0/8").contains("::ffff:10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn a_wrong_network_says_how_it_is_written() {
        let help = |text: &str| text.parse::<Network>().unwrap_err().help.unwrap_or_default();
        assert_eq!(
            help("10.20.0.5/16"),
            "write \"10.20.0.0/16\" for the network, or \"10.20.0.5\" for this address alone"
        );
        assert!(help("10.20.0.0/33").starts_with("write a number from 0 to 32"));
        assert!(help("::/129").starts_with("write a number from 0 to 128"));
        assert!(help("10.20/16").starts_with("write a network"));
        assert!("lab".parse::<Network>().is_err());
    }
}
