//! Delivery to the LIS: the LIS database contract.
