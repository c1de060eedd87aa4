//! Link-layer machines: LIS01/E1381 receiver and sender, MLLP, delimited text streams.
